#!/bin/bash
# A vLLM server on each accelerator of this machine, on ports from PORT (8000) on. All end with this script, or with the
# first that ends. GPUS="0 1" takes these alone; what follows the model goes to `vllm serve`.
# The servers ask for no key: let nobody but workers reach HOST (by default 127.0.0.1, this machine alone).
set -euo pipefail
model=${1:?give a model, e.g. Qwen/Qwen2.5-7B-Instruct}; shift
host=${HOST:-127.0.0.1} port=${PORT:-8000} servers=() addresses=()
gpus=${GPUS:-$(nvidia-smi --query-gpu=index --format=csv,noheader)}
trap 'trap - CHLD; kill "${servers[@]}" 2>/dev/null || true; wait' EXIT
trap 'exit 1' CHLD # not `wait -n`, which overlooks a server that ended before
for gpu in $gpus; do
  CUDA_VISIBLE_DEVICES=$gpu "${VLLM:-vllm}" serve "$model" --host "$host" --port "$port" --enable-prefix-caching "$@" &
  servers+=("$!") addresses+=("http://$host:$((port++))/v1")
done
echo "BASE_URLS='${addresses[*]}'"
wait
