#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests in kind on the cluster that is up, and shows what they say while they go on.
#
#     CACHE=folder FOLDER=build/kind IMAGE=name:tag BUILD=build [TARBALLS=folder] \
#         tests/kind/test.sh COUNTS PACKAGES [GO TEST FLAGS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tests=$here/..
mkdir -p "$FOLDER/bin" "$CACHE"
FOLDER=$(cd "$FOLDER" && pwd)
CACHE=$(cd "$CACHE" && pwd)
BUILD=$(cd "$BUILD" && pwd)
export CACHE FOLDER

# What the documented commands call.
go=$("$tests/toolchain.sh" "$here")
PATH=$FOLDER/bin:$(dirname "$go"):$PATH
export PATH
tool() { ln -sf "$("$tests/chart/tools.sh" "$1")" "$FOLDER/bin/$2"; }
tool kubectl kubectl
tool helm4 helm
tool helm3 helm3

CGO_ENABLED=0 GOTOOLCHAIN=local GOCACHE=$CACHE/go-build GOMODCACHE=$CACHE/go-modules \
    "$go" build -C "$here" -modcacherw -trimpath -buildvcs=false -o "$FOLDER/requests" ./requests
envoy=$("$tests/run/fetch-envoy.sh")
python3 "$here/peers.py" "$FOLDER/peers.tar" "$envoy" "$BUILD/tests/backend/backend" \
    "$BUILD/tests/bench/load" "$FOLDER/requests"
# Its reason, where the last release is not to be had.
KIND_RELEASED=$("$tests/released.sh" build) || [ $? = 3 ]
export KIND_RELEASED
images=("$BUILD/image/extproc.tar" "$BUILD/image/extproc-debug.tar" "$FOLDER/peers.tar")
[ ! -d "$KIND_RELEASED" ] || images+=("$KIND_RELEASED/build/image/extproc.tar")
"$here/cluster/cluster.sh" load "${images[@]}"

environment=$("$here/cluster/cluster.sh" environment)
eval "$environment"
export KIND_REPORT=$FOLDER/report KIND_FOLDER=$FOLDER KIND_BUILD=$BUILD
KIND_IMAGE=$IMAGE
KIND_CHART=$(echo "$BUILD"/charts/*.tgz)
export KIND_IMAGE KIND_CHART
: > "$KIND_REPORT"
MODULE=kind "$tests/go.sh" "$@" -timeout 25m &
tail -n +1 -s 0.2 --pid=$! -f "$KIND_REPORT"
wait $!
