#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the debug twin's busybox against our C library and lets LINK point at the result: a folder
# with busybox and the list of its applets. Kept in CACHE/packages under the hash of everything that
# goes into it.
#
#     CACHE=folder JOBS=n [TARBALLS=folder] [CROSS=prefix-] [MACHINE=flags] \
#         image/oci/busybox.sh SYSROOT LINK
set -euo pipefail
image=$(cd "$(dirname "$0")/.." && pwd)
sysroot=$(realpath "$1") link=$2
# What was said to our make is not meant for the makes of others: VERSION=1, CFLAGS=...
unset MAKEFLAGS MFLAGS MAKEOVERRIDES ARCH
export CROSS=${CROSS:-}
mkdir -p "$(dirname "$link")"
CACHE=$(cd "$CACHE" && pwd)
export CACHE JOBS

row=$(grep '^busybox ' "$image/dependencies.lock")
read -r NAME VERSION tarball _ <<< "$row"
key=$({
    echo "$("${CROSS}gcc" --version | head -n 1)${MACHINE:+ $MACHINE}"
    echo "$row $(basename "$sysroot")"
    cat "$image/package.sh" "$image/recipes/busybox.sh" "$image/busybox/config"
} | sha256sum | cut -c 1-16)
package=$CACHE/packages/busybox-$key

exec 9> "$CACHE/lock"
flock 9
if [ ! -d "$package" ]; then
    # shellcheck source=image/step.sh
    . "$image/step.sh"
    "$image/fetch.sh" busybox
    mkdir -p "$CACHE/work" "$CACHE/logs" "$CACHE/packages"
    export NAME VERSION LIBC=musl TARBALL=$CACHE/sources/$tarball
    export PREFIX=$package.new WORK=$CACHE/work/busybox-$key
    export SYSROOT=$sysroot CXX=false
    export CC="${CROSS}gcc ${MACHINE:-} -specs=$image/musl.specs --sysroot=$sysroot"
    step "busybox $VERSION for ${CROSS%%-*}${CROSS:+ }musl" "$CACHE/logs/${CROSS}busybox-musl.log" "$image/package.sh"
    mv "$package.new" "$package"
fi
ln -sfn "$package/bin" "$link"
