# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# Deflate and inflate in memory; none of the gz* functions, which work on files.
compile_archive "$PREFIX/lib/libz.a" -DHAVE_HIDDEN -- \
    adler32.c compress.c crc32.c deflate.c inffast.c inflate.c inftrees.c trees.c uncompr.c zutil.c
cp zlib.h zconf.h "$PREFIX/include/"
