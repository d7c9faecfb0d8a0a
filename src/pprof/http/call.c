// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/call.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pprof/http/access.h"
#include "pprof/http/endpoint.h"
#include "pprof/http/form.h"
#include "pprof/http/patience.h"
#include "pprof/http/peer.h"
#include "pprof/http/record.h"
#include "pprof/http/response.h"
#include "pprof/http/strict.h"
#include "pprof/profile/reserve.h"

enum { CONNECTION_BYTES = 512 << 10 };  // with its thread and its socket's buffers

// What is kept from the request line to the end of the answer.
struct call {
    struct buffer target;      // the raw request target
    struct bytes path, query;  // of it
    struct buffer body;        // its limit 0: it is not kept
    enum status body_status;   // of keeping the body
    bool is_form;              // what the body is
    char method[32];           // cut; for the record, when the library has forgotten it
    bool is_begun;             // the headers were seen
    bool is_bad;               // and are not acceptable
    struct record record;
};

static atomic_uint calls_under_way;
static atomic_uint connection_count;

static struct patience *patience_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int socket_of(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static const struct sockaddr *address_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info != NULL ? info->client_addr : NULL;
}

void call_watch_connection(void *context, struct MHD_Connection *connection, void **slot,
                           enum MHD_ConnectionNotificationCode what) {
    (void)context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        patience_free(*slot);
        if (atomic_fetch_sub(&connection_count, 1) == 1) reserve_refill();
        return;
    }
    // Its thread starts after this. Without room it may come about all the same.
    atomic_fetch_add(&connection_count, 1);
    reserve_make_room(CONNECTION_BYTES);
    *slot = patience_new(socket_of(connection), address_of(connection));
}

// The library decodes the query before a handler sees it; the symbol endpoint needs it raw.
void *call_begin(void *context, const char *target, struct MHD_Connection *connection) {
    (void)context;
    atomic_fetch_add(&calls_under_way, 1);
    patience_set(patience_of(connection), PATIENCE_REQUEST);
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) return NULL;
    call->record.start_ns = clock_monotonic_ns();
    peer_print(address_of(connection), call->record.peer);
    call->body = (struct buffer){.resize = reserve_resize};
    if (buffer_append_text(&call->target, target) != STATUS_OK) call->is_bad = true;
    form_split_target(buffer_bytes(&call->target), &call->path, &call->query);
    return call;
}

void call_end(void *context, struct MHD_Connection *connection, void **slot,
              enum MHD_RequestTerminationCode why) {
    (void)context;
    atomic_fetch_sub(&calls_under_way, 1);
    patience_set(patience_of(connection), PATIENCE_IDLE);
    struct call *call = *slot;
    if (call == NULL) return;
    bool is_stalled = why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED && call->record.status != 0;
    if (is_stalled) {
        call->record.refusal = REFUSAL_STALLED;
        record_refusal(REFUSAL_STALLED);
    }
    record_end(&call->record, call->method, call->path, call->query, clock_monotonic_ns());
    buffer_done(&call->target);
    buffer_done(&call->body);
    free(call);
    *slot = NULL;
}

static bool is_form(struct MHD_Connection *connection, const char *method) {
    static const char form[] = "application/x-www-form-urlencoded";
    // Go reads the body of these three only.
    if (strcmp(method, "POST") != 0 && strcmp(method, "PUT") != 0 && strcmp(method, "PATCH") != 0) {
        return false;
    }
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_TYPE);
    if (type == NULL) return false;
    struct bytes name = bytes_of(type, strcspn(type, "; \t"));
    return bytes_equal_ignoring_case(name, bytes_of_text(form));
}

static void answer_too_large(size_t limit, struct answer *answer) {
    char sentence[80];
    snprintf(sentence, sizeof sentence, "the request's body is over the limit of %zu KiB",
             limit >> 10);
    answer_error(answer, 413, sentence);
}

static void answer_call(struct MHD_Connection *connection, struct call *call, const char *method,
                        struct answer *answer) {
    if (call->is_bad) {
        call->record.refusal = REFUSAL_MALFORMED;
        answer_bad_request(answer);
        return;
    }
    if (call->record.refusal != REFUSAL_NONE) {
        access_answer(call->record.refusal, answer);
        return;
    }
    if (call->body_status == STATUS_TOO_LARGE) {
        answer_too_large(call->body.limit, answer);
        return;
    }
    if (call->body_status != STATUS_OK) {
        answer_failure(answer, call->body_status);
        return;
    }
    struct request request = {
        .method = method,
        .path = call->path,
        .query = call->query,
        .body = buffer_bytes(&call->body),
        .is_form = call->is_form,
        .if_none_match = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_IF_NONE_MATCH),
        .client_socket = socket_of(connection),
        .record = &call->record,
    };
    endpoint_route(&request, answer);
}

// What the headers tell.
struct headers {
    struct strict_headers strict;
    struct visitor visitor;
};

static enum MHD_Result read_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   size_t name_len, const char *value, size_t value_len) {
    (void)kind;
    struct headers *headers = context;
    strict_add_header(&headers->strict, bytes_of(name, name_len), bytes_of(value, value_len));
    access_add_header(&headers->visitor, bytes_of(name, name_len), bytes_of(value, value_len));
    return MHD_YES;
}

// The library undoes base64.
static enum refusal check_access(struct MHD_Connection *connection, struct visitor *visitor,
                                 struct record *record) {
    struct MHD_BasicAuthInfo *basic = MHD_basic_auth_get_username_password3(connection);
    bool has_password = basic != NULL && basic->password != NULL;
    if (has_password) visitor->secret = bytes_of(basic->password, basic->password_len);
    struct pass pass = access_check(visitor);
    memcpy(record->token, pass.token, sizeof record->token);
    if (has_password) explicit_bzero(basic->password, basic->password_len);
    MHD_free(basic);
    return pass.refusal;
}

static void look_at_headers(struct MHD_Connection *connection, const char *method,
                            struct call *call) {
    struct headers headers = {0};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, read_header, &headers);
    memcpy(call->method, method, strnlen(method, sizeof call->method - 1));
    call->is_bad |= headers.strict.is_bad || !strict_is_token(bytes_of_text(method));
    call->record.has_secret = headers.visitor.has_secret;
    if (call->is_bad) return;
    headers.visitor.is_loopback = peer_of(address_of(connection)).is_loopback;
    headers.visitor.wants_index = endpoint_is_index(method, call->path);
    form_find_authority(buffer_bytes(&call->target), &headers.visitor.host);
    call->record.refusal = check_access(connection, &headers.visitor, &call->record);
    call->is_form = is_form(connection, method);
    call->body.limit = endpoint_body_bytes_most(method, call->path, call->is_form);
}

static enum MHD_Result answer_now(struct MHD_Connection *connection, struct call *call,
                                  const char *method, const char *version) {
    struct answer answer = {0};
    answer_call(connection, call, method, &answer);
    buffer_done(&call->body);  // the answer may take minutes to be sent
    call->record.status = answer.status;
    record_answer(&call->record);
    struct MHD_Response *response = response_make(&answer, method, version,
                                                  &call->record.sent_bytes);
    answer_done(&answer);
    if (response == NULL) return MHD_NO;  // closes the connection: no memory even for an answer
    patience_set(patience_of(connection), PATIENCE_ANSWER);
    enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

// A refusal does not wait for a body: its length may be a lie. But where there should be none, the
// connection can be kept, for the dialog of a browser.
static bool waits_for_body(const struct call *call, const char *method) {
    if (call->is_bad) return false;
    bool should_have_none = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    return call->record.refusal == REFUSAL_NONE || should_have_none;
}

static void take_piece(struct call *call, struct bytes piece) {
    bool is_wanted = call->record.refusal == REFUSAL_NONE && call->body_status == STATUS_OK;
    if (!is_wanted || call->body.limit == 0) return;
    call->body_status = buffer_append(&call->body, piece);
    if (call->body_status != STATUS_OK) buffer_done(&call->body);
}

// Called once for the headers, then for each piece of the body, then with none left.
enum MHD_Result call_handle(void *context, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_size, void **slot) {
    (void)context;
    (void)url;
    struct call *call = *slot;
    if (call == NULL) return MHD_NO;
    if (!call->is_begun) {
        call->is_begun = true;
        look_at_headers(connection, method, call);
        if (waits_for_body(call, method)) return MHD_YES;
    } else if (*upload_size != 0) {
        take_piece(call, bytes_of(upload, *upload_size));
        *upload_size = 0;
        return MHD_YES;
    }
    patience_set(patience_of(connection), PATIENCE_WORK);
    return answer_now(connection, call, method, version);
}

unsigned call_count(void) {
    return atomic_load(&calls_under_way);
}
