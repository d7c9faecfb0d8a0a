// SPDX-License-Identifier: Apache-2.0
// Prints src/sandbox/syscalls.def as a profile for container runtimes, extproc.json beside this file
// (`make seccomp` writes it, `make lint-seccomp` compares): the form of the OCI runtime specification
// (config-linux.md, "Seccomp"), which containerd, CRI-O, podman and docker all read. Values are those
// of the machine that prints it; what is looked at has the same ones on both architectures.
#define SANDBOX_EVERY_MACHINE

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "sandbox/checks.h"

static const char *separator = "";

static void print_check(const char *before, unsigned argument, uint32_t bits, uint32_t value) {
    printf("%s{\"index\": %u, \"value\": %u, \"valueTwo\": %u, \"op\": \"SCMP_CMP_MASKED_EQ\"}",
           before, argument, bits, value);
}

static void open_row(const char *name, const char *action) {
    printf("%s\n    {\"names\": [\"%s\"], \"action\": \"%s\"", separator, name, action);
    separator = "},";
}

#define CHECK(argument, bits, value) argument, (uint32_t)(bits), (uint32_t)(value)
#define CALL(name, reason) open_row(#name, "SCMP_ACT_ALLOW");
#define CALL_IF(name, check, reason)                                                               \
    CALL(name, reason) print_check(", \"args\": [", check);                                        \
    printf("]");
#define CALL_IF2(name, first, second, reason)                                                      \
    CALL(name, reason) print_check(", \"args\": [", first);                                        \
    print_check(", ", second);                                                                     \
    printf("]");
#define CALL_IF3(name, first, second, third, reason)                                               \
    CALL(name, reason) print_check(", \"args\": [", first);                                        \
    print_check(", ", second);                                                                     \
    print_check(", ", third);                                                                      \
    printf("]");
// A file knows no process and no settings.
#define CALL_OWN(name, reason) CALL(name, reason)
#define CALL_UNIX(name, reason) CALL(name, reason)
#define CALL_ABSENT(name, reason)                                                                  \
    open_row(#name, "SCMP_ACT_ERRNO");                                                             \
    printf(", \"errnoRet\": %d", ENOSYS);

int main(void) {
    printf("{\n  \"defaultAction\": \"SCMP_ACT_ERRNO\",\n  \"defaultErrnoRet\": %d,\n"
           "  \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_AARCH64\"],\n"
           "  \"syscalls\": [",
           EPERM);
#include "sandbox/syscalls.def"
    // What comes between the runtime's loading of the profile and the program's own filter: the
    // end of runc's init, which is in Go, and the start of musl.
    CALL(execve, "the runtime starts the program")
    CALL_IF(openat, CHECK(2, SANDBOX_WRITES, O_WRONLY), "runc tells its parent, by a pipe with a name")
    CALL_IF(clone, CHECK(0, CLONE_THREAD, CLONE_THREAD), "Go makes threads when it likes")
    CALL(sigaltstack, "and gives each one a stack for signals")
    CALL(close_range, "runc closes what the program shall not have")
    CALL(getdents64, "the same, where that call is not known: /proc/self/fd is listed")
    CALL(fstatfs, "whether that is /proc")
    CALL(getppid, "whether runc's parent is still there")
    CALL(arch_prctl, "musl starts: thread-local memory on x86-64")
    CALL(set_tid_address, "musl starts")
    CALL_IF(prctl, CHECK(0, SANDBOX_ALL_BITS, PR_SET_NO_NEW_PRIVS), "the program's own filter")
    CALL(seccomp, "the program's own filter")
    printf("}\n  ]\n}\n");
    return 0;
}
