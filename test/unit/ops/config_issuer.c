#include "ops/config_issuer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_fixture.h"

/* ---- warnings ---- */

static bool warns_of(const struct config *config, const char *words) {
    for (size_t i = 0; i < config->n_warnings; i++) {
        if (strstr(config->warnings[i], words) != NULL)
            return true;
    }
    return false;
}

#define WITH_GROUPS "username: {claim: sub, prefix: \"idp:\"}\n    groups: {claim: groups, prefix: \"\"}"

Test(config_issuer, what_is_allowed_but_seldom_meant_is_warned_of) {
    static const struct {
        const char *name, *text, *warning;
        bool is_expected;
    } cases[] = {
        {NULL, "", "f:13:3: issuers[0].introspection: refresh and ID tokens", true},
        {"opaque: true", "opaque: true, clientIDs: [a]", "refresh and ID tokens", false},
        {"client:", "absentTokenType: Refuse\n    client:", "refresh and ID tokens", false},
        {"client:", "absentAudience: Accept\n    client:", "refresh and ID tokens", true},
        {"client:", "absentTokenType: Accept\n    client:", "f:14:5: issuers[0].introspection.absentTokenType: refresh and",
         true},
        {NULL, "", "leaves aud out", false},
        {"client:", "absentAudience: Accept\n    client:", "f:14:5: issuers[0].introspection.absentAudience: a token",
         true},
        {NULL, "", "revoked token", false},
        {NULL, "  cache: {ttl: 1m}\n", "revoked token", false},
        {NULL, "  cache: {ttl: 1m1ms}\n", "f:17:11: issuers[0].cache.ttl: a revoked token", true},
        {NULL, "  cache: {ttl: 0}\n", "f:17:11: issuers[0].cache.ttl: nothing is remembered", true},
        {NULL, "", "f:15:3: issuers[0].claimMappings: groups is absent", true},
        {"username: {claim: sub, prefix: \"idp:\"}", WITH_GROUPS, "groups is absent", false},
        {NULL, "", "without a prefix", false},
        {"\"idp:\"", "\"\"", "f:16:28: issuers[0].claimMappings.username.prefix: without a prefix", true},
        {"claim: sub", "claim: email", "f:16:16: issuers[0].claimMappings.username.claim: an address that nobody", true},
        {NULL, "", "an address that nobody", false},
        {"username: {claim: sub, prefix: \"idp:\"}", WITH_GROUPS "\n  groupMapping: {unmapped: Drop}",
         "f:18:3: issuers[0].groupMapping: unmapped is Drop", true},
        {"username: {claim: sub, prefix: \"idp:\"}",
         WITH_GROUPS "\n  groupMapping: {unmapped: Drop, rules: [{group: a, to: [b]}]}", "unmapped is Drop", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *config;
        struct error error;
        cr_assert_eq(parse_with(cases[i].name, cases[i].text, &config, &error), 0, "%s", error.text);
        cr_expect_eq(warns_of(config, cases[i].warning), cases[i].is_expected, "%s: %s", cases[i].text, cases[i].warning);
        config_free(config);
    }
}

Test(config_issuer, verified_email_is_not_warned_of) {
    struct config *config;
    struct error error;
    cr_assert_eq(parse_with("username: {claim: sub, prefix: \"idp:\"}",
                            "username: {claim: email, prefix: \"idp:\"}\n  claimValidationRules:\n"
                            "  - {claim: email_verified, requiredValue: true}\n",
                            &config, &error),
                 0, "%s", error.text);
    cr_expect_not(warns_of(config, "an address that nobody"));
    config_free(config);
}

Test(config_issuer, shared_username_prefix_is_warned_of) {
    struct config *config;
    struct error error;
    const char *second = "- name: two\n"
                         "  issuer: {url: https://two.example.com, audiences: [kubernetes]}\n"
                         "  tokens: {jwt: true}\n"
                         "  introspection: {client: {id: me, secretFile: secret}}\n"
                         "  claimMappings: {username: {claim: sub, prefix: \"idp:\"}}\n";
    cr_assert_eq(parse_with(NULL, second, &config, &error), 0, "%s", error.text);
    cr_expect(warns_of(config, "f:21:42: issuers[1].claimMappings.username.prefix: another issuer has the same prefix"));
    config_free(config);
}

/* ---- limits ---- */

/* The least file with n issuers that take JWTs. */
static char *with_issuers(size_t n) {
    char *yaml = malloc(n * 512 + 4096);
    cr_assert_not_null(yaml);
    struct secret *bytes = read_whole(GOOD "minimal.yaml");
    const char *start = secret_text(bytes).data;
    size_t end = (size_t)(strstr(start, "- name") - start);
    memcpy(yaml, start, end);
    secret_free(bytes);
    for (size_t i = 0; i < n; i++)
        end += (size_t)snprintf(
            yaml + end, 512,
            "- name: i%zu\n  issuer: {url: https://i%zu.example.com, audiences: [k]}\n  tokens: {jwt: true}\n"
            "  introspection: {client: {id: me, secretFile: s}}\n  cache: {ttl: 0}\n"
            "  claimMappings: {username: {claim: email, prefix: \"\"}}\n",
            i, i);
    return yaml;
}

Test(config_issuer, issuers_are_bounded_and_all_their_warnings_fit) {
    struct config *config;
    struct error error;
    char *yaml = with_issuers(LIMIT_ISSUERS);
    cr_assert_eq(config_parse(text_of(yaml), "f", &config, &error), 0, "%s", error.text);
    cr_expect_eq(config->policy.n_issuers, LIMIT_ISSUERS);
    cr_expect_eq(config->n_warnings, 5 * LIMIT_ISSUERS);
    config_free(config);
    free(yaml);
    yaml = with_issuers(LIMIT_ISSUERS + 1);
    cr_expect_eq(config_parse(text_of(yaml), "f", &config, &error), CONFIG_INVALID);
    cr_expect_not_null(strstr(error.text, ": issuers: the list has more than 32 entries: shorten it"), "%s", error.text);
    free(yaml);
}

/* ---- groups that belong to Kubernetes ---- */

Test(config_issuer, groups_of_kubernetes_cannot_be_mapped_to_whatever_the_prefix) {
    static const struct {
        const char *prefix, *to;
        bool is_refused;
    } cases[] = {{"", "system:masters", true},  {"", "system:", true},        {"", "system", false},
                 {"", "xsystem:a", false},      {"idp:", "system:a", false},  {"idp:", "em:masters", false},
                 {"syst", "em:masters", true},  {"syst", "em", false},        {"system", ":", true},
                 {"system", "masters", false},  {"sys", "tem:masters", true}, {"sis", "tem:masters", false},
                 {"systems:", "masters", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        struct config *config;
        struct error error = {};
        snprintf(text, sizeof(text),
                 "username: {claim: sub, prefix: \"idp:\"}\n    groups: {claim: groups, prefix: \"%s\"}\n"
                 "  groupMapping: {rules: [{group: a, to: [b, \"%s\"]}]}\n",
                 cases[i].prefix, cases[i].to);
        const int r = parse_with("username: {claim: sub, prefix: \"idp:\"}", text, &config, &error);
        cr_expect_eq(r, cases[i].is_refused ? CONFIG_INVALID : 0, "%s%s: %s", cases[i].prefix, cases[i].to, error.text);
        if (r == 0)
            config_free(config);
        else
            cr_expect_not_null(strstr(error.text, "groupMapping.rules[0].to[1]: with its prefix"), "%s", error.text);
    }
}
