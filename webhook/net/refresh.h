/*
 * A question that nobody waits for: about a token in use whose fact ends soon (core/refresh). What comes of it is in the
 * cache, or is nothing.
 */
#pragma once

#include "net/fetch.h"

/*
 * Asks in the background, and counts what comes of it. Where that is not possible nobody is told: the next use after the
 * fact's end asks and waits.
 *
 * now_mono_ms  when the fact was found
 *
 * Any thread.
 */
void refresh_ask(struct fetch *fetch, struct metrics *metrics, struct provider *provider, const uint8_t key[DIGEST_BYTES],
                 struct text token, int64_t now_mono_ms);
