# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# The portable half of libuv and its Linux half, as its own build lists them.
unix="async core dl fs getaddrinfo getnameinfo linux loop loop-watcher pipe poll process
    procfs-exepath proctitle random-devurandom random-getrandom random-sysctl-linux signal stream
    tcp thread tty udp"
# shellcheck disable=SC2046  # a list of words
compile_archive "$PREFIX/lib/libuv.a" -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_LARGEFILE_SOURCE \
    -fno-strict-aliasing -Iinclude -Isrc -- src/*.c \
    $(for name in $unix; do echo "src/unix/$name.c"; done)
mkdir -p "$PREFIX/include/uv"
cp include/uv.h "$PREFIX/include/"
for header in errno threadpool unix linux version; do
    cp "include/uv/$header.h" "$PREFIX/include/uv/"
done
