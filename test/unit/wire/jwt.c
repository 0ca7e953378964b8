#include "wire/jwt.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/memory.h"
#include "lib/sentinel.h"

/* base64url without padding: base/base64.h only reads it. */
static size_t encode(struct text bytes, char *to) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        bits = bits << 8 | (unsigned char)bytes.data[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            to[n++] = alphabet[bits >> (n_bits - 6) & 63];
    }
    if (n_bits > 0)
        to[n++] = alphabet[bits << (6 - n_bits) & 63];
    return n;
}

#define MAX_TOKEN (2 * LIMIT_TOKEN_BYTES)

/* header.payload and what follows; on the heap, just as long as it is. */
static struct text token_of(const char *header, const char *payload, const char *rest) {
    char *token = malloc(MAX_TOKEN);
    size_t n = encode(text_of(header), token);
    token[n++] = '.';
    n += encode(text_of(payload), token + n);
    memcpy(token + n, rest, strlen(rest));
    n += strlen(rest);
    return (struct text){.data = realloc(token, n), .n_bytes = n};
}

static void free_text(struct text text) {
    free((void *)(uintptr_t)text.data);
}

#define HEADER "{\"alg\":\"RS256\",\"kid\":\"1\",\"typ\":\"JWT\"}"
#define ENCRYPTED_HEADER "{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}"
#define SIGNATURE ".c2lnbmF0dXJl"

/* ---- the form ---- */

Test(jwt, tells_the_form_of_a_token_by_its_parts_and_its_header) {
    static const struct {
        const char *header, *rest;
        enum jwt_form form;
    } rows[] = {
        {HEADER, SIGNATURE, JWT_FORM_SIGNED},
        {"{\"alg\":\"none\"}", ".", JWT_FORM_SIGNED},
        {" { \"alg\" : \"ES256\" } ", SIGNATURE, JWT_FORM_SIGNED},
        {"{\"\\u0061lg\":\"ES256\"}", SIGNATURE, JWT_FORM_SIGNED},
        {ENCRYPTED_HEADER, SIGNATURE, JWT_FORM_SIGNED},
        {ENCRYPTED_HEADER, ".aXY.Y2lwaGVy.dGFn", JWT_FORM_ENCRYPTED},
        {ENCRYPTED_HEADER, "...", JWT_FORM_ENCRYPTED},
        {HEADER, "", JWT_FORM_NONE},
        {HEADER, ".a.b", JWT_FORM_NONE},
        {HEADER, ".a.b.c", JWT_FORM_NONE},
        {ENCRYPTED_HEADER, ".a.b.c.d", JWT_FORM_NONE},
        {ENCRYPTED_HEADER, ".a.b.c.d.e.f.g", JWT_FORM_NONE},
        {"{\"typ\":\"JWT\"}", SIGNATURE, JWT_FORM_NONE},
        {"{\"alg\":1}", SIGNATURE, JWT_FORM_NONE},
        {"{\"alg\":\"RS256\",\"alg\":\"none\"}", SIGNATURE, JWT_FORM_NONE},
        {"{\"alg\":\"RS256\"", SIGNATURE, JWT_FORM_NONE},
        {"{\"alg\":\"RS256\"}x", SIGNATURE, JWT_FORM_NONE},
        {"[\"alg\"]", SIGNATURE, JWT_FORM_NONE},
        {"\"alg\"", SIGNATURE, JWT_FORM_NONE},
        {"alg", SIGNATURE, JWT_FORM_NONE},
        {"", SIGNATURE, JWT_FORM_NONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct text token = token_of(rows[i].header, "{\"iss\":\"https://a.example\"}", rows[i].rest);
        struct jwt_peek peek;
        cr_assert_eq(jwt_peek(token, &peek), 0);
        cr_expect_eq(peek.form, rows[i].form, "%s with %s: %d", rows[i].header, rows[i].rest, (int)peek.form);
        cr_expect_eq(peek.has_issuer, rows[i].form == JWT_FORM_SIGNED, "%s with %s", rows[i].header, rows[i].rest);
        cr_expect_not(peek.is_service_account);
        free_text(token);
    }
}

Test(jwt, takes_what_is_no_base64url_of_a_header_for_opaque) {
    static const char *const tokens[] = {
        "",
        ".",
        "..",
        "...",
        "....",
        ".....",
        SENTINEL_TOKEN,
        "a.b.c",
        SENTINEL ".a.b",
        "eyJhbGciOiJSUzI1NiJ9=.e30.a",
        "eyJhbGciOiJSUzI1NiJ9\n.e30.a",
        "eyJhbGciOiJSUzI1NiJ8.e30.a",
    };
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct jwt_peek peek = {
            .form = JWT_FORM_SIGNED, .has_issuer = true, .n_issuer_bytes = 7, .is_service_account = true};
        cr_assert_eq(jwt_peek(text_of(tokens[i]), &peek), 0);
        cr_expect_eq(peek.form, JWT_FORM_NONE, "%s", tokens[i]);
        cr_expect_not(peek.has_issuer || peek.is_service_account || peek.n_issuer_bytes != 0, "%s", tokens[i]);
    }
    struct jwt_peek peek;
    cr_assert_eq(jwt_peek((struct text){.data = NULL, .n_bytes = 0}, &peek), 0);
    cr_expect_eq(peek.form, JWT_FORM_NONE);
}

/* ---- the payload ---- */

Test(jwt, reads_the_issuer_and_whether_it_is_a_service_account) {
    static const struct {
        const char *payload, *issuer; /* NULL: none */
        bool is_service_account;
    } rows[] = {
        {"{\"iss\":\"https://a.example\",\"sub\":\"alice\"}", "https://a.example", false},
        {"{\"sub\":\"alice\",\"iss\":\"https:\\/\\/\\u0061.example\\/\\ud83d\\ude00\"}",
         "https://a.example/\xf0\x9f\x98\x80", false},
        {"{\"\\u0069ss\":\"https://a.example\"}", "https://a.example", false},
        {"{\"iss\":\"\"}", "", false},
        {"{}", NULL, false},
        {"{\"iss\":null}", NULL, false},
        {"{\"iss\":[\"https://a.example\"]}", NULL, false},
        {"{\"nested\":{\"iss\":\"https://a.example\",\"sub\":\"system:serviceaccount:a:b\",\"kubernetes.io\":1}}", NULL,
         false},
        {"{\"iss\":\"a\",\"sub\":\"system:serviceaccount:default:default\"}", "a", true},
        {"{\"iss\":\"a\",\"sub\":\"\\u0073ystem:serviceaccount:default:default\"}", "a", true},
        {"{\"iss\":\"a\",\"sub\":\"system:serviceaccount\"}", "a", false},
        {"{\"iss\":\"a\",\"sub\":[\"system:serviceaccount:default:default\"]}", "a", false},
        {"{\"iss\":\"a\",\"kubernetes.io\":{\"namespace\":\"default\"}}", "a", true},
        {"{\"kubernetes.io\":null}", NULL, true},
        {"{\"iss\":\"a\",\"kubernetes.io/serviceaccount\":1}", "a", false},
        /* what cannot be read is nobody's */
        {"", NULL, false},
        {"hello", NULL, false},
        {"[\"iss\"]", NULL, false},
        {"{\"iss\":\"https://a.example\"", NULL, false},
        {"{\"iss\":\"https://a.example\"}}", NULL, false},
        {"{\"iss\":\"https://a.example\",\"iss\":\"https://b.example\"}", NULL, false},
        {"{\"iss\":\"https://a.example\",\"\\u0069ss\":\"https://b.example\"}", NULL, false},
        {"{\"iss\":\"https://a.example\",\"x\":\"\xff\"}", NULL, false},
        {"{\"iss\":\"a\\u0000b\"}", NULL, false},
        {"{\"kubernetes.io\":1,\"kubernetes.io\":2}", NULL, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct text token = token_of(HEADER, rows[i].payload, SIGNATURE);
        struct jwt_peek peek;
        cr_assert_eq(jwt_peek(token, &peek), 0);
        cr_expect_eq(peek.form, JWT_FORM_SIGNED, "%s", rows[i].payload);
        cr_expect_eq(peek.has_issuer, rows[i].issuer != NULL, "%s", rows[i].payload);
        const struct text issuer = {.data = peek.issuer, .n_bytes = peek.n_issuer_bytes};
        cr_expect(text_equal(issuer, text_of(rows[i].issuer)), "%s: %.*s", rows[i].payload, (int)issuer.n_bytes,
                  issuer.data);
        cr_expect_eq(peek.is_service_account, rows[i].is_service_account, "%s", rows[i].payload);
        free_text(token);
    }
}

Test(jwt, is_nobodys_when_its_payload_is_no_base64url) {
    struct jwt_peek peek;
    cr_assert_eq(jwt_peek(TEXT("eyJhbGciOiJSUzI1NiJ9.e30=.a"), &peek), 0);
    cr_expect_eq(peek.form, JWT_FORM_SIGNED);
    cr_expect_not(peek.has_issuer);
}

Test(jwt, has_no_issuer_that_is_longer_than_its_room) {
    for (size_t n = 1023; n <= 1025; n++) {
        /* The last character is escaped: what counts is the length unescaped. */
        char payload[1100];
        snprintf(payload, sizeof(payload), "{\"iss\":\"%0*d\\u0031\"}", (int)n - 1, 0);
        const struct text token = token_of(HEADER, payload, SIGNATURE);
        struct jwt_peek peek;
        cr_assert_eq(jwt_peek(token, &peek), 0);
        cr_expect_eq(peek.form, JWT_FORM_SIGNED);
        cr_expect_eq(peek.has_issuer, n <= 1024, "%zu bytes", n);
        cr_expect_eq(peek.n_issuer_bytes, n <= 1024 ? n : 0);
        free_text(token);
    }
}

Test(jwt, looks_at_no_token_over_the_limit) {
    char *payload = malloc(LIMIT_TOKEN_BYTES);
    for (int longer = 0; longer <= 1; longer++) {
        snprintf(payload, LIMIT_TOKEN_BYTES, "{\"iss\":\"a\",\"x\":\"%0*d\"}", 20000, 0);
        struct text token = token_of(HEADER, payload, SIGNATURE);
        const size_t n = token.n_bytes;
        /* The signature is what fills it up. */
        char *filled = realloc((void *)(uintptr_t)token.data, LIMIT_TOKEN_BYTES + 1);
        memset(filled + n, 'a', LIMIT_TOKEN_BYTES + 1 - n);
        token = (struct text){.data = filled, .n_bytes = LIMIT_TOKEN_BYTES + (size_t)longer};
        struct jwt_peek peek;
        cr_assert_eq(jwt_peek(token, &peek), 0);
        cr_expect_eq(peek.form, longer ? JWT_FORM_NONE : JWT_FORM_SIGNED);
        free(filled);
    }
    free(payload);
}

/* ---- memory ---- */

Test(jwt, survives_every_failing_allocation_and_writes_nothing_then) {
    const struct text token = token_of(HEADER, "{\"iss\":\"https://a.example\"}", SIGNATURE);
    bool has_succeeded = false;
    for (size_t n = 1; !has_succeeded; n++) {
        struct jwt_peek peek, untouched;
        memset(&peek, 0xa5, sizeof(peek));
        memset(&untouched, 0xa5, sizeof(untouched));
        memory_fail_at(n);
        const int r = jwt_peek(token, &peek);
        has_succeeded = !memory_has_failed();
        memory_fail_at(0);
        cr_expect_eq(r, has_succeeded ? 0 : -ENOMEM, "allocation %zu", n);
        if (!has_succeeded)
            cr_expect_arr_eq(&peek, &untouched, sizeof(peek));
    }
    free_text(token);
}

Test(jwt, allocates_nothing_for_an_opaque_token) {
    struct jwt_peek peek;
    memory_fail_at(1);
    const int r = jwt_peek(TEXT(SENTINEL_TOKEN), &peek);
    memory_fail_at(0);
    cr_expect_eq(r, 0);
}
