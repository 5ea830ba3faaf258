#!/bin/bash
#SBATCH --job-name=secondlook
#SBATCH --nodes=2
#SBATCH --exclusive
#SBATCH --no-kill
#SBATCH --time=12:00:00
#SBATCH --signal=INT@120
#SBATCH --output=secondlook-%j.log
# A secondlook command on a Ray cluster of this job's nodes, which lasts as long as the command. In an environment that
# every node has, from a folder that every node sees:
#   sbatch --nodes=4 --gpus-per-node=8 slurm.sh lab sweep paper-grid.toml --out paper-grid --device cuda
# What was not done when the time ended, or somebody cancelled it, is done by submitting the same line again; a node that
# dies costs what it had in hand. Nodes are taken whole: in the end Ray stops all that is Ray's of this user on them.
set -euo pipefail
(($#)) || { echo 'give a secondlook command, e.g. lab sweep FILE --out FOLDER --device cuda' >&2; exit 2; }

# This shell runs on the first node. Ray makes that one the head which has this address on a network card.
head=$(python -c 'import ray.util; print(ray.util.get_node_ip_address())')
address=$head:${PORT:-6379}

# Every process of the cluster has to show this job's token.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600 # seconds; many nodes that read one environment begin slowly

# One task a node: the first starts the head, waits for the others, runs the command, and ends the cluster.
exec srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_ON_NODE" \
  --no-kill --kill-on-bad-exit=0 \
  ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --disable-usage-stats \
  --num-cpus="$SLURM_CPUS_ON_NODE" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" \
  -- "${SECONDLOOK:-secondlook}" "$@" --cluster "$address"
