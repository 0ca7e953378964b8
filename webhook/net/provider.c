#include "net/provider.h"

#include <errno.h>
#include <stdlib.h>

#include "net/lane.h"
#include "net/pem.h"

static const struct config_introspection *config_of(const struct snapshot *snapshot, size_t issuer) {
    return &snapshot->config->introspection[issuer];
}

/* ---- certificates ---- */

static int check_ca(const struct snapshot *snapshot, size_t issuer, int64_t *ret_not_after, struct error *error) {
    const struct secret *const ca = snapshot->introspection[issuer].ca_pem;
    if (ca == NULL)
        return 0;
    const int r = pem_check_ca(ca, ret_not_after, error);
    if (r <= 0)
        return r;
    error_prefix(error, "issuers[%zu].issuer.certificateAuthorityFile: %s", issuer, config_of(snapshot, issuer)->ca_file);
    return PROVIDER_INVALID;
}

static int check_client(const struct snapshot *snapshot, size_t issuer, int64_t *ret_not_after, struct error *error) {
    const struct config_introspection *const config = config_of(snapshot, issuer);
    const struct snapshot_introspection *const files = &snapshot->introspection[issuer];
    if (config->method != CLIENT_TLS)
        return 0;
    const int r = pem_check_pair(files->client_cert_pem, files->client_key_pem, ret_not_after, error);
    if (r <= 0)
        return r;
    if (r == PEM_NO_CERTIFICATE)
        error_prefix(error, "issuers[%zu].introspection.client.certFile: %s", issuer, config->cert_file);
    else
        error_prefix(error, "issuers[%zu].introspection.client.keyFile: %s", issuer, config->key_file);
    return PROVIDER_INVALID;
}

/* Checks both, and tells the metrics which of them ends first. */
static int check_certificates(const struct snapshot *snapshot, size_t issuer, struct metrics *metrics,
                              struct error *error) {
    int64_t ca_end = INT64_MAX, client_end = INT64_MAX;
    int r = check_ca(snapshot, issuer, &ca_end, error);
    if (r == 0)
        r = check_client(snapshot, issuer, &client_end, error);
    const int64_t end = ca_end < client_end ? ca_end : client_end;
    if (r != 0 || metrics == NULL || end == INT64_MAX)
        return r;
    const struct text name = snapshot->config->policy.issuers[issuer].name;
    char row[256];
    snprintf(row, sizeof(row), "issuer:%.*s", (int)name.n_bytes, name.data);
    metrics_certificate_expiry(metrics, row, end);
    return 0;
}

/* ---- the provider ---- */

int provider_new(struct snapshot *snapshot, size_t issuer, struct metrics *metrics, struct provider *previous,
                 struct provider **ret_provider, struct error *error) {
    int r = check_certificates(snapshot, issuer, metrics, error);
    if (r != 0)
        return r;
    struct provider *const provider = calloc(1, sizeof(*provider));
    if (provider == NULL)
        return -ENOMEM;
    provider->n_refs = 1;
    provider->snapshot = snapshot_ref(snapshot);
    provider->issuer = issuer;
    if (metrics != NULL)
        provider->metrics_row = metrics_issuer(metrics, snapshot->config->policy.issuers[issuer].name);
    r = lane_new(provider, previous, &provider->lane);
    if (r != 0) {
        provider_unref(provider);
        return r;
    }
    *ret_provider = provider;
    return 0;
}

struct provider *provider_ref(struct provider *provider) {
    atomic_fetch_add_explicit(&provider->n_refs, 1, memory_order_relaxed);
    return provider;
}

void provider_unref(struct provider *provider) {
    if (provider == NULL || atomic_fetch_sub_explicit(&provider->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    lane_free(provider->lane);
    snapshot_unref(provider->snapshot);
    free(provider);
}

struct decide_issuer provider_key(const struct provider *provider) {
    return (struct decide_issuer){
        .endpoint = text_of(atomic_load_explicit(&provider->endpoint, memory_order_acquire)),
        .client = text_of(config_of(provider->snapshot, provider->issuer)->client_id),
    };
}

void provider_took(struct provider *provider, int64_t took_us) {
    const int64_t usual_us = atomic_load_explicit(&provider->usual_us, memory_order_relaxed);
    atomic_store_explicit(&provider->usual_us, usual_us + (took_us - usual_us) / 16, memory_order_relaxed);
}

bool provider_is_quick(const struct provider *provider) {
    return atomic_load_explicit(&provider->usual_us, memory_order_relaxed) < LIMIT_PROVIDER_QUICK_US;
}
