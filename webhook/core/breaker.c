#include "core/breaker.h"

#include <string.h>

const char *breaker_state_word(enum breaker_state state) {
    switch (state) {
    case BREAKER_CLOSED:
        return "closed";
    case BREAKER_HALF_OPEN:
        return "half-open";
    case BREAKER_OPEN:
        return "open";
    }
    return "open";
}

void breaker_init(struct breaker *breaker, const struct breaker_policy *policy) {
    *breaker = (struct breaker){.policy = *policy};
}

/* A probe that is under way belongs to the previous one: this one sends its own when it is due. */
void breaker_take_over(struct breaker *breaker, const struct breaker *previous) {
    if (previous->state == BREAKER_CLOSED || breaker->policy.minimum_calls == 0)
        return;
    breaker->state = BREAKER_OPEN;
    breaker->turn++;
    breaker->opened_mono_ms = previous->opened_mono_ms;
    breaker->due_mono_ms = previous->due_mono_ms;
}

/* ---- the window ---- */

/* Empties the slots that have come since the last time. */
static struct breaker_count *slot_of(struct breaker *breaker, int64_t now_mono_ms) {
    const int64_t slot = now_mono_ms * BREAKER_SLOTS / breaker->policy.window_ms;
    if (slot - breaker->slot >= BREAKER_SLOTS)
        breaker->slot = slot - BREAKER_SLOTS;
    while (breaker->slot < slot)
        breaker->slots[++breaker->slot % BREAKER_SLOTS] = (struct breaker_count){0};
    return &breaker->slots[breaker->slot % BREAKER_SLOTS];
}

static struct breaker_count sum(const struct breaker *breaker) {
    struct breaker_count sum = {0};
    for (size_t i = 0; i < BREAKER_SLOTS; i++) {
        sum.n_calls += breaker->slots[i].n_calls;
        sum.n_failures += breaker->slots[i].n_failures;
    }
    return sum;
}

static void forget(struct breaker *breaker) {
    memset(breaker->slots, 0, sizeof(breaker->slots));
    breaker->n_failures = breaker->n_timeouts = 0;
}

/* ---- states ---- */

static void open(struct breaker *breaker, int64_t now_mono_ms) {
    breaker->state = BREAKER_OPEN;
    breaker->turn++;
    breaker->opened_mono_ms = now_mono_ms;
    breaker->due_mono_ms = now_mono_ms + breaker->policy.open_for_ms;
    forget(breaker);
}

static void close(struct breaker *breaker) {
    breaker->state = BREAKER_CLOSED;
    breaker->turn++;
    forget(breaker);
}

static bool is_too_much(const struct breaker *breaker, const struct breaker_count *count) {
    const struct breaker_policy *policy = &breaker->policy;
    if (breaker->n_timeouts >= policy->timeouts)
        return true;
    /* A provider that has answered thousands of calls in the window and dies would get as many more before the ratio is
       reached. */
    if (policy->failures > 0 && breaker->n_failures >= policy->failures && count->n_failures >= policy->failures)
        return true;
    return count->n_calls >= policy->minimum_calls &&
           (uint64_t)count->n_failures * 1000 >= (uint64_t)count->n_calls * policy->failure_permille;
}

/* Returns whether it has opened. */
static bool count(struct breaker *breaker, enum breaker_result result, int64_t now_mono_ms,
                  struct breaker_count *ret_count) {
    struct breaker_count *slot = slot_of(breaker, now_mono_ms);
    slot->n_calls++;
    slot->n_failures += result != BREAKER_ANSWERED;
    breaker->n_failures = result == BREAKER_ANSWERED ? 0 : breaker->n_failures + 1;
    breaker->n_timeouts = result == BREAKER_TIMED_OUT ? breaker->n_timeouts + 1 : 0;
    if (result == BREAKER_ANSWERED)
        return false;
    const struct breaker_count counted = sum(breaker);
    if (!is_too_much(breaker, &counted))
        return false;
    *ret_count = counted;
    open(breaker, now_mono_ms);
    return true;
}

bool breaker_admits(const struct breaker *breaker, int64_t now_mono_ms) {
    return breaker->state == BREAKER_CLOSED || (breaker->state == BREAKER_OPEN && now_mono_ms >= breaker->due_mono_ms);
}

/* Due counts from the beginning of a probe: were it the end, a provider that came back while a probe ran into its time
   limit would be left alone for longer. */
uint32_t breaker_begin(struct breaker *breaker, int64_t now_mono_ms) {
    if (breaker->state == BREAKER_OPEN) {
        breaker->state = BREAKER_HALF_OPEN;
        breaker->turn++;
        breaker->due_mono_ms = now_mono_ms + breaker->policy.open_for_ms;
    }
    return breaker->turn;
}

bool breaker_end(struct breaker *breaker, uint32_t turn, enum breaker_result result, int64_t now_mono_ms,
                 struct breaker_count *ret_count) {
    if (turn != breaker->turn || breaker->policy.minimum_calls == 0)
        return false;
    if (breaker->state == BREAKER_CLOSED)
        return result != BREAKER_UNKNOWN && count(breaker, result, now_mono_ms, ret_count);
    if (result == BREAKER_ANSWERED) {
        close(breaker);
        return true;
    }
    breaker->state = BREAKER_OPEN;
    breaker->turn++;
    return false;
}
