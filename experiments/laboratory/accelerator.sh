#!/bin/sh
# All of B on one accelerator, its seven variants side by side: the released experiment in a few minutes. Takes the folder
# for results; needs PyTorch with CUDA. RUNS, WORKERS and SECONDLOOK as for run.sh. Not tried yet.
set -eu
here=$(dirname "$0")
out=${1:-results/lab-accelerator}
runs=${RUNS:-runs/laboratory-accelerator}
: "${SECONDLOOK:=secondlook}"
$SECONDLOOK lab sweep "$here/released.toml" --out "$runs/released" --trained "$runs/trained" \
    --device cuda --workers "${WORKERS:-7}" --save-every 500
$SECONDLOOK lab judge "$here/released.toml" --trained "$runs/trained" --out "$out" --device cuda
