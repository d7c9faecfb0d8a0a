// SPDX-License-Identifier: Apache-2.0
// Function names of the vDSO, from its dynamic symbol table: it is an ELF image in memory that no
// file holds.
#pragma once

#include <stdint.h>

#include "pprof/stack/image.h"

// The function around the address, NULL if none is known. The text lives as long as the process.
// Context: any thread, not signal.
const char *vdso_find_function(const struct image *vdso, uintptr_t address);
