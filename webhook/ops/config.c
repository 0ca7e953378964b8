#include "ops/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "ops/config_admission.h"
#include "ops/config_admission_warn.h"
#include "ops/config_checks.h"
#include "ops/config_issuer.h"

/* What the file is read into: the configuration first, and beside it what is still to be put in its place. */
struct settings {
    struct config config;
    struct issuer_settings *issuers;
    size_t n_issuers;
    struct admission_settings admission;
    unsigned api_version, kind; /* have one value each */
};

#define SETTING(member) offsetof(struct settings, member)
#define LISTENER(member) offsetof(struct config_listener, member)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- fields ---- */

/* A later release takes a line from here and adds the field to its table. */
static const struct field_absence absences[] = {
    {.path = "issuers[].introspection.client.method", .value = "private_key_jwt"},
};
#define N_ABSENCES (sizeof(absences) / sizeof(absences[0]))

#define CERT_WHY "write the file with the listener's certificate, and after it those of its intermediates, in PEM"
#define KEY_WHY "write the file with the certificate's private key in PEM"
#define CERT_FIELD                                                                                                         \
    { .name = "certFile", .type = &field_file, .offset = LISTENER(tls.cert_file), .required = CERT_WHY }
#define KEY_FIELD                                                                                                          \
    { .name = "keyFile", .type = &field_file, .offset = LISTENER(tls.key_file), .required = KEY_WHY }
#define NAMES_FIELD                                                                                                        \
    { .name = "clientNames", .type = &field_text_list, .offset = LISTENER(tls.client_names), .min = 1 }

static const struct field authentication_tls[] = {
    CERT_FIELD,
    KEY_FIELD,
    {.name = "clientCAFile",
     .type = &field_file,
     .offset = LISTENER(tls.client_ca_file),
     .required =
         "it is required here, as whoever may ask may probe tokens: write the CA that signs kube-apiserver's client "
         "certificate"},
    NAMES_FIELD,
};

static const struct field admission_tls[] = {
    CERT_FIELD,
    KEY_FIELD,
    {.name = "clientCAFile",
     .type = &field_file,
     .offset = LISTENER(tls.client_ca_file),
     .required = "it is required here, as whoever may ask may have handles checked, and send 8 MiB at a time: write the CA "
                 "that signs kube-apiserver's client certificate"},
    NAMES_FIELD,
};

static const struct field operations_tls[] = {
    CERT_FIELD,
    KEY_FIELD,
    {.name = "clientCAFile", .type = &field_file, .offset = LISTENER(tls.client_ca_file)},
    NAMES_FIELD,
};

#define ADDRESS_FIELD                                                                                                      \
    {                                                                                                                      \
        .name = "address", .type = &field_address,                                                                         \
        .required = "write the address and port to listen on, such as 0.0.0.0:8443"                                        \
    }

static const struct field authentication[] = {
    ADDRESS_FIELD,
    {.name = "tls",
     .type = &field_mapping,
     .required = "tokens arrive here, so it is never served without TLS: give certFile, keyFile and clientCAFile",
     .fields = FIELD_TABLE(authentication_tls)},
};

static const struct field admission_listener[] = {
    ADDRESS_FIELD,
    {.name = "tls",
     .type = &field_mapping,
     .required = "objects of the cluster arrive here, so it is never served without TLS: give certFile, keyFile and "
                 "clientCAFile",
     .fields = FIELD_TABLE(admission_tls)},
};

static const struct field operations[] = {
    ADDRESS_FIELD,
    {.name = "tls", .type = &field_mapping, .fields = FIELD_TABLE(operations_tls)},
};

static const struct field listeners[] = {
    {.name = "authentication",
     .type = &field_mapping,
     .offset = SETTING(config.authentication),
     .required = "this is where kube-apiserver asks: give address and tls",
     .fields = FIELD_TABLE(authentication)},
    {.name = "admission",
     .type = &field_mapping,
     .offset = SETTING(config.admission),
     .fields = FIELD_TABLE(admission_listener)},
    {.name = "operations", .type = &field_mapping, .offset = SETTING(config.operations), .fields = FIELD_TABLE(operations)},
};

static const struct field cache[] = {
    {.name = "maxEntries",
     .type = &field_number,
     .offset = SETTING(config.cache.max_entries),
     .by_default = "100000",
     .min = 1,
     .max = 10000000},
    {.name = "maxNegativeEntries",
     .type = &field_number,
     .offset = SETTING(config.cache.max_negative_entries),
     .by_default = "20000",
     .min = 1,
     .max = 10000000},
};

static const struct field handle[] = {
    {.name = "keyFile",
     .type = &field_file,
     .offset = SETTING(config.handle_key_file),
     .required = "write the file with the key that handles are signed with: a line of at least 32 characters that nobody "
                 "can guess, the same on every replica"},
    {.name = "maxAge",
     .type = &field_seconds,
     .offset = SETTING(config.policy.handle.max_age_s),
     .by_default = "3m",
     .min = 10 * 1000,
     .max = 60 * 60 * 1000},
    {.name = "recheckAfter",
     .type = &field_duration,
     .offset = SETTING(config.policy.handle.recheck_after_ms),
     .by_default = "5s",
     .max = 10 * 60 * 1000},
    {.name = "unknownFact",
     .type = &field_either,
     .offset = SETTING(config.policy.handle.refuse_unknown_fact),
     .by_default = "Allow",
     .words = WORDS("Allow", "Refuse")},
};

static const struct field audit[] = {
    {.name = "path", .type = &field_output, .offset = SETTING(config.audit.path), .by_default = "-"},
    {.name = "whenUnwritable",
     .type = &field_either,
     .offset = SETTING(config.audit.refuse_when_unwritable),
     .by_default = "Refuse",
     .words = WORDS("Continue", "Refuse")},
};

static const struct field logging[] = {
    {.name = "level",
     .type = &field_choice,
     .offset = SETTING(config.log_level),
     .by_default = "info",
     .words = WORDS("error", "warning", "info", "debug")},
    {.name = "format",
     .type = &field_choice,
     .offset = SETTING(config.log_format),
     .by_default = "json",
     .words = WORDS("json", "text")},
};

static const struct field fields[] = {
    {.name = "apiVersion",
     .type = &field_choice,
     .offset = SETTING(api_version),
     .required = "the file starts with apiVersion: kube-introspect.io/v1alpha1",
     .words = WORDS("kube-introspect.io/v1alpha1")},
    {.name = "kind",
     .type = &field_choice,
     .offset = SETTING(kind),
     .required = "the file starts with kind: WebhookConfiguration",
     .words = WORDS("WebhookConfiguration")},
    {.name = "cluster",
     .type = &field_text,
     .offset = SETTING(config.policy.cluster),
     .required = "give the cluster a name: audit records call it by that",
     .max = 253,
     .check = config_check_name},
    {.name = "apiAudiences",
     .type = &field_text_list,
     .offset = SETTING(config.policy.api_audiences),
     .min = 1,
     .max = LIMIT_REVIEW_AUDIENCES},
    {.name = "listeners",
     .type = &field_mapping,
     .required = "say where to listen: give at least authentication",
     .fields = FIELD_TABLE(listeners)},
    {.name = "issuers",
     .type = &field_mapping_list,
     .offset = SETTING(issuers),
     .required = "at least one issuer is needed, or every token would be refused",
     .min = 1,
     .max = LIMIT_ISSUERS,
     .fields = &config_issuer_fields,
     .item_bytes = sizeof(struct issuer_settings),
     .count_offset = SETTING(n_issuers)},
    {.name = "cache", .type = &field_mapping, .fields = FIELD_TABLE(cache)},
    {.name = "handle", .type = &field_mapping, .fields = FIELD_TABLE(handle)},
    {.name = "admission", .type = &field_mapping, .offset = SETTING(admission), .fields = &config_admission_fields},
    {.name = "audit", .type = &field_mapping, .fields = FIELD_TABLE(audit)},
    {.name = "log", .type = &field_mapping, .fields = FIELD_TABLE(logging)},
    {.name = "threads",
     .type = &field_number,
     .offset = SETTING(config.n_threads),
     .by_default = "1",
     .min = 1,
     .max = LIMIT_LOOPS},
};

static const struct field_table table = {.items = fields, .n_items = sizeof(fields) / sizeof(fields[0])};

/* ---- rules between the fields of the top level ---- */

/* Two listeners cannot have one address; port 0 is a different one each time. */
static int check_address(struct config_reader *reader, const struct yaml_node *node, const struct config_listener *listener,
                         const char *earlier_name, const struct config_listener *earlier) {
    if (node == NULL || !earlier->is_set || strcmp(listener->host, earlier->host) != 0 ||
        strcmp(listener->port, earlier->port) != 0 || strcmp(listener->port, "0") == 0)
        return 0;
    return config_refuse(reader, yaml_member(node, "address"),
                         "listeners.%s has this address and port already: choose another port", earlier_name);
}

static int check_listeners(struct config_reader *reader, const struct yaml_node *root, struct config *config) {
    const struct yaml_node *node = yaml_member(root, "listeners"), *operations_node = yaml_member(node, "operations");
    const struct yaml_node *admission_node = yaml_member(node, "admission"), *tls = yaml_member(operations_node, "tls");
    struct config_listener *logins = &config->authentication, *changes = &config->admission, *other = &config->operations;
    logins->is_set = logins->tls.is_set = true;
    changes->is_set = changes->tls.is_set = admission_node != NULL;
    other->is_set = operations_node != NULL;
    other->tls.is_set = tls != NULL;
    if (other->tls.client_names.n_items > 0 && other->tls.client_ca_file == NULL)
        return config_refuse(reader, yaml_member(tls, "clientNames"),
                             "without clientCAFile no client certificate is asked for: give that, or remove clientNames");
    int r = check_address(reader, admission_node, changes, "authentication", logins);
    if (r == 0)
        r = check_address(reader, operations_node, other, "authentication", logins);
    return r != 0 ? r : check_address(reader, operations_node, other, "admission", changes);
}

/* Needs the issuers as they were read. */
static int place_handle(struct config_reader *reader, const struct yaml_node *root, struct settings *settings) {
    struct handle_policy *policy = &settings->config.policy.handle;
    policy->is_on = yaml_member(root, "handle") != NULL;
    const struct yaml_node *issuers = yaml_member(root, "issuers");
    int r = 0;
    for (const struct yaml_node *issuer = issuers->first; issuer != NULL && policy->is_on && r == 0;
         issuer = issuer->next) {
        const struct yaml_node *username = yaml_member(yaml_member(issuer, "claimMappings"), "username");
        if (settings->issuers[issuer->index].policy.username_prefix.n_bytes == 0)
            r = config_warn(
                reader, yaml_member(username, "prefix"),
                "without a prefix, a user of this issuer who shows no handle cannot be told from anybody else's, "
                "and passes unchecked: give a prefix");
    }
    return r;
}

/* Copies what was read of the issuers to where the program looks for it. */
static int place_issuers(struct arena *arena, struct settings *settings) {
    struct issuer_policy *policies = arena_array(arena, settings->n_issuers, sizeof(*policies));
    struct config_introspection *introspection = arena_array(arena, settings->n_issuers, sizeof(*introspection));
    if (policies == NULL || introspection == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < settings->n_issuers; i++) {
        policies[i] = settings->issuers[i].policy;
        introspection[i] = settings->issuers[i].introspection;
    }
    settings->config.policy.issuers = policies;
    settings->config.policy.n_issuers = settings->n_issuers;
    settings->config.introspection = introspection;
    return 0;
}

/* ---- reading ---- */

static int read_settings(struct config_reader *reader, const struct yaml_node *root, struct settings *settings) {
    int r = config_fields_read(reader, root, &table, settings);
    if (r != 0)
        return r;
    const struct yaml_node *issuers = yaml_member(root, "issuers");
    r = check_listeners(reader, root, &settings->config);
    if (r == 0)
        r = config_issuer_check(reader, issuers, settings->issuers, settings->n_issuers);
    if (r == 0)
        r = config_issuer_warn(reader, issuers, settings->issuers, settings->n_issuers);
    if (r == 0)
        r = place_handle(reader, root, settings);
    if (r == 0)
        r = place_issuers(reader->arena, settings);
    if (r == 0)
        r = config_admission_check(reader, root, &settings->admission, &settings->config.policy);
    if (r == 0)
        r = config_admission_warn(reader, root, &settings->config.policy);
    settings->config.warnings = reader->warnings;
    settings->config.n_warnings = reader->n_warnings;
    return r;
}

static struct text folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return (struct text){.data = path, .n_bytes = slash == NULL ? 0 : (size_t)(slash - path) + 1};
}

static int parse_into(struct arena *arena, struct text bytes, const char *path, struct config **ret_config,
                      struct error *error) {
    struct config_reader reader = {.path = path,
                                   .folder = folder_of(path),
                                   .arena = arena,
                                   .error = error,
                                   .root = &table,
                                   .absences = absences,
                                   .n_absences = N_ABSENCES};
    struct settings *settings = arena_alloc(arena, sizeof(*settings));
    if (settings == NULL)
        return -ENOMEM;
    settings->config.arena = arena;
    settings->config.path = arena_string(arena, text_of(path));
    if (settings->config.path == NULL)
        return -ENOMEM;
    struct yaml_node *root;
    int r = yaml_read(bytes, path, arena, &root, error);
    if (r == 0)
        r = read_settings(&reader, root, settings);
    if (r == 0)
        *ret_config = &settings->config;
    return r == YAML_INVALID ? CONFIG_INVALID : r;
}

int config_parse(struct text bytes, const char *path, struct config **ret_config, struct error *error) {
    struct arena *arena = NULL;
    int r = arena_new(LIMIT_CONFIG_ARENA_BYTES, &arena);
    if (r == 0)
        r = parse_into(arena, bytes, path, ret_config, error);
    if (r == -ENOMEM)
        error_set(error, "%s: out of memory", path);
    if (r != 0)
        arena_free(arena);
    return r;
}

int config_load(const char *path, struct config **ret_config, struct error *error) {
    struct secret *bytes;
    int r = file_read(path, LIMIT_CONFIG_BYTES, &bytes, error);
    if (r != 0)
        return r;
    r = config_parse(secret_text(bytes), path, ret_config, error);
    secret_free(bytes);
    return r;
}

void config_free(struct config *config) {
    if (config != NULL)
        arena_free(config->arena);
}

/* ---- what fields there are ---- */

struct description {
    void (*visit)(void *context, const struct config_field *field);
    void *context;
};

static void describe(void *context, const char *path, const struct field *field) {
    const struct description *description = context;
    char range[128] = "";
    if (field->type->range != NULL)
        field->type->range(field, range, sizeof(range));
    const struct config_field known = {.path = path,
                                       .type = field->type->word,
                                       .by_default = field->by_default,
                                       .range = range,
                                       .is_required = field->required != NULL};
    description->visit(description->context, &known);
}

void config_describe(void (*visit)(void *context, const struct config_field *field), void *context) {
    struct description description = {.visit = visit, .context = context};
    config_fields_walk(&table, describe, &description);
    for (size_t i = 0; i < N_ABSENCES; i++) {
        const struct config_field absent = {.path = absences[i].path, .range = absences[i].value, .is_absent = true};
        visit(context, &absent);
    }
}
