// SPDX-License-Identifier: Apache-2.0
// Every profile is read again and again while threads start, allocate and exit under a storm of
// ticks. Says "ok" if nothing crashed or hung, each dump had the reading thread in it, and when all
// is quiet again no sampled object of the storm is still counted as live.
// Usage: reads ROUNDS, with PPROF_HEAP_RATE small in the environment
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "pprof/pprof.h"
#include "pprof/profile/delta.h"
#include "pprof/profile/encode.h"
#include "pprof/profile/source.h"
#include "pprof/sample/heap.h"
#include "tests/storm/churn.h"

enum { HANG_SECONDS = 240 };

static void fail(const char *what) {
    printf("failed: %s\n", what);
    exit(1);
}

static void encode(const struct source *source, const struct store *store) {
    struct profile profile = {.period_type = source->period_type, .period = 1, .samples = store};
    memcpy(profile.sample_types, source->sample_types, sizeof profile.sample_types);
    struct buffer out = {0};
    if (profile_encode(&profile, &out) != STATUS_OK) fail("a profile was not encoded");
    buffer_done(&out);
}

// Two snapshots and their difference, all written.
static void read_source(const struct source *source) {
    struct store before = {0};
    struct store after = {0};
    if (source->collect(&before, source->context) != STATUS_OK) fail("no snapshot");
    encode(source, &before);
    if (source->collect(&after, source->context) != STATUS_OK) fail("no second snapshot");
    if (delta_subtract(&after, &before) != STATUS_OK) fail("no difference");
    encode(source, &after);
    store_done(&before);
    store_done(&after);
}

static void read_dump(const struct source *source) {
    struct buffer out = {0};
    if (source->write_dump(&out) != STATUS_OK) fail("no dump");
    if (buffer_append_byte(&out, '\0') != STATUS_OK) fail("no memory");
    if (strstr((const char *)out.data, "read_dump(...)") == NULL) fail("the reader is not in it");
    buffer_done(&out);
}

// What the storm's own function still holds, by the sampler's count.
static int64_t live_of_storm(void) {
    struct store store = {0};
    if (heap_source.collect_text(&store) != STATUS_OK) fail("no heap");
    int64_t live = 0;
    for (const struct sample *s = store.first; s != NULL; s = s->next) {
        if (s->key.labels != 0) live += s->values[HEAP_VALUE_INUSE_OBJECTS];
    }
    store_done(&store);
    return live;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    alarm(HANG_SECONDS);  // a deadlock ends here
    char message[PPROF_MESSAGE_BYTES];
    const struct pprof_options options = {
        .address = "127.0.0.1:0", .block_rate_ns = 1, .mutex_fraction = 1};
    if (pprof_start(&options, message) != 0) return 2;
    const struct source *goroutine = source_find(BYTES_LITERAL("goroutine"));

    churn_start();
    int rounds = atoi(argv[1]);
    for (int i = 0; i < rounds; i++) {
        const struct source *source;
        for (size_t k = 0; (source = source_at(k)) != NULL; k++) read_source(source);
        read_dump(goroutine);
    }
    unsigned long long threads = churn_stop();
    printf("rounds %d threads %llu live objects of the storm %lld\n", rounds, threads,
           (long long)live_of_storm());
    if (live_of_storm() != 0) fail("objects that were freed are counted as live");
    printf("ok\n");
    return 0;
}
