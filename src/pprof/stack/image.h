// SPDX-License-Identifier: Apache-2.0
// The ELF images in this process: the program first, then shared libraries if there are any, then
// the vDSO. Read once from the loader's own list (no file is opened but the link to the program).
#pragma once

#include <elf.h>
#include <link.h>

#include "pprof/stack/cfi.h"

enum { IMAGES_MOST = 64, IMAGE_PATH_BYTES = 256, BUILD_ID_TEXT_BYTES = 2 * 64 + 1 };

struct image {
    struct cfi_image cfi;            // its whole range, and where the unwind table is
    uintptr_t text_start, text_end;  // the executable segment, in whole pages
    uint64_t text_offset;            // where it lies in the file
    uintptr_t load_base;             // address of the image's address 0
    const ElfW(Dyn) * dynamic;       // NULL: none
    bool is_vdso;
    char path[IMAGE_PATH_BYTES];         // "[vdso]" for the vDSO; "" unknown
    char build_id[BUILD_ID_TEXT_BYTES];  // lower-case hex; "" for none
};

struct images {
    struct image list[IMAGES_MOST];
    size_t count;
};

// The list; made at the first call. Later dlopen()s are not seen. Context: any thread, not signal.
const struct images *images_get(void);

// The image whose executable segment holds the address; NULL: none does.
const struct image *images_find(uintptr_t address);
