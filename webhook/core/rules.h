/*
 * The rules that a token's claims must obey before anybody is made of them: is it this issuer's, an access token, a plain
 * bearer token, of an accepted client, for this cluster, with a subject, and whatever claimValidationRules ask.
 */
#pragma once

#include "core/identity.h"
#include "wire/claims.h"

/* Claims, read by an issuer's policy. All borrowed. */
struct reading {
    const struct claims *claims;
    const struct issuer_policy *issuer;
    struct explanation *explanation; /* or NULL */
};

/* Checks all of them, in the order above. Returns REASON_OK, or the first that does not hold. */
enum reason rules_check(const struct reading *reading);

/* Whether the token has no subject and its client's id stands for it (absentSubject: ClientID). */
bool rules_client_is_subject(const struct reading *reading);

/* Whether the token's aud holds this audience. */
bool rules_has_audience(const struct reading *reading, struct text audience);
