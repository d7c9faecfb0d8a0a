#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints where the tree of the last release is, which charts/released.lock names by its commit.
#
#     [CACHE=folder] [TARBALLS=folder] tests/released.sh          the tree
#     [CACHE=folder] [TARBALLS=folder] tests/released.sh build    with its image and chart in build/
#
# It is kept in CACHE/released under the commit, so a clone without history can do with what another
# one left. Exit code 3: it is neither there nor in this clone; the reason is printed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
read -r version commit < <(grep '^[0-9]' "$here/../charts/released.lock")
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/extproc-build}
mkdir -p "$CACHE/released"
CACHE=$(cd "$CACHE" && pwd)
tree=$CACHE/released/$commit

# shellcheck source=tests/kind/step.sh
. "$here/kind/step.sh"

unpack() {
    git -C "$here/.." archive "$commit:" | tar -x -C "$1"
}

# Its image and chart as a release has them. What was said to our make is not meant for this one.
build() {
    unset MAKEFLAGS MFLAGS MAKEOVERRIDES SAN OPT CFLAGS LDFLAGS
    SOURCE_DATE_EPOCH=0 make -C "$1" BUILD=build CACHE="$CACHE" TARBALLS="${TARBALLS:-}" \
        VERSION="$version" IMAGE=localhost/envoy-ai-gateway/extproc image chart
    rm -rf "$1/build/release" "$1/build/gen"
}

if [ ! -d "$tree" ]; then
    if ! git -C "$here/.." rev-parse --quiet --verify "$commit^{commit}" > /dev/null 2>&1; then
        echo "this clone does not have the last release, commit $commit; git fetch --unshallow brings it"
        exit 3
    fi
    new=$(mktemp -d "$CACHE/released/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    unpack "$new"
    # Two at the same time: the first one counts.
    mv -nT "$new" "$tree"
fi
if [ "${1:-}" = build ] && [ ! -e "$tree/build/done" ]; then
    step "image and chart of the last release, $version" "10 s" build "$tree" >&2
    touch "$tree/build/done"
fi
echo "$tree"
