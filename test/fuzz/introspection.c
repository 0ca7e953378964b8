/*
 * What introspection_decode() takes, jansson takes too, and for active replies alone is active true there. The claims
 * open again, and hold what the reply held, without what was taken out of it. The same bytes are read as an error body.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "wire/claims.h"
#include "wire/introspection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Says what differs and ends the process, so that the fuzzer keeps the input. */
#define CHECK(condition)                                                                                                   \
    do {                                                                                                                   \
        if (!(condition)) {                                                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                                 \
            abort();                                                                                                       \
        }                                                                                                                  \
    } while (0)

static void check_time(json_t *theirs, const char *name, int64_t unix_s) {
    const json_t *const value = json_object_get(theirs, name);
    if (value == NULL || json_is_null(value)) {
        CHECK(unix_s == INTROSPECTION_NO_TIME);
        return;
    }
    CHECK(json_is_integer(value) && json_integer_value(value) == unix_s);
    CHECK(unix_s >= 0 && unix_s <= INT64_C(253402300799));
}

static bool is_taken_out(const char *name, const json_t *value) {
    return json_is_null(value) || strcmp(name, "active") == 0 || strcmp(name, "exp") == 0 || strcmp(name, "nbf") == 0 ||
           strcmp(name, "iat") == 0;
}

/* Member for member, in the same order. */
static void check_claims(json_t *theirs, json_t *claims) {
    void *claim = json_object_iter(claims);
    const char *name;
    json_t *value;
    json_object_foreach(theirs, name, value) {
        if (is_taken_out(name, value))
            continue;
        CHECK(claim != NULL && strcmp(json_object_iter_key(claim), name) == 0);
        CHECK(json_equal(json_object_iter_value(claim), value));
        claim = json_object_iter_next(claims, claim);
    }
    CHECK(claim == NULL);
}

static void check_view(const struct claims *view, json_t *claims) {
    const char *name;
    json_t *value;
    char room[32];
    json_object_foreach(claims, name, value) {
        const enum claim_kind kind = claims_kind(view, text_of(name));
        CHECK(kind != CLAIM_ABSENT);
        CHECK((kind == CLAIM_STRING) == json_is_string(value));
        CHECK(claims_is_true(view, text_of(name)) == json_is_true(value));
        const size_t n_strings = claims_n_strings(view, text_of(name));
        CHECK(kind != CLAIM_STRINGS || n_strings == json_array_size(value));
        for (size_t i = 0; i < n_strings; i++)
            CHECK(claims_string_at(view, text_of(name), i).data != NULL);
        const struct text scalar = claims_scalar(view, text_of(name), room, sizeof(room));
        CHECK((scalar.n_bytes > 0) == (json_is_boolean(value) || json_is_integer(value)));
        CHECK(!claims_has_member(view, text_of(name), TEXT("groups")) || json_is_object(value));
    }
}

static void check_active(json_t *theirs, const struct introspection *introspection) {
    CHECK(json_is_true(json_object_get(theirs, "active")));
    check_time(theirs, "exp", introspection->exp_unix_s);
    check_time(theirs, "nbf", introspection->nbf_unix_s);
    check_time(theirs, "iat", introspection->iat_unix_s);
    const struct text bytes = buffer_text(&introspection->claims);
    json_t *const claims = json_loadb(bytes.data, bytes.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_object(claims));
    check_claims(theirs, claims);
    struct claims *view;
    CHECK(claims_open(bytes, &view) == 0);
    check_view(view, claims);
    claims_close(view);
    json_decref(claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const struct text bytes = {.data = (const char *)data, .n_bytes = n_bytes};
    introspection_error_is_unsupported_token(bytes);
    struct introspection introspection;
    const int result = introspection_decode(bytes, &introspection);
    CHECK(result == 0 || result == INTROSPECTION_MALFORMED);
    if (result != 0)
        return 0;
    json_t *const theirs = json_loadb(bytes.data, n_bytes, JSON_REJECT_DUPLICATES, NULL);
    CHECK(theirs != NULL && introspection.claims.n_bytes <= LIMIT_INTROSPECTION_REPLY_BYTES);
    if (introspection.active) {
        check_active(theirs, &introspection);
    } else {
        CHECK(json_is_false(json_object_get(theirs, "active")));
        CHECK(text_equal(buffer_text(&introspection.claims), TEXT("{}")));
    }
    json_decref(theirs);
    introspection_deinit(&introspection);
    return 0;
}
