#include "ops/config.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_fixture.h"
#include "lib/memory.h"

#define BAD "test/data/configurations/bad/"

/* Calls visit for each YAML file of a folder, and returns how many there were. */
static size_t each_file(const char *folder, void (*visit)(const char *path)) {
    struct dirent **entries;
    const int n = scandir(folder, &entries, NULL, alphasort);
    size_t n_visited = 0;
    cr_assert_geq(n, 0, "%s", folder);
    for (int i = 0; i < n; i++) {
        char path[512];
        const char *dot = strrchr(entries[i]->d_name, '.');
        if (dot != NULL && strcmp(dot, ".yaml") == 0) {
            snprintf(path, sizeof(path), "%s%s", folder, entries[i]->d_name);
            visit(path);
            n_visited++;
        }
        free(entries[i]);
    }
    free(entries);
    return n_visited;
}

/* ---- files that are not good ---- */

/* The file's first line says what is expected: "# expect LINE:COLUMN: message". */
static void expect_refused(const char *path) {
    struct secret *bytes = read_whole(path);
    const struct text text = secret_text(bytes), mark = TEXT("# expect ");
    cr_assert(text_starts_with(text, mark), "%s: the first line is not \"# expect ...\"", path);
    const size_t n_line = (size_t)((const char *)memchr(text.data, '\n', text.n_bytes) - text.data);
    char expected[2 * LIMIT_ERROR_BYTES];
    snprintf(expected, sizeof(expected), "%s:%.*s", path, (int)(n_line - mark.n_bytes), text.data + mark.n_bytes);
    struct config *config = NULL;
    struct error error;
    cr_expect_eq(config_load(path, &config, &error), CONFIG_INVALID, "%s", path);
    cr_expect_str_eq(error.text, expected);
    cr_expect_null(config, "%s: an output was written on failure", path);
    cr_expect_null(strstr(error.text, "do-not-print-me"), "%s: a value is in the message", path);
    secret_free(bytes);
}

Test(config, bad_files_are_refused_with_place_and_way_out) {
    cr_expect_geq(each_file(BAD, expect_refused), 140);
}

/* ---- files that are good ---- */

static void expect_good(const char *path) {
    config_free(load(path));
}

Test(config, good_files_are_read) {
    cr_expect_geq(each_file(GOOD, expect_good), 6);
}

Test(config, the_least_file_has_all_defaults) {
    struct config *config = load(GOOD "minimal.yaml");
    const struct issuer_policy *issuer = &config->policy.issuers[0];
    const struct config_introspection *introspection = &config->introspection[0];
    cr_expect_str_eq(config->path, GOOD "minimal.yaml");
    expect_text(config->policy.cluster, "test");
    cr_expect_eq(config->policy.generation, 0);
    cr_expect_eq(config->policy.api_audiences.n_items, 0);
    cr_expect(config->authentication.is_set);
    cr_expect(config->authentication.tls.is_set);
    cr_expect_str_eq(config->authentication.host, "127.0.0.1");
    cr_expect_str_eq(config->authentication.port, "0");
    cr_expect_str_eq(config->authentication.tls.cert_file, GOOD "tls.crt");
    cr_expect_str_eq(config->authentication.tls.key_file, GOOD "tls.key");
    cr_expect_str_eq(config->authentication.tls.client_ca_file, GOOD "ca.crt");
    cr_expect_eq(config->authentication.tls.client_names.n_items, 0);
    cr_expect_not(config->operations.is_set);
    cr_expect_not(config->operations.tls.is_set);
    cr_expect_eq(config->policy.n_issuers, 1);
    expect_text(issuer->name, "idp");
    expect_text(issuer->url, "https://id.example.com");
    EXPECT_LIST(&issuer->audiences, "kubernetes");
    cr_expect_not(issuer->takes_jwt);
    cr_expect(issuer->takes_opaque);
    expect_text(issuer->opaque_prefix, "");
    cr_expect(issuer->any_client);
    cr_expect_not(issuer->accept_absent_audience);
    cr_expect(issuer->accept_absent_token_type);
    cr_expect_not(issuer->accept_absent_groups);
    cr_expect_not(issuer->absent_subject_is_client_id);
    cr_expect_eq(issuer->ttl_ms, 30000);
    cr_expect_eq(issuer->negative_ttl_ms, 10000);
    cr_expect_eq(issuer->n_tiers, 0);
    cr_expect_eq(issuer->clock_skew_s, 10);
    expect_text(issuer->username_claim, "sub");
    expect_text(issuer->username_prefix, "idp:");
    cr_expect_eq(issuer->groups_claim.n_bytes, 0);
    cr_expect_eq(issuer->uid_claim.n_bytes, 0);
    cr_expect_eq(issuer->n_extra, 0);
    cr_expect_eq(issuer->n_claim_rules, 0);
    cr_expect_eq(issuer->n_user_rules, 0);
    cr_expect_not(issuer->drop_unmapped_groups);
    cr_expect_eq(issuer->n_group_rules, 0);
    cr_expect_null(introspection->endpoint);
    cr_expect_str_eq(introspection->client_id, "me");
    cr_expect_eq(introspection->method, CLIENT_SECRET_BASIC);
    cr_expect_str_eq(introspection->secret_file, GOOD "secret");
    cr_expect_null(introspection->cert_file);
    cr_expect_null(introspection->key_file);
    cr_expect_null(introspection->ca_file);
    cr_expect_eq(introspection->timeout_ms, 2000);
    cr_expect_eq(introspection->max_concurrent, 64);
    cr_expect_eq(config->cache.max_entries, 100000);
    cr_expect_eq(config->cache.max_negative_entries, 20000);
    cr_expect_str_eq(config->audit.path, "-");
    cr_expect(config->audit.refuse_when_unwritable);
    cr_expect_eq(config->log_level, LOG_LEVEL_INFO);
    cr_expect_eq(config->log_format, LOG_FORMAT_JSON);
    cr_expect_eq(config->n_threads, 1);
    cr_expect_not(config->policy.handle.is_on);
    cr_expect_null(config->handle_key_file);
    config_free(config);
}

Test(config, a_handle_has_defaults_that_fit_the_api_servers) {
    struct config *config = load(GOOD "handle.yaml");
    const struct handle_policy *handle = &config->policy.handle;
    cr_expect(handle->is_on);
    cr_expect_str_eq(config->handle_key_file, "/etc/handle-key");
    cr_expect_eq(handle->max_age_s, 180);
    cr_expect_eq(handle->recheck_after_ms, 5000);
    cr_expect_not(handle->refuse_unknown_fact);
    cr_expect(handle->refuse_without_handle);
    cr_expect_eq(config->n_warnings, 1, "only that clientIDs or absentTokenType might be missing");
    config_free(config);
}

Test(config, every_field_of_the_top_level_arrives) {
    struct config *config = load(GOOD "full.yaml");
    expect_text(config->policy.cluster, "production-1");
    EXPECT_LIST(&config->policy.api_audiences, "https://kubernetes.default.svc", "konnectivity");
    cr_expect_str_eq(config->authentication.host, "::");
    cr_expect_str_eq(config->authentication.port, "8443");
    cr_expect_str_eq(config->authentication.tls.cert_file, GOOD "tls/tls.crt");
    cr_expect_str_eq(config->authentication.tls.client_ca_file, "/etc/ca/client-ca.crt");
    EXPECT_LIST(&config->authentication.tls.client_names, "kube-apiserver", "api.example.com");
    cr_expect(config->operations.is_set);
    cr_expect_str_eq(config->operations.host, "0.0.0.0");
    cr_expect_str_eq(config->operations.port, "8080");
    cr_expect(config->operations.tls.is_set);
    cr_expect_str_eq(config->operations.tls.cert_file, GOOD "tls/operations.crt");
    cr_expect_str_eq(config->operations.tls.key_file, GOOD "tls/operations.key");
    cr_expect_str_eq(config->operations.tls.client_ca_file, GOOD "tls/monitoring-ca.crt");
    EXPECT_LIST(&config->operations.tls.client_names, "prometheus");
    cr_expect_eq(config->cache.max_entries, 5000);
    cr_expect_eq(config->cache.max_negative_entries, 1000);
    cr_expect_str_eq(config->audit.path, "/var/log/kube-introspect/audit.jsonl");
    cr_expect_not(config->audit.refuse_when_unwritable);
    cr_expect_eq(config->log_level, LOG_LEVEL_DEBUG);
    cr_expect_eq(config->log_format, LOG_FORMAT_TEXT);
    cr_expect_eq(config->n_threads, 4);
    cr_expect_eq(config->policy.n_issuers, 2);
    const struct handle_policy *handle = &config->policy.handle;
    cr_expect(handle->is_on);
    cr_expect_str_eq(config->handle_key_file, GOOD "secrets/handle-key");
    cr_expect_eq(handle->max_age_s, 270);
    cr_expect_eq(handle->recheck_after_ms, 750);
    cr_expect(handle->refuse_unknown_fact);
    cr_expect(handle->refuse_without_handle);
    config_free(config);
}

Test(config, a_handle_and_an_issuer_without_prefix_deserve_a_warning) {
    struct config *config = load(GOOD "full.yaml");
    bool is_warned = false;
    for (size_t i = 0; i < config->n_warnings; i++)
        is_warned |= strstr(config->warnings[i], "issuers[0].claimMappings.username.prefix: without a prefix") != NULL;
    cr_expect(is_warned);
    config_free(config);
}

Test(config, every_field_of_an_issuer_arrives) {
    struct config *config = load(GOOD "full.yaml");
    const struct issuer_policy *issuer = &config->policy.issuers[0];
    const struct config_introspection *introspection = &config->introspection[0];
    expect_text(issuer->name, "corp");
    EXPECT_LIST(&issuer->audiences, "kubernetes", "123", "456");
    cr_expect_str_eq(introspection->ca_file, GOOD "tls/idp-ca.crt");
    cr_expect(issuer->takes_jwt);
    cr_expect(issuer->takes_opaque);
    expect_text(issuer->opaque_prefix, "corp_");
    cr_expect_not(issuer->any_client);
    EXPECT_LIST(&issuer->client_ids, "kubectl", "42");
    cr_expect_str_eq(introspection->endpoint, "https://id.example.com:8443/introspect?tenant=1");
    cr_expect_eq(introspection->method, CLIENT_SECRET_POST);
    cr_expect_str_eq(introspection->secret_file, GOOD "secrets/client-secret");
    cr_expect(issuer->accept_absent_audience);
    cr_expect_not(issuer->accept_absent_token_type);
    cr_expect(issuer->absent_subject_is_client_id);
    cr_expect(issuer->accept_absent_groups);
    cr_expect_eq(introspection->timeout_ms, 500);
    cr_expect_eq(introspection->max_concurrent, 8);
    cr_expect_eq(issuer->ttl_ms, 90000);
    cr_expect_eq(issuer->negative_ttl_ms, 5000);
    cr_assert_eq(issuer->n_tiers, 2);
    EXPECT_LIST(&issuer->tiers[0].groups, "platform-admins", "on-call");
    cr_expect_eq(issuer->tiers[0].ttl_ms, 5000);
    EXPECT_LIST(&issuer->tiers[1].groups, "staff");
    cr_expect_eq(issuer->tiers[1].ttl_ms, 90000);
    cr_expect_eq(issuer->clock_skew_s, 60);
    config_free(config);
}

Test(config, every_field_of_the_mapping_arrives) {
    struct config *config = load(GOOD "full.yaml");
    const struct issuer_policy *issuer = &config->policy.issuers[0];
    expect_text(issuer->username_claim, "preferred_username");
    expect_text(issuer->username_prefix, "");
    expect_text(issuer->groups_claim, "groups");
    expect_text(issuer->groups_prefix, "corp:");
    expect_text(issuer->uid_claim, "sub");
    cr_assert_eq(issuer->n_extra, 2);
    expect_text(issuer->extra[0].key, "example.com/tenant");
    expect_text(issuer->extra[0].claim, "tenant");
    expect_text(issuer->extra[1].key, "example.com/org/unit");
    expect_text(issuer->extra[1].claim, "ou");
    cr_assert_eq(issuer->n_claim_rules, 2);
    expect_text(issuer->claim_rules[0].claim, "token_use");
    expect_text(issuer->claim_rules[0].required_value, "access");
    expect_text(issuer->claim_rules[1].required_value, "true");
    cr_assert_eq(issuer->n_user_rules, 2);
    cr_expect_eq(issuer->user_rules[0].kind, USER_RULE_USERNAME_NOT_PREFIX);
    expect_text(issuer->user_rules[0].value, "system:");
    cr_expect_eq(issuer->user_rules[1].kind, USER_RULE_GROUPS_NOT_PREFIX);
    expect_text(issuer->user_rules[1].value, "corp:admin");
    cr_expect(issuer->drop_unmapped_groups);
    cr_assert_eq(issuer->n_group_rules, 2);
    expect_text(issuer->group_rules[0].group, "platform-admins");
    EXPECT_LIST(&issuer->group_rules[0].to, "cluster-admins", "on-call");
    expect_text(issuer->group_rules[1].group, "retired");
    cr_expect_eq(issuer->group_rules[1].to.n_items, 0);
    config_free(config);
}

Test(config, second_issuer_has_nothing_of_the_first) {
    struct config *config = load(GOOD "full.yaml");
    const struct issuer_policy *issuer = &config->policy.issuers[1];
    const struct config_introspection *introspection = &config->introspection[1];
    expect_text(issuer->name, "partner");
    expect_text(issuer->url, "https://[2001:db8::1]:9443/realms/partner/");
    cr_expect_not(issuer->takes_jwt);
    expect_text(issuer->opaque_prefix, "partner_");
    cr_expect(issuer->any_client);
    cr_expect_eq(introspection->method, CLIENT_TLS);
    cr_expect_str_eq(introspection->cert_file, GOOD "tls/partner.crt");
    cr_expect_str_eq(introspection->key_file, GOOD "tls/partner.key");
    cr_expect_null(introspection->secret_file);
    cr_expect_null(introspection->endpoint);
    cr_expect_null(introspection->ca_file);
    cr_expect_eq(issuer->ttl_ms, 0);
    cr_expect_eq(issuer->negative_ttl_ms, 0);
    cr_expect_eq(issuer->n_tiers + issuer->n_extra + issuer->n_claim_rules + issuer->n_user_rules + issuer->n_group_rules,
                 0);
    cr_expect_not(issuer->drop_unmapped_groups);
    config_free(config);
}

Test(config, windows_file_is_read_as_any_other) {
    struct config *config = load(GOOD "windows.yaml");
    expect_text(config->policy.cluster, "windows");
    cr_expect_str_eq(config->authentication.tls.cert_file, GOOD "C\xc3\xa9rt/tls.crt");
    cr_expect_str_eq(config->authentication.tls.key_file, GOOD "tls key.pem");
    expect_text(config->policy.issuers[0].username_prefix, "\xc3\xbc:");
    config_free(config);
}

Test(config, example_is_good_and_deserves_no_warning) {
    struct config *config = load(EXAMPLE);
    cr_expect_eq(config->n_warnings, 0, "%s", config->n_warnings == 0 ? "" : config->warnings[0]);
    cr_expect_eq(config->policy.n_issuers, 1);
    cr_expect_str_eq(config->audit.path, "-");
    config_free(config);
}

/* ---- paths ---- */

Test(config, paths_start_from_the_folder_of_the_file) {
    static const struct {
        const char *path, *cert_file;
    } cases[] = {{"config.yaml", "tls.crt"},
                 {"./config.yaml", "./tls.crt"},
                 {"/config.yaml", "/tls.crt"},
                 {"/etc/kube-introspect/config.yaml", "/etc/kube-introspect/tls.crt"}};
    struct secret *bytes = read_whole(GOOD "minimal.yaml");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *config;
        cr_assert_eq(config_parse(secret_text(bytes), cases[i].path, &config, NULL), 0);
        cr_expect_str_eq(config->authentication.tls.cert_file, cases[i].cert_file);
        cr_expect_str_eq(config->audit.path, "-");
        config_free(config);
    }
    secret_free(bytes);
}

Test(config, file_that_cannot_be_read_is_named) {
    struct config *config;
    struct error error;
    cr_expect_eq(config_load("test/data/no-such-file.yaml", &config, &error), -ENOENT);
    cr_expect_not_null(strstr(error.text, "test/data/no-such-file.yaml"));
    cr_expect_eq(config_load("test/data", &config, &error), -EISDIR);
    config_free(NULL);
}

/* ---- what must never crash ---- */

/* Refused with "f:LINE:COLUMN: message", and nothing else. */
static void expect_placed(const struct error *error, const char *what) {
    unsigned line, column;
    int n = 0;
    cr_expect_eq(sscanf(error->text, "f:%u:%u: %n", &line, &column, &n), 2, "%s: %s", what, error->text);
    cr_expect(n > 0 && error->text[n] != '\0', "%s: %s", what, error->text);
    cr_expect(line > 0 && column > 0, "%s: %s", what, error->text);
}

static void parse_truncated(const char *path) {
    struct secret *bytes = read_whole(path);
    const struct text whole = secret_text(bytes);
    for (size_t n = 0; n <= whole.n_bytes; n++) {
        /* A copy of its own, so that a read behind its end is seen. */
        char *cut = malloc(n == 0 ? 1 : n), where[32];
        cr_assert_not_null(cut);
        memcpy(cut, whole.data, n);
        struct config *config = NULL;
        struct error error = {};
        const int r = config_parse((struct text){.data = cut, .n_bytes = n}, "f", &config, &error);
        snprintf(where, sizeof(where), "cut at %zu", n);
        if (r != 0) {
            cr_expect_eq(r, CONFIG_INVALID);
            expect_placed(&error, where);
        }
        if (r == 0)
            config_free(config);
        cr_expect(n < whole.n_bytes || r == 0, "the whole file is good");
        free(cut);
    }
    secret_free(bytes);
}

Test(config, truncated_at_each_byte_is_good_or_refused_with_a_place, .timeout = 60) {
    cr_expect_geq(each_file(GOOD, parse_truncated), 6);
    parse_truncated(EXAMPLE);
}

static void survive_allocation_failures(const char *path) {
    struct secret *bytes = read_whole(path);
    int r = -ENOMEM;
    for (size_t n = 1; r == -ENOMEM; n++) {
        struct config *config = NULL;
        struct error error = {};
        memory_fail_at(n);
        r = config_parse(secret_text(bytes), "f", &config, &error);
        const bool has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(r, has_failed ? -ENOMEM : 0, "%s: %s", path, error.text);
        if (r != 0)
            cr_assert_str_eq(error.text, "f: out of memory");
        config_free(config);
    }
    secret_free(bytes);
}

Test(config, every_allocation_failure_is_survived) {
    cr_expect_geq(each_file(GOOD, survive_allocation_failures), 6);
}
