// SPDX-License-Identifier: Apache-2.0
#include "pprof/symbol/vdso.h"

#include <stddef.h>

struct tables {
    const ElfW(Sym) * symbols;
    const char *texts;
    size_t symbol_count;
};

// The vDSO's dynamic section is not relocated: its pointers count from the image's address 0.
static struct tables find_tables(const struct image *vdso) {
    struct tables tables = {0};
    for (const ElfW(Dyn) *entry = vdso->dynamic; entry->d_tag != DT_NULL; entry++) {
        const void *content = (const void *)(vdso->load_base + entry->d_un.d_ptr);
        if (entry->d_tag == DT_SYMTAB) tables.symbols = content;
        if (entry->d_tag == DT_STRTAB) tables.texts = content;
    }
    // There is no count: the linker puts the strings right behind the symbols.
    uintptr_t symbols = (uintptr_t)tables.symbols;
    uintptr_t texts = (uintptr_t)tables.texts;
    if (symbols != 0 && texts > symbols) {
        tables.symbol_count = (texts - symbols) / sizeof(ElfW(Sym));
    }
    return tables;
}

const char *vdso_find_function(const struct image *vdso, uintptr_t address) {
    if (vdso->dynamic == NULL) return NULL;
    struct tables tables = find_tables(vdso);
    for (size_t i = 0; i < tables.symbol_count; i++) {
        const ElfW(Sym) *symbol = &tables.symbols[i];
        uintptr_t start = vdso->load_base + symbol->st_value;
        if ((symbol->st_info & 0xf) != STT_FUNC || symbol->st_shndx == SHN_UNDEF) continue;
        if (address >= start && address < start + symbol->st_size) {
            return tables.texts + symbol->st_name;
        }
    }
    return NULL;
}
