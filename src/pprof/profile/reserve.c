// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/reserve.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cgroup.h"
#include "pprof/libc/plain.h"
#include "pprof/symbol/symbol.h"

enum {
    PART_OF_LIMIT = 8,
    LEAST_BYTES = 256 << 10,    // less is not worth keeping
    MARGIN_BYTES = 256 << 10,   // the kernel charges in batches, and other threads go on
    WRITING_BYTES = 512 << 10,  // deflate's state and the encoder's buffers
    LENT_PART_OF_LIMIT = 4,
    LENT_STEP_BYTES = 64 << 10,  // no kernel's pages are larger
};

// The files of either version.
static const struct names {
    const char *limit, *usage;
} versions[] = {
    {"memory.max", "memory.current"},
    {"memory.limit_in_bytes", "memory.usage_in_bytes"},
};

/* immutable after start-up */
static char folder[PATH_MAX];      // of the control group whose limit counts
static const struct names *names;  // its files; NULL: there is no limit

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static void *kept;
static size_t kept_bytes;  // 0: nothing
static size_t lent_bytes;  // by reserve_resize, in whole steps

// INT64_MAX: there is none, or it cannot be read. Version 2 says "max", version 1 a number that no
// machine has.
static int64_t read_number(const char *group, const char *file) {
    char text[CGROUP_TEXT_BYTES];
    char *end;
    if (!cgroup_read(group, file, text)) return INT64_MAX;
    int64_t number = strtoll(text, &end, 10);
    return end == text || number > INT64_MAX / 2 ? INT64_MAX : number;
}

// The nearest limit counts: those above are larger, or somebody else's to hit as well.
static bool take_limited(const char *group, void *context) {
    (void)context;
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        if (read_number(group, versions[i].limit) == INT64_MAX) continue;
        snprintf(folder, sizeof folder, "%s", group);
        names = &versions[i];
        return false;
    }
    return true;
}

// Below the limit, which may change while the process runs. What the kernel could still reclaim
// counts as used.
static int64_t room_bytes(int64_t limit) {
    int64_t usage = read_number(folder, names->usage);
    return limit == INT64_MAX || usage == INT64_MAX ? INT64_MAX : limit - usage;
}

static bool has_room(size_t bytes) {
    return room_bytes(read_number(folder, names->limit)) >= (int64_t)bytes + MARGIN_BYTES;
}

static void give_up(void) {
    if (kept_bytes != 0) munmap(kept, kept_bytes);
    kept_bytes = 0;
}

// Half of the room at most: the program needs some, too.
static size_t wanted_bytes(void) {
    int64_t limit = read_number(folder, names->limit);
    int64_t wanted = room_bytes(limit) / 2;
    if (wanted > limit / PART_OF_LIMIT) wanted = limit / PART_OF_LIMIT;
    if (wanted > RESERVE_BYTES_MOST) wanted = RESERVE_BYTES_MOST;
    return wanted < LEAST_BYTES ? 0 : (size_t)wanted;
}

// Populated: the kernel charges it now. NULL: there is none.
static void *map_populated(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static void keep(size_t bytes) {
    kept = map_populated(bytes);
    kept_bytes = kept != NULL ? bytes : 0;
}

void reserve_refill(void) {
    if (names == NULL) return;
    plain_lock(&lock);
    size_t wanted = wanted_bytes();
    if (wanted > kept_bytes) {
        give_up();
        keep(wanted);
    }
    plain_unlock(&lock);
}

void reserve_start(void) {
    cgroup_visit("memory", take_limited, NULL);
}

void reserve_stop(void) {
    plain_lock(&lock);
    give_up();
    plain_unlock(&lock);
    names = NULL;
}

static bool make_room_locked(size_t bytes) {
    if (has_room(bytes)) return true;
    give_up();
    return has_room(bytes);
}

bool reserve_make_room(size_t bytes) {
    if (names == NULL) return true;
    plain_lock(&lock);
    bool has = make_room_locked(bytes);
    plain_unlock(&lock);
    return has;
}

void *reserve_map(size_t bytes) {
    if (names == NULL) return map_populated(bytes);
    plain_lock(&lock);
    void *memory = make_room_locked(bytes) ? map_populated(bytes) : NULL;
    plain_unlock(&lock);
    return memory;
}

static size_t in_steps(size_t bytes) {
    return (bytes + LENT_STEP_BYTES - 1) / LENT_STEP_BYTES * LENT_STEP_BYTES;
}

static bool may_lend(size_t bytes) {
    size_t most = RESERVE_LENT_BYTES_MOST;
    if (names != NULL) {
        int64_t part = read_number(folder, names->limit) / LENT_PART_OF_LIMIT;
        if (part < (int64_t)most) most = (size_t)part;
    }
    if (bytes > most || lent_bytes > most - bytes) return false;
    return names == NULL || make_room_locked(bytes);
}

// Addresses for all that a buffer may become, so that it grows where it is. Memory comes when they
// are written to, page by page: a huge one would be more than was asked for.
static uint8_t *map_addresses(void) {
    void *data = mmap(NULL, RESERVE_LENT_BYTES_MOST, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return NULL;
    madvise(data, RESERVE_LENT_BYTES_MOST, MADV_NOHUGEPAGE);
    return data;
}

static uint8_t *lend_locked(uint8_t *data, size_t from, size_t to) {
    if (!may_lend(to - from)) return NULL;
    if (data == NULL) data = map_addresses();
    if (data == NULL) return NULL;
    memset(data + from, 0, to - from);  // the kernel charges it now
    lent_bytes += to - from;
    return data;
}

static void give_back(void *data, size_t bytes) {
    munmap(data, RESERVE_LENT_BYTES_MOST);
    plain_lock(&lock);
    lent_bytes -= bytes;
    plain_unlock(&lock);
}

void *reserve_resize(void *data, size_t from, size_t to) {
    if (to > RESERVE_LENT_BYTES_MOST) return NULL;
    from = in_steps(from);
    to = in_steps(to);
    if (to == from) return data;
    if (to == 0) {
        give_back(data, from);
        return NULL;
    }
    plain_lock(&lock);
    data = lend_locked(data, from, to);
    plain_unlock(&lock);
    return data;
}

enum status reserve_prepare(void) {
    bool has = reserve_make_room(symbol_first_use_bytes() + WRITING_BYTES);
    return has ? STATUS_OK : STATUS_NO_MEMORY;
}
