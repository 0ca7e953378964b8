#include "core/retry.h"

#include <criterion/criterion.h>

#include "base/limits.h"

static struct retry_budget budget;

static void enter(void) {
    retry_budget_init(&budget);
}

TestSuite(retry, .init = enter, .timeout = 60);

static unsigned taken(void) {
    unsigned n = 0;
    while (n < 1000 && retry_take(&budget))
        n++;
    return n;
}

Test(retry, begins_with_the_reserve_and_no_more) {
    cr_expect_eq(taken(), LIMIT_RETRY_RESERVE);
    cr_expect_not(retry_take(&budget));
}

Test(retry, ten_calls_earn_one) {
    taken();
    for (unsigned i = 0; i < 9; i++)
        retry_earn(&budget);
    cr_expect_not(retry_take(&budget));
    retry_earn(&budget);
    cr_expect(retry_take(&budget));
    cr_expect_not(retry_take(&budget));
}

Test(retry, a_million_good_calls_save_no_more_than_the_reserve) {
    for (unsigned i = 0; i < 1000000; i++)
        retry_earn(&budget);
    cr_expect_eq(taken(), LIMIT_RETRY_RESERVE);
}

Test(retry, a_provider_that_is_down_gets_a_tenth_more_calls_and_the_reserve) {
    unsigned n_retries = 0;
    for (unsigned i = 0; i < 10000; i++) {
        retry_earn(&budget);
        n_retries += retry_take(&budget);
    }
    cr_expect_geq(n_retries, 1000);
    cr_expect_leq(n_retries, 1000 + LIMIT_RETRY_RESERVE);
}

Test(retry, pauses_are_anything_up_to_a_bound_that_doubles) {
    static const struct {
        unsigned n_before;
        int64_t bound_ms;
    } cases[] = {{0, LIMIT_RETRY_MIN_MS},      {1, 2 * LIMIT_RETRY_MIN_MS}, {2, 4 * LIMIT_RETRY_MIN_MS},
                 {4, 16 * LIMIT_RETRY_MIN_MS}, {5, LIMIT_RETRY_MAX_MS},     {4000000000U, LIMIT_RETRY_MAX_MS}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cr_expect_eq(retry_pause_ms(cases[i].n_before, 0, 0), 0);
        cr_expect_eq(retry_pause_ms(cases[i].n_before, 0, UINT32_MAX), cases[i].bound_ms, "%zu", i);
        const int64_t half_ms = retry_pause_ms(cases[i].n_before, 0, UINT32_MAX / 2);
        cr_expect(half_ms == cases[i].bound_ms / 2, "%zu: %lld", i, (long long)half_ms);
    }
}

Test(retry, what_the_provider_asks_for_comes_before_the_jitter) {
    cr_expect_eq(retry_pause_ms(0, 3000, 0), 3000);
    cr_expect_eq(retry_pause_ms(0, 3000, UINT32_MAX), 3000 + LIMIT_RETRY_MIN_MS);
}
