#include "base/clock.h"

#include <time.h>

/* clock_gettime() cannot fail for these two clocks with a valid address. */
static int64_t milliseconds(clockid_t id) {
    struct timespec now = {0};
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_mono_ms(void *context) {
    (void)context;
    return milliseconds(CLOCK_MONOTONIC);
}

static int64_t system_unix_ms(void *context) {
    (void)context;
    return milliseconds(CLOCK_REALTIME);
}

const struct clock clock_system = {.mono_ms = system_mono_ms, .unix_ms = system_unix_ms};

int64_t clock_mono_us(void) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
