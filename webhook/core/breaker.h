/*
 * Leaves a provider alone that does not answer. Closed, it counts calls in a sliding window, and opens when too large a
 * part of them failed, or too many in a row did or timed out. Open, it admits nobody until open_for_ms have passed since it opened,
 * or since the last call that it let through began. Then it is half-open: it admits one call, the probe, and what comes of
 * that closes it or leaves it open.
 *
 * Pure: no clock, no lock. Times are monotonic milliseconds, and never go back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The window moves in so many steps. */
#define BREAKER_SLOTS 10

struct breaker_policy {
    uint32_t failure_permille; /* opens at this part of failures ... */
    uint32_t minimum_calls;    /* ... among at least so many calls ... */
    int64_t window_ms;         /* ... of the last so many milliseconds */
    uint32_t failures;         /* or at so many of them that failed with no answer between them; 0: never by that */
    uint32_t timeouts;         /* or at so many time-outs with nothing else between them */
    int64_t open_for_ms;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };
/* "closed", "half-open", "open". Static. */
const char *breaker_state_word(enum breaker_state state);

enum breaker_result {
    BREAKER_ANSWERED, /* the provider works, whatever it said */
    BREAKER_FAILED,
    BREAKER_TIMED_OUT,
    BREAKER_UNKNOWN /* the call ended for a reason of our own: says nothing of the provider */
};

/* What a change of state rests on, for the log. */
struct breaker_count {
    uint32_t n_calls, n_failures;
};

struct breaker {
    struct breaker_policy policy;
    enum breaker_state state;
    uint32_t turn;          /* counts the changes of state: a call that began before one says nothing after it */
    int64_t opened_mono_ms; /* while not closed: since when */
    int64_t due_mono_ms;    /* while open: when a call is let through */
    uint32_t n_failures;    /* in a row, time-outs among them */
    uint32_t n_timeouts;    /* in a row */
    int64_t slot;           /* the number of the newest slot: time in tenths of the window */
    struct breaker_count slots[BREAKER_SLOTS];
};

/* A closed one. A policy of minimum_calls 0 never opens. */
void breaker_init(struct breaker *breaker, const struct breaker_policy *policy);

/* Takes over what another of the same provider has learned: an open one stays open until it was to let a call through. */
void breaker_take_over(struct breaker *breaker, const struct breaker *previous);

/* Whether a call may begin now. */
bool breaker_admits(const struct breaker *breaker, int64_t now_mono_ms);

/* A call begins, which breaker_admits() has let through. Gives the turn, for breaker_end(). */
uint32_t breaker_begin(struct breaker *breaker, int64_t now_mono_ms);

/*
 * A call has ended. One that began in another turn is not looked at.
 *
 * ret_count  written when it opens: what it has opened for
 *
 * Returns whether it has become open or closed by this; an open one that stays so after a probe has not.
 */
bool breaker_end(struct breaker *breaker, uint32_t turn, enum breaker_result result, int64_t now_mono_ms,
                 struct breaker_count *ret_count);
