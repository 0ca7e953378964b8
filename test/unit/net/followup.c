#include "net/followup.h"

#include "unit/net/site.h"

/* A kind that only follows a handle up: what came of it is all that it answers. Whose handle is the test's. */
struct probe {
    struct followup followup;
};

static struct recheck_subject subject;
static _Atomic unsigned n_taken, n_answered, n_released;
static _Atomic bool has_fact;  /* what the last answer rested on */
static _Atomic size_t fail_at; /* of the allocations from taking to answering; 0: none */

static void probe_answer(struct review *review) {
    const struct decision *decision = &((struct followup *)review)->recheck.decision;
    char answer[128];
    memory_fail_at(0);
    n_answered++;
    has_fact = decision->fact != NULL;
    snprintf(answer, sizeof(answer), "%s %s", reason_word(decision->reason), cache_outcome_word(decision->cache));
    cr_expect_eq(decision->verdict, reason_verdict(decision->reason));
    review_send(review, text_of(answer));
}

static void probe_deinit(struct review *review) {
    followup_deinit(review);
    n_released++;
}

static void probe_take(struct loop *loop, h2o_req_t *req, int64_t started_us);

static const struct review_kind probe_reviews = {
    .path = TEXT("/probe"),
    .called = "A probe",
    .max_bytes = 1024 * 1024,
    .n_bytes = sizeof(struct probe),
    .take = probe_take,
    .settle = followup_settle,
    .answer = probe_answer,
    .deinit = probe_deinit,
};

static void probe_take(struct loop *loop, h2o_req_t *req, int64_t started_us) {
    struct probe probe;
    n_taken++;
    memory_fail_at(fail_at);
    review_begin(&probe.followup.review, &probe_reviews, loop, req, started_us);
    probe.followup.subject = subject;
    followup_begin(&probe.followup);
    memory_fail_at(0);
}

SITE_ROLE(probe_reviews, .max_entity_bytes = 4 * 1024 * 1024);

static struct site site;
static struct policy policy;
static char handle[LIMIT_HANDLE_BYTES + 1];
static int caller;

static void set_up(void) {
    site_init(&site);
    policy = site_policy(&site);
    site_start(&site, &role, &policy);
    subject = (struct recheck_subject){TEXT("corp:alice"), TEXT("u1"), text_of(site_handle(&site, handle)), 1};
    caller = site_connect(&site);
}

/* Once nobody waits, the cache alone holds the fact. */
static void expect_unused(void) {
    uint8_t key[DIGEST_BYTES];
    struct fact *fact;
    struct identity *identity = NULL;
    site_key(&site, key);
    if (cache_find(site.world.cache, key, &fact, &identity) != 0)
        return;
    MUST_COME(fact->n_refs == 2);
    identity_unref(identity);
    fact_unref(fact);
}

static void tear_down(void) {
    expect_unused();
    close(caller);
    site_deinit(&site);
    MUST(n_released == n_taken);
    MUST(n_answered == n_taken);
}

TestSuite(followup, .init = set_up, .fini = tear_down, .timeout = 60);

static void ask_probe(const char *timeout) {
    char target[64];
    snprintf(target, sizeof(target), "/probe?timeout=%s", timeout);
    post(caller, target, "{}");
}

static void expect_answer(const char *expected) {
    const struct response response = receive(caller);
    cr_expect_eq(response.status, 200);
    cr_expect_str_eq(response.body, expected, "%s and not %s", response.body, expected);
}

static void expect_outcome(const char *expected) {
    ask_probe("20s");
    expect_answer(expected);
}

static unsigned n_calls(void) {
    return https_server_n_requests(site.world.server);
}

static void pass(int64_t ms) {
    site.world.ahead_ms += ms;
}

/* ---- what is known ---- */

Test(followup, of_a_young_fact_asks_nobody) {
    site_learn(&site, SITE_REPLY);
    expect_outcome("ok hit");
    cr_expect(has_fact);
    pass(1000);
    expect_outcome("ok hit");
    cr_expect_eq(n_calls(), 0);
}

Test(followup, of_a_fact_that_is_missing_asks_nobody_and_does_what_the_policy_says) {
    expect_outcome("fact_unknown miss");
    cr_expect_not(has_fact);
    policy.handle.refuse_unknown_fact = false;
    site_reload(&site, &policy);
    expect_outcome("passed_without_fact miss");
    cr_expect_not(has_fact);
    cr_expect_eq(n_calls(), 0);
}

Test(followup, of_no_handle_two_or_an_altered_one_asks_nobody) {
    site_learn(&site, SITE_REPLY);
    subject.n_handles = 0;
    expect_outcome("handle_absent none");
    subject.n_handles = 2;
    expect_outcome("handle_doubled none");
    subject.n_handles = 1;
    handle[strlen(handle) - 1] ^= 1;
    handle[strlen(handle) - 2] ^= 1;
    ask_probe("20s");
    const struct response response = receive(caller);
    cr_expect_not_null(strstr(response.body, "handle_"), "%s", response.body);
    cr_expect_eq(n_calls(), 0);
}

/* ---- what is asked again ---- */

Test(followup, of_an_older_fact_asks_about_its_token_and_answers_by_what_is_said_now) {
    site_learn(&site, SITE_REPLY);
    pass(6000);
    expect_outcome("ok stale");
    cr_expect(has_fact);
    cr_expect_eq(n_calls(), 1);
    expect_outcome("ok hit"); /* what was said then is known to all */
    site.reply = INACTIVE;
    pass(6000);
    expect_outcome("inactive stale");
    expect_outcome("inactive negative");
    cr_expect_eq(n_calls(), 2);
}

Test(followup, of_a_token_that_is_another_user_s_by_now_is_refused) {
    site_learn(&site, SITE_REPLY);
    site.reply = SITE_OTHER_REPLY;
    pass(6000);
    expect_outcome("handle_other_user stale");
}

Test(followup, of_a_provider_that_cannot_say_holds_to_the_end_of_the_ttl_and_no_longer) {
    site_learn(&site, SITE_REPLY);
    site.status = 500;
    pass(6000);
    expect_outcome("ok stale");
    cr_expect(has_fact);
    pass(30000);
    expect_outcome("provider_error stale");
    cr_expect_not(has_fact);
    cr_expect_eq(n_calls(), 2);
}

Test(followup, of_a_provider_that_hangs_is_answered_within_the_caller_s_time) {
    site_learn(&site, SITE_REPLY);
    pass(6000);
    gate_close(&site.world);
    ask_probe("200ms");
    expect_answer("ok stale");
    pass(30000);
    ask_probe("200ms");
    expect_answer("deadline_exceeded stale");
}

Test(followup, once_nobody_may_be_asked_what_was_said_last_holds) {
    site_learn(&site, SITE_REPLY);
    pass(6000);
    loop_stop_asking(site.loop);
    expect_outcome("ok stale");
    pass(30000);
    expect_outcome("stopping stale");
    cr_expect_eq(n_calls(), 0);
}

/* ---- while it waits ---- */

static void begin_to_wait(void) {
    site_learn(&site, SITE_REPLY);
    pass(6000);
    gate_close(&site.world);
    ask_probe("20s");
    wait_for(&site.world, &site.world.n_at_gate, 1);
}

static void let_go(const char *expected) {
    gate_open(&site.world);
    expect_answer(expected);
}

Test(followup, whose_caller_goes_gives_back_all_that_it_held) {
    begin_to_wait();
    close(caller);
    gate_open(&site.world);
    EVENTUALLY(n_released == 1);
    caller = site_connect(&site);
}

Test(followup, that_waits_is_judged_by_the_configuration_that_it_began_with) {
    struct issuer_policy renamed = site.world.policy;
    renamed.username_prefix = TEXT("other:");
    policy.issuers = &renamed;
    begin_to_wait();
    site_reload(&site, &policy);
    let_go("ok stale");
    expect_outcome("handle_other_user hit");
}

/* The new keys are none at all, and the loop's by the time the answer comes. */
Test(followup, that_waits_needs_no_keys_any_more) {
    begin_to_wait();
    policy.handle.is_on = false;
    site_reload(&site, &policy);
    let_go("ok stale");
    expect_outcome("handle_off none");
}

Test(followup, that_waits_keeps_its_fact_though_the_cache_has_lost_it) {
    struct cache *const cache = site.world.cache;
    begin_to_wait();
    site.status = 500;
    for (unsigned i = 0; i < 5000; i++) { /* more than there is room for */
        uint8_t key[DIGEST_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8), 1};
        struct fact *fact = fixture_fact_from(TEXT(SITE_REPLY), TEXT("filler"), key, clock_mono_ms(&site.world.clock));
        cache_insert(cache, fact);
        fact_unref(fact);
    }
    uint8_t key[DIGEST_BYTES];
    struct fact *fact;
    site_key(&site, key);
    cr_assert_neq(cache_find(cache, key, &fact, NULL), 0);
    let_go("ok stale");
    expect_outcome("fact_unknown miss");
}

/* ---- memory ---- */

/* With a fact at hand, nothing is lost but the answer of that moment; the token is not called bad for it. */
Test(followup, without_memory_is_our_own_fault_or_what_was_said_last) {
    unsigned n_internal = 0;
    bool has_asked = false;
    for (size_t n = 1; n < 40 && !has_asked; n++) {
        site_learn(&site, SITE_REPLY);
        pass(6000);
        fail_at = n;
        ask_probe("20s");
        const struct response response = receive(caller);
        const bool is_internal = text_starts_with(text_of(response.body), TEXT("internal"));
        n_internal += is_internal;
        cr_expect(is_internal || strcmp(response.body, "ok stale") == 0, "allocation %zu: %s", n, response.body);
        has_asked = n_calls() > 0;
    }
    fail_at = 0;
    cr_expect(has_asked);
    cr_expect_gt(n_internal, 0);
    expect_outcome("ok hit");
}

Test(followup, without_memory_for_an_identity_asks_nobody) {
    site_learn(&site, SITE_REPLY);
    for (size_t n = 1; n < 40; n++) {
        fail_at = n;
        ask_probe("20s");
        const struct response response = receive(caller);
        if (strcmp(response.body, "ok hit") == 0)
            break;
        cr_expect_str_eq(response.body, "internal hit", "allocation %zu: %s", n, response.body);
    }
    fail_at = 0;
    expect_outcome("ok hit");
    cr_expect_eq(n_calls(), 0);
}
