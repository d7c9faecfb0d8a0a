// SPDX-License-Identifier: Apache-2.0
#undef fail  // cmocka's; the source has a function of that name
#include "pprof/http/address.c"

#include <dirent.h>
#include <fcntl.h>

static struct listeners listeners;
static char message[PPROF_MESSAGE_BYTES];

static int setup(void **state) {
    (void)state;
    listeners = (struct listeners){0};
    message[0] = '\0';
    return 0;
}

static int teardown(void **state) {
    (void)state;
    listeners_close(&listeners);
    return 0;
}

static size_t open_files(void) {
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count;
}

static bool has_ipv6(void) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool is_bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_bound;
}

static union socket_address bound_to(size_t place) {
    union socket_address bound = {0};
    socklen_t size = sizeof bound;
    assert_int_equal(getsockname(listeners.sockets[place], &bound.any, &size), 0);
    return bound;
}

// A port to ask for by number; it is free again.
static uint16_t free_port(void) {
    struct listeners probe;
    assert_int_equal(listeners_open("127.0.0.1:0", &probe, message), 0);
    listeners = probe;
    uint16_t port = ntohs(bound_to(0).v4.sin_port);
    listeners_close(&listeners);
    return port;
}

static void open_at(const char *address) {
    int error = listeners_open(address, &listeners, message);
    if (error != 0) print_error("%s\n", message);
    assert_int_equal(error, 0);
}

static void test_address__an_ipv4_literal_is_one_socket_that_says_its_port(void **state) {
    (void)state;
    open_at("127.0.0.1:0");
    assert_int_equal(listeners.count, 1);
    union socket_address bound = bound_to(0);
    assert_int_equal(bound.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    char expected[PPROF_ADDRESS_BYTES];
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(bound.v4.sin_port));
    assert_string_equal(listeners.addresses[0], expected);
    assert_int_not_equal(ntohs(bound.v4.sin_port), 0);
}

static void test_address__an_ipv6_literal_stands_in_brackets(void **state) {
    (void)state;
    if (!has_ipv6()) skip();
    open_at("[::1]:0");
    assert_int_equal(listeners.count, 1);
    union socket_address bound = bound_to(0);
    assert_true(IN6_IS_ADDR_LOOPBACK(&bound.v6.sin6_addr));
    assert_memory_equal(listeners.addresses[0], "[::1]:", 6);
}

// Would catch: a dual-stack switch that opens every address, and two different free ports.
static void test_address__localhost_is_both_loopbacks_on_one_port_and_nothing_else(void **state) {
    (void)state;
    open_at("localhost:0");
    assert_int_equal(listeners.count, has_ipv6() ? 2 : 1);
    union socket_address first = bound_to(0);
    assert_int_equal(first.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    if (listeners.count == 1) return;
    union socket_address second = bound_to(1);
    assert_true(IN6_IS_ADDR_LOOPBACK(&second.v6.sin6_addr));
    assert_int_equal(first.v4.sin_port, second.v6.sin6_port);
    int is_v6_only = 0;
    socklen_t size = sizeof is_v6_only;
    getsockopt(listeners.sockets[1], IPPROTO_IPV6, IPV6_V6ONLY, &is_v6_only, &size);
    assert_int_equal(is_v6_only, 1);
}

static void assert_reachable(int family, uint16_t port) {
    union socket_address to = {0};
    to.any.sa_family = (sa_family_t)family;
    socklen_t size = family == AF_INET ? sizeof to.v4 : sizeof to.v6;
    if (family == AF_INET) {
        to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.v4.sin_port = htons(port);
    } else {
        to.v6.sin6_addr = in6addr_loopback;
        to.v6.sin6_port = htons(port);
    }
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &to.any, size), 0);
    close(fd);
}

static void test_address__an_empty_host_is_every_address(void **state) {
    (void)state;
    open_at(":0");
    assert_int_equal(listeners.count, 1);
    uint16_t port = ntohs(bound_to(0).v4.sin_port);  // at the same place in both families
    assert_reachable(AF_INET, port);
    if (has_ipv6()) assert_reachable(AF_INET6, port);
    listeners_close(&listeners);
    open_at("0.0.0.0:0");
    assert_int_equal(listeners.count, 1);
    assert_int_equal(bound_to(0).v4.sin_addr.s_addr, htonl(INADDR_ANY));
}

static void test_address__what_is_no_address_is_refused_with_the_reason(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        "localhost",
        "localhost:",
        "127.0.0.1",
        "6060",
        "::1:6060",
        "[::1]",
        "[::1:6060",
        "::1]:6060",
        ":65536",
        ":-1",
        ":+1",
        ": 1",
        ":1 ",
        ":0x1",
        ":http",
        ":123456",
        "host:6060",
        "1.2.3:6060",
        "256.0.0.1:0",
        "[:::1]:0",
        "[fe80::1%lo]:0",
        "127.0.0.1 :0",
        "http://localhost:6060",
        "localhost:6060/",
        "unix:///socket",
        "a.host.name.that.is.far.longer.than.any.address.that.could.ever.be.bound.to:6060",
    };
    size_t before = open_files();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        message[0] = '\0';
        listeners.count = 99;
        int error = listeners_open(bad[i], &listeners, message);
        if (error != -EINVAL) print_error("%s\n", bad[i]);
        assert_int_equal(error, -EINVAL);
        assert_int_equal(listeners.count, 99);
        assert_memory_equal(message, "PPROF_ADDRESS: ", 15);
        assert_memory_equal(message + 15, bad[i], strlen(bad[i]));
        assert_true(strlen(message) > 15 + strlen(bad[i]));
        assert_int_equal(listeners_check(bad[i], message), -EINVAL);
    }
    listeners.count = 0;
    assert_int_equal(open_files(), before);
}

static void test_address__a_very_long_one_is_refused_too(void **state) {
    (void)state;
    char address[2000] = {0};
    memset(address, '1', sizeof address - 1);
    assert_int_equal(listeners_open(address, &listeners, message), -EINVAL);
    address[100] = ':';
    assert_int_equal(listeners_open(address, &listeners, message), -EINVAL);
    assert_in_range(strlen(message), 10, PPROF_MESSAGE_BYTES - 1);
}

static void test_address__a_taken_port_is_told_and_nothing_stays_open(void **state) {
    (void)state;
    char taken[64];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", free_port());
    open_at(taken);
    size_t before = open_files();
    struct listeners another = {.count = 99};
    assert_int_equal(listeners_open(taken, &another, message), -EADDRINUSE);
    assert_int_equal(another.count, 99);
    assert_non_null(strstr(message, taken));
    snprintf(taken, sizeof taken, "localhost:%u", ntohs(bound_to(0).v4.sin_port));
    assert_int_equal(listeners_open(taken, &another, message), -EADDRINUSE);
    snprintf(taken, sizeof taken, ":%u", ntohs(bound_to(0).v4.sin_port));
    assert_int_equal(listeners_open(taken, &another, message), -EADDRINUSE);
    assert_int_equal(open_files(), before);
}

// Would catch: the first socket left open when the second is refused.
static void test_address__localhost_needs_the_port_on_both(void **state) {
    (void)state;
    if (!has_ipv6()) skip();
    open_at("[::1]:0");
    char address[64];
    snprintf(address, sizeof address, "localhost:%u", ntohs(bound_to(0).v6.sin6_port));
    size_t before = open_files();
    struct listeners another;
    assert_int_equal(listeners_open(address, &another, message), -EADDRINUSE);
    assert_int_equal(open_files(), before);
}

// A restart must not wait for the last connections' time to run out.
static void test_address__a_port_is_free_again_at_once(void **state) {
    (void)state;
    char address[64];
    open_at("127.0.0.1:0");
    uint16_t port = ntohs(bound_to(0).v4.sin_port);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    for (int i = 0; i < 3; i++) {
        union socket_address to = {.v4 = {.sin_family = AF_INET,
                                          .sin_port = htons(port),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, &to.any, sizeof to.v4), 0);
        int served = accept(listeners.sockets[0], NULL, NULL);
        assert_true(served >= 0);
        close(served);  // the listening side first: its end waits in TIME_WAIT
        close(client);
        listeners_close(&listeners);
        open_at(address);
    }
}

static void test_address__a_machine_without_ipv6_is_no_error(void **state) {
    (void)state;
    assert_true(is_lack_of_ipv6(-EAFNOSUPPORT));
    assert_true(is_lack_of_ipv6(-EADDRNOTAVAIL));
    assert_false(is_lack_of_ipv6(-EADDRINUSE));
    assert_false(is_lack_of_ipv6(-EACCES));
    assert_false(is_lack_of_ipv6(0));
}

static void test_address__sockets_are_not_handed_to_programs_and_do_not_block(void **state) {
    (void)state;
    open_at("127.0.0.1:0");
    assert_int_equal(accept(listeners.sockets[0], NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fcntl(listeners.sockets[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
