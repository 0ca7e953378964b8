/*
 * Claims -> a Kubernetes user: name, groups, uid and extra, and the guards on what may come of them. Nothing is ever
 * dropped or shortened in silence: a claim that cannot be mapped whole is a refusal with its own reason.
 */
#pragma once

#include "base/limits.h"
#include "core/rules.h"

/* A user under construction. All texts are borrowed from claims and policy, and without the prefixes. */
struct mapped_user {
    struct text username, uid; /* uid: empty where none is mapped */
    size_t n_groups;
    struct text groups[LIMIT_GROUPS];
};

/* Each returns REASON_OK, or why not. */
enum reason mapping_username(const struct reading *reading, struct mapped_user *user);
enum reason mapping_uid(const struct reading *reading, struct mapped_user *user);

/*
 * Appends the members of extra, with a comma before each but the first: "KEY":["VALUE",...]. Last of them, where the reply
 * has a jti, Kubernetes' own credential-id. Whether the buffer took all is its error's to say.
 */
enum reason mapping_extra(const struct reading *reading, struct buffer *buffer);

/* userValidationRules, on the user with its prefixes. */
enum reason mapping_user_rules(const struct reading *reading, const struct mapped_user *user);

/* ---- names, for this and for groups ---- */

/* Prefix and value as if they stood in one text. */
bool mapping_starts_with(struct text prefix, struct text value, struct text start);

/* Whether the text has a control character (Unicode category Cc), which can forge a line of a log or a table. */
bool mapping_has_control(struct text text);

/* Appends prefix and value as one JSON string; both together at most LIMIT_USERNAME_BYTES or LIMIT_GROUP_BYTES. */
void mapping_append_name(struct text prefix, struct text value, struct buffer *buffer);
