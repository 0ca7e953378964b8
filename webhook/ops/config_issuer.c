#include "ops/config_issuer.h"

#include <errno.h>

#include "ops/config_bind.h"
#include "ops/config_checks.h"
#include "ops/config_introspection.h"

#define SETTING(member) offsetof(struct issuer_settings, member)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define MINUTE_MS ((int64_t)60000)

/* ---- fields ---- */

static const struct field issuer[] = {
    {.name = "url",
     .type = &field_text,
     .offset = SETTING(policy.url),
     .required = "write it exactly as the provider's tokens have it in iss",
     .check = config_check_issuer_url},
    {.name = "audiences",
     .type = &field_text_list,
     .offset = SETTING(policy.audiences),
     .required = "at least one audience is needed, or any token of this issuer would be accepted",
     .min = 1,
     .max = LIMIT_REVIEW_AUDIENCES},
    {.name = "certificateAuthorityFile", .type = &field_file, .offset = SETTING(introspection.ca_file)},
};

static const struct field tokens[] = {
    {.name = "jwt", .type = &field_boolean, .offset = SETTING(policy.takes_jwt), .by_default = "false"},
    {.name = "opaque", .type = &field_boolean, .offset = SETTING(policy.takes_opaque), .by_default = "false"},
    {.name = "opaquePrefix",
     .type = &field_text,
     .offset = SETTING(policy.opaque_prefix),
     .by_default = "",
     .may_be_empty = true,
     .max = LIMIT_PREFIX_BYTES,
     .check = config_check_token_prefix},
    {.name = "clientIDs", .type = &field_text_list, .offset = SETTING(policy.client_ids), .min = 1},
};

static const struct field tier[] = {
    {.name = "groups",
     .type = &field_text_list,
     .offset = offsetof(struct cache_tier, groups),
     .required = "name the groups whose members are asked about more often",
     .min = 1},
    {.name = "ttl",
     .type = &field_duration,
     .offset = offsetof(struct cache_tier, ttl_ms),
     .required = "write how long an answer about these users is used",
     .max = 10 * MINUTE_MS},
};

static const struct field cache[] = {
    {.name = "ttl", .type = &field_duration, .offset = SETTING(policy.ttl_ms), .by_default = "30s", .max = 10 * MINUTE_MS},
    {.name = "negativeTTL",
     .type = &field_duration,
     .offset = SETTING(policy.negative_ttl_ms),
     .by_default = "10s",
     .max = 5 * MINUTE_MS},
    {.name = "refreshAhead",
     .type = &field_duration,
     .offset = SETTING(policy.refresh_ahead_ms),
     .by_default = "5s",
     .max = 5 * MINUTE_MS},
    {.name = "tiers",
     .type = &field_mapping_list,
     .offset = SETTING(tiers),
     .fields = FIELD_TABLE(tier),
     .item_bytes = sizeof(struct cache_tier),
     .count_offset = SETTING(policy.n_tiers)},
};

static const struct field outage[] = {
    {.name = "maxStale",
     .type = &field_duration,
     .offset = SETTING(policy.outage.max_stale_ms),
     .required = "write how long past its ttl an answer may serve while the provider cannot answer, such as 10m",
     .min = 1000,
     .max = 60 * MINUTE_MS},
    {.name = "groups",
     .type = &field_text_list,
     .offset = SETTING(policy.outage.groups),
     .required = "list the groups that may remain of a user's meanwhile, [] for none"},
};

#define PREFIX_WHY "write it, \"\" for none: names without a prefix can collide with those of other authenticators"

static const struct field username[] = {
    {.name = "claim",
     .type = &field_text,
     .offset = SETTING(policy.username_claim),
     .required = "name the claim that holds the user's name, such as sub or preferred_username"},
    {.name = "prefix",
     .type = &field_text,
     .offset = SETTING(policy.username_prefix),
     .required = PREFIX_WHY,
     .may_be_empty = true,
     .max = LIMIT_PREFIX_BYTES,
     .check = config_check_prefix},
};

static const struct field groups[] = {
    {.name = "claim",
     .type = &field_text,
     .offset = SETTING(policy.groups_claim),
     .required = "name the claim that holds the groups, or remove groups"},
    {.name = "prefix",
     .type = &field_text,
     .offset = SETTING(policy.groups_prefix),
     .required = PREFIX_WHY,
     .may_be_empty = true,
     .max = LIMIT_PREFIX_BYTES,
     .check = config_check_prefix},
};

static const struct field uid[] = {
    {.name = "claim",
     .type = &field_text,
     .offset = SETTING(policy.uid_claim),
     .required = "name the claim that holds the uid, such as sub, or remove uid"},
};

static const struct field extra[] = {
    {.name = "key",
     .type = &field_text,
     .offset = offsetof(struct extra_mapping, key),
     .required = "write the key, such as example.com/tenant",
     .max = LIMIT_EXTRA_KEY_BYTES,
     .check = config_check_extra_key},
    {.name = "claim",
     .type = &field_text,
     .offset = offsetof(struct extra_mapping, claim),
     .required = "name the claim that holds the values"},
};

static const struct field claim_mappings[] = {
    {.name = "username",
     .type = &field_mapping,
     .required = "say how users are named: give claim and prefix",
     .fields = FIELD_TABLE(username)},
    {.name = "groups", .type = &field_mapping, .fields = FIELD_TABLE(groups)},
    {.name = "uid", .type = &field_mapping, .fields = FIELD_TABLE(uid)},
    {.name = "extra",
     .type = &field_mapping_list,
     .offset = SETTING(extra),
     .max = LIMIT_EXTRA_KEYS,
     .fields = FIELD_TABLE(extra),
     .item_bytes = sizeof(struct extra_mapping),
     .count_offset = SETTING(policy.n_extra)},
};

static const struct field claim_rule[] = {
    {.name = "claim",
     .type = &field_text,
     .offset = offsetof(struct claim_rule, claim),
     .required = "name the claim that must be there"},
    {.name = "requiredValue",
     .type = &field_text,
     .offset = offsetof(struct claim_rule, required_value),
     .required = "write the value that the claim must have"},
};

#define RULE_SETTING(member) offsetof(struct user_rule_settings, member)
#define NOT_PREFIX_WHY "write what the name must not start with"

static const struct field username_rule[] = {
    {.name = "notPrefix", .type = &field_text, .offset = RULE_SETTING(username_not_prefix), .required = NOT_PREFIX_WHY},
};
static const struct field groups_rule[] = {
    {.name = "notPrefix", .type = &field_text, .offset = RULE_SETTING(groups_not_prefix), .required = NOT_PREFIX_WHY},
};

static const struct field user_rule[] = {
    {.name = "username", .type = &field_mapping, .fields = FIELD_TABLE(username_rule)},
    {.name = "groups", .type = &field_mapping, .fields = FIELD_TABLE(groups_rule)},
};

static const struct field group_rule[] = {
    {.name = "group",
     .type = &field_text,
     .offset = offsetof(struct group_rule, group),
     .required = "name the provider's group",
     .max = LIMIT_GROUP_BYTES},
    {.name = "to",
     .type = &field_text_list,
     .offset = offsetof(struct group_rule, to),
     .required = "list the Kubernetes groups that it becomes, [] for none"},
    {.name = "bind",
     .type = &field_mapping_list,
     .offset = offsetof(struct group_rule, bind),
     .min = 1,
     .max = LIMIT_ROLES_PER_RULE,
     .fields = &config_bind_fields,
     .item_bytes = sizeof(struct role_reference),
     .count_offset = offsetof(struct group_rule, n_bind)},
};

static const struct field group_mapping[] = {
    {.name = "unmapped",
     .type = &field_either,
     .offset = SETTING(policy.drop_unmapped_groups),
     .by_default = "Keep",
     .words = WORDS("Keep", "Drop")},
    {.name = "rules",
     .type = &field_mapping_list,
     .offset = SETTING(group_rules),
     .fields = FIELD_TABLE(group_rule),
     .item_bytes = sizeof(struct group_rule),
     .count_offset = SETTING(policy.n_group_rules)},
};

static const struct field fields[] = {
    {.name = "name",
     .type = &field_text,
     .offset = SETTING(policy.name),
     .required = "give the issuer a short name: metrics and audit records call it by that",
     .check = config_check_label},
    {.name = "issuer",
     .type = &field_mapping,
     .required = "say which issuer this is: give url and audiences",
     .fields = FIELD_TABLE(issuer)},
    {.name = "tokens",
     .type = &field_mapping,
     .required = "say which tokens go to this issuer: set jwt: true, opaque: true, or both",
     .fields = FIELD_TABLE(tokens)},
    {.name = "introspection",
     .type = &field_mapping,
     .required = "say how the provider is asked: give at least client",
     .fields = &config_introspection_fields},
    {.name = "cache", .type = &field_mapping, .fields = FIELD_TABLE(cache)},
    {.name = "outage", .type = &field_mapping, .fields = FIELD_TABLE(outage)},
    {.name = "clockSkew",
     .type = &field_seconds,
     .offset = SETTING(policy.clock_skew_s),
     .by_default = "10s",
     .max = 5 * MINUTE_MS},
    {.name = "claimMappings",
     .type = &field_mapping,
     .required = "say how a token's claims become a user: give at least username",
     .fields = FIELD_TABLE(claim_mappings)},
    {.name = "claimValidationRules",
     .type = &field_mapping_list,
     .offset = SETTING(claim_rules),
     .fields = FIELD_TABLE(claim_rule),
     .item_bytes = sizeof(struct claim_rule),
     .count_offset = SETTING(policy.n_claim_rules)},
    {.name = "userValidationRules",
     .type = &field_mapping_list,
     .offset = SETTING(user_rules),
     .fields = FIELD_TABLE(user_rule),
     .item_bytes = sizeof(struct user_rule_settings),
     .count_offset = SETTING(n_user_rules)},
    {.name = "groupMapping", .type = &field_mapping, .fields = FIELD_TABLE(group_mapping)},
};

const struct field_table config_issuer_fields = {.items = fields, .n_items = sizeof(fields) / sizeof(fields[0])};

/* ---- rules between the fields of one issuer ---- */

/* The member, or the mapping itself where the member was left out: a place to complain about. */
static const struct yaml_node *member_or(const struct yaml_node *node, const char *key) {
    const struct yaml_node *member = yaml_member(node, key);
    return member == NULL ? node : member;
}

static int check_tokens(struct config_reader *reader, const struct yaml_node *node, struct issuer_settings *settings) {
    struct issuer_policy *policy = &settings->policy;
    const struct yaml_node *place = yaml_member(node, "tokens");
    policy->any_client = yaml_member(place, "clientIDs") == NULL;
    if (!policy->takes_jwt && !policy->takes_opaque)
        return config_refuse(reader, place, "no token would ever go to this issuer: set jwt: true, opaque: true, or both");
    if (!policy->takes_opaque && policy->opaque_prefix.n_bytes > 0)
        return config_refuse(reader, yaml_member(place, "opaquePrefix"),
                             "the prefix has no effect without opaque: true: set that, or remove the prefix");
    return 0;
}

static int check_tiers(struct config_reader *reader, const struct yaml_node *node, struct issuer_settings *settings) {
    const struct yaml_node *list = yaml_member(yaml_member(node, "cache"), "tiers");
    struct issuer_policy *policy = &settings->policy;
    policy->tiers = settings->tiers;
    if (policy->n_tiers > 0 && policy->groups_claim.n_bytes == 0)
        return config_refuse(reader, list,
                             "tiers go by groups, and claimMappings.groups is absent: give that, or remove tiers");
    for (const struct yaml_node *child = list == NULL ? NULL : list->first; child != NULL; child = child->next) {
        if (policy->tiers[child->index].ttl_ms > policy->ttl_ms)
            return config_refuse(reader, yaml_member(child, "ttl"),
                                 "a tier's ttl must not be longer than cache.ttl: shorten it, or lengthen that");
    }
    return 0;
}

static int check_outage(struct config_reader *reader, const struct yaml_node *node, struct issuer_settings *settings) {
    const struct issuer_policy *policy = &settings->policy;
    if (policy->outage.groups.n_items > 0 && policy->groups_claim.n_bytes == 0)
        return config_refuse(
            reader, yaml_member(yaml_member(node, "outage"), "groups"),
            "claimMappings.groups is absent, so no user has groups that could remain: give that, or write []");
    return 0;
}

static int check_extra(struct config_reader *reader, const struct yaml_node *node, struct issuer_settings *settings) {
    const struct yaml_node *list = yaml_member(yaml_member(node, "claimMappings"), "extra");
    settings->policy.extra = settings->extra;
    for (const struct yaml_node *child = list == NULL ? NULL : list->first; child != NULL; child = child->next) {
        for (size_t i = 0; i < child->index; i++) {
            if (text_equal(settings->extra[i].key, settings->extra[child->index].key))
                return config_refuse(reader, yaml_member(child, "key"),
                                     "extra[%zu] has this key already: keep one of the two", i);
        }
    }
    return 0;
}

static int check_user_rules(struct config_reader *reader, const struct yaml_node *node, struct issuer_settings *settings) {
    const struct yaml_node *list = yaml_member(node, "userValidationRules");
    struct user_rule *rules = arena_array(reader->arena, settings->n_user_rules, sizeof(*rules));
    if (rules == NULL)
        return -ENOMEM;
    for (const struct yaml_node *child = list == NULL ? NULL : list->first; child != NULL; child = child->next) {
        const struct user_rule_settings *from = &settings->user_rules[child->index];
        const bool is_username = from->username_not_prefix.n_bytes > 0;
        if (is_username == (from->groups_not_prefix.n_bytes > 0))
            return config_refuse(reader, child,
                                 "a rule is about either username or groups: give one of them, with notPrefix");
        rules[child->index].kind = is_username ? USER_RULE_USERNAME_NOT_PREFIX : USER_RULE_GROUPS_NOT_PREFIX;
        rules[child->index].value = is_username ? from->username_not_prefix : from->groups_not_prefix;
    }
    settings->policy.user_rules = rules;
    settings->policy.n_user_rules = settings->n_user_rules;
    return 0;
}

/* True when prefix and name together start with "system:". */
static bool is_reserved(struct text prefix, struct text name) {
    const struct text reserved = TEXT("system:");
    if (prefix.n_bytes >= reserved.n_bytes)
        return text_starts_with(prefix, reserved);
    const struct text rest = {.data = reserved.data + prefix.n_bytes, .n_bytes = reserved.n_bytes - prefix.n_bytes};
    return text_starts_with(reserved, prefix) && text_starts_with(name, rest);
}

static int check_targets(struct config_reader *reader, const struct yaml_node *rule, const struct issuer_policy *policy) {
    const struct yaml_node *list = yaml_member(rule, "to");
    for (const struct yaml_node *child = list->first; child != NULL; child = child->next) {
        if (is_reserved(policy->groups_prefix, child->text))
            return config_refuse(
                reader, child,
                "with its prefix this group would start with \"system:\", and those belong to Kubernetes: choose another");
        if (policy->groups_prefix.n_bytes + child->text.n_bytes > LIMIT_GROUP_BYTES)
            return config_refuse(reader, child, "with its prefix this group would be longer than %d bytes: shorten it",
                                 LIMIT_GROUP_BYTES);
    }
    return 0;
}

static int check_group_mapping(struct config_reader *reader, const struct yaml_node *node,
                               struct issuer_settings *settings) {
    const struct yaml_node *mapping = yaml_member(node, "groupMapping"), *list = yaml_member(mapping, "rules");
    const struct group_rule *rules = settings->policy.group_rules = settings->group_rules;
    if (mapping != NULL && settings->policy.groups_claim.n_bytes == 0)
        return config_refuse(
            reader, mapping,
            "there are no groups to map, as claimMappings.groups is absent: give that, or remove groupMapping");
    for (const struct yaml_node *child = list == NULL ? NULL : list->first; child != NULL; child = child->next) {
        for (size_t i = 0; i < child->index; i++) {
            if (text_equal(rules[i].group, rules[child->index].group))
                return config_refuse(reader, yaml_member(child, "group"),
                                     "rules[%zu] is about this group already: list all its Kubernetes groups there", i);
        }
        int r = check_targets(reader, child, &settings->policy);
        if (r == 0)
            r = config_bind_check(reader, child, &rules[child->index]);
        if (r != 0)
            return r;
    }
    return 0;
}

static int check_one(struct config_reader *reader, const struct yaml_node *node, struct issuer_settings *settings) {
    static int (*const checks[])(struct config_reader *, const struct yaml_node *, struct issuer_settings *) = {
        check_tokens, check_tiers, check_outage, check_extra, check_user_rules, check_group_mapping};
    settings->policy.claim_rules = settings->claim_rules;
    int r = config_introspection_check(reader, yaml_member(node, "introspection"), &settings->introspection);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == 0; i++)
        r = checks[i](reader, node, settings);
    return r;
}

/* ---- rules between issuers ---- */

static int check_opaque_pair(struct config_reader *reader, const struct yaml_node *node,
                             const struct issuer_policy *earlier, const struct issuer_policy *later) {
    const struct yaml_node *place = member_or(yaml_member(node, "tokens"), "opaquePrefix");
    const char *name = earlier->name.data;
    if (earlier->opaque_prefix.n_bytes == 0 || later->opaque_prefix.n_bytes == 0)
        return config_refuse(reader, place,
                             "issuer %s takes opaque tokens too: give both an opaquePrefix, or one of them jwt only", name);
    if (text_equal(earlier->opaque_prefix, later->opaque_prefix))
        return config_refuse(reader, place, "issuer %s has this prefix already: opaque tokens are told apart by it alone",
                             name);
    return 0;
}

static int check_pair(struct config_reader *reader, const struct yaml_node *node, const struct issuer_policy *earlier,
                      const struct issuer_policy *later) {
    if (text_equal(earlier->name, later->name))
        return config_refuse(reader, yaml_member(node, "name"), "another issuer has this name already: choose another");
    if (earlier->takes_jwt && later->takes_jwt && text_equal(earlier->url, later->url))
        return config_refuse(reader, yaml_member(yaml_member(node, "issuer"), "url"),
                             "issuer %s takes this issuer's JWTs already: make them one issuer, or set jwt: false in one",
                             earlier->name.data);
    return earlier->takes_opaque && later->takes_opaque ? check_opaque_pair(reader, node, earlier, later) : 0;
}

int config_issuer_check(struct config_reader *reader, const struct yaml_node *list, struct issuer_settings *settings,
                        size_t n_issuers) {
    for (const struct yaml_node *node = list->first; node != NULL && node->index < n_issuers; node = node->next) {
        int r = check_one(reader, node, &settings[node->index]);
        for (size_t i = 0; i < node->index && r == 0; i++)
            r = check_pair(reader, node, &settings[i].policy, &settings[node->index].policy);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- warnings ---- */

static int warn_of_introspection(struct config_reader *reader, const struct yaml_node *issuer_node,
                                 const struct issuer_policy *policy) {
    const struct yaml_node *node = yaml_member(issuer_node, "introspection");
    int r = 0;
    /* clientIDs alone do not tell a client's refresh token from its access token: oidc-provider reports both active for it.
     */
    if (policy->accept_absent_token_type && (policy->any_client || policy->accept_absent_audience))
        r = config_warn(
            reader, member_or(node, "absentTokenType"),
            "refresh and ID tokens of some providers are reported active, and would log in: set absentTokenType: "
            "Refuse where the provider sends token_type, or keep absentAudience: Refuse and list the clients in tokens.clientIDs");
    if (r == 0 && policy->accept_absent_audience)
        r = config_warn(
            reader, yaml_member(node, "absentAudience"),
            "a token that was issued for another service logs in here whenever the provider leaves aud out: keep "
            "Refuse wherever the provider can send it");
    return r;
}

static int warn_of_cache(struct config_reader *reader, const struct yaml_node *issuer_node,
                         const struct issuer_policy *policy) {
    const struct yaml_node *node = yaml_member(yaml_member(issuer_node, "cache"), "ttl");
    if (policy->ttl_ms > MINUTE_MS)
        return config_warn(reader, node,
                           "a revoked token is accepted for this long, and for kube-apiserver's own cache time after that: "
                           "up to 1m is usual");
    if (policy->ttl_ms == 0)
        return config_warn(reader, node, "nothing is remembered: each review asks the provider, which must bear that load");
    return 0;
}

/* kube-apiserver itself demands email_verified wherever it takes email for a user's name. */
static bool is_unverified_email(const struct issuer_policy *policy) {
    for (size_t i = 0; i < policy->n_claim_rules; i++) {
        if (text_equal(policy->claim_rules[i].claim, TEXT("email_verified")))
            return false;
    }
    return text_equal(policy->username_claim, TEXT("email"));
}

static int warn_of_mapping(struct config_reader *reader, const struct yaml_node *issuer_node,
                           const struct issuer_policy *policy) {
    const struct yaml_node *node = yaml_member(issuer_node, "claimMappings");
    int r = 0;
    if (policy->groups_claim.n_bytes == 0)
        r = config_warn(reader, node, "groups is absent: users of this issuer are in no group but system:authenticated");
    if (r == 0 && policy->username_prefix.n_bytes == 0)
        r = config_warn(reader, yaml_member(yaml_member(node, "username"), "prefix"),
                        "without a prefix a user of this issuer can have the name of a user of another authenticator, of a "
                        "client certificate for one");
    if (r == 0 && is_unverified_email(policy))
        r = config_warn(
            reader, yaml_member(yaml_member(node, "username"), "claim"),
            "an address that nobody verified can be somebody else's: add a claimValidationRule for email_verified, "
            "requiredValue: true");
    if (r == 0 && policy->drop_unmapped_groups && policy->n_group_rules == 0)
        r = config_warn(reader, yaml_member(issuer_node, "groupMapping"),
                        "unmapped is Drop and there are no rules: users of this issuer lose all groups");
    if (r == 0)
        r = config_bind_warn(reader, yaml_member(yaml_member(issuer_node, "groupMapping"), "rules"), policy);
    return r;
}

static int warn_of_shared_prefix(struct config_reader *reader, const struct yaml_node *node,
                                 const struct issuer_settings *settings) {
    const struct text prefix = settings[node->index].policy.username_prefix;
    for (size_t i = 0; i < node->index; i++) {
        if (text_equal(settings[i].policy.username_prefix, prefix) && prefix.n_bytes > 0)
            return config_warn(
                reader, yaml_member(yaml_member(yaml_member(node, "claimMappings"), "username"), "prefix"),
                "another issuer has the same prefix: a user of one can have the name of a user of the other");
    }
    return 0;
}

int config_issuer_warn(struct config_reader *reader, const struct yaml_node *list, const struct issuer_settings *settings,
                       size_t n_issuers) {
    int r = 0;
    for (const struct yaml_node *node = list->first; node != NULL && node->index < n_issuers && r == 0; node = node->next) {
        const struct issuer_policy *policy = &settings[node->index].policy;
        r = warn_of_introspection(reader, node, policy);
        if (r == 0)
            r = warn_of_cache(reader, node, policy);
        if (r == 0)
            r = warn_of_mapping(reader, node, policy);
        if (r == 0)
            r = warn_of_shared_prefix(reader, node, settings);
    }
    return r;
}
