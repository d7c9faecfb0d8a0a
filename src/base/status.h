// SPDX-License-Identifier: Apache-2.0
// What can go wrong, as one enum. Functions that can fail return `enum status` (0 is good); results
// go into the last parameter, `ret_x`, which is untouched on failure.
//
// Ranges mean something: below 100 it is the peer's fault (answer and go on), from 100 ours or the
// machine's (report and go on without), from 200 fatal (stop, free, leave).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

//       name              code  sentence
#define STATUS_TABLE(ROW)                                                                          \
    ROW(STATUS_OK, 0, "no error")                                                                  \
    ROW(STATUS_TRUNCATED, 1, "the input ends too early")                                           \
    ROW(STATUS_MALFORMED, 2, "the input breaks its format")                                        \
    ROW(STATUS_TOO_LARGE, 3, "the input is over a limit")                                          \
    ROW(STATUS_UNSUPPORTED, 4, "the input asks for something that is not offered")                 \
    ROW(STATUS_OUT_OF_RANGE, 5, "a value is out of its range")                                     \
    ROW(STATUS_UNEXPECTED, 6, "the input is valid but not allowed now")                            \
    ROW(STATUS_NO_MEMORY, 100, "out of memory")                                                    \
    ROW(STATUS_SYSTEM, 101, "a system call failed")                                                \
    ROW(STATUS_BUSY, 102, "in use by somebody else")                                               \
    ROW(STATUS_NOT_FOUND, 103, "there is no such thing")                                           \
    ROW(STATUS_LIBRARY, 104, "a library refused")                                                  \
    ROW(STATUS_INTERNAL, 200, "an internal error")

enum status {
#define ROW(name, code, sentence) name = code,
    STATUS_TABLE(ROW)
#undef ROW
};

// Where and why decoding stopped: `offset` in bytes from the start of the input, `what` a static
// sentence part that names the field.
struct fault {
    enum status status;
    size_t offset;
    const char *what;
};

// The sentence for a status; never NULL. Context: any thread, signal.
const char *status_sentence(enum status status);
