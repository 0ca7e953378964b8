#include "core/groups.h"

#include "core/explanation.h"

#define RESERVED TEXT("system:")

/*
 * Whether the provider says that it left groups out: OpenID Connect Core section 5.6.2 (_claim_names, as Azure AD does it
 * for access tokens) and hasgroups (as it does it for implicit flows). Fewer groups than the user has are not fewer rights:
 * a userValidationRule, or a policy that denies by group, would not see the group it is about.
 */
static bool is_overage(const struct reading *reading) {
    const struct text claim = reading->issuer->groups_claim;
    return claims_has_member(reading->claims, TEXT("_claim_names"), claim) ||
           claims_is_true(reading->claims, TEXT("hasgroups")) || claims_n_strings(reading->claims, claim) > LIMIT_GROUPS;
}

static enum reason judge_group(const struct issuer_policy *issuer, struct text group) {
    const struct text prefix = issuer->groups_prefix;
    if (group.n_bytes == 0 || prefix.n_bytes > LIMIT_GROUP_BYTES || group.n_bytes > LIMIT_GROUP_BYTES - prefix.n_bytes ||
        mapping_has_control(group))
        return REASON_GROUP_INVALID;
    return mapping_starts_with(prefix, group, RESERVED) ? REASON_GROUP_RESERVED : REASON_OK;
}

/* A group that is there already is not a second one. */
static enum reason add(const struct reading *reading, struct text group, struct mapped_user *user) {
    enum reason reason = judge_group(reading->issuer, group);
    for (size_t i = 0; reason == REASON_OK && i < user->n_groups; i++) {
        if (text_equal(user->groups[i], group))
            return REASON_OK;
    }
    if (reason == REASON_OK && user->n_groups == LIMIT_GROUPS)
        reason = REASON_GROUPS_OVERAGE;
    if (reason == REASON_OK)
        user->groups[user->n_groups++] = group;
    else
        explanation_rule(reading->explanation, "claimMappings.groups", false, "\"%.*s%.*s\"",
                         SEEN(reading->issuer->groups_prefix), SEEN(group));
    return reason;
}

static enum reason add_all(const struct reading *reading, const struct text_list *groups, struct mapped_user *user) {
    for (size_t i = 0; i < groups->n_items; i++) {
        const enum reason reason = add(reading, groups->items[i], user);
        if (reason != REASON_OK)
            return reason;
    }
    return REASON_OK;
}

/* All rules that name the group count; what no rule names stays as it is, or is dropped by the admin's word. */
static enum reason map_one(const struct reading *reading, struct text group, struct mapped_user *user) {
    const struct issuer_policy *issuer = reading->issuer;
    bool is_mapped = false;
    for (size_t i = 0; i < issuer->n_group_rules; i++) {
        if (!text_equal(issuer->group_rules[i].group, group))
            continue;
        is_mapped = true;
        const enum reason reason = add_all(reading, &issuer->group_rules[i].to, user);
        if (reason != REASON_OK)
            return reason;
    }
    return is_mapped || issuer->drop_unmapped_groups ? REASON_OK : add(reading, group, user);
}

static enum reason map_all(const struct reading *reading, struct mapped_user *user) {
    const struct text claim = reading->issuer->groups_claim;
    const size_t n = claims_n_strings(reading->claims, claim);
    for (size_t i = 0; i < n; i++) {
        const enum reason reason = map_one(reading, claims_string_at(reading->claims, claim, i), user);
        if (reason != REASON_OK)
            return reason;
    }
    explanation_rule(reading->explanation, "claimMappings.groups", true, "%zu from %.*s, %zu after groupMapping", n,
                     SEEN(claim), user->n_groups);
    return REASON_OK;
}

enum reason groups_map(const struct reading *reading, struct mapped_user *user) {
    const struct text claim = reading->issuer->groups_claim;
    const char *rule = "claimMappings.groups";
    user->n_groups = 0;
    if (claim.n_bytes == 0)
        return REASON_OK;
    if (is_overage(reading)) {
        explanation_rule(reading->explanation, rule, false, "%zu from %.*s, and they are not all, or too many",
                         claims_n_strings(reading->claims, claim), SEEN(claim));
        return REASON_GROUPS_OVERAGE;
    }
    switch (claims_kind(reading->claims, claim)) {
    case CLAIM_ABSENT:
        return explanation_rule(reading->explanation, rule, reading->issuer->accept_absent_groups, "%.*s is absent",
                                SEEN(claim))
                   ? REASON_OK
                   : REASON_GROUPS_ABSENT;
    case CLAIM_STRING:
    case CLAIM_STRINGS:
        return map_all(reading, user);
    case CLAIM_BOOLEAN:
    case CLAIM_NUMBER:
    case CLAIM_OTHER:
        break;
    }
    explanation_rule(reading->explanation, rule, false, "%.*s is neither a string nor an array of strings", SEEN(claim));
    return REASON_CLAIM_TYPE_INVALID;
}

void groups_reduce(const struct issuer_policy *issuer, struct mapped_user *user) {
    size_t n = 0;
    for (size_t i = 0; i < user->n_groups; i++) {
        if (text_list_contains(&issuer->outage.groups, user->groups[i]))
            user->groups[n++] = user->groups[i];
    }
    user->n_groups = n;
}

/* ---- which groups there can be ---- */

static bool has_prefix(const struct issuer_policy *issuer, struct text group) {
    return issuer->groups_claim.n_bytes > 0 && text_starts_with(group, issuer->groups_prefix) &&
           !text_starts_with(group, RESERVED);
}

/* Whether a user in this group, here without its prefix, is refused for it. */
static bool is_refused(const struct issuer_policy *issuer, struct text name) {
    for (size_t i = 0; i < issuer->n_user_rules; i++) {
        if (issuer->user_rules[i].kind == USER_RULE_GROUPS_NOT_PREFIX &&
            mapping_starts_with(issuer->groups_prefix, name, issuer->user_rules[i].value))
            return true;
    }
    return judge_group(issuer, name) != REASON_OK;
}

/* A rule whose groups are refused in part leads nobody to the others. */
static bool leads_to(const struct issuer_policy *issuer, const struct group_rule *rule, struct text name) {
    if (!text_list_contains(&rule->to, name))
        return false;
    for (size_t i = 0; i < rule->to.n_items; i++) {
        if (is_refused(issuer, rule->to.items[i]))
            return false;
    }
    return true;
}

enum group_origin groups_origin(const struct issuer_policy *issuer, struct text group) {
    if (!has_prefix(issuer, group))
        return GROUP_NEVER;
    const size_t n_prefix = issuer->groups_prefix.n_bytes;
    const struct text name = {.data = group.data + n_prefix, .n_bytes = group.n_bytes - n_prefix};
    bool is_ruled = false, has_rule = false;
    for (size_t i = 0; i < issuer->n_group_rules; i++) {
        const struct group_rule *rule = &issuer->group_rules[i];
        is_ruled = is_ruled || leads_to(issuer, rule, name);
        has_rule = has_rule || text_equal(rule->group, name);
    }
    if (is_ruled)
        return GROUP_RULED;
    return has_rule || issuer->drop_unmapped_groups || is_refused(issuer, name) ? GROUP_NEVER : GROUP_KEPT;
}

enum group_origin groups_origin_in(const struct policy *policy, struct text group) {
    enum group_origin surest = GROUP_NEVER;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        const enum group_origin origin = groups_origin(&policy->issuers[i], group);
        if (origin > surest)
            surest = origin;
    }
    return surest;
}

bool groups_within_reach(const struct policy *policy, struct text group) {
    for (size_t i = 0; i < policy->n_issuers; i++) {
        if (has_prefix(&policy->issuers[i], group))
            return true;
    }
    return false;
}

/* ---- tiers ---- */

static bool is_in(const struct reading *reading, const struct mapped_user *user, const struct cache_tier *tier) {
    const struct text claim = reading->issuer->groups_claim;
    for (size_t i = 0; i < user->n_groups; i++) {
        if (text_list_contains(&tier->groups, user->groups[i]))
            return true;
    }
    const size_t n = claims_n_strings(reading->claims, claim);
    for (size_t i = 0; claim.n_bytes > 0 && i < n; i++) {
        if (text_list_contains(&tier->groups, claims_string_at(reading->claims, claim, i)))
            return true;
    }
    return false;
}

int64_t groups_ttl_ms(const struct reading *reading, const struct mapped_user *user) {
    const struct issuer_policy *issuer = reading->issuer;
    for (size_t i = 0; i < issuer->n_tiers; i++) {
        if (is_in(reading, user, &issuer->tiers[i]))
            return issuer->tiers[i].ttl_ms < issuer->ttl_ms ? issuer->tiers[i].ttl_ms : issuer->ttl_ms;
    }
    return issuer->ttl_ms;
}
