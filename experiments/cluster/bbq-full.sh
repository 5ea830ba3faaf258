#!/bin/sh
# All of BBQ, three second looks, the model as its own critic beside two controls, in shards on a Ray cluster. Shards
# are neighbouring questions, and each asks one server: what questions of a template share is in its cache.
#   BASE_URLS  addresses of the servers, with spaces between
#   CLUSTER    of Ray, by default this machine's processors; `none` for one process that asks one server, as a pilot does
set -eu
model=${1:?give a model as its servers name it, e.g. Qwen/Qwen2.5-7B-Instruct}; shift
for address in ${BASE_URLS:-http://127.0.0.1:8000/v1}; do
  set -- --base-url "$address" "$@"
done
case ${CLUSTER:=local} in
  none) ;;
  *) set -- --cluster "$CLUSTER" "$@" ;;
esac
exec ${SECONDLOOK:-secondlook} eval bbq --model "openai-api/local/$model" \
  --prompt bbq/binary-cot --variant self-instruct --rounds 3 --critic self --critic none --critic vote \
  --reply-tokens 512 --max-connections 64 "$@"
