// SPDX-License-Identifier: Apache-2.0
#include "pprof/profile/folded.h"

#include <inttypes.h>
#include <stdlib.h>

#include "pprof/profile/frames.h"
#include "pprof/profile/numbering.h"
#include "pprof/profile/reserve.h"

enum { STACK_TEXT_BYTES_MOST = 1 << 20 };

// A semicolon or a line's end inside a name would be read as the end of it.
static enum status append_name(const char *name, struct buffer *out) {
    enum status status = STATUS_OK;
    for (; status == STATUS_OK && *name != '\0'; name++) {
        uint8_t c = (uint8_t)*name;
        status = buffer_append_byte(out, c == ';' ? ':' : c < ' ' ? ' ' : c);
    }
    return status;
}

static enum status append_stack(const struct sample_key *key, struct buffer *out) {
    for (uint32_t i = key->depth; i-- > 0;) {
        struct frame frame;
        frame_read(key, i, &frame);
        for (size_t j = frame.line_count; j-- > 0;) {
            enum status status = out->len != 0 ? buffer_append_byte(out, ';') : STATUS_OK;
            if (status == STATUS_OK) status = append_name(frame.lines[j].function, out);
            if (status != STATUS_OK) return status;
        }
    }
    return out->len != 0 ? STATUS_OK : buffer_append_text(out, "(no stack)");
}

// `values` has room for one of each sample.
static enum status merge(const struct profile *profile, size_t value, struct numbering *stacks,
                         int64_t *values) {
    struct buffer text = {.limit = STACK_TEXT_BYTES_MOST};
    enum status status = STATUS_OK;
    for (const struct sample *s = profile->samples->first; s != NULL; s = s->next) {
        if (s->values[value] == 0) continue;
        uint32_t number = 0;
        text.len = 0;
        status = append_stack(&s->key, &text);
        if (status == STATUS_OK) status = numbering_find(stacks, buffer_bytes(&text), &number);
        if (status != STATUS_OK) break;
        values[number] += s->values[value];
    }
    buffer_done(&text);
    return status;
}

enum status folded_write(const struct profile *profile, size_t value, struct buffer *out) {
    uint32_t count = profile->samples->sample_count;
    if (count == 0) return STATUS_OK;
    enum status status = reserve_prepare();
    if (status != STATUS_OK) return status;
    int64_t *values = calloc(count, sizeof *values);
    if (values == NULL) return STATUS_NO_MEMORY;
    struct numbering stacks = {.pool.limit_bytes = out->limit};
    status = merge(profile, value, &stacks, values);
    for (uint32_t i = 0; status == STATUS_OK && i < stacks.count; i++) {
        status = buffer_append(out, numbering_key(&stacks, i));
        if (status == STATUS_OK) status = buffer_append_format(out, " %" PRId64 "\n", values[i]);
    }
    numbering_done(&stacks);
    free(values);
    return status;
}
