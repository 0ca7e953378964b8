/*
 * How an issuer's provider is asked (issuers[].introspection): its fields, and what holds between them.
 */
#pragma once

#include "ops/config_fields.h"

/* The fields, read into a struct issuer_settings. */
extern const struct field_table config_introspection_fields;

/*
 * Checks what holds between the fields.
 *
 * node  of introspection
 *
 * Returns 0, or CONFIG_INVALID with the reader's error set.
 */
int config_introspection_check(struct config_reader *reader, const struct yaml_node *node,
                               const struct config_introspection *settings);
