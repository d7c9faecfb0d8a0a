// SPDX-License-Identifier: Apache-2.0
// Memory kept aside, so that a profile can be read when the container has none left: that is when
// somebody needs it. The kernel kills a container at its limit instead of refusing memory, so what
// is kept has to be touched beforehand, and whoever is about to take more has to ask first.
//
// Only where a limit is in force: an eighth of it, at most RESERVE_BYTES_MOST. It is given back to
// the kernel when a reader would not find room otherwise, so that it serves everything that reading
// takes: the connection's thread, socket buffers, the symbol tables, the profile. Once the last
// reader is gone, as much of it is taken again as there is room for.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

// What reading takes at most: a profile of 10 000 stacks 7 MiB, names at their first use 4 MiB, the
// connection half of one.
enum { RESERVE_BYTES_MOST = 12 << 20 };

// What the bodies of all requests and answers may take together; a quarter of the limit, if that is
// less.
enum { RESERVE_LENT_BYTES_MOST = 64 << 20 };

// Looks for the limit of the process. Keeping memory aside is left to the first refill, in a thread
// that nobody waits for: it takes milliseconds. Context: start-up.
void reserve_start(void);
void reserve_stop(void);

// True if the process may take so many bytes more: it has no limit, or there is so much room below
// it, if need be by giving up what is kept aside. Reads a small file or two. Context: any thread,
// not signal.
bool reserve_make_room(size_t bytes);

// Memory by mmap, zeroed and touched: nobody else is promised the same room meanwhile. NULL: there
// is none. The caller unmaps it. Context: as above.
void *reserve_map(size_t bytes);

// Memory for such a body, as a buffer wants it (`resize` in base/bytes.h): charged when it is
// handed out, so that readers at the same time are not promised the same room; it grows in place,
// and goes back to the kernel when it is freed. NULL: there is no room, or it were more than all
// may take. Context: as above.
void *reserve_resize(void *data, size_t from, size_t to);

// Makes room for what writing any profile takes besides the profile: names at their first use,
// deflate, buffers. STATUS_NO_MEMORY. Context: any thread, not signal.
MUST_USE enum status reserve_prepare(void);

// Nobody reads, or not yet: keeps aside what there should be, as far as there is room. Context: any
// thread.
void reserve_refill(void);
