/*
 * Asking again ahead of time: a token in use is asked about before its fact ends, so that nobody waits for that. It is a
 * use near the end that brings it about, so a token that is no longer used is let go by itself.
 */
#pragma once

#include "core/fact.h"

/*
 * Whether a fact that serves now is to be asked about again: from ahead_ms before the end of its ttl on, or a part of that
 * later, which differs from token to token: a thousand that were asked about in one second are not in one second again.
 *
 * ahead_ms  0: never. More than half of the ttl counts as that.
 */
bool refresh_is_due(const struct fact *fact, int64_t ttl_ms, int64_t ahead_ms, int64_t now_mono_ms);

/* Whether the caller is the first to ask about this very fact again: once for each. Any thread. */
bool refresh_claim(struct fact *fact);
