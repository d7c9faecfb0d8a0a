// SPDX-License-Identifier: Apache-2.0
// The process gives up what it will never need: after sandbox_start the kernel lets it make only
// the system calls of syscalls.def (no program is started, no process made, no file opened for
// writing, no memory made executable), and nothing gives it more privileges again. Threads inherit
// it.
//
// A call that is refused is said once by name on standard error and fails with EPERM; one that this
// build has no name for fails with ENOSYS, as on a kernel that does not know it, so that whoever
// tried something new falls back. The process goes on: what the call was for did not happen,
// whoever asked for it, and an attacker who could make it try could end it anyway; but ending it
// for a call that we forgot would cut every stream. What is refused while SIGSYS is blocked (musl
// does that around fork) ends the process by that signal, without a line: the kernel's rule.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

// `serves_unix`: sockets' files are renamed and removed. STATUS_UNSUPPORTED: this build has no
// filter, since a sanitizer's and glibc's calls are not in the table. STATUS_SYSTEM, with errno:
// the kernel does not want to. Context: start-up, before there are threads.
MUST_USE enum status sandbox_start(bool serves_unix);

// How many calls were refused. Context: any thread.
uint64_t sandbox_refused_count(void);
