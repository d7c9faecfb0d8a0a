// SPDX-License-Identifier: Apache-2.0
// In the place of libstdc++'s header of that name, which is written for glibc's locales. The allocator uses none.
#pragma once

#include <clocale>

#define _GLIBCXX_NUM_CATEGORIES 0

namespace std {
typedef int *__c_locale;
}
