#include "wire/advice.h"

void advice_append_request_id(uint64_t id, struct buffer *buffer) {
    uint8_t bytes[sizeof(id)];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(id >> (56 - 8 * i));
    buffer_append_hex(buffer, bytes, sizeof(bytes));
}

void advice_append(const struct advice *advice, struct buffer *buffer) {
    buffer_append(buffer, TEXT("kube-introspect: "));
    if (advice->is_unknown) {
        buffer_append(buffer, TEXT("your sign-in could not be checked just now. Try again"));
    } else {
        buffer_append_json_inside(buffer, advice->sentence);
        buffer_append(buffer, TEXT(" Sign in again"));
    }
    buffer_append(buffer, TEXT("; if that does not help, show this to your administrator: "));
    buffer_append_json_inside(buffer, advice->word);
    buffer_append(buffer, TEXT(", request "));
    advice_append_request_id(advice->request_id, buffer);
}
