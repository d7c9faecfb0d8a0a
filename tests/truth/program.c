// SPDX-License-Identifier: Apache-2.0
#include "tests/truth/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pprof/pprof.h"

static void block_start_signal(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGUSR1);
    sigprocmask(SIG_BLOCK, set, NULL);
}

void program_serve(void) {
    sigset_t set;
    block_start_signal(&set);  // before there are threads
    char message[PPROF_MESSAGE_BYTES];
    // Every contention is recorded: the programs know each of theirs.
    const struct pprof_options options = {
        .address = "127.0.0.1:0", .block_rate_ns = 1, .mutex_fraction = 1};
    if (pprof_start(&options, message) != 0) {
        printf("failed %s\n", message);
        exit(2);
    }
    struct pprof_statistics statistics;
    pprof_read_statistics(&statistics);
    printf("address %s\n", statistics.addresses[0]);
    fflush(stdout);
}

void program_wait_for_start(void) {
    sigset_t set;
    block_start_signal(&set);
    int signal;
    sigwait(&set, &signal);
}

void program_end(void) {
    printf("end\n");
    fflush(stdout);
    for (;;) pause();
}
