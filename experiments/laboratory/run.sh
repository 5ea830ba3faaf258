#!/bin/sh
# Runs the sweeps of this folder one after the other, two trainings side by side, one thread each; goes on where it was
# stopped, and judges each sweep when it is done. Arguments are names of sweeps: run.sh paper-task released
#   WORKERS     trainings side by side (2)
#   RUNS        where trained runs and checkpoints are kept (runs/laboratory)
#   RESULTS     gets a folder for each sweep: result.json and figure (results/lab)
#   SECONDLOOK  the program (secondlook)
set -eu
here=$(dirname "$0")
runs=${RUNS:-runs/laboratory}
: "${SECONDLOOK:=secondlook}"
[ $# -gt 0 ] || set -- paper-task reduced released released-linear released-no-network released-heads-and-depth
export OMP_NUM_THREADS=1
for name in "$@"; do
    $SECONDLOOK lab sweep "$here/$name.toml" --out "$runs/$name" --trained "$runs/trained" \
        --workers "${WORKERS:-2}" --save-every 25
    $SECONDLOOK lab judge "$here/$name.toml" --trained "$runs/trained" --out "${RESULTS:-results/lab}"
done
