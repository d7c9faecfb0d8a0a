// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/dump.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "pprof/libc/plain.h"
#include "pprof/profile/reserve.h"
#include "pprof/profile/text.h"
#include "pprof/sample/stack.h"
#include "pprof/sample/thread.h"
#include "pprof/sample/tick.h"
#include "pprof/stack/walk.h"
#include "pprof/symbol/symbol.h"

// How long threads may take to answer the signal. One that cannot (it is being traced, or the
// machine is very busy) is shown without a stack.
enum { ANSWER_NS = 500 * NS_PER_MS, PAUSE_NS = 100000 };

// One thread at the moment of the dump.
struct moment {
    const struct thread *thread;  // only to compare: it may be gone
    pid_t tid, creator_tid;
    uintptr_t created_at;
    const char *state;  // static
    int64_t since_ns;   // 0: it does not wait
    bool is_asked;      // by a signal
    struct tick_request request;
    struct moment *next;
};

struct dump {
    struct pool pool;
    struct moment *first;
    int64_t now_ns;
    enum status status;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // one dump at a time
static enum status (*append)(struct buffer *out);

void dump_append(enum status (*write)(struct buffer *out)) {
    append = write;
}

enum status dump_init(void) {
    struct sigaction action = {.sa_sigaction = tick_handle_dump,
                               .sa_flags = SA_SIGINFO | SA_RESTART};
    return sigaction(TICK_DUMP_SIGNAL, &action, NULL) == 0 ? STATUS_OK : STATUS_SYSTEM;
}

static void read_name(pid_t tid, char name[THREAD_NAME_BYTES]) {
    char path[64];
    char text[THREAD_NAME_BYTES + 1] = "";  // the kernel ends it by a newline
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len > 0) memcpy(name, text, strcspn(text, "\n"));
}

// False if the thread is not parked, or stopped being so while it was read.
static bool read_parked(struct thread *thread, struct moment *moment) {
    // pairs with the release in thread_park
    unsigned before = atomic_load_explicit(&thread->park_sequence, memory_order_acquire);
    if (before % 2 == 0) return false;
    uintptr_t frame = atomic_load_explicit(&thread->park_frame, memory_order_relaxed);
    struct tick *tick = &moment->request.tick;
    tick->addresses[0] = atomic_load_explicit(&thread->park_leaf, memory_order_relaxed);
    const char *state = atomic_load_explicit(&thread->park_state, memory_order_relaxed);
    int64_t since_ns = atomic_load_explicit(&thread->park_since_ns, memory_order_relaxed);
    struct walk_result walk = walk_frames(frame, frame, thread->stack_high, tick->addresses + 1,
                                          STACK_DEPTH - 1);
    tick->depth = 1 + walk.depth;
    // A write, if of nothing: no read from above may come after it.
    if (atomic_fetch_add(&thread->park_sequence, 0) != before) return false;
    moment->state = state;
    moment->since_ns = since_ns;
    return true;
}

NOINLINE static void read_self(const struct thread *thread, struct moment *moment) {
    struct tick *tick = &moment->request.tick;
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    tick->addresses[0] = (uintptr_t)read_self;
    struct walk_result walk = walk_frames(frame, frame, thread->stack_high, tick->addresses + 1,
                                          STACK_DEPTH - 1);
    tick->depth = 1 + walk.depth;
}

// Parked threads are read from outside, the others asked. Under the list's lock.
static void look_at(struct dump *dump, struct thread *thread) {
    struct moment *moment = pool_allocate(&dump->pool, sizeof *moment);
    if (moment == NULL) {
        dump->status = STATUS_NO_MEMORY;
        return;
    }
    *moment = (struct moment){.thread = thread,
                              .tid = thread->tid,
                              .creator_tid = thread->creator_tid,
                              .created_at = thread->created_at,
                              .state = "running",
                              .next = dump->first};
    dump->first = moment;
    if (thread == thread_self) {
        read_self(thread, moment);
        read_name(thread->tid, moment->request.tick.thread);
        return;
    }
    if (read_parked(thread, moment)) {
        read_name(thread->tid, moment->request.tick.thread);
        return;
    }
    moment->is_asked = true;
    moment->request.tick.depth = 0;  // what reading it from outside may have left
    atomic_store(&thread->request, &moment->request);
    syscall(SYS_tgkill, getpid(), thread->tid, TICK_DUMP_SIGNAL);
}

static bool is_answered(const struct moment *moment) {
    // pairs with the release in tick_handle_dump
    return atomic_load_explicit(&moment->request.is_done, memory_order_acquire);
}

static void pause_briefly(void) {
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    __real_nanosleep(&pause, NULL);
}

// Without the list's lock: threads may start and end meanwhile. One that ends says that it is done.
static void wait_for_answers(const struct dump *dump) {
    int64_t deadline_ns = clock_monotonic_ns() + ANSWER_NS;
    for (const struct moment *moment = dump->first; moment != NULL; moment = moment->next) {
        if (!moment->is_asked) continue;
        while (!is_answered(moment) && clock_monotonic_ns() < deadline_ns) pause_briefly();
    }
}

// Calls back what is not answered in time, so that no handler writes to memory that is gone. A
// request is part of its moment. Under the list's lock.
static void call_back(struct thread *thread) {
    struct tick_request *request = atomic_exchange(&thread->request, NULL);
    if (request == NULL) return;
    request->tick.depth = 0;
    atomic_store(&request->is_done, true);
}

static void finish(struct moment *moment) {
    struct tick *tick = &moment->request.tick;
    while (moment->is_asked && !is_answered(moment)) pause_briefly();  // it is being written
    if (moment->is_asked) {
        tick->depth = leaf_repair(tick->addresses, tick->depth, STACK_DEPTH, tick->words);
    }
    for (uint32_t i = 1; i < tick->depth; i++) tick->addresses[i]--;
}

static void take_dump(struct dump *dump) {
    struct thread *thread;
    plain_lock(&lock);
    dump->now_ns = clock_monotonic_ns();
    for (thread = thread_lock_list(); thread != NULL; thread = thread->next) look_at(dump, thread);
    thread_unlock_list();
    wait_for_answers(dump);
    for (thread = thread_lock_list(); thread != NULL; thread = thread->next) call_back(thread);
    thread_unlock_list();
    for (struct moment *m = dump->first; m != NULL; m = m->next) finish(m);
    plain_unlock(&lock);
}

static struct sample_key key_of(const struct moment *moment) {
    const struct tick *tick = &moment->request.tick;
    struct sample_key key = {.addresses = tick->addresses,
                             .depth = tick->depth,
                             .labels = tick->labels,
                             .state = moment->state};
    memcpy(key.thread, tick->thread, strnlen(tick->thread, sizeof key.thread - 1));
    return key;
}

static enum status collect(struct store *out, void *context) {
    (void)context;
    struct dump dump = {0};
    take_dump(&dump);
    enum status status = dump.status;
    for (struct moment *m = dump.first; m != NULL && status == STATUS_OK; m = m->next) {
        struct sample_key key = key_of(m);
        status = store_add(out, &key, (const int64_t[SAMPLE_VALUES]){1});
    }
    pool_done(&dump.pool);
    return status;
}

static int64_t count(void *context) {
    (void)context;
    return (int64_t)thread_count();
}

static int64_t period(void) {
    return 1;
}

// "\tFILE:LINE +0xOFFSET", the second line of each frame.
static enum status write_place(const struct symbol_line *line, uintptr_t address,
                               struct buffer *out) {
    uintptr_t start = symbol_start(address);
    return buffer_append_format(out, "\t%s:%d +0x%" PRIxPTR "\n", line->file, line->line,
                                start != 0 ? address - start : 0);
}

static enum status write_frame(uintptr_t address, struct buffer *out) {
    struct symbol_line lines[SYMBOL_LINES_MOST];
    size_t count_of_lines = symbol_resolve(address, lines);
    if (count_of_lines == 0) return buffer_append_format(out, "%#" PRIxPTR "(...)\n", address);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count_of_lines && status == STATUS_OK; i++) {
        status = buffer_append_format(out, "%s(...)\n", lines[i].function);
        if (status == STATUS_OK) status = write_place(&lines[i], address, out);
    }
    return status;
}

static enum status write_creator(const struct moment *moment, struct buffer *out) {
    struct symbol_line lines[SYMBOL_LINES_MOST];
    if (moment->created_at == 0 || symbol_resolve(moment->created_at, lines) == 0) {
        return STATUS_OK;
    }
    enum status status = buffer_append_format(out, "created by %s in goroutine %d\n",
                                              lines[0].function, (int)moment->creator_tid);
    if (status != STATUS_OK) return status;
    return write_place(&lines[0], moment->created_at, out);
}

// The form of Go's dumps, with thread ids for goroutine ids. The thread's name stands on a line of
// its own above, where parsers of such dumps expect nothing.
static enum status write_moment(const struct dump *dump, const struct moment *moment,
                                struct buffer *out) {
    const struct tick *tick = &moment->request.tick;
    int64_t minutes = (dump->now_ns - moment->since_ns) / (60 * NS_PER_SECOND);
    enum status status = buffer_append_format(out, "# thread %s\ngoroutine %d [%s", tick->thread,
                                              (int)moment->tid, moment->state);
    if (status == STATUS_OK && moment->since_ns != 0 && minutes > 0) {
        status = buffer_append_format(out, ", %" PRId64 " minutes", minutes);
    }
    if (status == STATUS_OK) status = buffer_append_text(out, "]:\n");
    for (uint32_t i = 0; i < tick->depth && status == STATUS_OK; i++) {
        status = write_frame(tick->addresses[i], out);
    }
    if (status == STATUS_OK) status = write_creator(moment, out);
    if (status != STATUS_OK) return status;
    return buffer_append_byte(out, '\n');
}

// The thread that answers first, as Go has it.
static enum status write_dump(struct buffer *out) {
    enum status status = reserve_prepare();
    if (status != STATUS_OK) return status;
    struct dump dump = {0};
    take_dump(&dump);
    status = dump.status;
    for (int is_other = 0; is_other < 2; is_other++) {
        for (struct moment *m = dump.first; m != NULL && status == STATUS_OK; m = m->next) {
            if ((m->thread != thread_self) == is_other) status = write_moment(&dump, m, out);
        }
    }
    pool_done(&dump.pool);
    if (status == STATUS_OK && append != NULL) status = append(out);
    return status;
}

const struct source goroutine_source = {
    .name = "goroutine",
    .description = "All threads of this program now, each with its stack. debug=2 prints them one "
                   "by one, as Go prints goroutines.",
    .sample_types = {{"goroutine", "count"}},
    .period_type = {"goroutine", "count"},
    .period = period,
    .collect = collect,
    .count = count,
    .write_dump = write_dump,
};
