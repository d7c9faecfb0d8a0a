# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
mkdir -p "$PREFIX/include/nghttp2"
number=$(echo "$VERSION" | awk -F . '{ printf "0x%02x%02x%02x", $1, $2, $3 }')
sed "s/@PACKAGE_VERSION@/$VERSION/; s/@PACKAGE_VERSION_NUM@/$number/" \
    lib/includes/nghttp2/nghttp2ver.h.in > lib/includes/nghttp2/nghttp2ver.h
compile_archive "$PREFIX/lib/libnghttp2.a" -DNGHTTP2_STATICLIB -DHAVE_ARPA_INET_H \
    -DHAVE_NETINET_IN_H -DHAVE_CLOCK_GETTIME -DHAVE_DECL_CLOCK_MONOTONIC \
    -Ilib/includes -Ilib -- lib/*.c
cp lib/includes/nghttp2/*.h "$PREFIX/include/nghttp2/"
