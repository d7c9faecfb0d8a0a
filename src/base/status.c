// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

const char *status_sentence(enum status status) {
    switch (status) {
#define ROW(name, code, sentence)                                                                  \
    case name: return sentence;
        STATUS_TABLE(ROW)
#undef ROW
    }
    return "an unknown status";
}
