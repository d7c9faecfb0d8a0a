// SPDX-License-Identifier: Apache-2.0
// What is served under /debug/pprof/ beside the sources of profile/source.h: one table for look-up
// and index alike. To add an endpoint, write its file and add its row.
#pragma once

#include "pprof/http/exchange.h"
#include "pprof/profile/source.h"

struct endpoint {
    const char *name;
    const char *description;  // for the index, HTML; NULL: not listed
    void (*answer)(const struct request *request, struct answer *answer);
    size_t body_bytes_most;  // of a POST; 0: nobody reads it
};

// Sorted by name, as the index shows them.
extern const struct endpoint endpoints[];
extern const size_t endpoint_count;

void endpoint_answer_index(struct answer *answer);
void endpoint_answer_cmdline(const struct request *request, struct answer *answer);
void endpoint_answer_profile(const struct request *request, struct answer *answer);
void endpoint_answer_symbol(const struct request *request, struct answer *answer);
// Snapshot, delta or text of any source.
void endpoint_answer_source(const struct source *source, const struct request *request,
                            struct answer *answer);
void endpoint_answer_trace(const struct request *request, struct answer *answer);

// True for what a browser asks for when somebody follows a link to the index.
bool endpoint_is_index(const char *method, struct bytes path);

// How much of a request's body is worth keeping; 0: nobody reads it.
size_t endpoint_body_bytes_most(const char *method, struct bytes path, bool is_form);

// Answers any request: redirects, the table, errors. Never fails. Context: any thread.
void endpoint_route(const struct request *request, struct answer *answer);
