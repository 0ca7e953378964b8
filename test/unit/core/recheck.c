#include "core/recheck.h"

#include "unit/core/road.h"

#define LINE TEXT("0123456789abcdef0123456789abcdef")
#define RECHECK_AFTER_MS 5000
#define TTL_MS 30000 /* of fixture_issuer() */
#define NEGATIVE_TTL_MS 10000
#define ACTIVE "{\"active\":true," ALICE "}"
#define INACTIVE "{\"active\":false}"
#define BOB "{\"active\":true,\"sub\":\"u2\",\"preferred_username\":\"bob\"}"
#define NAMELESS "{\"active\":true,\"sub\":\"u1\"}"

static struct handle_keys *keys;
static struct recheck_subject alice;
static char handle_room[LIMIT_HANDLE_BYTES + 1];
static const char *endpoint; /* NULL: the usual one */

/* The key of TOKEN's fact, as a login has it. */
static void key_of_token(uint8_t ret_key[DIGEST_BYTES]) {
    struct decision decision;
    begin(&decision);
    cr_assert(decision.has_key);
    memcpy(ret_key, decision.key, DIGEST_BYTES);
    decision_deinit(&decision);
}

static struct text issue_for(const char *username, const char *uid) {
    const struct handle_subject owner = {text_of(username), text_of(uid), policy.cluster};
    uint8_t key[DIGEST_BYTES];
    key_of_token(key);
    struct buffer buffer;
    buffer_init_fixed(&buffer, handle_room, sizeof(handle_room));
    cr_assert_eq(handle_append(keys, &owner, key, with.now_unix_ms / 1000, &buffer), 0);
    return buffer_text(&buffer);
}

static void set_up_recheck(void) {
    set_up();
    policy.cluster = TEXT("prod-1");
    policy.handle = (struct handle_policy){
        .is_on = true, .max_age_s = 180, .recheck_after_ms = RECHECK_AFTER_MS, .refuse_without_handle = true};
    const struct text line = LINE;
    cr_assert_eq(handle_keys_new(&line, 1, &keys), 0);
    endpoint = NULL;
    alice = (struct recheck_subject){TEXT("corp:alice"), TEXT("u1"), issue_for("corp:alice", "u1"), 1};
}

static void tear_down_recheck(void) {
    handle_keys_free(keys);
    tear_down();
}

TestSuite(recheck, .init = set_up_recheck, .fini = tear_down_recheck);

static struct recheck_with with_now(void) {
    return (struct recheck_with){.decide = with, .keys = keys};
}

static enum recheck_step begin_recheck(const struct recheck_subject *subject, struct recheck *recheck) {
    const struct recheck_with now = with_now();
    return recheck_begin(&now, issuer_of, (void *)(uintptr_t)endpoint, subject, recheck);
}

/* The identity goes with REASON_OK and with nothing else that allows. */
static void expect_reason(const struct recheck *recheck, enum reason reason, const char *what) {
    const struct decision *decision = &recheck->decision;
    cr_expect_eq(decision->reason, reason, "%s: %s and not %s", what, reason_word(decision->reason), reason_word(reason));
    cr_expect_eq(decision->verdict, reason_verdict(reason), "%s", what);
    cr_expect_eq(decision->verdict == VERDICT_ALLOW && decision->identity != NULL, reason == REASON_OK, "%s", what);
}

static void expect(const struct recheck_subject *subject, enum reason reason, enum cache_outcome cache) {
    struct recheck recheck;
    cr_expect_eq(begin_recheck(subject, &recheck), RECHECK_DONE);
    expect_reason(&recheck, reason, "");
    cr_expect_eq(recheck.decision.cache, cache);
    recheck_deinit(&recheck);
}

/* ---- the cache, by the key alone ---- */

static enum fact_answer found_answer(const uint8_t key[DIGEST_BYTES]) {
    struct fact *fact = NULL;
    struct identity *identity = NULL;
    memory_fail_at(0);
    cr_assert_eq(cache_find(with.cache, key, &fact, &identity), 0);
    cr_expect_eq(memory_n_allocations(), 0);
    assert_text(fact_token(fact), TOKEN);
    const enum fact_answer answer = (enum fact_answer)fact->answer;
    fact_unref(fact);
    identity_unref(identity);
    return answer;
}

Test(recheck, finds_a_fact_by_its_key_in_either_partition) {
    uint8_t key[DIGEST_BYTES];
    struct fact *fact = NULL;
    key_of_token(key);
    cr_expect_eq(cache_find(with.cache, key, &fact, NULL), CACHE_MISS);
    cr_expect_null(fact);
    learn(ACTIVE);
    cr_expect_eq(found_answer(key), FACT_ACTIVE);
    with.now_mono_ms += TTL_MS;
    learn(INACTIVE); /* what turned negative is found as that, and only as that */
    cr_expect_eq(found_answer(key), FACT_INACTIVE);
    struct cache_stats stats;
    cache_stats(with.cache, &stats);
    cr_expect_eq(stats.n_entries + stats.n_negative_entries, 1);
    cache_remove(with.cache, key);
    cr_expect_eq(cache_find(with.cache, key, &fact, NULL), CACHE_MISS);
}

/* ---- before any fact ---- */

Test(recheck, without_a_handle_says_whose_user_it_is) {
    static const struct {
        struct text username;
        bool refuses;
        enum reason reason;
    } rows[] = {
        {TEXT("corp:alice"), true, REASON_HANDLE_ABSENT},
        {TEXT("corp:alice"), false, REASON_PASSED_WITHOUT_HANDLE},
        {TEXT("corp:"), true, REASON_HANDLE_ABSENT},
        {TEXT("corp"), true, REASON_NOT_OURS},
        {TEXT("system:kube-scheduler"), true, REASON_NOT_OURS},
        {TEXT("Corp:alice"), true, REASON_NOT_OURS},
        {TEXT(""), true, REASON_NOT_OURS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        policy.handle.refuse_without_handle = rows[i].refuses;
        expect(&(struct recheck_subject){.username = rows[i].username}, rows[i].reason, CACHE_OUTCOME_NONE);
    }
}

Test(recheck, an_empty_prefix_makes_nobody_ours) {
    issuer.username_prefix = TEXT("");
    expect(&(struct recheck_subject){.username = TEXT("alice")}, REASON_NOT_OURS, CACHE_OUTCOME_NONE);
}

/* Both like the usual one; changed through issuers. */
static void have_two(struct issuer_policy issuers[2]) {
    issuers[0] = issuers[1] = issuer;
    policy.issuers = issuers;
    policy.n_issuers = 2;
}

Test(recheck, any_issuers_prefix_makes_a_user_ours) {
    struct issuer_policy issuers[2];
    have_two(issuers);
    issuers[0].username_prefix = TEXT("");
    issuers[1].username_prefix = TEXT("lab:");
    expect(&(struct recheck_subject){.username = TEXT("lab:eve")}, REASON_HANDLE_ABSENT, CACHE_OUTCOME_NONE);
    expect(&(struct recheck_subject){.username = TEXT("corp:alice")}, REASON_NOT_OURS, CACHE_OUTCOME_NONE);
}

Test(recheck, where_handles_are_off_nothing_is_checked) {
    policy.handle.is_on = false;
    handle_keys_free(keys);
    keys = NULL;
    expect(&alice, REASON_HANDLE_OFF, CACHE_OUTCOME_NONE);
    expect(&(struct recheck_subject){.username = TEXT("corp:alice")}, REASON_HANDLE_OFF, CACHE_OUTCOME_NONE);
}

Test(recheck, without_keys_is_our_own_fault_and_passes_nobody) {
    handle_keys_free(keys);
    keys = NULL;
    learn(ACTIVE);
    expect(&alice, REASON_INTERNAL, CACHE_OUTCOME_NONE);
}

Test(recheck, of_a_handle_that_is_not_in_order_says_why) {
    learn(ACTIVE);
    struct recheck_subject doubled = alice, malformed = alice, bob = alice, other_uid = alice;
    doubled.n_handles = 2;
    malformed.handle.n_bytes--;
    bob.username = TEXT("corp:bob");
    other_uid.uid = TEXT("u2");
    expect(&doubled, REASON_HANDLE_DOUBLED, CACHE_OUTCOME_NONE);
    expect(&malformed, REASON_HANDLE_MALFORMED, CACHE_OUTCOME_NONE);
    expect(&bob, REASON_HANDLE_OTHER_USER, CACHE_OUTCOME_NONE);
    expect(&other_uid, REASON_HANDLE_OTHER_UID, CACHE_OUTCOME_NONE);
    policy.cluster = TEXT("prod-2");
    expect(&alice, REASON_HANDLE_OTHER_CLUSTER, CACHE_OUTCOME_NONE);
    policy.cluster = TEXT("prod-1");
    with.now_unix_ms += 181 * 1000;
    expect(&alice, REASON_HANDLE_TOO_OLD, CACHE_OUTCOME_NONE);
    with.now_unix_ms -= 181 * 1000 + 61 * 1000;
    expect(&alice, REASON_HANDLE_FROM_FUTURE, CACHE_OUTCOME_NONE);
    const struct text other_line = TEXT("fedcba9876543210fedcba9876543210");
    with.now_unix_ms += 61 * 1000;
    handle_keys_free(keys);
    cr_assert_eq(handle_keys_new(&other_line, 1, &keys), 0);
    expect(&alice, REASON_HANDLE_ALTERED, CACHE_OUTCOME_NONE);
}

Test(recheck, whoever_has_no_prefix_of_ours_but_a_handle_is_checked) {
    learn(INACTIVE);
    struct recheck_subject carol = {TEXT("carol"), TEXT(""), issue_for("carol", ""), 1};
    expect(&carol, REASON_INACTIVE, CACHE_OUTCOME_NEGATIVE);
}

/* ---- fact, age, answer ---- */

enum given { NO_FACT, KNOWS_ALICE, KNOWS_NO, KNOWS_BOB, KNOWS_NAMELESS, KNOWS_EXPIRED };
enum told { NOT_ASKED, TOLD_ALICE, TOLD_NO, TOLD_BOB, TOLD_NOTHING };

static void know(enum given given) {
    static const char *const replies[] = {[KNOWS_ALICE] = ACTIVE,
                                          [KNOWS_NO] = INACTIVE,
                                          [KNOWS_BOB] = BOB,
                                          [KNOWS_NAMELESS] = NAMELESS,
                                          [KNOWS_EXPIRED] = "{\"active\":true," ALICE ",\"exp\":1700000000}"};
    if (given != NO_FACT)
        learn(replies[given]);
}

static void go_on(enum told told, struct recheck *recheck) {
    static const char *const replies[] = {[TOLD_ALICE] = ACTIVE, [TOLD_NO] = INACTIVE, [TOLD_BOB] = BOB};
    const struct recheck_with now = with_now();
    if (told == TOLD_NOTHING) {
        recheck_unavailable(&now, REASON_PROVIDER_TIMEOUT, &alice, recheck);
        return;
    }
    struct fact *fact = answer(&recheck->decision, replies[told]);
    recheck_fact(&now, fact, &alice, recheck);
    fact_unref(fact);
}

Test(recheck, judges_by_fact_age_and_answer) {
    static const struct {
        enum given given;
        int64_t age_ms;
        enum told told;
        enum reason reason;
        enum cache_outcome cache;
    } rows[] = {
        {NO_FACT, 0, NOT_ASKED, REASON_PASSED_WITHOUT_FACT, CACHE_OUTCOME_MISS},
        /* young enough */
        {KNOWS_ALICE, 0, NOT_ASKED, REASON_OK, CACHE_OUTCOME_HIT},
        {KNOWS_ALICE, RECHECK_AFTER_MS - 1, NOT_ASKED, REASON_OK, CACHE_OUTCOME_HIT},
        {KNOWS_BOB, 0, NOT_ASKED, REASON_HANDLE_OTHER_USER, CACHE_OUTCOME_HIT},
        {KNOWS_NAMELESS, 0, NOT_ASKED, REASON_USERNAME_ABSENT, CACHE_OUTCOME_HIT},
        /* asked again */
        {KNOWS_ALICE, RECHECK_AFTER_MS, TOLD_ALICE, REASON_OK, CACHE_OUTCOME_STALE},
        {KNOWS_ALICE, RECHECK_AFTER_MS, TOLD_NO, REASON_INACTIVE, CACHE_OUTCOME_STALE},
        {KNOWS_ALICE, RECHECK_AFTER_MS, TOLD_BOB, REASON_HANDLE_OTHER_USER, CACHE_OUTCOME_STALE},
        {KNOWS_ALICE, 10 * TTL_MS, TOLD_ALICE, REASON_OK, CACHE_OUTCOME_STALE},
        {KNOWS_ALICE, 10 * TTL_MS, TOLD_NO, REASON_INACTIVE, CACHE_OUTCOME_STALE},
        {KNOWS_BOB, RECHECK_AFTER_MS, TOLD_ALICE, REASON_OK, CACHE_OUTCOME_STALE},
        {KNOWS_NAMELESS, RECHECK_AFTER_MS, TOLD_ALICE, REASON_OK, CACHE_OUTCOME_STALE},
        /* nobody could say: what was said last holds to the end of its ttl */
        {KNOWS_ALICE, RECHECK_AFTER_MS, TOLD_NOTHING, REASON_OK, CACHE_OUTCOME_STALE},
        {KNOWS_ALICE, TTL_MS - 1, TOLD_NOTHING, REASON_OK, CACHE_OUTCOME_STALE},
        {KNOWS_ALICE, TTL_MS, TOLD_NOTHING, REASON_PROVIDER_TIMEOUT, CACHE_OUTCOME_STALE},
        {KNOWS_BOB, TTL_MS - 1, TOLD_NOTHING, REASON_HANDLE_OTHER_USER, CACHE_OUTCOME_STALE},
        {KNOWS_BOB, TTL_MS, TOLD_NOTHING, REASON_PROVIDER_TIMEOUT, CACHE_OUTCOME_STALE},
        {KNOWS_NAMELESS, TTL_MS - 1, TOLD_NOTHING, REASON_USERNAME_ABSENT, CACHE_OUTCOME_STALE},
        {KNOWS_NAMELESS, TTL_MS, TOLD_NOTHING, REASON_PROVIDER_TIMEOUT, CACHE_OUTCOME_STALE},
        /* a no holds for its own ttl */
        {KNOWS_NO, 0, NOT_ASKED, REASON_INACTIVE, CACHE_OUTCOME_NEGATIVE},
        {KNOWS_NO, NEGATIVE_TTL_MS - 1, NOT_ASKED, REASON_INACTIVE, CACHE_OUTCOME_NEGATIVE},
        {KNOWS_NO, NEGATIVE_TTL_MS, TOLD_NO, REASON_INACTIVE, CACHE_OUTCOME_STALE},
        {KNOWS_NO, NEGATIVE_TTL_MS, TOLD_ALICE, REASON_OK, CACHE_OUTCOME_STALE},
        {KNOWS_NO, NEGATIVE_TTL_MS, TOLD_NOTHING, REASON_PROVIDER_TIMEOUT, CACHE_OUTCOME_STALE},
        /* what has expired stays so */
        {KNOWS_EXPIRED, 0, NOT_ASKED, REASON_EXPIRED, CACHE_OUTCOME_HIT},
        {KNOWS_EXPIRED, 10 * TTL_MS, NOT_ASKED, REASON_EXPIRED, CACHE_OUTCOME_HIT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char what[20];
        snprintf(what, sizeof(what), "row %zu", i);
        know(rows[i].given);
        with.now_mono_ms += rows[i].age_ms;
        struct recheck recheck;
        const enum recheck_step step = begin_recheck(&alice, &recheck);
        cr_assert_eq(step, rows[i].told == NOT_ASKED ? RECHECK_DONE : RECHECK_ASK, "%s", what);
        if (step == RECHECK_ASK) {
            assert_text(recheck_token(&recheck), TOKEN);
            cr_expect_eq(recheck.decision.issuer, 0);
            go_on(rows[i].told, &recheck);
        }
        expect_reason(&recheck, rows[i].reason, what);
        cr_expect_eq(recheck.decision.cache, rows[i].cache, "%s", what);
        cr_expect(recheck.decision.has_key);
        recheck_deinit(&recheck);
        uint8_t key[DIGEST_BYTES];
        key_of_token(key);
        cache_remove(with.cache, key);
    }
}

Test(recheck, who_forgets_to_go_on_does_not_allow) {
    learn(ACTIVE);
    with.now_mono_ms += RECHECK_AFTER_MS;
    struct recheck recheck;
    cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    expect_reason(&recheck, REASON_INTERNAL, "");
    recheck_deinit(&recheck);
}

Test(recheck, an_expiry_between_two_requests_counts_at_once) {
    learn("{\"active\":true," ALICE ",\"exp\":1700000001}");
    expect(&alice, REASON_OK, CACHE_OUTCOME_HIT);
    with.now_unix_ms += 1000;
    expect(&alice, REASON_EXPIRED, CACHE_OUTCOME_HIT);
}

Test(recheck, unavailable_never_prolongs_what_has_expired) {
    learn("{\"active\":true," ALICE ",\"exp\":1700000010}");
    with.now_mono_ms += RECHECK_AFTER_MS;
    struct recheck recheck;
    cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    with.now_unix_ms += 10000;
    go_on(TOLD_NOTHING, &recheck);
    expect_reason(&recheck, REASON_EXPIRED, "");
    recheck_deinit(&recheck);
}

/* Another flight of the token, of the configuration before, say, has landed while this one waited in vain. */
Test(recheck, a_no_that_came_meanwhile_is_not_lost_where_the_own_question_has_no_answer) {
    learn(ACTIVE);
    with.now_mono_ms += RECHECK_AFTER_MS;
    struct recheck recheck;
    cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    fact_unref(answer(&recheck.decision, INACTIVE));
    go_on(TOLD_NOTHING, &recheck);
    expect_reason(&recheck, REASON_INACTIVE, "as young as a no must be");
    recheck_deinit(&recheck);
}

Test(recheck, a_no_that_came_meanwhile_holds_as_long_as_any_and_never_becomes_a_yes) {
    learn(ACTIVE);
    with.now_mono_ms += RECHECK_AFTER_MS;
    struct recheck recheck;
    cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    fact_unref(answer(&recheck.decision, INACTIVE));
    with.now_mono_ms += NEGATIVE_TTL_MS; /* what stood before is still within its own ttl */
    go_on(TOLD_NOTHING, &recheck);
    expect_reason(&recheck, REASON_PROVIDER_TIMEOUT, "");
    recheck_deinit(&recheck);
}

Test(recheck, unavailable_for_any_reason_is_that_reason_after_the_ttl_and_no_verdict_of_another_kind) {
    for (int i = 0; i < N_REASONS; i++) {
        learn(ACTIVE);
        with.now_mono_ms += TTL_MS;
        struct recheck recheck;
        cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
        const struct recheck_with now = with_now();
        recheck_unavailable(&now, (enum reason)i, &alice, &recheck);
        const bool is_unavailable = reason_verdict((enum reason)i) == VERDICT_UNAVAILABLE;
        expect_reason(&recheck, is_unavailable ? (enum reason)i : REASON_INTERNAL, reason_word((enum reason)i));
        recheck_deinit(&recheck);
    }
}

Test(recheck, a_tiers_ttl_ends_the_standing_of_its_members) {
    struct text members[] = {TEXT("admins")};
    const struct cache_tier tier = {.groups = {.items = members, .n_items = 1}, .ttl_ms = 8000};
    issuer.tiers = &tier;
    issuer.n_tiers = 1;
    static const struct {
        int64_t age_ms;
        enum reason reason;
    } rows[] = {{7999, REASON_OK}, {8000, REASON_PROVIDER_TIMEOUT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        learn("{\"active\":true," ALICE ",\"groups\":[\"admins\"]}");
        with.now_mono_ms += rows[i].age_ms;
        struct recheck recheck;
        cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
        go_on(TOLD_NOTHING, &recheck);
        expect_reason(&recheck, rows[i].reason, "");
        recheck_deinit(&recheck);
        with.now_mono_ms += TTL_MS;
    }
}

/* recheckAfter may be longer than a ttl: a login would ask then, and so does this. */
Test(recheck, a_fact_past_its_ttl_is_asked_again_however_long_recheck_after_is) {
    policy.handle.recheck_after_ms = 10 * TTL_MS;
    learn(ACTIVE);
    with.now_mono_ms += TTL_MS - 1;
    expect(&alice, REASON_OK, CACHE_OUTCOME_HIT);
    with.now_mono_ms += 1;
    struct recheck recheck;
    cr_expect_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    recheck_deinit(&recheck);
}

Test(recheck, with_recheck_after_0_asks_each_time) {
    policy.handle.recheck_after_ms = 0;
    learn(ACTIVE);
    struct recheck recheck;
    cr_expect_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    recheck_deinit(&recheck);
}

Test(recheck, an_answer_to_another_question_is_nobodys_identity) {
    learn(ACTIVE);
    with.now_mono_ms += RECHECK_AFTER_MS;
    struct recheck recheck;
    cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    struct fact *foreign = fixture_fact(TEXT(ACTIVE)); /* its key is all zero */
    const struct recheck_with now = with_now();
    recheck_fact(&now, foreign, &alice, &recheck);
    expect_reason(&recheck, REASON_INTERNAL, "");
    fact_unref(foreign);
    recheck_deinit(&recheck);
}

/* ---- the configuration has changed since the login ---- */

Test(recheck, judges_by_todays_configuration) {
    learn(ACTIVE);
    expect(&alice, REASON_OK, CACHE_OUTCOME_HIT);
    policy.generation++;
    issuer.username_claim = TEXT("sub"); /* corp:u1 now */
    expect(&alice, REASON_HANDLE_OTHER_USER, CACHE_OUTCOME_HIT);
    policy.generation++;
    issuer.username_claim = TEXT("preferred_username");
    issuer.accept_absent_token_type = false;
    expect(&alice, REASON_TOKEN_TYPE_ABSENT, CACHE_OUTCOME_HIT);
    policy.generation++;
    issuer.accept_absent_token_type = true;
    expect(&alice, REASON_OK, CACHE_OUTCOME_HIT);
}

Test(recheck, a_fact_of_another_endpoint_is_unknown) {
    learn(ACTIVE);
    endpoint = "https://localhost:9443/elsewhere";
    expect(&alice, REASON_PASSED_WITHOUT_FACT, CACHE_OUTCOME_MISS);
    policy.handle.refuse_unknown_fact = true;
    expect(&alice, REASON_FACT_UNKNOWN, CACHE_OUTCOME_MISS);
}

/* Within a configuration an endpoint moves by discovery only: it is the same issuer's. */
Test(recheck, a_fact_that_this_configuration_has_judged_is_known_wherever_its_endpoint_is_now) {
    learn(ACTIVE);
    expect(&alice, REASON_OK, CACHE_OUTCOME_HIT);
    endpoint = "https://localhost:9443/elsewhere";
    expect(&alice, REASON_OK, CACHE_OUTCOME_HIT);
    policy.generation++;
    expect(&alice, REASON_PASSED_WITHOUT_FACT, CACHE_OUTCOME_MISS);
}

Test(recheck, the_issuer_is_the_one_that_a_login_asks) {
    struct issuer_policy issuers[2];
    have_two(issuers);
    issuers[0].opaque_prefix = TEXT("of-another-issuer-");
    issuers[0].url = TEXT("https://other.example.com");
    learn(ACTIVE);
    /* The token tells it the first time; then this configuration has judged the fact; then another one comes. */
    for (size_t i = 0; i < 3; i++) {
        struct recheck recheck;
        policy.generation += i == 2;
        cr_expect_eq(begin_recheck(&alice, &recheck), RECHECK_DONE);
        expect_reason(&recheck, REASON_OK, "the second issuer's");
        cr_expect_eq(recheck.decision.issuer, 1);
        recheck_deinit(&recheck);
    }
}

Test(recheck, a_fact_of_another_issuer_is_unknown) {
    learn(ACTIVE);
    policy.handle.refuse_unknown_fact = true;
    issuer.url = TEXT("https://other.example.com");
    expect(&alice, REASON_FACT_UNKNOWN, CACHE_OUTCOME_MISS);
}

Test(recheck, a_token_that_no_issuer_takes_any_more_is_refused_like_a_login) {
    learn(ACTIVE);
    issuer.takes_opaque = false;
    expect(&alice, REASON_NO_ISSUER, CACHE_OUTCOME_NONE);
}

Test(recheck, an_unknown_fact_passes_or_not_as_configured) {
    expect(&alice, REASON_PASSED_WITHOUT_FACT, CACHE_OUTCOME_MISS);
    policy.handle.refuse_unknown_fact = true;
    expect(&alice, REASON_FACT_UNKNOWN, CACHE_OUTCOME_MISS);
}

/* ---- as fast as a cached login ---- */

Test(recheck, of_a_fact_in_the_cache_allocates_nothing) {
    learn(ACTIVE);
    expect(&alice, REASON_OK, CACHE_OUTCOME_HIT); /* its identity is made now, and kept */
    struct recheck recheck;
    memory_fail_at(1);
    cr_expect_eq(begin_recheck(&alice, &recheck), RECHECK_DONE);
    cr_expect_eq(memory_n_allocations(), 0);
    memory_fail_at(0);
    expect_reason(&recheck, REASON_OK, "");
    recheck_deinit(&recheck);
}

Test(recheck, every_failed_allocation_is_internal_and_never_a_verdict) {
    size_t n_failures = 0;
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        learn(ACTIVE); /* a new fact, with no identity yet */
        with.now_mono_ms += 1;
        struct recheck recheck;
        memory_fail_at(n);
        const enum recheck_step step = begin_recheck(&alice, &recheck);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(step, RECHECK_DONE);
        const bool is_internal = recheck.decision.reason == REASON_INTERNAL;
        cr_expect(is_internal || recheck.decision.reason == REASON_OK, "%s", reason_word(recheck.decision.reason));
        n_failures += is_internal;
        recheck_deinit(&recheck);
        uint8_t key[DIGEST_BYTES];
        key_of_token(key);
        cache_remove(with.cache, key);
    }
    cr_expect_geq(n_failures, 3);
}

Test(recheck, nothing_is_fine_to_release) {
    struct recheck recheck = {0};
    assert_text(recheck_token(&recheck), TEXT(""));
    recheck_deinit(&recheck);
}

/* ---- an outage ---- */

static void expect_after(int64_t age_ms, enum reason because, enum reason reason) {
    with.now_mono_ms += age_ms;
    with.now_unix_ms += 1;
    struct recheck recheck;
    cr_assert_eq(begin_recheck(&alice, &recheck), RECHECK_ASK);
    const struct recheck_with now = with_now();
    recheck_unavailable(&now, because, &alice, &recheck);
    expect_reason(&recheck, reason, reason_word(because));
    recheck_deinit(&recheck);
}

Test(recheck, in_an_outage_a_yes_passes_until_max_stale_and_not_longer) {
    issuer.outage.max_stale_ms = 60000;
    learn(ACTIVE);
    expect_after(TTL_MS, REASON_BREAKER_OPEN, REASON_DEGRADED);
    expect_after(59999, REASON_PROVIDER_TIMEOUT, REASON_DEGRADED);
    expect_after(0, REASON_INTERNAL, REASON_INTERNAL);
    expect_after(0, REASON_STOPPING, REASON_STOPPING);
    expect_after(1, REASON_BREAKER_OPEN, REASON_BREAKER_OPEN);
}

Test(recheck, an_outage_lets_nobody_pass_whom_a_no_or_a_rule_stops) {
    static const char *const replies[] = {BOB, NAMELESS};
    issuer.outage.max_stale_ms = 60000;
    for (size_t i = 0; i < 2; i++) {
        learn(replies[i]);
        expect_after(TTL_MS, REASON_BREAKER_OPEN, REASON_BREAKER_OPEN);
    }
    learn(INACTIVE);
    expect_after(TTL_MS, REASON_BREAKER_OPEN, REASON_BREAKER_OPEN);
}
