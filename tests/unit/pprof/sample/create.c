// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/create.c"

#include "base/attributes.h"
#include "pprof/sample/thread.h"
#include "pprof/symbol/symbol.h"

static int setup_all(void **state) {
    (void)state;
    return thread_enter_main() == STATUS_OK ? 0 : -1;
}

static void *do_nothing(void *argument) {
    return argument;
}

static NOINLINE void create_one(void) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    pthread_join(thread, NULL);
}

// Those made by `caller`, through whatever calls it.
static int64_t created_by(const char *caller, const struct store *samples) {
    int64_t sum = 0;
    for (const struct sample *s = samples->first; s != NULL; s = s->next) {
        struct symbol_line lines[SYMBOL_LINES_MOST];
        assert_int_equal(s->key.addresses[0], (uintptr_t)__real_pthread_create);
        size_t frames = s->key.depth < 2 ? 0 : symbol_resolve(s->key.addresses[1], lines);
        if (frames == 0 || strcmp(lines[frames - 1].function, caller) != 0) continue;
        sum += s->values[0];
    }
    return sum;
}

static void test_create__each_thread_is_counted_at_its_creator(void **state) {
    (void)state;
    int64_t before = threadcreate_source.count(NULL);
    for (int i = 0; i < 3; i++) create_one();
    assert_int_equal(threadcreate_source.count(NULL), before + 3);
    struct store samples = {0};
    assert_int_equal(threadcreate_source.collect(&samples, NULL), STATUS_OK);
    assert_int_equal(created_by("create_one", &samples), 3);
    store_done(&samples);
}
