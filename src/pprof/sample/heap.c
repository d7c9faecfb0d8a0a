// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/heap.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "pprof/sample/stack.h"
#include "pprof/sample/tcmalloc.h"
#include "pprof/sample/thread.h"

// Distinct stacks are bounded by the program's code, but recursion can make many.
enum { STORE_BYTES_MOST = 64 << 20, ALLOCATOR_FRAMES_MOST = 16 };

/* immutable after the allocator's first use */
static int64_t rate;
static struct shared_store store = SHARED_STORE_INIT(STORE_BYTES_MOST);

static bool is_allocator(uintptr_t address) {
    return address >= (uintptr_t)__start_google_malloc && address < (uintptr_t)__stop_google_malloc;
}

// How many frames at the leaf are the allocator's own: those up to the last that lies in its
// section, near the leaf.
static uint32_t allocator_depth(const uintptr_t *addresses, uint32_t depth) {
    uint32_t own = 0;
    for (uint32_t i = 0; i < depth && i < ALLOCATOR_FRAMES_MOST; i++) {
        if (is_allocator(addresses[i])) own = i + 1;
    }
    return own < depth ? own : 0;
}

static void *on_alloc(const void *object, size_t size, void *const *stack, int depth) {
    (void)object;
    uintptr_t addresses[STACK_DEPTH];
    uint32_t count = depth < STACK_DEPTH ? (uint32_t)depth : STACK_DEPTH;
    for (uint32_t i = 0; i < count; i++) addresses[i] = (uintptr_t)stack[i] - 1;
    uint32_t own = allocator_depth(addresses, count);
    // The sampler counts what is handed out, not what was asked for: the size class's bytes.
    size_t bytes = tc_nallocx(size, 0);
    const struct sample_key key = {.addresses = addresses + own,
                                   .depth = count - own,
                                   .labels = thread_labels,
                                   .size_bytes = bytes};
    struct sample *sample = shared_store_find(&store, &key);
    if (sample == NULL) return NULL;
    shared_sample_add(sample, HEAP_VALUE_ALLOC_OBJECTS, 1);
    shared_sample_add(sample, HEAP_VALUE_INUSE_OBJECTS, 1);
    return sample;
}

// Under the allocator's own lock: no allocation, no lock, no wait.
static void on_free(void *record, size_t size) {
    (void)size;
    shared_sample_add(record, HEAP_VALUE_INUSE_OBJECTS, -1);
}

int64_t pprof_heap_sampling_rate(void) {
    rate = HEAP_DEFAULT_RATE;
    const char *text = getenv("PPROF_HEAP_RATE");
    if (text != NULL) rate = strtoll(text, NULL, 10);
    if (rate < 0 || getenv("DISABLE_PPROF") != NULL) rate = 0;
    if (rate != 0) {
        pprof_heap_on_sampled_free = on_free;
        pprof_heap_on_sampled_alloc = on_alloc;
    }
    return rate;
}

int64_t heap_rate(void) {
    return rate;
}

uint64_t heap_refused_count(void) {
    return shared_store_refused(&store);
}

// How many allocations of `bytes` one sampled one stands for. An allocation is sampled unless the
// geometric step misses it, with probability 1 - e^(-bytes/rate).
static double weight_of(uint64_t bytes) {
    if (rate <= 1) return 1;
    return 1 / -expm1(-(double)bytes / (double)rate);
}

static double raw(uint64_t bytes) {
    (void)bytes;
    return 1;
}

static enum status collect_weighted(struct store *out, double (*weight)(uint64_t bytes)) {
    const struct sample *sample;
    uint32_t count = shared_store_list(&store, &sample);
    for (uint32_t i = 0; i < count; i++) {
        if (i != 0) sample = sample->next;
        double bytes = (double)sample->key.size_bytes;
        double scale = weight(sample->key.size_bytes);
        double allocated = (double)shared_sample_read(sample, HEAP_VALUE_ALLOC_OBJECTS) * scale;
        double in_use = (double)shared_sample_read(sample, HEAP_VALUE_INUSE_OBJECTS) * scale;
        const int64_t values[SAMPLE_VALUES] = {
            [HEAP_VALUE_ALLOC_OBJECTS] = (int64_t)allocated,
            [HEAP_VALUE_ALLOC_BYTES] = (int64_t)(allocated * bytes),
            [HEAP_VALUE_INUSE_OBJECTS] = (int64_t)in_use,
            [HEAP_VALUE_INUSE_BYTES] = (int64_t)(in_use * bytes),
        };
        enum status status = store_add(out, &sample->key, values);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

static enum status collect(struct store *out, void *context) {
    (void)context;
    return collect_weighted(out, weight_of);
}

// The text form holds what was sampled, and pprof scales it by the rate that the head names.
static enum status collect_raw(struct store *out) {
    return collect_weighted(out, raw);
}

static int64_t count(void *context) {
    (void)context;
    const struct sample *sample;
    return shared_store_list(&store, &sample);
}

static int64_t period(void) {
    return rate;
}

static enum status write_values(const struct sample *sample, struct buffer *out) {
    const int64_t *v = sample->values;
    return buffer_append_format(out, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "]",
                                v[HEAP_VALUE_INUSE_OBJECTS], v[HEAP_VALUE_INUSE_BYTES],
                                v[HEAP_VALUE_ALLOC_OBJECTS], v[HEAP_VALUE_ALLOC_BYTES]);
}

static enum status write_head(const struct store *samples, struct buffer *out) {
    struct sample total = {0};
    for (const struct sample *s = samples->first; s != NULL; s = s->next) {
        for (int i = 0; i < SAMPLE_VALUES; i++) total.values[i] += s->values[i];
    }
    enum status status = buffer_append_text(out, "heap profile: ");
    if (status == STATUS_OK) status = write_values(&total, out);
    if (status != STATUS_OK) return status;
    // Twice the rate: a convention as old as the format (pprof's legacy_profile.go halves it).
    return buffer_append_format(out, " @ heap/%" PRId64 "\n", 2 * rate);
}

static enum status write_tail(struct buffer *out) {
    static const struct {
        const char *name, *property;
    } rows[] = {
        {"InUse", "generic.current_allocated_bytes"},
        {"Mapped", "generic.heap_size"},
        {"PageHeapFree", "tcmalloc.pageheap_free_bytes"},
        {"PageHeapUnmapped", "tcmalloc.pageheap_unmapped_bytes"},
        {"ThreadCaches", "tcmalloc.current_total_thread_cache_bytes"},
        {"CentralCacheFree", "tcmalloc.central_cache_free_bytes"},
        {"TransferCacheFree", "tcmalloc.transfer_cache_free_bytes"},
    };
    enum status status = buffer_append_text(out, "\n# tcmalloc, in bytes\n");
    for (size_t i = 0; status == STATUS_OK && i < COUNT_OF(rows); i++) {
        size_t value = 0;
        if (MallocExtension_GetNumericProperty != NULL) {
            MallocExtension_GetNumericProperty(rows[i].property, &value);
        }
        status = buffer_append_format(out, "# %s = %zu\n", rows[i].name, value);
    }
    if (status == STATUS_OK) {
        status = buffer_append_format(out, "# Refused = %" PRIu64 "\n", heap_refused_count());
    }
    struct rusage usage;
    if (status != STATUS_OK || getrusage(RUSAGE_SELF, &usage) != 0) return status;
    return buffer_append_format(out, "# MaxRSS = %ld\n", usage.ru_maxrss * 1024);
}

static void tidy(void) {
    if (MallocExtension_ReleaseFreeMemory != NULL) MallocExtension_ReleaseFreeMemory();
}

#define HEAP_FORM                                                                                  \
    .sample_types = {[HEAP_VALUE_ALLOC_OBJECTS] = {"alloc_objects", "count"},                      \
                     [HEAP_VALUE_ALLOC_BYTES] = {"alloc_space", "bytes"},                          \
                     [HEAP_VALUE_INUSE_OBJECTS] = {"inuse_objects", "count"},                      \
                     [HEAP_VALUE_INUSE_BYTES] = {"inuse_space", "bytes"}},                         \
    .period_type = {"space", "bytes"}, .period = period, .collect = collect,                       \
    .collect_text = collect_raw, .count = count, .write_text_head = write_head,                    \
    .write_text_values = write_values, .write_text_tail = write_tail,                              \
    .text_order = TEXT_LARGEST_IN_USE_LAST

const struct source heap_source = {
    .name = "heap",
    .description = "Memory that is in use now, by the stack that allocated it (sampled). "
                   "gc=1 gives free memory back to the system first.",
    HEAP_FORM,
    .tidy = tidy,
};

const struct source allocs_source = {
    .name = "allocs",
    .description = "Memory allocated since the start, by stack (sampled): what heap holds, with "
                   "another first view.",
    HEAP_FORM,
    .default_sample_type = "alloc_space",
};
