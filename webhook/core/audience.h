/*
 * Which of the audiences that a review asks for a token is good for.
 */
#pragma once

#include "core/identity.h"

/*
 * asked          the review's; not empty
 * ret_audiences  those of them that the token counts for, each once, borrowed from asked: room for n_asked
 *
 * An accepted token counts for all of the API server's own audiences (policy->api_audiences) and for those of the issuer's
 * audiences that are in its aud. Returns how many. Any thread; allocates nothing.
 */
size_t audience_grant(const struct policy *policy, const struct identity *identity, const struct text *asked,
                      size_t n_asked, struct text *ret_audiences);
