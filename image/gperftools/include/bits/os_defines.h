// SPDX-License-Identifier: Apache-2.0
// In the place of libstdc++'s header of that name, which asks glibc's <features.h> for its version.
#pragma once
