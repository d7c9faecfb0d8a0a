// SPDX-License-Identifier: Apache-2.0
// What the checks of syscalls.def look at in an argument, and what C libraries do not all have.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#define SANDBOX_ALL_BITS 0xffffffffu
// musl counts O_PATH to O_ACCMODE. O_TRUNC empties a file that is opened to read.
#define SANDBOX_WRITES ((O_RDONLY | O_WRONLY | O_RDWR) | O_CREAT | O_TRUNC | O_APPEND)
#define SANDBOX_TYPE (~(SOCK_NONBLOCK | SOCK_CLOEXEC))

// Means nothing since Linux 2.6; musl says it.
#ifndef CLONE_DETACHED
#define CLONE_DETACHED 0x00400000
#endif

// asm-generic/siginfo.h; Debian's glibc leaves it out.
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif
