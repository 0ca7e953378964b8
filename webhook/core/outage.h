/*
 * What may be answered while a provider cannot be asked: for a while, what it said last, and of an identity's groups only
 * those that the admin has listed (issuers[].outage).
 */
#pragma once

#include "core/fact.h"
#include "core/policy.h"
#include "core/reason.h"

/*
 * Whether a reason of verdict UNAVAILABLE says that the provider cannot answer at present, rather than that we cannot, or
 * that its answer about this one token is of no use.
 */
bool outage_is(enum reason reason);

/*
 * Whether a fact is young enough to serve in an outage: no longer than maxStale past its ttl. That it says yes, is not
 * expired, and that our rules do not refuse it is the caller's to see to.
 *
 * ttl_ms  of its identity
 */
bool outage_allows(const struct issuer_policy *issuer, const struct fact *fact, int64_t ttl_ms, int64_t now_mono_ms);
