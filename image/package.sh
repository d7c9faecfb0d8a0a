#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds one third-party package: unpack, patch, run recipes/NAME.sh in the source folder, leave the
# result in PREFIX. Called by sysroot.sh, which sets: CACHE, LIBC (musl or glibc), PREFIX, WORK,
# TARBALL, NAME, VERSION, JOBS, CC, CXX, CROSS (what the other tools' names begin with).
set -eu
image=$(cd "$(dirname "$0")" && pwd)
source=$WORK/$NAME-$VERSION

rm -rf "$WORK" "$PREFIX"
mkdir -p "$source" "$PREFIX/lib" "$PREFIX/include"
tar -xf "$TARBALL" -C "$source"
# Most tarballs hold one top folder, some none.
if [ "$(find "$source" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ]; then
    mv "$source"/* "$WORK/top"
    rmdir "$source"
    mv "$WORK/top" "$source"
fi
cd "$source"
for patch in "$image/patches/$NAME"-*.patch; do
    [ -e "$patch" ] && patch -p1 --fuzz=0 < "$patch"
done

# Debug data and messages name sources as NAME-VERSION/file, wherever this was built. So everything
# is compiled outside the source folder by absolute names, which the compiler then cuts: in a
# relative name it would not show whose file it is.
export SOURCE_DATE_EPOCH=0 LC_ALL=C
CFLAGS="-O2 -g1 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fasynchronous-unwind-tables"
CFLAGS="$CFLAGS -ffunction-sections -fdata-sections -fPIE"
# Of several matching maps the compiler takes the last.
CFLAGS="$CFLAGS -ffile-prefix-map=/usr=usr -ffile-prefix-map=$image=image"
CFLAGS="$CFLAGS ${SYSROOT:+-ffile-prefix-map=$SYSROOT=$LIBC}"
CFLAGS="$CFLAGS -ffile-prefix-map=$WORK=$NAME-$VERSION -ffile-prefix-map=$source=$NAME-$VERSION"
HARDENING="-fstack-protector-strong -fstack-clash-protection"
export CC CXX CROSS CFLAGS HARDENING PREFIX JOBS LIBC
mkdir "$WORK/made"

# compile_archive OUT.a FLAGS -- FILES...: compiles C and C++ files into a static library.
compile_archive() {
    archive=$1 flags=
    shift
    while [ "$1" != -- ]; do
        case $1 in
        -I/*) flags="$flags $1" ;;
        -I*) flags="$flags -I$source/${1#-I}" ;;
        *) flags="$flags $1" ;;
        esac
        shift
    done
    shift
    objects=$WORK/objects/$(basename "$archive" .a)
    mkdir -p "$objects"
    for file in "$@"; do
        object=$(echo "${file#"$image"/}" | tr / _).o
        case $file in
        /*) ;;
        *) file=$source/$file ;;
        esac
        case $file in
        *.cc) compiler=$CXX ;;
        *) compiler=$CC ;;
        esac
        echo "$compiler $CFLAGS $HARDENING$flags -c $file -o $objects/$object"
    done | xargs -P "$JOBS" -d '\n' -n 1 sh -c
    rm -f "$archive"
    (cd "$objects" && "${CROSS}ar" rcsD "$archive" -- *.o)
}

# shellcheck source=/dev/null
. "$image/recipes/$NAME.sh"
rm -rf "$WORK"
