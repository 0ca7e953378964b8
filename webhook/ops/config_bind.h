/*
 * The roles of a group mapping's rule (groupMapping.rules[].bind): its fields, and what holds between them.
 */
#pragma once

#include "core/policy.h"
#include "ops/config_fields.h"

/* The fields of one entry, read into a struct role_reference. */
extern const struct field_table config_bind_fields;

/*
 * Checks the entries of one rule.
 *
 * rule  the rule's node
 *
 * Returns 0, or CONFIG_INVALID with the reader's error set.
 */
int config_bind_check(struct config_reader *reader, const struct yaml_node *rule, const struct group_rule *settings);

/*
 * Warns of roles that more people get than the rules seem to say, once for each cause.
 *
 * rules  the node of groupMapping.rules, or NULL
 *
 * Returns 0 or -ENOMEM.
 */
int config_bind_warn(struct config_reader *reader, const struct yaml_node *rules, const struct issuer_policy *policy);
