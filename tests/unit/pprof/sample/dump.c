// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/dump.c"

#include <semaphore.h>
#include <sys/prctl.h>

static sem_t begun;
static atomic_bool may_end;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int setup_all(void **state) {
    (void)state;
    if (thread_enter_main() != STATUS_OK || dump_init() != STATUS_OK) return -1;
    return sem_init(&begun, 0, 0);
}

static int setup(void **state) {
    (void)state;
    atomic_store(&may_end, false);
    return 0;
}

static NOINLINE void spin_visibly(void) {
    sem_post(&begun);
    // The clock is a call at which ThreadSanitizer lets signals through.
    while (!atomic_load(&may_end)) clock_monotonic_ns();
    __asm__ volatile("" : : : "memory");
}

static void *spin(void *unused) {
    prctl(PR_SET_NAME, "spinner");
    spin_visibly();
    return unused;
}

static NOINLINE void block_visibly(void) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    __asm__ volatile("" : : : "memory");
}

static void *block(void *unused) {
    prctl(PR_SET_NAME, "blocker");
    sem_post(&begun);
    block_visibly();
    return unused;
}

static void *block_signals_and_spin(void *unused) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    prctl(PR_SET_NAME, "deaf");
    spin_visibly();
    return unused;
}

static pthread_t start(void *(*run)(void *)) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    while (sem_wait(&begun) != 0) {}
    return thread;
}

static void end(pthread_t thread) {
    atomic_store(&may_end, true);
    pthread_join(thread, NULL);
}

// A stack that is taken by a signal in a function of ThreadSanitizer's has no frame pointers.
static void skip_if_late(void) {
    if (HAS_THREAD_SANITIZER) skip();
}

static bool has_frame(const struct sample_key *key, const char *function) {
    for (uint32_t i = 0; i < key->depth; i++) {
        struct symbol_line lines[SYMBOL_LINES_MOST];
        size_t frames = symbol_resolve(key->addresses[i], lines);
        for (size_t k = 0; k < frames; k++) {
            if (strcmp(lines[k].function, function) == 0) return true;
        }
    }
    return false;
}

// The sample of the thread with this name; its key's addresses live in `samples`.
static struct sample_key key_of_thread(const struct store *samples, const char *name) {
    for (const struct sample *s = samples->first; s != NULL; s = s->next) {
        if (strcmp(s->key.thread, name) == 0) return s->key;
    }
    fail_msg("no thread named %s", name);
    return (struct sample_key){0};
}

static void test_dump__a_running_thread_is_asked_and_shows_its_whole_stack(void **state) {
    (void)state;
    skip_if_late();
    pthread_t thread = start(spin);
    struct store samples = {0};
    assert_int_equal(goroutine_source.collect(&samples, NULL), STATUS_OK);
    struct sample_key key = key_of_thread(&samples, "spinner");
    assert_string_equal(key.state, "running");
    assert_true(has_frame(&key, "spin_visibly"));
    assert_true(has_frame(&key, "spin"));
    store_done(&samples);
    end(thread);
}

// Would catch: a signal where none is needed, and a stack that is not the waiter's.
static void test_dump__a_waiting_thread_is_read_from_outside(void **state) {
    (void)state;
    pthread_mutex_lock(&mutex);
    pthread_t thread = start(block);
    struct sample_key key = {0};
    struct store samples = {0};
    do {  // until it waits
        store_done(&samples);
        assert_int_equal(goroutine_source.collect(&samples, NULL), STATUS_OK);
        key = key_of_thread(&samples, "blocker");
    } while (strcmp(key.state, "sync.Mutex.Lock") != 0);
    assert_int_equal(key.addresses[0], (uintptr_t)__real_pthread_mutex_lock);
    assert_true(has_frame(&key, "block_visibly"));
    assert_true(has_frame(&key, "block"));
    struct thread *list = thread_lock_list();
    unsigned interruptions = list->interruptions;  // the newest comes first
    thread_unlock_list();
    store_done(&samples);
    assert_int_equal(goroutine_source.collect(&samples, NULL), STATUS_OK);
    list = thread_lock_list();
    assert_int_equal(list->interruptions, interruptions);
    thread_unlock_list();
    store_done(&samples);
    pthread_mutex_unlock(&mutex);
    end(thread);
}

// Its request is called back: nothing may be written later to memory that is gone.
static void test_dump__a_thread_that_cannot_answer_is_shown_without_a_stack(void **state) {
    (void)state;
    pthread_t thread = start(block_signals_and_spin);
    struct store samples = {0};
    assert_int_equal(goroutine_source.collect(&samples, NULL), STATUS_OK);
    int64_t total = 0;
    for (const struct sample *s = samples.first; s != NULL; s = s->next) total += s->values[0];
    assert_int_equal(total, thread_count());
    struct thread *list = thread_lock_list();
    for (struct thread *one = list; one != NULL; one = one->next) {
        assert_null(atomic_load(&one->request));
    }
    thread_unlock_list();
    store_done(&samples);
    end(thread);
}

static void test_dump__equal_stacks_of_one_name_are_one_sample(void **state) {
    (void)state;
    enum { COUNT = 5 };
    pthread_mutex_lock(&mutex);
    pthread_t threads[COUNT];
    for (int i = 0; i < COUNT; i++) threads[i] = start(block);
    struct store samples = {0};
    int64_t waiting = 0;
    while (waiting < COUNT) {
        waiting = 0;
        store_done(&samples);
        assert_int_equal(goroutine_source.collect(&samples, NULL), STATUS_OK);
        for (const struct sample *s = samples.first; s != NULL; s = s->next) {
            bool is_blocker = strcmp(s->key.thread, "blocker") == 0;
            if (is_blocker && s->values[0] == COUNT) waiting = COUNT;
        }
    }
    store_done(&samples);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < COUNT; i++) pthread_join(threads[i], NULL);
}

// What scripts look for in Go's dumps.
static void test_dump__the_text_has_go_s_form_and_the_asking_thread_first(void **state) {
    (void)state;
    skip_if_late();
    pthread_t thread = start(spin);
    struct buffer out = {0};
    assert_int_equal(goroutine_source.write_dump(&out), STATUS_OK);
    assert_int_equal(buffer_append_byte(&out, '\0'), STATUS_OK);
    const char *text = (const char *)out.data;
    char expected[64];
    snprintf(expected, sizeof expected, "\ngoroutine %d [running]:\n", (int)getpid());
    const char *own = strstr(text, expected);
    assert_non_null(own);
    assert_ptr_equal(strstr(text, "\ngoroutine "), own);
    const char *other = strstr(text, "# thread spinner\ngoroutine ");
    assert_non_null(other);
    assert_non_null(strstr(other, "\nspin_visibly(...)\n\t"));
    assert_non_null(strstr(other, "tests/unit/pprof/sample/dump.c:"));
    snprintf(expected, sizeof expected, "\ncreated by start in goroutine %d\n", (int)getpid());
    assert_non_null(strstr(other, expected));
    buffer_done(&out);
    end(thread);
}

static void *dump_often(void *unused) {
    for (int i = 0; i < 30; i++) {
        struct store samples = {0};
        if (goroutine_source.collect(&samples, NULL) != STATUS_OK) return &begun;
        store_done(&samples);
    }
    return unused;
}

static void *start_threads(void *unused) {
    for (int i = 0; i < 60; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, block, NULL);
        pthread_join(thread, NULL);
    }
    return unused;
}

// Threads that come, go, wait and run while several dumps are taken.
static void test_dump__it_stands_threads_that_come_and_go(void **state) {
    (void)state;
    pthread_t threads[5];
    threads[0] = start(spin);
    for (int i = 1; i < 3; i++) pthread_create(&threads[i], NULL, dump_often, NULL);
    for (int i = 3; i < 5; i++) pthread_create(&threads[i], NULL, start_threads, NULL);
    for (int i = 1; i < 5; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    end(threads[0]);
    assert_int_equal(thread_count(), 1);
    while (sem_trywait(&begun) == 0) {}
}
