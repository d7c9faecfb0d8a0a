# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# Reads the program's own DWARF. It inflates compressed sections by itself; the machine's zlib and
# lzma, which configure would find, are not ours.
cd "$WORK/made" || exit
"$source/configure" --host="$("${CROSS}gcc" -dumpmachine)" --prefix="$PREFIX" --disable-shared \
    --enable-static ac_cv_lib_z_compress=no ac_cv_lib_lzma_lzma_auto_decoder=no \
    CFLAGS="$CFLAGS $HARDENING"
make -j "$JOBS" libbacktrace.la
cp .libs/libbacktrace.a "$PREFIX/lib/"
cp "$source/backtrace.h" backtrace-supported.h "$PREFIX/include/"
