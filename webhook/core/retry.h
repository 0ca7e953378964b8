/*
 * Whether a failed call may be made once more, and how long to wait before that. A budget of a tenth of all calls, so that
 * a provider in trouble gets little more than it would get without retries; exponential pauses with full jitter, so that
 * those that failed together do not come back together.
 *
 * Pure: no clock, no lock, no randomness of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct retry_budget {
    uint32_t left; /* in tenths of a retry */
};

/* With the whole reserve: the first failures of a quiet cluster are retried. */
void retry_budget_init(struct retry_budget *budget);

/* A call was made that is no retry: a tenth of one is earned, up to LIMIT_RETRY_RESERVE retries. */
void retry_earn(struct retry_budget *budget);

/* Takes one, if there is one. Returns whether. */
bool retry_take(struct retry_budget *budget);

/*
 * How long to wait before a retry, in milliseconds: evenly between nothing and a bound that doubles each time.
 *
 * n_before  retries that this question has had
 * asked_ms  what the provider asks for at least; 0: nothing
 * random    any 32 random bits
 */
int64_t retry_pause_ms(unsigned n_before, int64_t asked_ms, uint32_t random);
