#include "ops/config_admission.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_fixture.h"
#include "lib/memory.h"

/* A whole file around some rules. */
static struct config *parsed(const char *listener, const char *issuer, const char *rules) {
    char *file = NULL;
    const int n = asprintf(&file,
                           "apiVersion: kube-introspect.io/v1alpha1\nkind: WebhookConfiguration\ncluster: test\n"
                           "listeners:\n  authentication:\n    address: 127.0.0.1:0\n"
                           "    tls: {certFile: a, keyFile: b, clientCAFile: c}\n%s"
                           "issuers:\n- name: idp\n  issuer: {url: 'https://id.example.com', audiences: [kubernetes]}\n"
                           "  tokens: {jwt: true}\n"
                           "  introspection: {absentTokenType: Refuse, client: {id: me, secretFile: s}}\n"
                           "  claimMappings:\n    username: {claim: sub, prefix: 'idp:'}\n"
                           "    groups: {claim: groups, prefix: 'idp:'}\n%s"
                           "admission:\n%s",
                           listener, issuer, rules);
    cr_assert_gt(n, 0);
    struct config *config = NULL;
    struct error error;
    const int r = config_parse((struct text){.data = file, .n_bytes = (size_t)n}, "c.yaml", &config, &error);
    cr_assert_eq(r, 0, "%s", error.text);
    free(file);
    return config;
}

#define LISTENER                                                                                                           \
    "  admission:\n    address: 127.0.0.1:8444\n    tls: {certFile: d, keyFile: e, clientCAFile: f, clientNames: [g]}\n"

Test(config_admission, reads_every_field) {
    struct config *config =
        parsed(LISTENER, "",
               "  withoutHandle: Allow\n"
               "  rules:\n"
               "  - name: all\n"
               "    match:\n"
               "      operations: [CREATE, CONNECT]\n"
               "      resources: [pods, pods/exec, deployments.apps/scale, '*', '*/*', '*.apps', 'pods/*']\n"
               "      namespaces: [a, b]\n"
               "      users: ['idp:u']\n"
               "      groups: ['idp:g']\n"
               "      issuers: [idp]\n"
               "    requireToken: {maxAge: 15m, acr: [x, y], amr: [mfa], scope: [s], claim: c, value: v}\n"
               "    subjects: {groups: Mapped, users: Forbidden}\n"
               "    action: Warn\n"
               "    message: sign in again\n"
               "  - {name: least, match: {}, requireToken: {amr: [mfa]}, action: Audit}\n");
    static const struct resource_pattern patterns[] = {
        {TEXT(""), TEXT("pods"), TEXT("")},
        {TEXT(""), TEXT("pods"), TEXT("exec")},
        {TEXT("apps"), TEXT("deployments"), TEXT("scale")},
        {TEXT("*"), TEXT("*"), TEXT("")},
        {TEXT("*"), TEXT("*"), TEXT("*")},
        {TEXT("apps"), TEXT("*"), TEXT("")},
        {TEXT(""), TEXT("pods"), TEXT("*")},
    };
    cr_expect(config->admission.is_set);
    cr_expect(config->admission.tls.is_set);
    cr_expect_str_eq(config->admission.port, "8444");
    cr_expect_str_eq(config->admission.tls.client_ca_file, "f");
    EXPECT_LIST(&config->admission.tls.client_names, "g");
    cr_expect_not(config->policy.handle.refuse_without_handle);
    cr_assert_eq(config->policy.n_rules, 2);
    const struct admission_rule *rule = &config->policy.rules[0];
    expect_text(rule->name, "all");
    cr_expect_eq(rule->match.operations, ADMISSION_CREATE | ADMISSION_CONNECT);
    cr_assert_eq(rule->match.n_resources, 7);
    for (size_t i = 0; i < 7; i++) {
        cr_expect(text_equal(rule->match.resources[i].group, patterns[i].group), "resource %zu", i);
        cr_expect(text_equal(rule->match.resources[i].resource, patterns[i].resource), "resource %zu", i);
        cr_expect(text_equal(rule->match.resources[i].subresource, patterns[i].subresource), "resource %zu", i);
    }
    EXPECT_LIST(&rule->match.namespaces, "a", "b");
    EXPECT_LIST(&rule->match.users, "idp:u");
    EXPECT_LIST(&rule->match.groups, "idp:g");
    EXPECT_LIST(&rule->match.issuers, "idp");
    cr_expect(rule->token.is_set);
    cr_expect_eq(rule->token.max_age_s, 900);
    EXPECT_LIST(&rule->token.acr, "x", "y");
    EXPECT_LIST(&rule->token.amr, "mfa");
    EXPECT_LIST(&rule->token.scope, "s");
    expect_text(rule->token.claim, "c");
    expect_text(rule->token.value, "v");
    cr_expect(rule->subjects.is_set && rule->subjects.mapped_groups_only && rule->subjects.forbids_users);
    cr_expect_eq(rule->action, ADMISSION_ACTION_WARN);
    expect_text(rule->message, "sign in again");
    const struct admission_rule *least = &config->policy.rules[1];
    cr_expect_eq(least->match.operations, 0);
    cr_expect_eq(least->match.n_resources, 0);
    cr_expect_eq(least->token.max_age_s, 0);
    cr_expect_not(least->subjects.is_set);
    cr_expect_eq(least->action, ADMISSION_ACTION_AUDIT);
    cr_expect_eq(least->message.n_bytes, 0);
    config_free(config);
}

Test(config_admission, refuses_without_a_handle_unless_told_otherwise) {
    struct config *config = parsed("", "", "  rules: []\n");
    cr_expect(config->policy.handle.refuse_without_handle);
    cr_expect_eq(config->policy.n_rules, 0);
    cr_expect_not(config->admission.is_set);
    config_free(config);
    config = load("test/data/configurations/good/minimal.yaml");
    cr_expect(config->policy.handle.refuse_without_handle);
    config_free(config);
}

/* ---- warnings ---- */

/* How many warnings of the configuration hold the words. */
static size_t n_warnings(const struct config *config, const char *words) {
    size_t n = 0;
    for (size_t i = 0; i < config->n_warnings; i++)
        n += strstr(config->warnings[i], words) != NULL;
    return n;
}

#define DROP "  groupMapping: {unmapped: Drop, rules: [{group: a, to: [mapped]}]}\n"
#define BINDINGS "rolebindings.rbac.authorization.k8s.io, clusterrolebindings.rbac.authorization.k8s.io"

Test(config_admission, finds_rules_that_can_never_match) {
    static const struct {
        const char *match, *rest, *words; /* words NULL: no warning */
    } rows[] = {
        {"{operations: [CREATE, UPDATE], resources: [clusterrolebindings.rbac.authorization.k8s.io, pods/exec]}",
         "requireToken: {amr: [mfa]}", "match.resources[1]: this is only ever connected to, so this never matches"},
        {"{operations: [CONNECT], resources: [pods/exec, pods/*, '*/*']}", "requireToken: {amr: [mfa]}", NULL},
        {"{resources: [pods/attach, services/proxy]}", "requireToken: {amr: [mfa]}", NULL},
        {"{operations: [CONNECT], resources: [pods]}", "requireToken: {amr: [mfa]}", "nothing connects to this"},
        {"{resources: [deployments]}", "requireToken: {amr: [mfa]}", "the core group has no such resource"},
        {"{resources: [deployments.apps, secrets, '*', serviceaccounts/token]}", "requireToken: {amr: [mfa]}", NULL},
        {"{namespaces: [a], resources: [clusterroles.rbac.authorization.k8s.io]}", "requireToken: {amr: [mfa]}",
         "lies in no namespace"},
        {"{namespaces: [a], resources: [nodes]}", "requireToken: {amr: [mfa]}", "lies in no namespace"},
        {"{namespaces: [a], resources: [namespaces, pods]}", "requireToken: {amr: [mfa]}", NULL},
        {"{users: [alice]}", "requireToken: {amr: [mfa]}", "match.users[0]: nobody who logs in here has this name"},
        {"{users: ['idp:alice']}", "requireToken: {amr: [mfa]}", NULL},
        {"{groups: ['idp:mapped', 'system:authenticated']}", "requireToken: {amr: [mfa]}", NULL},
        {"{groups: ['idp:a']}", "requireToken: {amr: [mfa]}", "match.groups[0]: nobody who logs in here is ever in this"},
        {"{groups: ['system:masters']}", "requireToken: {amr: [mfa]}", "match.groups[0]: nobody"},
        {"{resources: [" BINDINGS "]}", "subjects: {groups: Mapped}", NULL},
        {"{resources: ['*']}", "subjects: {groups: Mapped}", NULL},
        {"{resources: ['*/*']}", "subjects: {groups: Mapped}", NULL},
        {"{}", "subjects: {groups: Mapped}", NULL},
        {"{operations: [DELETE]}", "subjects: {groups: Mapped}", "never finds anything"},
        {"{resources: [pods, roles.rbac.authorization.k8s.io]}", "subjects: {users: Forbidden}", "never finds anything"},
        {"{resources: [rolebindings.rbac.authorization.k8s.io/status]}", "subjects: {users: Forbidden}",
         "never finds anything"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char rules[512];
        snprintf(rules, sizeof(rules), "  rules:\n  - name: r\n    action: Deny\n    match: %s\n    %s\n", rows[i].match,
                 rows[i].rest);
        struct config *config = parsed(LISTENER, DROP, rules);
        const size_t n_about_handles = n_warnings(config, "handle is absent");
        cr_expect_eq(config->n_warnings - n_about_handles, rows[i].words != NULL, "row %zu: %zu warnings: %s", i,
                     config->n_warnings, config->n_warnings > 0 ? config->warnings[0] : "");
        if (rows[i].words != NULL)
            cr_expect_eq(n_warnings(config, rows[i].words), 1, "row %zu: %s", i, config->warnings[0]);
        config_free(config);
    }
}

Test(config_admission, says_when_mapped_means_little_and_when_nobody_asks) {
    struct config *config = parsed("", "", "  rules: [{name: r, match: {}, subjects: {groups: Mapped}, action: Deny}]\n");
    cr_expect_eq(n_warnings(config, "unmapped is Keep at some issuer"), 1);
    cr_expect_eq(n_warnings(config, "listeners.admission is absent"), 1);
    config_free(config);
}

Test(config_admission, survives_a_failure_of_every_allocation) {
    static const struct text file = TEXT(
        "apiVersion: kube-introspect.io/v1alpha1\nkind: WebhookConfiguration\ncluster: test\n"
        "listeners: {authentication: {address: '127.0.0.1:0', tls: {certFile: a, keyFile: b, clientCAFile: c}}}\n"
        "issuers: [{name: idp, issuer: {url: 'https://id.example.com', audiences: [k]}, tokens: {jwt: true},\n"
        "  introspection: {client: {id: me, secretFile: s}}, claimMappings: {username: {claim: sub, prefix: 'i:'}}}]\n"
        "admission: {rules: [{name: r, match: {resources: [deployments]}, subjects: {users: Forbidden}, action: Deny}]}\n");
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct config *config = NULL;
        struct error error;
        memory_fail_at(n);
        const int r = config_parse(file, "c.yaml", &config, &error);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_expect_eq(r == 0, !has_failed, "allocation %zu: %d", n, r);
        config_free(config);
    }
}
