// SPDX-License-Identifier: Apache-2.0
#include "pprof/symbol/symbol.h"

#include <backtrace.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "pprof/stack/image.h"
#include "pprof/symbol/vdso.h"

enum { TABLE_BYTES = 4 << 20 };  // measured: 3 MB for 1.6 MB of program, debug data included

static struct backtrace_state *state;
static pthread_once_t state_once = PTHREAD_ONCE_INIT;
static atomic_bool has_tables;

struct resolving {
    struct symbol_line *lines;
    size_t count;
};

// A program without debug data still has addresses: what cannot be named stays a number.
static void ignore_error(void *context, const char *message, int error) {
    (void)context;
    (void)message;
    (void)error;
}

static void create_state(void) {
    enum { SEVERAL_THREADS = 1 };
    state = backtrace_create_state(NULL, SEVERAL_THREADS, ignore_error, NULL);
}

// Called once a frame, innermost first. Assembly has lines but no function: `function` is NULL.
static int add_line(void *context, uintptr_t address, const char *file, int line,
                    const char *function) {
    (void)address;
    struct resolving *resolving = context;
    if (function == NULL && file == NULL) return 0;
    if (resolving->count == SYMBOL_LINES_MOST) return 0;
    resolving->lines[resolving->count++] = (struct symbol_line){
        .function = function, .file = file != NULL ? file : "", .line = line};
    return 0;
}

struct found {
    const char *name;
    uintptr_t start;
};

static void take_symbol(void *context, uintptr_t address, const char *name, uintptr_t start,
                        uintptr_t size) {
    (void)address;
    (void)size;
    *(struct found *)context = (struct found){name, start};
}

static struct found find_in_table(uintptr_t address) {
    struct found found = {0};
    pthread_once(&state_once, create_state);
    if (state != NULL) backtrace_syminfo(state, address, take_symbol, ignore_error, &found);
    return found;
}

static bool is_empty(const char *text) {
    return text == NULL || *text == '\0';
}

static size_t resolve_in_program(uintptr_t address, struct symbol_line *lines) {
    pthread_once(&state_once, create_state);
    if (state == NULL) return 0;
    struct resolving resolving = {.lines = lines};
    backtrace_pcinfo(state, address, add_line, ignore_error, &resolving);
    atomic_store_explicit(&has_tables, true, memory_order_relaxed);
    // The outermost function is the one that the symbol table knows.
    size_t last = resolving.count == 0 ? 0 : resolving.count - 1;
    if (resolving.count == 0) lines[0] = (struct symbol_line){.file = ""};
    if (is_empty(lines[last].function)) {
        const char *name = find_in_table(address).name;
        if (is_empty(name)) return 0;
        lines[last].function = name;
    }
    return last + 1;
}

static size_t resolve_in_vdso(const struct image *vdso, uintptr_t address,
                              struct symbol_line *lines) {
    const char *function = vdso_find_function(vdso, address);
    if (function == NULL) return 0;
    lines[0] = (struct symbol_line){.function = function, .file = ""};
    return 1;
}

size_t symbol_resolve(uintptr_t address, struct symbol_line lines[SYMBOL_LINES_MOST]) {
    const struct image *image = images_find(address);
    if (image == NULL) return 0;
    size_t count = image->is_vdso ? resolve_in_vdso(image, address, lines)
                                  : resolve_in_program(address, lines);
    // A function that no line table covers (the program's first, the vDSO's) is somewhere in the
    // image: tools expect a file's name. Without its folder, which is the machine's.
    const char *slash = strrchr(image->path, '/');
    for (size_t i = 0; i < count; i++) {
        if (is_empty(lines[i].file)) lines[i].file = slash != NULL ? slash + 1 : image->path;
    }
    return count;
}

size_t symbol_first_use_bytes(void) {
    return atomic_load_explicit(&has_tables, memory_order_relaxed) ? 0 : TABLE_BYTES;
}

uintptr_t symbol_start(uintptr_t address) {
    return find_in_table(address).start;
}
