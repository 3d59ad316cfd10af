#!/usr/bin/env bash
#SBATCH --job-name gapsearch
#SBATCH --nodes 4
#SBATCH --ntasks-per-node 1
#SBATCH --cpus-per-task 16
#SBATCH --time 04:00:00
# Put the virtual environment and the run folder where all nodes see them. With GPUs, add: #SBATCH --gpus-per-node 4
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun --kill-on-bad-exit=0 ray symmetric-run --address "$head:6379" --min-nodes 4 --num-cpus 16 -- \
    gapsearch run cifar10 --ray auto --trials 200 --timeout 14000 --data-root "$HOME/data" --out "$HOME/runs/cifar10"
