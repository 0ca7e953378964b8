/*
 * Rules for changes (admission): their fields, and what holds between them.
 */
#pragma once

#include "ops/config_fields.h"

/* A rule as it is read, with what is still text. */
struct admission_rule_settings {
    struct admission_rule rule;
    struct text_list operations, resources;
};

struct admission_settings {
    bool refuse_without_handle;
    struct admission_rule_settings *rules;
    size_t n_rules;
};

/* The fields of admission, read into a struct admission_settings. */
extern const struct field_table config_admission_fields;

/*
 * Checks the rules and puts them into the policy, whose issuers are there already.
 *
 * root  the file's
 *
 * Returns 0, -ENOMEM, or CONFIG_INVALID with the reader's error set.
 */
int config_admission_check(struct config_reader *reader, const struct yaml_node *root,
                           const struct admission_settings *settings, struct policy *policy);
