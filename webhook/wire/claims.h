/*
 * The claims of a fact, opened for reading: an index over a copy of their JSON, made in one pass of wire/scan, so that
 * core/ can ask for a claim by its name without knowing who parses. Asking allocates nothing.
 */
#pragma once

#include <stdbool.h>

#include "base/text.h"

struct claims;

/* What a claim is. */
enum claim_kind { CLAIM_ABSENT, CLAIM_STRING, CLAIM_STRINGS, CLAIM_BOOLEAN, CLAIM_NUMBER, CLAIM_OTHER };

/*
 * Opens the JSON object that fact_claims() gives.
 * Returns 0, -ENOMEM, or -EBADMSG (which a fact's own claims never are). The caller owns *ret_claims: claims_close() it.
 */
int claims_open(struct text json, struct claims **ret_claims);

/* NULL is fine. */
void claims_close(struct claims *claims);

/* The kind of a top-level claim. null counts as absent. An array is STRINGS only if every element is a string. */
enum claim_kind claims_kind(const struct claims *claims, struct text name);

/* The value of a STRING claim, borrowed until claims_close(); the empty text for any other kind. */
struct text claims_string(const struct claims *claims, struct text name);

/* Elements of a STRINGS claim (1 for a STRING, 0 for any other kind), and one of them, borrowed until claims_close(). */
size_t claims_n_strings(const struct claims *claims, struct text name);
struct text claims_string_at(const struct claims *claims, struct text name, size_t index);

/* Whether an OBJECT claim outer has a member inner: _claim_names.groups (OpenID Connect Core section 5.6.2). */
bool claims_has_member(const struct claims *claims, struct text outer, struct text inner);

/* Whether a claim is the boolean true. */
bool claims_is_true(const struct claims *claims, struct text name);

/* A BOOLEAN or integral NUMBER claim written as text ("true", "42") into room; the empty text where it does not fit. A
   rule compares with text, so that requiredValue: "true" matches a JSON true. */
struct text claims_scalar(const struct claims *claims, struct text name, char *room, size_t n_room);
