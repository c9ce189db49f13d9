#!/usr/bin/env bash
# A training as a slurm job, one task per GPU, in the environment and folder that it is submitted from:
#
#     sbatch [options of sbatch] tools/slurm_train.sh CONFIG [options of train]
#
# Two minutes before its time is over it saves, queues itself again, and goes on.
#SBATCH --job-name=effdense
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=6
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail
# No B: in --signal, so that slurm tells the tasks, and not this script. Each task sees all GPUs of its machine and
# takes that of its number: --gpus-per-task would show it one.
export MASTER_PORT=${MASTER_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 20000))}
srun python -m effformer_dense train "$@" --launcher slurm
status=$?
if ((status == 138)); then # SIGUSR1: saved, with more to do
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
