// SPDX-License-Identifier: Apache-2.0
// Reads the settings, starts the profiling endpoint and the external processor, waits for a signal,
// drains, exits. Or, as `extproc healthcheck`, asks one that runs. 0: ended as asked; 1: could not
// start; 2: a bad setting.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "extproc/extproc.h"
#include "healthcheck.h"
#include "pprof/pprof.h"
#include "pprof_metrics.h"
#include "sandbox/sandbox.h"

#ifndef EXTPROC_VERSION
#define EXTPROC_VERSION "dev"
#endif

enum { EXIT_BAD_SETTING = 2 };

struct values {
    struct extproc_options extproc;
    const char *pprof_address;
    const char *pprof_token_file, *pprof_allowed_hosts, *pprof_profiles, *pprof_switch_file;
    int64_t pprof_auth_loopback, pprof_max_seconds, pprof_timed_requests;
    int64_t pprof_cpu_windows, pprof_block_rate_ns, pprof_mutex_fraction;
    int64_t pprof_heap_rate_bytes;  // checked here, used by the allocator long before
    int64_t log_level, log_format;
    int64_t sandbox;
    bool is_pprof_disabled;
    bool wants_help, wants_markdown, wants_version;
};

enum { SANDBOX_ON, SANDBOX_OFF, SANDBOX_REQUIRED };  // as `sandboxes` has them

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const booleans[] = {"false", "true", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const sandboxes[] = {"on", "off", "required", NULL};

static const struct setting table[] = {
    {.flag = "--listen",
     .environment = "EXTPROC_LISTEN",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, extproc.listen),
     .fallback = ":1063",
     .help =
         "Where Envoy connects: `:1063`, `localhost:0`, `unix:///path` (0660; `?mode=0666`), with commas"},
    {.flag = "--admin-address",
     .environment = "EXTPROC_ADMIN_ADDRESS",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, extproc.admin_address),
     .fallback = ":1064",
     .help = "Where /health and /metrics are served; empty: nowhere"},
    {.flag = "--models",
     .environment = "EXTPROC_MODELS",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, extproc.models),
     .fallback = "",
     .help =
         "What GET /v1/models answers: names with commas, or `/path` of a file with them that is "
         "read again when it changes; empty: it passes"},
    {.flag = "--workers",
     .environment = "EXTPROC_WORKERS",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, extproc.worker_count),
     .fallback = "0",
     .least = 0,
     .most = EXTPROC_WORKERS_MOST,
     .help = "Worker loops; 0: as many as the CPUs that the cgroup allows"},
    {.flag = "--body-limit",
     .environment = "EXTPROC_BODY_LIMIT",
     .kind = SETTING_BYTES,
     .offset = offsetof(struct values, extproc.body_limit_bytes),
     .fallback = "50Mi",
     .least = 1 << 10,
     .most = INT64_C(1) << 30,
     .help = "The largest request body that is read; past it the client gets a 413"},
    {.flag = "--include-usage",
     .environment = "EXTPROC_INCLUDE_USAGE",
     .kind = SETTING_CHOICE,
     .offset = offsetof(struct values, extproc.includes_usage),
     .fallback = "true",
     .choices = booleans,
     .help =
         "Streaming requests that do not ask for their usage are made to, so that it can be counted"},
    {.flag = "--total-body-limit",
     .environment = "EXTPROC_TOTAL_BODY_LIMIT",
     .kind = SETTING_BYTES,
     .offset = offsetof(struct values, extproc.total_body_limit_bytes),
     .fallback = "0",
     .least = 0,
     .most = INT64_C(1) << 40,
     .help =
         "All bodies in flight together; past it the newest get a 503; 0: a quarter of the memory "
         "that the cgroup allows beyond 8Mi, 1Gi where it sets no limit"},
    {.flag = "--connections",
     .environment = "EXTPROC_CONNECTIONS",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, extproc.connections_most),
     .fallback = "4096",
     .least = 1,
     .most = 1 << 20,
     .help = "gRPC connections at once"},
    {.flag = "--streams",
     .environment = "EXTPROC_STREAMS",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, extproc.streams_most),
     .fallback = "4096",
     .least = 1024,
     .most = 1 << 20,
     .help = "Streams at once on one connection (fewer would turn Envoy's bursts into errors)"},
    {.flag = "--total-streams",
     .environment = "EXTPROC_TOTAL_STREAMS",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, extproc.total_streams_most),
     .fallback = "16384",
     .least = 0,
     .most = 1 << 24,
     .help =
         "Streams at once on all connections (a filter behind the router has its own); past it the "
         "newest get a 503; 0: no limit"},
    {.flag = "--drain-delay",
     .environment = "EXTPROC_DRAIN_DELAY",
     .kind = SETTING_DURATION,
     .offset = offsetof(struct values, extproc.drain_delay_ns),
     .fallback = "5s",
     .least = 0,
     .most = 3600 * NS_PER_SECOND,
     .help = "After SIGTERM: how long new requests are still taken while /health fails"},
    {.flag = "--drain-deadline",
     .environment = "EXTPROC_DRAIN_DEADLINE",
     .kind = SETTING_DURATION,
     .offset = offsetof(struct values, extproc.drain_deadline_ns),
     .fallback = "30s",
     .least = 0,
     .most = 3600 * NS_PER_SECOND,
     .help = "After the delay: how long streams in flight may take to finish"},
    {.flag = "--log-level",
     .environment = "EXTPROC_LOG_LEVEL",
     .kind = SETTING_CHOICE,
     .offset = offsetof(struct values, log_level),
     .fallback = "info",
     .choices = log_levels,
     .help = "Lines below this level are left out"},
    {.flag = "--log-format",
     .environment = "EXTPROC_LOG_FORMAT",
     .kind = SETTING_CHOICE,
     .offset = offsetof(struct values, log_format),
     .fallback = "logfmt",
     .choices = log_formats,
     .help = "The form of a line on standard error"},
    {.flag = "--sandbox",
     .environment = "EXTPROC_SANDBOX",
     .kind = SETTING_CHOICE,
     .offset = offsetof(struct values, sandbox),
     .fallback = "on",
     .choices = sandboxes,
     .help =
         "`on`: the program gives up all system calls that it does not need; a kernel that has no "
         "such filter is warned of. `required`: that is an error. `off`: it keeps them"},
    {.flag = "--pprof-address",
     .environment = "PPROF_ADDRESS",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, pprof_address),
     .fallback = "localhost:6060",
     .help = "Where /debug/pprof/ is served; `:6060` is every address"},
    {.flag = "--pprof-token-file",
     .environment = "PPROF_TOKEN_FILE",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, pprof_token_file),
     .fallback = "",
     .help =
         "A file with a token on each line, `NAME:TOKEN` or `TOKEN`: who is not on loopback needs "
         "one; read for each request"},
    {.flag = "--pprof-auth-loopback",
     .environment = "PPROF_AUTH_LOOPBACK",
     .kind = SETTING_CHOICE,
     .offset = offsetof(struct values, pprof_auth_loopback),
     .fallback = "false",
     .choices = booleans,
     .help = "`true`: loopback needs a token, too, and so does `kubectl port-forward`"},
    {.flag = "--pprof-allowed-hosts",
     .environment = "PPROF_ALLOWED_HOSTS",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, pprof_allowed_hosts),
     .fallback = "",
     .help =
         "Names, with commas, that the Host header may have besides localhost and IP addresses"},
    {.flag = "--pprof-profiles",
     .environment = "PPROF_PROFILES",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, pprof_profiles),
     .fallback = "",
     .help = "What is served: `heap,profile` is these two, `-cmdline` all but that; empty: all"},
    {.flag = "--pprof-max-seconds",
     .environment = "PPROF_MAX_SECONDS",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, pprof_max_seconds),
     .fallback = "300",
     .least = 1,
     .most = 86400,
     .help = "The longest that `?seconds=` may ask for"},
    {.flag = "--pprof-timed-requests",
     .environment = "PPROF_TIMED_REQUESTS",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, pprof_timed_requests),
     .fallback = "16",
     .least = 1,
     .most = PPROF_TIMED_REQUESTS_MOST,
     .help = "Requests with `?seconds=` at the same time; one more gets a 429"},
    {.flag = "--pprof-switch-file",
     .environment = "PPROF_SWITCH_FILE",
     .kind = SETTING_TEXT,
     .offset = offsetof(struct values, pprof_switch_file),
     .fallback = "",
     .help =
         "A file that opens the pprof port while it says `on`, and closes it by anything else or by "
         "not being there"},
    {.flag = "--pprof-cpu-windows",
     .environment = "PPROF_CPU_WINDOWS",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, pprof_cpu_windows),
     .fallback = "4",
     .least = 1,
     .most = 64,
     .help = "CPU profiles at the same time; 1 is exactly Go"},
    {.flag = "--pprof-block-rate",
     .environment = "PPROF_BLOCK_RATE",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, pprof_block_rate_ns),
     .fallback = "10000",
     .least = 0,
     .most = NS_PER_SECOND,
     .help = "Nanoseconds; waits shorter than this are sampled for the block profile; 0: none"},
    {.flag = "--pprof-mutex-fraction",
     .environment = "PPROF_MUTEX_FRACTION",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, pprof_mutex_fraction),
     .fallback = "10",
     .least = 0,
     .most = 1 << 20,
     .help = "One of so many contentions is recorded for the mutex profile; 0: none"},
    {.environment = "PPROF_HEAP_RATE",
     .kind = SETTING_COUNT,
     .offset = offsetof(struct values, pprof_heap_rate_bytes),
     .fallback = "524288",
     .least = 0,
     .most = INT64_C(1) << 40,
     .help = "One allocation is sampled for so many bytes on average; 0: none. Read before main"},
    {.environment = "DISABLE_PPROF",
     .kind = SETTING_PRESENCE,
     .offset = offsetof(struct values, is_pprof_disabled),
     .help = "Set to anything, also to `false` or nothing: no pprof port, thread or sampling"},
    {.flag = "--help",
     .kind = SETTING_PRESENCE,
     .offset = offsetof(struct values, wants_help),
     .help = "Print this and exit"},
    {.flag = "--help-markdown",
     .kind = SETTING_PRESENCE,
     .offset = offsetof(struct values, wants_markdown),
     .help = "Print the settings as the README has them and exit"},
    {.flag = "--version",
     .kind = SETTING_PRESENCE,
     .offset = offsetof(struct values, wants_version),
     .help = "Print the version and exit"},
};

static bool print_what_was_asked(const struct values *values) {
    if (values->wants_help) {
        printf(
            "extproc: an external processor for Envoy, with a profiling endpoint\n"
            "extproc healthcheck [ADDRESS]: asks a running one's /health, at the admin address "
            "unless\nit is given another; or the gRPC port, at grpc://HOST:PORT. Exit code 0 if it "
            "is well\n\n"
            "Settings (a flag beats its environment variable):\n");
        settings_print_help(table, COUNT_OF(table), stdout);
        return true;
    }
    if (values->wants_markdown) {
        settings_print_markdown(table, COUNT_OF(table), stdout);
        return true;
    }
    if (values->wants_version) printf("extproc %s\n", EXTPROC_VERSION);
    return values->wants_version;
}

// A pprof that cannot start is an error line and a metric; the processor does its work without it.
// Only a setting that is bad is refused, like every other.
static enum status start_pprof(const struct values *values) {
    if (pprof_is_disabled()) {
        log_info("pprof is disabled", log_text("by", "DISABLE_PPROF"));
        return STATUS_OK;
    }
    const struct pprof_options options = {
        .address = values->pprof_address,
        .token_file = values->pprof_token_file,
        .auth_loopback = values->pprof_auth_loopback != 0,
        .allowed_hosts = values->pprof_allowed_hosts,
        .profiles = values->pprof_profiles,
        .max_seconds = values->pprof_max_seconds,
        .timed_requests = (uint32_t)values->pprof_timed_requests,
        .switch_file = values->pprof_switch_file,
        .cpu_windows = (uint32_t)values->pprof_cpu_windows,
        .block_rate_ns = values->pprof_block_rate_ns,
        .mutex_fraction = values->pprof_mutex_fraction,
        .version = EXTPROC_VERSION,
    };
    char message[PPROF_MESSAGE_BYTES];
    int result = pprof_start(&options, message);
    if (result == 0) return STATUS_OK;
    log_error("pprof is not served", log_text("reason", message));
    return result == -EINVAL ? STATUS_MALFORMED : STATUS_OK;
}

// What the profiler is told of requests.
static uint32_t label(uint32_t before, const char *key, struct bytes value, bool is_known) {
    return pprof_labels_add(before, key, (const char *)value.data, value.len, is_known);
}

static const struct observer observer = {
    .label = label,
    .enter = pprof_labels_push,
    .leave = pprof_labels_pop,
};

static void collect_stream(const struct extproc_stream *stream, void *context) {
    const char *const frames[] = {stream->state, "stream"};
    const int64_t values[] = {1, stream->age_ns};
    pprof_collector_add(context, frames, COUNT_OF(frames), values, stream->label);
}

// The processor starts after the endpoint that shows its streams.
static _Atomic(struct extproc *) running;

static void collect_streams(struct pprof_collector *collector, void *context) {
    (void)context;
    struct extproc *extproc = atomic_load(&running);
    if (extproc != NULL) extproc_visit_streams(extproc, collect_stream, collector);
}

static void write_stream(const struct extproc_stream *stream, void *context) {
    pprof_write(
        context, "stream [%s, %.3f seconds]: model=%s operation=%s route=%s\n", stream->state,
        (double)stream->age_ns / NS_PER_SECOND, pprof_labels_value(stream->label, "model"),
        pprof_labels_value(stream->label, "operation"), pprof_labels_value(stream->label, "route"));
}

static void write_streams(struct pprof_writer *writer, void *context) {
    (void)context;
    struct extproc *extproc = atomic_load(&running);
    if (extproc != NULL) extproc_visit_streams(extproc, write_stream, writer);
}

// In an event loop the request that is stuck has no thread: it is a profile of its own.
static void add_streams_profile(void) {
    static const struct pprof_profile profile = {
        .name = "streams",
        .description = "Envoy's streams in flight, by what they wait for, with their ages.",
        .values = {{"streams", "count"}, {"age", "nanoseconds"}},
        .collect = collect_streams,
        .write_dump = write_streams,
    };
    int error = pprof_profile_add(&profile);
    if (error != 0) log_error("no streams profile", log_number("errno", -error));
}

// The first signal begins to drain, the second ends it.
static void wait_until_finished(struct extproc *extproc, int signals) {
    struct pollfd watched[] = {
        {.fd = signals, .events = POLLIN},
        {.fd = extproc_finished_fd(extproc), .events = POLLIN},
    };
    bool is_draining = false;
    while (watched[1].revents == 0) {
        if (poll(watched, COUNT_OF(watched), -1) < 0) continue;  // EINTR: a tick
        struct signalfd_siginfo info;
        if ((watched[0].revents & POLLIN) == 0) continue;
        if (read(signals, &info, sizeof info) != sizeof info) continue;
        log_info("signal received", log_number("signal", info.ssi_signo));
        if (is_draining) {
            extproc_stop(extproc);
        } else {
            extproc_drain(extproc);
        }
        is_draining = true;
    }
}

// An address that is none shows only when it is used.
static int exit_code(enum status status) {
    if (status == STATUS_OK) return EXIT_SUCCESS;
    bool is_setting = status == STATUS_MALFORMED || status == STATUS_OUT_OF_RANGE;
    return is_setting ? EXIT_BAD_SETTING : EXIT_FAILURE;
}

// Before anything that a peer may reach. False: it is required, and not to be had.
static bool enter_sandbox(const struct values *values) {
    if (values->sandbox == SANDBOX_OFF) {
        log_info("system calls are not filtered", log_text("by", "EXTPROC_SANDBOX"));
        return true;
    }
    bool serves_unix = strstr(values->extproc.listen, "unix:") != NULL ||
                       strstr(values->extproc.admin_address, "unix:") != NULL;
    enum status status = sandbox_start(serves_unix);
    if (status == STATUS_OK) return true;
    const char *reason = status == STATUS_SYSTEM ? strerror(errno) : "not in a build for tests";
    enum log_level level = values->sandbox == SANDBOX_REQUIRED ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN;
    LOG_WRITE(level, "system calls cannot be filtered", log_text("reason", reason),
              log_text("setting", "EXTPROC_SANDBOX"));
    return values->sandbox != SANDBOX_REQUIRED;
}

static void write_metrics(struct buffer *text, void *unused) {
    pprof_metrics_write(text, unused);
    // A line that finds no memory is left out.
    (void)!buffer_append_format(
        text,
        "# HELP extproc_system_calls_refused_total System calls that the sandbox refused\n"
        "# TYPE extproc_system_calls_refused_total counter\n"
        "extproc_system_calls_refused_total %llu\n",
        (unsigned long long)sandbox_refused_count());
}

static int run(struct values *values) {
    if (!enter_sandbox(values)) return EXIT_FAILURE;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);  // before there are threads: they inherit it
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0) {
        log_error("no signalfd");
        return EXIT_FAILURE;
    }
    add_streams_profile();
    enum status status = start_pprof(values);
    if (status != STATUS_OK) return exit_code(status);
    if (!pprof_is_disabled()) values->extproc.observer = &observer;
    values->extproc.write_metrics = write_metrics;
    struct extproc *extproc;
    char message[EXTPROC_MESSAGE_BYTES];
    status = extproc_start(&values->extproc, &extproc, message);
    if (status == STATUS_OK) {
        atomic_store(&running, extproc);
        wait_until_finished(extproc, signals);
    } else {
        extproc = NULL;
        log_error("cannot start", log_text("reason", message));
    }
    pprof_stop();  // before the processor goes: it may be asked for its streams
    extproc_free(extproc);
    close(signals);
    return exit_code(status);
}

// Help must be had while another setting is wrong.
static bool has_word(int argc, char **argv, const char *word) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], word) == 0) return true;
    }
    return false;
}

int main(int argc, char **argv) {
    // Before the settings may stand `healthcheck`, or `healthcheck ADDRESS`.
    int words = argc > 1 && strcmp(argv[1], "healthcheck") == 0 ? 1 : 0;
    if (words == 1 && argc > 2 && argv[2][0] != '-') words = 2;
    argc -= words;
    argv += words;
    if (has_word(argc, argv, "--help")) {
        print_what_was_asked(&(const struct values){.wants_help = true});
        return EXIT_SUCCESS;
    }
    struct values values = {0};
    char message[SETTINGS_MESSAGE_BYTES];
    enum status status = settings_read(table, COUNT_OF(table), argc, argv, &values, message);
    if (status != STATUS_OK) {
        fprintf(stderr, "extproc: %s\n", message);
        return EXIT_BAD_SETTING;
    }
    if (print_what_was_asked(&values)) return EXIT_SUCCESS;
    if (words == 2) values.extproc.admin_address = argv[0];
    // One that cannot be had was said by the program that is asked.
    if (words > 0 && values.sandbox != SANDBOX_OFF) (void)!sandbox_start(false);
    if (words > 0) return healthcheck_run(values.extproc.admin_address);
    log_init((enum log_level)values.log_level, (enum log_format)values.log_format);
    return run(&values);
}
