/*
 * A core of its own for each test of the road of a login: policy, cache, digest, and a clock that the test moves.
 */
#pragma once

#include "core/decide.h"
#include "unit/core/fixture.h"

#define NOW_UNIX_S 1700000000
#define NOW_MONO_MS 1000000
#define TOKEN TEXT(SENTINEL_TOKEN)
#define ALICE "\"sub\":\"u1\",\"preferred_username\":\"alice\""
#define ALICE_IS "{\"username\":\"corp:alice\",\"uid\":\"u1\"}"

static struct issuer_policy issuer;
static struct policy policy;
static struct decide with;

static inline void set_up(void) {
    const struct cache_limits limits = {.max_entries = 100, .max_negative_entries = 100, .max_bytes = 10000000};
    static const uint8_t secret[DIGEST_BYTES] = {1};
    issuer = fixture_issuer();
    policy = (struct policy){.generation = 1, .issuers = &issuer, .n_issuers = 1};
    with = (struct decide){.policy = &policy, .now_mono_ms = NOW_MONO_MS, .now_unix_ms = (int64_t)NOW_UNIX_S * 1000};
    cr_assert_eq(cache_new(&limits, &with.cache), 0);
    cr_assert_eq(digest_new(secret, &with.digest), 0);
}

static inline void tear_down(void) {
    cache_free(with.cache);
    digest_free(with.digest);
}

static inline struct decide_issuer issuer_of(void *context, size_t index) {
    cr_assert_lt(index, policy.n_issuers);
    return (struct decide_issuer){.endpoint =
                                      context == NULL ? TEXT("https://localhost:9443/introspect") : text_of(context),
                                  .client = TEXT("kube-introspect")};
}

static inline enum decide_step begin_asked(const struct text *asked, size_t n_asked, struct decision *ret_decision) {
    return decide_begin(&with, issuer_of, NULL, TOKEN, asked, n_asked, ret_decision);
}

static inline enum decide_step begin(struct decision *ret_decision) {
    return begin_asked(NULL, 0, ret_decision);
}

/* What the fetch thread does with the answer to a question: the fact goes into the cache, and the caller goes on with it.
 */
static inline struct fact *answer(const struct decision *question, const char *reply) {
    struct fact *fact = fixture_fact_from(text_of(reply), TOKEN, question->key, with.now_mono_ms);
    cache_insert(with.cache, fact);
    return fact;
}

static inline void learn(const char *reply) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    fact_unref(answer(&decision, reply));
    decision_deinit(&decision);
}

static inline void expect_user(const struct decision *decision, const char *user) {
    cr_assert_eq(decision->verdict, VERDICT_ALLOW, "%s", reason_word(decision->reason));
    cr_assert_eq(decision->reason, REASON_OK);
    cr_assert_not_null(decision->identity);
    assert_text(identity_user(decision->identity), text_of(user));
}

static inline void expect_refused(const struct decision *decision, enum reason reason) {
    cr_expect_eq(decision->reason, reason, "%s and not %s", reason_word(decision->reason), reason_word(reason));
    cr_expect_eq(decision->verdict, reason_verdict(reason));
    cr_expect_neq(decision->verdict, VERDICT_ALLOW);
    cr_expect_not(decision->has_audiences);
}
