#include "ops/config_admission.h"

#include <errno.h>

#include "base/limits.h"
#include "ops/config_checks.h"

#define RULE(member) offsetof(struct admission_rule_settings, member)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define DAY_MS INT64_C(86400000)

/* ---- single texts ---- */

static const struct {
    struct text word;
    enum admission_operation operation;
} operations[] = {{TEXT("CREATE"), ADMISSION_CREATE},
                  {TEXT("UPDATE"), ADMISSION_UPDATE},
                  {TEXT("DELETE"), ADMISSION_DELETE},
                  {TEXT("CONNECT"), ADMISSION_CONNECT}};

/* 0: there is no such operation. */
static unsigned operation_of(struct text word) {
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (text_equal(word, operations[i].word))
            return operations[i].operation;
    }
    return 0;
}

static const char *check_operation(struct text text) {
    return operation_of(text) != 0 ? NULL : "this must be CREATE, UPDATE, DELETE or CONNECT; leave the list out for all";
}

/* Takes what stands before the mark from the front of text, mark included; all of it where there is no mark. */
static struct text take(struct text *text, char mark) {
    const char *at = text->n_bytes == 0 ? NULL : memchr(text->data, mark, text->n_bytes);
    const size_t n = at == NULL ? text->n_bytes : (size_t)(at - text->data), n_taken = at == NULL ? n : n + 1;
    const struct text taken = {.data = text->data, .n_bytes = n};
    *text = (struct text){.data = text->data + n_taken, .n_bytes = text->n_bytes - n_taken};
    return taken;
}

static struct resource_pattern pattern_of(struct text text) {
    struct text resource = take(&text, '/');
    struct resource_pattern pattern = {.subresource = text};
    pattern.resource = take(&resource, '.');
    pattern.group = resource;
    /* "*" alone stands for every group's resources, as in a webhook's own rules. */
    if (pattern.group.n_bytes == 0 && text_equal(pattern.resource, TEXT("*")))
        pattern.group = TEXT("*");
    return pattern;
}

static bool are_lower(struct text text, const char *others) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char c = text.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return true;
}

static bool is_part(struct text part, const char *others) {
    return text_equal(part, TEXT("*")) || are_lower(part, others);
}

static const char *check_resource(struct text text) {
    const struct resource_pattern pattern = pattern_of(text);
    const bool has_slash = memchr(text.data, '/', text.n_bytes) != NULL;
    if (pattern.resource.n_bytes == 0 || (has_slash && pattern.subresource.n_bytes == 0) ||
        !is_part(pattern.resource, "-") || !is_part(pattern.group, "-.") || !is_part(pattern.subresource, "-/"))
        return "this is no resource: write RESOURCE, RESOURCE.GROUP or either with /SUBRESOURCE, in lower case and the plural, "
               "such as clusterrolebindings.rbac.authorization.k8s.io or pods/exec; * stands for all";
    return NULL;
}

/* ---- fields ---- */

#define LIST_FIELD(field_name, member)                                                                                     \
    { .name = field_name, .type = &field_text_list, .offset = RULE(member), .min = 1 }

static const struct field match[] = {
    {.name = "operations",
     .type = &field_text_list,
     .offset = RULE(operations),
     .min = 1,
     .max = 4,
     .check = check_operation},
    {.name = "resources", .type = &field_text_list, .offset = RULE(resources), .min = 1, .check = check_resource},
    {.name = "namespaces",
     .type = &field_text_list,
     .offset = RULE(rule.match.namespaces),
     .min = 1,
     .check = config_check_label},
    LIST_FIELD("users", rule.match.users),
    LIST_FIELD("groups", rule.match.groups),
    LIST_FIELD("issuers", rule.match.issuers),
};

static const struct field require_token[] = {
    {.name = "maxAge", .type = &field_seconds, .offset = RULE(rule.token.max_age_s), .min = 1000, .max = 30 * DAY_MS},
    LIST_FIELD("acr", rule.token.acr),
    LIST_FIELD("amr", rule.token.amr),
    LIST_FIELD("scope", rule.token.scope),
    {.name = "claim", .type = &field_text, .offset = RULE(rule.token.claim)},
    {.name = "value", .type = &field_text, .offset = RULE(rule.token.value)},
};

static const struct field subjects[] = {
    {.name = "groups",
     .type = &field_either,
     .offset = RULE(rule.subjects.mapped_groups_only),
     .by_default = "Any",
     .words = WORDS("Any", "Mapped")},
    {.name = "users",
     .type = &field_either,
     .offset = RULE(rule.subjects.forbids_users),
     .by_default = "Any",
     .words = WORDS("Any", "Forbidden")},
};

static const struct field rule[] = {
    {.name = "name",
     .type = &field_text,
     .offset = RULE(rule.name),
     .required = "give the rule a name: people, audit records and metrics call it by that",
     .max = LIMIT_ADMISSION_RULE_NAME_BYTES,
     .check = config_check_label},
    {.name = "match",
     .type = &field_mapping,
     .required = "say which requests the rule is about: operations and resources",
     .fields = FIELD_TABLE(match)},
    {.name = "requireToken", .type = &field_mapping, .fields = FIELD_TABLE(require_token)},
    {.name = "subjects", .type = &field_mapping, .fields = FIELD_TABLE(subjects)},
    {.name = "action",
     .type = &field_choice,
     .offset = RULE(rule.action),
     .required = "say what happens where the rule does not hold: Deny, Warn or Audit",
     .words = WORDS("Deny", "Warn", "Audit")},
    {.name = "message", .type = &field_text, .offset = RULE(rule.message), .max = LIMIT_ADMISSION_MESSAGE_BYTES},
};

static const struct field fields[] = {
    {.name = "withoutHandle",
     .type = &field_either,
     .offset = offsetof(struct admission_settings, refuse_without_handle),
     .by_default = "Refuse",
     .words = WORDS("Allow", "Refuse")},
    {.name = "rules",
     .type = &field_mapping_list,
     .offset = offsetof(struct admission_settings, rules),
     .max = LIMIT_ADMISSION_RULES,
     .fields = FIELD_TABLE(rule),
     .item_bytes = sizeof(struct admission_rule_settings),
     .count_offset = offsetof(struct admission_settings, n_rules)},
};

const struct field_table config_admission_fields = {.items = fields, .n_items = sizeof(fields) / sizeof(fields[0])};

/* ---- rules between them ---- */

static int check_issuers(struct config_reader *reader, const struct yaml_node *node, const struct policy *policy) {
    const struct yaml_node *list = yaml_member(yaml_member(node, "match"), "issuers");
    for (const struct yaml_node *child = list == NULL ? NULL : list->first; child != NULL; child = child->next) {
        bool is_known = false;
        for (size_t i = 0; i < policy->n_issuers && !is_known; i++)
            is_known = text_equal(policy->issuers[i].name, child->text);
        if (!is_known)
            return config_refuse(reader, child, "no issuer has this name: write one of issuers[].name");
    }
    return 0;
}

static int check_token(struct config_reader *reader, const struct yaml_node *node, const struct token_requirement *token) {
    const struct yaml_node *mapping = yaml_member(node, "requireToken");
    if (mapping == NULL)
        return 0;
    if (mapping->n_children == 0)
        return config_refuse(reader, mapping, "nothing is required: give maxAge, acr, amr, scope, or claim and value");
    if (token->claim.n_bytes > 0 && token->value.n_bytes == 0)
        return config_refuse_absence(reader, mapping, "value", "write what the claim must be");
    if (token->claim.n_bytes == 0 && token->value.n_bytes > 0)
        return config_refuse_absence(reader, mapping, "claim", "write which claim must have this value");
    return 0;
}

static int check_rule(struct config_reader *reader, const struct yaml_node *node, const struct admission_rule *rules,
                      const struct policy *policy) {
    const struct admission_rule *own = &rules[node->index];
    for (size_t i = 0; i < node->index; i++) {
        if (text_equal(rules[i].name, own->name))
            return config_refuse(reader, yaml_member(node, "name"), "rules[%zu] has this name already: choose another", i);
    }
    if (!own->token.is_set && !own->subjects.is_set)
        return config_refuse(reader, node, "the rule demands nothing: give requireToken or subjects");
    const int r = check_issuers(reader, node, policy);
    return r != 0 ? r : check_token(reader, node, &own->token);
}

/* Completes a rule by what its texts mean. */
static int place_rule(struct arena *arena, const struct yaml_node *node, const struct admission_rule_settings *from,
                      struct admission_rule *to) {
    struct resource_pattern *resources = arena_array(arena, from->resources.n_items, sizeof(*resources));
    if (resources == NULL)
        return -ENOMEM;
    *to = from->rule;
    for (size_t i = 0; i < from->operations.n_items; i++)
        to->match.operations |= operation_of(from->operations.items[i]);
    for (size_t i = 0; i < from->resources.n_items; i++)
        resources[i] = pattern_of(from->resources.items[i]);
    to->match.resources = resources;
    to->match.n_resources = from->resources.n_items;
    to->token.is_set = yaml_member(node, "requireToken") != NULL;
    to->subjects.is_set = yaml_member(node, "subjects") != NULL;
    return 0;
}

static const struct yaml_node *rules_node(const struct yaml_node *root) {
    return yaml_member(yaml_member(root, "admission"), "rules");
}

int config_admission_check(struct config_reader *reader, const struct yaml_node *root,
                           const struct admission_settings *settings, struct policy *policy) {
    const struct yaml_node *list = rules_node(root);
    struct admission_rule *rules = arena_array(reader->arena, settings->n_rules, sizeof(*rules));
    int r = rules == NULL ? -ENOMEM : 0;
    for (const struct yaml_node *node = list == NULL ? NULL : list->first; node != NULL && r == 0; node = node->next) {
        r = place_rule(reader->arena, node, &settings->rules[node->index], &rules[node->index]);
        if (r == 0)
            r = check_rule(reader, node, rules, policy);
    }
    policy->rules = rules;
    policy->n_rules = settings->n_rules;
    policy->handle.refuse_without_handle = settings->refuse_without_handle;
    return r;
}
