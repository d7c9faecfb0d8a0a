// SPDX-License-Identifier: Apache-2.0
// trace: there is none in a C program, and an invented file would help nobody.
#include "pprof/http/endpoint.h"

void endpoint_answer_trace(const struct request *request, struct answer *answer) {
    (void)request;
    answer_error(answer, 500, "Could not enable tracing: this program has no execution trace");
}
