/*
 * The two clocks. TTLs, deadlines and intervals are measured on the monotonic one, which nobody can set; exp, nbf and
 * iat of a token are compared with the wall clock. A test gives its own.
 */
#pragma once

#include <stdint.h>

struct clock {
    int64_t (*mono_ms)(void *context); /* milliseconds since some start; never goes back */
    int64_t (*unix_ms)(void *context); /* milliseconds since 1970-01-01 UTC; may jump */
    void *context;
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
extern const struct clock clock_system;

static inline int64_t clock_mono_ms(const struct clock *clock) {
    return clock->mono_ms(clock->context);
}

static inline int64_t clock_unix_ms(const struct clock *clock) {
    return clock->unix_ms(clock->context);
}

/* Monotonic microseconds of the system, for measuring only. */
int64_t clock_mono_us(void);
