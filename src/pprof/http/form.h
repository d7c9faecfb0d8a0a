// SPDX-License-Identifier: Apache-2.0
// Reading a URL as Go does: the path cleaned, parameters as net/url.ParseQuery takes them. Pure;
// works on bytes from outside.
#pragma once

#include "base/bytes.h"

// Decodes %XX in a path. STATUS_MALFORMED: a bad escape. The result is appended.
MUST_USE enum status form_decode_path(struct bytes escaped, struct buffer *out);

// Splits a request target into path and query, both as sent. The absolute form loses its scheme and
// authority (RFC 9112 section 3.2.2: a server must accept it).
void form_split_target(struct bytes target, struct bytes *ret_path, struct bytes *ret_query);

// The authority of a target in absolute form; what is already there stays where it has none. RFC
// 9112 section 3.2.2: it counts, and Host does not.
void form_find_authority(struct bytes target, struct bytes *ret_authority);

// Appends the path without `.`, `..` and doubled slashes, as path.Clean does, with the trailing
// slash kept: what Go's ServeMux redirects to. Escapes stay as they are.
MUST_USE enum status form_clean_path(struct bytes path, struct buffer *out);

// Looks for the first value of `key` in `a=1&b=2`. Pairs with a `;` or a bad escape do not count.
// Appends the decoded value to `out`. STATUS_NOT_FOUND: there is none.
MUST_USE enum status form_find(struct bytes pairs, struct bytes key, struct buffer *out);

// A whole number as Go's strconv.ParseInt(text, 10, 64): digits with an optional sign.
// STATUS_MALFORMED, STATUS_OUT_OF_RANGE.
MUST_USE enum status form_read_int(struct bytes text, int64_t *ret_number);

// A whole number as Go's strconv.ParseUint(text, 0, 64): also 0x, 0o, 0b and a leading 0 for octal,
// and underscores between digits.
MUST_USE enum status form_read_address(struct bytes text, uint64_t *ret_number);
