// SPDX-License-Identifier: Apache-2.0
#include "hold.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gate {
    struct gate *next;
    char *name;
    int waiting;
    bool is_open;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct gate *gates;  // guarded by lock

static struct gate *find_or_add(const char *name) {
    for (struct gate *gate = gates; gate != NULL; gate = gate->next)
        if (strcmp(gate->name, name) == 0) return gate;
    struct gate *gate = calloc(1, sizeof *gate);
    if (gate != NULL) gate->name = strdup(name);
    if (gate == NULL || gate->name == NULL) {
        fputs("backend: out of memory\n", stderr);
        abort();
    }
    gate->next = gates;
    gates = gate;
    return gate;
}

void hold_wait(const char *name) {
    pthread_mutex_lock(&lock);
    struct gate *gate = find_or_add(name);
    gate->waiting++;
    while (!gate->is_open) pthread_cond_wait(&changed, &lock);
    gate->waiting--;
    pthread_mutex_unlock(&lock);
}

void hold_release(const char *name) {
    pthread_mutex_lock(&lock);
    find_or_add(name)->is_open = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

int hold_waiting(const char *name) {
    pthread_mutex_lock(&lock);
    int waiting = find_or_add(name)->waiting;
    pthread_mutex_unlock(&lock);
    return waiting;
}
