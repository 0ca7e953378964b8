#include "ops/config_bind.h"

#include "ops/config_checks.h"

#define ROLE(member) offsetof(struct role_reference, member)

/* ---- fields ---- */

static const struct field fields[] = {
    {.name = "clusterRole",
     .type = &field_text,
     .offset = ROLE(cluster_role),
     .max = LIMIT_ROLE_NAME_BYTES,
     .check = config_check_role},
    {.name = "role", .type = &field_text, .offset = ROLE(role), .max = LIMIT_ROLE_NAME_BYTES, .check = config_check_role},
    {.name = "namespace", .type = &field_text, .offset = ROLE(namespace_name), .check = config_check_label},
};

const struct field_table config_bind_fields = {.items = fields, .n_items = sizeof(fields) / sizeof(fields[0])};

/* ---- rules between them ---- */

static bool is_same(const struct role_reference *a, const struct role_reference *b) {
    return text_equal(a->cluster_role, b->cluster_role) && text_equal(a->role, b->role) &&
           text_equal(a->namespace_name, b->namespace_name);
}

static int check_one(struct config_reader *reader, const struct yaml_node *node, const struct role_reference *roles) {
    const struct role_reference *role = &roles[node->index];
    const bool is_cluster_role = role->cluster_role.n_bytes > 0;
    if (is_cluster_role == (role->role.n_bytes > 0))
        return config_refuse(reader, node, "an entry is about either a clusterRole or a role: give one of them");
    if (!is_cluster_role && role->namespace_name.n_bytes == 0)
        return config_refuse(
            reader, node, "a role belongs to a namespace: give that as well, or name a clusterRole in place of the role");
    for (size_t i = 0; i < node->index; i++) {
        if (is_same(&roles[i], role))
            return config_refuse(reader, node, "bind[%zu] says the same: remove one of the two", i);
    }
    return 0;
}

int config_bind_check(struct config_reader *reader, const struct yaml_node *rule, const struct group_rule *settings) {
    const struct yaml_node *list = yaml_member(rule, "bind");
    if (list != NULL && settings->to.n_items == 0)
        return config_refuse(reader, list,
                             "there is no group to bind, as this rule's to is []: name groups there, or remove bind");
    int r = 0;
    for (const struct yaml_node *child = list == NULL ? NULL : list->first; child != NULL && r == 0; child = child->next)
        r = check_one(reader, child, settings->bind);
    return r;
}

/* ---- warnings ---- */

static bool is_provider_group(const struct issuer_policy *policy, struct text group) {
    for (size_t i = 0; i < policy->n_group_rules; i++) {
        if (text_equal(policy->group_rules[i].group, group))
            return true;
    }
    return false;
}

/* What a rule gives to its own group's members, unmapped: Keep gives to those of any group that is called like the result.
 */
static int warn_of_kept(struct config_reader *reader, const struct yaml_node *rules, const struct issuer_policy *policy) {
    for (const struct yaml_node *rule = rules->first; rule != NULL && !policy->drop_unmapped_groups; rule = rule->next) {
        const struct yaml_node *to = yaml_member(rule, "to");
        for (const struct yaml_node *group = to->first; group != NULL; group = group->next) {
            if (policy->group_rules[rule->index].n_bind > 0 && !is_provider_group(policy, group->text))
                return config_warn(
                    reader, group,
                    "unmapped is Keep, so a group that the provider itself calls by this name gets these roles "
                    "too: give that name a rule of its own, or set unmapped: Drop");
        }
    }
    return 0;
}

static int warn_of_cluster_admin(struct config_reader *reader, const struct yaml_node *rules) {
    for (const struct yaml_node *rule = rules->first; rule != NULL; rule = rule->next) {
        const struct yaml_node *list = yaml_member(rule, "bind");
        for (const struct yaml_node *role = list == NULL ? NULL : list->first; role != NULL; role = role->next) {
            const struct yaml_node *name = yaml_member(role, "clusterRole");
            if (name != NULL && text_equal(name->text, TEXT("cluster-admin")) && yaml_member(role, "namespace") == NULL)
                return config_warn(
                    reader, name,
                    "this role may do everything, so whoever can put people into this group at the provider owns "
                    "the cluster: keep another way in for the day when the provider is the problem");
        }
    }
    return 0;
}

int config_bind_warn(struct config_reader *reader, const struct yaml_node *rules, const struct issuer_policy *policy) {
    if (rules == NULL)
        return 0;
    const int r = warn_of_kept(reader, rules, policy);
    return r != 0 ? r : warn_of_cluster_admin(reader, rules);
}
