/*
 * The road of a request that comes after a login: handle, fact, age, verdict. Like core/decide it asks nobody: where the
 * fact is too old, it returns that as a question and is called again with the answer.
 *
 * What the verdicts mean here:
 *   ALLOW        no objection; whether the request may be done is for others to say. There is an identity with REASON_OK
 *                only; the other reasons of this verdict say why nothing was checked.
 *   DENY         the token is no longer good, or the handle is not in order
 *   UNAVAILABLE  nobody could say, and what was said last is past its ttl
 */
#pragma once

#include "core/decide.h"
#include "core/handle.h"

/* What a recheck is made with. All borrowed for the call. */
struct recheck_with {
    struct decide decide;
    struct handle_keys *keys; /* of this thread and of the policy's generation; NULL where policy->handle.is_on is false */
};

/* Who asks, as the API server says. Borrowed. */
struct recheck_subject {
    struct text username, uid;
    struct text handle; /* the first one */
    size_t n_handles;   /* how many came: only one is in order */
};

/* A recheck under way. Zeroed by recheck_begin(); recheck_deinit() it, whatever happened. */
struct recheck {
    /* Verdict, reason, issuer, key, cache, fact, identity are what audit and metrics want, as of a login. Audiences are
       unused. decision.cache is HIT where a fact was served, NEGATIVE where a negative one was, STALE where it was too old
       and the provider was to be asked, MISS where it is not there, NONE where no handle led so far. has_key is true as
       soon as the handle has proved whose it is. */
    struct decision decision;
    struct fact *standing; /* what was said last, while a question is under way, or NULL; owned */
};

enum recheck_step { RECHECK_DONE, RECHECK_ASK };

/*
 * Begins: handle, cache, age.
 *
 * issuer_of  as for decide_begin()
 *
 * Returns RECHECK_DONE with the verdict in recheck->decision, or RECHECK_ASK: the provider of decision.issuer has to be
 * asked about recheck_token(), under decision.key. Never fails: our own failures are REASON_INTERNAL. Allocates nothing
 * where a fact is served whose identity the cache has.
 */
enum recheck_step recheck_begin(const struct recheck_with *with,
                                struct decide_issuer (*issuer_of)(void *context, size_t issuer), void *context,
                                const struct recheck_subject *subject, struct recheck *recheck);

/* The token to ask about, after RECHECK_ASK; borrowed until the recheck goes on. */
struct text recheck_token(const struct recheck *recheck);

/* Goes on with a fact that the provider gave just now (borrowed; a reference is taken). The subject is the one of
   recheck_begin(). */
void recheck_fact(const struct recheck_with *with, struct fact *fact, const struct recheck_subject *subject,
                  struct recheck *recheck);

/*
 * Goes on without an answer, after RECHECK_ASK: what was said last holds until the end of its ttl, as if nobody had asked
 * again; after that a yes passes with REASON_DEGRADED for as long as issuers[].outage allows, where the reason says that
 * the provider is away; else the verdict is UNAVAILABLE for this reason (REASON_INTERNAL for one of another verdict). Which
 * groups the user still has is not known here: whoever logged in before the outage has all until kube-apiserver asks again.
 *
 * To make any decision UNAVAILABLE, whatever is known (REASON_AUDIT_UNWRITABLE), use decide_unavailable().
 */
void recheck_unavailable(const struct recheck_with *with, enum reason reason, const struct recheck_subject *subject,
                         struct recheck *recheck);

/* Releases what the recheck holds. A zeroed one is fine. */
void recheck_deinit(struct recheck *recheck);
