#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the tests in Go, with a toolchain that is new enough.
#
#     CACHE=folder [TARBALLS=folder] [MODULE=chart] tests/go.sh COUNTS PACKAGES [GO TEST FLAGS]
#
# MODULE is a folder of tests that has a go.mod of its own; its make target is test-MODULE. COUNTS
# gets "passed failed"; beside it lies go.json (or MODULE.json), all that the tests printed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$(dirname "$1")" "$CACHE"
counts=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
CACHE=$(cd "$CACHE" && pwd)
module=$here/${MODULE:-.}
log=$(dirname "$counts")/${MODULE:-go}.json
shift
if [ ! -e "$module/go.mod" ]; then
    echo "0 0" > "$counts"
    exit
fi

go=$("$here/toolchain.sh" "$module")
export GOTOOLCHAIN=local GOCACHE="$CACHE/go-build" GOMODCACHE="$CACHE/go-modules"
cd "$module"
if [ -x tools.sh ]; then PATH=$(dirname "$go"):$PATH ./tools.sh > /dev/null; fi
# One package at a time: some measure shares of the processor.
{
    status=0
    "$go" test -count=1 -p 1 -modcacherw -json "$@" 2>&1 < /dev/null || status=$?
    echo "$status" > "$counts.status"
} | tee "$log" | awk -v module="${MODULE:-}" -f "$here/go.awk" > "$counts"
read -r status < "$counts.status"
read -r passed failed < "$counts"
rm -f "$counts.status"
# A package that does not build fails without a test that fails.
if [ "$status" != 0 ] && [ "$failed" = 0 ]; then
    failed=1
    echo "$passed $failed" > "$counts"
fi
echo "$passed passed, $failed failed"
exit "$status"
