/*
 * The groups of a user: claim -> groupMapping -> prefix, complete or not at all.
 */
#pragma once

#include "core/mapping.h"

/* Fills the user's groups. Returns REASON_OK, or why not. */
enum reason groups_map(const struct reading *reading, struct mapped_user *user);

/* Takes the groups away that outage.groups does not list. */
void groups_reduce(const struct issuer_policy *issuer, struct mapped_user *user);

/* How long a fact may serve for this user: the first tier that one of its groups is in, never longer than the issuer's ttl.
   A tier names a group as the provider or as the mapping calls it, without the prefix. */
int64_t groups_ttl_ms(const struct reading *reading, const struct mapped_user *user);

/* ---- which groups there can be, whoever logs in ---- */

enum group_origin {
    GROUP_NEVER, /* nobody who logs in is ever in it */
    GROUP_KEPT,  /* no rule leads to it, but unmapped is Keep: the provider may have a group of that name */
    GROUP_RULED, /* a rule leads to it */
};

/*
 * Where a Kubernetes group, prefix included, can come from. It is the groups' side of groups_map() and of
 * userValidationRules read backwards: what these would refuse comes from nowhere.
 */
enum group_origin groups_origin(const struct issuer_policy *issuer, struct text group);

/* The same over all issuers: the surest origin that one of them has for it. */
enum group_origin groups_origin_in(const struct policy *policy, struct text group);

/* Whether some issuer's groups begin as this one does. Without a prefix every group's but Kubernetes's own do. */
bool groups_within_reach(const struct policy *policy, struct text group);
