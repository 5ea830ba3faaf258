#!/bin/sh
# S3: the truth as critic, its verdict flipped with probability p.
set -eu
model=${1:?give a model as its server names it, e.g. lmsys/vicuna-7b-v1.5}; shift
for p in 0 0.25 0.5 0.75 1; do
  ${SECONDLOOK:-secondlook} eval bbq --model "openai-api/local/$model" \
    --base-url "${BASE_URL:-http://127.0.0.1:8000/v1}" \
    --per-category 500 --prompt bbq/binary --variant self-instruct --rounds 1 \
    --critic oracle --noise "$p" --reply-tokens 512 "$@"
done
