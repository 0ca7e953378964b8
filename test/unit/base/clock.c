#include "base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

Test(clock, monotonic_time_never_goes_back) {
    int64_t before_ms = clock_mono_ms(&clock_system), before_us = clock_mono_us();
    for (int i = 0; i < 10000; i++) {
        const int64_t now_ms = clock_mono_ms(&clock_system), now_us = clock_mono_us();
        cr_assert_geq(now_ms, before_ms);
        cr_assert_geq(now_us, before_us);
        before_ms = now_ms;
        before_us = now_us;
    }
}

Test(clock, milliseconds_and_microseconds_are_of_the_same_clock) {
    const int64_t before_us = clock_mono_us();
    const int64_t ms = clock_mono_ms(&clock_system);
    const int64_t after_us = clock_mono_us();
    cr_assert_leq(before_us / 1000, ms);
    cr_assert_leq(ms, after_us / 1000);
}

Test(clock, unix_time_is_the_time_of_day) {
    const int64_t before_s = time(NULL);
    const int64_t ms = clock_unix_ms(&clock_system);
    cr_assert_leq(before_s - 1, ms / 1000);
    cr_assert_leq(ms / 1000, time(NULL) + 1);
}

static int64_t seven(void *context) {
    return *(int64_t *)context;
}

static int64_t eight(void *context) {
    return *(int64_t *)context + 1;
}

Test(clock, a_test_gives_its_own) {
    int64_t time = 7;
    const struct clock clock = {.mono_ms = seven, .unix_ms = eight, .context = &time};
    cr_assert_eq(clock_mono_ms(&clock), 7);
    cr_assert_eq(clock_unix_ms(&clock), 8);
}
