#include "core/bindings.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/limits.h"
#include "core/groups.h"

/* ---- names ---- */

/* 48 bits: two of all the bindings that a configuration can have share a name once in ten million configurations. */
#define NAME_DIGEST_BYTES 6

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* For people only, so it may be cut and lose characters: the digest tells names apart. */
static void append_part(struct buffer *buffer, struct text part) {
    const size_t n = part.n_bytes < LIMIT_BINDING_NAME_PART_BYTES ? part.n_bytes : LIMIT_BINDING_NAME_PART_BYTES;
    buffer_append_char(buffer, ':');
    for (size_t i = 0; i < n; i++)
        buffer_append_char(buffer, is_plain(part.data[i]) ? part.data[i] : '-');
}

/* Each part with its length before it, so that no two lists of parts are the same bytes. */
static int digest_of(const struct rbac_binding *binding, uint8_t ret_digest[DIGEST_BYTES]) {
    const struct text parts[] = {binding->issuer, binding->provider_group,
                                 binding->is_cluster_role ? TEXT("ClusterRole") : TEXT("Role"), binding->role,
                                 binding->namespace_name};
    struct buffer bytes;
    char memory[4 * LIMIT_CONFIG_TEXT_BYTES];
    buffer_init_fixed(&bytes, memory, sizeof(memory));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        buffer_append_u64(&bytes, parts[i].n_bytes);
        buffer_append_char(&bytes, ':');
        buffer_append(&bytes, parts[i]);
    }
    return bytes.error != 0 ? -EIO : digest_sha256(buffer_text(&bytes), ret_digest);
}

static int name(struct rbac_binding *binding, struct arena *arena) {
    uint8_t digest[DIGEST_BYTES];
    const int r = digest_of(binding, digest);
    if (r != 0)
        return r;
    struct buffer buffer;
    char memory[4 * (LIMIT_BINDING_NAME_PART_BYTES + 1) + sizeof("kube-introspect") + 2 * NAME_DIGEST_BYTES];
    buffer_init_fixed(&buffer, memory, sizeof(memory));
    buffer_append(&buffer, TEXT("kube-introspect"));
    append_part(&buffer, binding->issuer);
    append_part(&buffer, binding->provider_group);
    append_part(&buffer, binding->role);
    buffer_append_char(&buffer, ':');
    buffer_append_hex(&buffer, digest, NAME_DIGEST_BYTES);
    return arena_text(arena, buffer_text(&buffer), &binding->name);
}

/* ---- making ---- */

/* The group's full name, in the arena. */
static int full_name(const struct issuer_policy *issuer, struct text group, struct arena *arena, struct text *ret_name) {
    const size_t n_prefix = issuer->groups_prefix.n_bytes;
    char *bytes = arena_alloc(arena, n_prefix + group.n_bytes);
    if (bytes == NULL)
        return -ENOMEM;
    if (n_prefix > 0)
        memcpy(bytes, issuer->groups_prefix.data, n_prefix);
    if (group.n_bytes > 0)
        memcpy(bytes + n_prefix, group.data, group.n_bytes);
    *ret_name = (struct text){.data = bytes, .n_bytes = n_prefix + group.n_bytes};
    return 0;
}

static int full_names(const struct issuer_policy *issuer, const struct text_list *groups, struct arena *arena,
                      struct text_list *ret_names) {
    struct text_list names = {.items = arena_array(arena, groups->n_items, sizeof(struct text)),
                              .n_items = groups->n_items};
    int r = names.items == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < groups->n_items && r == 0; i++)
        r = full_name(issuer, groups->items[i], arena, &names.items[i]);
    if (r == 0)
        *ret_names = names;
    return r;
}

static int rule_path(size_t issuer, size_t rule, struct arena *arena, struct text *ret_path) {
    char memory[96];
    struct buffer path;
    buffer_init_fixed(&path, memory, sizeof(memory));
    buffer_append_format(&path, "issuers[%zu].groupMapping.rules[%zu]", issuer, rule);
    return arena_text(arena, buffer_text(&path), ret_path);
}

/* Adds the bindings of one rule. */
static int make_rule(const struct policy *policy, size_t issuer, size_t rule, struct arena *arena,
                     struct bindings *bindings) {
    const struct issuer_policy *of = &policy->issuers[issuer];
    const struct group_rule *from = &of->group_rules[rule];
    struct rbac_binding common = {.issuer = of->name, .provider_group = from->group};
    int r = rule_path(issuer, rule, arena, &common.rule);
    if (r == 0)
        r = full_names(of, &from->to, arena, &common.groups);
    for (size_t i = 0; i < from->n_bind && r == 0; i++) {
        const struct role_reference *role = &from->bind[i];
        struct rbac_binding *binding = &bindings->items[bindings->n_items++];
        *binding = common;
        binding->is_cluster_role = role->cluster_role.n_bytes > 0;
        binding->role = binding->is_cluster_role ? role->cluster_role : role->role;
        binding->namespace_name = role->namespace_name;
        r = name(binding, arena);
    }
    return r;
}

static size_t n_roles(const struct policy *policy) {
    size_t n = 0;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        for (size_t j = 0; j < policy->issuers[i].n_group_rules; j++)
            n += policy->issuers[i].group_rules[j].n_bind;
    }
    return n;
}

int bindings_make(const struct policy *policy, struct arena *arena, struct bindings *ret_bindings) {
    struct bindings bindings = {.items = arena_array(arena, n_roles(policy), sizeof(*bindings.items))};
    int r = bindings.items == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        for (size_t j = 0; j < policy->issuers[i].n_group_rules && r == 0; j++) {
            if (policy->issuers[i].group_rules[j].n_bind > 0)
                r = make_rule(policy, i, j, arena, &bindings);
        }
    }
    if (r == 0)
        *ret_bindings = bindings;
    return r;
}

/* ---- comparing ---- */

/* Something to look names up in: sorted, without owning what it points to. */
struct binding_index {
    const struct rbac_binding **items;
    size_t n_items;
};

/* A group that a rule leads to. */
struct ruled_group {
    struct text group;
    size_t issuer, rule;
};

struct comparison {
    const struct policy *policy;
    const struct bindings *made;
    const struct rbac_list *live;
    struct binding_index made_index, live_index;
    struct bound_group *bound; /* by group */
    size_t n_bound;
    struct ruled_group *ruled; /* by group, then by rule */
    size_t n_ruled;
    void (*visit)(void *context, const struct difference *difference);
    void *context;
};

static int compare_texts(struct text a, struct text b) {
    const size_t n = a.n_bytes < b.n_bytes ? a.n_bytes : b.n_bytes;
    const int order = n == 0 ? 0 : memcmp(a.data, b.data, n);
    return order != 0 ? order : (a.n_bytes > b.n_bytes) - (a.n_bytes < b.n_bytes);
}

static int by_name(const void *a, const void *b) {
    const struct rbac_binding *first = *(const struct rbac_binding *const *)a,
                              *second = *(const struct rbac_binding *const *)b;
    const int order = compare_texts(first->namespace_name, second->namespace_name);
    return order != 0 ? order : compare_texts(first->name, second->name);
}

static int by_group(const void *a, const void *b) {
    const struct bound_group *first = a, *second = b;
    const int order = compare_texts(first->group, second->group);
    return order != 0 ? order : by_name(&first->binding, &second->binding);
}

static int by_group_and_rule(const void *a, const void *b) {
    const struct ruled_group *first = a, *second = b;
    const int order = compare_texts(first->group, second->group);
    if (order != 0)
        return order;
    const int by_issuer = (first->issuer > second->issuer) - (first->issuer < second->issuer);
    return by_issuer != 0 ? by_issuer : (first->rule > second->rule) - (first->rule < second->rule);
}

static int make_index(const struct rbac_binding *bindings, size_t n_bindings, struct arena *arena,
                      struct binding_index *ret_index) {
    const struct rbac_binding **items = arena_array(arena, n_bindings, sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n_bindings; i++)
        items[i] = &bindings[i];
    qsort(items, n_bindings, sizeof(*items), by_name);
    *ret_index = (struct binding_index){.items = items, .n_items = n_bindings};
    return 0;
}

/* The binding of the same namespace and name, or NULL. */
static const struct rbac_binding *find(const struct binding_index *index, const struct rbac_binding *like) {
    const struct rbac_binding **found = bsearch(&like, index->items, index->n_items, sizeof(*index->items), by_name);
    return found == NULL ? NULL : *found;
}

static int collect_bound(struct comparison *comparison, struct arena *arena) {
    const struct rbac_list *live = comparison->live;
    size_t n = 0;
    for (size_t i = 0; i < live->n_items; i++)
        n += live->items[i].groups.n_items;
    comparison->bound = arena_array(arena, n, sizeof(*comparison->bound));
    if (comparison->bound == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < live->n_items; i++) {
        for (size_t j = 0; j < live->items[i].groups.n_items; j++)
            comparison->bound[comparison->n_bound++] =
                (struct bound_group){.group = live->items[i].groups.items[j], .binding = &live->items[i]};
    }
    qsort(comparison->bound, n, sizeof(*comparison->bound), by_group);
    return 0;
}

static int collect_rule(struct comparison *comparison, size_t issuer, size_t rule, struct arena *arena) {
    const struct issuer_policy *of = &comparison->policy->issuers[issuer];
    const struct text_list *to = &of->group_rules[rule].to;
    for (size_t i = 0; i < to->n_items; i++) {
        struct ruled_group *ruled = &comparison->ruled[comparison->n_ruled];
        *ruled = (struct ruled_group){.issuer = issuer, .rule = rule};
        if (full_name(of, to->items[i], arena, &ruled->group) != 0)
            return -ENOMEM;
        /* a userValidationRule may refuse what the rule leads to */
        comparison->n_ruled += groups_origin(of, ruled->group) == GROUP_RULED;
    }
    return 0;
}

static int collect_ruled(struct comparison *comparison, struct arena *arena) {
    const struct policy *policy = comparison->policy;
    size_t n = 0;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        for (size_t j = 0; j < policy->issuers[i].n_group_rules; j++)
            n += policy->issuers[i].group_rules[j].to.n_items;
    }
    comparison->ruled = arena_array(arena, n, sizeof(*comparison->ruled));
    int r = comparison->ruled == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        for (size_t j = 0; j < policy->issuers[i].n_group_rules && r == 0; j++)
            r = collect_rule(comparison, i, j, arena);
    }
    if (r == 0)
        qsort(comparison->ruled, comparison->n_ruled, sizeof(*comparison->ruled), by_group_and_rule);
    return r;
}

/* ---- what is different ---- */

static bool has_all(const struct text_list *groups, const struct text_list *wanted) {
    for (size_t i = 0; i < wanted->n_items; i++) {
        if (!text_list_contains(groups, wanted->items[i]))
            return false;
    }
    return true;
}

/* Who gets which role; the order of the subjects and all annotations mean nothing to RBAC. */
static bool grants_the_same(const struct rbac_binding *a, const struct rbac_binding *b) {
    return a->is_cluster_role == b->is_cluster_role && text_equal(a->role, b->role) &&
           a->n_other_subjects == b->n_other_subjects && has_all(&a->groups, &b->groups) && has_all(&b->groups, &a->groups);
}

static void visit_made(const struct comparison *comparison, enum difference_kind kind) {
    for (size_t i = 0; i < comparison->made->n_items; i++) {
        const struct rbac_binding *made = &comparison->made->items[i];
        const struct rbac_binding *live = find(&comparison->live_index, made);
        const bool is_missing = live == NULL;
        if (kind == DIFFERENCE_MISSING ? !is_missing : is_missing || grants_the_same(made, live))
            continue;
        const struct difference difference = {.kind = kind, .made = made, .live = live};
        comparison->visit(comparison->context, &difference);
    }
}

static void visit_left_over(const struct comparison *comparison) {
    for (size_t i = 0; i < comparison->live->n_items; i++) {
        const struct rbac_binding *live = &comparison->live->items[i];
        if (live->rule.n_bytes == 0 || find(&comparison->made_index, live) != NULL)
            continue;
        const struct difference difference = {.kind = DIFFERENCE_LEFT_OVER, .live = live};
        comparison->visit(comparison->context, &difference);
    }
}

/* Bound groups of this origin, each once with all its bindings. */
static void visit_bound(const struct comparison *comparison, enum group_origin origin, enum difference_kind kind) {
    for (size_t i = 0, n; i < comparison->n_bound; i += n) {
        const struct bound_group *first = &comparison->bound[i];
        for (n = 1; i + n < comparison->n_bound && text_equal(first[n].group, first->group);)
            n++;
        if (!groups_within_reach(comparison->policy, first->group) ||
            groups_origin_in(comparison->policy, first->group) != origin)
            continue;
        const struct difference difference = {.kind = kind, .group = first->group, .bound = first, .n_bound = n};
        comparison->visit(comparison->context, &difference);
    }
}

static bool is_bound(const struct comparison *comparison, struct text group) {
    size_t first = 0, n = comparison->n_bound;
    while (n > 0) {
        const size_t half = n / 2;
        const int order = compare_texts(comparison->bound[first + half].group, group);
        if (order == 0)
            return true;
        first += order < 0 ? half + 1 : 0;
        n = order < 0 ? n - half - 1 : half;
    }
    return false;
}

static void visit_not_bound(const struct comparison *comparison) {
    for (size_t i = 0; i < comparison->n_ruled; i++) {
        const struct ruled_group *ruled = &comparison->ruled[i];
        if ((i > 0 && text_equal(ruled[-1].group, ruled->group)) || is_bound(comparison, ruled->group))
            continue;
        const struct difference difference = {
            .kind = DIFFERENCE_NOT_BOUND, .group = ruled->group, .issuer = ruled->issuer, .rule = ruled->rule};
        comparison->visit(comparison->context, &difference);
    }
}

int bindings_compare(const struct policy *policy, const struct bindings *made, const struct rbac_list *live,
                     struct arena *arena, void (*visit)(void *context, const struct difference *difference),
                     void *context) {
    struct comparison comparison = {.policy = policy, .made = made, .live = live, .visit = visit, .context = context};
    int r = make_index(made->items, made->n_items, arena, &comparison.made_index);
    if (r == 0)
        r = make_index(live->items, live->n_items, arena, &comparison.live_index);
    if (r == 0)
        r = collect_bound(&comparison, arena);
    if (r == 0)
        r = collect_ruled(&comparison, arena);
    if (r != 0)
        return r;
    visit_made(&comparison, DIFFERENCE_MISSING);
    visit_made(&comparison, DIFFERENCE_CHANGED);
    visit_left_over(&comparison);
    visit_bound(&comparison, GROUP_NEVER, DIFFERENCE_NOT_MAPPED);
    visit_not_bound(&comparison);
    visit_bound(&comparison, GROUP_KEPT, DIFFERENCE_KEPT);
    return 0;
}
