/*
 * The issuers of a configuration: their fields, and the rules that hold between fields.
 */
#pragma once

#include "ops/config_fields.h"

/* How much a userValidationRule says before it is known which of the two forms it has. */
struct user_rule_settings {
    struct text username_not_prefix, groups_not_prefix;
};

/* An issuer as it is read: what goes into the policy and what goes to the provider's side, still together. */
struct issuer_settings {
    struct issuer_policy policy;
    struct config_introspection introspection;
    struct cache_tier *tiers;
    struct extra_mapping *extra;
    struct claim_rule *claim_rules;
    struct group_rule *group_rules;
    struct user_rule_settings *user_rules;
    size_t n_user_rules;
};

/* The fields of one issuer, read into a struct issuer_settings. */
extern const struct field_table config_issuer_fields;

/*
 * Checks what holds between the fields of an issuer, and between issuers, and completes the settings.
 *
 * list  the node of issuers; its n-th child is settings[n]
 *
 * Returns 0, -ENOMEM, or CONFIG_INVALID with the reader's error set.
 */
int config_issuer_check(struct config_reader *reader, const struct yaml_node *list, struct issuer_settings *settings,
                        size_t n_issuers);

/* Adds the warnings that the issuers deserve. Returns 0 or -ENOMEM. */
int config_issuer_warn(struct config_reader *reader, const struct yaml_node *list, const struct issuer_settings *settings,
                       size_t n_issuers);
