/*
 * The lines of an explanation (struct explanation in identity.h), written safely: what is seen of a claim is cut, and has
 * no control characters that could play with an admin's terminal.
 */
#pragma once

#include <stdbool.h>

#include "core/identity.h"

/* What a claim's value is shown by in a format: "%.*s" with SEEN(text). */
#define SEEN(text) explanation_precision(text), (text).n_bytes == 0 ? "" : (text).data

/* Longest part of one claim's value that is shown. */
int explanation_precision(struct text text);

/*
 * Tells of a rule. explanation may be NULL: then nothing is formatted.
 *
 * rule  the field of the configuration that sets it, or the claim where no field does
 *
 * Returns held, so that a rule can be checked and told of in one breath.
 */
bool explanation_rule(struct explanation *explanation, const char *rule, bool held, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for one of a list of rules: "claimValidationRules[2]". */
bool explanation_rule_at(struct explanation *explanation, const char *list, size_t index, bool held, const char *format,
                         ...) __attribute__((format(printf, 5, 6)));
