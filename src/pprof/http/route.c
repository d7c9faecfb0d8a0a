// SPDX-License-Identifier: Apache-2.0
// From a path to the endpoint that answers it, and where Go redirects.
#include "pprof/http/asset.h"
#include "pprof/http/endpoint.h"
#include "pprof/http/form.h"
#include "pprof/http/record.h"
#include "pprof/http/served.h"

static const char ROOT[] = "/debug/pprof/";

enum {
    FORM_BYTES_MOST = 64 << 10,   // as much as there may be of headers, with the query
    SYMBOL_BYTES_MOST = 1 << 20,  // of `go tool pprof`: some 70 000 addresses
};

const struct endpoint endpoints[] = {
    {"cmdline", "The program and its arguments, separated by NUL.", endpoint_answer_cmdline, 0},
    {"profile",
     "CPU time. Say for how long with ?seconds=N (30 without); then read the file with "
     "go tool pprof.",
     endpoint_answer_profile, 0},
    {"symbol",
     "Function names for program counters: ?0x1234+0x5678, or the same as the body of a POST.",
     endpoint_answer_symbol, SYMBOL_BYTES_MOST},
    {"trace", NULL, endpoint_answer_trace, 0},
};
const size_t endpoint_count = COUNT_OF(endpoints);

// Go's mux answers a path that is not clean by the clean one, and a folder without its slash by the
// one with it. 307 keeps the method.
static enum status write_redirect(const struct request *request, struct bytes path,
                                  struct answer *answer) {
    enum status status = buffer_append(&answer->location, path);
    if (status == STATUS_OK && request->query.len != 0) {
        status = buffer_append_byte(&answer->location, '?');
        if (status == STATUS_OK) status = buffer_append(&answer->location, request->query);
    }
    bool has_body = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (status != STATUS_OK || !has_body) return status;
    answer->content_type = CONTENT_HTML;
    status = buffer_append_text(&answer->body, "<a href=\"");
    for (size_t i = 0; status == STATUS_OK && i < answer->location.len; i++) {
        uint8_t c = answer->location.data[i];
        const char *escaped = c == '&'    ? "&amp;"
                              : c == '<'  ? "&lt;"
                              : c == '>'  ? "&gt;"
                              : c == '"'  ? "&#34;"
                              : c == '\'' ? "&#39;"
                                          : NULL;
        status = escaped != NULL ? buffer_append_text(&answer->body, escaped)
                                 : buffer_append_byte(&answer->body, c);
    }
    if (status != STATUS_OK) return status;
    return buffer_append_text(&answer->body, "\">Temporary Redirect</a>.\n\n");
}

static void redirect(const struct request *request, struct bytes path, struct answer *answer) {
    *answer = (struct answer){.status = 307, .is_plain = true};
    enum status status = write_redirect(request, path, answer);
    if (status != STATUS_OK) answer_failure(answer, status);
}

// For the audit and the metrics.
static void note(const struct request *request, const char *profile) {
    if (request->record != NULL) request->record->profile = profile;
}

static void be_quiet(const struct request *request) {
    if (request->record != NULL) request->record->is_quiet = true;
}

static const struct endpoint *find_endpoint(struct bytes name) {
    for (size_t i = 0; i < endpoint_count; i++) {
        if (bytes_equal(bytes_of_text(endpoints[i].name), name)) return &endpoints[i];
    }
    return NULL;
}

static void answer_name(const struct request *request, struct bytes name, struct answer *answer) {
    const struct endpoint *endpoint = find_endpoint(name);
    const struct source *source = source_find(name);
    if (endpoint != NULL && served_has(endpoint->name)) {
        note(request, endpoint->name);
        endpoint->answer(request, answer);
        return;
    }
    if (source != NULL && served_has(source->name)) {
        note(request, source->name);
        endpoint_answer_source(source, request, answer);
        return;
    }
    const struct asset *asset = asset_find(name);
    if (asset != NULL) {
        note(request, "page");
        be_quiet(request);
        asset_answer(asset, request, answer);
        return;
    }
    answer_error(answer, 404, "Unknown profile");
}

static void answer_index(const struct request *request, struct answer *answer) {
    note(request, "index");
    be_quiet(request);
    endpoint_answer_index(answer);
}

static void answer_not_found(struct answer *answer) {
    answer_error(answer, 404, "404 page not found");
    answer->is_pprof_error = false;  // the server's answer, not the package's
}

// `clean`: what the path should be. Only the name behind the folder is decoded: an escaped slash is
// no slash.
static void answer_path(const struct request *request, struct bytes clean, struct answer *answer) {
    struct bytes root = bytes_of_text(ROOT);
    if (bytes_equal(clean, bytes_of(root.data, root.len - 1))) clean = root;
    if (!bytes_equal(clean, request->path)) {
        redirect(request, clean, answer);
        return;
    }
    if (!bytes_start_with(clean, root)) {
        answer_not_found(answer);
        return;
    }
    if (clean.len == root.len) {
        answer_index(request, answer);
        return;
    }
    struct buffer name = {0};
    struct bytes escaped = bytes_of(clean.data + root.len, clean.len - root.len);
    if (form_decode_path(escaped, &name) == STATUS_OK) {
        answer_name(request, buffer_bytes(&name), answer);
    } else {
        answer_bad_request(answer);
    }
    buffer_done(&name);
}

// A target without a path: only OPTIONS may ask for "*", only CONNECT for a host.
static void answer_pathless(const struct request *request, struct answer *answer) {
    if (strcmp(request->method, "CONNECT") == 0) {
        answer_not_found(answer);
        return;
    }
    bool is_star = bytes_equal(request->path, BYTES_LITERAL("*"));
    if (is_star && strcmp(request->method, "OPTIONS") == 0) {
        *answer = (struct answer){.status = 200, .is_plain = true};
        return;
    }
    answer_bad_request(answer);
}

bool endpoint_is_index(const char *method, struct bytes path) {
    struct bytes root = bytes_of_text(ROOT);
    bool has_slash = bytes_equal(path, root);
    bool has_none = bytes_equal(path, bytes_of(root.data, root.len - 1));
    return strcmp(method, "GET") == 0 && (has_slash || has_none);
}

// What a POST to the path as sent would read. A path that is not clean is answered by a redirect.
static size_t posted_bytes_most(struct bytes path) {
    struct bytes root = bytes_of_text(ROOT);
    if (!bytes_start_with(path, root)) return 0;
    struct buffer name = {0};
    struct bytes escaped = bytes_of(path.data + root.len, path.len - root.len);
    enum status status = form_decode_path(escaped, &name);
    const struct endpoint *endpoint = find_endpoint(buffer_bytes(&name));
    buffer_done(&name);
    bool is_served = status == STATUS_OK && endpoint != NULL && served_has(endpoint->name);
    return is_served ? endpoint->body_bytes_most : 0;
}

size_t endpoint_body_bytes_most(const char *method, struct bytes path, bool is_form) {
    size_t most = strcmp(method, "POST") == 0 ? posted_bytes_most(path) : 0;
    return most == 0 && is_form ? FORM_BYTES_MOST : most;
}

void endpoint_route(const struct request *request, struct answer *answer) {
    if (request->path.len == 0 || request->path.data[0] != '/') {
        answer_pathless(request, answer);
        return;
    }
    struct buffer clean = {0};
    enum status status = form_clean_path(request->path, &clean);
    if (status == STATUS_OK) {
        // Go's mux leaves the path of CONNECT alone.
        bool is_connect = strcmp(request->method, "CONNECT") == 0;
        answer_path(request, is_connect ? request->path : buffer_bytes(&clean), answer);
    } else {
        answer_failure(answer, status);
    }
    buffer_done(&clean);
}
