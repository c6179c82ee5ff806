#!/bin/sh
# What only a CUDA machine shows, in at most nine minutes and without a network.
#
#     benchmarks/on_gpu.sh RESULTS [--tiny]
#
# Pictures are those that benchmarks/pack.py put into .gpu/, else those of DECONVVIZ_DATA. --tiny
# runs every part with next to no work, on a CPU too.
set -eu
cd "$(dirname "$0")/.."
if ls .gpu/*/*.tar > /dev/null 2>&1; then
    data=$(mktemp -d)
    for archive in .gpu/*/*.tar; do tar -xf "$archive" -C "$data"; done
    export DECONVVIZ_DATA="$data"
fi
PYTHONPATH="$PWD" exec python3 benchmarks/on_gpu.py "$@"
