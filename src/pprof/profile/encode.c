// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/encode.h"

#include "pprof/profile/gzip.h"
#include "pprof/profile/labels.h"
#include "pprof/profile/numbering.h"
#include "pprof/profile/protobuf.h"
#include "pprof/profile/reserve.h"
#include "pprof/stack/image.h"
#include "pprof/symbol/symbol.h"

// Field numbers of profile.proto, with the type of each.
enum {
    PROFILE_SAMPLE_TYPE = 1,           // repeated ValueType
    PROFILE_SAMPLE = 2,                // repeated Sample
    PROFILE_MAPPING = 3,               // repeated Mapping
    PROFILE_LOCATION = 4,              // repeated Location
    PROFILE_FUNCTION = 5,              // repeated Function
    PROFILE_STRING_TABLE = 6,          // repeated string
    PROFILE_TIME_NANOS = 9,            // int64
    PROFILE_DURATION_NANOS = 10,       // int64
    PROFILE_PERIOD_TYPE = 11,          // ValueType
    PROFILE_PERIOD = 12,               // int64
    PROFILE_COMMENT = 13,              // repeated int64 (string table index)
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,  // int64 (string table index)

    VALUE_TYPE_TYPE = 1,  // int64 (string table index)
    VALUE_TYPE_UNIT = 2,  // int64 (string table index)

    SAMPLE_LOCATION_ID = 1,  // repeated uint64, leaf first
    SAMPLE_VALUE = 2,        // repeated int64
    SAMPLE_LABEL = 3,        // repeated Label

    LABEL_KEY = 1,  // int64 (string table index)
    LABEL_STR = 2,  // int64 (string table index)
    LABEL_NUM = 3,  // int64

    MAPPING_ID = 1,             // uint64
    MAPPING_MEMORY_START = 2,   // uint64
    MAPPING_MEMORY_LIMIT = 3,   // uint64
    MAPPING_FILE_OFFSET = 4,    // uint64
    MAPPING_FILENAME = 5,       // int64 (string table index)
    MAPPING_BUILD_ID = 6,       // int64 (string table index)
    MAPPING_HAS_FUNCTIONS = 7,  // bool

    LOCATION_ID = 1,          // uint64
    LOCATION_MAPPING_ID = 2,  // uint64
    LOCATION_ADDRESS = 3,     // uint64
    LOCATION_LINE = 4,        // repeated Line, innermost inlined function first

    LINE_FUNCTION_ID = 1,  // uint64
    LINE_LINE = 2,         // int64

    FUNCTION_ID = 1,           // uint64
    FUNCTION_NAME = 2,         // int64 (string table index)
    FUNCTION_SYSTEM_NAME = 3,  // int64 (string table index)
    FUNCTION_FILENAME = 4,     // int64 (string table index)
};

enum { COMMENTS_MOST = 32, FLUSH_BYTES = 32 << 10, TABLE_BYTES_MOST = 64 << 20 };

struct location_key {
    uintptr_t address;
    uintptr_t is_name;  // the address is a text's
};

struct function_key {
    uint32_t name, file;  // string table indexes
};

struct encoder {
    const struct profile *profile;
    struct protobuf whole;    // the profile's fields, flushed into gzip now and then
    struct protobuf message;  // the message being built
    struct protobuf inner;    // a message inside that one
    struct numbering strings, functions, locations;
    bool is_unresolved[IMAGES_MOST];  // by image: some location there has no name
    struct gzip gzip;
    enum status status;  // the first failure
};

static void note(struct encoder *encoder, enum status status) {
    if (encoder->status == STATUS_OK) encoder->status = status;
}

static uint32_t number_of(struct encoder *encoder, struct numbering *numbering, struct bytes key) {
    uint32_t number = 0;
    note(encoder, numbering_find(numbering, key, &number));
    return number;
}

static uint32_t text_index(struct encoder *encoder, const char *text) {
    return number_of(encoder, &encoder->strings, bytes_of_text(text));
}

// Ends the message under way: it becomes a field of `parent`.
static void close_message(struct encoder *encoder, struct protobuf *message,
                          struct protobuf *parent, uint32_t field) {
    note(encoder, message->status);
    protobuf_write_bytes(parent, field, buffer_bytes(&message->buffer));
    message->buffer.len = 0;
}

static void close_top(struct encoder *encoder, uint32_t field) {
    close_message(encoder, &encoder->message, &encoder->whole, field);
    note(encoder, encoder->whole.status);
    if (encoder->whole.buffer.len < FLUSH_BYTES) return;
    note(encoder, gzip_write(&encoder->gzip, buffer_bytes(&encoder->whole.buffer)));
    encoder->whole.buffer.len = 0;
}

static void write_type(struct encoder *encoder, uint32_t field, const struct profile_type *type) {
    protobuf_write_int64(&encoder->message, VALUE_TYPE_TYPE, text_index(encoder, type->type));
    protobuf_write_int64(&encoder->message, VALUE_TYPE_UNIT, text_index(encoder, type->unit));
    close_top(encoder, field);
}

static void write_text_label(struct encoder *encoder, const char *key, const char *value) {
    protobuf_write_int64(&encoder->inner, LABEL_KEY, text_index(encoder, key));
    protobuf_write_int64(&encoder->inner, LABEL_STR, text_index(encoder, value));
    close_message(encoder, &encoder->inner, &encoder->message, SAMPLE_LABEL);
}

static void write_labels(struct encoder *encoder, const struct sample_key *key) {
    if (key->thread[0] != '\0') write_text_label(encoder, "thread", key->thread);
    if (key->state != NULL) write_text_label(encoder, "state", key->state);
    const struct label_set *set = labels_get(key->labels);
    for (int i = 0; set != NULL && i < LABELS_MOST && set->labels[i].key[0] != '\0'; i++) {
        write_text_label(encoder, set->labels[i].key, set->labels[i].value);
    }
    if (key->size_bytes == 0) return;
    protobuf_write_int64(&encoder->inner, LABEL_KEY, text_index(encoder, "bytes"));
    protobuf_write_uint64(&encoder->inner, LABEL_NUM, key->size_bytes);
    close_message(encoder, &encoder->inner, &encoder->message, SAMPLE_LABEL);
}

static void write_sample(struct encoder *encoder, const struct sample *sample, size_t type_count) {
    const struct sample_key *key = &sample->key;
    uint64_t ids[STACK_DEPTH];
    for (uint32_t i = 0; i < key->depth; i++) {
        const struct location_key place = {key->addresses[i], key->has_names};
        struct bytes bytes = bytes_of(&place, sizeof place);
        ids[i] = number_of(encoder, &encoder->locations, bytes) + UINT64_C(1);
    }
    uint64_t values[SAMPLE_VALUES];
    for (size_t i = 0; i < type_count; i++) values[i] = (uint64_t)sample->values[i];
    protobuf_write_packed(&encoder->message, SAMPLE_LOCATION_ID, ids, key->depth);
    protobuf_write_packed(&encoder->message, SAMPLE_VALUE, values, type_count);
    write_labels(encoder, key);
    close_top(encoder, PROFILE_SAMPLE);
}

static void write_line(struct encoder *encoder, const struct symbol_line *line) {
    struct function_key key = {.name = text_index(encoder, line->function),
                               .file = text_index(encoder, line->file)};
    uint32_t number = number_of(encoder, &encoder->functions, bytes_of(&key, sizeof key));
    protobuf_write_uint64(&encoder->inner, LINE_FUNCTION_ID, number + UINT64_C(1));
    protobuf_write_int64(&encoder->inner, LINE_LINE, line->line);
    close_message(encoder, &encoder->inner, &encoder->message, LOCATION_LINE);
}

static void write_named_location(struct encoder *encoder, uint32_t number, const char *name) {
    protobuf_write_uint64(&encoder->message, LOCATION_ID, number + UINT64_C(1));
    write_line(encoder, &(const struct symbol_line){.function = name, .file = ""});
    close_top(encoder, PROFILE_LOCATION);
}

static void write_location(struct encoder *encoder, uint32_t number) {
    struct location_key place_key;
    memcpy(&place_key, numbering_key(&encoder->locations, number).data, sizeof place_key);
    if (place_key.is_name) {
        write_named_location(encoder, number, (const char *)place_key.address);
        return;
    }
    uintptr_t address = place_key.address;
    const struct image *image = images_find(address);
    size_t place = image != NULL ? (size_t)(image - images_get()->list) : 0;
    struct symbol_line lines[SYMBOL_LINES_MOST];
    size_t count = symbol_resolve(address, lines);
    if (count == 0 && image != NULL) encoder->is_unresolved[place] = true;
    protobuf_write_uint64(&encoder->message, LOCATION_ID, number + UINT64_C(1));
    if (image != NULL) protobuf_write_uint64(&encoder->message, LOCATION_MAPPING_ID, place + 1);
    protobuf_write_uint64(&encoder->message, LOCATION_ADDRESS, address);
    for (size_t i = 0; i < count; i++) write_line(encoder, &lines[i]);
    close_top(encoder, PROFILE_LOCATION);
}

static void write_mapping(struct encoder *encoder, size_t place) {
    const struct image *image = &images_get()->list[place];
    struct protobuf *message = &encoder->message;
    protobuf_write_uint64(message, MAPPING_ID, place + 1);
    protobuf_write_uint64(message, MAPPING_MEMORY_START, image->text_start);
    protobuf_write_uint64(message, MAPPING_MEMORY_LIMIT, image->text_end);
    protobuf_write_uint64(message, MAPPING_FILE_OFFSET, image->text_offset);
    protobuf_write_int64(message, MAPPING_FILENAME, text_index(encoder, image->path));
    protobuf_write_int64(message, MAPPING_BUILD_ID, text_index(encoder, image->build_id));
    // The one flag that Go sets. It keeps `go tool pprof` from looking for the binary.
    protobuf_write_bool(message, MAPPING_HAS_FUNCTIONS, !encoder->is_unresolved[place]);
    close_top(encoder, PROFILE_MAPPING);
}

static void write_function(struct encoder *encoder, uint32_t number) {
    struct function_key key;
    memcpy(&key, numbering_key(&encoder->functions, number).data, sizeof key);
    protobuf_write_uint64(&encoder->message, FUNCTION_ID, number + UINT64_C(1));
    protobuf_write_int64(&encoder->message, FUNCTION_NAME, key.name);
    protobuf_write_int64(&encoder->message, FUNCTION_SYSTEM_NAME, key.name);
    protobuf_write_int64(&encoder->message, FUNCTION_FILENAME, key.file);
    close_top(encoder, PROFILE_FUNCTION);
}

static void write_numbers(struct encoder *encoder) {
    const struct profile *profile = encoder->profile;
    protobuf_write_int64(&encoder->whole, PROFILE_TIME_NANOS, profile->time_wall_ns);
    protobuf_write_int64(&encoder->whole, PROFILE_DURATION_NANOS, profile->duration_ns);
    protobuf_write_int64(&encoder->whole, PROFILE_PERIOD, profile->period);
    if (profile->default_sample_type == NULL) return;
    protobuf_write_int64(&encoder->whole, PROFILE_DEFAULT_SAMPLE_TYPE,
                         text_index(encoder, profile->default_sample_type));
}

static void write_comments(struct encoder *encoder) {
    struct bytes rest = encoder->profile->comments;
    uint64_t indexes[COMMENTS_MOST];
    size_t count = 0;
    while (rest.len != 0 && count < COMMENTS_MOST) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.data) : rest.len;
        struct bytes line = bytes_of(rest.data, len);
        indexes[count++] = number_of(encoder, &encoder->strings, line);
        size_t used = end != NULL ? len + 1 : len;
        rest = bytes_of(rest.data + used, rest.len - used);
    }
    protobuf_write_packed(&encoder->whole, PROFILE_COMMENT, indexes, count);
}

// Samples meet locations, locations meet functions, and everything meets strings: each table is
// written once all that refer to it are.
static void write_all(struct encoder *encoder) {
    const struct profile *profile = encoder->profile;
    text_index(encoder, "");  // the string table's first entry must be empty
    size_t type_count = 0;
    while (type_count < SAMPLE_VALUES && profile->sample_types[type_count].type != NULL) {
        write_type(encoder, PROFILE_SAMPLE_TYPE, &profile->sample_types[type_count++]);
    }
    write_type(encoder, PROFILE_PERIOD_TYPE, &profile->period_type);
    write_numbers(encoder);
    write_comments(encoder);
    for (const struct sample *s = profile->samples->first; s != NULL; s = s->next) {
        write_sample(encoder, s, type_count);
    }
    for (uint32_t i = 0; i < encoder->locations.count; i++) write_location(encoder, i);
    for (size_t i = 0; i < images_get()->count; i++) write_mapping(encoder, i);
    for (uint32_t i = 0; i < encoder->functions.count; i++) write_function(encoder, i);
    for (uint32_t i = 0; i < encoder->strings.count; i++) {
        struct bytes text = numbering_key(&encoder->strings, i);
        protobuf_write_bytes(&encoder->whole, PROFILE_STRING_TABLE, text);
    }
    note(encoder, encoder->whole.status);
}

enum status profile_encode(const struct profile *profile, struct buffer *out) {
    struct encoder encoder = {
        .profile = profile,
        .strings.pool.limit_bytes = TABLE_BYTES_MOST,
        .functions.pool.limit_bytes = TABLE_BYTES_MOST,
        .locations.pool.limit_bytes = TABLE_BYTES_MOST,
    };
    note(&encoder, reserve_prepare());
    if (encoder.status == STATUS_OK) note(&encoder, gzip_init(&encoder.gzip, out));
    if (encoder.status == STATUS_OK) write_all(&encoder);
    if (encoder.status == STATUS_OK) {
        note(&encoder, gzip_write(&encoder.gzip, buffer_bytes(&encoder.whole.buffer)));
    }
    if (encoder.status == STATUS_OK) note(&encoder, gzip_finish(&encoder.gzip));
    gzip_done(&encoder.gzip);
    buffer_done(&encoder.whole.buffer);
    buffer_done(&encoder.message.buffer);
    buffer_done(&encoder.inner.buffer);
    numbering_done(&encoder.strings);
    numbering_done(&encoder.functions);
    numbering_done(&encoder.locations);
    return encoder.status;
}
