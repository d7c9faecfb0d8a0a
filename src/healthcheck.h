// SPDX-License-Identifier: Apache-2.0
// The subcommand `extproc healthcheck [ADDRESS]`: a client of /health or of the gRPC port, for
// images that hold no other program.
#pragma once

// Asks http://ADDRESS/health or, at grpc://ADDRESS, gRPC's Health/Check; `:1064` means loopback, a
// host may be a name, and of a list, as --admin-address may be one, the first is asked, which may
// be `unix:///path`. Prints one line, to standard output when healthy and else to standard error,
// and returns the exit code: 0 healthy, 1 not. Ends the process with 1 when that takes longer than
// two seconds. Context: start-up, instead of everything else; not re-entrant.
int healthcheck_run(const char *addresses);
