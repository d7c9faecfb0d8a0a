// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/peer.c"

#include "base/attributes.h"

union any {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union any address_of(const char *text) {
    union any address = {0};
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(7);
        return address;
    }
    address = (union any){0};
    assert_int_equal(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(7);
    return address;
}

static void test_peer__loopback_is_127_and_1_in_either_family(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed;
        bool is_loopback;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:7", true},
        {"127.255.0.6", "127.255.0.6:7", true},
        {"::1", "[::1]:7", true},
        {"::ffff:127.0.0.1", "127.0.0.1:7", true},
        {"128.0.0.1", "128.0.0.1:7", false},
        {"10.0.0.127", "10.0.0.127:7", false},
        {"0.0.0.0", "0.0.0.0:7", false},
        {"::ffff:10.0.0.1", "10.0.0.1:7", false},
        {"::", "[::]:7", false},
        {"::2", "[::2]:7", false},
        // No mapped address, and nobody's loopback; each libc prints it in its own way.
        {"::127.0.0.1", NULL, false},
        {"fe80::1", "[fe80::1]:7", false},
        {"7f00::1", "[7f00::1]:7", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        union any address = address_of(rows[i].text);
        char printed[PPROF_ADDRESS_BYTES];
        if (peer_of(&address.any).is_loopback != rows[i].is_loopback) {
            print_error("%s\n", rows[i].text);
        }
        assert_int_equal(peer_of(&address.any).is_loopback, rows[i].is_loopback);
        assert_int_equal(peer_print(&address.any, printed), 7);
        if (rows[i].printed != NULL) assert_string_equal(printed, rows[i].printed);
    }
}

static void test_peer__what_is_no_address_is_not_loopback(void **state) {
    (void)state;
    const struct sockaddr local = {.sa_family = AF_UNIX};
    char printed[PPROF_ADDRESS_BYTES];
    assert_false(peer_of(&local).is_loopback);
    assert_false(peer_of(NULL).is_loopback);
    assert_int_equal(peer_print(NULL, printed), 0);
    assert_string_equal(printed, "?");
}

static void test_peer__the_port_does_not_count_and_the_family_neither(void **state) {
    (void)state;
    union any a = address_of("10.0.0.1"), b = address_of("::ffff:10.0.0.1"),
              c = address_of("10.0.0.2");
    b.v6.sin6_port = 9;
    struct peer first = peer_of(&a.any), same = peer_of(&b.any), other = peer_of(&c.any);
    assert_true(peer_is(&first, &same));
    assert_false(peer_is(&first, &other));
}
