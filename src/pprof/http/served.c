// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/served.h"

#include <errno.h>
#include <stdio.h>

#include "pprof/http/endpoint.h"

/* immutable after served_init */
static const char *served = "";

static bool names_what_is_not(void) {
    return served[0] == '-';
}

static bool next_name(struct bytes *rest, struct bytes *ret_name) {
    if (rest->len == 0) return false;
    const uint8_t *comma = memchr(rest->data, ',', rest->len);
    size_t len = comma != NULL ? (size_t)(comma - rest->data) : rest->len;
    size_t used = comma != NULL ? len + 1 : len;
    *ret_name = bytes_of(rest->data, len);
    *rest = bytes_of(rest->data + used, rest->len - used);
    return true;
}

// Without the '-' that each name of such a list has; without it there, no name.
static struct bytes bare(struct bytes name) {
    if (!names_what_is_not()) return name;
    bool has_dash = name.len != 0 && name.data[0] == '-';
    return has_dash ? bytes_of(name.data + 1, name.len - 1) : bytes_of(name.data, 0);
}

static bool is_profile(struct bytes name) {
    for (size_t i = 0; i < endpoint_count; i++) {
        if (bytes_equal(bytes_of_text(endpoints[i].name), name)) return true;
    }
    return source_find(name) != NULL;
}

int served_init(const char *list, char ret_message[PPROF_MESSAGE_BYTES]) {
    served = list != NULL ? list : "";
    struct bytes rest = bytes_of_text(served);
    struct bytes name;
    while (next_name(&rest, &name)) {
        if (is_profile(bare(name))) continue;
        snprintf(ret_message, PPROF_MESSAGE_BYTES,
                 "PPROF_PROFILES: \"%.*s\" is no profile, or lacks the '-' of its list (a list is "
                 "heap,profile or -cmdline,-symbol)",
                 (int)(name.len < 64 ? name.len : 64), name.data);
        return -EINVAL;
    }
    return 0;
}

bool served_has(const char *profile) {
    struct bytes rest = bytes_of_text(served);
    struct bytes name;
    bool is_listed = false;
    while (next_name(&rest, &name)) {
        is_listed |= bytes_equal(bare(name), bytes_of_text(profile));
    }
    return served[0] == '\0' || is_listed != names_what_is_not();
}
