/*
 * What a configuration may say about changes, and yet cannot mean.
 */
#pragma once

#include "ops/config_fields.h"

/* Warns of rules that can never match or never hold, and of rules that nobody asks. Returns 0 or -ENOMEM. */
int config_admission_warn(struct config_reader *reader, const struct yaml_node *root, const struct policy *policy);
