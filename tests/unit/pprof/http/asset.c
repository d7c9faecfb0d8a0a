// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/asset.c"

#include <stdio.h>
#include <zlib.h>

static struct answer ask(const char *name, const char *if_none_match) {
    const struct asset *asset = asset_find(bytes_of_text(name));
    assert_non_null(asset);
    const struct request request = {.method = "GET", .if_none_match = if_none_match};
    struct answer answer = {0};
    asset_answer(asset, &request, &answer);
    return answer;
}

static void test_asset__each_is_a_gzip_file_with_a_tag_of_its_own(void **state) {
    (void)state;
    assert_true(asset_count >= 3);
    for (size_t i = 0; i < asset_count; i++) {
        assert_true(bytes_start_with(bytes_of_text(assets[i].name), BYTES_LITERAL("page/")));
        struct answer answer = ask(assets[i].name, NULL);
        assert_int_equal(answer.status, 200);
        assert_true(answer.is_page);
        assert_string_equal(answer.etag, assets[i].etag);
        assert_int_equal(answer.etag[0], '"');
        uint8_t text[256];
        z_stream stream = {.next_in = answer.body.data,
                           .avail_in = (uInt)answer.body.len,
                           .next_out = text,
                           .avail_out = sizeof text};
        assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
        assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
        inflateEnd(&stream);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(assets[i].etag, assets[j].etag);
        answer_done(&answer);
    }
}

static void test_asset__who_has_it_gets_no_body(void **state) {
    (void)state;
    const char *tag = assets[0].etag;
    char list[128];
    snprintf(list, sizeof list, "\"x\", W/%s", tag);
    const char *const same[] = {tag, list};
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        struct answer answer = ask(assets[0].name, same[i]);
        assert_int_equal(answer.status, 304);
        assert_int_equal(answer.body.len, 0);
        answer_done(&answer);
    }
    struct answer answer = ask(assets[0].name, assets[1].etag);
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
}

static void test_asset__there_is_none_of_another_name(void **state) {
    (void)state;
    static const char *const names[] = {"", "page/", "page", "page/main", "page/main.mjs/"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_null(asset_find(bytes_of_text(names[i])));
    }
}
