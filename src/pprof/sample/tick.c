// SPDX-License-Identifier: Apache-2.0
#include "pprof/sample/tick.h"

#include <errno.h>
#include <sys/prctl.h>

#include "pprof/sample/thread.h"
#include "pprof/stack/walk.h"

_Atomic(struct ring *) tick_ring;
atomic_uint tick_in_flight;
atomic_ullong tick_recorded, tick_dropped;

NO_SANITIZE_ADDRESS static void read_words(uintptr_t words[LEAF_WORDS],
                                           const struct machine_registers *registers,
                                           uintptr_t high) {
    const uintptr_t *low = (const uintptr_t *)registers->sp;
    bool is_inside = registers->sp % sizeof *low == 0 && registers->sp < high &&
                     high - registers->sp >= 2 * sizeof *low;
    // A frame record there that is linked is in the chain. The unwind table can't tell: on AArch64
    // its rows are the same before and after the instruction that links it.
    bool is_linked = registers->fp == registers->sp;
    bool is_told = is_inside && !is_linked;
    words[LEAF_CALLER_IN_CHAIN] = 0;
    words[LEAF_CALLER_IN_WORD_0] = is_told ? plain_address(low[0]) : 0;
    words[LEAF_CALLER_IN_WORD_1] = is_told ? plain_address(low[1]) : 0;
    words[LEAF_CALLER_IN_LINK] = registers->link;
}

static void fill(struct tick *tick, const struct thread *thread, uint32_t weight,
                 const ucontext_t *context) {
    struct machine_registers registers = machine_registers_of(context);
    tick->weight = weight;
    tick->addresses[0] = registers.pc;
    read_words(tick->words, &registers, thread->stack_high);
    struct walk_result walk = walk_frames(registers.fp, registers.sp, thread->stack_high,
                                          tick->addresses + 1, STACK_DEPTH - 1);
    tick->depth = 1 + walk.depth;
    tick->is_complete = walk.is_complete;
    tick->labels = thread_labels;
    prctl(PR_GET_NAME, tick->thread);
}

void tick_handle(int signal, siginfo_t *info, void *context) {
    (void)signal;
    struct thread *thread = thread_self;
    // Another's SIGPROF, or a tick that was under way when its timer was deleted.
    if (info->si_code != SI_TIMER || thread == NULL) return;
    int saved_errno = errno;
    thread->interruptions++;
    // Both sequentially consistent: either the one who takes the ring away sees this handler in
    // flight, or this handler sees that the ring is gone.
    atomic_fetch_add(&tick_in_flight, 1);
    struct ring *ring = atomic_load(&tick_ring);
    if (ring != NULL) {
        uint32_t weight = 1 + (info->si_overrun > 0 ? (uint32_t)info->si_overrun : 0);
        struct ring_slot *slot = ring_claim(ring);
        atomic_fetch_add_explicit(slot != NULL ? &tick_recorded : &tick_dropped, weight,
                                  memory_order_relaxed);
        if (slot != NULL) {
            fill(&slot->tick, thread, weight, context);
            ring_release(slot);
        }
    }
    atomic_fetch_sub(&tick_in_flight, 1);
    errno = saved_errno;
}

void tick_handle_dump(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    struct thread *thread = thread_self;
    if (thread == NULL) return;
    int saved_errno = errno;
    thread->interruptions++;
    // Taken or called back: only one of the two gets it.
    struct tick_request *request = atomic_exchange(&thread->request, NULL);
    if (request != NULL) {
        fill(&request->tick, thread, 1, context);
        // pairs with the acquire in dump.c
        atomic_store_explicit(&request->is_done, true, memory_order_release);
    }
    errno = saved_errno;
}
