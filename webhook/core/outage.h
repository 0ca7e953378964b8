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
 * Whether a fact may serve without the provider: it is away (outage_is()), and the fact is no longer than maxStale past its
 * ttl. That it says yes, is not expired, and that our rules do not refuse it is the caller's to see to.
 *
 * reason  why the provider cannot say
 * ttl_ms  of the fact's identity
 */
bool outage_allows(enum reason reason, const struct issuer_policy *issuer, const struct fact *fact, int64_t ttl_ms,
                   int64_t now_mono_ms);
