#include "core/refresh.h"

#include <criterion/criterion.h>
#include <string.h>

#include "unit/core/road.h"

#define TTL_MS 30000
#define AHEAD_MS 5000
#define ASKED_MS 1000000

/* A fact whose spread is this, of UINT32_MAX. */
static struct fact fact_of(uint32_t random) {
    struct fact fact = {.asked_mono_ms = ASKED_MS};
    memcpy(fact.key + DIGEST_BYTES - sizeof(random), &random, sizeof(random));
    return fact;
}

static bool is_due(const struct fact *fact, int64_t age_ms) {
    return refresh_is_due(fact, TTL_MS, AHEAD_MS, ASKED_MS + age_ms);
}

Test(refresh, is_due_from_the_time_ahead_on) {
    const struct fact fact = fact_of(0);
    cr_expect_not(is_due(&fact, 0));
    cr_expect_not(is_due(&fact, TTL_MS - AHEAD_MS - 1));
    cr_expect(is_due(&fact, TTL_MS - AHEAD_MS));
    cr_expect(is_due(&fact, TTL_MS - 1));
}

Test(refresh, no_token_waits_for_more_than_three_quarters_of_it) {
    const struct fact fact = fact_of(UINT32_MAX);
    cr_expect_not(is_due(&fact, TTL_MS - AHEAD_MS / 4 - 2));
    cr_expect(is_due(&fact, TTL_MS - AHEAD_MS / 4));
}

Test(refresh, a_thousand_tokens_of_one_second_are_spread_over_the_time_ahead) {
    unsigned slots[AHEAD_MS / 250] = {0}, n = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char token[16];
        uint8_t key[DIGEST_BYTES];
        snprintf(token, sizeof(token), "token-%u", i);
        cr_assert_eq(digest_sha256(text_of(token), key), 0);
        struct fact fact = {.asked_mono_ms = ASKED_MS};
        memcpy(fact.key, key, DIGEST_BYTES);
        for (int64_t age_ms = TTL_MS - AHEAD_MS; age_ms < TTL_MS; age_ms += 250) {
            if (!is_due(&fact, age_ms))
                continue;
            slots[(age_ms - TTL_MS + AHEAD_MS) / 250]++;
            n++;
            break;
        }
    }
    cr_expect_eq(n, 1000, "each is due before its end");
    for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++)
        cr_expect_lt(slots[i], 110, "%u tokens in the quarter of a second %zu", slots[i], i);
}

Test(refresh, never_where_it_is_off_or_nothing_is_remembered) {
    const struct fact fact = fact_of(0);
    cr_expect_not(refresh_is_due(&fact, TTL_MS, 0, ASKED_MS + TTL_MS - 1));
    cr_expect_not(refresh_is_due(&fact, 0, AHEAD_MS, ASKED_MS));
}

Test(refresh, a_short_ttl_is_used_for_half_of_it_at_least) {
    const struct fact fact = fact_of(0);
    cr_expect_not(refresh_is_due(&fact, 1000, AHEAD_MS, ASKED_MS + 499));
    cr_expect(refresh_is_due(&fact, 1000, AHEAD_MS, ASKED_MS + 500));
}

Test(refresh, each_fact_is_claimed_once) {
    struct fact fact = fact_of(0);
    cr_expect(refresh_claim(&fact));
    cr_expect_not(refresh_claim(&fact));
}

/* ---- as part of a login ---- */

static void set_up_refresh(void) {
    set_up();
    issuer.refresh_ahead_ms = AHEAD_MS;
}

TestSuite(refresh_at_login, .init = set_up_refresh, .fini = tear_down);

static bool asks_again(enum reason reason) {
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_DONE);
    cr_expect_eq(decision.reason, reason);
    cr_expect_eq(decision.cache, CACHE_OUTCOME_HIT);
    const bool asks = decision.is_to_refresh;
    decision_deinit(&decision);
    return asks;
}

Test(refresh_at_login, a_use_near_the_end_asks_once_and_is_answered_all_the_same) {
    learn("{\"active\":true," ALICE "}");
    cr_expect_not(asks_again(REASON_OK));
    with.now_mono_ms += TTL_MS - 1;
    cr_expect(asks_again(REASON_OK));
    cr_expect_not(asks_again(REASON_OK));
}

Test(refresh_at_login, an_answer_makes_a_fact_that_may_be_asked_about_again) {
    learn("{\"active\":true," ALICE "}");
    with.now_mono_ms += TTL_MS - 1;
    struct decision decision;
    cr_assert_eq(begin(&decision), DECIDE_DONE);
    cr_expect(decision.is_to_refresh);
    fact_unref(answer(&decision, "{\"active\":true," ALICE "}"));
    decision_deinit(&decision);
    cr_expect_not(asks_again(REASON_OK));
    with.now_mono_ms += TTL_MS - 1;
    cr_expect(asks_again(REASON_OK));
}

Test(refresh_at_login, nobody_asks_for_a_user_whom_a_rule_refuses_or_a_token_that_has_expired) {
    learn("{\"active\":true,\"sub\":\"u1\"}"); /* no username */
    with.now_mono_ms += TTL_MS - 1;
    cr_expect_not(asks_again(REASON_USERNAME_ABSENT));
    with.now_mono_ms += 1;
    learn("{\"active\":true," ALICE ",\"exp\":1700000001}");
    with.now_mono_ms += TTL_MS - 1;
    with.now_unix_ms += 1000;
    cr_expect_not(asks_again(REASON_EXPIRED));
}
