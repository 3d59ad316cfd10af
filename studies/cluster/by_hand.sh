#!/usr/bin/env bash
# A Ray cluster by hand. On every machine: the same gapsearch[ray] and Python, and the same ~/.ray/auth_token.
set -euo pipefail
case "${1:-}" in
    head) ray get-auth-token --generate && ray start --head --port 6379 --num-cpus 0 ;;  # trains nothing itself
    node) ray start --address "${2:?address of the head}:6379" ;;  # at any time, also while a search runs
    search) gapsearch run digits --ray auto --trials 100 --out runs/digits ;;  # on the head; the run folder is there
    *) echo "usage: $0 head | node HEAD | search" >&2; exit 2 ;;
esac
