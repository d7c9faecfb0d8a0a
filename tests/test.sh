#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes each target, goes on after one that fails, and ends in one line that counts the tests of
# all.
#
#     MAKE=make COUNTS=folder tests/test.sh TARGET...    a target leaves "passed failed" in COUNTS/TARGET
set -u
rm -rf "$COUNTS"
mkdir -p "$COUNTS"
broken=
took=
for target in "$@"; do
    echo "== make $target"
    started=$(date +%s)
    $MAKE "$target" || broken="$broken $target"
    took="$took, $target $(($(date +%s) - started)) s"
    # A target that ended without a count (its build failed, say) is one failure.
    [ -e "$COUNTS/$target" ] || echo "0 1" > "$COUNTS/$target"
done
echo "took: ${took#, }"
[ -z "$broken" ] || echo "failed: make$broken" >&2
for target in "$@"; do cat "$COUNTS/$target"; done | awk '{ passed += $1; failed += $2 }
    END { print passed + 0 " passed, " failed + 0 " failed" }'
[ -z "$broken" ]
