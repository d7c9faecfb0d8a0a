// SPDX-License-Identifier: Apache-2.0
#include "base/copy.c"

enum { ROOM_BYTES = 400 };

// Every length around the steps, from and to every alignment, and no byte beside it.
static void test_copy__copies_so_many_bytes_and_no_more(void **state) {
    (void)state;
    uint8_t from[ROOM_BYTES], to[ROOM_BYTES], want[ROOM_BYTES];
    for (size_t i = 0; i < ROOM_BYTES; i++) from[i] = (uint8_t)(i * 7 + 1);
    for (size_t len = 0; len < 150; len++) {
        for (size_t at = 0; at < 32; at++) {
            memset(to, 0xee, sizeof(to));
            memset(want, 0xee, sizeof(want));
            for (size_t i = 0; i < len; i++) want[64 + at + i] = from[3 * at + i];
            assert_ptr_equal(__wrap_memcpy(to + 64 + at, from + 3 * at, len), to + 64 + at);
            assert_memory_equal(to, want, sizeof(to));
        }
    }
}
