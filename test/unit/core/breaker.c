#include "core/breaker.h"

#include <criterion/criterion.h>

#define START_MS 1234567
#define WINDOW_MS 10000
#define OPEN_FOR_MS 1000

static struct breaker breaker;
static struct breaker_count opened_for;
static int64_t now_ms;

static void enter(void) {
    const struct breaker_policy policy = {
        .failure_permille = 500, .minimum_calls = 20, .window_ms = WINDOW_MS, .timeouts = 5, .open_for_ms = OPEN_FOR_MS};
    breaker_init(&breaker, &policy);
    now_ms = START_MS;
}

TestSuite(breaker, .init = enter, .timeout = 60);

/* One call after another. Returns whether the last of them changed the state. */
static bool calls(unsigned n, enum breaker_result result) {
    bool has_changed = false;
    for (unsigned i = 0; i < n; i++) {
        cr_assert(breaker_admits(&breaker, now_ms), "call %u is not admitted", i);
        has_changed = breaker_end(&breaker, breaker_begin(&breaker, now_ms), result, now_ms, &opened_for);
    }
    return has_changed;
}

static void expect_state(enum breaker_state state) {
    cr_expect_eq(breaker.state, state, "it is %s", breaker_state_word(breaker.state));
    cr_expect_eq(breaker_admits(&breaker, now_ms), state == BREAKER_CLOSED);
}

static void open_it(void) {
    cr_assert(calls(20, BREAKER_FAILED));
    expect_state(BREAKER_OPEN);
}

/* ---- when it opens ---- */

Test(breaker, opens_at_the_ratio_and_not_below) {
    calls(10, BREAKER_ANSWERED);
    cr_expect_not(calls(9, BREAKER_FAILED));
    expect_state(BREAKER_CLOSED);
    cr_expect(calls(1, BREAKER_FAILED));
    expect_state(BREAKER_OPEN);
    cr_expect_eq(opened_for.n_calls, 20);
    cr_expect_eq(opened_for.n_failures, 10);
}

Test(breaker, a_smaller_part_of_failures_never_opens_it) {
    for (unsigned i = 0; i < 100; i++) {
        calls(2, BREAKER_ANSWERED);
        cr_expect_not(calls(1, BREAKER_FAILED));
    }
    expect_state(BREAKER_CLOSED);
}

Test(breaker, fewer_calls_than_the_minimum_never_open_it) {
    calls(19, BREAKER_FAILED);
    expect_state(BREAKER_CLOSED);
    cr_expect(calls(1, BREAKER_FAILED));
}

Test(breaker, opens_at_time_outs_in_a_row_however_few_they_are) {
    cr_expect_not(calls(4, BREAKER_TIMED_OUT));
    cr_expect(calls(1, BREAKER_TIMED_OUT));
    expect_state(BREAKER_OPEN);
}

Test(breaker, anything_between_two_time_outs_breaks_the_row) {
    static const enum breaker_result between[] = {BREAKER_ANSWERED, BREAKER_FAILED};
    for (size_t i = 0; i < 2; i++) {
        enter();
        calls(4, BREAKER_TIMED_OUT);
        calls(1, between[i]);
        cr_expect_not(calls(4, BREAKER_TIMED_OUT));
        expect_state(BREAKER_CLOSED);
    }
}

Test(breaker, opens_at_failures_in_a_row_however_many_answers_there_were_before) {
    breaker.policy.failures = 84;
    calls(4000, BREAKER_ANSWERED);
    cr_expect_not(calls(83, BREAKER_FAILED));
    expect_state(BREAKER_CLOSED);
    cr_expect(calls(1, BREAKER_FAILED));
    expect_state(BREAKER_OPEN);
    cr_expect_eq(opened_for.n_calls, 4084);
    cr_expect_eq(opened_for.n_failures, 84);
}

Test(breaker, an_answer_between_failures_breaks_the_row) {
    breaker.policy.failures = 84;
    calls(4000, BREAKER_ANSWERED);
    calls(83, BREAKER_FAILED);
    calls(1, BREAKER_ANSWERED);
    cr_expect_not(calls(83, BREAKER_FAILED));
    expect_state(BREAKER_CLOSED);
}

Test(breaker, a_row_is_counted_within_the_window) {
    breaker.policy.failures = 84;
    breaker.policy.minimum_calls = 1000;
    calls(83, BREAKER_FAILED);
    now_ms += WINDOW_MS;
    cr_expect_not(calls(83, BREAKER_FAILED));
    expect_state(BREAKER_CLOSED);
    cr_expect(calls(1, BREAKER_FAILED));
}

Test(breaker, an_unknown_end_says_nothing) {
    calls(19, BREAKER_FAILED);
    calls(100, BREAKER_UNKNOWN);
    expect_state(BREAKER_CLOSED);
    cr_expect(calls(1, BREAKER_FAILED));
}

Test(breaker, a_policy_without_a_minimum_never_opens) {
    breaker_init(&breaker, &(struct breaker_policy){0});
    calls(1000, BREAKER_TIMED_OUT);
    expect_state(BREAKER_CLOSED);
}

/* ---- the window ---- */

Test(breaker, what_is_older_than_the_window_does_not_count) {
    calls(19, BREAKER_FAILED);
    now_ms += WINDOW_MS;
    cr_expect_not(calls(1, BREAKER_FAILED));
    expect_state(BREAKER_CLOSED);
}

Test(breaker, what_is_within_the_window_counts) {
    for (unsigned i = 0; i < 19; i++) {
        calls(1, BREAKER_FAILED);
        now_ms += WINDOW_MS * 9 / 10 / 20;
    }
    cr_expect(calls(1, BREAKER_FAILED));
}

Test(breaker, the_window_forgets_step_by_step) {
    calls(10, BREAKER_FAILED);
    now_ms += WINDOW_MS / 2;
    calls(9, BREAKER_FAILED);
    now_ms += WINDOW_MS / 2;
    cr_expect_not(calls(10, BREAKER_FAILED), "nine and ten are left");
    cr_expect(calls(1, BREAKER_FAILED));
}

Test(breaker, a_steady_trickle_over_hours_is_never_added_up) {
    for (unsigned i = 0; i < 10000; i++) {
        calls(1, BREAKER_FAILED);
        now_ms += 600;
    }
    expect_state(BREAKER_CLOSED);
}

Test(breaker, long_silence_empties_the_window) {
    calls(19, BREAKER_FAILED);
    now_ms += (int64_t)365 * 24 * 3600 * 1000;
    cr_expect_not(calls(19, BREAKER_FAILED));
    expect_state(BREAKER_CLOSED);
}

/* ---- open, half-open, closed ---- */

Test(breaker, open_it_admits_nobody_until_its_time_and_then_one) {
    open_it();
    now_ms += OPEN_FOR_MS - 1;
    cr_expect_not(breaker_admits(&breaker, now_ms));
    now_ms++;
    cr_expect(breaker_admits(&breaker, now_ms));
    breaker_begin(&breaker, now_ms);
    expect_state(BREAKER_HALF_OPEN);
    now_ms += 100 * OPEN_FOR_MS;
    cr_expect_not(breaker_admits(&breaker, now_ms), "a second call while the probe is under way");
}

Test(breaker, an_answer_to_the_probe_closes_it_with_an_empty_window) {
    open_it();
    now_ms += OPEN_FOR_MS;
    cr_expect(calls(1, BREAKER_ANSWERED));
    expect_state(BREAKER_CLOSED);
    cr_expect_not(calls(19, BREAKER_FAILED));
    cr_expect(calls(1, BREAKER_FAILED));
}

Test(breaker, a_probe_that_fails_leaves_it_open_for_the_time_since_the_probe_began) {
    static const enum breaker_result results[] = {BREAKER_FAILED, BREAKER_TIMED_OUT, BREAKER_UNKNOWN};
    open_it();
    for (size_t i = 0; i < 3; i++) {
        now_ms += OPEN_FOR_MS;
        const uint32_t turn = breaker_begin(&breaker, now_ms);
        now_ms += 300;
        cr_expect_not(breaker_end(&breaker, turn, results[i], now_ms, &opened_for));
        expect_state(BREAKER_OPEN);
        now_ms += OPEN_FOR_MS - 300;
        cr_expect(breaker_admits(&breaker, now_ms));
    }
}

Test(breaker, after_a_probe_that_took_longer_than_that_the_next_follows_at_once) {
    open_it();
    now_ms += OPEN_FOR_MS;
    const uint32_t turn = breaker_begin(&breaker, now_ms);
    now_ms += 2 * OPEN_FOR_MS;
    breaker_end(&breaker, turn, BREAKER_TIMED_OUT, now_ms, &opened_for);
    cr_expect(breaker_admits(&breaker, now_ms));
}

Test(breaker, a_dead_provider_gets_one_call_in_its_time_however_many_want_to) {
    open_it();
    unsigned n_calls = 0;
    for (unsigned i = 0; i < 600 * 100; i++, now_ms += 10) { /* ten minutes */
        if (!breaker_admits(&breaker, now_ms))
            continue;
        n_calls++;
        breaker_end(&breaker, breaker_begin(&breaker, now_ms), BREAKER_FAILED, now_ms, &opened_for);
    }
    cr_expect_eq(n_calls, 599);
}

Test(breaker, what_began_before_it_opened_changes_nothing_after) {
    const uint32_t turn = breaker_begin(&breaker, now_ms);
    open_it();
    cr_expect_not(breaker_end(&breaker, turn, BREAKER_ANSWERED, now_ms, &opened_for));
    expect_state(BREAKER_OPEN);
    now_ms += OPEN_FOR_MS;
    const uint32_t probe = breaker_begin(&breaker, now_ms);
    cr_expect_not(breaker_end(&breaker, turn, BREAKER_ANSWERED, now_ms, &opened_for));
    expect_state(BREAKER_HALF_OPEN);
    cr_expect(breaker_end(&breaker, probe, BREAKER_ANSWERED, now_ms, &opened_for));
    for (unsigned i = 0; i < 100; i++)
        breaker_end(&breaker, turn, BREAKER_TIMED_OUT, now_ms, &opened_for);
    expect_state(BREAKER_CLOSED);
}

/* ---- a reload ---- */

Test(breaker, a_new_one_takes_over_that_it_is_open_and_when_to_try) {
    open_it();
    struct breaker next;
    breaker_init(&next, &breaker.policy);
    breaker_take_over(&next, &breaker);
    cr_expect_not(breaker_admits(&next, now_ms + OPEN_FOR_MS - 1));
    cr_expect(breaker_admits(&next, now_ms + OPEN_FOR_MS));
    cr_expect_eq(next.opened_mono_ms, now_ms);
}

Test(breaker, a_new_one_does_not_wait_for_the_probe_of_the_one_before) {
    open_it();
    now_ms += OPEN_FOR_MS;
    breaker_begin(&breaker, now_ms);
    struct breaker next;
    breaker_init(&next, &breaker.policy);
    breaker_take_over(&next, &breaker);
    cr_expect_eq(next.state, BREAKER_OPEN);
    cr_expect(breaker_admits(&next, now_ms + OPEN_FOR_MS));
}

Test(breaker, a_new_one_of_a_closed_one_or_that_never_opens_is_closed) {
    struct breaker next;
    breaker_init(&next, &breaker.policy);
    breaker_take_over(&next, &breaker);
    cr_expect_eq(next.state, BREAKER_CLOSED);
    open_it();
    breaker_init(&next, &(struct breaker_policy){0});
    breaker_take_over(&next, &breaker);
    cr_expect_eq(next.state, BREAKER_CLOSED);
}
