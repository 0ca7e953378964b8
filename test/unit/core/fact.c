#include "core/fact.h"

#include <malloc.h>

#include "base/limits.h"
#include "unit/core/fixture.h"

static const uint8_t key[DIGEST_BYTES] = {1, 2, 3};

static struct fact *make(struct text token, struct text claims) {
    const struct fact_source source = {
        .answer = FACT_ACTIVE,
        .key = key,
        .asked_mono_ms = 12345,
        .exp_unix_s = 1,
        .nbf_unix_s = FACT_NO_TIME,
        .iat_unix_s = 253402300799,
        .token = token,
        .claims = claims,
    };
    struct fact *fact = NULL;
    cr_assert_eq(fact_new(&source, &fact), 0);
    return fact;
}

static void expect_claims(const struct fact *fact, struct text expected) {
    struct buffer claims;
    cr_assert_eq(fact_claims(fact, &claims), 0);
    assert_text(buffer_text(&claims), expected);
    buffer_deinit(&claims);
}

/* ---- contents ---- */

Test(fact, gives_back_what_it_was_made_of) {
    const struct text claims = TEXT("{\"sub\":\"u1\",\"groups\":[\"a\",\"b\"],\"token_type\":\"Bearer\"}");
    struct fact *fact = make(TEXT(SENTINEL_TOKEN), claims);
    assert_text(fact_token(fact), TEXT(SENTINEL_TOKEN));
    expect_claims(fact, claims);
    cr_expect_eq(fact->answer, FACT_ACTIVE);
    cr_expect_arr_eq(fact->key, key, sizeof(key));
    cr_expect_eq(fact->asked_mono_ms, 12345);
    cr_expect_eq(fact->exp_unix_s, 1);
    cr_expect_eq(fact->nbf_unix_s, FACT_NO_TIME);
    cr_expect_eq(fact->iat_unix_s, 253402300799);
    fact_unref(fact);
}

Test(fact, owns_copies) {
    char token[] = SENTINEL_TOKEN, claims[] = "{\"sub\":\"u1\"}";
    struct fact *fact = make(text_of(token), text_of(claims));
    memset(token, 'x', sizeof(token) - 1);
    memset(claims, 'x', sizeof(claims) - 1);
    assert_text(fact_token(fact), TEXT(SENTINEL_TOKEN));
    expect_claims(fact, TEXT("{\"sub\":\"u1\"}"));
    fact_unref(fact);
}

Test(fact, keeps_claims_that_cannot_be_packed_as_they_are) {
    const struct text odd = {.data = "{\"sub\":\"\x01\xff\"}", .n_bytes = 12};
    struct fact *fact = make(TEXT(SENTINEL_TOKEN), odd);
    expect_claims(fact, odd);
    fact_unref(fact);
    fact = make(TEXT(""), TEXT(""));
    expect_claims(fact, TEXT(""));
    assert_text(fact_token(fact), TEXT(""));
    fact_unref(fact);
}

Test(fact, takes_the_largest_that_can_come_and_nothing_larger) {
    char *large = malloc(LIMIT_INTROSPECTION_REPLY_BYTES + 1);
    memset(large, '"', LIMIT_INTROSPECTION_REPLY_BYTES + 1);
    const struct text claims = {large, LIMIT_INTROSPECTION_REPLY_BYTES}, token = {large, LIMIT_TOKEN_BYTES};
    struct fact *fact = make(token, claims);
    expect_claims(fact, claims);
    assert_text(fact_token(fact), token);
    fact_unref(fact);
    struct fact_source source = {.key = key, .token = {large, LIMIT_TOKEN_BYTES + 1}};
    cr_expect_eq(fact_new(&source, &fact), -EMSGSIZE);
    source = (struct fact_source){.key = key, .claims = {large, LIMIT_INTROSPECTION_REPLY_BYTES + 1}};
    cr_expect_eq(fact_new(&source, &fact), -EMSGSIZE);
    free(large);
}

Test(fact, knows_the_memory_it_takes, .disabled = IS_SANITIZED) {
    for (size_t n = 0; n < 100; n++) {
        char token[100];
        memset(token, 't', sizeof(token));
        struct fact *fact = make((struct text){token, n}, TEXT("{\"sub\":\"u1\"}"));
        cr_expect_eq(fact_bytes(fact), malloc_usable_size(fact) + 8, "%zu", n);
        fact_unref(fact);
    }
}

/* ---- the key ---- */

static void make_key(struct digest *digest, const char *issuer, const char *endpoint, const char *client, const char *token,
                     uint8_t ret_key[DIGEST_BYTES]) {
    cr_assert_eq(fact_key(digest, text_of(issuer), text_of(endpoint), text_of(client), text_of(token), ret_key), 0);
}

Test(fact, the_key_depends_on_issuer_endpoint_client_and_token_each) {
    static const char *const sources[][4] = {
        {"i", "e", "c", SENTINEL_TOKEN}, {"j", "e", "c", SENTINEL_TOKEN},     {"i", "f", "c", SENTINEL_TOKEN},
        {"i", "e", "d", SENTINEL_TOKEN}, {"i", "e", "c", SENTINEL_TOKEN "x"}, {"ie", "", "c", SENTINEL_TOKEN},
        {"", "ie", "c", SENTINEL_TOKEN}, {"i", "ec", "", SENTINEL_TOKEN},     {"i", "e", "c" SENTINEL_TOKEN, ""},
        {"e", "i", "c", SENTINEL_TOKEN},
    };
    const size_t n = sizeof(sources) / sizeof(sources[0]);
    uint8_t secret[DIGEST_BYTES], keys[sizeof(sources) / sizeof(sources[0])][DIGEST_BYTES], again[DIGEST_BYTES];
    cr_assert_eq(digest_secret(secret), 0);
    struct digest *digest;
    cr_assert_eq(digest_new(secret, &digest), 0);
    for (size_t i = 0; i < n; i++) {
        make_key(digest, sources[i][0], sources[i][1], sources[i][2], sources[i][3], keys[i]);
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(memcmp(keys[i], keys[j], DIGEST_BYTES), 0, "%zu and %zu", i, j);
    }
    make_key(digest, sources[0][0], sources[0][1], sources[0][2], sources[0][3], again);
    cr_expect_eq(memcmp(again, keys[0], DIGEST_BYTES), 0);
    digest_free(digest);
    /* another process */
    secret[0] ^= 1;
    cr_assert_eq(digest_new(secret, &digest), 0);
    make_key(digest, sources[0][0], sources[0][1], sources[0][2], sources[0][3], again);
    cr_expect_neq(memcmp(again, keys[0], DIGEST_BYTES), 0);
    digest_free(digest);
}

/* ---- life ---- */

/* free() sees what it gets: the memory of a fact must be wiped by then. The one of the program is replaced by this one,
   unless a sanitizer has replaced it already. */
static volatile bool watches_free; /* volatile: the compiler believes that free() reads no variable */
static size_t n_leaks, n_freed;
#if !IS_SANITIZED
extern void __libc_free(void *memory);
void free(void *memory) {
    if (watches_free && memory != NULL) {
        n_freed++;
        n_leaks += memmem(memory, malloc_usable_size(memory), SENTINEL_TOKEN, 8) != NULL;
        n_leaks += memmem(memory, malloc_usable_size(memory), "claim-to-wipe", 13) != NULL;
    }
    __libc_free(memory);
}
#endif

Test(fact, is_wiped_when_the_last_reference_goes, .disabled = IS_SANITIZED) {
    struct fact *fact = make(TEXT(SENTINEL_TOKEN), TEXT("{\"sub\":\"claim-to-wipe\"}"));
    cr_assert_eq(fact_ref(fact), fact);
    watches_free = true;
    fact_unref(fact);
    cr_expect_eq(n_freed, 0, "somebody still has a reference");
    assert_text(fact_token(fact), TEXT(SENTINEL_TOKEN));
    fact_unref(fact);
    watches_free = false;
    cr_expect_eq(n_freed, 1);
    cr_expect_eq(n_leaks, 0);
}

Test(fact, the_check_for_wiping_sees_what_is_not_wiped, .disabled = IS_SANITIZED) {
    char *volatile copy = strdup(SENTINEL_TOKEN); /* volatile: or the pair is left out */
    watches_free = true;
    free(copy);
    watches_free = false;
    cr_expect_eq(n_leaks, 1);
}

Test(fact, nothing_is_fine_to_release) {
    fact_unref(NULL);
}

Test(fact, every_failed_allocation_is_survived) {
    const struct fact_source source = {.key = key, .token = TEXT(SENTINEL_TOKEN), .claims = TEXT("{}")};
    struct fact *fact = NULL;
    memory_fail_at(1);
    cr_expect_eq(fact_new(&source, &fact), -ENOMEM);
    memory_fail_at(0);
    cr_expect_null(fact);
    cr_assert_eq(fact_new(&source, &fact), 0);
    struct buffer claims = {.n_bytes = 77};
    memory_fail_at(1);
    cr_expect_eq(fact_claims(fact, &claims), -ENOMEM);
    memory_fail_at(0);
    cr_expect_eq(claims.n_bytes, 77, "not written on failure");
    fact_unref(fact);
}

/* ---- times ---- */

static const struct fact at_1000 = {.asked_mono_ms = 1000, .exp_unix_s = 1700000000};

Test(fact, is_younger_than_an_age_until_that_has_passed) {
    cr_expect(fact_is_younger(&at_1000, 500, 1000));
    cr_expect(fact_is_younger(&at_1000, 500, 1499));
    cr_expect_not(fact_is_younger(&at_1000, 500, 1500));
    cr_expect_not(fact_is_younger(&at_1000, 500, INT64_C(1) << 60));
}

Test(fact, nothing_is_younger_than_0_also_not_what_was_asked_after_the_clock_was_read) {
    cr_expect_not(fact_is_younger(&at_1000, 0, 1000));
    cr_expect_not(fact_is_younger(&at_1000, 0, 900));
    cr_expect_not(fact_is_younger(&at_1000, -1, 0));
    cr_expect(fact_is_younger(&at_1000, 1, 900));
}

Test(fact, expires_in_the_very_second_of_its_exp) {
    const struct fact endless = {.exp_unix_s = FACT_NO_TIME};
    cr_expect_not(fact_is_expired(&at_1000, INT64_C(1699999999999)));
    cr_expect(fact_is_expired(&at_1000, INT64_C(1700000000000)));
    cr_expect(fact_is_expired(&at_1000, INT64_MAX));
    cr_expect_not(fact_is_expired(&endless, INT64_MAX));
    cr_expect_not(fact_is_expired(&endless, 0));
}
