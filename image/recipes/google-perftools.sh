# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154  # what package.sh sets
# Inputs: gperftools runtime

# tcmalloc with its sampler: no CPU profiler, heap checker, memory file system or symboliser. The
# C++ library's headers are Debian's, with two of them replaced (gperftools/include) that assume
# glibc. Of its code only the balanced tree is taken; what else the allocator needs is in
# runtime/cxx.cc. Both go into the same archive. _GLIBCXX_ASSERTIONS keeps the string and exception
# classes out.
headers="-nostdinc++ -isystem $image/gperftools/include $("${CROSS}g++" -E -v -x c++ /dev/null 2>&1 |
    grep '^ .*/c++/' | grep -v /backward | xargs realpath | sed 's/^/-isystem /')"
mkdir -p generated/gperftools
sed "s/@TC_VERSION_MAJOR@/${VERSION%.*}/; s/@TC_VERSION_MINOR@/${VERSION#*.}/
    s/@TC_VERSION_PATCH@//; s/@ac_cv_have_struct_mallinfo2*@/0/g; /^#undef PERFTOOLS_NOTHROW/d" \
    src/gperftools/tcmalloc.h.in > generated/gperftools/tcmalloc.h
units="base/dynamic_annotations base/generic_writer base/logging base/proc_maps_iterator
    base/spinlock base/spinlock_internal base/sysinfo central_freelist common internal_logging
    malloc_backtrace malloc_extension malloc_hook mmap_hook page_heap safe_strerror sampler span
    stack_trace_table stacktrace static_vars system-alloc tcmalloc thread_cache thread_cache_ptr"
# shellcheck disable=SC2046,SC2086  # lists of words
compile_archive "$PREFIX/lib/libtcmalloc.a" $headers -std=gnu++17 -w -fno-exceptions -fno-rtti \
    -DNDEBUG -D_GLIBCXX_ASSERTIONS -DNO_HEAP_CHECK -DTCMALLOC_NO_EMERGENCY_MALLOC \
    -I"$image/gperftools" -Igenerated -Isrc -- \
    $(for unit in $units; do echo "src/$unit.cc"; done) "$image/runtime/cxx.cc"
cd "$WORK" || exit
"${CROSS}ar" x "$("${CROSS}g++" -print-file-name=libstdc++.a)" tree.o
# The name tells the bill of materials whose it is.
mv tree.o libstdc++-tree.o
"${CROSS}ar" rsD "$PREFIX/lib/libtcmalloc.a" libstdc++-tree.o
