/*
 * Keeps a provider's troubles from flooding the log: each kind is said at once, then at most every
 * LIMIT_TROUBLE_INTERVAL_MS, with the number that was held back. The fetch thread's own; a zeroed one is ready.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/reason.h"

struct trouble {
    struct {
        bool was_said;
        int64_t said_mono_ms;
        uint64_t n_held_back;
    } of[N_REASONS];
};

/* Whether this kind is to be said now; ret_n_held_back: how often it was not, since it last was. */
bool trouble_is_due(struct trouble *trouble, enum reason kind, int64_t now_mono_ms, uint64_t *ret_n_held_back);
