#include "core/outage.h"

bool outage_is(enum reason reason) {
    switch (reason) {
    case REASON_PROVIDER_UNREACHABLE:
    case REASON_PROVIDER_TIMEOUT:
    case REASON_PROVIDER_TLS:
    case REASON_PROVIDER_ERROR:
    case REASON_PROVIDER_THROTTLED:
    case REASON_PROVIDER_REPLY_INVALID: /* a page of a proxy's that says "back soon" is one */
    case REASON_PROVIDER_MISCONFIGURED:
    case REASON_CLIENT_CREDENTIALS_REJECTED:
    case REASON_DISCOVERY_FAILED:
    case REASON_BREAKER_OPEN:
    case REASON_OVER_BUDGET:
    case REASON_OVERLOADED:
    case REASON_DEADLINE_EXCEEDED:
        return true;
    default:
        return false;
    }
}

bool outage_allows(enum reason reason, const struct issuer_policy *issuer, const struct fact *fact, int64_t ttl_ms,
                   int64_t now_mono_ms) {
    return outage_is(reason) && issuer->outage.max_stale_ms > 0 &&
           fact_is_younger(fact, ttl_ms + issuer->outage.max_stale_ms, now_mono_ms);
}
