# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# The runtime only: the generator is Debian's protobuf-c-compiler.
compile_archive "$PREFIX/lib/libprotobuf-c.a" -I. -- protobuf-c/protobuf-c.c
mkdir -p "$PREFIX/include/protobuf-c"
cp protobuf-c/protobuf-c.h "$PREFIX/include/protobuf-c/"
