/*
 * The bindings of RBAC that belong to a group mapping (groupMapping.rules[].bind), and how they differ from a cluster's.
 */
#pragma once

#include "base/arena.h"
#include "core/policy.h"
#include "wire/rbac.h"

struct bindings {
    struct rbac_binding *items;
    size_t n_items;
};

/*
 * Makes one binding for each role of each rule, in their order; its subjects are all groups of the rule, prefix included.
 * The name is made of issuer, provider's group and role: other groups in to change the subjects, another role, which a
 * binding cannot change to, is another binding, and no two have the same name.
 *
 * arena  owns the bindings; some of their texts are the policy's
 *
 * Returns 0, -ENOMEM, or -EIO (no digest).
 */
int bindings_make(const struct policy *policy, struct arena *arena, struct bindings *ret_bindings);

/* ---- against a cluster ---- */

enum difference_kind {
    DIFFERENCE_MISSING,    /* made, and not in the cluster */
    DIFFERENCE_CHANGED,    /* there by its name, with another role or other subjects */
    DIFFERENCE_LEFT_OVER,  /* in the cluster as one of ours, and made no more */
    DIFFERENCE_NOT_MAPPED, /* a group that begins like an issuer's, is bound, and that nobody who logs in can be in */
    DIFFERENCE_NOT_BOUND,  /* a group that a rule leads to and that no binding names */
    DIFFERENCE_KEPT,       /* none, but to be known: a bound group that only a provider's group without a rule can become */
};

/* A group and a binding that names it. */
struct bound_group {
    struct text group;
    const struct rbac_binding *binding;
};

struct difference {
    enum difference_kind kind;
    const struct rbac_binding *made; /* of MISSING and CHANGED */
    const struct rbac_binding *live; /* of CHANGED and LEFT_OVER */
    struct text group;               /* of the last three kinds */
    const struct bound_group *bound; /* of NOT_MAPPED and KEPT: who names it */
    size_t n_bound;
    size_t issuer, rule; /* of NOT_BOUND: the first rule that leads to it */
};

/*
 * Visits each difference, in the order of the kinds; within one, bindings in their own order and groups by name. A group of
 * Kubernetes's own ("system:") is never one.
 *
 * arena  for work; it may be freed afterwards
 *
 * Returns 0 or -ENOMEM.
 */
int bindings_compare(const struct policy *policy, const struct bindings *made, const struct rbac_list *live,
                     struct arena *arena, void (*visit)(void *context, const struct difference *difference), void *context);
