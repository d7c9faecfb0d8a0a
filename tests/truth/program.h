// SPDX-License-Identifier: Apache-2.0
// How a truth program is started by its test: it prints "address HOST:PORT" of its profiling
// endpoint, begins its work at SIGUSR1, prints what is true as "NAME VALUE" lines, then "end", and
// stays to be asked until it is killed.
#pragma once

// Starts pprof on a free port and prints the address; ends the program if it cannot.
void program_serve(void);

// Waits for SIGUSR1.
void program_wait_for_start(void);

// Prints "end" and never returns.
void program_end(void);
