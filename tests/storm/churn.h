// SPDX-License-Identifier: Apache-2.0
// Threads that start, allocate without pause under a storm of ticks, and exit, by both doors.
#pragma once

// Starts and joins such threads, one after the other in each of a few starters, until churn_stop.
void churn_start(void);

// Returns how many threads there were, when the last has ended.
unsigned long long churn_stop(void);
