#include "core/budget.h"

#include <criterion/criterion.h>

#define START_MS 777777

static struct budget budget;
static int64_t now_ms;

static void with(uint32_t per_second, uint32_t burst, uint32_t unknown_permille) {
    const struct budget_policy policy = {.per_second = per_second, .burst = burst, .unknown_permille = unknown_permille};
    now_ms = START_MS;
    budget_init(&budget, &policy, now_ms);
}

TestSuite(budget, .timeout = 60);

/* How many calls it gives now, up to a million. */
static unsigned taken(enum budget_kind kind) {
    unsigned n = 0;
    while (n < 1000000 && budget_take(&budget, kind, now_ms))
        n++;
    return n;
}

Test(budget, begins_with_the_burst_and_goes_on_at_the_rate) {
    with(500, 1000, 1000);
    cr_expect_eq(taken(BUDGET_KNOWN), 1000);
    now_ms += 1;
    cr_expect_eq(taken(BUDGET_KNOWN), 0);
    now_ms += 1;
    cr_expect_eq(taken(BUDGET_KNOWN), 1);
    now_ms += 1000;
    cr_expect_eq(taken(BUDGET_KNOWN), 500);
}

Test(budget, saves_no_more_than_the_burst_in_any_time) {
    with(500, 1000, 800);
    taken(BUDGET_KNOWN);
    now_ms += (int64_t)100 * 365 * 24 * 3600 * 1000;
    cr_expect_eq(taken(BUDGET_UNKNOWN), 800);
    cr_expect_eq(taken(BUDGET_KNOWN), 200);
}

Test(budget, unknown_tokens_get_their_part_and_known_ones_the_rest) {
    with(100, 100, 800);
    cr_expect_eq(taken(BUDGET_UNKNOWN), 80);
    cr_expect_eq(taken(BUDGET_KNOWN), 20);
    for (unsigned i = 0; i < 10; i++) {
        now_ms += 1000;
        cr_expect_eq(taken(BUDGET_UNKNOWN), 80);
        cr_expect_eq(taken(BUDGET_KNOWN), 20);
    }
}

Test(budget, known_tokens_may_use_all_of_it) {
    with(100, 100, 800);
    cr_expect_eq(taken(BUDGET_KNOWN), 100);
    cr_expect_eq(taken(BUDGET_UNKNOWN), 0);
}

Test(budget, however_small_the_part_an_unknown_token_is_asked_about_now_and_then) {
    with(1, 1, 10);
    cr_expect_eq(taken(BUDGET_UNKNOWN), 1);
    now_ms += 99999;
    cr_expect_eq(taken(BUDGET_UNKNOWN), 0);
    now_ms += 1;
    cr_expect_eq(taken(BUDGET_UNKNOWN), 1);
}

Test(budget, small_steps_of_time_add_up) {
    with(1, 1, 1000);
    taken(BUDGET_KNOWN);
    unsigned n = 0;
    for (unsigned i = 0; i < 10000; i++, now_ms++)
        n += budget_take(&budget, BUDGET_KNOWN, now_ms);
    cr_expect_eq(n, 9);
}

Test(budget, the_largest_policy_does_not_overflow) {
    with(1000000, 1000000, 1000);
    cr_expect_eq(taken(BUDGET_UNKNOWN), 1000000);
    now_ms += INT64_MAX / 2;
    cr_expect_eq(taken(BUDGET_KNOWN), 1000000);
}

Test(budget, a_rate_of_zero_has_no_bound) {
    with(0, 0, 0);
    cr_expect_eq(taken(BUDGET_UNKNOWN), 1000000);
}

Test(budget, a_reload_gives_no_new_burst) {
    with(100, 100, 800);
    taken(BUDGET_KNOWN);
    struct budget next;
    budget_init(&next, &(struct budget_policy){.per_second = 100, .burst = 50, .unknown_permille = 500}, now_ms);
    budget_take_over(&next, &budget);
    cr_expect_not(budget_take(&next, BUDGET_KNOWN, now_ms));
    now_ms += 10;
    cr_expect(budget_take(&next, BUDGET_KNOWN, now_ms));
}

Test(budget, a_reload_keeps_no_more_than_the_new_burst) {
    with(100, 100, 800);
    struct budget next;
    budget_init(&next, &(struct budget_policy){.per_second = 100, .burst = 50, .unknown_permille = 500}, now_ms);
    budget_take_over(&next, &budget);
    budget = next;
    cr_expect_eq(taken(BUDGET_UNKNOWN), 25);
    cr_expect_eq(taken(BUDGET_KNOWN), 25);
}
