/*
 * What the tests of core share: an issuer's policy as an admin would have it, and facts made from replies by the decoder
 * that the program uses.
 */
#pragma once

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "core/identity.h"
#include "lib/memory.h"
#include "lib/sentinel.h"
#include "wire/introspection.h"

/* A sanitizer brings its own allocator, whose books say nothing of ours. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#define LIST(...)                                                                                                          \
    ((struct text_list){.items = (struct text[]){__VA_ARGS__},                                                             \
                        .n_items = sizeof((struct text[]){__VA_ARGS__}) / sizeof(struct text)})

#define ISSUER_URL "https://localhost:9443"

/* A lenient policy: everything that a rule could refuse is accepted, so that a test sets the one rule that it is about. */
static inline struct issuer_policy fixture_issuer(void) {
    static struct text audiences[] = {TEXT("https://kubernetes.test"), TEXT("kubernetes"), TEXT("rs-basic")};
    return (struct issuer_policy){
        .name = TEXT("corp"),
        .url = TEXT(ISSUER_URL),
        .audiences = {.items = audiences, .n_items = 3},
        .takes_jwt = true,
        .takes_opaque = true,
        .any_client = true,
        .accept_absent_audience = true,
        .accept_absent_token_type = true,
        .accept_absent_groups = true,
        .ttl_ms = 30000,
        .negative_ttl_ms = 10000,
        .clock_skew_s = 10,
        .username_claim = TEXT("preferred_username"),
        .username_prefix = TEXT("corp:"),
        .groups_claim = TEXT("groups"),
        .groups_prefix = TEXT("corp:"),
        .uid_claim = TEXT("sub"),
    };
}

/* Bytes of a file of test/data, to be freed with the secret. */
static inline struct secret *fixture_file(const char *path) {
    struct secret *bytes = NULL;
    struct error error = {""};
    cr_assert_eq(file_read(path, 1 << 20, &bytes, &error), 0, "%s", error.text);
    return bytes;
}

/* The reply, decoded: introspection_deinit() it. */
static inline struct introspection fixture_decoded(struct text reply) {
    struct introspection decoded;
    cr_assert_eq(introspection_decode(reply, &decoded), 0, "the reply cannot be decoded: %.*s", (int)reply.n_bytes,
                 reply.data);
    return decoded;
}

static inline struct fact *fixture_fact_of(const struct introspection *decoded, struct text token, const uint8_t *key,
                                           int64_t asked_mono_ms) {
    const struct fact_source source = {
        .answer = decoded->active ? FACT_ACTIVE : FACT_INACTIVE,
        .key = key,
        .asked_mono_ms = asked_mono_ms,
        .exp_unix_s = decoded->exp_unix_s,
        .nbf_unix_s = decoded->nbf_unix_s,
        .iat_unix_s = decoded->iat_unix_s,
        .token = token,
        .claims = buffer_text(&decoded->claims),
    };
    struct fact *fact = NULL;
    cr_assert_eq(fact_new(&source, &fact), 0);
    return fact;
}

static inline struct fact *fixture_fact_from(struct text reply, struct text token, const uint8_t *key,
                                             int64_t asked_mono_ms) {
    struct introspection decoded = fixture_decoded(reply);
    struct fact *fact = fixture_fact_of(&decoded, token, key, asked_mono_ms);
    introspection_deinit(&decoded);
    return fact;
}

/* A fact of a reply, whose key is all zero. */
static inline struct fact *fixture_fact(struct text reply) {
    static const uint8_t key[DIGEST_BYTES];
    return fixture_fact_from(reply, TEXT(SENTINEL_TOKEN), key, 0);
}

static inline struct identity *fixture_identity(struct text reply, const struct issuer_policy *issuer,
                                                struct explanation *explanation) {
    const struct policy policy = {.generation = 1, .issuers = issuer, .n_issuers = 1};
    struct fact *fact = fixture_fact(reply);
    struct identity *identity = NULL;
    cr_assert_eq(identity_new(fact, &policy, 0, explanation, &identity), 0);
    fact_unref(fact);
    return identity;
}

#define assert_text(actual, expected)                                                                                      \
    do {                                                                                                                   \
        const struct text actual_ = (actual);                                                                              \
        const struct text expected_ = (expected);                                                                          \
        cr_assert(text_equal(actual_, expected_), "is      %.*s\nand not %.*s", (int)actual_.n_bytes, actual_.data,        \
                  (int)expected_.n_bytes, expected_.data);                                                                 \
    } while (0)
