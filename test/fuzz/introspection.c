/*
 * Holds introspection_decode() and claims_open() against jansson, as it reads with JSON_REJECT_DUPLICATES. What we take,
 * jansson takes too, with the same activity and times; and what it takes as a reply, we refuse only where the scanner's own
 * limits say so (test/fuzz/scan.c). The claims hold what the reply held, member for member, in no more bytes, open again,
 * and each accessor gives what jansson read. The same bytes are opened as claims by themselves, and read as an error body.
 */
#include <jansson.h>
#include <string.h>

#include "fuzz/check.h"
#include "base/limits.h"
#include "wire/claims.h"
#include "wire/introspection.h"
#include "wire/scan.h"

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

static bool is_strings(const json_t *value) {
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i)))
            return false;
    }
    return json_is_array(value);
}

/* What is left of the reply, member for member in the same order. */
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

static bool is_text_of(struct text ours, const json_t *theirs) {
    return ours.data != NULL &&
           text_equal(ours, (struct text){.data = json_string_value(theirs), .n_bytes = json_string_length(theirs)});
}

static enum claim_kind expected_kind(const json_t *value) {
    if (json_is_null(value))
        return CLAIM_ABSENT;
    if (json_is_string(value))
        return CLAIM_STRING;
    if (is_strings(value))
        return CLAIM_STRINGS;
    return json_is_boolean(value) ? CLAIM_BOOLEAN : json_is_number(value) ? CLAIM_NUMBER : CLAIM_OTHER;
}

static void check_strings(const struct claims *view, struct text claim, const json_t *value) {
    const enum claim_kind kind = expected_kind(value);
    CHECK(kind == CLAIM_STRING ? is_text_of(claims_string(view, claim), value) : claims_string(view, claim).n_bytes == 0);
    const size_t n = kind == CLAIM_STRING ? 1 : kind == CLAIM_STRINGS ? json_array_size(value) : 0;
    CHECK(claims_n_strings(view, claim) == n);
    for (size_t i = 0; i < n; i++) {
        const json_t *const string = kind == CLAIM_STRING ? value : json_array_get(value, i);
        CHECK(is_text_of(claims_string_at(view, claim, i), string));
    }
    CHECK(claims_string_at(view, claim, n).n_bytes == 0);
}

static void check_scalar(const struct claims *view, struct text claim, const json_t *value) {
    char room[32], expected[32] = "";
    if (json_is_boolean(value))
        snprintf(expected, sizeof(expected), "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        snprintf(expected, sizeof(expected), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    CHECK(text_equal(claims_scalar(view, claim, room, sizeof(room)), text_of(expected)));
    CHECK(claims_is_true(view, claim) == json_is_true(value));
}

static void check_view(const struct claims *view, json_t *claims) {
    const char *name, *inner;
    json_t *value, *member;
    json_object_foreach(claims, name, value) {
        const struct text claim = text_of(name);
        CHECK(claims_kind(view, claim) == expected_kind(value));
        check_strings(view, claim, value);
        check_scalar(view, claim, value);
        json_object_foreach(value, inner, member) {
            CHECK(claims_has_member(view, claim, text_of(inner)) == !json_is_null(member));
        }
        CHECK(!claims_has_member(view, claim, TEXT("no such member")) || json_object_get(value, "no such member") != NULL);
    }
}

/* The bytes of an object that jansson has read as claims. */
static void check_opening(struct text bytes, json_t *theirs) {
    struct claims *view;
    if (claims_open(bytes, &view) != 0)
        return;
    CHECK(json_is_object(theirs));
    check_view(view, theirs);
    claims_close(view);
}

static void check_active(json_t *theirs, const struct introspection *introspection) {
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

static bool is_time(const json_t *reply, const char *name) {
    const json_t *const value = json_object_get(reply, name);
    const json_int_t unix_s = json_integer_value(value);
    return value == NULL || json_is_null(value) ||
           (json_is_integer(value) && unix_s >= 0 && unix_s <= INT64_C(253402300799));
}

/* Whether what jansson has read is a reply, by the header's words. */
static bool is_reply(const json_t *theirs) {
    const json_t *const active = json_object_get(theirs, "active"), *const audience = json_object_get(theirs, "aud");
    if (!json_is_boolean(active))
        return false;
    static const char *const names[] = {"iss", "sub", "client_id", "azp", "token_type", "jti"};
    bool is_right = is_time(theirs, "exp") && is_time(theirs, "nbf") && is_time(theirs, "iat");
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const json_t *const value = json_object_get(theirs, names[i]);
        is_right = is_right && (value == NULL || json_is_null(value) || json_is_string(value));
    }
    is_right = is_right && (audience == NULL || json_is_null(audience) || json_is_string(audience) || is_strings(audience));
    return json_is_false(active) || is_right;
}

static void check_decoded(json_t *theirs, size_t n_bytes, const struct introspection *introspection) {
    CHECK(is_reply(theirs) && introspection->claims.n_bytes <= n_bytes);
    CHECK(introspection->active == json_is_true(json_object_get(theirs, "active")));
    if (introspection->active)
        check_active(theirs, introspection);
    else
        CHECK(text_equal(buffer_text(&introspection->claims), TEXT("{}")));
}

/* Whether the scanner takes the bytes at all, to the depth that a reply may have. */
static bool is_scanned(struct text bytes) {
    struct scan scan;
    scan_begin(&scan, bytes);
    scan_limit_depth(&scan, LIMIT_REPLY_DEPTH);
    scan_skip(&scan);
    return scan_end(&scan) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const struct text bytes = {.data = (const char *)data, .n_bytes = n_bytes};
    introspection_error_is_unsupported_token(bytes);
    json_t *const theirs = json_loadb(bytes.data, n_bytes, JSON_REJECT_DUPLICATES, NULL);
    struct introspection introspection;
    const int result = introspection_decode(bytes, &introspection);
    if (result == 0) {
        check_decoded(theirs, n_bytes, &introspection);
        introspection_deinit(&introspection);
    } else {
        CHECK(result == INTROSPECTION_MALFORMED);
        CHECK(!is_reply(theirs) || !is_scanned(bytes) || n_bytes > LIMIT_INTROSPECTION_REPLY_BYTES);
    }
    check_opening(bytes, theirs);
    json_decref(theirs);
    return 0;
}
