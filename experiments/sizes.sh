#!/bin/sh
# S5: from which size on can a model use a critique that is always right? One server serves one size: start each in
# turn, and name the sizes it serves, e.g. SIZES="1.8B" experiments/sizes.sh
set -eu
for size in ${SIZES:-0.5B 1.8B 4B 7B 14B 32B 72B}; do
  ${SECONDLOOK:-secondlook} eval bbq --model "openai-api/local/Qwen/Qwen1.5-$size-Chat" \
    --base-url "${BASE_URL:-http://127.0.0.1:8000/v1}" \
    --per-category 500 --prompt bbq/binary-cot --variant self-instruct --rounds 1 \
    --critic oracle --critic self --critic none --reply-tokens 512 "$@"
done
