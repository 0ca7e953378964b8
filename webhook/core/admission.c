#include "core/admission.h"

#include <stdlib.h>

#include "core/explanation.h"
#include "core/groups.h"
#include "wire/claims.h"

/* An evaluation under way. */
struct evaluation {
    const struct policy *policy;
    const struct admission_review *review;
    const struct admission_token *token;
    struct explanation *explanation;
    struct claims *claims; /* opened for the first rule that needs them */
    struct buffer json;    /* what they are opened from */
    size_t rule;           /* index of the one that is looked at */
};

const char *admission_state_word(enum admission_state state) {
    static const char *const words[] = {"not_matched", "held", "failed"};
    return words[state];
}

const char *admission_cause_word(enum admission_cause cause) {
    static const char *const words[] = {"",      "token_unknown", "max_age",        "acr",   "amr", "scope",
                                        "claim", "unreadable",    "system_masters", "group", "user"};
    return words[cause];
}

/* Tells of a condition. Returns the cause where it does not hold. */
#define tell(evaluation, held, cause, ...)                                                                                 \
    (explanation_rule_at((evaluation)->explanation, "admission.rules", (evaluation)->rule, (held), __VA_ARGS__)            \
         ? ADMISSION_CAUSE_NONE                                                                                            \
         : (cause))

/* ---- which requests a rule is about ---- */

static bool is_any(struct text pattern) {
    return text_equal(pattern, TEXT("*"));
}

static bool fits(struct text pattern, struct text text) {
    return is_any(pattern) || text_equal(pattern, text);
}

/* As in a webhook's own rules: "*" is every resource without its subresources, "pods" + "*" only those of pods, and "*" +
   "*" everything. */
static bool fits_subresource(const struct resource_pattern *pattern, struct text subresource) {
    if (is_any(pattern->subresource))
        return subresource.n_bytes > 0 || is_any(pattern->resource);
    return text_equal(pattern->subresource, subresource);
}

static bool fits_resource(const struct admission_match *match, const struct admission_review *review) {
    for (size_t i = 0; i < match->n_resources; i++) {
        const struct resource_pattern *pattern = &match->resources[i];
        if (fits(pattern->group, review->group) && fits(pattern->resource, review->resource) &&
            fits_subresource(pattern, review->subresource))
            return true;
    }
    return match->n_resources == 0;
}

/* Whether the user may be one of this issuer's: that of the token, where it is known, and otherwise by the name's prefix.
 */
static bool may_be_of(const struct evaluation *evaluation, size_t issuer) {
    if (evaluation->token->fact != NULL)
        return evaluation->token->issuer == issuer;
    return text_starts_with(evaluation->review->user, evaluation->policy->issuers[issuer].username_prefix);
}

static bool fits_issuer(const struct evaluation *evaluation, const struct text_list *issuers) {
    for (size_t i = 0; i < evaluation->policy->n_issuers; i++) {
        if (text_list_contains(issuers, evaluation->policy->issuers[i].name) && may_be_of(evaluation, i))
            return true;
    }
    return issuers->n_items == 0;
}

static bool is_about(const struct evaluation *evaluation, const struct admission_match *match) {
    const struct admission_review *review = evaluation->review;
    return (match->operations == 0 || (match->operations & review->operation) != 0) && fits_resource(match, review) &&
           (match->namespaces.n_items == 0 || text_list_contains(&match->namespaces, review->namespace_name)) &&
           (match->users.n_items == 0 || text_list_contains(&match->users, review->user)) &&
           fits_issuer(evaluation, &match->issuers) &&
           (match->groups.n_items == 0 || admission_review_has_group(review, &match->groups));
}

/* ---- what is required of the token ---- */

/* A claim's value as text; empty where it has none that is comparable. */
static struct text value_of(const struct claims *claims, struct text name, char *room, size_t n_room) {
    const struct text string = claims_string(claims, name);
    return string.n_bytes > 0 ? string : claims_scalar(claims, name, room, n_room);
}

/* A time of the token, in seconds; FACT_NO_TIME where it has none. */
static int64_t time_of(const struct claims *claims, struct text name) {
    char room[24];
    const bool is_number = claims_kind(claims, name) == CLAIM_NUMBER;
    return is_number && claims_scalar(claims, name, room, sizeof(room)).n_bytes > 0 ? strtoll(room, NULL, 10)
                                                                                    : FACT_NO_TIME;
}

/* An auth_time that is there and is no time is no reason to be content with iat. */
static enum admission_cause check_age(const struct evaluation *evaluation, const struct token_requirement *required) {
    const bool has_login = claims_kind(evaluation->claims, TEXT("auth_time")) != CLAIM_ABSENT;
    const struct admission_token *token = evaluation->token;
    const int64_t now = token->now_unix_s;
    const int64_t time = has_login ? time_of(evaluation->claims, TEXT("auth_time")) : token->fact->iat_unix_s;
    const int64_t skew = evaluation->policy->issuers[token->issuer].clock_skew_s;
    if (required->max_age_s == 0)
        return ADMISSION_CAUSE_NONE;
    if (time < 0)
        return tell(evaluation, false, ADMISSION_CAUSE_MAX_AGE, "maxAge: no auth_time or iat that is a time");
    return tell(evaluation, time <= now + skew && now - time <= required->max_age_s, ADMISSION_CAUSE_MAX_AGE,
                "maxAge: %lld s of %lld since %s", (long long)(now - time), (long long)required->max_age_s,
                has_login ? "auth_time" : "iat");
}

static enum admission_cause check_acr(const struct evaluation *evaluation, const struct token_requirement *required) {
    char room[32];
    const struct text acr = value_of(evaluation->claims, TEXT("acr"), room, sizeof(room));
    if (required->acr.n_items == 0)
        return ADMISSION_CAUSE_NONE;
    return tell(evaluation, acr.n_bytes > 0 && text_list_contains(&required->acr, acr), ADMISSION_CAUSE_ACR,
                "acr: \"%.*s\"", SEEN(acr));
}

static bool has_string(const struct claims *claims, struct text name, struct text wanted) {
    const size_t n = claims_n_strings(claims, name);
    for (size_t i = 0; i < n; i++) {
        if (text_equal(claims_string_at(claims, name, i), wanted))
            return true;
    }
    return false;
}

static enum admission_cause check_amr(const struct evaluation *evaluation, const struct token_requirement *required) {
    for (size_t i = 0; i < required->amr.n_items; i++) {
        const struct text wanted = required->amr.items[i];
        if (!has_string(evaluation->claims, TEXT("amr"), wanted))
            return tell(evaluation, false, ADMISSION_CAUSE_AMR, "amr: has %zu, not \"%.*s\"",
                        claims_n_strings(evaluation->claims, TEXT("amr")), SEEN(wanted));
    }
    return required->amr.n_items == 0 ? ADMISSION_CAUSE_NONE
                                      : tell(evaluation, true, ADMISSION_CAUSE_NONE, "amr: has all that is required");
}

/* RFC 7662 section 2.2: one string, its words parted by spaces. Some providers send an array. */
static bool has_scope(const struct claims *claims, struct text wanted) {
    struct text rest = claims_string(claims, TEXT("scope"));
    while (rest.n_bytes > 0) {
        const char *space = memchr(rest.data, ' ', rest.n_bytes);
        const size_t n = space == NULL ? rest.n_bytes : (size_t)(space - rest.data), n_passed = space == NULL ? n : n + 1;
        if (text_equal((struct text){.data = rest.data, .n_bytes = n}, wanted))
            return true;
        rest = (struct text){.data = rest.data + n_passed, .n_bytes = rest.n_bytes - n_passed};
    }
    return claims_kind(claims, TEXT("scope")) == CLAIM_STRINGS && has_string(claims, TEXT("scope"), wanted);
}

static enum admission_cause check_scope(const struct evaluation *evaluation, const struct token_requirement *required) {
    for (size_t i = 0; i < required->scope.n_items; i++) {
        const struct text wanted = required->scope.items[i];
        if (!has_scope(evaluation->claims, wanted))
            return tell(evaluation, false, ADMISSION_CAUSE_SCOPE, "scope: has no \"%.*s\"", SEEN(wanted));
    }
    return required->scope.n_items == 0 ? ADMISSION_CAUSE_NONE
                                        : tell(evaluation, true, ADMISSION_CAUSE_NONE, "scope: has all that is required");
}

/* As a claimValidationRule compares: an array never equals a value. */
static enum admission_cause check_claim(const struct evaluation *evaluation, const struct token_requirement *required) {
    char room[32];
    if (required->claim.n_bytes == 0)
        return ADMISSION_CAUSE_NONE;
    const struct text seen = value_of(evaluation->claims, required->claim, room, sizeof(room));
    return tell(evaluation, seen.n_bytes > 0 && text_equal(seen, required->value), ADMISSION_CAUSE_CLAIM,
                "claim: %.*s is \"%.*s\"", SEEN(required->claim), SEEN(seen));
}

static int open_claims(struct evaluation *evaluation) {
    if (evaluation->claims != NULL)
        return 0;
    const int r = fact_claims(evaluation->token->fact, &evaluation->json);
    return r != 0 ? r : claims_open(buffer_text(&evaluation->json), &evaluation->claims);
}

/* All conditions, so that each is told of. Returns 0 with the first cause, or a negative errno. */
static int check_token(struct evaluation *evaluation, const struct token_requirement *required,
                       enum admission_cause *ret_cause) {
    static enum admission_cause (*const checks[])(const struct evaluation *, const struct token_requirement *) = {
        check_age, check_acr, check_amr, check_scope, check_claim};
    enum admission_cause first = ADMISSION_CAUSE_NONE;
    if (evaluation->token->fact == NULL)
        first = tell(evaluation, false, ADMISSION_CAUSE_TOKEN_UNKNOWN, "requireToken: nothing is known of the token");
    const int r = evaluation->token->fact == NULL ? 0 : open_claims(evaluation);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == 0 && evaluation->token->fact != NULL; i++) {
        const enum admission_cause cause = checks[i](evaluation, required);
        first = first != ADMISSION_CAUSE_NONE ? first : cause;
    }
    if (r == 0)
        *ret_cause = first;
    return r;
}

/* ---- what a binding may name ---- */

static bool is_binding(const struct admission_review *review) {
    return text_equal(review->group, TEXT("rbac.authorization.k8s.io")) && review->subresource.n_bytes == 0 &&
           (text_equal(review->resource, TEXT("rolebindings")) ||
            text_equal(review->resource, TEXT("clusterrolebindings")));
}

/* A name that somebody who logs in here can have. With an empty prefix that is any but Kubernetes's own. */
static bool is_our_user(const struct policy *policy, struct text name) {
    for (size_t i = 0; i < policy->n_issuers; i++) {
        if (text_starts_with(name, policy->issuers[i].username_prefix) && !text_starts_with(name, TEXT("system:")))
            return true;
    }
    return false;
}

static enum admission_cause check_group(const struct evaluation *evaluation, const struct subject_requirement *required,
                                        struct text group) {
    if (text_equal(group, TEXT("system:masters")))
        return tell(evaluation, false, ADMISSION_CAUSE_MASTERS, "subjects: the group system:masters");
    if (!required->mapped_groups_only)
        return ADMISSION_CAUSE_NONE;
    return tell(evaluation, groups_origin_in(evaluation->policy, group) != GROUP_NEVER, ADMISSION_CAUSE_GROUP,
                "subjects.groups: the group \"%.*s\"", SEEN(group));
}

/* Kinds are those of RBAC's own validation; any other is none that it could have. */
static enum admission_cause check_subject(const struct evaluation *evaluation, const struct subject_requirement *required,
                                          const struct admission_subject *subject) {
    if (text_equal(subject->kind, TEXT("ServiceAccount")))
        return ADMISSION_CAUSE_NONE;
    if (text_equal(subject->kind, TEXT("Group")))
        return check_group(evaluation, required, subject->name);
    if (!text_equal(subject->kind, TEXT("User")))
        return tell(evaluation, false, ADMISSION_CAUSE_UNREADABLE, "subjects: of a kind that RBAC does not know");
    return tell(evaluation, !required->forbids_users || !is_our_user(evaluation->policy, subject->name),
                ADMISSION_CAUSE_USER, "subjects.users: the user \"%.*s\"", SEEN(subject->name));
}

static enum admission_cause check_subjects(const struct evaluation *evaluation,
                                           const struct subject_requirement *required) {
    if (!is_binding(evaluation->review) || !evaluation->review->has_object)
        return tell(evaluation, true, ADMISSION_CAUSE_NONE, "subjects: nothing is bound");
    struct admission_subjects subjects;
    struct admission_subject subject;
    admission_subjects_begin(evaluation->review, &subjects);
    int r;
    while ((r = admission_subjects_next(&subjects, &subject)) == 0) {
        const enum admission_cause cause = check_subject(evaluation, required, &subject);
        if (cause != ADMISSION_CAUSE_NONE)
            return cause;
    }
    return tell(evaluation, r == ADMISSION_SUBJECTS_END, ADMISSION_CAUSE_UNREADABLE, "subjects: %s",
                r == ADMISSION_SUBJECTS_END ? "no other" : "they cannot be read");
}

/* ---- rules ---- */

static int evaluate_rule(struct evaluation *evaluation, const struct admission_rule *rule,
                         struct admission_result *ret_result) {
    enum admission_cause cause = ADMISSION_CAUSE_NONE;
    if (!is_about(evaluation, &rule->match)) {
        *ret_result = (struct admission_result){.state = ADMISSION_NOT_ABOUT};
        return 0;
    }
    const int r = rule->token.is_set ? check_token(evaluation, &rule->token, &cause) : 0;
    if (r != 0)
        return r;
    if (rule->subjects.is_set) {
        const enum admission_cause other = check_subjects(evaluation, &rule->subjects);
        cause = cause != ADMISSION_CAUSE_NONE ? cause : other;
    }
    *ret_result = (struct admission_result){.state = cause == ADMISSION_CAUSE_NONE ? ADMISSION_HELD : ADMISSION_FAILED,
                                            .cause = (uint8_t)cause};
    return 0;
}

int admission_evaluate(const struct policy *policy, const struct admission_review *review,
                       const struct admission_token *token, struct explanation *explanation,
                       struct admission_results *ret_results) {
    struct evaluation evaluation = {.policy = policy, .review = review, .token = token, .explanation = explanation};
    buffer_init(&evaluation.json, LIMIT_INTROSPECTION_REPLY_BYTES);
    struct admission_results results = {.n_items = policy->n_rules};
    int r = 0;
    for (size_t i = 0; i < policy->n_rules && r == 0; i++) {
        evaluation.rule = i;
        r = evaluate_rule(&evaluation, &policy->rules[i], &results.items[i]);
        results.is_denied = results.is_denied || (results.items[i].state == ADMISSION_FAILED &&
                                                  policy->rules[i].action == ADMISSION_ACTION_DENY);
    }
    claims_close(evaluation.claims);
    buffer_deinit(&evaluation.json);
    if (r == 0)
        *ret_results = results;
    return r;
}

void admission_apply(const struct admission_results *results, struct decision *decision) {
    if (decision->verdict != VERDICT_ALLOW || !results->is_denied)
        return;
    decision->reason = REASON_ADMISSION_RULE;
    decision->verdict = reason_verdict(REASON_ADMISSION_RULE);
}

size_t admission_notes(const struct policy *policy, const struct admission_results *results,
                       struct admission_note *ret_notes) {
    size_t n = 0;
    for (size_t i = 0; i < results->n_items; i++) {
        const struct admission_rule *rule = &policy->rules[i];
        if (results->items[i].state == ADMISSION_FAILED)
            ret_notes[n++] = (struct admission_note){.action = rule->action, .rule = rule->name, .message = rule->message};
    }
    return n;
}
