// SPDX-License-Identifier: Apache-2.0
#include "pprof/stack/image.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

static struct images images;
static pthread_once_t images_once = PTHREAD_ONCE_INIT;

static void read_build_id(struct image *image, const uint8_t *notes, size_t size) {
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes, sizeof note);
        size_t name_size = ((size_t)note.n_namesz + 3) & ~(size_t)3;
        size_t content_size = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        size_t whole = sizeof note + name_size + content_size;
        if (whole > size) return;
        const uint8_t *name = notes + sizeof note;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
            size_t len = note.n_descsz;
            if (len > (BUILD_ID_TEXT_BYTES - 1) / 2) len = (BUILD_ID_TEXT_BYTES - 1) / 2;
            for (size_t i = 0; i < len; i++) {
                snprintf(image->build_id + 2 * i, 3, "%02x", name[name_size + i]);
            }
            return;
        }
        notes += whole;
        size -= whole;
    }
}

static void add_segment(struct image *image, const ElfW(Phdr) * segment) {
    uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ);
    uintptr_t start = image->load_base + segment->p_vaddr;
    uintptr_t end = start + segment->p_memsz;
    if (image->cfi.start == 0 || start < image->cfi.start) image->cfi.start = start;
    if (end > image->cfi.end) image->cfi.end = end;
    if ((segment->p_flags & PF_X) == 0) return;
    uintptr_t in_page = start % page;
    image->text_start = start - in_page;
    image->text_end = (end + page - 1) / page * page;
    image->text_offset = segment->p_offset - in_page;
}

static void read_segments(struct image *image, const ElfW(Phdr) * segments, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const ElfW(Phdr) *segment = &segments[i];
        const uint8_t *content = (const uint8_t *)(image->load_base + segment->p_vaddr);
        switch (segment->p_type) {
        case PT_LOAD: add_segment(image, segment); break;
        case PT_GNU_EH_FRAME: image->cfi.eh_frame_hdr = content; break;
        case PT_DYNAMIC: image->dynamic = (const ElfW(Dyn) *)content; break;
        case PT_NOTE: read_build_id(image, content, segment->p_memsz); break;
        default: break;
        }
    }
}

static int add_loaded(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    (void)context;
    if (images.count == IMAGES_MOST - 1) return 1;  // the last place is the vDSO's
    struct image image = {.load_base = info->dlpi_addr};
    read_segments(&image, info->dlpi_phdr, info->dlpi_phnum);
    uintptr_t vdso = (uintptr_t)getauxval(AT_SYSINFO_EHDR);
    if (vdso != 0 && image.cfi.start == vdso) return 0;  // some loaders list it; see add_vdso
    const char *name = info->dlpi_name != NULL ? info->dlpi_name : "";
    snprintf(image.path, sizeof image.path, "%s", name);
    if (images.count == 0) {
        ssize_t len = readlink("/proc/self/exe", image.path, sizeof image.path - 1);
        if (len >= 0) image.path[len] = '\0';
    }
    images.list[images.count++] = image;
    return 0;
}

static void add_vdso(void) {
    uintptr_t start = (uintptr_t)getauxval(AT_SYSINFO_EHDR);
    if (start == 0) return;
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)start;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(start + header->e_phoff);
    struct image image = {.is_vdso = true, .path = "[vdso]"};
    for (size_t i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type != PT_LOAD) continue;
        image.load_base = start + segments[i].p_offset - segments[i].p_vaddr;
    }
    read_segments(&image, segments, header->e_phnum);
    images.list[images.count++] = image;
}

static void find_images(void) {
    dl_iterate_phdr(add_loaded, NULL);
    add_vdso();
}

const struct images *images_get(void) {
    pthread_once(&images_once, find_images);
    return &images;
}

const struct image *images_find(uintptr_t address) {
    const struct images *all = images_get();
    for (size_t i = 0; i < all->count; i++) {
        const struct image *image = &all->list[i];
        if (address >= image->text_start && address < image->text_end) return image;
    }
    return NULL;
}
