#include "wire/status.h"

#include <criterion/criterion.h>
#include <jansson.h>

static json_t *encoded(int code, struct text message) {
    struct buffer buffer;
    buffer_init(&buffer, 4096);
    status_encode(code, message, &buffer);
    cr_assert_eq(buffer.error, 0);
    json_t *status = json_loadb(buffer.data, buffer.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(status, "%.*s", (int)buffer.n_bytes, buffer.data);
    buffer_deinit(&buffer);
    return status;
}

static const char *member(const json_t *status, const char *name) {
    return json_string_value(json_object_get(status, name));
}

Test(status, has_the_reason_word_that_kubernetes_uses_for_the_code) {
    static const struct {
        int code;
        const char *reason;
    } rows[] = {
        {400, "BadRequest"},           {404, "NotFound"},
        {405, "MethodNotAllowed"},     {413, "RequestEntityTooLarge"},
        {415, "UnsupportedMediaType"}, {429, "TooManyRequests"},
        {503, "ServiceUnavailable"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *status = encoded(rows[i].code, TEXT("No."));
        cr_expect_str_eq(member(status, "reason"), rows[i].reason);
        cr_expect_eq(json_integer_value(json_object_get(status, "code")), rows[i].code);
        json_decref(status);
    }
}

Test(status, is_a_failure_of_kind_status_in_v1) {
    json_t *status = encoded(400, TEXT("byte 17: something follows the JSON document"));
    cr_expect_str_eq(member(status, "kind"), "Status");
    cr_expect_str_eq(member(status, "apiVersion"), "v1");
    cr_expect_str_eq(member(status, "status"), "Failure");
    cr_expect_str_eq(member(status, "message"), "byte 17: something follows the JSON document");
    cr_expect(json_is_object(json_object_get(status, "metadata")));
    json_decref(status);
}

Test(status, leaves_the_reason_out_where_kubernetes_has_no_word) {
    json_t *status = encoded(418, TEXT("No."));
    cr_expect_null(json_object_get(status, "reason"));
    cr_expect_eq(json_integer_value(json_object_get(status, "code")), 418);
    json_decref(status);
}

Test(status, escapes_its_message) {
    json_t *status = encoded(400, TEXT("a \"quote\"\nand \\ more"));
    cr_expect_str_eq(member(status, "message"), "a \"quote\"\nand \\ more");
    json_decref(status);
}

Test(status, is_one_compact_line) {
    struct buffer buffer;
    buffer_init(&buffer, 4096);
    status_encode(404, TEXT("There is nothing here."), &buffer);
    cr_expect(text_equal(buffer_text(&buffer),
                         TEXT("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
                              "\"message\":\"There is nothing here.\",\"reason\":\"NotFound\",\"code\":404}")));
    buffer_deinit(&buffer);
}
