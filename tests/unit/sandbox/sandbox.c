// SPDX-License-Identifier: Apache-2.0
// Each call is made by a process of its own that has entered the sandbox.
#include "sandbox/sandbox.c"

#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct outcome {
    char said[4096];
    int status;
};

// What `act` does inside, and prints on standard error. It exits with what `act` returns.
static struct outcome inside(bool serves_unix, int (*act)(const void *), const void *argument) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        if (sandbox_start(serves_unix) != STATUS_OK) _exit(99);
        _exit(act(argument));
    }
    close(ends[1]);
    struct outcome outcome = {0};
    ssize_t got;
    for (size_t len = 0; len < sizeof outcome.said - 1; len += (size_t)got) {
        got = read(ends[0], outcome.said + len, sizeof outcome.said - 1 - len);
        if (got <= 0) break;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &outcome.status, 0), child);
    return outcome;
}

// An emulator of another machine has no filter, and a sanitizer's build none for its calls.
static bool has_filter(void) {
    return HAS_PRODUCT_LIBC && prctl(PR_GET_SECCOMP) >= 0;
}

struct call {
    const char *what, *name;
    long number, arguments[6];
    int error;
};

static int make_call(const void *argument) {
    const struct call *call = argument;
    const long *a = call->arguments;
    return syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 ? errno : 0;
}

#define REFUSED(call_name, what_else, ...)                                                         \
    {                                                                                              \
        .what = #call_name what_else, .name = #call_name, .number = SYS_##call_name,               \
        .arguments = {__VA_ARGS__}, .error = EPERM                                                 \
    }

static const char path[] = "/dev/null";

static void test_sandbox__each_forbidden_call_is_refused_by_name(void **state) {
    (void)state;
    if (!has_filter()) skip();
    const struct call calls[] = {
        REFUSED(execve, "", (long)path),
        REFUSED(execveat, "", AT_FDCWD, (long)path),
        REFUSED(clone, " of a process", SIGCHLD),
        REFUSED(clone, " of a namespace", CLONE_NEWUSER | SIGCHLD),
        REFUSED(clone3, ""),
        REFUSED(unshare, "", CLONE_NEWUSER),
        REFUSED(setns, "", 0),
        REFUSED(ptrace, "", 0),
        REFUSED(process_vm_readv, ""),
        REFUSED(process_vm_writev, ""),
        REFUSED(pidfd_open, "", 1),
        REFUSED(kill, "", getppid(), 0),
        REFUSED(tgkill, " of another process", getppid(), getppid(), 0),
        REFUSED(tkill, " with another signal", getppid(), SIGKILL),
        REFUSED(mount, ""),
        REFUSED(umount2, ""),
        REFUSED(pivot_root, ""),
        REFUSED(chroot, "", (long)path),
        REFUSED(setuid, "", 0),
        REFUSED(setgid, "", 0),
        REFUSED(setgroups, ""),
        REFUSED(capset, ""),
        REFUSED(init_module, ""),
        REFUSED(kexec_load, ""),
        REFUSED(reboot, ""),
        REFUSED(bpf, ""),
        REFUSED(perf_event_open, ""),
        REFUSED(userfaultfd, ""),
        REFUSED(keyctl, ""),
        REFUSED(add_key, ""),
        REFUSED(seccomp, "", SECCOMP_SET_MODE_FILTER),
        REFUSED(memfd_create, "", (long)path),
        REFUSED(openat, " to write", AT_FDCWD, (long)path, O_WRONLY),
        REFUSED(openat, " to read and write", AT_FDCWD, (long)path, O_RDWR),
        REFUSED(openat, " to make", AT_FDCWD, (long)"/x", O_CREAT, 0600),
        REFUSED(openat, " to empty", AT_FDCWD, (long)path, O_TRUNC),
        REFUSED(openat2, ""),
        REFUSED(truncate, "", (long)path),
        REFUSED(unlinkat, "", AT_FDCWD, (long)"/x"),
        REFUSED(renameat, "", AT_FDCWD, (long)"/x", AT_FDCWD, (long)"/y"),
        REFUSED(renameat2, ""),
        REFUSED(fchmodat, "", AT_FDCWD, (long)"/x", 0777),
        REFUSED(fchownat, ""),
        REFUSED(linkat, ""),
        REFUSED(symlinkat, ""),
        REFUSED(mkdirat, ""),
        REFUSED(mknodat, ""),
        REFUSED(mmap, " to run", 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1),
        REFUSED(mprotect, " to run", 0, 4096, PROT_READ | PROT_EXEC),
        REFUSED(pkey_mprotect, ""),
        REFUSED(mremap, ""),
        REFUSED(prctl, " for a dump", PR_SET_DUMPABLE, 1),
        REFUSED(prlimit64, " of another process", 1),
        REFUSED(socket, " of netlink", AF_NETLINK, SOCK_RAW),
        REFUSED(socket, " of packets", AF_PACKET, SOCK_RAW),
        REFUSED(socket, " of the kernel's ciphers", AF_ALG, SOCK_SEQPACKET),
        REFUSED(socket, " of virtual machines", AF_VSOCK, SOCK_STREAM),
        REFUSED(socket, " that is raw", AF_INET, SOCK_RAW),
        REFUSED(socket, " of SCTP", AF_INET, SOCK_STREAM, 132),
        REFUSED(socket, " of MPTCP", AF_INET6, SOCK_STREAM, 262),
        REFUSED(socket, " of pings", AF_INET, SOCK_DGRAM, IPPROTO_ICMP),
        REFUSED(socketpair, ""),
        REFUSED(setsockopt, " of an attached filter", 0, SOL_SOCKET, SO_ATTACH_BPF),
        REFUSED(setsockopt, " of a protocol on top", 0, IPPROTO_TCP, TCP_ULP),
        REFUSED(ioctl, " that types for a terminal", 0, TIOCSTI),
        REFUSED(fcntl, " of a lease", 0, F_SETLEASE),
        REFUSED(io_uring_enter, ""),
        REFUSED(io_uring_register, ""),
#ifdef SYS_open
        REFUSED(open, " to write", (long)path, O_WRONLY),
        REFUSED(creat, "", (long)"/x"),
        REFUSED(fork, ""),
        REFUSED(vfork, ""),
        REFUSED(unlink, "", (long)"/x"),
        REFUSED(rename, "", (long)"/x", (long)"/y"),
        REFUSED(chmod, "", (long)"/x"),
        REFUSED(modify_ldt, ""),
        REFUSED(ioperm, ""),
        // The numbers of the x32 ABI are a second way to every call.
        {"getpid of x32", "unknown", 0x40000000 | SYS_getpid, {0}, ENOSYS},
#endif
        {"a call of the future", "unknown", 999, {0}, ENOSYS},
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct outcome outcome = inside(false, make_call, &calls[i]);
        char line[128];
        snprintf(line, sizeof line, "msg=\"system call refused\" call=%s number=%ld errno=%d\n",
                 calls[i].name, calls[i].number, calls[i].error);
        print_message("%-32s %s", calls[i].what,
                      outcome.said[0] != '\0' ? strstr(outcome.said, "msg=") : "nothing said\n");
        assert_true(WIFEXITED(outcome.status));
        assert_int_equal(WEXITSTATUS(outcome.status), calls[i].error);
        assert_non_null(strstr(outcome.said, line));
    }
}

// libuv tries it at each start.
static void test_sandbox__io_uring_is_absent_without_a_word(void **state) {
    (void)state;
    if (!has_filter()) skip();
    const struct call call = {.number = SYS_io_uring_setup, .arguments = {1}};
    struct outcome outcome = inside(false, make_call, &call);
    assert_int_equal(WEXITSTATUS(outcome.status), ENOSYS);
    assert_string_equal(outcome.said, "");
}

static int try_thrice(const void *argument) {
    for (int i = 0; i < 3; i++) make_call(argument);
    return (int)sandbox_refused_count();
}

static void test_sandbox__a_call_is_said_once_and_counted_each_time(void **state) {
    (void)state;
    if (!has_filter()) skip();
    const struct call call = {.number = SYS_bpf};
    struct outcome outcome = inside(false, try_thrice, &call);
    assert_int_equal(WEXITSTATUS(outcome.status), 3);
    char *first = strstr(outcome.said, "call=bpf");
    assert_non_null(first);
    assert_null(strstr(first + 1, "call=bpf"));
}

static int fork_by_libc(const void *argument) {
    (void)argument;
    pid_t child = fork();
    if (child == 0) _exit(0);
    return child > 0 ? 1 : 2;
}

// musl holds all signals back meanwhile: the kernel ends the process.
static void test_sandbox__fork_ends_the_process(void **state) {
    (void)state;
    if (!has_filter()) skip();
    struct outcome outcome = inside(false, fork_by_libc, NULL);
    assert_true(WIFSIGNALED(outcome.status));
    assert_int_equal(WTERMSIG(outcome.status), SIGSYS);
}

static int call_as_32_bit(const void *argument) {
    (void)argument;
    long result = 20;  // getpid of i386
#ifdef __x86_64__
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
#endif
    return (int)-result;
}

// With the wrong table of numbers, execve would pass as an allowed call.
static void test_sandbox__calls_of_another_machine_are_refused(void **state) {
    (void)state;
#ifndef __x86_64__
    skip();  // only there does a program have a second table of calls
#endif
    if (!has_filter()) skip();
    struct outcome outcome = inside(false, call_as_32_bit, NULL);
    // A kernel without 32-bit programs ends it by SIGSEGV.
    if (WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGSEGV) skip();
    assert_int_equal(WEXITSTATUS(outcome.status), ENOSYS);
    assert_non_null(strstr(outcome.said, "call=unknown number=20"));
}

static void *run_thread(void *argument) {
    return argument;
}

static int live(const void *argument) {
    (void)argument;
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_thread, NULL) != 0) return 1;
    if (pthread_join(thread, NULL) != 0) return 2;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    char status[4096] = {0};
    if (fd < 0 || read(fd, status, sizeof status - 1) <= 0) return 3;
    if (strstr(status, "NoNewPrivs:\t1\n") == NULL) return 4;
    if (strstr(status, "Seccomp:\t2\n") == NULL) return 5;
    if (rename("/no/such", "/no/such2") == 0 || errno != ENOENT) return 6;
    if (unlink("/no/such") == 0 || errno != ENOENT) return 7;
    if (chmod("/no/such", 0600) == 0 || errno != ENOENT) return 8;
    return 0;
}

static void test_sandbox__what_the_program_needs_goes_on(void **state) {
    (void)state;
    if (!has_filter()) skip();
    struct outcome outcome = inside(true, live, NULL);
    assert_string_equal(outcome.said, "");
    assert_int_equal(outcome.status, 0);
}

static int end_itself(const void *argument) {
    (void)argument;
    abort();
}

static void test_sandbox__abort_is_still_one(void **state) {
    (void)state;
    if (!has_filter()) skip();
    struct outcome outcome = inside(false, end_itself, NULL);
    assert_string_equal(outcome.said, "");
    assert_int_equal(WTERMSIG(outcome.status), SIGABRT);
}

static void test_sandbox__a_build_for_tests_has_none(void **state) {
    (void)state;
    if (HAS_PRODUCT_LIBC) skip();
    assert_int_equal(sandbox_start(false), STATUS_UNSUPPORTED);
}
