# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# The C library: with frame pointers and unwind tables, since a third of all stacks end in it.
# Without the stack protector, which it sets up itself. Its own compiler wrapper isn't used
# (musl.specs is), so it is not kept.
cd "$WORK/made" || exit
"$source/configure" CROSS_COMPILE="$CROSS" --prefix="$PREFIX" --syslibdir="$PREFIX/lib" --disable-shared \
    CFLAGS="$CFLAGS -fno-stack-protector"
make -j "$JOBS"
make install
rm -rf "${PREFIX:?}/bin" "$PREFIX/lib/musl-gcc.specs"
# The kernel's own headers, which libuv and we include.
for folder in linux asm-generic asm; do
    for place in "/usr/${CROSS%-}/include" "/usr/include/$("${CROSS}gcc" -print-multiarch)"; do
        [ ! -d "$place/$folder" ] || ln -s "$place/$folder" "$PREFIX/include/"
    done
done
