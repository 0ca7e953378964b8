/*
 * What to say about a key or word that is not known: the nearest one that is, where else it belongs, or that its mechanism
 * is in a later release.
 */
#pragma once

#include "ops/config_fields.h"

/* Refuses a member whose key is not in the table. Returns CONFIG_INVALID. */
int config_hints_refuse_key(struct config_reader *reader, const struct yaml_node *node, const struct field_table *table);

/* The word that was most likely meant, or NULL. words ends with NULL. */
const char *config_hints_nearest_word(const char *const *words, struct text word);

/* True when the field at node (with this value; empty: whatever its value) is of a later release. */
bool config_hints_is_absent(const struct config_reader *reader, const struct yaml_node *node, struct text value);
