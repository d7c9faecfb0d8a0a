// SPDX-License-Identifier: Apache-2.0
// The JSON scanner against yyjson, which sees the whole text. The first byte is the size of the
// pieces, some larger than the blocks of 64 that are passed over. What is JSON and what is not,
// they must agree on; cut and whole, the tokens are the same; and the texts are those of yyjson's
// tree.
#include <stdlib.h>
#include <string.h>

#include "extproc/process/scan.h"

#include <yyjson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so) {
    if (!is_so) abort();
}

static void note(struct buffer *log, struct bytes bytes) {
    require(buffer_append(log, bytes) == STATUS_OK);
}

// A token with all that it says.
static void note_token(struct buffer *log, const struct scan *scan, enum scan_token token) {
    require(scan->token_offset < scan_offset(scan));
    require(buffer_append_format(log, "%d at %zu to %zu, %zu: ", token, scan->token_offset,
                                 scan_offset(scan), scan->depth) == STATUS_OK);
    if (token == SCAN_KEY || token == SCAN_STRING) {
        require(buffer_append_format(log, "%d", scan->text_is_cut) == STATUS_OK);
        if (!scan->text_is_cut) note(log, scan->text);
    }
    if (token == SCAN_NUMBER && scan->is_whole) {
        require(buffer_append_format(log, "%llu", (unsigned long long)scan->number) == STATUS_OK);
    }
    note(log, BYTES_LITERAL("\n"));
}

enum { TAKE_ALL, SKIP_EVEN, TAKE_ODD };  // keys of such lengths; one that is cut has none

static bool read_text(const uint8_t *data, size_t size, size_t step, int which,
                      struct buffer *log) {
    uint8_t room[32];
    struct scan scan;
    scan_init(&scan, room, sizeof(room));
    if (which == TAKE_ODD) scan.key_lengths = UINT64_C(0xaaaaaaaa);
    while (size != 0) {
        size_t length = size < step ? size : step;
        uint8_t *piece = malloc(length);
        require(piece != NULL);
        memcpy(piece, data, length);
        scan_add(&scan, bytes_of(piece, length));
        enum scan_token token;
        while ((token = scan_next(&scan)) > SCAN_MORE) {
            bool is_skipped = which == SKIP_EVEN && token == SCAN_KEY && scan.text.len % 2 == 0;
            if (is_skipped) scan_skip(&scan);
            if (!is_skipped) note_token(log, &scan, token);
        }
        free(piece);
        data += length;
        size -= length;
        if (token == SCAN_FAULT && step % 2 == 0) break;  // or not: it stays one
    }
    bool is_json = scan_end(&scan);
    if (!is_json) {
        require(scan.fault.what != NULL);
        require(buffer_append_format(log, "%s at %zu", scan.fault.what, scan.fault.offset) ==
                STATUS_OK);
    }
    return is_json;
}

// The texts of the tree in order, as the scanner would give them out.
static void check_texts(const uint8_t *data, size_t size, yyjson_val *root) {
    uint8_t room[64];
    struct scan scan;
    scan_init(&scan, room, sizeof(room));
    scan_add(&scan, bytes_of(data, size));
    yyjson_val *value = root;
    for (enum scan_token token; (token = scan_next(&scan)) > SCAN_MORE;) {
        if (token == SCAN_OBJECT_END || token == SCAN_ARRAY_END) continue;
        // yyjson's values lie one behind the other, in the order of the text.
        bool is_text = token == SCAN_KEY || token == SCAN_STRING;
        require(is_text == yyjson_is_str(value));
        if (is_text && !scan.text_is_cut) {
            require(bytes_equal(scan.text, bytes_of(yyjson_get_str(value), yyjson_get_len(value))));
        }
        if (token == SCAN_NUMBER) require(scan.is_whole == yyjson_is_uint(value));
        if (token == SCAN_NUMBER && scan.is_whole) require(scan.number == yyjson_get_uint(value));
        value++;
    }
    require(scan_end(&scan));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t step = (size_t)data[0] % 128 + 1;
    bool skips = data[0] >= 128;
    struct buffer whole = {0}, cut = {0};
    bool is_json = read_text(data + 1, size - 1, size, skips ? SKIP_EVEN : TAKE_ALL, &whole);
    require(is_json == read_text(data + 1, size - 1, step, skips ? TAKE_ODD : TAKE_ALL, &cut));
    require(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    buffer_done(&whole);
    buffer_done(&cut);

    yyjson_doc *document = yyjson_read((const char *)data + 1, size - 1, YYJSON_READ_BIGNUM_AS_RAW);
    require((document != NULL) == is_json || size > SCAN_DEPTH_MOST);
    if (document != NULL && is_json) check_texts(data + 1, size - 1, yyjson_doc_get_root(document));
    yyjson_doc_free(document);
    return 0;
}
