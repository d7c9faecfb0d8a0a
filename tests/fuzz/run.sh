#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs built fuzzers one after the other over their seeds (tests/fuzz/corpus/NAME).
#
#     RUNS=n LONG=[seconds] tests/fuzz/run.sh FOLDER COUNTS tests/fuzz/NAME...
#
# Without LONG: RUNS runs from a fixed start, so that two rounds do the same. With it: as long as
# that, and what reaches new code is kept in FOLDER/tests/fuzz/corpus/NAME for the next time.
set -eu
folder=$1 counts=$2
shift 2
passed=0 failed=0
for fuzzer in "$@"; do
    name=$(basename "$fuzzer")
    seeds=tests/fuzz/corpus/$name
    kept=$folder/tests/fuzz/corpus/$name
    found=$folder/tests/fuzz/found-$name-
    log=$folder/$fuzzer.log
    if [ -n "$LONG" ]; then
        rounds="-max_total_time=$LONG"
    else
        rounds="-runs=$RUNS -seed=1"
        kept=$folder/tests/fuzz/corpus/.short-$name
        rm -rf "$kept"
    fi
    mkdir -p "$kept"
    [ -d "$seeds" ] || seeds=
    rm -f "$found"*
    # shellcheck disable=SC2086  # lists of words
    if "$folder/$fuzzer" $rounds -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found" \
        "$kept" $seeds > "$log" 2>&1 < /dev/null; then
        passed=$((passed + 1))
        echo "  $name: $(sed -n 's/^Done \([0-9]*\) runs in \(.*\) second.*/\1 runs in \2 s/p' "$log")"
        continue
    fi
    failed=$((failed + 1))
    {
        grep -vE '^#[0-9]' "$log" | tail -n 40
        echo "$fuzzer.c: failed; its whole output is in $log"
        for input in "$found"*; do
            [ -e "$input" ] && echo "again: $folder/$fuzzer $input"
        done
    } >&2
done
mkdir -p "$(dirname "$counts")"
echo "$passed $failed" > "$counts"
echo "$passed fuzzers passed, $failed failed"
[ "$failed" = 0 ]
