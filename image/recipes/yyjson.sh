# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# Without the leniences that standard JSON does not know.
compile_archive "$PREFIX/lib/libyyjson.a" -DYYJSON_DISABLE_NON_STANDARD -Isrc -- src/yyjson.c
cp src/yyjson.h "$PREFIX/include/"
