/*
 * The road of a login through the core: triage, cache, facts, rules, verdict. Asks nobody: where it needs to know what the
 * provider says, it returns that as a question, and is called again with the answer.
 */
#pragma once

#include "base/limits.h"
#include "core/cache.h"
#include "core/policy.h"
#include "core/reason.h"

#define DECISION_NO_ISSUER SIZE_MAX
/* So much of a decision's key names the credential: in the audit log, and in the user's extra. */
#define DECISION_CREDENTIAL_BYTES 16

enum cache_outcome {
    CACHE_OUTCOME_NONE,     /* not looked up: triage had the answer */
    CACHE_OUTCOME_HIT,      /* a fact that was fresh */
    CACHE_OUTCOME_NEGATIVE, /* a fresh negative fact */
    CACHE_OUTCOME_STALE,    /* a fact past its ttl: asked again */
    CACHE_OUTCOME_MISS
};
/* "none", "hit", "negative", "stale", "miss". Static. */
const char *cache_outcome_word(enum cache_outcome outcome);

/* What the provider's answer depends on, per issuer: what fact_key() takes besides the token. Same order as the policy's.
 */
struct decide_issuer {
    struct text endpoint; /* the introspection endpoint in use; empty while discovery has not succeeded */
    struct text client;
};

/* What a decision is made with. All borrowed for the call. */
struct decide {
    const struct policy *policy;
    struct cache *cache;
    struct digest *digest; /* of this thread */
    int64_t now_mono_ms, now_unix_ms;
};

/* A login under way. Zeroed by decide_begin(); decision_deinit() it, whatever happened. */
struct decision {
    enum verdict verdict;
    enum reason reason;
    size_t issuer; /* index into the policy's, or DECISION_NO_ISSUER */
    enum cache_outcome cache;
    bool has_key;
    uint8_t key[DIGEST_BYTES];
    bool is_to_refresh;        /* answered, and to be asked about again in the background */
    bool was_good;             /* the provider has called the token active before, however long ago */
    struct fact *fact;         /* what the verdict rests on, or NULL; owned */
    struct identity *identity; /* or NULL; owned */
    struct fact *standing;     /* the yes that was said last, while a question is under way, or NULL; owned */
    enum reason because;       /* with REASON_DEGRADED: why the provider cannot answer */
    bool has_audiences;        /* status.audiences is part of the answer */
    size_t n_audiences;
    struct text audiences[LIMIT_REVIEW_AUDIENCES]; /* borrowed from the review's */
};

enum decide_step { DECIDE_DONE, DECIDE_ASK };

/*
 * Begins: triage and cache.
 *
 * issuer_of  gives endpoint and client of an issuer (which only net/ knows, as discovery may change them)
 * asked      the review's audiences, borrowed until the decision is used
 *
 * Returns DECIDE_DONE with the verdict, or DECIDE_ASK: the issuer's provider has to be asked about the token,
 * decision->issuer and decision->key say which. Never fails: our own failures are VERDICT_UNAVAILABLE, REASON_INTERNAL.
 */
enum decide_step decide_begin(const struct decide *with, struct decide_issuer (*issuer_of)(void *context, size_t issuer),
                              void *context, struct text token, const struct text *asked, size_t n_asked,
                              struct decision *decision);

/* Goes on with a fact that the provider gave just now (borrowed; a reference is taken), or with what the cache has of the
   same token, if that was asked for later. The verdict is in decision, with the fact that it rests on. */
void decide_fact(const struct decide *with, struct fact *fact, const struct text *asked, size_t n_asked,
                 struct decision *decision);

/*
 * Goes on without an answer, after DECIDE_ASK, for this reason. Where it says that the provider is away (outage_is()), and
 * issuers[].outage allows for it, what was said last serves: ALLOW with REASON_DEGRADED and a reduced identity, or DENY
 * with REASON_EXPIRED. In all other cases as decide_unavailable(): a refusal by a rule is not repeated on old evidence.
 */
void decide_without(const struct decide *with, enum reason reason, const struct text *asked, size_t n_asked,
                    struct decision *decision);

/* Nobody could say, whatever is known, and this is why (a reason whose verdict is UNAVAILABLE, or REASON_INTERNAL is used).
 */
void decide_unavailable(enum reason reason, struct decision *decision);

/* Releases what the decision holds. A zeroed one is fine. */
void decision_deinit(struct decision *decision);
