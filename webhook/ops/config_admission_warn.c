#include "ops/config_admission_warn.h"

#include "core/groups.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct yaml_node *member_or(const struct yaml_node *node, const char *name) {
    const struct yaml_node *member = yaml_member(node, name);
    return member == NULL ? node : member;
}

static bool is_one_of(struct text text, const struct text *texts, size_t n_texts) {
    for (size_t i = 0; i < n_texts; i++) {
        if (text_equal(text, texts[i]))
            return true;
    }
    return false;
}

static bool is_any(struct text part) {
    return text_equal(part, TEXT("*"));
}

/* ---- what Kubernetes has ---- */

/* The resources of the core group, whose name is empty. It gets no new ones. */
static bool is_core(struct text resource) {
    static const struct text names[] = {
        TEXT("bindings"),
        TEXT("configmaps"),
        TEXT("endpoints"),
        TEXT("events"),
        TEXT("limitranges"),
        TEXT("namespaces"),
        TEXT("nodes"),
        TEXT("persistentvolumeclaims"),
        TEXT("pods"),
        TEXT("persistentvolumes"),
        TEXT("secrets"),
        TEXT("podtemplates"),
        TEXT("resourcequotas"),
        TEXT("componentstatuses"),
        TEXT("services"),
        TEXT("replicationcontrollers"),
        TEXT("serviceaccounts"),
    };
    return is_one_of(resource, names, N_OF(names));
}

/* What is connected to, and nothing else can be done with. */
static bool is_connected_to(struct text subresource) {
    static const struct text names[] = {TEXT("attach"), TEXT("exec"), TEXT("portforward"), TEXT("proxy")};
    return is_one_of(subresource, names, N_OF(names));
}

static bool is_rbac(struct text group) {
    return is_any(group) || text_equal(group, TEXT("rbac.authorization.k8s.io"));
}

static bool may_be_binding(const struct resource_pattern *pattern) {
    static const struct text names[] = {TEXT("*"), TEXT("clusterrolebindings"), TEXT("rolebindings")};
    const bool has_own = pattern->subresource.n_bytes == 0 || (is_any(pattern->subresource) && is_any(pattern->resource));
    return has_own && is_rbac(pattern->group) && is_one_of(pattern->resource, names, N_OF(names));
}

/* Known to be outside of all namespaces. (Of a Namespace, the request's namespace is the one it makes.) */
static bool is_cluster_wide(const struct resource_pattern *pattern) {
    static const struct text rbac[] = {TEXT("clusterroles"), TEXT("clusterrolebindings")};
    static const struct text core[] = {TEXT("nodes"), TEXT("persistentvolumes"), TEXT("componentstatuses")};
    return pattern->group.n_bytes == 0 ? is_one_of(pattern->resource, core, N_OF(core))
                                       : is_one_of(pattern->resource, rbac, N_OF(rbac));
}

/* ---- resources that are never asked about so ---- */

/* Why the pattern never matches under the rule's other conditions, and the way out; NULL where it may. */
static const char *why_never(const struct admission_match *match, const struct resource_pattern *pattern) {
    const bool may_connect = match->operations == 0 || (match->operations & ADMISSION_CONNECT) != 0;
    const bool only_connects = match->operations == ADMISSION_CONNECT;
    if (pattern->group.n_bytes == 0 && !is_core(pattern->resource))
        return "the core group has no such resource, so this never matches: write its group after a dot, such as "
               "deployments.apps";
    if (is_connected_to(pattern->subresource) && !may_connect)
        return "this is only ever connected to, so this never matches: add CONNECT to operations";
    if (only_connects && !is_connected_to(pattern->subresource) && !is_any(pattern->subresource))
        return "nothing connects to this, so this never matches: name a subresource such as pods/exec, or other operations";
    if (match->namespaces.n_items > 0 && is_cluster_wide(pattern))
        return "this lies in no namespace, so this never matches beside namespaces: make it a rule of its own";
    return NULL;
}

static int warn_of_resources(struct config_reader *reader, const struct yaml_node *node,
                             const struct admission_rule *rule) {
    const struct yaml_node *list = yaml_member(yaml_member(node, "match"), "resources");
    for (const struct yaml_node *child = list == NULL ? NULL : list->first; child != NULL; child = child->next) {
        const char *why = why_never(&rule->match, &rule->match.resources[child->index]);
        if (why != NULL)
            return config_warn(reader, child, why);
    }
    return 0;
}

/* ---- people who never ask ---- */

static bool may_log_in(const struct policy *policy, struct text user) {
    for (size_t i = 0; i < policy->n_issuers; i++) {
        if (text_starts_with(user, policy->issuers[i].username_prefix) && !text_starts_with(user, TEXT("system:")))
            return true;
    }
    return false;
}

static int warn_of_people(struct config_reader *reader, const struct yaml_node *node, const struct policy *policy) {
    const struct yaml_node *match = yaml_member(node, "match");
    const struct yaml_node *users = yaml_member(match, "users"), *groups = yaml_member(match, "groups");
    for (const struct yaml_node *user = users == NULL ? NULL : users->first; user != NULL; user = user->next) {
        if (!may_log_in(policy, user->text))
            return config_warn(reader, user,
                               "nobody who logs in here has this name, so it never matches: write it with its prefix");
    }
    for (const struct yaml_node *group = groups == NULL ? NULL : groups->first; group != NULL; group = group->next) {
        if (!text_equal(group->text, TEXT("system:authenticated")) && groups_origin_in(policy, group->text) == GROUP_NEVER)
            return config_warn(reader, group,
                               "nobody who logs in here is ever in this group, so it never matches: write it as Kubernetes "
                               "sees it, after groupMapping and with its prefix");
    }
    return 0;
}

/* ---- demands that are never made, or never met ---- */

static bool may_name_subjects(const struct admission_match *match) {
    const bool may_change = match->operations == 0 || (match->operations & (ADMISSION_CREATE | ADMISSION_UPDATE)) != 0;
    bool may_bind = match->n_resources == 0;
    for (size_t i = 0; i < match->n_resources; i++)
        may_bind = may_bind || may_be_binding(&match->resources[i]);
    return may_change && may_bind;
}

static bool keeps_unmapped(const struct policy *policy) {
    for (size_t i = 0; i < policy->n_issuers; i++) {
        if (policy->issuers[i].groups_claim.n_bytes > 0 && !policy->issuers[i].drop_unmapped_groups)
            return true;
    }
    return false;
}

static int warn_of_subjects(struct config_reader *reader, const struct yaml_node *node, const struct admission_rule *rule,
                            const struct policy *policy) {
    const struct yaml_node *mapping = yaml_member(node, "subjects");
    if (mapping == NULL)
        return 0;
    if (!may_name_subjects(&rule->match))
        return config_warn(reader, mapping,
                           "only creating or updating rolebindings.rbac.authorization.k8s.io and "
                           "clusterrolebindings.rbac.authorization.k8s.io names subjects, and match has neither: this "
                           "never finds anything");
    if (rule->subjects.mapped_groups_only && keeps_unmapped(policy))
        return config_warn(reader, member_or(mapping, "groups"),
                           "unmapped is Keep at some issuer, so any group with its prefix can come out of the mapping, and "
                           "passes: set unmapped: Drop to make the rules the full list");
    return 0;
}

static int warn_of_rule(struct config_reader *reader, const struct yaml_node *node, const struct policy *policy) {
    const struct admission_rule *rule = &policy->rules[node->index];
    int r = warn_of_resources(reader, node, rule);
    if (r == 0)
        r = warn_of_people(reader, node, policy);
    if (r == 0)
        r = warn_of_subjects(reader, node, rule, policy);
    if (r == 0 && rule->token.is_set && !policy->handle.is_on)
        r = config_warn(reader, yaml_member(node, "requireToken"),
                        "handle is absent, so that nothing is known of anybody's token: this never holds");
    return r;
}

int config_admission_warn(struct config_reader *reader, const struct yaml_node *root, const struct policy *policy) {
    const struct yaml_node *list = yaml_member(yaml_member(root, "admission"), "rules");
    const struct yaml_node *listener = yaml_member(yaml_member(root, "listeners"), "admission");
    int r = 0;
    if (list != NULL && listener == NULL)
        r = config_warn(reader, list, "listeners.admission is absent, so nobody asks about these rules: give that");
    if (r == 0 && listener != NULL && !policy->handle.is_on)
        r = config_warn(reader, listener,
                        "handle is absent, so no token is looked at here: only rules about subjects can say no");
    for (const struct yaml_node *node = list == NULL ? NULL : list->first; node != NULL && r == 0; node = node->next)
        r = warn_of_rule(reader, node, policy);
    return r;
}
