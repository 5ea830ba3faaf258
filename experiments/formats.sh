#!/bin/sh
# S4: the form of the critique: free words, a score, a verdict, reasons and then a verdict.
set -eu
model=${1:?give a model as its server names it, e.g. lmsys/vicuna-7b-v1.5}; shift
for format in verbal numeric binary binary-cot; do
  ${SECONDLOOK:-secondlook} eval bbq --model "openai-api/local/$model" \
    --base-url "${BASE_URL:-http://127.0.0.1:8000/v1}" \
    --per-category 500 --prompt "bbq/$format" --variant self-instruct --rounds 1 \
    --critic self --reply-tokens 512 "$@"
done
