// SPDX-License-Identifier: Apache-2.0
#include "extproc/genai.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "extproc/histogram.h"

enum { DURATION = GENAI_TOKEN_COUNT, FIRST_TOKEN, PER_TOKEN, HISTOGRAMS };

struct genai_series {
    struct histogram histograms[HISTOGRAMS];
};

#define MS(number, text)                                                                           \
    { (number) * NS_PER_MS, (text) }

static const struct histogram_shape tokens = {
    .family = "gen_ai_client_token_usage",
    .help = "Tokens of a request by type, as the backend reported them.",
    .unit = 1,
    .bounds = {{1, "1"},
               {4, "4"},
               {16, "16"},
               {64, "64"},
               {256, "256"},
               {1024, "1024"},
               {4096, "4096"},
               {16384, "16384"},
               {65536, "65536"},
               {262144, "262144"},
               {1048576, "1.048576e+06"},
               {4194304, "4.194304e+06"},
               {16777216, "1.6777216e+07"},
               {67108864, "6.7108864e+07"}},
};

static const struct histogram_shape durations[] = {
    {
        .family = "gen_ai_server_request_duration_seconds",
        .help = "From a request's headers to the end of its reply.",
        .unit = NS_PER_SECOND,
        .bounds = {MS(10, "0.01"), MS(20, "0.02"), MS(40, "0.04"), MS(80, "0.08"), MS(160, "0.16"),
                   MS(320, "0.32"), MS(640, "0.64"), MS(1280, "1.28"), MS(2560, "2.56"),
                   MS(5120, "5.12"), MS(10240, "10.24"), MS(20480, "20.48"), MS(40960, "40.96"),
                   MS(81920, "81.92")},
    },
    {
        .family = "gen_ai_server_time_to_first_token_seconds",
        .help = "From a streaming request's headers to its first event.",
        .unit = NS_PER_SECOND,
        .bounds = {MS(1, "0.001"),  MS(5, "0.005"),  MS(10, "0.01"),  MS(20, "0.02"),
                   MS(40, "0.04"),  MS(60, "0.06"),  MS(80, "0.08"),  MS(100, "0.1"),
                   MS(250, "0.25"), MS(500, "0.5"),  MS(750, "0.75"), MS(1000, "1"),
                   MS(2500, "2.5"), MS(5000, "5"),   MS(7500, "7.5"), MS(10000, "10"),
                   MS(15000, "15"), MS(20000, "20"), MS(30000, "30"), MS(45000, "45"),
                   MS(60000, "60")},
    },
    {
        .family = "gen_ai_server_time_per_output_token_seconds",
        .help = "Between two tokens of a streamed reply, on average.",
        .unit = NS_PER_SECOND,
        .bounds = {MS(10, "0.01"), MS(25, "0.025"), MS(50, "0.05"), MS(75, "0.075"), MS(100, "0.1"),
                   MS(150, "0.15"), MS(200, "0.2"), MS(300, "0.3"), MS(400, "0.4"), MS(500, "0.5"),
                   MS(750, "0.75"), MS(1000, "1"), MS(2500, "2.5")},
    },
};

static const char *const token_types[GENAI_TOKEN_COUNT] = {
    [GENAI_INPUT] = "input",
    [GENAI_OUTPUT] = "output",
    [GENAI_CACHED_INPUT] = "cached_input",
    [GENAI_REASONING] = "reasoning",
};

static const struct histogram_shape *shape_of(size_t histogram) {
    return histogram < GENAI_TOKEN_COUNT ? &tokens : &durations[histogram - DURATION];
}

/* labels */

// Cut between two characters of UTF-8, if it has to be.
static void copy_name(char name[GENAI_NAME_BYTES], struct bytes text) {
    size_t len = bytes_cut_text(text, GENAI_NAME_BYTES - 1);
    if (len > 0) memcpy(name, text.data, len);
    name[len] = '\0';
    if (len == 0) memcpy(name, "unknown", sizeof("unknown"));
}

// FNV-1a, of a text and its end.
static uint64_t hash_text(uint64_t hash, const char *text) {
    do {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    } while (*text++ != '\0');
    return hash;
}

static void seal(struct genai_labels *labels) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = hash_text(hash, labels->operation);
    hash = hash_text(hash, labels->original_model);
    hash = hash_text(hash, labels->request_model);
    hash = hash_text(hash, labels->response_model);
    labels->hash = hash_text(hash, labels->error_type);
}

static bool are_equal(const struct genai_labels *a, const struct genai_labels *b) {
    return a->hash == b->hash && strcmp(a->operation, b->operation) == 0 &&
           strcmp(a->original_model, b->original_model) == 0 &&
           strcmp(a->request_model, b->request_model) == 0 &&
           strcmp(a->response_model, b->response_model) == 0 &&
           strcmp(a->error_type, b->error_type) == 0;
}

static void name_other(struct genai_labels *labels) {
    char *const names[] = {labels->original_model, labels->request_model, labels->response_model};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        memcpy(names[i], "other", sizeof("other"));
    }
}

static bool is_served(const struct genai_catalogue *catalogue, const char *model) {
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct genai_labels *labels = &catalogue->series[i];
        bool is_good = labels->error_type[0] == '\0';
        if (is_good && strcmp(labels->original_model, model) == 0) return true;
    }
    return false;
}

// The last places are for what is "other": one for each operation and error, as long as they last,
// and the very last for all the rest.
enum { PLACES_FOR_OTHER = 24 };

static bool find(struct genai_catalogue *catalogue, const struct genai_labels *labels, size_t most,
                 size_t *ret_series) {
    for (size_t i = 0; i < catalogue->count; i++) {
        if (!are_equal(&catalogue->series[i], labels)) continue;
        *ret_series = i;
        return true;
    }
    if (catalogue->count >= most) return false;
    catalogue->series[catalogue->count] = *labels;
    *ret_series = catalogue->count++;
    return true;
}

// The number of the series for these labels, which may become "other".
static size_t find_series(struct genai_catalogue *catalogue, struct genai_labels *labels) {
    size_t series;
    bool is_unknown = strcmp(labels->original_model, "unknown") == 0;
    bool is_failure = labels->error_type[0] != '\0';
    if (is_failure && !is_unknown && !is_served(catalogue, labels->original_model)) {
        name_other(labels);
    }
    seal(labels);
    if (find(catalogue, labels, GENAI_SERIES_MOST - PLACES_FOR_OTHER, &series)) return series;
    name_other(labels);
    seal(labels);
    if (find(catalogue, labels, GENAI_SERIES_MOST - 1, &series)) return series;
    labels->operation = "other";
    memcpy(labels->error_type, "_OTHER", sizeof("_OTHER"));
    seal(labels);
    bool has_place = find(catalogue, labels, GENAI_SERIES_MOST, &series);
    assert(has_place);
    (void)has_place;
    return series;
}

/* numbers */

static struct genai_series *series_of(struct genai *genai, size_t index) {
    struct genai_series *series = atomic_load_explicit(&genai->series[index], memory_order_relaxed);
    if (series != NULL) return series;
    series = calloc(1, sizeof(*series));
    // pairs with the acquire in genai_write
    atomic_store_explicit(&genai->series[index], series, memory_order_release);
    return series;
}

static void add(struct genai_series *series, size_t histogram, int64_t value) {
    histogram_add(&series->histograms[histogram], shape_of(histogram), value, 1);
}

static bool is_name(const char name[GENAI_NAME_BYTES], struct bytes text) {
    return text.len != 0 && text.len < GENAI_NAME_BYTES && name[text.len] == '\0' &&
           bytes_are_same((const uint8_t *)name, text.data, text.len);
}

// Whether the labels are those of the series. Context: any thread, without the lock: a series
// keeps its labels.
static bool is_series_of(const struct genai_labels *series, const struct genai_request *request) {
    return series->operation == request->operation && request->error_type == NULL &&
           is_name(series->original_model, request->original_model) &&
           is_name(series->request_model, request->request_model) &&
           is_name(series->response_model, request->response_model);
}

// Also takes a place for the series if it has none yet.
static size_t look_up(struct genai *genai, const struct genai_request *request) {
    struct genai_catalogue *catalogue = genai->catalogue;
    struct genai_labels labels = {.operation = request->operation};
    copy_name(labels.original_model, request->original_model);
    copy_name(labels.request_model, request->request_model);
    copy_name(labels.response_model, request->response_model);
    if (request->error_type != NULL) {
        copy_name(labels.error_type, bytes_of_text(request->error_type));
    }
    pthread_mutex_lock(&catalogue->lock);
    size_t index = find_series(catalogue, &labels);
    pthread_mutex_unlock(&catalogue->lock);
    if (request->error_type == NULL) genai->latest = &catalogue->series[index];
    return index;
}

void genai_record(struct genai *genai, const struct genai_request *request) {
    if (genai == NULL) return;
    bool is_latest = genai->latest != NULL && is_series_of(genai->latest, request);
    size_t index = is_latest ? (size_t)(genai->latest - genai->catalogue->series)
                             : look_up(genai, request);
    struct genai_series *series = series_of(genai, index);
    if (series == NULL) return;
    for (size_t i = 0; i < GENAI_TOKEN_COUNT; i++) {
        if (request->tokens[i].is_known) add(series, i, (int64_t)request->tokens[i].tokens);
    }
    add(series, DURATION, request->duration_ns);
    if (request->first_token_ns >= 0) add(series, FIRST_TOKEN, request->first_token_ns);
    if (request->per_token_ns >= 0) add(series, PER_TOKEN, request->per_token_ns);
}

/* text */

// A label's value: "label_value can be any sequence of UTF-8 characters, but the backslash, double
// quote and line feed have to be escaped".
static enum status write_value(const char *name, const char *value, struct buffer *text) {
    enum status status = buffer_append_format(text, "%s=\"", name);
    for (const char *next = value; *next != '\0' && status == STATUS_OK; next++) {
        const char *escape = *next == '\\'   ? "\\\\"
                             : *next == '"'  ? "\\\""
                             : *next == '\n' ? "\\n"
                                             : NULL;
        status = escape != NULL ? buffer_append_text(text, escape)
                                : buffer_append_byte(text, (uint8_t)*next);
    }
    return status == STATUS_OK ? buffer_append_text(text, "\",") : status;
}

// As one C string.
static enum status write_labels(const struct genai_labels *labels, size_t histogram,
                                struct buffer *text) {
    bool is_tokens = histogram < GENAI_TOKEN_COUNT;
    const char *pairs[][2] = {
        {"gen_ai_operation_name", labels->operation},
        {"gen_ai_provider_name", "openai"},
        {"gen_ai_original_model", labels->original_model},
        {"gen_ai_request_model", labels->request_model},
        {"gen_ai_response_model", labels->response_model},
        {"gen_ai_token_type", is_tokens ? token_types[histogram] : ""},
        {"error_type", labels->error_type},
    };
    text->len = 0;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        if (pairs[i][1][0] == '\0') continue;  // a label that is not there
        enum status status = write_value(pairs[i][0], pairs[i][1], text);
        if (status != STATUS_OK) return status;
    }
    text->data[text->len - 1] = '\0';  // in place of the last comma
    return STATUS_OK;
}

struct writing {
    const struct genai_labels *labels;
    size_t label_count;
    struct genai *const *threads;
    size_t thread_count;
    const struct histogram **histograms;  // room for one of each thread
    struct buffer name;
    struct buffer *text;
};

static enum status write_one(struct writing *writing, size_t series, size_t histogram) {
    for (size_t i = 0; i < writing->thread_count; i++) {
        const struct genai_series *one = atomic_load_explicit(&writing->threads[i]->series[series],
                                                              memory_order_acquire);
        writing->histograms[i] = one != NULL ? &one->histograms[histogram] : NULL;
    }
    enum status status = write_labels(&writing->labels[series], histogram, &writing->name);
    if (status != STATUS_OK) return status;
    return histogram_write(shape_of(histogram), writing->histograms, writing->thread_count,
                           (const char *)writing->name.data, writing->text);
}

static enum status write_all(struct writing *writing) {
    for (size_t histogram = 0; histogram < HISTOGRAMS; histogram++) {
        enum status status = STATUS_OK;
        if (histogram == 0 || histogram >= DURATION) {
            status = histogram_write_head(shape_of(histogram), writing->text);
        }
        for (size_t i = 0; i < writing->label_count && status == STATUS_OK; i++) {
            status = write_one(writing, i, histogram);
        }
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

enum status genai_write(struct genai_catalogue *catalogue, struct genai *const *threads,
                        size_t count, struct buffer *text) {
    struct writing writing = {.threads = threads, .thread_count = count, .text = text};
    struct genai_labels *labels = malloc(sizeof(catalogue->series));
    writing.labels = labels;
    writing.histograms = calloc(count, sizeof(*writing.histograms));
    enum status status = STATUS_NO_MEMORY;
    if (labels == NULL || writing.histograms == NULL) goto done;
    pthread_mutex_lock(&catalogue->lock);
    writing.label_count = catalogue->count;
    memcpy(labels, catalogue->series, catalogue->count * sizeof(*labels));
    pthread_mutex_unlock(&catalogue->lock);
    status = write_all(&writing);
done:
    buffer_done(&writing.name);
    free(writing.histograms);
    free(labels);
    return status;
}

void genai_done(struct genai *genai) {
    for (size_t i = 0; i < GENAI_SERIES_MOST; i++) {
        free(atomic_load_explicit(&genai->series[i], memory_order_relaxed));
    }
}
