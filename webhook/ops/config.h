/*
 * The configuration file, read: what an admin wrote, checked and with every default filled in. Immutable; one arena owns
 * all texts and lists. docs/configuration.md describes each field; a test holds the two together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "core/breaker.h"
#include "core/budget.h"
#include "core/policy.h"

struct config_tls {
    char *cert_file, *key_file,
        *client_ca_file;           /* absolute or relative to the working directory; client_ca_file may be NULL */
    struct text_list client_names; /* empty: any certificate of that CA */
    bool is_set;
};

struct config_listener {
    bool is_set;
    char *host, *port; /* for getaddrinfo() with AI_NUMERICHOST; "[::]:8443" gives "::" and "8443" */
    struct config_tls tls;
};

enum client_method { CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, CLIENT_TLS };

struct config_introspection {
    char *endpoint; /* NULL: from the discovery document */
    char *client_id;
    enum client_method method;
    char *secret_file;          /* for the two secret methods */
    char *cert_file, *key_file; /* for tls_client_auth */
    char *ca_file;              /* issuer.certificateAuthorityFile; NULL: the system's */
    int64_t timeout_ms;
    uint32_t max_retries;        /* retries */
    uint32_t max_concurrent;     /* budget.concurrent */
    struct budget_policy budget; /* the rest of budget */
    struct breaker_policy breaker;
};

struct config_audit {
    char *path; /* "-": standard output */
    bool refuse_when_unwritable;
};

struct config_cache {
    uint32_t max_entries, max_negative_entries;
};

struct config {
    char *path; /* of the file */
    struct config_listener authentication, admission, operations;
    /* Index for index: issuers[i].introspection belongs to policy.issuers[i]. policy.generation is 0 here. */
    struct policy policy;
    struct config_introspection *introspection;
    struct config_cache cache;
    char *handle_key_file; /* handle.keyFile; NULL where policy.handle.is_on is false */
    struct config_audit audit;
    enum log_level log_level;
    enum log_format log_format;
    uint32_t n_threads; /* loops of the authentication listener */
    /* Things that are allowed but that an admin should hear of; check and serve print them. */
    char **warnings;
    size_t n_warnings;
    struct arena *arena;
};

/*
 * Reads and checks a configuration file. Reads no other file: whether certificates and secrets are there and fit is
 * snapshot_load()'s question.
 *
 * Paths in it are resolved against the file's folder. Unknown and duplicate keys are errors.
 *
 * error  "PATH:LINE:COLUMN: field.path: what is wrong, and the way out"
 *
 * Returns 0; a negative errno (-ENOMEM, or of reading the file); or CONFIG_INVALID. *ret_config: config_free() it.
 */
enum { CONFIG_INVALID = 1 };
int config_load(const char *path, struct config **ret_config, struct error *error);

/* The same from bytes; path is for messages and for resolving paths. */
int config_parse(struct text bytes, const char *path, struct config **ret_config, struct error *error);

/* NULL is fine. */
void config_free(struct config *config);

/* ---- for documentation ---- */

struct config_field {
    const char *path;       /* "issuers[].cache.ttl" */
    const char *type;       /* "duration" */
    const char *by_default; /* as an admin would write it, or NULL */
    const char *range;      /* "0s to 10m", or the words that it takes; empty: has none */
    bool is_required;
    bool is_absent; /* of a later release: refused by name; only path is set, and range where it is one word of a field */
};

/* Visits every field that the reader knows, in the order of its tables; then those of a later release. Borrowed for the
 * call. */
void config_describe(void (*visit)(void *context, const struct config_field *field), void *context);
