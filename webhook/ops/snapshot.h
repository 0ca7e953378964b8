/*
 * A configuration together with the content of every file that it names, read at one moment: all that a generation of the
 * program runs on. Immutable and counted; whoever works with one holds a reference, so a reload never pulls anything away.
 */
#pragma once

#include <stdatomic.h>

#include "base/file.h"
#include "base/secret.h"
#include "ops/config.h"

struct watch;

struct snapshot_tls {
    struct secret *cert_pem, *key_pem, *client_ca_pem; /* client_ca_pem may be NULL */
};

struct snapshot_introspection {
    struct secret
        *client_secrets[LIMIT_CLIENT_SECRETS]; /* a file's lines: the new one, then the old one; NULL where none */
    size_t n_client_secrets;
    struct secret *client_cert_pem, *client_key_pem; /* tls_client_auth */
    struct secret *ca_pem;                           /* NULL: the system's */
};

struct snapshot {
    _Atomic uint32_t n_refs;
    struct config *config; /* owned; config->policy.generation is this snapshot's */
    struct snapshot_tls authentication_tls, admission_tls, operations_tls;
    struct snapshot_introspection *introspection; /* one per issuer */
    /* The lines of handle.keyFile; none where no handle is given out. */
    struct secret *handle_keys[LIMIT_HANDLE_KEYS];
    size_t n_handle_keys;
    struct watch *files; /* owned: the files as they looked just before each was read; for watch_new_from() */
};

/*
 * Loads the configuration and every file it names. Checks that secret files hold as many lines as they may, none empty, and
 * those of handle keys long enough; whether certificates parse and fit their keys is for net/ to say, which knows OpenSSL.
 *
 * generation  the number this snapshot gets
 *
 * Returns 0, a negative errno, or CONFIG_INVALID; error says what, where, and the way out.
 */
int snapshot_load(const char *path, uint32_t generation, struct snapshot **ret_snapshot, struct error *error);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
/* Wipes secrets and frees with the last reference. NULL is fine. Any thread. */
void snapshot_unref(struct snapshot *snapshot);

/* The policy that verdicts are made by. Borrowed. */
static inline const struct policy *snapshot_policy(const struct snapshot *snapshot) {
    return &snapshot->config->policy;
}

/* ---- has anything changed on disk? ---- */

/* A struct watch: the files of a configuration and what they looked like. Main thread only. */

/*
 * Watches the configuration file and all files the configuration names. config may be NULL (it could not be read): then
 * only the file itself. Returns 0 or -ENOMEM.
 */
int watch_new(const char *path, const struct config *config, struct watch **ret_watch);

/*
 * The same for the files of a snapshot, as they looked just before the snapshot was read: what changed between the reading
 * and this call is a change too. Returns 0 or -ENOMEM.
 */
int watch_new_from(const struct snapshot *snapshot, struct watch **ret_watch);

/* NULL is fine. */
void watch_free(struct watch *watch);

/* True when any file differs from what it looked like when the watch was made or at the last call that said true. */
bool watch_changed(struct watch *watch);
