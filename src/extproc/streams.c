// SPDX-License-Identifier: Apache-2.0
#include "extproc/streams.h"

#include <stddef.h>

void stream_list_join(struct stream_list *list, struct stream_entry *entry, const char *state,
                      int64_t now_ns) {
    entry->start_ns = now_ns;
    atomic_store_explicit(&entry->state, state, memory_order_relaxed);
    pthread_mutex_lock(&list->lock);
    entry->previous = NULL;
    entry->next = list->first;
    if (list->first != NULL) list->first->previous = entry;
    list->first = entry;
    pthread_mutex_unlock(&list->lock);
}

void stream_list_leave(struct stream_list *list, struct stream_entry *entry) {
    pthread_mutex_lock(&list->lock);
    if (entry->next != NULL) entry->next->previous = entry->previous;
    if (entry->previous != NULL) entry->previous->next = entry->next;
    if (list->first == entry) list->first = entry->next;
    pthread_mutex_unlock(&list->lock);
}

void stream_list_visit(struct stream_list *list,
                       void (*visit)(const struct stream_entry *entry, void *context),
                       void *context) {
    pthread_mutex_lock(&list->lock);
    for (struct stream_entry *entry = list->first; entry != NULL; entry = entry->next) {
        visit(entry, context);
    }
    pthread_mutex_unlock(&list->lock);
}
