/*
 * RoleBindings and ClusterRoleBindings: written as YAML for kubectl apply, and read from what kubectl get prints.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

struct json_t;
struct arena;

struct rbac_binding {
    struct text namespace_name; /* empty: a ClusterRoleBinding */
    struct text name;
    bool is_cluster_role; /* what roleRef names: a ClusterRole, or a Role */
    struct text role;
    struct text_list groups; /* the subjects that are groups, in their order */
    size_t n_other_subjects; /* users and service accounts */
    /* Where it comes from, in annotations; without a rule it is not ours. */
    struct text rule;           /* "issuers[0].groupMapping.rules[2]" */
    struct text issuer;         /* issuers[].name */
    struct text provider_group; /* groupMapping.rules[].group */
};

/* Appends one document, "---" before it. All subjects are groups. */
void rbac_encode(const struct rbac_binding *binding, struct buffer *buffer);

/* Bindings of a cluster. The texts are borrowed from its document. */
struct rbac_list {
    struct rbac_binding *items;
    size_t n_items;
    size_t n_cluster_bindings; /* how many of them are ClusterRoleBindings */
    struct json_t *document;
    struct arena *arena;
};

/*
 * Reads a List, a ClusterRoleBindingList or a RoleBindingList, whole: anything else in it is an error.
 *
 * bytes     at most LIMIT_RBAC_LIST_BYTES; not needed after the return
 * source    what to call it in messages
 * ret_list  rbac_list_free() it
 * error     "SOURCE: items[3].roleRef: what is wrong, and the way out"
 *
 * Returns 0, RBAC_INVALID or -ENOMEM.
 */
enum { RBAC_INVALID = 1 };
int rbac_list_decode(struct text bytes, const char *source, struct rbac_list **ret_list, struct error *error);

/* NULL is fine. */
void rbac_list_free(struct rbac_list *list);
