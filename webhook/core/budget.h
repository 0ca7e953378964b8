/*
 * How many calls a provider gets: a token bucket over all, and within it a smaller one for tokens that nobody knows yet. So
 * a flood of garbage uses up its own part, and what is asked again about tokens that were good still goes through.
 *
 * Pure: no clock, no lock. Times are monotonic milliseconds, and never go back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct budget_policy {
    uint32_t per_second;       /* calls; 0: as many as anybody likes */
    uint32_t burst;            /* what may be saved up */
    uint32_t unknown_permille; /* the part of both that unknown tokens may use; 1 to 1000 */
};

/* Whom a call is about. */
enum budget_kind {
    BUDGET_UNKNOWN, /* a token that the provider was never asked about, or said no to */
    BUDGET_KNOWN,   /* one that it has called active before */
    N_BUDGET_KINDS
};
/* "unknown", "known". Static. */
const char *budget_kind_word(enum budget_kind kind);

struct budget {
    struct budget_policy policy;
    int64_t filled_mono_ms;
    int64_t all, unknown; /* what is left of each bucket, in millionths of a call */
};

/* Full buckets. */
void budget_init(struct budget *budget, const struct budget_policy *policy, int64_t now_mono_ms);

/* Takes over how much is left with another of the same provider, as far as the policy allows for. */
void budget_take_over(struct budget *budget, const struct budget *previous);

/* Takes a call out, if there is one for this kind. Returns whether. */
bool budget_take(struct budget *budget, enum budget_kind kind, int64_t now_mono_ms);
