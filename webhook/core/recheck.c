#include "core/recheck.h"

#include "core/outage.h"
#include "core/triage.h"

/* ---- the one place where a verdict is set ---- */

static enum recheck_step conclude(struct recheck *recheck, enum reason reason) {
    recheck->decision.reason = reason;
    recheck->decision.verdict = reason_verdict(reason);
    return RECHECK_DONE;
}

/* What a decision rests on is released, where it is no answer to this request. */
static void rest_on_nothing(struct decision *decision) {
    fact_unref(decision->fact);
    identity_unref(decision->identity);
    decision->fact = NULL;
    decision->identity = NULL;
}

/* ---- judging a fact: as a login would, and then whether it is still this user's ---- */

static bool is_of_subject(const struct identity *identity, const struct recheck_subject *subject) {
    struct identity_names names;
    identity_names(identity, &names);
    return text_equal(names.username, subject->username);
}

static void judge(const struct recheck_with *with, struct fact *fact, const struct recheck_subject *subject,
                  struct recheck *recheck) {
    struct decision *decision = &recheck->decision;
    decide_fact(&with->decide, fact, NULL, 0, decision);
    /* The mapping may have changed since the login: what this token gives today is another user. */
    if (decision->reason == REASON_OK && !is_of_subject(decision->identity, subject))
        conclude(recheck, REASON_HANDLE_OTHER_USER);
}

/* ---- age ---- */

/* The ttl of a fact that was judged: of its identity where there is one, which may be a tier's. */
static int64_t ttl_ms(const struct recheck_with *with, const struct recheck *recheck, const struct fact *fact) {
    const struct issuer_policy *issuer = &with->decide.policy->issuers[recheck->decision.issuer];
    if (fact->answer != FACT_ACTIVE)
        return issuer->negative_ttl_ms;
    return recheck->decision.identity == NULL ? issuer->ttl_ms : recheck->decision.identity->ttl_ms;
}

/* Whether what was judged still holds: what has expired stays so, however old the fact is. */
static bool holds(const struct recheck_with *with, const struct recheck *recheck) {
    const struct fact *fact = recheck->decision.fact;
    return fact != NULL && (fact_is_expired(fact, with->decide.now_unix_ms) ||
                            fact_is_younger(fact, ttl_ms(with, recheck, fact), with->decide.now_mono_ms));
}

/* A "no" is not asked again before its time: only of a "yes" does anybody want to know sooner whether it still holds. */
static bool is_recent(const struct recheck_with *with, const struct fact *fact) {
    return fact->answer != FACT_ACTIVE || fact_is_expired(fact, with->decide.now_unix_ms) ||
           fact_is_younger(fact, with->decide.policy->handle.recheck_after_ms, with->decide.now_mono_ms);
}

static enum recheck_step judge_known(const struct recheck_with *with, const struct recheck_subject *subject,
                                     struct recheck *recheck) {
    struct decision *decision = &recheck->decision;
    if (is_recent(with, recheck->standing)) {
        judge(with, recheck->standing, subject, recheck);
        if (decision->reason == REASON_INTERNAL || holds(with, recheck)) {
            const struct fact *judged = decision->fact == NULL ? recheck->standing : decision->fact;
            decision->cache = judged->answer == FACT_ACTIVE ? CACHE_OUTCOME_HIT : CACHE_OUTCOME_NEGATIVE;
            return RECHECK_DONE;
        }
    }
    decision->cache = CACHE_OUTCOME_STALE;
    rest_on_nothing(decision);
    /* Whoever forgets to go on answers this. */
    conclude(recheck, REASON_INTERNAL);
    return RECHECK_ASK;
}

/* ---- whose fact it is ---- */

static enum recheck_step pass_unknown(const struct recheck_with *with, struct recheck *recheck) {
    recheck->decision.cache = CACHE_OUTCOME_MISS;
    return conclude(recheck,
                    with->decide.policy->handle.refuse_unknown_fact ? REASON_FACT_UNKNOWN : REASON_PASSED_WITHOUT_FACT);
}

/* Takes the fact of a handle from the cache. Where this very configuration has made an identity of it, its issuer is the
   one that triage would send the token to today. That and an HMAC are saved; an issuer whose endpoint has moved since then
   is still that issuer, and is asked at its new one. */
static bool find_fact(const struct recheck_with *with, struct recheck *recheck) {
    struct identity *identity = NULL;
    if (cache_find(with->decide.cache, recheck->decision.key, &recheck->standing, &identity) != 0)
        return false;
    if (identity != NULL && identity_is_of(identity, with->decide.policy))
        recheck->decision.issuer = identity->issuer;
    identity_unref(identity);
    return true;
}

/* REASON_OK where the fact came from the issuer as it is asked now; REASON_FACT_UNKNOWN where its endpoint or client, or
   the issuer itself, was another. */
static enum reason check_origin(const struct recheck_with *with, const struct decide_issuer *asked, size_t issuer,
                                const struct recheck *recheck) {
    uint8_t key[DIGEST_BYTES];
    if (fact_key(with->decide.digest, with->decide.policy->issuers[issuer].url, asked->endpoint, asked->client,
                 fact_token(recheck->standing), key) != 0)
        return REASON_INTERNAL;
    return memcmp(key, recheck->decision.key, sizeof(key)) == 0 ? REASON_OK : REASON_FACT_UNKNOWN;
}

/* The issuer that would be asked about the token today. Returns REASON_OK; why none would; or REASON_FACT_UNKNOWN. */
static enum reason find_issuer(const struct recheck_with *with,
                               struct decide_issuer (*issuer_of)(void *context, size_t issuer), void *context,
                               struct recheck *recheck) {
    size_t issuer;
    enum reason reason;
    if (triage(with->decide.policy, fact_token(recheck->standing), &issuer, &reason) != 0)
        return REASON_INTERNAL;
    if (reason == REASON_OK) {
        const struct decide_issuer asked = issuer_of(context, issuer);
        reason = check_origin(with, &asked, issuer, recheck);
    }
    if (reason == REASON_OK)
        recheck->decision.issuer = issuer;
    return reason;
}

/* ---- the handle ---- */

/* An empty prefix tells nobody's users from ours. */
static bool is_ours(const struct policy *policy, struct text username) {
    for (size_t i = 0; i < policy->n_issuers; i++) {
        const struct text prefix = policy->issuers[i].username_prefix;
        if (prefix.n_bytes > 0 && text_starts_with(username, prefix))
            return true;
    }
    return false;
}

static enum reason judge_absent(const struct policy *policy, const struct recheck_subject *subject) {
    if (!is_ours(policy, subject->username))
        return REASON_NOT_OURS;
    return policy->handle.refuse_without_handle ? REASON_HANDLE_ABSENT : REASON_PASSED_WITHOUT_HANDLE;
}

/* Returns REASON_OK with the fact's key in the decision, or why the handle leads nowhere. */
static enum reason follow_handle(const struct recheck_with *with, const struct recheck_subject *subject,
                                 struct recheck *recheck) {
    const struct policy *policy = with->decide.policy;
    if (!policy->handle.is_on)
        return REASON_HANDLE_OFF;
    if (subject->n_handles == 0)
        return judge_absent(policy, subject);
    if (subject->n_handles > 1)
        return REASON_HANDLE_DOUBLED;
    if (with->keys == NULL)
        return REASON_INTERNAL;
    const struct handle_subject owner = {.username = subject->username, .uid = subject->uid, .cluster = policy->cluster};
    const enum reason reason = handle_verify(with->keys, &owner, subject->handle, with->decide.now_unix_ms / 1000,
                                             policy->handle.max_age_s, recheck->decision.key);
    recheck->decision.has_key = reason == REASON_OK;
    return reason;
}

/* ---- the road ---- */

enum recheck_step recheck_begin(const struct recheck_with *with,
                                struct decide_issuer (*issuer_of)(void *context, size_t issuer), void *context,
                                const struct recheck_subject *subject, struct recheck *recheck) {
    *recheck = (struct recheck){.decision = {.issuer = DECISION_NO_ISSUER, .cache = CACHE_OUTCOME_NONE}};
    conclude(recheck, REASON_INTERNAL);
    enum reason reason = follow_handle(with, subject, recheck);
    if (reason != REASON_OK)
        return conclude(recheck, reason);
    if (!find_fact(with, recheck))
        return pass_unknown(with, recheck);
    recheck->decision.was_good = recheck->standing->answer == FACT_ACTIVE;
    if (recheck->decision.issuer == DECISION_NO_ISSUER)
        reason = find_issuer(with, issuer_of, context, recheck);
    if (reason == REASON_FACT_UNKNOWN)
        return pass_unknown(with, recheck);
    return reason == REASON_OK ? judge_known(with, subject, recheck) : conclude(recheck, reason);
}

struct text recheck_token(const struct recheck *recheck) {
    return recheck->standing == NULL ? TEXT("") : fact_token(recheck->standing);
}

void recheck_fact(const struct recheck_with *with, struct fact *fact, const struct recheck_subject *subject,
                  struct recheck *recheck) {
    judge(with, fact, subject, recheck);
}

void recheck_unavailable(const struct recheck_with *with, enum reason reason, const struct recheck_subject *subject,
                         struct recheck *recheck) {
    if (recheck->standing != NULL) {
        judge(with, recheck->standing, subject, recheck);
        if (holds(with, recheck))
            return;
        if (recheck->decision.reason == REASON_OK &&
            outage_allows(reason, &with->decide.policy->issuers[recheck->decision.issuer], recheck->decision.fact,
                          ttl_ms(with, recheck, recheck->decision.fact), with->decide.now_mono_ms)) {
            rest_on_nothing(&recheck->decision);
            recheck->decision.because = reason;
            conclude(recheck, REASON_DEGRADED);
            return;
        }
    }
    decide_unavailable(reason, &recheck->decision);
}

void recheck_deinit(struct recheck *recheck) {
    decision_deinit(&recheck->decision);
    fact_unref(recheck->standing);
    recheck->standing = NULL;
}
