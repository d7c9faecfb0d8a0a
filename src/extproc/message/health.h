// SPDX-License-Identifier: Apache-2.0
// The two messages of grpc.health.v1.Health.
#pragma once

#include "base/bytes.h"
#include "base/status.h"

// grpc.health.v1.HealthCheckResponse.ServingStatus
enum health_status { HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2, HEALTH_SERVICE_UNKNOWN = 3 };

enum { HEALTH_SERVICE_BYTES = 128 };

// Which service is asked about; `ret_service` gets at most HEALTH_SERVICE_BYTES, the rest is cut.
// STATUS_MALFORMED: not a HealthCheckRequest. STATUS_NO_MEMORY.
MUST_USE enum status health_decode_request(struct bytes serialised,
                                           uint8_t ret_service[HEALTH_SERVICE_BYTES],
                                           size_t *ret_service_bytes);

// Appends a HealthCheckResponse; on failure nothing was appended.
MUST_USE enum status health_encode_response(enum health_status health, struct buffer *serialised);
