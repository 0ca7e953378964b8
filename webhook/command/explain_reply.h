/*
 * What explain makes of an introspection reply in a file: the fact that a provider's answer would have become.
 */
#pragma once

#include "base/secret.h"
#include "command/command.h"
#include "core/decide.h"
#include "ops/config.h"
#include "wire/introspection.h"

/* The issuer of that name, or the only one where name is NULL. Returns 0, or -EINVAL with error set. */
int explain_find_issuer(const struct config *config, const char *name, size_t *ret_issuer, struct error *error);

/* path "-": standard input. secret_free() the bytes. Returns 0, or a negative errno with error set. */
int explain_read_reply(const char *path, struct secret **ret_bytes, struct error *error);

/* fact_unref() it. Returns 0 or -ENOMEM. */
int explain_make_fact(const struct introspection *reply, int64_t now_mono_ms, struct fact **ret_fact);

/* What is known of a token by its reply. */
struct explain_fact {
    struct fact *fact; /* NULL: the token is not good, so that nothing is known */
    size_t issuer;
    enum reason reason; /* why not, or REASON_OK */
    struct identity_names names;
};

/*
 * Judges the reply of the options as a login would.
 *
 * ret_fact  explain_fact_deinit() it, whatever happened
 *
 * Returns 0, or a negative errno with error set.
 */
int explain_fact_of(const struct config *config, const struct explain_options *options, struct explain_fact *ret_fact,
                    struct error *error);
void explain_fact_deinit(struct explain_fact *fact);
