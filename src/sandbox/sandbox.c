// SPDX-License-Identifier: Apache-2.0
// The filter is the table, each row become a few instructions of classic BPF, from the top down. No
// library puts it together: the rows are all alike and no jump leaves its own.
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/log.h"
#include "sandbox/checks.h"

// What the kernel calls the machine (linux/audit.h), and where in a ucontext_t a system call's
// result is.
#ifdef __aarch64__
#define MACHINE_AUDIT AUDIT_ARCH_AARCH64
#define MACHINE_RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#define MACHINE_AUDIT AUDIT_ARCH_X86_64
#define MACHINE_RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#endif

static const char *const names[] = {
#include "sandbox/names.h"
};

static atomic_ullong refused_count;
// A bit for each call that was said: a program in a loop shall not fill the log. The last is for
// those without a name.
static atomic_uchar is_said[COUNT_OF(names) + 1];

static const char *name_of(const siginfo_t *info) {
    bool is_known = info->si_arch == MACHINE_AUDIT && info->si_syscall >= 0 &&
                    (size_t)info->si_syscall < COUNT_OF(names);
    return is_known ? names[info->si_syscall] : NULL;
}

// In the middle of anything: log_error takes no lock and allocates nothing.
static void handle(int signal, siginfo_t *info, void *context) {
    (void)signal;
    if (info->si_code != SYS_SECCOMP) return;  // somebody's kill -SYS
    int saved_errno = errno;
    const char *name = name_of(info);
    int error = name != NULL ? EPERM : ENOSYS;
    atomic_fetch_add(&refused_count, 1);
    if (!atomic_exchange(&is_said[name != NULL ? (size_t)info->si_syscall : COUNT_OF(names)], 1)) {
        log_error("system call refused", log_text("call", name != NULL ? name : "unknown"),
                  log_number("number", info->si_syscall), log_number("errno", error));
    }
    MACHINE_RESULT((ucontext_t *)context) = -error;
    errno = saved_errno;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
// The low half: all machines that this is built for are little-endian.
#define LOAD_ARGUMENT(argument)                                                                    \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,                                                             \
             offsetof(struct seccomp_data, args) + (argument) * sizeof(uint64_t))
#define KEEP(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (uint32_t)(bits))
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, (count))
#define END(action) BPF_STMT(BPF_RET | BPF_K, (action))

// A check leaves its row for the reload of the number at the end, so that another row of the same
// call is looked at.
#define CHECK(argument, bits, value) argument, bits, value
#define CHECKED(skip, argument, bits, value)                                                       \
    LOAD_ARGUMENT(argument), KEEP(bits), SKIP_UNLESS(value, skip)
#define EXPAND(macro, ...) macro(__VA_ARGS__)

#define CALL(name, reason) SKIP_UNLESS(SYS_##name, 1), END(SECCOMP_RET_ALLOW),
#define CALL_IF(name, check, reason)                                                               \
    SKIP_UNLESS(SYS_##name, 5), EXPAND(CHECKED, 1, check), END(SECCOMP_RET_ALLOW), LOAD(nr),
#define CALL_IF2(name, first, second, reason)                                                      \
    SKIP_UNLESS(SYS_##name, 8), EXPAND(CHECKED, 4, first), EXPAND(CHECKED, 1, second),             \
        END(SECCOMP_RET_ALLOW), LOAD(nr),
#define CALL_IF3(name, first, second, third, reason)                                               \
    SKIP_UNLESS(SYS_##name, 11), EXPAND(CHECKED, 7, first), EXPAND(CHECKED, 4, second),            \
        EXPAND(CHECKED, 1, third), END(SECCOMP_RET_ALLOW), LOAD(nr),
#define CALL_OWN(name, reason) CALL_IF(name, CHECK(0, SANDBOX_ALL_BITS, getpid()), reason)
#define CALL_UNIX(name, reason)                                                                    \
    SKIP_UNLESS(SYS_##name, 1), END(serves_unix ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP),
#define CALL_ABSENT(name, reason) SKIP_UNLESS(SYS_##name, 1), END(SECCOMP_RET_ERRNO | ENOSYS),

enum status sandbox_start(bool serves_unix) {
    if (!HAS_PRODUCT_LIBC) return STATUS_UNSUPPORTED;
    struct sock_filter instructions[] = {
        LOAD(arch),
        SKIP_UNLESS(MACHINE_AUDIT, 1),
        BPF_STMT(BPF_JMP | BPF_JA, 1),
        END(SECCOMP_RET_TRAP),
        LOAD(nr),
#include "sandbox/syscalls.def"
        END(SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {.len = COUNT_OF(instructions), .filter = instructions};
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (sigaction(SIGSYS, &action, NULL) != 0) return STATUS_SYSTEM;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return STATUS_SYSTEM;
    // The flag: no code of others runs here, so none can read by speculation what it should not,
    // and kernels before 5.16 need not slow this process down against that.
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                          &program);
    // Before 4.17, and in what stands in for a kernel, there is no such flag.
    if (result != 0 && errno == EINVAL) {
        result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    }
    return result == 0 ? STATUS_OK : STATUS_SYSTEM;
}

uint64_t sandbox_refused_count(void) {
    return atomic_load(&refused_count);
}
