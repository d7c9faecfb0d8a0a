#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the third-party libraries for one C library and lets LINK point at the result: a folder
# with include and lib.
#
#     CACHE=folder JOBS=n [TARBALLS=folder] [CROSS=prefix-] [MACHINE=flags] \
#         image/sysroot.sh musl|glibc|glibc-thread LINK
#
# For another machine, CROSS begins the compiler's name and MACHINE is what its calls want.
# Each package is kept in CACHE/packages under a key: the hash of everything that goes into it (its
# line in the lock, its recipe, patches and inputs, the C library below it, the compiler). A sysroot
# is the union of its packages, in CACHE/sysroots under the hash of their keys, and `parts` in it
# says whose each library is. So a change builds
# what it touches, and a fresh clone with a warm cache builds nothing. glibc-thread is glibc with
# the libraries instrumented for ThreadSanitizer, which else can't see that they synchronise.
set -euo pipefail
image=$(cd "$(dirname "$0")" && pwd)
libc=$1 link=$2
# What was said to our make is not meant for the makes of others: VERSION=1, CFLAGS=...
unset MAKEFLAGS MFLAGS MAKEOVERRIDES ARCH
export CROSS=${CROSS:-}

# The longest first: two are built at a time.
libraries="libmicrohttpd libuv1 google-perftools nghttp2 libbacktrace yyjson protobuf-c cmocka zlib"
cflags=
case $libc in
musl) ;;
glibc) libraries=${libraries/google-perftools /} ;;
glibc-thread) libraries=${libraries/google-perftools /} cflags=" -fsanitize=thread" ;;
*) echo "sysroot.sh: no such C library: $libc" >&2 && exit 2 ;;
esac

hash() { sha256sum | cut -c 1-16; }
compiler="$("${CROSS}gcc" --version | head -n 1)${MACHINE:+ $MACHINE}"

# key NAME: everything that decides what comes out of building NAME.
key() {
    local name=$1 inputs
    inputs=$(sed -n 's/^# Inputs: //p' "$image/recipes/$name.sh")
    {
        echo "$compiler$cflags ${libc%-thread} ${musl_key:-}"
        grep "^$name " "$image/dependencies.lock"
        cat "$image/package.sh" "$image/recipes/$name.sh"
        [ "$libc" != musl ] || cat "$image/musl.specs"
        cat "$image/patches/$name"-*.patch 2>/dev/null || true
        for input in $inputs; do find "$image/$input" -type f | LC_ALL=C sort | xargs cat; done
    } | hash
}

# build NAME KEY: into CACHE/packages/NAME-KEY, unless it is there.
build() {
    local name=$1 key=$2 package=$CACHE/packages/$1-$2 version tarball
    version=$(awk -v name="$name" '$1 == name { print $2 }' "$image/dependencies.lock")
    tarball=$(awk -v name="$name" '$1 == name { print $3 }' "$image/dependencies.lock")
    [ -d "$package" ] && return
    mkdir -p "$CACHE/work" "$CACHE/packages" "$CACHE/logs"
    # shellcheck source=image/step.sh
    . "$image/step.sh"
    NAME=$name VERSION=$version LIBC=$libc TARBALL=$CACHE/sources/$tarball PREFIX=$package.new \
        WORK=$CACHE/work/$name-$key CC="$CC" CXX="$CXX" SYSROOT=${SYSROOT:-} JOBS=$JOBS \
        step "$name $version for ${CROSS%%-*}${CROSS:+ }$libc" "$CACHE/logs/$CROSS$name-$libc.log" "$image/package.sh"
    mv "$package.new" "$package"
}

mkdir -p "$CACHE" "$(dirname "$link")"
CACHE=$(cd "$CACHE" && pwd)
exec 9> "$CACHE/lock"
flock 9

flags="${MACHINE:+ $MACHINE}$cflags"
CC="${CROSS}gcc$flags" CXX="${CROSS}g++$flags"
packages=
if [ "$libc" = musl ]; then
    musl_key=$(key musl)
    SYSROOT=$CACHE/packages/musl-$musl_key
    packages=musl-$musl_key
fi
jobs=
for name in $libraries; do
    key=$(key "$name")
    packages="$packages $name-$key"
    [ -d "$CACHE/packages/$name-$key" ] || jobs="$jobs$name $key
"
done
sysroot=$CACHE/sysroots/$libc-$(echo "parts: $packages" | hash)

if [ ! -d "$sysroot" ]; then
    export CACHE JOBS
    # shellcheck disable=SC2086  # a list of words
    "$image/fetch.sh" ${musl_key:+musl} $libraries
    if [ "$libc" = musl ]; then
        build musl "$musl_key"
        specs="-specs=$image/musl.specs --sysroot=$SYSROOT"
        CC="$CC $specs" CXX="$CXX $specs"
    fi
    export -f build
    export image libc CC CXX SYSROOT
    JOBS=$(((JOBS + 1) / 2))
    printf %s "$jobs" | xargs -r -P 2 -L 1 bash -c 'set -euo pipefail; build "$@"' build
    rm -rf "$sysroot.new"
    mkdir -p "$sysroot.new"
    for package in $packages; do
        cp -al "$CACHE/packages/$package/." "$sysroot.new/"
        # Which package brought which file, for the bill of materials.
        find "$CACHE/packages/$package/lib" -name '*.[ao]' -printf "${package%-*} lib/%P\n"
    done > "$sysroot.new/parts"
    mv "$sysroot.new" "$sysroot"
fi
ln -sfn "$sysroot" "$link"
