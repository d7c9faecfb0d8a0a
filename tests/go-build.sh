#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds a Go program of the tests, static, with a toolchain that is new enough: of a package that
# has a main function, or with FLAGS `test -c` of one that has tests or benchmarks.
#
#     CACHE=folder [TARBALLS=folder] tests/go-build.sh PROGRAM PACKAGE [FLAGS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$(dirname "$1")" "$CACHE"
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
CACHE=$(cd "$CACHE" && pwd)
go=$("$here/toolchain.sh" "$here")
export CGO_ENABLED=0 GOTOOLCHAIN=local GOCACHE="$CACHE/go-build" GOMODCACHE="$CACHE/go-modules"
package=$2
shift 2
[ $# -gt 0 ] || set -- build
command=$1
shift
"$go" "$command" -C "$here" "$@" -modcacherw -trimpath -buildvcs=false -o "$program" "$package"
