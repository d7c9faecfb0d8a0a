// SPDX-License-Identifier: Apache-2.0
#include "extproc/streams.c"

#include <stdlib.h>

static struct stream_list list = STREAM_LIST_INIT;

struct seen {
    const char *states[8];
    unsigned labels[8];
    size_t count;
};

static void see(const struct stream_entry *entry, void *context) {
    struct seen *seen = context;
    seen->states[seen->count] = entry->state;
    seen->labels[seen->count++] = entry->label;
}

static struct seen look(void) {
    struct seen seen = {0};
    stream_list_visit(&list, see, &seen);
    return seen;
}

static void test_streams__shows_who_is_there_in_whatever_order_they_leave(void **state) {
    (void)state;
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const char *const names[] = {"a", "b", "c"};
    for (size_t order = 0; order < 6; order++) {
        struct stream_entry entries[3] = {0};
        for (size_t i = 0; i < 3; i++) stream_list_join(&list, &entries[i], names[i], 1);
        assert_int_equal(look().count, 3);
        for (size_t gone = 0; gone < 3; gone++) {
            stream_list_leave(&list, &entries[orders[order][gone]]);
            struct seen seen = look();
            assert_int_equal(seen.count, 2 - gone);
            for (size_t i = 0; i < seen.count; i++) {
                for (size_t g = 0; g <= gone; g++) {
                    assert_string_not_equal(seen.states[i], names[orders[order][g]]);
                }
            }
        }
    }
}

static void test_streams__shows_the_latest_state_and_label(void **state) {
    (void)state;
    struct stream_entry entry = {0};
    stream_list_join(&list, &entry, "first", 77);
    assert_string_equal(look().states[0], "first");
    assert_int_equal(entry.start_ns, 77);
    atomic_store(&entry.state, "second");
    atomic_store(&entry.label, 7);
    assert_string_equal(look().states[0], "second");
    assert_int_equal(look().labels[0], 7);
    stream_list_leave(&list, &entry);
}

static void *come_and_go(void *context) {
    struct stream_entry *entries = context;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < 8; i++) stream_list_join(&list, &entries[i], "waits", 1);
        for (size_t i = 0; i < 8; i++) {
            atomic_store_explicit(&entries[i].state, "works", memory_order_relaxed);
            stream_list_leave(&list, &entries[i]);
        }
    }
    return NULL;
}

// For ThreadSanitizer: one thread owns the streams, another looks.
static void test_streams__may_be_looked_at_while_they_come_and_go(void **state) {
    (void)state;
    struct stream_entry entries[8] = {0};
    pthread_t owner;
    assert_int_equal(pthread_create(&owner, NULL, come_and_go, entries), 0);
    for (int round = 0; round < 2000; round++) {
        struct seen seen = look();
        assert_in_range(seen.count, 0, 8);
        for (size_t i = 0; i < seen.count; i++) assert_non_null(seen.states[i]);
    }
    pthread_join(owner, NULL);
    assert_int_equal(look().count, 0);
}
