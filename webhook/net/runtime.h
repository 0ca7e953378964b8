/*
 * A generation of the configuration, ready to serve: the snapshot, its TLS contexts and its providers. Immutable and
 * counted. A request holds the one that it began with, so a reload changes nothing under its feet.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "core/handle.h"
#include "net/provider.h"
#include "ops/metrics.h"
#include "ops/snapshot.h"

struct runtime {
    _Atomic uint32_t n_refs;
    struct snapshot *snapshot;   /* counted */
    SSL_CTX *authentication_tls; /* counted */
    SSL_CTX *admission_tls;      /* counted, or NULL: not served */
    SSL_CTX *operations_tls;     /* counted, or NULL: plain HTTP */
    struct provider **providers; /* one per issuer, counted */
    size_t n_providers;
    size_t rule_rows[LIMIT_ADMISSION_RULES]; /* of metrics: index for index as the policy's rules */
};

/*
 * Builds all that the snapshot needs to serve and checks it on the way: certificates, keys, CAs.
 *
 * previous  the runtime before, or NULL: what was discovered there is taken over
 * metrics   gets the certificates' expiries; NULL: nobody is told (check)
 *
 * Returns 0, a negative errno, or RUNTIME_INVALID with error set.
 */
enum { RUNTIME_INVALID = 1 };
int runtime_new(struct snapshot *snapshot, const struct runtime *previous, struct metrics *metrics,
                struct runtime **ret_runtime, struct error *error);

/*
 * Whether the listeners' certificates are good for now. A reload that brings one that has ended is refused; a start is not,
 * since it is as likely the clock that is wrong.
 *
 * Returns 0, or RUNTIME_INVALID with error set (which listener, which file, since when).
 */
int runtime_check_ends(const struct runtime *runtime, int64_t now_unix_s, struct error *error);

/* Tells the metrics when they end. Takes a lock: at start and reload only. */
void runtime_tell_ends(const struct runtime *runtime, struct metrics *metrics);

struct runtime *runtime_ref(struct runtime *runtime);
/* NULL is fine. Any thread. */
void runtime_unref(struct runtime *runtime);

/*
 * New contexts of the generation's handle keys, for one thread: handle_keys_free() them. NULL where no handle is
 * configured. Returns 0, -ENOMEM or -EIO.
 */
int runtime_handle_keys(const struct runtime *runtime, struct handle_keys **ret_keys);
