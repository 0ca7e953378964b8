#include "wire/status.h"

/* The words of k8s.io/apimachinery, pkg/apis/meta/v1 StatusReason; the empty text is its "unknown". */
static struct text reason_of(int code) {
    switch (code) {
    case 400:
        return TEXT("BadRequest");
    case 404:
        return TEXT("NotFound");
    case 405:
        return TEXT("MethodNotAllowed");
    case 413:
        return TEXT("RequestEntityTooLarge");
    case 415:
        return TEXT("UnsupportedMediaType");
    case 429:
        return TEXT("TooManyRequests");
    case 503:
        return TEXT("ServiceUnavailable");
    default:
        return TEXT("");
    }
}

void status_encode(int code, struct text message, struct buffer *buffer) {
    const struct text reason = reason_of(code);
    buffer_append(buffer,
                  TEXT("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":"));
    buffer_append_json_string(buffer, message);
    if (reason.n_bytes != 0) {
        buffer_append(buffer, TEXT(",\"reason\":"));
        buffer_append_json_string(buffer, reason);
    }
    buffer_append(buffer, TEXT(",\"code\":"));
    buffer_append_i64(buffer, code);
    buffer_append_char(buffer, '}');
}
