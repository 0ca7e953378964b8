#include "ops/config_introspection.h"

#include "ops/config_checks.h"
#include "ops/config_issuer.h"

#define SETTING(member) offsetof(struct issuer_settings, member)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define MINUTE_MS ((int64_t)60000)

/* ---- fields ---- */

static const struct field client[] = {
    {.name = "id",
     .type = &field_string,
     .offset = SETTING(introspection.client_id),
     .required = "register a client for kube-introspect at the provider and write its client_id"},
    {.name = "method",
     .type = &field_choice,
     .offset = SETTING(introspection.method),
     .by_default = "client_secret_basic",
     .words = WORDS("client_secret_basic", "client_secret_post", "tls_client_auth")},
    {.name = "secretFile", .type = &field_file, .offset = SETTING(introspection.secret_file)},
    {.name = "certFile", .type = &field_file, .offset = SETTING(introspection.cert_file)},
    {.name = "keyFile", .type = &field_file, .offset = SETTING(introspection.key_file)},
};

static const struct field breaker[] = {
    {.name = "failureRatio",
     .type = &field_fraction,
     .offset = SETTING(introspection.breaker.failure_permille),
     .by_default = "0.5",
     .min = 10,
     .max = 1000},
    {.name = "minimumCalls",
     .type = &field_number,
     .offset = SETTING(introspection.breaker.minimum_calls),
     .by_default = "20",
     .min = 1,
     .max = 10000},
    {.name = "window",
     .type = &field_duration,
     .offset = SETTING(introspection.breaker.window_ms),
     .by_default = "10s",
     .min = 1000,
     .max = 5 * MINUTE_MS},
    {.name = "openFor",
     .type = &field_duration,
     .offset = SETTING(introspection.breaker.open_for_ms),
     .by_default = "1s",
     .min = 1000,
     .max = MINUTE_MS},
};

static const struct field budget[] = {
    {.name = "perSecond",
     .type = &field_number,
     .offset = SETTING(introspection.budget.per_second),
     .by_default = "500",
     .min = 1,
     .max = 1000000},
    {.name = "burst",
     .type = &field_number,
     .offset = SETTING(introspection.budget.burst),
     .by_default = "1000",
     .min = 1,
     .max = 1000000},
    {.name = "unknownTokens",
     .type = &field_fraction,
     .offset = SETTING(introspection.budget.unknown_permille),
     .by_default = "0.8",
     .min = 10,
     .max = 1000},
    {.name = "concurrent",
     .type = &field_number,
     .offset = SETTING(introspection.max_concurrent),
     .by_default = "64",
     .min = 1,
     .max = LIMIT_CONCURRENT_CALLS},
};

static const struct field introspection[] = {
    {.name = "endpoint",
     .type = &field_string,
     .offset = SETTING(introspection.endpoint),
     .check = config_check_endpoint_url},
    {.name = "client",
     .type = &field_mapping,
     .required = "providers answer nobody who does not say who asks: give id and secretFile",
     .fields = FIELD_TABLE(client)},
    {.name = "absentAudience",
     .type = &field_either,
     .offset = SETTING(policy.accept_absent_audience),
     .by_default = "Refuse",
     .words = WORDS("Refuse", "Accept")},
    {.name = "absentTokenType",
     .type = &field_either,
     .offset = SETTING(policy.accept_absent_token_type),
     .by_default = "Accept",
     .words = WORDS("Refuse", "Accept")},
    {.name = "absentSubject",
     .type = &field_either,
     .offset = SETTING(policy.absent_subject_is_client_id),
     .by_default = "Refuse",
     .words = WORDS("Refuse", "ClientID")},
    {.name = "absentGroups",
     .type = &field_either,
     .offset = SETTING(policy.accept_absent_groups),
     .by_default = "Refuse",
     .words = WORDS("Refuse", "Accept")},
    {.name = "timeout",
     .type = &field_duration,
     .offset = SETTING(introspection.timeout_ms),
     .by_default = "2s",
     .min = 50,
     .max = MINUTE_MS / 2},
    {.name = "retries",
     .type = &field_number,
     .offset = SETTING(introspection.max_retries),
     .by_default = "1",
     .min = 0,
     .max = 5},
    {.name = "budget", .type = &field_mapping, .fields = FIELD_TABLE(budget)},
    {.name = "breaker", .type = &field_mapping, .fields = FIELD_TABLE(breaker)},
};

const struct field_table config_introspection_fields = {.items = introspection,
                                                        .n_items = sizeof(introspection) / sizeof(introspection[0])};

/* ---- rules between the fields ---- */

/* A file that a client method needs, or that another one needs. */
struct client_file {
    const char *name;
    const char *path;
    bool is_needed;
};

int config_introspection_check(struct config_reader *reader, const struct yaml_node *node,
                               const struct config_introspection *settings) {
    const struct yaml_node *place = yaml_member(node, "client");
    const bool is_tls = settings->method == CLIENT_TLS;
    const struct client_file files[] = {{"secretFile", settings->secret_file, !is_tls},
                                        {"certFile", settings->cert_file, is_tls},
                                        {"keyFile", settings->key_file, is_tls}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (files[i].is_needed && files[i].path == NULL)
            return config_refuse_absence(reader, place, files[i].name,
                                         is_tls ? "method tls_client_auth needs certFile and keyFile"
                                                : "write the file that holds the client secret");
        if (!files[i].is_needed && files[i].path != NULL)
            return config_refuse(reader, yaml_member(place, files[i].name), "%s",
                                 is_tls
                                     ? "method tls_client_auth uses no secret: remove this field"
                                     : "only method tls_client_auth uses this file: remove the field, or set the method");
    }
    return 0;
}
