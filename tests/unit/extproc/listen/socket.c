// SPDX-License-Identifier: Apache-2.0
// Real sockets on loopback and in a folder of the test's own.
#include "extproc/listen/socket.c"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

static char folder[64];
static char path[96];

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof(folder), "%s/extproc-test-XXXXXX", P_tmpdir);
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof(path), "%s/socket", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static enum status open_text(const char *text, struct listen_socket *ret_socket, char *message) {
    struct listen_address address;
    assert_int_equal(listen_address_parse(bytes_of_text(text), &address, message), STATUS_OK);
    return listen_socket_open(&address, ret_socket, message);
}

// Not published yet.
static enum status open_draft(const char *query, struct listen_socket *ret_socket, char *message) {
    char text[160];
    snprintf(text, sizeof(text), "unix://%s%s", path, query);
    return open_text(text, ret_socket, message);
}

static enum status open_path(const char *query, struct listen_socket *ret_socket, char *message) {
    enum status status = open_draft(query, ret_socket, message);
    return status == STATUS_OK ? listen_sockets_publish(ret_socket, 1, message) : status;
}

// Whether somebody who connects where the socket says gets in.
static bool is_reachable(const struct listen_socket *listening) {
    int fd = socket(listening->peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int error = connect(fd, (const struct sockaddr *)&listening->peer, listening->peer_len);
    close(fd);
    return error == 0;
}

static void test_socket__tells_the_port_that_the_kernel_chose(void **state) {
    (void)state;
    struct listen_socket one;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_text("127.0.0.1:0", &one, message), STATUS_OK);
    assert_true(one.is_tcp);
    assert_int_equal(strncmp(one.name, "127.0.0.1:", 10), 0);
    assert_int_not_equal(atoi(one.name + 10), 0);
    assert_true(is_reachable(&one));
    struct listen_socket closed = one;
    listen_socket_close(&one);
    listen_socket_close(&one);
    assert_false(is_reachable(&closed));
}

// Also on a machine without IPv6, where the name is 0.0.0.0.
static void test_socket__on_every_address_is_reached_by_ipv4(void **state) {
    (void)state;
    struct listen_socket one;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_text(":0", &one, message), STATUS_OK);
    assert_true(is_reachable(&one));
    in_port_t port = one.peer.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&one.peer)->sin6_port
                                                    : ((struct sockaddr_in *)&one.peer)->sin_port;
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct listen_socket by_v4 = {.peer_len = sizeof(v4)};
    memcpy(&by_v4.peer, &v4, sizeof(v4));
    assert_true(is_reachable(&by_v4));
    // And so do we ourselves: where IPv6 is switched off there are IPv6 sockets, but no ::1.
    const struct in6_addr *ours = &((struct sockaddr_in6 *)&one.peer)->sin6_addr;
    assert_true(one.peer.ss_family == AF_INET || IN6_IS_ADDR_V4MAPPED(ours));
    listen_socket_close(&one);
}

static void test_socket__says_that_a_port_is_taken(void **state) {
    (void)state;
    struct listen_socket one, two = {.fd = -7};
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_text("127.0.0.1:0", &one, message), STATUS_OK);
    assert_int_equal(open_text(one.name, &two, message), STATUS_BUSY);
    assert_non_null(strstr(message, one.name));
    assert_non_null(strstr(message, "in use"));
    assert_int_equal(two.fd, -7);
    listen_socket_close(&one);
}

static void test_socket__has_the_mode_that_is_asked_for_whatever_the_umask(void **state) {
    (void)state;
    struct listen_socket one;
    char message[LISTEN_MESSAGE_BYTES];
    struct stat made;
    mode_t before = umask(0077);
    assert_int_equal(open_path("", &one, message), STATUS_OK);
    assert_int_equal(stat(path, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0660);
    listen_socket_close(&one);
    assert_int_equal(open_path("?mode=0606", &one, message), STATUS_OK);
    assert_int_equal(stat(path, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0606);
    umask(before);
    assert_true(is_reachable(&one));
    listen_socket_close(&one);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_socket__replaces_one_that_nobody_listens_on(void **state) {
    (void)state;
    struct listen_socket dead, one;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_path("", &dead, message), STATUS_OK);
    close(dead.fd);  // as a killed process leaves it
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(open_path("", &one, message), STATUS_OK);
    assert_true(is_reachable(&one));
    listen_socket_close(&one);
}

static void test_socket__takes_over_from_a_living_one(void **state) {
    (void)state;
    struct listen_socket old, new;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_path("", &old, message), STATUS_OK);
    assert_false(old.is_taken_over);
    assert_int_equal(open_path("", &new, message), STATUS_OK);
    assert_true(new.is_taken_over);
    assert_string_equal(new.name, old.name);
    // Who connects now reaches the new one; the old one goes without taking the path with it.
    assert_true(is_reachable(&new));
    struct pollfd waiting = {.fd = new.fd, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 0), 1);
    listen_socket_close(&old);
    assert_true(is_reachable(&new));
    listen_socket_close(&new);
    assert_int_equal(access(path, F_OK), -1);
}

// A start may fail after it has opened its sockets, and be killed: who serves goes on to.
static void test_socket__takes_nothing_over_until_it_is_published(void **state) {
    (void)state;
    struct listen_socket old, failed, killed, new;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_path("", &old, message), STATUS_OK);
    assert_int_equal(open_draft("", &killed, message), STATUS_OK);
    close(killed.fd);
    assert_int_equal(open_draft("", &failed, message), STATUS_OK);
    assert_true(is_reachable(&old));
    struct pollfd waiting = {.fd = old.fd, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 0), 1);
    listen_socket_close(&failed);
    assert_true(is_reachable(&old));
    // Nothing is in the way of the next start, nor left in the folder (see teardown).
    assert_int_equal(open_path("", &new, message), STATUS_OK);
    listen_socket_close(&old);
    assert_true(is_reachable(&new));
    listen_socket_close(&new);
}

// Their names beside the path are the same but for the end.
static void test_socket__has_a_draft_for_each_of_paths_that_are_alike(void **state) {
    (void)state;
    struct listen_address addresses[LISTEN_ADDRESSES_MOST];
    struct listen_socket sockets[LISTEN_ADDRESSES_MOST], copies[LISTEN_ADDRESSES_MOST];
    char message[LISTEN_MESSAGE_BYTES], text[LISTEN_ADDRESSES_MOST * 160] = "";
    for (int i = 0; i < LISTEN_ADDRESSES_MOST; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%sunix://%s/%c", i > 0 ? "," : "", folder,
                 'a' + i);
    }
    size_t count;
    assert_int_equal(listen_address_parse_list(text, addresses, &count, message), STATUS_OK);
    assert_int_equal(listen_sockets_open(addresses, count, sockets, &count, message), STATUS_OK);
    assert_int_equal(count, LISTEN_ADDRESSES_MOST);
    assert_int_equal(listen_sockets_publish(sockets, count, message), STATUS_OK);
    memcpy(copies, sockets, sizeof(copies));
    for (size_t i = 0; i < count; i++) assert_true(is_reachable(&sockets[i]));
    listen_sockets_close(copies, count);
}

static void test_socket__says_that_its_draft_was_taken_away(void **state) {
    (void)state;
    struct listen_socket old, new;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_path("", &old, message), STATUS_OK);
    assert_int_equal(open_draft("", &new, message), STATUS_OK);
    assert_int_equal(unlink(draft_of(&new).sun_path), 0);
    assert_int_equal(listen_sockets_publish(&new, 1, message), STATUS_BUSY);
    assert_non_null(strstr(message, path));
    listen_socket_close(&new);
    assert_true(is_reachable(&old));
    listen_socket_close(&old);
}

static void test_socket__leaves_other_files_alone(void **state) {
    (void)state;
    struct listen_socket one;
    char message[LISTEN_MESSAGE_BYTES];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(open_path("", &one, message), STATUS_BUSY);
    assert_non_null(strstr(message, path));
    assert_non_null(strstr(message, ": what is there is no socket"));
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(open_path("", &one, message), STATUS_BUSY);
    assert_non_null(strstr(message, ": what is there is no socket"));
}

// A successor has put its own socket there: the old process must not take it away when it ends.
static void test_socket__removes_no_other_one_when_it_closes(void **state) {
    (void)state;
    struct listen_socket old, new;
    char message[LISTEN_MESSAGE_BYTES];
    assert_int_equal(open_path("", &old, message), STATUS_OK);
    char aside[112];
    snprintf(aside, sizeof(aside), "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(open_path("", &new, message), STATUS_OK);
    listen_socket_close(&old);
    assert_true(is_reachable(&new));
    listen_socket_close(&new);
    assert_int_equal(access(path, F_OK), -1);
    unlink(aside);
}

static void test_socket__names_the_reason_of_the_system(void **state) {
    (void)state;
    struct listen_socket one;
    char message[LISTEN_MESSAGE_BYTES] = "", text[160];
    snprintf(text, sizeof(text), "unix://%s/no/such/folder", folder);
    assert_int_equal(open_text(text, &one, message), STATUS_SYSTEM);
    assert_non_null(strstr(message, "no such file or directory"));
}

static void test_socket__opens_all_of_a_list_or_none(void **state) {
    (void)state;
    struct listen_address addresses[LISTEN_ADDRESSES_MOST];
    struct listen_socket sockets[LISTEN_ADDRESSES_MOST];
    char message[LISTEN_MESSAGE_BYTES], text[128];
    size_t count, opened = 0;
    assert_int_equal(listen_address_parse_list("localhost:0", addresses, &count, message),
                     STATUS_OK);
    assert_int_equal(listen_sockets_open(addresses, count, sockets, &opened, message), STATUS_OK);
    assert_in_range(opened, 1, 2);
    // The port is one: what reaches the first by a name has to find the second there.
    for (size_t i = 0; i < opened; i++) {
        assert_true(is_reachable(&sockets[i]));
        assert_string_equal(strrchr(sockets[i].name, ':'), strrchr(sockets[0].name, ':'));
    }
    snprintf(text, sizeof(text), "127.0.0.1:0,%s", sockets[0].name);
    assert_int_equal(listen_address_parse_list(text, addresses, &count, message), STATUS_OK);
    struct listen_socket others[LISTEN_ADDRESSES_MOST];
    assert_int_equal(listen_sockets_open(addresses, count, others, &count, message), STATUS_BUSY);
    assert_non_null(strstr(message, sockets[0].name));
    assert_int_equal(fcntl(others[0].fd, F_GETFD), -1);
    listen_sockets_close(sockets, opened);
}
