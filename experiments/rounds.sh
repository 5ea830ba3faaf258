#!/bin/sh
# S6: how many second looks help, with the truth as critic and with the model's own critique.
set -eu
model=${1:?give a model as its server names it, e.g. lmsys/vicuna-7b-v1.5}; shift
exec ${SECONDLOOK:-secondlook} eval bbq --model "openai-api/local/$model" \
  --base-url "${BASE_URL:-http://127.0.0.1:8000/v1}" \
  --per-category 500 --prompt bbq/binary-cot --variant self-instruct --rounds 5 \
  --critic self --critic oracle --critic none --reply-tokens 512 "$@"
