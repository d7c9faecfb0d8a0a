// SPDX-License-Identifier: Apache-2.0
// One request, from the line that begins it to the end of its answer: libmicrohttpd's callbacks.
#pragma once

#include <microhttpd.h>

// Context, for all: the connection's thread.
void *call_begin(void *context, const char *target, struct MHD_Connection *connection);
enum MHD_Result call_handle(void *context, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_size, void **slot);
void call_end(void *context, struct MHD_Connection *connection, void **slot,
              enum MHD_RequestTerminationCode why);

// A connection comes and goes.
void call_watch_connection(void *context, struct MHD_Connection *connection, void **slot,
                           enum MHD_ConnectionNotificationCode what);

// How many are between their beginning and their end. Context: any thread.
unsigned call_count(void);
