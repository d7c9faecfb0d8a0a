// SPDX-License-Identifier: Apache-2.0
// What configure would find out about the one platform that gperftools is built for here: Linux,
// musl, gcc.
#pragma once

#define PACKAGE "gperftools"
#define PACKAGE_STRING "gperftools"
#define PACKAGE_VERSION ""
#define PACKAGE_BUGREPORT ""
#define PERFTOOLS_DLL_DECL

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#define ENABLE_SIZED_DELETE 1
#define HAVE_DECL_MEMALIGN 1
#define HAVE_DECL_NANOSLEEP 1
#define HAVE_DECL_POSIX_MEMALIGN 1
#define HAVE_DECL_SLEEP 1
#define HAVE_DECL_VALLOC 1
#define HAVE_DECL_CFREE 0
#define HAVE_DECL_PVALLOC 0
#define HAVE_FCNTL_H 1
#define HAVE_FEATURES_H 1
#define HAVE_GETEUID 1
#define HAVE_MALLOC_H 1
#define HAVE_MMAP 1
#define HAVE_POLL_H 1
#define HAVE_PROGRAM_INVOCATION_NAME 1
#define HAVE_SBRK 1
#define HAVE_SCHED_H 1
#define HAVE_SYS_SOCKET_H 1
#define HAVE_SYS_SYSCALL_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_WAIT_H 1
#define HAVE_UNISTD_H 1
#define HAVE___ATTRIBUTE__ 1
#define HAVE___ATTRIBUTE__ALIGNED_FN 1

// Stacks of sampled allocations are walked by frame pointers: everything in the program has them,
// and the unwinder of libgcc would bring itself and a loader interface that a static program lacks.
#define FORCED_FRAME_POINTERS 1
#define PREFER_FP_UNWINDER 1
#define TCMALLOC_DONT_PREFER_LIBUNWIND 1
