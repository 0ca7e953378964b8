#include "net/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "net/connection.h"
#include "net/tls.h"

/* The provider of the same issuer, by its name, in the generation before; NULL where there is none. */
static struct provider *previous_provider(const struct runtime *previous, struct text name) {
    if (previous == NULL)
        return NULL;
    const struct policy *policy = snapshot_policy(previous->snapshot);
    for (size_t i = 0; i < previous->n_providers; i++) {
        if (text_equal(policy->issuers[i].name, name))
            return previous->providers[i];
    }
    return NULL;
}

static int make_providers(struct runtime *runtime, const struct runtime *previous, struct metrics *metrics,
                          struct error *error) {
    const struct policy *policy = snapshot_policy(runtime->snapshot);
    runtime->providers = calloc(policy->n_issuers, sizeof(*runtime->providers));
    if (runtime->providers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        const int r = provider_new(runtime->snapshot, i, metrics, previous_provider(previous, policy->issuers[i].name),
                                   &runtime->providers[i], error);
        if (r != 0)
            return r < 0 ? r : RUNTIME_INVALID;
        runtime->n_providers++;
    }
    return 0;
}

static int make_tls(const char *name, const struct config_listener *listener, const struct snapshot_tls *files,
                    SSL_CTX **ret_context, struct error *error) {
    if (!listener->is_set || !listener->tls.is_set)
        return 0;
    char what[64];
    snprintf(what, sizeof(what), "listeners.%s.tls", name);
    const int r = tls_context_new(what, &listener->tls, files, &connection_tls_events, ret_context, error);
    return r <= 0 ? r : RUNTIME_INVALID;
}

int runtime_new(struct snapshot *snapshot, const struct runtime *previous, struct metrics *metrics,
                struct runtime **ret_runtime, struct error *error) {
    struct runtime *runtime = calloc(1, sizeof(*runtime));
    if (runtime == NULL)
        return -ENOMEM;
    runtime->n_refs = 1;
    runtime->snapshot = snapshot_ref(snapshot);
    const struct config *config = snapshot->config;
    for (size_t i = 0; metrics != NULL && i < config->policy.n_rules; i++)
        runtime->rule_rows[i] = metrics_rule(metrics, config->policy.rules[i].name);
    int r = make_tls("authentication", &config->authentication, &snapshot->authentication_tls, &runtime->authentication_tls,
                     error);
    if (r == 0)
        r = make_tls("admission", &config->admission, &snapshot->admission_tls, &runtime->admission_tls, error);
    if (r == 0)
        r = make_tls("operations", &config->operations, &snapshot->operations_tls, &runtime->operations_tls, error);
    if (r == 0)
        r = make_providers(runtime, previous, metrics, error);
    if (r != 0) {
        runtime_unref(runtime);
        return r;
    }
    *ret_runtime = runtime;
    return 0;
}

/* ---- when certificates end ---- */

#define N_LISTENERS 3

struct presented {
    const char *name; /* of the listener */
    const struct config_tls *config;
    const SSL_CTX *context; /* NULL: it presents none */
};

static void presented_by(const struct runtime *runtime, struct presented ret_presented[N_LISTENERS]) {
    const struct config *config = runtime->snapshot->config;
    ret_presented[0] = (struct presented){"authentication", &config->authentication.tls, runtime->authentication_tls};
    ret_presented[1] = (struct presented){"admission", &config->admission.tls, runtime->admission_tls};
    ret_presented[2] = (struct presented){"operations", &config->operations.tls, runtime->operations_tls};
}

static void complain(const struct presented *presented, time_t end, struct error *error) {
    struct tm parts;
    char date[32];
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &parts));
    error_set(error,
              "listeners.%s.tls.certFile: %s: the certificate ended at %s, and no caller accepts it any more: renew it",
              presented->name, presented->config->cert_file, date);
}

int runtime_check_ends(const struct runtime *runtime, int64_t now_unix_s, struct error *error) {
    struct presented presented[N_LISTENERS];
    presented_by(runtime, presented);
    for (size_t i = 0; i < N_LISTENERS; i++) {
        const int64_t end_unix_s = presented[i].context == NULL ? INT64_MAX : tls_end_unix_s(presented[i].context);
        if (now_unix_s <= end_unix_s)
            continue;
        complain(&presented[i], end_unix_s, error);
        return RUNTIME_INVALID;
    }
    return 0;
}

void runtime_tell_ends(const struct runtime *runtime, struct metrics *metrics) {
    struct presented presented[N_LISTENERS];
    presented_by(runtime, presented);
    for (size_t i = 0; i < N_LISTENERS; i++) {
        if (presented[i].context != NULL)
            metrics_certificate_expiry(metrics, presented[i].name, tls_end_unix_s(presented[i].context));
    }
}

struct runtime *runtime_ref(struct runtime *runtime) {
    atomic_fetch_add_explicit(&runtime->n_refs, 1, memory_order_relaxed);
    return runtime;
}

void runtime_unref(struct runtime *runtime) {
    if (runtime == NULL || atomic_fetch_sub_explicit(&runtime->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < runtime->n_providers; i++)
        provider_unref(runtime->providers[i]);
    free(runtime->providers);
    SSL_CTX_free(runtime->authentication_tls);
    SSL_CTX_free(runtime->admission_tls);
    SSL_CTX_free(runtime->operations_tls);
    snapshot_unref(runtime->snapshot);
    free(runtime);
}

int runtime_handle_keys(const struct runtime *runtime, struct handle_keys **ret_keys) {
    const struct snapshot *snapshot = runtime->snapshot;
    if (!snapshot_policy(snapshot)->handle.is_on) {
        *ret_keys = NULL;
        return 0;
    }
    struct text lines[LIMIT_HANDLE_KEYS];
    for (size_t i = 0; i < snapshot->n_handle_keys; i++)
        lines[i] = secret_text(snapshot->handle_keys[i]);
    return handle_keys_new(lines, snapshot->n_handle_keys, ret_keys);
}
