/*
 * What a fact means under one configuration: a Kubernetes user, or the reason why there is none. A pure function of
 * claims and issuer policy, so it is made once when the two meet and kept beside the fact; a new configuration makes a
 * new one. Times, audiences asked for and revocations are no part of it: they are checked on every hit.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "core/fact.h"
#include "core/policy.h"
#include "core/reason.h"

struct identity {
    _Atomic uint32_t n_refs;
    uint32_t generation; /* of the policy that made it */
    uint8_t issuer;      /* of that policy: the one whose rules were applied */
    uint8_t reason;      /* enum reason: REASON_OK, or why not */
    uint16_t n_audiences;
    uint32_t ttl_ms;       /* of this identity: the issuer's, or its tier's */
    uint32_t n_user_bytes; /* JSON of status.user; 0 unless reason is REASON_OK */
    uint32_t n_audience_bytes;
    char
        bytes[]; /* the user's JSON; then the token's audiences that are among the issuer's, each followed by a zero byte */
};
_Static_assert(LIMIT_ISSUERS <= UINT8_MAX && N_REASONS <= UINT8_MAX, "each has a byte in every cached identity");

/* A line of an explanation: a rule, whether it held, and what was seen. Written by identity_new() when asked to. */
struct explanation {
    void (*line)(struct explanation *explanation, const char *rule, bool held, const char *seen);
};

/*
 * Applies claim rules, mapping and user rules, in this order: issuer, token type, binding (cnf), client, audience, subject,
 * claimValidationRules, username, groups (overage, mapping, prefix, system: guard), uid, extra, userValidationRules.
 *
 * fact         must be FACT_ACTIVE
 * issuer       its index in the policy
 * explanation  told each rule as it is checked; NULL: nobody
 *
 * Returns 0 with *ret_identity (its reason may be a refusal), -ENOMEM, or -EBADMSG for claims that no decoder gave. Any
 * thread.
 */
int identity_new(const struct fact *fact, const struct policy *policy, size_t issuer, struct explanation *explanation,
                 struct identity **ret_identity);

/*
 * The same for an outage: every rule is checked as ever, and sees all groups; then those are left that outage.groups lists.
 * Not to be kept beside the fact.
 */
int identity_new_reduced(const struct fact *fact, const struct policy *policy, size_t issuer,
                         struct identity **ret_identity);

/* Whether this very configuration has made it. */
static inline bool identity_is_of(const struct identity *identity, const struct policy *policy) {
    return identity->generation == policy->generation;
}

struct identity *identity_ref(struct identity *identity);
/* NULL is fine. Any thread. */
void identity_unref(struct identity *identity);

struct text identity_user(const struct identity *identity);

/* Not to be copied: the texts may lie in room. */
struct identity_names {
    struct text username, uid; /* username with its prefix; uid empty where there is none */
    char room[LIMIT_USERNAME_BYTES + LIMIT_UID_BYTES];
};

/* The user's names without JSON's escapes; borrowed from the identity and from ret_names. Both are empty where the identity
   is a refusal. */
void identity_names(const struct identity *identity, struct identity_names *ret_names);

/* The token's audiences that are among the issuer's, as many as fit into max. Returns how many. Borrowed. */
size_t identity_audiences(const struct identity *identity, struct text *ret_audiences, size_t max);

size_t identity_bytes(const struct identity *identity);
