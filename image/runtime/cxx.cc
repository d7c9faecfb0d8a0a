// SPDX-License-Identifier: Apache-2.0
// The C++ runtime, as far as the allocator needs one: it is built without exceptions and type
// information, so what is left are guards of function-local statics, the new handler, and ways to
// stop. Nothing here may allocate.
#include <new>

#include <stdint.h>
#include <stdlib.h>

// Guards: the first byte says "constructed" (the compiler tests it inline), the second "somebody is
// at it". The waiters spin: construction in the allocator is short and never blocks.
extern "C" int __cxa_guard_acquire(uint64_t *guard) {
    uint8_t *done = reinterpret_cast<uint8_t *>(guard);
    uint8_t *busy = done + 1;
    while (__atomic_exchange_n(busy, 1, __ATOMIC_ACQUIRE) != 0) {
    }
    if (__atomic_load_n(done, __ATOMIC_ACQUIRE) == 0) return 1;  // the caller constructs
    __atomic_store_n(busy, 0, __ATOMIC_RELEASE);
    return 0;
}

extern "C" void __cxa_guard_release(uint64_t *guard) {
    uint8_t *done = reinterpret_cast<uint8_t *>(guard);
    __atomic_store_n(done, 1, __ATOMIC_RELEASE);
    __atomic_store_n(done + 1, 0, __ATOMIC_RELEASE);
}

extern "C" void __cxa_pure_virtual() {
    abort();
}

namespace std {

static new_handler current_handler;

new_handler get_new_handler() noexcept {
    return __atomic_load_n(&current_handler, __ATOMIC_ACQUIRE);
}

new_handler set_new_handler(new_handler handler) noexcept {
    return __atomic_exchange_n(&current_handler, handler, __ATOMIC_ACQ_REL);
}

void __glibcxx_assert_fail(const char *, int, const char *, const char *) noexcept {
    abort();
}
void __throw_length_error(const char *) {
    abort();
}
void __throw_logic_error(const char *) {
    abort();
}
void __throw_out_of_range_fmt(const char *, ...) {
    abort();
}
void __throw_bad_alloc() {
    abort();
}
void __throw_bad_array_new_length() {
    abort();
}

}  // namespace std
