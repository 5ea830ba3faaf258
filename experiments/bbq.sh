#!/bin/sh
# S1, S2: does a second look help on BBQ, and does the gain follow the critic's accuracy over the categories?
# The paper: 500 questions of each category, self-critique, the request to refine without the question ("self-instruct").
# Ours besides: both context conditions, the truth as critic, and the control that only asks again.
set -eu
model=${1:?give a model as its server names it, e.g. lmsys/vicuna-7b-v1.5}; shift
exec ${SECONDLOOK:-secondlook} eval bbq --model "openai-api/local/$model" \
  --base-url "${BASE_URL:-http://127.0.0.1:8000/v1}" \
  --per-category 500 --prompt bbq/binary-cot --variant self-instruct --rounds 1 \
  --critic self --critic none --critic oracle --reply-tokens 512 "$@"
