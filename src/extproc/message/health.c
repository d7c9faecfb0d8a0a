// SPDX-License-Identifier: Apache-2.0
#include "extproc/message/health.h"

#include "extproc/message/health.pb-c.h"

enum status health_decode_request(struct bytes serialised,
                                  uint8_t ret_service[HEALTH_SERVICE_BYTES],
                                  size_t *ret_service_bytes) {
    Health__HealthCheckRequest *request = health__health_check_request__unpack(NULL, serialised.len,
                                                                               serialised.data);
    if (request == NULL) return STATUS_MALFORMED;
    size_t len = request->service.len;
    if (len > HEALTH_SERVICE_BYTES) len = HEALTH_SERVICE_BYTES;
    if (len > 0) memcpy(ret_service, request->service.data, len);
    *ret_service_bytes = len;
    health__health_check_request__free_unpacked(request, NULL);
    return STATUS_OK;
}

enum status health_encode_response(enum health_status health, struct buffer *serialised) {
    Health__HealthCheckResponse response = HEALTH__HEALTH_CHECK_RESPONSE__INIT;
    response.status = (int32_t)health;
    uint8_t *room;
    enum status status = buffer_reserve(
        serialised, health__health_check_response__get_packed_size(&response), &room);
    if (status != STATUS_OK) return status;
    serialised->len += health__health_check_response__pack(&response, room);
    return STATUS_OK;
}
