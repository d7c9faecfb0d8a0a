# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# An HTTP/1.1 server and basic authentication, nothing else.
cd "$WORK/made" || exit
"$source/configure" --host="$("${CROSS}gcc" -dumpmachine)" --prefix="$PREFIX" --disable-shared \
    --enable-static --enable-bauth --disable-dauth --disable-https --disable-postprocessor \
    --disable-httpupgrade --disable-cookie --disable-nls --disable-doc --disable-examples \
    --disable-tools --disable-curl --enable-asserts=no CFLAGS="$CFLAGS $HARDENING"
make -C src/microhttpd -j "$JOBS" libmicrohttpd.la
cp src/microhttpd/.libs/libmicrohttpd.a "$PREFIX/lib/"
cp "$source/src/include/microhttpd.h" "$PREFIX/include/"
