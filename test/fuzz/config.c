/*
 * Any bytes as a configuration: refused with a place and one line, or good, and then everything that verdicts rest on is
 * what the reference says it can be.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ops/config.h"

#define HOLDS(condition)                                                                                                   \
    do {                                                                                                                   \
        if (!(condition)) {                                                                                                \
            fprintf(stderr, "does not hold: %s\n", #condition);                                                            \
            abort();                                                                                                       \
        }                                                                                                                  \
    } while (0)

static bool is_one_line(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20)
            return false;
    }
    return true;
}

static void check_message(const char *message) {
    unsigned line = 0, column = 0;
    int n = 0;
    HOLDS(sscanf(message, "f:%u:%u: %n", &line, &column, &n) == 2 && n > 0);
    HOLDS(line > 0 && column > 0 && message[n] != '\0');
    HOLDS(is_one_line(message));
}

static void check_issuer(const struct issuer_policy *issuer, const struct config_introspection *introspection) {
    HOLDS(issuer->name.n_bytes > 0 && issuer->name.n_bytes <= 63);
    HOLDS(text_starts_with(issuer->url, TEXT("https://")));
    HOLDS(issuer->audiences.n_items > 0);
    HOLDS(issuer->takes_jwt || issuer->takes_opaque);
    HOLDS(issuer->any_client == (issuer->client_ids.n_items == 0));
    HOLDS(issuer->ttl_ms >= 0 && issuer->ttl_ms <= 600000);
    HOLDS(issuer->negative_ttl_ms >= 0 && issuer->negative_ttl_ms <= 300000);
    HOLDS(issuer->outage.max_stale_ms == 0 ||
          (issuer->outage.max_stale_ms >= 1000 && issuer->outage.max_stale_ms <= 3600000));
    HOLDS(issuer->outage.groups.n_items == 0 || issuer->groups_claim.n_bytes > 0);
    HOLDS(issuer->clock_skew_s >= 0 && issuer->clock_skew_s <= 300);
    for (size_t i = 0; i < issuer->n_tiers; i++)
        HOLDS(issuer->tiers[i].groups.n_items > 0 && issuer->tiers[i].ttl_ms <= issuer->ttl_ms);
    HOLDS(issuer->username_claim.n_bytes > 0 && issuer->username_prefix.data != NULL);
    HOLDS(!text_starts_with(issuer->username_prefix, TEXT("system:")));
    HOLDS(!text_starts_with(issuer->groups_prefix, TEXT("system:")));
    HOLDS(issuer->n_extra <= LIMIT_EXTRA_KEYS);
    HOLDS(introspection->client_id != NULL && introspection->client_id[0] != '\0');
    HOLDS((introspection->method == CLIENT_TLS) == (introspection->secret_file == NULL));
    HOLDS((introspection->method == CLIENT_TLS) == (introspection->cert_file != NULL));
    HOLDS((introspection->method == CLIENT_TLS) == (introspection->key_file != NULL));
    HOLDS(introspection->timeout_ms >= 50 && introspection->timeout_ms <= 30000);
    HOLDS(introspection->max_concurrent >= 1 && introspection->max_concurrent <= LIMIT_CONCURRENT_CALLS);
    HOLDS(introspection->max_retries <= 5);
    HOLDS(introspection->budget.per_second >= 1 && introspection->budget.burst >= 1);
    HOLDS(introspection->budget.unknown_permille >= 10 && introspection->budget.unknown_permille <= 1000);
    HOLDS(introspection->breaker.failure_permille >= 10 && introspection->breaker.failure_permille <= 1000);
    HOLDS(introspection->breaker.minimum_calls >= 1 && introspection->breaker.window_ms >= 1000);
    HOLDS(introspection->breaker.open_for_ms >= 1000 && introspection->breaker.open_for_ms <= 60000);
}

static void check_config(const struct config *config) {
    HOLDS(config->authentication.is_set && config->authentication.host != NULL && config->authentication.port != NULL);
    HOLDS(config->authentication.tls.is_set && config->authentication.tls.client_ca_file != NULL);
    HOLDS(config->policy.cluster.n_bytes > 0);
    HOLDS(config->policy.n_issuers >= 1 && config->policy.n_issuers <= LIMIT_ISSUERS);
    HOLDS(config->cache.max_entries >= 1 && config->cache.max_negative_entries >= 1);
    HOLDS(config->n_threads >= 1 && config->n_threads <= LIMIT_LOOPS);
    HOLDS(config->audit.path != NULL && config->audit.path[0] != '\0');
    for (size_t i = 0; i < config->policy.n_issuers; i++)
        check_issuer(&config->policy.issuers[i], &config->introspection[i]);
    for (size_t i = 0; i < config->n_warnings; i++)
        check_message(config->warnings[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    struct config *config = NULL;
    struct error error = {};
    const int r = config_parse((struct text){.data = (const char *)data, .n_bytes = n_bytes}, "f", &config, &error);
    if (r == 0)
        check_config(config);
    else
        check_message(error.text);
    HOLDS(r == 0 || (r == CONFIG_INVALID && config == NULL));
    config_free(config);
    return 0;
}
