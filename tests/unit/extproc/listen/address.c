// SPDX-License-Identifier: Apache-2.0
#include "extproc/listen/address.c"

#include <stdlib.h>

static struct listen_address parse(const char *text) {
    struct listen_address address;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(listen_address_parse(bytes_of_text(text), &address, message), STATUS_OK);
    return address;
}

static void assert_refused(const char *text, const char *reason) {
    struct listen_address address;
    char message[LISTEN_MESSAGE_BYTES] = "";
    assert_int_equal(listen_address_parse(bytes_of_text(text), &address, message),
                     STATUS_MALFORMED);
    if (strstr(message, reason) == NULL) fail_msg("%s: \"%s\" lacks \"%s\"", text, message, reason);
    if (strlen(text) < 100) assert_non_null(strstr(message, text));
}

static void test_address__without_host_is_every_address_of_both_families(void **state) {
    (void)state;
    struct listen_address address = parse(":1063");
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address.socket;
    assert_true(address.is_any);
    assert_int_equal(v6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(v6->sin6_port), 1063);
    assert_true(IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr));
}

static void test_address__reads_numeric_hosts(void **state) {
    (void)state;
    struct listen_address address = parse("127.0.0.1:65535");
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address.socket;
    assert_false(address.is_any);
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 65535);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(address.socket_len, sizeof(*v4));

    address = parse("[::1]:0");
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address.socket;
    assert_false(address.is_any);
    assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
    assert_int_equal(v6->sin6_port, 0);
}

static void test_address__reads_unix_paths_and_their_mode(void **state) {
    (void)state;
    struct listen_address address = parse("unix:///run/a b.sock");
    const struct sockaddr_un *local = (const struct sockaddr_un *)&address.socket;
    assert_int_equal(local->sun_family, AF_UNIX);
    assert_string_equal(local->sun_path, "/run/a b.sock");
    assert_int_equal(address.mode, 0660);
    assert_int_equal(parse("unix:///a?mode=0666").mode, 0666);
    assert_int_equal(parse("unix:///a?mode=777").mode, 0777);
}

static void test_address__takes_a_path_as_long_as_the_kernel_does(void **state) {
    (void)state;
    char text[sizeof("unix://") + 108] = "unix:///";
    memset(text + strlen(text), 'x', 106);
    parse(text);
    strcat(text, "x");
    assert_refused(text, "longer");
}

static void test_address__refuses_with_the_reason(void **state) {
    (void)state;
    assert_refused("", "no port");
    assert_refused("1063", "no port");
    assert_refused(":", "port is not a number");
    assert_refused(":65536", "port is not a number");
    assert_refused(":-1", "port is not a number");
    assert_refused(":1x", "port is not a number");
    assert_refused(":1063 ", "port is not a number");
    assert_refused(":00000000000000000001063", "port is not a number");
    assert_refused("localhosts:1063", "host is neither");
    assert_refused("localhost", "no port");
    assert_refused("::1:1063", "host is neither");
    assert_refused("[::1:1063", "host is neither");
    assert_refused("[:1063", "host is neither");
    assert_refused("[]:1063", "host is neither");
    assert_refused("[127.0.0.1]:1063", "host is neither");
    assert_refused("1.2.3:1063", "host is neither");
    assert_refused("1.2.3.4.5:1", "host is neither");
    assert_refused("unix://", "must begin");
    assert_refused("unix:///", "must begin");
    assert_refused("unix://run/a", "must begin");
    assert_refused("unix:///a?mode=", "only mode");
    assert_refused("unix:///a?mode=0888", "only mode");
    assert_refused("unix:///a?mode=1000", "only mode");
    assert_refused("unix:///a?user=me", "only mode");
}

static void test_address__localhost_is_both_loopback_addresses(void **state) {
    (void)state;
    struct listen_address addresses[LISTEN_ADDRESSES_MOST];
    char message[LISTEN_MESSAGE_BYTES];
    size_t count = 0;
    assert_int_equal(listen_address_parse_list(" localhost:7, :8", addresses, &count, message),
                     STATUS_OK);
    assert_int_equal(count, 3);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addresses[0].socket;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addresses[1].socket;
    assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_false(addresses[0].is_optional);
    assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
    assert_true(addresses[1].is_optional);
    assert_int_equal(ntohs(v6->sin6_port), 7);
    assert_int_equal(v4->sin_port, v6->sin6_port);
}

static void test_address__reads_lists(void **state) {
    (void)state;
    struct listen_address addresses[LISTEN_ADDRESSES_MOST];
    char message[LISTEN_MESSAGE_BYTES];
    size_t count = 0;
    assert_int_equal(
        listen_address_parse_list(":1, unix:///a ,[::1]:2", addresses, &count, message), STATUS_OK);
    assert_int_equal(count, 3);
    assert_int_equal(addresses[1].socket.ss_family, AF_UNIX);
    assert_false(addresses[2].is_any);
    assert_int_equal(listen_address_parse_list("", addresses, &count, message), STATUS_MALFORMED);
    assert_int_equal(listen_address_parse_list(":1,,:2", addresses, &count, message),
                     STATUS_MALFORMED);
    assert_int_equal(listen_address_parse_list(":1,", addresses, &count, message),
                     STATUS_MALFORMED);
    char many[LISTEN_ADDRESSES_MOST * 3 + 4] = "";
    for (int i = 0; i < LISTEN_ADDRESSES_MOST; i++) strcat(many, i == 0 ? ":1" : ",:1");
    assert_int_equal(listen_address_parse_list(many, addresses, &count, message), STATUS_OK);
    assert_int_equal(count, LISTEN_ADDRESSES_MOST);
    strcat(many, ",:1");
    assert_int_equal(listen_address_parse_list(many, addresses, &count, message), STATUS_MALFORMED);
}
