#include "core/retry.h"

#include "base/limits.h"

#define RETRY 10 /* tenths */

void retry_budget_init(struct retry_budget *budget) {
    budget->left = LIMIT_RETRY_RESERVE * RETRY;
}

void retry_earn(struct retry_budget *budget) {
    if (budget->left < LIMIT_RETRY_RESERVE * RETRY)
        budget->left++;
}

bool retry_take(struct retry_budget *budget) {
    if (budget->left < RETRY)
        return false;
    budget->left -= RETRY;
    return true;
}

static int64_t bound_ms(unsigned n_before) {
    int64_t bound_ms = LIMIT_RETRY_MIN_MS;
    for (unsigned i = 0; i < n_before && bound_ms < LIMIT_RETRY_MAX_MS; i++)
        bound_ms *= 2;
    return bound_ms < LIMIT_RETRY_MAX_MS ? bound_ms : LIMIT_RETRY_MAX_MS;
}

int64_t retry_pause_ms(unsigned n_before, int64_t asked_ms, uint32_t random) {
    return asked_ms + (int64_t)((uint64_t)(bound_ms(n_before) + 1) * random >> 32);
}
