# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# For the unit tests.
compile_archive "$PREFIX/lib/libcmocka.a" -Iinclude -D_GNU_SOURCE -DHAVE_CLOCK_REALTIME \
    -DHAVE_STRUCT_TIMESPEC -DHAVE_STRSIGNAL -DHAVE_SIGLONGJMP -DHAVE_GCC_THREAD_LOCAL_STORAGE \
    -DHAVE_INTTYPES_H -DHAVE_UINTPTR_T -DHAVE_MALLOC_H -DHAVE_SIGNAL_H -DHAVE_STRINGS_H -- src/cmocka.c
cp include/cmocka_pbc.h "$PREFIX/include/"
# Else it takes a guess at uintptr_t, a wrong one with musl for aarch64.
{ echo "#define HAVE_UINTPTR_T 1" && cat include/cmocka.h; } > "$PREFIX/include/cmocka.h"
