#include "core/decide.h"

#include "core/audience.h"
#include "core/outage.h"
#include "core/refresh.h"
#include "core/triage.h"

const char *cache_outcome_word(enum cache_outcome outcome) {
    static const char *const words[] = {
        [CACHE_OUTCOME_NONE] = "none",   [CACHE_OUTCOME_HIT] = "hit",   [CACHE_OUTCOME_NEGATIVE] = "negative",
        [CACHE_OUTCOME_STALE] = "stale", [CACHE_OUTCOME_MISS] = "miss",
    };
    return words[outcome];
}

/* ---- the one place where a verdict is set ---- */

static void conclude(struct decision *decision, enum reason reason) {
    decision->reason = reason;
    decision->verdict = reason_verdict(reason);
}

/* What a decision rests on, exchanged for something else. Takes over both references. */
static void rest_on(struct decision *decision, struct fact *fact, struct identity *identity) {
    fact_unref(decision->fact);
    identity_unref(decision->identity);
    decision->fact = fact;
    decision->identity = identity;
}

/* ---- times ---- */

/* nbf and iat are compared in the token's favour: a provider whose clock is ahead must not lock out whoever has just logged
 * in. */
static bool is_ahead(const struct decide *with, int64_t unix_s, int64_t clock_skew_s) {
    return unix_s != FACT_NO_TIME && with->now_unix_ms / 1000 + clock_skew_s < unix_s;
}

/*
 * A provider that calls a token active whose nbf or iat is to come has another time than we have (RFC 7662 section 2.2:
 * active is also that it may be used by now). That says nothing of the token, so it is no DENY: our clock may have been set
 * back, and the API server would remember a no for two minutes after it was right again.
 */
static enum reason check_times(const struct decide *with, const struct fact *fact, int64_t clock_skew_s) {
    if (fact_is_expired(fact, with->now_unix_ms))
        return REASON_EXPIRED;
    if (is_ahead(with, fact->nbf_unix_s, clock_skew_s))
        return REASON_NOT_YET_VALID;
    if (is_ahead(with, fact->iat_unix_s, clock_skew_s))
        return REASON_ISSUED_IN_FUTURE;
    return REASON_OK;
}

/* ---- identity ---- */

static const struct issuer_policy *issuer_of_decision(const struct decide *with, const struct decision *decision) {
    return &with->policy->issuers[decision->issuer];
}

/* An identity that came with the fact from the cache will do if this policy made it: within a generation, triage sends a
   token to one issuer only. Any other is as good as none, also for the audit log. */
static void forget_foreign_identity(const struct decide *with, struct decision *decision) {
    if (decision->identity == NULL || identity_is_of(decision->identity, with->policy))
        return;
    identity_unref(decision->identity);
    decision->identity = NULL;
}

/* Sees to it that the decision has the identity that this policy makes of its fact. Refusals are kept like users are.
   Returns 0, or a negative errno. */
static int identify(const struct decide *with, struct decision *decision) {
    if (decision->identity != NULL)
        return 0;
    struct identity *identity;
    const int r = identity_new(decision->fact, with->policy, decision->issuer, NULL, &identity);
    if (r != 0)
        return r;
    decision->identity = identity;
    if (with->cache != NULL)
        cache_attach(with->cache, decision->fact, identity);
    return 0;
}

/* ---- the last steps, the same for a fact from the cache and from the provider ---- */

static enum reason check_audiences(const struct decide *with, const struct text *asked, size_t n_asked,
                                   struct decision *decision) {
    decision->has_audiences = false;
    decision->n_audiences = 0;
    if (n_asked == 0)
        return REASON_OK;
    const size_t n_limited = n_asked < LIMIT_REVIEW_AUDIENCES ? n_asked : LIMIT_REVIEW_AUDIENCES;
    decision->n_audiences = audience_grant(with->policy, decision->identity, asked, n_limited, decision->audiences);
    decision->has_audiences = decision->n_audiences > 0;
    /* Without knowing the API server's audiences the member is left out, which is documented to mean: good for those. The
       API server itself then compares them with what was asked. */
    const bool is_refused = !decision->has_audiences && with->policy->api_audiences.n_items > 0;
    return is_refused ? REASON_AUDIENCE_NOT_ASKED : REASON_OK;
}

/* The fact is active and as young as it must be. Times first: they need no identity. */
static void judge_active(const struct decide *with, const struct text *asked, size_t n_asked, struct decision *decision) {
    enum reason reason = check_times(with, decision->fact, issuer_of_decision(with, decision)->clock_skew_s);
    if (reason == REASON_OK && identify(with, decision) != 0)
        reason = REASON_INTERNAL;
    if (reason == REASON_OK)
        reason = (enum reason)decision->identity->reason;
    if (reason == REASON_OK)
        reason = check_audiences(with, asked, n_asked, decision);
    conclude(decision, reason);
}

static void judge(const struct decide *with, const struct text *asked, size_t n_asked, struct decision *decision) {
    switch ((enum fact_answer)decision->fact->answer) {
    case FACT_ACTIVE:
        judge_active(with, asked, n_asked, decision);
        return;
    case FACT_INACTIVE:
        conclude(decision, REASON_INACTIVE);
        return;
    case FACT_UNSUPPORTED_TOKEN_TYPE:
        conclude(decision, REASON_UNSUPPORTED_TOKEN_TYPE);
        return;
    }
    conclude(decision, REASON_INTERNAL);
}

/* ---- what the cache says ---- */

/* Whether an active fact may serve without asking again. Returns 1, 0, or a negative errno. */
static int may_serve(const struct decide *with, struct decision *decision) {
    /* What has expired stays so, however old the fact is: no need to ask. */
    if (fact_is_expired(decision->fact, with->now_unix_ms))
        return 1;
    /* A tier is never longer than the issuer's ttl, so an older fact needs no identity to be stale. */
    if (!fact_is_younger(decision->fact, issuer_of_decision(with, decision)->ttl_ms, with->now_mono_ms))
        return 0;
    const int r = identify(with, decision);
    return r < 0 ? r : fact_is_younger(decision->fact, decision->identity->ttl_ms, with->now_mono_ms);
}

/* For one of all who use the fact. */
static bool must_refresh(const struct decide *with, const struct decision *decision) {
    return refresh_is_due(decision->fact, decision->identity->ttl_ms, issuer_of_decision(with, decision)->refresh_ahead_ms,
                          with->now_mono_ms) &&
           refresh_claim(decision->fact);
}

static enum decide_step decide_cached(const struct decide *with, const struct text *asked, size_t n_asked,
                                      struct decision *decision) {
    const bool is_active = decision->fact->answer == FACT_ACTIVE;
    const int serves =
        is_active ? may_serve(with, decision)
                  : fact_is_younger(decision->fact, issuer_of_decision(with, decision)->negative_ttl_ms, with->now_mono_ms);
    decision->was_good = is_active;
    if (serves == 0) {
        decision->cache = CACHE_OUTCOME_STALE;
        if (is_active)
            decision->standing = fact_ref(decision->fact);
        rest_on(decision, NULL, NULL);
        return DECIDE_ASK;
    }
    decision->cache = is_active ? CACHE_OUTCOME_HIT : CACHE_OUTCOME_NEGATIVE;
    if (serves < 0)
        conclude(decision, REASON_INTERNAL);
    else
        judge(with, asked, n_asked, decision);
    decision->is_to_refresh = decision->reason == REASON_OK && must_refresh(with, decision);
    return DECIDE_DONE;
}

/* ---- the road ---- */

/* Triage and key. Returns REASON_OK, or the reason why nobody need be asked. */
static enum reason find_issuer(const struct decide *with, struct decide_issuer (*issuer_of)(void *context, size_t issuer),
                               void *context, struct text token, struct decision *decision) {
    enum reason reason;
    size_t issuer;
    if (triage(with->policy, token, &issuer, &reason) != 0)
        return REASON_INTERNAL;
    if (reason != REASON_OK)
        return reason;
    decision->issuer = issuer;
    const struct decide_issuer asked = issuer_of(context, issuer);
    const struct text url = with->policy->issuers[issuer].url;
    if (fact_key(with->digest, url, asked.endpoint, asked.client, token, decision->key) != 0)
        return REASON_INTERNAL;
    decision->has_key = true;
    return REASON_OK;
}

enum decide_step decide_begin(const struct decide *with, struct decide_issuer (*issuer_of)(void *context, size_t issuer),
                              void *context, struct text token, const struct text *asked, size_t n_asked,
                              struct decision *decision) {
    *decision = (struct decision){.issuer = DECISION_NO_ISSUER, .cache = CACHE_OUTCOME_NONE};
    /* Whoever forgets to go on answers this, and never the ALLOW that a zero would be. */
    conclude(decision, REASON_INTERNAL);
    const enum reason reason = find_issuer(with, issuer_of, context, token, decision);
    if (reason != REASON_OK) {
        conclude(decision, reason);
        return DECIDE_DONE;
    }
    if (cache_lookup(with->cache, decision->key, token, &decision->fact, &decision->identity) != 0) {
        decision->cache = CACHE_OUTCOME_MISS;
        return DECIDE_ASK;
    }
    forget_foreign_identity(with, decision);
    return decide_cached(with, asked, n_asked, decision);
}

/* Whether the cache has the answer of this fact: the fact itself, or what was said to a question that was put later. */
static bool is_known_by(const struct fact *cached, const struct fact *fact) {
    return cached == fact || cached->asked_mono_ms > fact->asked_mono_ms;
}

/*
 * Rests on the fact, with the identity that somebody who waited for the same answer has made of it meanwhile. Where several
 * flights of one token were under way (a reload begins new ones), the last to land may be the first that was asked: then
 * the cache has kept what was said later, and that counts, for it may be the "no" that this one is too old to know.
 */
static void rest_on_newest(const struct decide *with, struct fact *fact, struct decision *decision) {
    struct fact *cached;
    struct identity *identity;
    const bool has_any =
        with->cache != NULL && cache_peek(with->cache, fact->key, fact_token(fact), &cached, &identity) == 0;
    if (has_any && is_known_by(cached, fact)) {
        rest_on(decision, cached, identity);
        return;
    }
    if (has_any) {
        fact_unref(cached);
        identity_unref(identity);
    }
    rest_on(decision, fact_ref(fact), NULL);
}

void decide_fact(const struct decide *with, struct fact *fact, const struct text *asked, size_t n_asked,
                 struct decision *decision) {
    rest_on(decision, NULL, NULL);
    /* An answer that was given to somebody else's question must not become this caller's identity. */
    const bool is_of_this = !decision->has_key || memcmp(decision->key, fact->key, DIGEST_BYTES) == 0;
    if (!is_of_this || decision->issuer >= with->policy->n_issuers) {
        conclude(decision, REASON_INTERNAL);
        return;
    }
    rest_on_newest(with, fact, decision);
    forget_foreign_identity(with, decision);
    judge(with, asked, n_asked, decision);
}

void decide_unavailable(enum reason reason, struct decision *decision) {
    rest_on(decision, NULL, NULL);
    decision->has_audiences = false;
    decision->n_audiences = 0;
    conclude(decision, reason_verdict(reason) == VERDICT_UNAVAILABLE ? reason : REASON_INTERNAL);
}

/* What the standing fact is good for without the provider, who cannot say for this reason. The fact's own identity is
   another, with all groups. */
static enum reason judge_standing(const struct decide *with, enum reason reason, const struct text *asked, size_t n_asked,
                                  struct decision *decision) {
    const struct issuer_policy *issuer = issuer_of_decision(with, decision);
    const enum reason times = check_times(with, decision->fact, issuer->clock_skew_s);
    if (times != REASON_OK)
        return times;
    if (identity_new_reduced(decision->fact, with->policy, decision->issuer, &decision->identity) != 0)
        return REASON_INTERNAL;
    if (!outage_allows(reason, issuer, decision->fact, decision->identity->ttl_ms, with->now_mono_ms))
        return reason;
    const enum reason rules = (enum reason)decision->identity->reason;
    return rules == REASON_OK ? check_audiences(with, asked, n_asked, decision) : rules;
}

void decide_without(const struct decide *with, enum reason reason, const struct text *asked, size_t n_asked,
                    struct decision *decision) {
    /* Before any work: the ttl of no identity is longer than the issuer's. */
    if (decision->standing == NULL || !outage_allows(reason, issuer_of_decision(with, decision), decision->standing,
                                                     issuer_of_decision(with, decision)->ttl_ms, with->now_mono_ms))
        return decide_unavailable(reason, decision);
    /* Somebody else may have been told a "no" meanwhile. The identity that comes with a fact has all groups. */
    rest_on_newest(with, decision->standing, decision);
    rest_on(decision, fact_ref(decision->fact), NULL);
    if (decision->fact->answer != FACT_ACTIVE)
        return decide_unavailable(reason, decision);
    const enum reason found = judge_standing(with, reason, asked, n_asked, decision);
    if (found != REASON_OK && found != REASON_EXPIRED)
        return decide_unavailable(found == REASON_INTERNAL ? found : reason, decision);
    decision->because = reason;
    conclude(decision, found == REASON_OK ? REASON_DEGRADED : found);
}

void decision_deinit(struct decision *decision) {
    rest_on(decision, NULL, NULL);
    fact_unref(decision->standing);
    decision->standing = NULL;
}
