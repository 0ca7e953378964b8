/*
 * The groups of a user: claim -> groupMapping -> prefix, complete or not at all.
 */
#pragma once

#include "core/mapping.h"

/* Fills the user's groups. Returns REASON_OK, or why not. */
enum reason groups_map(const struct reading *reading, struct mapped_user *user);

/* How long a fact may serve for this user: the first tier that one of its groups is in, never longer than the issuer's ttl.
   A tier names a group as the provider or as the mapping calls it, without the prefix. */
int64_t groups_ttl_ms(const struct reading *reading, const struct mapped_user *user);
