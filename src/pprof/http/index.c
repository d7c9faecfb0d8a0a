// SPDX-License-Identifier: Apache-2.0
// The index page: the table that Go's has, so that eyes and scripts find what they know. A browser
// with JavaScript makes more of it: src/pprof/page.
#include <inttypes.h>
#include <stdlib.h>

#include "pprof/http/asset.h"
#include "pprof/http/endpoint.h"
#include "pprof/http/served.h"

enum { ROWS_MOST = SOURCES_MOST + 16 };

// One line of the page, wherever it comes from.
struct row {
    const char *name, *description;
    int64_t count;
};

static size_t collect_rows(struct row rows[ROWS_MOST]) {
    size_t count = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        if (endpoints[i].description == NULL || !served_has(endpoints[i].name)) continue;
        rows[count++] = (struct row){endpoints[i].name, endpoints[i].description, 0};
    }
    const struct source *source;
    for (size_t i = 0; (source = source_at(i)) != NULL; i++) {
        if (!served_has(source->name)) continue;
        rows[count++] = (struct row){source->name, source->description,
                                     source->count(source->context)};
    }
    return count;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static enum status write_rows(const struct row *rows, size_t count, struct buffer *page) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        status = buffer_append_format(
            page, "<tr><td>%" PRId64 "</td><td><a href='%s?debug=1'>%s</a></td></tr>\n",
            rows[i].count, rows[i].name, rows[i].name);
    }
    return status;
}

static enum status write_descriptions(const struct row *rows, size_t count, struct buffer *page) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        status = buffer_append_format(page, "<li><div class=profile-name>%s: </div> %s</li>\n",
                                      rows[i].name, rows[i].description);
    }
    return status;
}

static enum status write_page(struct buffer *page) {
    struct row rows[ROWS_MOST];
    size_t count = collect_rows(rows);
    qsort(rows, count, sizeof rows[0], by_name);
    enum status status = buffer_append_text(
        page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width\">\n"
              "<title>/debug/pprof/</title>\n<link rel=\"icon\" href=\"data:,\">\n"
              "<link rel=\"stylesheet\" href=\"page/page.css\">\n"
              "<script type=\"module\" src=\"page/main.mjs\"></script>\n"
              "</head>\n<body>\n<main id=\"index\">\n<h1>/debug/pprof/</h1>\n"
              "<p>?debug=1 gives text where there is any; without it, what go tool pprof reads;\n"
              "?format=top and ?format=folded what a terminal reads.</p>\n"
              "<table>\n"
              "<thead><tr><td>Count</td><td>Profile</td></tr></thead>\n");
    if (status == STATUS_OK) status = write_rows(rows, count, page);
    if (status == STATUS_OK) {
        status = buffer_append_text(
            page,
            "</table>\n<a href=\"goroutine?debug=2\">full goroutine stack dump</a>\n<br>\n<p>\nWhat each is:\n<ul>\n");
    }
    if (status == STATUS_OK) status = write_descriptions(rows, count, page);
    if (status != STATUS_OK) return status;
    status = buffer_append_text(page, "</ul>\n</p>\n</main>\n");
    if (status == STATUS_OK) status = buffer_append(page, asset_viewer);
    if (status != STATUS_OK) return status;
    return buffer_append_text(page, "</body>\n</html>\n");
}

void endpoint_answer_index(struct answer *answer) {
    *answer = (struct answer){.status = 200, .content_type = CONTENT_HTML, .is_page = true};
    enum status status = write_page(&answer->body);
    if (status != STATUS_OK) answer_failure(answer, status);
}
