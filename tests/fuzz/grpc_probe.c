// SPDX-License-Identifier: Apache-2.0
// What /health reads of a listener's answer: the verdict does not depend on where it is cut.
#include <stdlib.h>

#include "extproc/grpc/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct probe whole = {0}, cut = {0};
    enum probe_verdict verdict_cut = PROBE_WAIT;
    for (size_t i = 0; i < size && verdict_cut == PROBE_WAIT; i++) {
        verdict_cut = probe_read(&cut, bytes_of(data + i, 1));
    }
    if (probe_read(&whole, bytes_of(data, size)) != verdict_cut) abort();
    return 0;
}
