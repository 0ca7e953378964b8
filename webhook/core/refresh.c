#include "core/refresh.h"

#include <string.h>

/* Of three quarters of the time ahead: the rest is for the call. The key is an HMAC, so this is evenly spread, and known
   to nobody outside. */
static int64_t delay_ms(const struct fact *fact, int64_t ahead_ms) {
    uint32_t random;
    memcpy(&random, fact->key + DIGEST_BYTES - sizeof(random), sizeof(random));
    return (int64_t)((uint64_t)ahead_ms * 3 / 4 * random >> 32);
}

bool refresh_is_due(const struct fact *fact, int64_t ttl_ms, int64_t ahead_ms, int64_t now_mono_ms) {
    if (ahead_ms > ttl_ms / 2)
        ahead_ms = ttl_ms / 2;
    const int64_t age_ms = now_mono_ms - fact->asked_mono_ms;
    return ahead_ms > 0 && age_ms >= ttl_ms - ahead_ms && age_ms >= ttl_ms - ahead_ms + delay_ms(fact, ahead_ms);
}

bool refresh_claim(struct fact *fact) {
    return !atomic_exchange_explicit(&fact->is_asked_again, true, memory_order_relaxed);
}
