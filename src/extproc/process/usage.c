// SPDX-License-Identifier: Apache-2.0
// The places in a text that matter are a small tree, given as a table of its edges; everything else
// is passed over by the scanner.
#include "extproc/process/usage.h"

#include "base/attributes.h"

static const uint64_t TOKENS_MOST = UINT64_C(1) << 53;

// Objects. The events of a responses stream wrap the reply:
// {"type":"response.completed","response":{…}}
enum { ELSEWHERE, ROOT, RESPONSE, USAGE, INPUT_DETAILS, OUTPUT_DETAILS, PLACES };

enum field_kind { FIELD_OBJECT, FIELD_MODEL, FIELD_COUNT };

struct usage_field {
    struct bytes key;
    uint8_t kind;      // enum field_kind
    uint8_t leads_to;  // an object's place, a count's kind
};

static const struct usage_field root_fields[] = {
    {BYTES_LITERAL("model"), FIELD_MODEL, 0},
    {BYTES_LITERAL("usage"), FIELD_OBJECT, USAGE},
    {BYTES_LITERAL("response"), FIELD_OBJECT, RESPONSE},
};

// The same thing has one name in chat completions, completions and embeddings, and another one in
// responses.
static const struct usage_field usage_fields[] = {
    {BYTES_LITERAL("prompt_tokens"), FIELD_COUNT, USAGE_INPUT},
    {BYTES_LITERAL("completion_tokens"), FIELD_COUNT, USAGE_OUTPUT},
    {BYTES_LITERAL("total_tokens"), FIELD_COUNT, USAGE_TOTAL},
    {BYTES_LITERAL("prompt_tokens_details"), FIELD_OBJECT, INPUT_DETAILS},
    {BYTES_LITERAL("completion_tokens_details"), FIELD_OBJECT, OUTPUT_DETAILS},
    {BYTES_LITERAL("input_tokens"), FIELD_COUNT, USAGE_INPUT},
    {BYTES_LITERAL("output_tokens"), FIELD_COUNT, USAGE_OUTPUT},
    {BYTES_LITERAL("input_tokens_details"), FIELD_OBJECT, INPUT_DETAILS},
    {BYTES_LITERAL("output_tokens_details"), FIELD_OBJECT, OUTPUT_DETAILS},
};

static const struct usage_field input_details[] = {
    {BYTES_LITERAL("cached_tokens"), FIELD_COUNT, USAGE_CACHED_INPUT},
};

static const struct usage_field output_details[] = {
    {BYTES_LITERAL("reasoning_tokens"), FIELD_COUNT, USAGE_REASONING},
};

#define LENGTH(key) SCAN_KEY_LENGTH(sizeof(key) - 1)

// What is looked for in each.
static const struct {
    const struct usage_field *fields;
    size_t count;
    uint64_t key_lengths;
} places[PLACES] = {
    [ROOT] = {root_fields, COUNT_OF(root_fields),
              LENGTH("model") | LENGTH("usage") | LENGTH("response")},
    // It is in itself no more.
    [RESPONSE] = {root_fields, COUNT_OF(root_fields) - 1, LENGTH("model") | LENGTH("usage")},
    [USAGE] = {usage_fields, COUNT_OF(usage_fields), SCAN_ALL_KEYS},
    [INPUT_DETAILS] = {input_details, COUNT_OF(input_details), LENGTH("cached_tokens")},
    [OUTPUT_DETAILS] = {output_details, COUNT_OF(output_details), LENGTH("reasoning_tokens")},
};

bool usage_is_known(const struct usage *usage) {
    for (size_t i = 0; i < USAGE_KIND_COUNT; i++) {
        if (usage->counts[i].is_known) return true;
    }
    return false;
}

void usage_begin(struct usage_reader *reader) {
    scan_init(&reader->scan, reader->room, sizeof(reader->room));
    reader->places[0] = ELSEWHERE;
    reader->field = NULL;
}

static const struct usage_field *find_field(const struct usage_reader *reader) {
    const struct scan *scan = &reader->scan;
    uint8_t place = reader->places[scan->depth];
    for (size_t i = 0; i < places[place].count; i++) {
        if (bytes_equal(places[place].fields[i].key, scan->text)) return &places[place].fields[i];
    }
    return NULL;
}

// Places are known for what is not skipped, so no depth beyond theirs is entered.
static void open_object(struct usage_reader *reader, const struct usage_field *field) {
    struct scan *scan = &reader->scan;
    bool is_root = scan->depth == 1;
    if (!is_root && (field == NULL || field->kind != FIELD_OBJECT)) {
        scan_skip(scan);
        return;
    }
    uint8_t place = is_root ? ROOT : field->leads_to;
    reader->places[scan->depth] = place;
    scan->key_lengths = places[place].key_lengths;
    if (place == USAGE) memset(reader->counts, 0, sizeof(reader->counts));
}

static void close_object(struct usage_reader *reader, struct usage *usage) {
    struct scan *scan = &reader->scan;
    scan->key_lengths = places[reader->places[scan->depth]].key_lengths;
    if (reader->places[scan->depth + 1] != USAGE) return;
    bool is_known = false;
    for (size_t i = 0; i < USAGE_KIND_COUNT; i++) is_known |= reader->counts[i].is_known;
    if (is_known) memcpy(usage->counts, reader->counts, sizeof(usage->counts));
}

static void take_number(struct usage_reader *reader, const struct usage_field *field) {
    const struct scan *scan = &reader->scan;
    if (field == NULL || field->kind != FIELD_COUNT) return;
    if (!scan->is_whole || scan->number > TOKENS_MOST) return;
    reader->counts[field->leads_to] = (struct usage_count){true, scan->number};
}

static void take_text(const struct usage_reader *reader, const struct usage_field *field,
                      struct usage *usage) {
    struct bytes text = reader->scan.text;
    if (field == NULL || field->kind != FIELD_MODEL || text.len == 0) return;
    memcpy(usage->model, text.data, text.len);
    usage->model_bytes = text.len;
}

bool usage_add(struct usage_reader *reader, struct bytes piece, struct usage *usage) {
    struct scan *scan = &reader->scan;
    enum scan_token token;
    scan_add(scan, piece);
    while ((token = scan_next(scan)) > SCAN_MORE) {
        const struct usage_field *field = reader->field;
        reader->field = NULL;
        switch (token) {
        case SCAN_KEY:
            reader->field = find_field(reader);
            if (reader->field == NULL) scan_skip(scan);
            break;
        case SCAN_OBJECT: open_object(reader, field); break;
        case SCAN_OBJECT_END: close_object(reader, usage); break;
        case SCAN_NUMBER: take_number(reader, field); break;
        case SCAN_STRING: take_text(reader, field, usage); break;
        default: break;
        }
    }
    return token != SCAN_FAULT;
}

bool usage_end(struct usage_reader *reader) {
    return scan_end(&reader->scan);
}
