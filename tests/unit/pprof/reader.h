// SPDX-License-Identifier: Apache-2.0
// Reads a profile as a client does, written from profile.proto and not from the encoder, and checks
// on the way what the format promises. For tests: what is wrong fails the test.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/bytes.h"

enum {
    READER_FRAMES_MOST = 128,
    READER_VALUES_MOST = 4,
    READER_LABELS_MOST = 8,
    READER_COMMENTS_MOST = 64,
};

struct reader_type {
    const char *type, *unit;
};

struct reader_label {
    const char *key, *text;
    int64_t number;
};

struct reader_sample {
    uint64_t locations[READER_FRAMES_MOST];
    size_t location_count;
    int64_t values[READER_VALUES_MOST];
    size_t value_count;
    struct reader_label labels[READER_LABELS_MOST];
    size_t label_count;
};

struct reader_mapping {
    uint64_t id, start, limit, offset;
    const char *file, *build_id;
    bool has_functions, has_other_flags;
};

struct reader_line {
    uint64_t function;
    int64_t line;
};

struct reader_location {
    uint64_t id, mapping, address;
    struct reader_line lines[32];
    size_t line_count;
};

struct reader_function {
    uint64_t id;
    const char *name, *system_name, *file;
};

struct reader_profile {
    struct buffer whole;
    char **strings;
    size_t string_count;
    struct reader_type types[READER_VALUES_MOST], period_type;
    size_t type_count;
    struct reader_sample *samples;
    struct reader_mapping *mappings;
    struct reader_location *locations;
    struct reader_function *functions;
    size_t sample_count, mapping_count, location_count, function_count;
    int64_t time_ns, duration_ns, period;
    const char *default_type;
    const char *comments[READER_COMMENTS_MOST];
    size_t comment_count;
};

// Inflates a whole gzip file, and nothing may follow it.
static inline void reader_unpack(struct bytes packed, struct buffer *out) {
    z_stream stream = {.next_in = (z_const Bytef *)packed.data, .avail_in = (uInt)packed.len};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    int result = Z_OK;
    while (result == Z_OK) {
        uint8_t *room;
        assert_int_equal(buffer_reserve(out, 4096, &room), STATUS_OK);
        stream.next_out = room;
        stream.avail_out = 4096;
        result = inflate(&stream, Z_NO_FLUSH);
        out->len += 4096 - stream.avail_out;
    }
    assert_int_equal(result, Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    inflateEnd(&stream);
}

struct reader_field {
    uint64_t number, value;  // value: of a varint
    struct bytes content;    // else
    bool is_varint;
};

static inline uint64_t reader_varint(struct bytes *rest) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_in_range(shift, 0, 63);
        assert_true(rest->len != 0);
        uint8_t byte = *rest->data;
        *rest = bytes_of(rest->data + 1, rest->len - 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
}

static inline bool reader_next(struct bytes *rest, struct reader_field *field) {
    if (rest->len == 0) return false;
    uint64_t tag = reader_varint(rest);
    *field = (struct reader_field){.number = tag >> 3, .is_varint = (tag & 7) == 0};
    field->value = reader_varint(rest);
    if (field->is_varint) return true;
    assert_int_equal(tag & 7, 2);
    assert_true(field->value <= rest->len);
    field->content = bytes_of(rest->data, (size_t)field->value);
    *rest = bytes_of(rest->data + field->value, rest->len - (size_t)field->value);
    return true;
}

static inline const char *reader_string(const struct reader_profile *profile, uint64_t index) {
    assert_true(index < profile->string_count);
    return profile->strings[index];
}

static inline struct reader_type reader_type_of(const struct reader_profile *profile,
                                                struct bytes rest) {
    struct reader_type type = {"", ""};
    for (struct reader_field field; reader_next(&rest, &field);) {
        if (field.number == 1) type.type = reader_string(profile, field.value);
        if (field.number == 2) type.unit = reader_string(profile, field.value);
    }
    return type;
}

static inline struct reader_label reader_label_of(const struct reader_profile *profile,
                                                  struct bytes rest) {
    struct reader_label label = {"", "", 0};
    for (struct reader_field field; reader_next(&rest, &field);) {
        if (field.number == 1) label.key = reader_string(profile, field.value);
        if (field.number == 2) label.text = reader_string(profile, field.value);
        if (field.number == 3) label.number = (int64_t)field.value;
    }
    return label;
}

static inline struct reader_sample reader_sample_of(const struct reader_profile *profile,
                                                    struct bytes rest) {
    struct reader_sample sample = {0};
    for (struct reader_field field; reader_next(&rest, &field);) {
        if (field.number == 3) {
            assert_in_range(sample.label_count, 0, READER_LABELS_MOST - 1);
            sample.labels[sample.label_count++] = reader_label_of(profile, field.content);
        }
        if (field.number > 2) continue;
        assert_false(field.is_varint);
        while (field.content.len != 0) {
            uint64_t value = reader_varint(&field.content);
            if (field.number == 1) {
                assert_in_range(sample.location_count, 0, READER_FRAMES_MOST - 1);
                sample.locations[sample.location_count++] = value;
            } else {
                assert_in_range(sample.value_count, 0, READER_VALUES_MOST - 1);
                sample.values[sample.value_count++] = (int64_t)value;
            }
        }
    }
    assert_int_equal(sample.value_count, profile->type_count);
    return sample;
}

static inline struct reader_mapping reader_mapping_of(const struct reader_profile *profile,
                                                      struct bytes rest) {
    struct reader_mapping mapping = {.file = "", .build_id = ""};
    for (struct reader_field field; reader_next(&rest, &field);) {
        if (field.number == 1) mapping.id = field.value;
        if (field.number == 2) mapping.start = field.value;
        if (field.number == 3) mapping.limit = field.value;
        if (field.number == 4) mapping.offset = field.value;
        if (field.number == 5) mapping.file = reader_string(profile, field.value);
        if (field.number == 6) mapping.build_id = reader_string(profile, field.value);
        if (field.number == 7) mapping.has_functions = field.value != 0;
        if (field.number > 7) mapping.has_other_flags = true;
    }
    return mapping;
}

static inline struct reader_location reader_location_of(struct bytes rest) {
    struct reader_location location = {0};
    for (struct reader_field field; reader_next(&rest, &field);) {
        if (field.number == 1) location.id = field.value;
        if (field.number == 2) location.mapping = field.value;
        if (field.number == 3) location.address = field.value;
        if (field.number != 4) continue;
        assert_in_range(location.line_count, 0, 31);
        struct reader_line *line = &location.lines[location.line_count++];
        for (struct reader_field inner; reader_next(&field.content, &inner);) {
            if (inner.number == 1) line->function = inner.value;
            if (inner.number == 2) line->line = (int64_t)inner.value;
        }
    }
    return location;
}

static inline struct reader_function reader_function_of(const struct reader_profile *profile,
                                                        struct bytes rest) {
    struct reader_function function = {.name = "", .system_name = "", .file = ""};
    for (struct reader_field field; reader_next(&rest, &field);) {
        if (field.number == 1) function.id = field.value;
        if (field.number == 2) function.name = reader_string(profile, field.value);
        if (field.number == 3) function.system_name = reader_string(profile, field.value);
        if (field.number == 4) function.file = reader_string(profile, field.value);
    }
    return function;
}

static inline size_t reader_count(struct bytes rest, uint64_t number) {
    size_t count = 0;
    for (struct reader_field field; reader_next(&rest, &field);) count += field.number == number;
    return count;
}

static inline void reader_strings(struct reader_profile *profile) {
    struct bytes rest = buffer_bytes(&profile->whole);
    profile->strings = calloc(reader_count(rest, 6) + 1, sizeof *profile->strings);
    for (struct reader_field field; reader_next(&rest, &field);) {
        if (field.number != 6) continue;
        char *text = strndup((const char *)field.content.data, field.content.len);
        assert_int_equal(strlen(text), field.content.len);
        profile->strings[profile->string_count++] = text;
    }
    assert_true(profile->string_count != 0);
    assert_string_equal(profile->strings[0], "");
    for (size_t i = 0; i < profile->string_count; i++) {
        for (size_t k = i + 1; k < profile->string_count && profile->string_count < 2000; k++) {
            assert_string_not_equal(profile->strings[i], profile->strings[k]);
        }
    }
}

// A repeated number, packed or not.
static inline void reader_comments(struct reader_profile *profile, struct reader_field field) {
    do {
        uint64_t index = field.is_varint ? field.value : reader_varint(&field.content);
        assert_in_range(profile->comment_count, 0, READER_COMMENTS_MOST - 1);
        profile->comments[profile->comment_count++] = reader_string(profile, index);
    } while (!field.is_varint && field.content.len != 0);
}

static inline void reader_field_of(struct reader_profile *profile, struct reader_field field) {
    switch (field.number) {
    case 1:
        assert_in_range(profile->type_count, 0, READER_VALUES_MOST - 1);
        profile->types[profile->type_count++] = reader_type_of(profile, field.content);
        break;
    case 2:
        profile->samples[profile->sample_count++] = reader_sample_of(profile, field.content);
        break;
    case 3:
        profile->mappings[profile->mapping_count++] = reader_mapping_of(profile, field.content);
        break;
    case 4:
        profile->locations[profile->location_count++] = reader_location_of(field.content);
        break;
    case 5:
        profile->functions[profile->function_count++] = reader_function_of(profile, field.content);
        break;
    case 6: break;
    case 9: profile->time_ns = (int64_t)field.value; break;
    case 10: profile->duration_ns = (int64_t)field.value; break;
    case 11: profile->period_type = reader_type_of(profile, field.content); break;
    case 12: profile->period = (int64_t)field.value; break;
    case 13: reader_comments(profile, field); break;
    case 14: profile->default_type = reader_string(profile, field.value); break;
    default: fail_msg("unexpected field %d", (int)field.number);
    }
}

// Ids are 1, 2, 3 …, and each that is named exists.
static inline void reader_check(const struct reader_profile *profile) {
    for (size_t i = 0; i < profile->mapping_count; i++) {
        assert_int_equal(profile->mappings[i].id, i + 1);
        assert_true(profile->mappings[i].start < profile->mappings[i].limit);
        assert_false(profile->mappings[i].has_other_flags);
    }
    for (size_t i = 0; i < profile->function_count; i++) {
        assert_int_equal(profile->functions[i].id, i + 1);
        assert_true(profile->functions[i].name[0] != '\0');
        assert_string_equal(profile->functions[i].name, profile->functions[i].system_name);
    }
    for (size_t i = 0; i < profile->location_count; i++) {
        const struct reader_location *location = &profile->locations[i];
        assert_int_equal(location->id, i + 1);
        assert_in_range(location->mapping, 0, profile->mapping_count);
        for (size_t k = 0; k < location->line_count; k++) {
            assert_in_range(location->lines[k].function, 1, profile->function_count);
        }
        if (location->mapping == 0) continue;
        const struct reader_mapping *mapping = &profile->mappings[location->mapping - 1];
        assert_in_range(location->address, mapping->start, mapping->limit - 1);
        if (mapping->has_functions) assert_true(location->line_count != 0);
    }
    for (size_t i = 0; i < profile->sample_count; i++) {
        for (size_t k = 0; k < profile->samples[i].location_count; k++) {
            assert_in_range(profile->samples[i].locations[k], 1, profile->location_count);
        }
    }
}

static inline struct reader_profile reader_read(struct bytes packed) {
    struct reader_profile profile = {0};
    reader_unpack(packed, &profile.whole);
    struct bytes rest = buffer_bytes(&profile.whole);
    profile.samples = calloc(reader_count(rest, 2) + 1, sizeof *profile.samples);
    profile.mappings = calloc(reader_count(rest, 3) + 1, sizeof *profile.mappings);
    profile.locations = calloc(reader_count(rest, 4) + 1, sizeof *profile.locations);
    profile.functions = calloc(reader_count(rest, 5) + 1, sizeof *profile.functions);
    reader_strings(&profile);
    for (struct reader_field field; reader_next(&rest, &field);) reader_field_of(&profile, field);
    reader_check(&profile);
    return profile;
}

static inline void reader_done(struct reader_profile *profile) {
    for (size_t i = 0; i < profile->string_count; i++) free(profile->strings[i]);
    free(profile->strings);
    free(profile->samples);
    free(profile->mappings);
    free(profile->locations);
    free(profile->functions);
    buffer_done(&profile->whole);
}

// The frame of a sample, 0 the leaf.
static inline const struct reader_location *reader_frame(const struct reader_profile *profile,
                                                         const struct reader_sample *sample,
                                                         size_t place) {
    assert_in_range(place, 0, sample->location_count - 1);
    return &profile->locations[sample->locations[place] - 1];
}

static inline const struct reader_function *reader_function(const struct reader_profile *profile,
                                                            const struct reader_location *location,
                                                            size_t place) {
    assert_in_range(place, 0, location->line_count - 1);
    return &profile->functions[location->lines[place].function - 1];
}
