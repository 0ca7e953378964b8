/* The cases of test/data/replies that are nothing but a body: what introspection_decode() makes of each. */
#include "wire/introspection.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "unit/wire/cases.h"
#include "wire/claims.h"

#define FOLDER "test/data/replies"

static const char *word(const json_t *object, const char *name) {
    const char *const value = json_string_value(json_object_get(object, name));
    return value == NULL ? "" : value;
}

static void append_parts(const json_t *parts, struct buffer *body) {
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *const part = json_array_get(parts, i);
        const json_int_t times = json_integer_value(json_object_get(part, "times"));
        for (json_int_t n = 0; n < times; n++)
            buffer_append(body, text_of(word(part, "text")));
    }
}

static unsigned base64_value(char c) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *const place = strchr(alphabet, c);
    cr_assert(c != '\0' && place != NULL);
    return (unsigned)(place - alphabet);
}

static void append_base64(const char *base64, struct buffer *body) {
    unsigned bits = 0, n_bits = 0;
    for (; *base64 != '\0' && *base64 != '='; base64++) {
        bits = (bits << 6 | base64_value(*base64)) & 0xffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            buffer_append_char(body, (char)(bits >> n_bits & 0xff));
        }
    }
}

static void write_body(const json_t *test_case, struct buffer *body) {
    buffer_init(body, (size_t)16 * 1024 * 1024);
    buffer_append(body, text_of(word(test_case, "body")));
    append_base64(word(test_case, "body_base64"), body);
    append_parts(json_object_get(test_case, "body_parts"), body);
    cr_assert_eq(body->error, 0);
}

/* Status 200, the right media type, no encoding, and the whole of the body comes: what is left is the decoder's to judge.
 */
static bool is_body_only(const json_t *test_case) {
    const json_t *const headers = json_object_get(test_case, "headers");
    return json_integer_value(json_object_get(test_case, "status")) == 200 &&
           json_object_get(test_case, "behaviour") == NULL && json_object_get(test_case, "compress") == NULL &&
           json_object_size(headers) == 1 && strcmp(word(headers, "Content-Type"), "application/json") == 0;
}

/* The claims of whatever was decoded can be opened again. */
static void expect_claims_open(const char *name, const struct introspection *introspection) {
    struct claims *claims = NULL;
    cr_expect_eq(claims_open(buffer_text(&introspection->claims), &claims), 0, "%s", name);
    claims_close(claims);
}

static bool is_for_the_decoder(const char *reason) {
    return strcmp(reason, "provider_reply_invalid") == 0 || strcmp(reason, "provider_reply_too_large") == 0;
}

static void expect_decoded(const json_t *test_case, struct text body) {
    const char *const name = word(test_case, "name");
    const json_t *const expect = json_object_get(test_case, "expect");
    const char *const reason = word(json_is_array(expect) ? json_array_get(expect, 0) : expect, "reason");
    cr_expect_str_not_empty(reason, "%s", name);
    struct introspection introspection;
    const int result = introspection_decode(body, &introspection);
    cr_expect_eq(result, is_for_the_decoder(reason) ? INTROSPECTION_MALFORMED : 0, "%s", name);
    if (result != 0)
        return;
    cr_expect_eq(introspection.active, strcmp(reason, "inactive") != 0, "%s", name);
    expect_claims_open(name, &introspection);
    introspection_deinit(&introspection);
}

static size_t n_bodies;

static void decode_case(const char *file, const json_t *test_case) {
    cr_expect_eq(strncmp(word(test_case, "name"), file, strlen(file) - strlen(".json")), 0, "%s", file);
    if (!is_body_only(test_case))
        return;
    struct buffer body;
    write_body(test_case, &body);
    expect_decoded(test_case, buffer_text(&body));
    buffer_deinit(&body);
    n_bodies++;
}

Test(replies, a_body_is_decoded_exactly_when_it_is_a_definite_answer) {
    const size_t n_cases = cases_check(FOLDER, decode_case);
    cr_expect_geq(n_cases, 200);
    cr_expect_geq(n_bodies, 120, "%zu", n_bodies);
}

Test(replies, every_part_of_a_truncated_body_is_malformed) {
    static const char *const files[] = {"truncated-each-byte-fitting-length.json", "truncated-inactive-each-byte.json"};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        json_t *const test_case = case_load(FOLDER, files[i]);
        struct buffer body;
        write_body(test_case, &body);
        struct introspection introspection;
        for (size_t n = 0; n < body.n_bytes; n++)
            cr_expect_eq(introspection_decode((struct text){body.data, n}, &introspection), INTROSPECTION_MALFORMED,
                         "%s: %zu", files[i], n);
        cr_assert_eq(introspection_decode(buffer_text(&body), &introspection), 0);
        introspection_deinit(&introspection);
        buffer_deinit(&body);
        json_decref(test_case);
    }
}
