#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs built unit tests, JOBS at a time, and says which tests failed and how to run one again.
#
#     JOBS=n KNOBS='SAN=thread' [EMULATOR=program] tests/unit/run.sh FOLDER COUNTS FILE...    FOLDER/FILE is the program of FILE.c
#
# COUNTS gets "passed failed". Each file has two minutes.
set -eu
folder=$1 counts=$2
shift 2
export TSAN_OPTIONS="suppressions=tests/unit/known-races ${TSAN_OPTIONS:-}"

printf '%s\n' "$@" | xargs -r -P "$JOBS" -I {} sh -c \
    "timeout 120 ${EMULATOR:-} '$folder/{}' > '$folder/{}.tap' 2> '$folder/{}.err' < /dev/null
    echo \$? > '$folder/{}.exit'"

passed=0 failed=0
for file in "$@"; do
    out=$folder/$file
    status=$(cat "$out.exit")
    ok=$(grep -c '^ok ' "$out.tap" || true)
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$out.tap" | head -n 1)
    # A file that ends early or badly has failed in all that it did not report, and in one thing at
    # least.
    bad=$((${planned:-1} - ok))
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + ok)) failed=$((failed + bad))
    [ "$bad" = 0 ] && continue
    {
        echo
        echo "$file.c: $bad failed (exit status $status; 124 is the time limit)"
        grep -E '^(not ok|#)' "$out.tap" || true
        tail -n 60 "$out.err"
        echo "again: make unit T=$file.c${KNOBS:+ $KNOBS}"
    } >&2
done
mkdir -p "$(dirname "$counts")"
echo "$passed $failed" > "$counts"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
