#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what the profiler costs, each figure beside its peer of the same run. Judges nothing: machines differ.
#
#     tests/bench/bench.sh FOLDER PROGRAM    FOLDER holds malloc, malloc-musl, micro and load
set -eu
row() { printf '%-44s %10s %10s %8s   %s\n' "$@"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) print "-"; else printf "%.3f", a / b }'; }

row what ours peer ratio "peer, goal"
# Two sizes, a line each run.
sampled=$("$1/malloc")
unsampled=$(PPROF_HEAP_RATE=0 "$1/malloc")
musl=$("$1/malloc-musl")
for size in 1 2; do
    name=$([ $size = 1 ] && echo 64 || echo 1024)
    pick() { echo "$1" | cut -d ' ' -f $size; }
    ours=$(pick "$sampled")
    row "malloc+free of $name bytes, sampled (ns)" "$ours" "$(pick "$unsampled")" "$(ratio "$ours" "$(pick "$unsampled")")" "tcmalloc, not sampled"
    row "" "$ours" "$(pick "$musl")" "$(ratio "$ours" "$(pick "$musl")")" "musl's malloc; <= 0.20"
done
# Sampled so densely that every one of the stacks is there.
{
    PPROF_HEAP_RATE=65536 "$1/micro"
    "$(dirname "$0")/traffic.sh" "$2" "$1/load"
} | while read -r name ours peer spread; do
    case $name in
        *lock_unlock_ns) text="without the wrappers" ;;
        heap_profile_*) text="<= 200 ms, named and compressed" ;;
        tick_ns) text="a hundred in a second: 1 000 ns are 0.01 %" ;;
        dump_*) text="<= 50 ms, named and compressed" ;;
        instructions_*) text="DISABLE_PPROF; <= 1.01" ;;
        *_while_crowded) text="no crowd at pprof; 1.00" ;;
        throughput_*) text="no profile; >= 0.99" ;;
        cpu_us_*) text="no profile; <= 1.01" ;;
        *) text="" ;;
    esac
    row "$name" "$ours" "$([ "$peer" = 0 ] && echo - || echo "$peer")" "$(ratio "$ours" "$peer")" "$text $spread"
done
