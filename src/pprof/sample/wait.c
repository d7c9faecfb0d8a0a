// SPDX-License-Identifier: Apache-2.0
// What stands in front of the calls that wait for time or for a file descriptor. They are marked as
// parked, so that a dump needs no signal; and since the kernel ends them early for any signal,
// SA_RESTART or not (signal(7)), the EINTR that only our own signals caused is taken back: the call
// goes on with the time that is left.
//
// What is left to SA_RESTART, which restarts them by itself: read, write, accept, connect and the
// like, futex waits. Not covered, because nothing here uses them: select, pselect, epoll_pwait2,
// io_getevents, sigtimedwait, sockets with SO_RCVTIMEO. A signal of the program's own that arrives
// in the same call as one of ours is lost to that call's EINTR; its handler has run.
#include <errno.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "pprof/libc/plain.h"
#include "pprof/sample/thread.h"

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms);
int __wrap_epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms,
                       const sigset_t *mask);
int __wrap_poll(struct pollfd *watched, nfds_t count, int timeout_ms);
int __wrap_ppoll(struct pollfd *watched, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_nanosleep(const struct timespec *duration, struct timespec *left);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *duration,
                           struct timespec *left);

struct waiting {
    bool is_parked;
    unsigned interruptions;
};

static struct waiting begin(thread_state state, const void *frame, uintptr_t leaf) {
    return (struct waiting){.is_parked = thread_park(state, frame, leaf),
                            .interruptions = thread_interruptions()};
}

static void end(const struct waiting *waiting) {
    int saved_errno = errno;
    thread_unpark(waiting->is_parked);
    errno = saved_errno;
}

// Whether to go on waiting: the call failed, and our signals came since we last looked.
static bool is_ours(struct waiting *waiting, bool has_failed) {
    unsigned now = thread_interruptions();
    bool came = now != waiting->interruptions;
    waiting->interruptions = now;
    return has_failed && came;
}

static int64_t deadline_of(int timeout_ms) {
    return timeout_ms < 0 ? INT64_MAX : clock_monotonic_ns() + timeout_ms * NS_PER_MS;
}

// Rounded up, as the kernel does: never early.
static int left_ms(int64_t deadline_ns) {
    if (deadline_ns == INT64_MAX) return -1;
    int64_t left_ns = deadline_ns - clock_monotonic_ns();
    return left_ns <= 0 ? 0 : (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static struct timespec timespec_of(int64_t ns) {
    if (ns < 0) ns = 0;
    return (struct timespec){.tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND};
}

// What is longer than a clock can say is for ever; what is negative the kernel refuses.
static int64_t ns_of(const struct timespec *time) {
    const int64_t longest = INT64_MAX / 2;  // room for the clock's reading
    if (time->tv_sec < 0) return 0;
    if (time->tv_sec >= longest / NS_PER_SECOND) return longest;
    return time->tv_sec * NS_PER_SECOND + time->tv_nsec;
}

int __wrap_epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms,
                       const sigset_t *mask) {
    struct waiting waiting = begin("IO wait", __builtin_frame_address(0),
                                   (uintptr_t)__real_epoll_pwait);
    int64_t deadline_ns = deadline_of(timeout_ms);
    int result = __real_epoll_pwait(epoll, events, most, timeout_ms, mask);
    while (is_ours(&waiting, result < 0 && errno == EINTR)) {
        result = __real_epoll_pwait(epoll, events, most, left_ms(deadline_ns), mask);
    }
    end(&waiting);
    return result;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms) {
    struct waiting waiting = begin("IO wait", __builtin_frame_address(0),
                                   (uintptr_t)__real_epoll_wait);
    int64_t deadline_ns = deadline_of(timeout_ms);
    int result = __real_epoll_wait(epoll, events, most, timeout_ms);
    while (is_ours(&waiting, result < 0 && errno == EINTR)) {
        result = __real_epoll_wait(epoll, events, most, left_ms(deadline_ns));
    }
    end(&waiting);
    return result;
}

int __wrap_poll(struct pollfd *watched, nfds_t count, int timeout_ms) {
    struct waiting waiting = begin("IO wait", __builtin_frame_address(0), (uintptr_t)__real_poll);
    int64_t deadline_ns = deadline_of(timeout_ms);
    int result = __real_poll(watched, count, timeout_ms);
    while (is_ours(&waiting, result < 0 && errno == EINTR)) {
        result = __real_poll(watched, count, left_ms(deadline_ns));
    }
    end(&waiting);
    return result;
}

int __wrap_ppoll(struct pollfd *watched, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask) {
    struct waiting waiting = begin("IO wait", __builtin_frame_address(0), (uintptr_t)__real_ppoll);
    int64_t deadline_ns = timeout != NULL ? clock_monotonic_ns() + ns_of(timeout) : 0;
    int result = __real_ppoll(watched, count, timeout, mask);
    while (is_ours(&waiting, result < 0 && errno == EINTR)) {
        struct timespec left = timespec_of(deadline_ns - clock_monotonic_ns());
        result = __real_ppoll(watched, count, timeout != NULL ? &left : NULL, mask);
    }
    end(&waiting);
    return result;
}

int __wrap_nanosleep(const struct timespec *duration, struct timespec *left) {
    struct waiting waiting = begin("sleep", __builtin_frame_address(0),
                                   (uintptr_t)__real_nanosleep);
    struct timespec rest;
    int result = __real_nanosleep(duration, &rest);
    while (is_ours(&waiting, result < 0 && errno == EINTR)) {
        struct timespec again = rest;
        result = __real_nanosleep(&again, &rest);
    }
    end(&waiting);
    if (result < 0 && errno == EINTR && left != NULL) *left = rest;
    return result;
}

// Returns the error instead of setting errno.
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *duration,
                           struct timespec *left) {
    struct waiting waiting = begin("sleep", __builtin_frame_address(0),
                                   (uintptr_t)__real_clock_nanosleep);
    struct timespec again = *duration;
    struct timespec rest;
    int error = __real_clock_nanosleep(clock, flags, &again, &rest);
    while (is_ours(&waiting, error == EINTR)) {
        if ((flags & TIMER_ABSTIME) == 0) again = rest;
        error = __real_clock_nanosleep(clock, flags, &again, &rest);
    }
    end(&waiting);
    if (error == EINTR && left != NULL && (flags & TIMER_ABSTIME) == 0) *left = rest;
    return error;
}
