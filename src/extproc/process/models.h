// SPDX-License-Identifier: Apache-2.0
// The list that GET /v1/models is answered with. It may be replaced while it is served.
#pragma once

#include <pthread.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

enum { MODELS_MESSAGE_BYTES = 160, MODELS_TEXT_MOST_BYTES = 64 << 10 };

struct models {
    pthread_mutex_t lock;
    /* guarded by lock */
    struct buffer answer;  // OpenAI's list, as JSON
    size_t count;
};

#define MODELS_INIT                                                                                \
    { .lock = PTHREAD_MUTEX_INITIALIZER }

// Reads names separated by commas or line ends; spaces around a name, empty lines and what follows
// a '#' are ignored. `created_s` is what OpenAI's `created` says, in seconds since 1970.
// STATUS_MALFORMED, with the reason in `ret_message`: there is no name, or one is no text of
// visible ASCII without quotes and backslashes; STATUS_TOO_LARGE; STATUS_NO_MEMORY. Then the list
// is as it was. Context: any thread.
MUST_USE enum status models_set(struct models *models, struct bytes text, int64_t created_s,
                                char ret_message[MODELS_MESSAGE_BYTES]);

// A copy of the JSON, in the arena. STATUS_NO_MEMORY. Context: any thread.
MUST_USE enum status models_read(struct models *models, struct arena *arena,
                                 struct bytes *ret_answer);

// Context: any thread.
size_t models_count(struct models *models);

void models_done(struct models *models);
