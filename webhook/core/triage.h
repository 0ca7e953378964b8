/*
 * Which issuer a token may be sent to, decided before anything leaves: kube-apiserver shows us every bearer token that
 * nobody else took, stale service-account tokens and other clusters' included.
 */
#pragma once

#include "core/policy.h"
#include "core/reason.h"

/*
 * ret_issuer  index into policy->issuers; written when REASON_OK is returned
 * ret_reason  REASON_OK: ask that issuer. Otherwise the DENY reason, and the token stays here.
 *
 * A signed JWT goes to the issuer whose url equals its iss and that takes JWTs; everything else, five-part JWEs
 * included, to the issuer that takes opaque tokens and whose opaquePrefix it starts with (the longest one wins).
 *
 * Returns 0, or -ENOMEM. Any thread.
 */
int triage(const struct policy *policy, struct text token, size_t *ret_issuer, enum reason *ret_reason);
