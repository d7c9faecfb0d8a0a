// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/asset.h"

const struct asset *asset_find(struct bytes name) {
    for (size_t i = 0; i < asset_count; i++) {
        if (bytes_equal(bytes_of_text(assets[i].name), name)) return &assets[i];
    }
    return NULL;
}

void asset_answer(const struct asset *asset, const struct request *request, struct answer *answer) {
    *answer = (struct answer){
        .status = 200, .content_type = asset->content_type, .etag = asset->etag, .is_page = true};
    // RFC 9110 section 13.1.2: a list of tags, compared weakly: what matters stands in the quotes.
    if (request->if_none_match != NULL && strstr(request->if_none_match, asset->etag) != NULL) {
        answer->status = 304;
        return;
    }
    enum status status = buffer_append(&answer->body, asset->file);
    if (status != STATUS_OK) answer_failure(answer, status);
}
