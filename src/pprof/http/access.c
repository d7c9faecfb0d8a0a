// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"

/* immutable after access_init */
static struct access_rules rules;
/* atomic */
static atomic_bool is_file_bad;  // and was logged

static bool is_given(const char *text) {
    return text != NULL && text[0] != '\0';
}

static struct bytes next_name(struct bytes *rest) {
    const uint8_t *comma = memchr(rest->data, ',', rest->len);
    struct bytes name = bytes_of(rest->data,
                                 comma != NULL ? (size_t)(comma - rest->data) : rest->len);
    size_t used = comma != NULL ? name.len + 1 : name.len;
    *rest = bytes_of(rest->data + used, rest->len - used);
    return name;
}

static bool is_name(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!token_may_hold(text.data[i]) || text.data[i] == '~') return false;
    }
    return text.len != 0;
}

static int check_hosts(char message[PPROF_MESSAGE_BYTES]) {
    struct bytes rest = bytes_of_text(rules.allowed_hosts);
    while (rest.len != 0) {
        struct bytes name = next_name(&rest);
        if (is_name(name)) continue;
        snprintf(message, PPROF_MESSAGE_BYTES,
                 "PPROF_ALLOWED_HOSTS: \"%.*s\" is no host name (names with commas, without ports)",
                 (int)(name.len < 64 ? name.len : 64), name.data);
        return -EINVAL;
    }
    return 0;
}

int access_init(const struct access_rules *new_rules, char ret_message[PPROF_MESSAGE_BYTES]) {
    rules = *new_rules;
    atomic_store(&is_file_bad, false);
    if (is_given(rules.allowed_hosts)) {
        int error = check_hosts(ret_message);
        if (error != 0) return error;
    }
    if (!is_given(rules.token_file)) {
        if (!rules.asks_loopback) return 0;
        snprintf(ret_message, PPROF_MESSAGE_BYTES,
                 "PPROF_AUTH_LOOPBACK asks for a token, and PPROF_TOKEN_FILE names none");
        return -EINVAL;
    }
    char name[TOKEN_NAME_BYTES], reason[TOKEN_REASON_BYTES];
    enum status status = token_find_in_file(rules.token_file, BYTES_EMPTY, name, reason);
    if (status == STATUS_NOT_FOUND) return 0;  // a good list, and the empty token is not in it
    snprintf(ret_message, PPROF_MESSAGE_BYTES, "PPROF_TOKEN_FILE: %.64s: %s", rules.token_file,
             reason);
    return -EINVAL;
}

// "a:1", "[::1]:1" and both without a port.
static struct bytes without_port(struct bytes host) {
    size_t len = host.len;
    while (len != 0 && host.data[len - 1] >= '0' && host.data[len - 1] <= '9') len--;
    if (len == 0 || host.data[len - 1] != ':') return host;
    return bytes_of(host.data, len - 1);
}

static bool is_address(struct bytes host) {
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr address;
    bool is_v6 = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (is_v6) host = bytes_of(host.data + 1, host.len - 2);
    if (host.len >= sizeof text) return false;
    memcpy(text, host.data, host.len);
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, &address) == 1;
}

static bool ends_in(struct bytes whole, struct bytes end) {
    if (whole.len < end.len) return false;
    struct bytes tail = bytes_of(whole.data + whole.len - end.len, end.len);
    return bytes_equal_ignoring_case(tail, end);
}

// A name that an attacker may point at 127.0.0.1 is the whole trick of DNS rebinding; localhost and
// what is below it (RFC 6761 section 6.3) and addresses cannot be pointed anywhere. A browser
// always sends Host; who sends none is no browser.
static bool is_ours(struct bytes host) {
    if (host.len == 0) return true;
    struct bytes name = without_port(host);
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("localhost"))) return true;
    if (ends_in(name, BYTES_LITERAL(".localhost")) || is_address(name)) return true;
    if (!is_given(rules.allowed_hosts)) return false;
    struct bytes rest = bytes_of_text(rules.allowed_hosts);
    while (rest.len != 0) {
        if (bytes_equal_ignoring_case(next_name(&rest), name)) return true;
    }
    return false;
}

static void note_file(bool is_bad, const char *reason) {
    if (atomic_exchange(&is_file_bad, is_bad) == is_bad) return;
    if (is_bad) {
        log_error("pprof lets nobody in who needs a token", log_text("setting", "PPROF_TOKEN_FILE"),
                  log_text("file", rules.token_file), log_text("reason", reason));
    } else {
        log_info("pprof reads its tokens again", log_text("file", rules.token_file));
    }
}

// A token that need not be there is looked up all the same: the audit line tells whose it is.
static enum refusal check_token(const struct visitor *visitor, struct pass *pass) {
    bool is_needed = !visitor->is_loopback || rules.asks_loopback;
    if (!is_given(rules.token_file)) return REFUSAL_NONE;
    if (!is_needed && !visitor->has_secret) return REFUSAL_NONE;
    char reason[TOKEN_REASON_BYTES] = "";
    enum status status = token_find_in_file(rules.token_file, visitor->secret, pass->token, reason);
    note_file(status != STATUS_OK && status != STATUS_NOT_FOUND, reason);
    pass->is_known = status == STATUS_OK;
    if (pass->is_known || !is_needed) return REFUSAL_NONE;
    if (status != STATUS_NOT_FOUND) return REFUSAL_TOKEN_FILE;
    return visitor->has_secret ? REFUSAL_WRONG_TOKEN : REFUSAL_NO_TOKEN;
}

struct pass access_check(const struct visitor *visitor) {
    struct pass pass = {0};
    bool may_come = visitor->is_navigation && visitor->is_document && visitor->wants_index;
    if (!is_ours(visitor->host)) {
        pass.refusal = REFUSAL_HOST;
    } else if (visitor->is_from_elsewhere && !may_come) {
        pass.refusal = REFUSAL_SITE;
    } else {
        pass.refusal = check_token(visitor, &pass);
    }
    return pass;
}

void access_answer(enum refusal refusal, struct answer *answer) {
    static const struct {
        unsigned status;
        const char *sentence;
    } rows[REFUSAL_COUNT] = {
        [REFUSAL_HOST] = {403,
                          "the Host header is neither localhost, nor an address, nor a name of "
                          "PPROF_ALLOWED_HOSTS"},
        [REFUSAL_SITE] = {403, "a page of another site asked for this; it may only link to "
                               "/debug/pprof/"},
        [REFUSAL_NO_TOKEN] = {401, "a token is needed: Authorization: Bearer TOKEN, or "
                                   "http://any:TOKEN@HOST/"},
        [REFUSAL_WRONG_TOKEN] = {401, "the token is not one of PPROF_TOKEN_FILE"},
        [REFUSAL_TOKEN_FILE] = {503,
                                "PPROF_TOKEN_FILE cannot be read, so nobody is let in; the log "
                                "says why"},
    };
    answer_error(answer, rows[refusal].status, rows[refusal].sentence);
    answer->asks_for_token = rows[refusal].status == 401;
}

static struct bytes trim_front(struct bytes text) {
    while (text.len != 0 && text.data[0] == ' ') text = bytes_of(text.data + 1, text.len - 1);
    return text;
}

void access_add_header(struct visitor *visitor, struct bytes name, struct bytes value) {
    const struct bytes scheme = BYTES_LITERAL("bearer ");
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("host"))) visitor->host = value;
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("sec-fetch-site"))) {
        bool is_own = bytes_equal(value, BYTES_LITERAL("same-origin")) ||
                      bytes_equal(value, BYTES_LITERAL("none"));
        visitor->is_from_elsewhere |= !is_own;
    }
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("sec-fetch-mode"))) {
        visitor->is_navigation = bytes_equal(value, BYTES_LITERAL("navigate"));
    }
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("sec-fetch-dest"))) {
        visitor->is_document = bytes_equal(value, BYTES_LITERAL("document"));
    }
    if (bytes_equal_ignoring_case(name, BYTES_LITERAL("authorization"))) {
        visitor->has_secret = true;
        bool is_bearer = value.len > scheme.len &&
                         bytes_equal_ignoring_case(bytes_of(value.data, scheme.len), scheme);
        if (!is_bearer) return;
        visitor->secret = trim_front(bytes_of(value.data + scheme.len, value.len - scheme.len));
    }
}
