#!/bin/sh
# S7, S8: stored attacks replayed behind every defence: 100 requests, three second looks, 64 tokens a reply as in the
# paper, and over-refusal beside attack success, which the paper does not show. DATA holds the user's own copies:
#   harmful-behaviors.csv and benign-behaviors.csv (JailbreakBench), attack.json (an artifact made against this model).
set -eu
model=${1:?give a model as its server names it, e.g. lmsys/vicuna-7b-v1.5}; shift
data=${DATA:?set DATA to the folder of behaviours and attacks}
exec ${SECONDLOOK:-secondlook} eval refusal --model "openai-api/local/$model" \
  --base-url "${BASE_URL:-http://127.0.0.1:8000/v1}" \
  --behaviours "$data/harmful-behaviors.csv" --benign "$data/benign-behaviors.csv" --attacks "$data/attack.json" \
  --prompt refusal/verbal --rounds 3 --reply-tokens 64 \
  --defence none --defence self-reminder --defence icd --defence again --defence self --defence self-instruct "$@"
