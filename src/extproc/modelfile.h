// SPDX-License-Identifier: Apache-2.0
// The file of --models, read again when it changes: also when Kubernetes swaps the symlink on the
// way to it, because what is compared is the file that the path leads to.
#pragma once

#include <sys/stat.h>

#include "extproc/process/models.h"

struct modelfile {
    const char *path;  // owned by the caller
    struct models *models;
    struct stat seen;  // when it was last read, well or not
};

// Reads it for the first time. STATUS_MALFORMED, STATUS_SYSTEM with the reason in `ret_message`.
MUST_USE enum status modelfile_open(struct modelfile *file, char ret_message[MODELS_MESSAGE_BYTES]);

// Reads it again if it is another one, or has changed. What goes wrong is logged, once for each
// change, and the list stays as it is. Context: one thread.
void modelfile_check(struct modelfile *file);
