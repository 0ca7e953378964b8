/*
 * What an admin decided: the part of the configuration that verdicts depend on, in the core's own terms. Plain data,
 * immutable once built, owned by the snapshot that holds it. ops/config fills it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "wire/admission_review.h"

struct claim_rule { /* claimValidationRules: the claim must be there and equal the value */
    struct text claim, required_value;
};

enum user_rule_kind { USER_RULE_USERNAME_NOT_PREFIX, USER_RULE_GROUPS_NOT_PREFIX };

struct user_rule { /* userValidationRules, on the mapped user */
    enum user_rule_kind kind;
    struct text value;
};

struct extra_mapping {
    struct text key, claim;
};

struct role_reference { /* groupMapping.rules[].bind: either a cluster role or a role */
    struct text cluster_role, role;
    struct text namespace_name; /* where it holds; empty: in the whole cluster, which a role cannot */
};

struct group_rule { /* groupMapping.rules: provider group -> Kubernetes groups, before the prefix */
    struct text group;
    struct text_list to;
    const struct role_reference *bind; /* what RBAC should give to each group in to; no verdict depends on it */
    size_t n_bind;
};

struct cache_tier { /* cache.tiers: members of any of these groups, as the provider or the mapping calls them, without
                       prefix */
    struct text_list groups;
    int64_t ttl_ms;
};

struct outage_policy {       /* outage: what may be answered while the provider cannot */
    int64_t max_stale_ms;    /* past a fact's ttl; monotonic; 0: nothing */
    struct text_list groups; /* what may remain of an identity's groups, after groupMapping, without prefix */
};

struct issuer_policy {
    struct text name; /* issuers[].name: metrics, audit */
    struct text url;  /* issuer.url: iss must equal it */
    struct text_list audiences;

    bool takes_jwt, takes_opaque;
    struct text opaque_prefix; /* empty: any opaque token */
    bool any_client;           /* clientIDs absent */
    struct text_list client_ids;

    bool accept_absent_audience, accept_absent_token_type, accept_absent_groups;
    bool absent_subject_is_client_id;

    int64_t ttl_ms, negative_ttl_ms; /* of facts; monotonic */
    int64_t refresh_ahead_ms;        /* 0: never */
    const struct cache_tier *tiers;
    size_t n_tiers;
    int64_t clock_skew_s;
    struct outage_policy outage;

    struct text username_claim, username_prefix;
    struct text groups_claim, groups_prefix; /* claim empty: no groups are mapped */
    struct text uid_claim;                   /* empty: no uid */
    const struct extra_mapping *extra;
    size_t n_extra;

    const struct claim_rule *claim_rules;
    size_t n_claim_rules;
    const struct user_rule *user_rules; /* the system: guard is not among them: it is always on */
    size_t n_user_rules;

    bool drop_unmapped_groups;
    const struct group_rule *group_rules;
    size_t n_group_rules;
};

struct handle_policy {          /* handle, and admission.withoutHandle */
    bool is_on;                 /* handle is configured; nothing below is looked at otherwise */
    int64_t max_age_s;          /* maxAge */
    int64_t recheck_after_ms;   /* recheckAfter; monotonic, like a fact's age */
    bool refuse_unknown_fact;   /* unknownFact: Refuse */
    bool refuse_without_handle; /* withoutHandle: Refuse */
};

struct resource_pattern {                     /* RESOURCE[.GROUP][/SUBRESOURCE], each may be "*" */
    struct text group, resource, subresource; /* subresource empty: the resource itself only */
};

struct admission_match { /* which requests a rule is about; what is empty excludes none */
    unsigned operations; /* enum admission_operation, joined; 0: all */
    const struct resource_pattern *resources;
    size_t n_resources;
    struct text_list namespaces, users, groups, issuers;
};

struct token_requirement { /* what the token must say; all that is given must hold */
    bool is_set;
    int64_t max_age_s;      /* since auth_time, or iat where there is none; 0: any */
    struct text_list acr;   /* one of them */
    struct text_list amr;   /* each of them */
    struct text_list scope; /* each of them */
    struct text claim, value;
};

struct subject_requirement { /* whom a RoleBinding or ClusterRoleBinding may name; system:masters never */
    bool is_set;
    bool mapped_groups_only, forbids_users;
};

struct admission_rule {
    struct text name;
    struct admission_match match;
    struct token_requirement token;
    struct subject_requirement subjects;
    enum admission_action action;
    struct text message; /* may be empty */
};

struct policy {
    uint32_t generation; /* of the configuration; 1 is the first */
    struct text cluster;
    struct text_list api_audiences; /* the API server's own; empty: not told */
    const struct issuer_policy *issuers;
    size_t n_issuers;
    struct handle_policy handle;
    const struct admission_rule *rules; /* admission.rules */
    size_t n_rules;
};
