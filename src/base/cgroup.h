// SPDX-License-Identifier: Apache-2.0
// Where the kernel keeps the limits of this process: the folder of its control group, and those of
// the groups above it, which limit it too. Both versions, side by side as well.
#pragma once

#include <stdbool.h>

enum { CGROUP_TEXT_BYTES = 4096 };

// Calls `visit` for the own folder and for each one above, nearest first, until it returns false.
// `controller` is version 1's name of what is limited: "cpu", "memory". In a container without a
// cgroup namespace the own path names folders that are not there, and the mount itself is the own
// group: folders may not exist. Context: any thread, not signal.
void cgroup_visit(const char *controller, bool (*visit)(const char *folder, void *context),
                  void *context);

// The same, where the hierarchies are mounted in `root` (version 2 itself or in `unified`, version
// 1 under the controller's name) and /proc/self/cgroup reads `groups`.
void cgroup_visit_at(const char *root, const char *groups, const char *controller,
                     bool (*visit)(const char *folder, void *context), void *context);

// The start of a folder's file as text; false: it cannot be read.
bool cgroup_read(const char *folder, const char *file, char text[CGROUP_TEXT_BYTES]);
