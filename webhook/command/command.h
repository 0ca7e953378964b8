/*
 * The commands of the program. Each returns its exit status: 0 good, 1 what was asked about is bad, 2 wrong use.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct config;

enum { EXIT_GOOD = 0, EXIT_BAD = 1, EXIT_USAGE = 2 };
/* Of a comparison, as of diff(1) and kubectl diff. */
enum { EXIT_DIFFERENT = 1, EXIT_NO_DIFF = 2 };

/* Serves until SIGTERM or SIGINT. */
int command_serve(const char *config_path);

/* Validates all that a start would; online: asks each provider as well. */
int command_check(const char *config_path, bool online);

struct explain_options {
    const char *reply_path;     /* "-": standard input; NULL with an admission_path: nothing is known of the token */
    const char *admission_path; /* an AdmissionReview to walk through the rules; likewise; NULL: a login is explained */
    const char *audience;       /* NULL: the review asks for none */
    const char *issuer;         /* NULL: the only one */
    int64_t at_unix_s;          /* the time to explain for */
};

/* Prints, rule by rule, what would come of an introspection reply, or of a change. */
int command_explain(const char *config_path, const struct explain_options *options);

/* The second of these. Returns an exit status, or a negative errno with error set. */
int command_explain_admission(const struct config *config, const struct explain_options *options, struct error *error);

/*
 * Prints the bindings that the group mapping asks for; or, where diff_path is not NULL ("-": standard input), how those of
 * a cluster differ from them, and ends like diff(1).
 */
int command_render_rbac(const char *config_path, const char *diff_path);
