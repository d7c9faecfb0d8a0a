// SPDX-License-Identifier: Apache-2.0
// The tokens that open the endpoint: a file of one `NAME:TOKEN` or plain `TOKEN` a line, several of
// them while one takes the other's place. The file is read for each request that needs it: so a
// change holds at once, also when Kubernetes swaps the symlink of a mounted Secret, and no token
// stays in memory.
//
// A token is 16 to 256 letters, digits and `-._~`: what needs no escape in a URL, in Bearer and in
// Basic. A name is up to 32 of the same; a plain token of line 2 is called `line-2`.
#pragma once

#include "base/bytes.h"

enum { TOKEN_BYTES_LEAST = 16, TOKEN_BYTES_MOST = 256, TOKEN_NAME_BYTES = 33 };

// Looks for `secret` among the tokens of `text`; how long that takes does not tell how much of it
// is right. STATUS_NOT_FOUND: it is none of them. STATUS_MALFORMED, STATUS_TRUNCATED (no token at
// all): the text is no list of tokens, `ret_fault` has the number of the line as its offset; not
// even a line before it counts then. Pure.
MUST_USE enum status token_find(struct bytes text, struct bytes secret,
                                char ret_name[TOKEN_NAME_BYTES], struct fault *ret_fault);

// The same in a file. STATUS_SYSTEM, STATUS_TOO_LARGE: it could not be read. What is wrong is in
// `ret_reason`, without a word of what the file holds. Context: any thread.
enum { TOKEN_REASON_BYTES = 160 };
MUST_USE enum status token_find_in_file(const char *path, struct bytes secret,
                                        char ret_name[TOKEN_NAME_BYTES],
                                        char ret_reason[TOKEN_REASON_BYTES]);

// True for a character of a token.
static inline bool token_may_hold(uint8_t c) {
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}
