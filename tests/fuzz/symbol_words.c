// SPDX-License-Identifier: Apache-2.0
// The words of a symbol request. Names are made up here: what an address is called is not the
// point, but that each known one is answered once, and in at most as many lines as there are words.
#include <stdlib.h>

// The library's own comes in by others that need it.
#define symbol_resolve made_up_resolve
#include "pprof/http/symbol.c"

size_t symbol_resolve(uintptr_t address, struct symbol_line lines[SYMBOL_LINES_MOST]) {
    if (address == 0 || address % 3 == 0) return 0;
    lines[0] = (struct symbol_line){.function = "a_function", .file = ""};
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct request request = {.method = "GET", .query = bytes_of(data, size)};
    struct answer answer = {0};
    endpoint_answer_symbol(&request, &answer);
    static const char head[] = "num_symbols: 1\n";
    struct bytes body = buffer_bytes(&answer.body);
    if (answer.status != 200 || !bytes_start_with(body, bytes_of_text(head))) abort();
    size_t words = 1;
    for (size_t i = 0; i < size; i++) words += data[i] == '+';
    size_t lines = 0;
    for (size_t i = 0; i < body.len; i++) lines += body.data[i] == '\n';
    if (lines > words + 2) abort();
    answer_done(&answer);
    return 0;
}
