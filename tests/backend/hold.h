// SPDX-License-Identifier: Apache-2.0
// Named gates. A reply waits at one until a test opens it, so that tests order events by a
// handshake and not by time. A gate appears when it is first named and stays as it is until the
// program ends.
#pragma once

// Waits until the gate is open. Context: any thread.
void hold_wait(const char *name);

// Opens the gate for all who wait and all who come. Context: any thread.
void hold_release(const char *name);

// How many wait now. Context: any thread.
int hold_waiting(const char *name);
