/*
 * What went wrong, for a person: one line that names the thing, the place and the way out.
 *
 * The return value of a function says what happened to the program; this says it to the admin. It never holds a token,
 * a part of one, a secret, or what a provider sent.
 */
#pragma once

#include "base/limits.h"

struct error {
    char text[LIMIT_ERROR_BYTES];
};

/* Replaces the text; cut with "..." where it is too long. error may be NULL: then nothing happens. Any thread. */
void error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the text. error may be NULL. */
void error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
