#include "core/outage.h"

#include "unit/core/road.h"

#define TTL_MS 30000 /* of fixture_issuer() */
#define MAX_STALE_MS 600000
#define ACTIVE "{\"active\":true," ALICE ",\"groups\":[\"dev\",\"on-call\",\"ops\"],\"exp\":1700086400}"
#define FULL "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:dev\",\"corp:on-call\",\"corp:ops\"]}"
#define REDUCED "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"groups\":[\"corp:on-call\"]}"

static void set_up_outage(void) {
    static struct text groups[] = {TEXT("on-call"), TEXT("nobody-has-it")};
    set_up();
    issuer.outage = (struct outage_policy){.max_stale_ms = MAX_STALE_MS, .groups = {.items = groups, .n_items = 2}};
}

TestSuite(outage, .init = set_up_outage, .fini = tear_down);

/* A login now, while the provider cannot be asked for this reason. */
static void log_in(enum reason because, struct decision *ret_decision) {
    if (begin(ret_decision) == DECIDE_ASK)
        decide_without(&with, because, NULL, 0, ret_decision);
}

static void expect_outcome(enum reason because, enum reason reason) {
    struct decision decision;
    log_in(because, &decision);
    cr_expect_eq(decision.reason, reason, "%s: %s and not %s", reason_word(because), reason_word(decision.reason),
                 reason_word(reason));
    cr_expect_eq(decision.verdict, reason_verdict(reason));
    if (reason == REASON_DEGRADED) {
        cr_assert_not_null(decision.identity);
        assert_text(identity_user(decision.identity), TEXT(REDUCED));
        cr_expect_eq(decision.because, because);
    }
    decision_deinit(&decision);
}

static void pass(int64_t ms) {
    with.now_mono_ms += ms;
    with.now_unix_ms += ms;
}

/* ---- what serves ---- */

Test(outage, a_stale_yes_serves_with_the_listed_groups_only) {
    learn(ACTIVE);
    pass(TTL_MS);
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_DEGRADED);
}

Test(outage, within_its_ttl_everything_is_as_ever) {
    learn(ACTIVE);
    pass(TTL_MS - 1);
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_DONE);
    expect_user(&decision, FULL);
    decision_deinit(&decision);
}

Test(outage, serves_until_max_stale_is_over_and_not_longer) {
    learn(ACTIVE);
    pass(TTL_MS + MAX_STALE_MS - 1);
    expect_outcome(REASON_BREAKER_OPEN, REASON_DEGRADED);
    pass(1);
    expect_outcome(REASON_BREAKER_OPEN, REASON_BREAKER_OPEN);
}

Test(outage, a_tiers_ttl_is_where_its_time_counts_from) {
    static struct text ops[] = {TEXT("ops")};
    static const struct cache_tier tier = {.groups = {.items = ops, .n_items = 1}, .ttl_ms = 5000};
    issuer.tiers = &tier;
    issuer.n_tiers = 1;
    learn(ACTIVE);
    pass(5000 + MAX_STALE_MS - 1);
    expect_outcome(REASON_BREAKER_OPEN, REASON_DEGRADED);
    pass(1);
    expect_outcome(REASON_BREAKER_OPEN, REASON_BREAKER_OPEN);
}

Test(outage, full_groups_return_with_the_first_answer) {
    learn(ACTIVE);
    pass(TTL_MS);
    expect_outcome(REASON_PROVIDER_TIMEOUT, REASON_DEGRADED);
    learn(ACTIVE);
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_DONE);
    expect_user(&decision, FULL);
    decision_deinit(&decision);
}

Test(outage, an_empty_list_leaves_no_groups) {
    issuer.outage.groups = (struct text_list){0};
    learn(ACTIVE);
    pass(TTL_MS);
    struct decision decision;
    log_in(REASON_PROVIDER_ERROR, &decision);
    cr_expect_eq(decision.reason, REASON_DEGRADED);
    assert_text(identity_user(decision.identity), TEXT(ALICE_IS));
    decision_deinit(&decision);
}

/* ---- what never does ---- */

Test(outage, without_the_setting_nothing_serves_past_its_ttl) {
    issuer.outage = (struct outage_policy){0};
    learn(ACTIVE);
    pass(TTL_MS);
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_PROVIDER_UNREACHABLE);
}

Test(outage, an_unknown_token_is_nobody) {
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_PROVIDER_UNREACHABLE);
}

Test(outage, a_no_never_serves) {
    learn(ACTIVE);
    pass(TTL_MS);
    learn("{\"active\":false}");
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_INACTIVE);
    pass(TTL_MS);
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_PROVIDER_UNREACHABLE);
}

Test(outage, a_no_that_somebody_else_was_told_meanwhile_counts) {
    learn(ACTIVE);
    pass(TTL_MS);
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    pass(1);
    fact_unref(answer(&decision, "{\"active\":false}"));
    decide_without(&with, REASON_PROVIDER_TIMEOUT, NULL, 0, &decision);
    cr_expect_eq(decision.reason, REASON_PROVIDER_TIMEOUT);
    cr_expect_null(decision.identity);
    decision_deinit(&decision);
}

Test(outage, what_a_rule_refused_is_unavailable_and_not_a_user) {
    learn("{\"active\":true,\"sub\":\"u1\",\"groups\":[\"on-call\"]}"); /* no username */
    pass(TTL_MS);
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_PROVIDER_UNREACHABLE);
}

Test(outage, a_user_rule_sees_all_groups_and_not_those_that_are_left) {
    static const struct user_rule rule = {.kind = USER_RULE_GROUPS_NOT_PREFIX, .value = TEXT("corp:dev")};
    issuer.user_rules = &rule;
    issuer.n_user_rules = 1;
    learn(ACTIVE);
    pass(TTL_MS);
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_PROVIDER_UNREACHABLE);
}

Test(outage, nothing_serves_past_exp) {
    learn("{\"active\":true," ALICE ",\"groups\":[\"on-call\"],\"exp\":1700000060}");
    pass(59000);
    struct decision decision;
    log_in(REASON_PROVIDER_UNREACHABLE, &decision);
    cr_expect_eq(decision.reason, REASON_DEGRADED);
    decision_deinit(&decision);
    pass(1000);
    expect_outcome(REASON_PROVIDER_UNREACHABLE, REASON_EXPIRED);
}

Test(outage, exp_may_pass_while_the_provider_is_asked) {
    learn("{\"active\":true," ALICE ",\"exp\":1700000060}");
    pass(59999);
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    pass(1);
    decide_without(&with, REASON_PROVIDER_TIMEOUT, NULL, 0, &decision);
    cr_expect_eq(decision.reason, REASON_EXPIRED);
    decision_deinit(&decision);
}

Test(outage, a_fault_of_our_own_or_of_one_token_is_no_outage) {
    static const enum reason causes[] = {REASON_STOPPING, REASON_INTERNAL, REASON_AUDIT_UNWRITABLE,
                                         REASON_PROVIDER_REPLY_TOO_LARGE, REASON_CLAIM_TYPE_INVALID};
    learn(ACTIVE);
    pass(TTL_MS);
    for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
        expect_outcome(causes[i], causes[i]);
}

Test(outage, only_what_makes_unavailable_is_one) {
    unsigned n = 0;
    for (int i = 0; i < N_REASONS; i++) {
        cr_expect(!outage_is((enum reason)i) || reason_verdict((enum reason)i) == VERDICT_UNAVAILABLE);
        n += outage_is((enum reason)i);
    }
    cr_expect_eq(n, 13);
}

Test(outage, the_audiences_asked_for_are_checked_as_ever) {
    static struct text api[] = {TEXT("kubernetes")};
    const struct text asked[] = {TEXT("other")};
    policy.api_audiences = (struct text_list){.items = api, .n_items = 1};
    learn(ACTIVE);
    pass(TTL_MS);
    struct decision decision;
    cr_assert_eq(begin_asked(asked, 1, &decision), DECIDE_ASK);
    decide_without(&with, REASON_BREAKER_OPEN, asked, 1, &decision);
    cr_expect_eq(decision.reason, REASON_BREAKER_OPEN, "%s", reason_word(decision.reason));
    decision_deinit(&decision);
}

Test(outage, the_reduced_identity_is_not_kept) {
    learn(ACTIVE);
    pass(TTL_MS);
    expect_outcome(REASON_PROVIDER_TIMEOUT, REASON_DEGRADED);
    struct fact *fact;
    struct identity *identity;
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_ASK);
    cr_assert_eq(cache_lookup(with.cache, decision.key, TOKEN, &fact, &identity), 0);
    if (identity != NULL)
        assert_text(identity_user(identity), TEXT(FULL));
    identity_unref(identity);
    fact_unref(fact);
    decision_deinit(&decision);
}

Test(outage, out_of_memory_is_our_own_fault_and_nobody_is_let_in, .disabled = IS_SANITIZED) {
    learn(ACTIVE);
    pass(TTL_MS);
    bool has_succeeded = false;
    for (unsigned i = 1; i < 200 && !has_succeeded; i++) {
        struct decision decision;
        cr_assert_eq(begin(&decision), DECIDE_ASK);
        memory_fail_at(i);
        decide_without(&with, REASON_BREAKER_OPEN, NULL, 0, &decision);
        memory_fail_at(0);
        has_succeeded = decision.reason == REASON_DEGRADED;
        cr_expect(has_succeeded || decision.reason == REASON_INTERNAL, "allocation %u: %s", i,
                  reason_word(decision.reason));
        cr_expect(has_succeeded || decision.identity == NULL);
        decision_deinit(&decision);
    }
    cr_expect(has_succeeded);
}
