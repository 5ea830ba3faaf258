#!/bin/sh
# Runs the sweeps of this folder one after the other, two trainings side by side, one thread each; goes on where it was
# stopped, and judges each sweep when it is done. Arguments are names of sweeps: run.sh paper-task released
#   WORKERS     trainings side by side (2)
#   THREADS     pieces of a batch that a training works on at once (1); with WORKERS=1 one large run takes every core
#   RUNS        gets each sweep's table (runs/laboratory)
#   RESULTS     gets a folder for each sweep, result.json and figure, and trained/: of every run its log and what it was
#               judged by, which git keeps, and its weights, which git ignores (results/lab)
#   SECONDLOOK  the program (secondlook)
set -eu
here=$(dirname "$0")
runs=${RUNS:-runs/laboratory}
results=${RESULTS:-results/lab}
: "${SECONDLOOK:=secondlook}"
[ $# -gt 0 ] || set -- paper-task reduced released released-linear released-no-network released-heads-and-depth
export OMP_NUM_THREADS=1
for name in "$@"; do
    $SECONDLOOK lab sweep "$here/$name.toml" --out "$runs/$name" --trained "$results/trained" \
        --workers "${WORKERS:-2}" --threads "${THREADS:-1}" --save-every 25
    $SECONDLOOK lab judge "$here/$name.toml" --trained "$results/trained" --out "$results"
done
