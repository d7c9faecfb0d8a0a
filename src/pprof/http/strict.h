// SPDX-License-Identifier: Apache-2.0
// What the HTTP library lets pass and a server must refuse: requests that two readers could
// understand differently. RFC 9112 sections 3.2 (Host) and 6.3 (Content-Length), RFC 9110 section
// 5.6.2 (tokens). Pure.
#pragma once

#include "base/bytes.h"

// All-zero before the first header.
struct strict_headers {
    bool has_host, has_length, has_authorization;
    bool is_bad;  // the request is to be refused
};

// Takes one header of a request after the other.
void strict_add_header(struct strict_headers *headers, struct bytes name, struct bytes value);

// True for one or more characters that may stand in a method or a header's name.
bool strict_is_token(struct bytes text);
