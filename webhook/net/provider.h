/*
 * An issuer's provider at run time: its introspection endpoint, as configured or discovered, and what a call to it needs.
 * Counted. Belongs to one runtime (one generation of the configuration), so a call under way keeps what it started with.
 *
 * Everything but the endpoint and the usual time is immutable. Those are published by the fetch thread and read by loops.
 */
#pragma once

#include <stdatomic.h>

#include "core/decide.h"
#include "ops/metrics.h"
#include "ops/snapshot.h"

struct provider {
    _Atomic uint32_t n_refs;
    struct snapshot *snapshot; /* counted */
    size_t issuer;             /* index */
    size_t metrics_row;
    _Atomic(const char *) endpoint; /* NULL: not discovered yet. A published string lives as long as the provider. */
    _Atomic int64_t usual_us;       /* what its calls take, smoothed over the last dozen or so */
    struct lane *lane;              /* the fetch thread's own: its queue, calls and discovery (lane.h) */
};

/*
 * Makes the provider of an issuer. Checks what libcurl and OpenSSL would only say at the first call: that CA, client
 * certificate and key can be read and fit together.
 *
 * previous  the provider of the same issuer in the generation before, or NULL: an endpoint that was discovered for the same
 *           issuer URL is taken over, so that a reload asks nobody
 *
 * Returns 0, a negative errno, or PROVIDER_INVALID with error set.
 */
enum { PROVIDER_INVALID = 1 };
int provider_new(struct snapshot *snapshot, size_t issuer, struct metrics *metrics, struct provider *previous,
                 struct provider **ret_provider, struct error *error);

struct provider *provider_ref(struct provider *provider);
/* NULL is fine. Any thread. */
void provider_unref(struct provider *provider);

/* The endpoint and client that facts of this provider are keyed by. Borrowed for the provider's life. Any thread. */
struct decide_issuer provider_key(const struct provider *provider);

/* Notes what a call took, from its start to its reply or failure. The fetch thread. */
void provider_took(struct provider *provider, int64_t took_us);
/* Whether calls usually take less than LIMIT_PROVIDER_QUICK_US; true until some were made. Any thread. */
bool provider_is_quick(const struct provider *provider);
