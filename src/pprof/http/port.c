// SPDX-License-Identifier: Apache-2.0
#include "pprof/http/port.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pprof/http/server.h"
#include "pprof/libc/plain.h"
#include "pprof/profile/reserve.h"
#include "pprof/sample/thread.h"

enum { SWITCH_BYTES_MOST = 64 };

/* immutable between port_start and port_stop */
static const char *served_address, *switch_file;
static pthread_t watcher;
static bool has_watcher;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
/* guarded by lock */
static struct listeners listeners;  // as read by others; count 0: closed
static bool is_stopping;

static void publish(const struct listeners *now) {
    plain_lock(&lock);
    listeners = *now;
    plain_unlock(&lock);
}

void port_read(struct listeners *ret_listeners) {
    plain_lock(&lock);
    *ret_listeners = listeners;
    plain_unlock(&lock);
}

static int open_port(char message[PPROF_MESSAGE_BYTES]) {
    struct listeners opened;
    int error = listeners_open(served_address, &opened, message);
    if (error != 0) return error;
    reserve_start();
    errno = 0;
    enum status status = server_start(&opened);
    if (status != STATUS_OK) {
        reserve_stop();
        error = errno != 0 ? errno : EIO;
        snprintf(message, PPROF_MESSAGE_BYTES, "%s (%s)", status_sentence(status), strerror(error));
        return -error;
    }
    publish(&opened);
    for (size_t i = 0; i < opened.count; i++) {
        log_info("listening", log_text("service", "pprof"),
                 log_text("address", opened.addresses[i]));
    }
    return 0;
}

static void close_port(void) {
    publish(&(struct listeners){0});
    server_stop();
    reserve_stop();
}

static bool is_on(struct bytes text) {
    static const char *const words[] = {"on", "true", "1", "enabled"};
    static const char space[] = " \t\r\n";
    while (text.len != 0 && memchr(space, text.data[text.len - 1], sizeof space - 1) != NULL) {
        text.len--;
    }
    while (text.len != 0 && memchr(space, text.data[0], sizeof space - 1) != NULL) {
        text = bytes_of(text.data + 1, text.len - 1);
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (bytes_equal_ignoring_case(text, bytes_of_text(words[i]))) return true;
    }
    return false;
}

// Opened anew each time: Kubernetes swaps a symlink when the ConfigMap changes.
static bool is_switched_on(void) {
    char text[SWITCH_BYTES_MOST];
    int fd = open(switch_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    ssize_t len = read(fd, text, sizeof text);
    close(fd);
    return len > 0 && is_on(bytes_of(text, (size_t)len));
}

// One failure of a row is logged: the next look is a second away.
static bool turn_on(bool has_failed) {
    char message[PPROF_MESSAGE_BYTES];
    if (open_port(message) == 0) return true;
    if (!has_failed) log_error("pprof is not served", log_text("reason", message));
    return false;
}

static void wait_a_second(void) {
    int64_t until_ns = clock_monotonic_ns() + NS_PER_SECOND;
    struct timespec until = {until_ns / NS_PER_SECOND, until_ns % NS_PER_SECOND};
    bool is_parked = thread_park("idle", __builtin_frame_address(0), (uintptr_t)wait_a_second);
    __real_pthread_cond_timedwait(&changed, &lock, &until);
    thread_unpark(is_parked);
}

static bool is_told_to_stop(void) {
    plain_lock(&lock);
    if (!is_stopping) wait_a_second();
    bool is_told = is_stopping;
    plain_unlock(&lock);
    return is_told;
}

static void *watch(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "pprof-switch");
    bool is_open = false;
    bool has_failed = false;
    bool was_on = true;  // so that a port that stays closed is told once
    do {
        bool is_on_now = is_switched_on();
        if (was_on && !is_on_now) {
            if (is_open) close_port();
            is_open = false;
            log_info("pprof is closed", log_text("by", switch_file));
        }
        if (is_on_now && !is_open) {
            is_open = turn_on(has_failed);
            has_failed = !is_open;
        }
        was_on = is_on_now;
    } while (!is_told_to_stop());
    if (is_open) close_port();
    return NULL;
}

static int start_watcher(char message[PPROF_MESSAGE_BYTES]) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    is_stopping = false;
    int error = pthread_create(&watcher, NULL, watch, NULL);
    has_watcher = error == 0;
    if (has_watcher) return 0;
    snprintf(message, PPROF_MESSAGE_BYTES, "no thread (%s)", strerror(error));
    return -error;
}

int port_start(const char *address, const char *file, char ret_message[PPROF_MESSAGE_BYTES]) {
    served_address = address;
    switch_file = file;
    if (switch_file == NULL || switch_file[0] == '\0') return open_port(ret_message);
    int error = listeners_check(address, ret_message);
    return error != 0 ? error : start_watcher(ret_message);
}

void port_stop(void) {
    if (!has_watcher) {
        if (listeners.count != 0) close_port();
        return;
    }
    plain_lock(&lock);
    is_stopping = true;
    pthread_cond_signal(&changed);
    plain_unlock(&lock);
    pthread_join(watcher, NULL);
    pthread_cond_destroy(&changed);
    has_watcher = false;
}
