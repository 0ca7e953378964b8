#include "core/decide.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/limits.h"
#include "unit/core/road.h"

TestSuite(decide, .init = set_up, .fini = tear_down);

/* A fact with an answer that is no reply of 200. */
static void learn_answer(enum fact_answer what) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    const struct fact_source source = {.answer = what,
                                       .key = decision.key,
                                       .asked_mono_ms = with.now_mono_ms,
                                       .exp_unix_s = FACT_NO_TIME,
                                       .nbf_unix_s = FACT_NO_TIME,
                                       .iat_unix_s = FACT_NO_TIME,
                                       .token = TOKEN,
                                       .claims = TEXT("{}")};
    struct fact *fact;
    cr_assert_eq(fact_new(&source, &fact), 0);
    cache_insert(with.cache, fact);
    fact_unref(fact);
    decision_deinit(&decision);
}

/* One more review of the same token; expects an answer without asking. */
static void expect_done(enum reason reason, enum cache_outcome outcome) {
    struct decision decision;
    const enum decide_step step = begin(&decision);
    cr_expect_eq(step, DECIDE_DONE, "%s", cache_outcome_word(decision.cache));
    cr_expect_eq(decision.reason, reason, "%s and not %s", reason_word(decision.reason), reason_word(reason));
    cr_expect_eq(decision.verdict, reason_verdict(reason));
    cr_expect_eq(decision.cache, outcome, "%s", cache_outcome_word(decision.cache));
    decision_deinit(&decision);
}

static void expect_ask(enum cache_outcome outcome) {
    struct decision decision;
    const enum decide_step step = begin(&decision);
    cr_expect_eq(step, DECIDE_ASK, "%s", reason_word(decision.reason));
    cr_expect_eq(decision.cache, outcome, "%s", cache_outcome_word(decision.cache));
    cr_expect_neq(decision.verdict, VERDICT_ALLOW, "whoever forgets to go on must not answer yes");
    cr_expect_null(decision.fact);
    cr_expect_null(decision.identity);
    decision_deinit(&decision);
}

/* ---- the road ---- */

Test(decide, a_new_token_is_asked_about_and_its_answer_is_the_verdict) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    cr_expect_eq(decision.issuer, 0);
    cr_expect(decision.has_key);
    cr_expect_eq(decision.cache, CACHE_OUTCOME_MISS);
    struct fact *fact = answer(&decision, "{\"active\":true," ALICE "}");
    decide_fact(&with, fact, NULL, 0, &decision);
    expect_user(&decision, ALICE_IS);
    cr_expect_eq(decision.fact, fact);
    cr_expect_eq(decision.cache, CACHE_OUTCOME_MISS);
    cr_expect_not(decision.has_audiences);
    decision_deinit(&decision);
    cr_expect_eq(fact->n_refs, 2, "ours and the cache's");
    fact_unref(fact);
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
}

Test(decide, the_key_is_of_issuer_endpoint_client_and_token) {
    struct decision decision;
    uint8_t key[DIGEST_BYTES];
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    cr_assert_eq(fact_key(with.digest, TEXT(ISSUER_URL), TEXT("https://localhost:9443/introspect"), TEXT("kube-introspect"),
                          TOKEN, key),
                 0);
    cr_expect_arr_eq(decision.key, key, DIGEST_BYTES);
    decision_deinit(&decision);
}

Test(decide, a_fact_of_another_endpoint_is_not_this_ones) {
    learn("{\"active\":true," ALICE "}");
    struct decision decision;
    char other[] = "https://elsewhere.example.com/introspect";
    cr_expect_eq(decide_begin(&with, issuer_of, other, TOKEN, NULL, 0, &decision), DECIDE_ASK);
    cr_expect_eq(decision.cache, CACHE_OUTCOME_MISS);
    decision_deinit(&decision);
}

Test(decide, what_triage_refuses_is_neither_looked_up_nor_asked) {
    struct decision decision;
    cr_expect_eq(decide_begin(&with, issuer_of, NULL, TEXT("a b"), NULL, 0, &decision), DECIDE_DONE);
    expect_refused(&decision, REASON_TOKEN_MALFORMED);
    cr_expect_eq(decision.issuer, DECISION_NO_ISSUER);
    cr_expect_not(decision.has_key);
    cr_expect_eq(decision.cache, CACHE_OUTCOME_NONE);
    decision_deinit(&decision);
    issuer.takes_opaque = false;
    expect_done(REASON_NO_ISSUER, CACHE_OUTCOME_NONE);
    char *token = malloc(LIMIT_TOKEN_BYTES + 1);
    memset(token, 'a', LIMIT_TOKEN_BYTES + 1);
    cr_expect_eq(decide_begin(&with, issuer_of, NULL, (struct text){token, LIMIT_TOKEN_BYTES + 1}, NULL, 0, &decision),
                 DECIDE_DONE);
    expect_refused(&decision, REASON_TOKEN_TOO_LONG);
    decision_deinit(&decision);
    free(token);
}

Test(decide, a_jwt_of_nobody_we_know_stays_here) {
    static const struct {
        const char *payload; /* base64url */
        enum reason reason;
    } cases[] = {
        /* {"iss":"https://other"} */
        {"eyJpc3MiOiJodHRwczovL290aGVyIn0", REASON_ISSUER_UNKNOWN},
        /* {"sub":"system:serviceaccount:a:b"} */
        {"eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6YTpiIn0", REASON_SERVICE_ACCOUNT_TOKEN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char token[256];
        snprintf(token, sizeof(token), "eyJhbGciOiJSUzI1NiJ9.%s." SENTINEL, cases[i].payload);
        struct decision decision;
        cr_expect_eq(decide_begin(&with, issuer_of, NULL, text_of(token), NULL, 0, &decision), DECIDE_DONE);
        expect_refused(&decision, cases[i].reason);
        decision_deinit(&decision);
    }
}

/* ---- negative answers ---- */

Test(decide, what_the_provider_refuses_is_a_no_of_its_own_reason) {
    static const struct {
        enum fact_answer answer;
        enum reason reason;
    } cases[] = {{FACT_INACTIVE, REASON_INACTIVE}, {FACT_UNSUPPORTED_TOKEN_TYPE, REASON_UNSUPPORTED_TOKEN_TYPE}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        with.now_mono_ms += 100000;
        struct decision decision;
        cr_assert_eq(begin(&decision), DECIDE_ASK);
        decision_deinit(&decision);
        /* the one before is stale by now, and replaced */
        cache_remove(with.cache, decision.key);
        learn_answer(cases[i].answer);
        expect_done(cases[i].reason, CACHE_OUTCOME_NEGATIVE);
    }
}

Test(decide, a_no_is_asked_again_after_its_ttl_for_users_are_enabled_again) {
    learn("{\"active\":false}");
    with.now_mono_ms += issuer.negative_ttl_ms - 1;
    expect_done(REASON_INACTIVE, CACHE_OUTCOME_NEGATIVE);
    with.now_mono_ms += 1;
    expect_ask(CACHE_OUTCOME_STALE);
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    struct fact *fact = answer(&decision, "{\"active\":true," ALICE "}");
    decide_fact(&with, fact, NULL, 0, &decision);
    expect_user(&decision, ALICE_IS);
    cr_expect_eq(decision.cache, CACHE_OUTCOME_STALE);
    fact_unref(fact);
    decision_deinit(&decision);
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
}

Test(decide, members_beside_inactive_mean_nothing) {
    learn("{\"active\":false," ALICE ",\"exp\":99999999999}");
    expect_done(REASON_INACTIVE, CACHE_OUTCOME_NEGATIVE);
}

Test(decide, an_answer_that_nobody_knows_is_no_verdict) {
    learn_answer((enum fact_answer)77);
    expect_done(REASON_INTERNAL, CACHE_OUTCOME_NEGATIVE);
}

/* ---- freshness: the monotonic clock ---- */

Test(decide, a_yes_serves_until_its_ttl_and_not_a_millisecond_longer) {
    learn("{\"active\":true," ALICE "}");
    with.now_mono_ms += issuer.ttl_ms - 1;
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
    with.now_mono_ms += 1;
    expect_ask(CACHE_OUTCOME_STALE);
}

Test(decide, a_ttl_of_zero_is_never_fresh) {
    issuer.ttl_ms = issuer.negative_ttl_ms = 0;
    learn("{\"active\":true," ALICE "}");
    expect_ask(CACHE_OUTCOME_STALE);
    with.now_mono_ms -= 1; /* asked by another thread after this one read the clock */
    expect_ask(CACHE_OUTCOME_STALE);
    learn_answer(FACT_INACTIVE);
    expect_ask(CACHE_OUTCOME_STALE);
}

Test(decide, members_of_a_tier_are_asked_about_sooner) {
    const struct cache_tier tier = {.groups = LIST(TEXT("admins")), .ttl_ms = 5000};
    issuer.tiers = &tier;
    issuer.n_tiers = 1;
    learn("{\"active\":true," ALICE ",\"groups\":[\"admins\"]}");
    with.now_mono_ms += 4999;
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
    with.now_mono_ms += 1;
    expect_ask(CACHE_OUTCOME_STALE);
}

Test(decide, the_wall_clock_does_not_age_a_fact) {
    learn("{\"active\":true," ALICE "}");
    with.now_unix_ms += INT64_C(1000) * 3600 * 24 * 365;
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
    with.now_unix_ms = 0;
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
}

Test(decide, a_fact_straight_from_the_provider_needs_no_freshness) {
    issuer.ttl_ms = 0;
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    struct fact *fact = answer(&decision, "{\"active\":true," ALICE "}");
    with.now_mono_ms += 1000000;
    decide_fact(&with, fact, NULL, 0, &decision);
    expect_user(&decision, ALICE_IS);
    fact_unref(fact);
    decision_deinit(&decision);
}

/* ---- exp, nbf, iat: the wall clock ---- */

Test(decide, times_are_judged_on_every_hit) {
    static const struct {
        const char *times;
        int64_t after_s; /* the login, after the fact was learned */
        enum reason reason;
    } cases[] = {
        {",\"exp\":1700000010", 9, REASON_OK},
        {",\"exp\":1700000010", 10, REASON_EXPIRED},
        {",\"exp\":1700000010", 15, REASON_EXPIRED}, /* clockSkew is 10 and prolongs nothing */
        {",\"exp\":1700000000", 0, REASON_EXPIRED},
        {",\"exp\":0", 0, REASON_EXPIRED},
        {",\"exp\":253402300799", 20, REASON_OK},
        {",\"nbf\":1700000010", 0, REASON_OK}, /* within clockSkew */
        {",\"nbf\":1700000011", 0, REASON_NOT_YET_VALID},
        {",\"nbf\":1700000011", 1, REASON_OK},
        {",\"nbf\":253402300799", 0, REASON_NOT_YET_VALID},
        {",\"iat\":1700000010", 0, REASON_OK},
        {",\"iat\":1700000011", 0, REASON_ISSUED_IN_FUTURE},
        {",\"iat\":1700000011", 1, REASON_OK},
        {",\"iat\":0", 0, REASON_OK},
        {",\"exp\":1700000000,\"nbf\":1800000000,\"iat\":1800000000", 0, REASON_EXPIRED},
        {",\"nbf\":1800000000,\"iat\":1800000000", 0, REASON_NOT_YET_VALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reply[512];
        struct decision decision;
        snprintf(reply, sizeof(reply), "{\"active\":true," ALICE "%s}", cases[i].times);
        with.now_unix_ms = (int64_t)NOW_UNIX_S * 1000;
        with.now_mono_ms += 1000000;
        cr_assert_eq(begin(&decision), DECIDE_ASK);
        cache_remove(with.cache, decision.key);
        struct fact *fact = answer(&decision, reply);
        with.now_unix_ms += cases[i].after_s * 1000 + 999;
        decide_fact(&with, fact, NULL, 0, &decision);
        cr_expect_eq(decision.reason, cases[i].reason, "%s: %s", cases[i].times, reason_word(decision.reason));
        fact_unref(fact);
        decision_deinit(&decision);
        expect_done(cases[i].reason, CACHE_OUTCOME_HIT);
        cache_remove(with.cache, decision.key);
    }
}

Test(decide, a_kept_identity_does_not_outlive_exp) {
    learn("{\"active\":true," ALICE ",\"exp\":1700000005}");
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
    with.now_unix_ms += 5000;
    expect_done(REASON_EXPIRED, CACHE_OUTCOME_HIT);
}

Test(decide, what_has_expired_is_refused_without_asking_however_old_the_fact) {
    learn("{\"active\":true," ALICE ",\"exp\":1700000005}");
    with.now_mono_ms += INT64_C(100) * 24 * 3600 * 1000;
    with.now_unix_ms += INT64_C(100) * 24 * 3600 * 1000;
    expect_done(REASON_EXPIRED, CACHE_OUTCOME_HIT);
}

Test(decide, what_is_not_yet_valid_is_asked_about_once_its_fact_is_stale) {
    learn("{\"active\":true," ALICE ",\"nbf\":1800000000}");
    expect_done(REASON_NOT_YET_VALID, CACHE_OUTCOME_HIT);
    with.now_mono_ms += issuer.ttl_ms;
    expect_ask(CACHE_OUTCOME_STALE);
}

/* ---- identities ---- */

Test(decide, every_refusal_of_the_rules_comes_through_with_its_verdict) {
    static const struct {
        const char *claims;
        enum reason reason;
    } cases[] = {
        {"\"iss\":\"x\"," ALICE, REASON_ISSUER_MISMATCH},       {"\"token_type\":\"ID\"," ALICE, REASON_TOKEN_TYPE_REFUSED},
        {"\"cnf\":{\"jkt\":\"x\"}," ALICE, REASON_TOKEN_BOUND}, {"\"aud\":\"x\"," ALICE, REASON_AUDIENCE_MISMATCH},
        {"\"client_id\":\"x\"", REASON_SUBJECT_ABSENT},         {"\"sub\":\"u1\"", REASON_USERNAME_ABSENT},
        {"\"groups\":7," ALICE, REASON_CLAIM_TYPE_INVALID},     {"\"groups\":[\"\"]," ALICE, REASON_GROUP_INVALID},
        {"\"hasgroups\":true," ALICE, REASON_GROUPS_OVERAGE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reply[512];
        snprintf(reply, sizeof(reply), "{\"active\":true,%s}", cases[i].claims);
        learn(reply);
        for (size_t n = 0; n < 2; n++) /* the second one is from memory */
            expect_done(cases[i].reason, CACHE_OUTCOME_HIT);
        struct decision decision;
        with.now_mono_ms += issuer.ttl_ms;
        cr_assert_eq(begin(&decision), DECIDE_ASK);
        cache_remove(with.cache, decision.key);
        decision_deinit(&decision);
    }
}

static struct identity *identity_of_hit(void) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_DONE);
    struct identity *identity = decision.identity;
    cr_assert_not_null(identity);
    decision_deinit(&decision);
    return identity;
}

Test(decide, an_identity_is_made_once_and_kept) {
    learn("{\"active\":true," ALICE "}");
    struct identity *first = identity_of_hit();
    memory_fail_at(0);
    cr_expect_eq(identity_of_hit(), first);
    cr_expect_eq(memory_n_allocations(), 0, "a hit allocates nothing");
}

Test(decide, a_refusal_is_made_once_and_kept) {
    learn("{\"active\":true,\"sub\":\"u1\"}");
    struct identity *first = identity_of_hit();
    cr_expect_eq(first->reason, REASON_USERNAME_ABSENT);
    memory_fail_at(0);
    cr_expect_eq(identity_of_hit(), first);
    cr_expect_eq(memory_n_allocations(), 0);
}

Test(decide, a_new_configuration_judges_the_old_facts_anew) {
    learn("{\"active\":true," ALICE "}");
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
    policy.generation = 2;
    issuer.username_prefix = TEXT("new:");
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_DONE);
    expect_user(&decision, "{\"username\":\"new:alice\",\"uid\":\"u1\"}");
    cr_expect_eq(decision.cache, CACHE_OUTCOME_HIT, "no provider is stormed by a reload");
    decision_deinit(&decision);
    policy.generation = 3;
    issuer.accept_absent_audience = false;
    expect_done(REASON_AUDIENCE_ABSENT, CACHE_OUTCOME_HIT);
    policy.generation = 4;
    issuer.accept_absent_audience = true;
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
}

Test(decide, an_identity_of_another_configuration_is_never_in_a_decision) {
    learn("{\"active\":true," ALICE ",\"exp\":1700000005}");
    expect_done(REASON_OK, CACHE_OUTCOME_HIT);
    policy.generation = 2;
    with.now_unix_ms += 5000;
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_DONE);
    cr_expect_eq(decision.reason, REASON_EXPIRED);
    cr_expect_null(decision.identity);
    decision_deinit(&decision);
}

Test(decide, those_who_waited_for_one_answer_share_one_identity) {
    struct decision first, second;
    cr_assert_eq(begin(&first), DECIDE_ASK);
    cr_assert_eq(begin(&second), DECIDE_ASK);
    struct fact *fact = answer(&first, "{\"active\":true," ALICE "}");
    decide_fact(&with, fact, NULL, 0, &first);
    decide_fact(&with, fact, NULL, 0, &second);
    expect_user(&second, ALICE_IS);
    cr_expect_eq(first.identity, second.identity);
    fact_unref(fact);
    decision_deinit(&first);
    decision_deinit(&second);
}

Test(decide, works_on_a_fact_that_no_cache_has) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    struct fact *fact = fixture_fact_from(TEXT("{\"active\":true," ALICE "}"), TOKEN, decision.key, with.now_mono_ms);
    decide_fact(&with, fact, NULL, 0, &decision);
    expect_user(&decision, ALICE_IS);
    decision_deinit(&decision);
    struct cache *cache = with.cache;
    with.cache = NULL; /* as explain may */
    decision = (struct decision){.issuer = 0};
    decide_fact(&with, fact, NULL, 0, &decision);
    expect_user(&decision, ALICE_IS);
    decision_deinit(&decision);
    with.cache = cache;
    fact_unref(fact);
}

/* A reload leaves two flights of one token in the air, and the one that was asked first may land last. */
Test(decide, a_later_answer_that_came_first_counts_and_not_the_one_that_was_waited_for) {
    struct decision first, second;
    cr_assert_eq(begin(&first), DECIDE_ASK);
    cr_assert_eq(begin(&second), DECIDE_ASK);
    struct fact *older =
        fixture_fact_from(TEXT("{\"active\":true," ALICE "}"), TOKEN, first.key, with.now_mono_ms);
    with.now_mono_ms += 1000;
    fact_unref(answer(&second, "{\"active\":false}"));
    cache_insert(with.cache, older);
    decide_fact(&with, older, NULL, 0, &first);
    expect_refused(&first, REASON_INACTIVE);
    cr_expect_null(first.identity);
    fact_unref(older);
    decision_deinit(&first);
    decision_deinit(&second);
}

/* ---- mix-ups ---- */

Test(decide, an_answer_to_another_question_is_nobodys_identity) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    uint8_t other[DIGEST_BYTES];
    memcpy(other, decision.key, sizeof(other));
    other[DIGEST_BYTES - 1] ^= 1;
    struct fact *fact = fixture_fact_from(TEXT("{\"active\":true," ALICE "}"), TEXT(SENTINEL_TOKEN "-other"), other, 0);
    decide_fact(&with, fact, NULL, 0, &decision);
    expect_refused(&decision, REASON_INTERNAL);
    cr_expect_null(decision.identity);
    decision_deinit(&decision);
    decision = (struct decision){.issuer = DECISION_NO_ISSUER};
    decide_fact(&with, fact, NULL, 0, &decision);
    expect_refused(&decision, REASON_INTERNAL);
    decision_deinit(&decision);
    fact_unref(fact);
}

/* ---- nobody could say ---- */

Test(decide, what_nobody_could_say_is_unavailable_and_never_anything_else) {
    for (int i = 0; i < N_REASONS; i++) {
        struct decision decision;
        const bool is_unavailable = reason_verdict((enum reason)i) == VERDICT_UNAVAILABLE;
        cr_assert_eq(begin(&decision), DECIDE_ASK);
        decide_unavailable((enum reason)i, &decision);
        expect_refused(&decision, is_unavailable ? (enum reason)i : REASON_INTERNAL);
        cr_expect_eq(decision.verdict, VERDICT_UNAVAILABLE);
        decision_deinit(&decision);
    }
}

Test(decide, unavailable_takes_the_identity_of_a_yes_away) {
    learn("{\"active\":true," ALICE "}");
    struct decision decision;
    const struct text asked = TEXT("kubernetes");
    policy.api_audiences = LIST(TEXT("kubernetes"));
    cr_assert_eq(begin_asked(&asked, 1, &decision), DECIDE_DONE);
    expect_user(&decision, ALICE_IS);
    decide_unavailable(REASON_AUDIT_UNWRITABLE, &decision);
    expect_refused(&decision, REASON_AUDIT_UNWRITABLE);
    cr_expect_null(decision.identity);
    cr_expect_null(decision.fact);
    cr_expect_eq(decision.n_audiences, 0);
    decision_deinit(&decision);
}

Test(decide, a_zeroed_decision_is_fine_to_release) {
    struct decision decision = {.issuer = 0};
    decision_deinit(&decision);
    decision_deinit(&decision);
}

/* ---- failures ---- */

static struct text jwt_of_the_issuer(void) {
    static char token[512];
    /* {"alg":"RS256"} and {"iss":"https://localhost:9443"} */
    snprintf(token, sizeof(token), "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvY2FsaG9zdDo5NDQzIn0." SENTINEL);
    return text_of(token);
}

Test(decide, without_memory_there_is_no_verdict_but_unavailable) {
    struct decision decision;
    const struct text token = jwt_of_the_issuer();
    memory_fail_at(1);
    cr_expect_eq(decide_begin(&with, issuer_of, NULL, token, NULL, 0, &decision), DECIDE_DONE);
    memory_fail_at(0);
    expect_refused(&decision, REASON_INTERNAL);
    decision_deinit(&decision);
    learn("{\"active\":true," ALICE "}");
    bool is_done = false;
    size_t n_failures = 0;
    for (size_t n = 1; !is_done; n++) {
        memory_fail_at(n);
        const enum decide_step step = begin(&decision);
        memory_fail_at(0);
        cr_assert_eq(step, DECIDE_DONE);
        is_done = decision.verdict == VERDICT_ALLOW;
        n_failures += !is_done;
        if (!is_done)
            expect_refused(&decision, REASON_INTERNAL);
        decision_deinit(&decision);
    }
    cr_expect_geq(n_failures, 4);
}

Test(decide, cache_outcomes_have_their_words) {
    static const char *const words[] = {"none", "hit", "negative", "stale", "miss"};
    for (int i = CACHE_OUTCOME_NONE; i <= CACHE_OUTCOME_MISS; i++)
        cr_expect_str_eq(cache_outcome_word((enum cache_outcome)i), words[i]);
}

/* ---- whom a question is about ---- */

Test(decide, a_question_says_whether_the_token_was_good_before) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    cr_expect_not(decision.was_good, "nothing is known");
    decision_deinit(&decision);
    learn("{\"active\":false}");
    with.now_mono_ms += 1000000;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    cr_expect_not(decision.was_good, "it was said no to");
    decision_deinit(&decision);
    learn("{\"active\":true," ALICE "}");
    with.now_mono_ms += 1000000;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    cr_expect(decision.was_good);
    decision_deinit(&decision);
}
