#include "ops/config_checks.h"

#include <criterion/criterion.h>

#include "base/limits.h"

/* A text, and words that the complaint about it must hold; NULL: there is none. */
struct check_case {
    const char *text, *complaint;
};

static void run(const char *(*check)(struct text text), const struct check_case *cases, size_t n_cases) {
    for (size_t i = 0; i < n_cases; i++) {
        const char *complaint = check(text_of(cases[i].text));
        if (cases[i].complaint == NULL)
            cr_expect_null(complaint, "%s: %s", cases[i].text, complaint);
        else if (complaint == NULL)
            cr_expect_fail("%s: no complaint", cases[i].text);
        else
            cr_expect_not_null(strstr(complaint, cases[i].complaint), "%s: %s", cases[i].text, complaint);
    }
}
#define RUN(check, cases) run(check, cases, sizeof(cases) / sizeof((cases)[0]))

#define LABEL_63 "a23456789012345678901234567890123456789012345678901234567890123"

Test(config_checks, label) {
    static const struct check_case cases[] = {{"a", NULL},
                                              {"corp-1", NULL},
                                              {"1", NULL},
                                              {LABEL_63, NULL},
                                              {LABEL_63 "4", "DNS label"},
                                              {"-a", "DNS label"},
                                              {"a-", "DNS label"},
                                              {"Corp", "DNS label"},
                                              {"a.b", "DNS label"},
                                              {"a_b", "DNS label"},
                                              {"a b", "DNS label"},
                                              {"\xc3\xbc", "DNS label"}};
    RUN(config_check_label, cases);
}

Test(config_checks, name) {
    static const struct check_case cases[] = {{"production-1", NULL}, {"Eu_West.1", NULL}, {"a b", "letters"},
                                              {"a/b", "letters"},     {"\"", "letters"},   {"\xc3\xbc", "letters"}};
    RUN(config_check_name, cases);
}

Test(config_checks, issuer_url) {
    static const struct check_case cases[] = {
        {"https://id.example.com", NULL},
        {"https://id.example.com/", NULL},
        {"https://id.example.com:8443/realms/a%20b/", NULL},
        {"https://localhost:9443", NULL},
        {"https://127.0.0.1", NULL},
        {"https://[::1]:9443/x", NULL},
        {"https://id_2.example.com", NULL},
        {"https://id.example.com/a@b", NULL},
        {"http://id.example.com", "https"},
        {"HTTPS://id.example.com", "https"},
        {"id.example.com", "https"},
        {"https:/id.example.com", "https"},
        {"https://", "no valid host"},
        {"https:///x", "no valid host"},
        {"https://:8443", "no valid host"},
        {"https://.example.com", "no valid host"},
        {"https://a..b", "no valid host"},
        {"https://-a", "no valid host"},
        {"https://a!b", "no valid host"},
        {"https://[::1", "no valid host"},
        {"https://[::g]", "no valid host"},
        {"https://[]", "no valid host"},
        {"https://[127.0.0.1]", "no valid host"},
        {"https://[::1]x", "port"},
        {"https://a:", "port"},
        {"https://a:0", "port"},
        {"https://a:65536", "port"},
        {"https://a:123456", "port"},
        {"https://a:8x", "port"},
        {"https://a:80:80", "port"},
        {"https://me@a", "names a user"},
        {"https://me:secret@a:443/x", "names a user"},
        {"https://a?b=c", "no query"},
        {"https://a/?", "no query"},
        {"https://a#b", "fragment"},
        {"https://a/#", "fragment"},
        {"https://a/b c", "characters"},
        {"https://a/<b>", "characters"},
        {"https://a/b\\c", "characters"},
        {"https://a/\xc3\xbc", "characters"},
        {"https://a/%", "characters"},
        {"https://a/%2", "characters"},
        {"https://a/%2x", "characters"},
    };
    RUN(config_check_issuer_url, cases);
}

Test(config_checks, endpoint_url) {
    static const struct check_case cases[] = {{"https://a/introspect", NULL},     {"https://a/introspect?tenant=1", NULL},
                                              {"https://a?tenant=1:2", NULL},     {"https://a?x@y", NULL},
                                              {"http://a/introspect", "https"},   {"https://a/introspect#x", "fragment"},
                                              {"https://me@a/introspect", "user"}};
    RUN(config_check_endpoint_url, cases);
}

Test(config_checks, prefix) {
    static const struct check_case cases[] = {{"corp:", NULL},    {"system", NULL},      {"System:", NULL},
                                              {"xsystem:", NULL}, {"system:", "belong"}, {"system:corp:", "belong"}};
    RUN(config_check_prefix, cases);
}

Test(config_checks, token_prefix) {
    static const struct check_case cases[] = {{"corp_", NULL},      {"a-._~+/9Z", NULL}, {"a:", "no bearer"},
                                              {"a b", "no bearer"}, {"a=", "no bearer"}, {"\xc3\xbc", "no bearer"}};
    RUN(config_check_token_prefix, cases);
}

Test(config_checks, extra_key) {
    static const struct check_case cases[] = {
        {"example.com/tenant", NULL},
        {"example/tenant", NULL},
        {"example.com/org/unit", NULL},
        {"example.com/a-b._~c9", NULL},
        {"notk8s.io/x", NULL},
        {"tenant", "no key"},
        {"/tenant", "no key"},
        {"example.com/", "no key"},
        {"example.com", "no key"},
        {"Example.com/x", "no key"},
        {"example..com/x", "no key"},
        {"-a.com/x", "no key"},
        {"a_b.com/x", "no key"},
        {LABEL_63 "4.com/x", "no key"},
        {"example.com/Tenant", "lower-case"},
        {"example.com/a b", "lower-case"},
        {"example.com/%41", "lower-case"},
        {"k8s.io/x", "Kubernetes"},
        {"kubernetes.io/x", "Kubernetes"},
        {"a.k8s.io/x", "Kubernetes"},
        {"authentication.kubernetes.io/credential-id", "Kubernetes"},
        {"kube-introspect.io/handle", "kube-introspect"},
        {"a.b.kube-introspect.io/x", "kube-introspect"},
    };
    RUN(config_check_extra_key, cases);
}

Test(config_checks, address_is_split) {
    static const struct {
        const char *text, *host, *port;
    } cases[] = {{"0.0.0.0:8443", "0.0.0.0", "8443"},
                 {"127.0.0.1:0", "127.0.0.1", "0"},
                 {"[::]:8443", "::", "8443"},
                 {"[2001:db8::1]:1", "2001:db8::1", "1"},
                 {"[::ffff:10.0.0.1]:65535", "::ffff:10.0.0.1", "65535"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text host, port;
        const char *complaint = config_check_address(text_of(cases[i].text), &host, &port);
        cr_assert_null(complaint, "%s: %s", cases[i].text, complaint);
        cr_expect(text_equal(host, text_of(cases[i].host)), "%s", cases[i].text);
        cr_expect(text_equal(port, text_of(cases[i].port)), "%s", cases[i].text);
    }
}

/* The same without the outputs. */
static const char *check_address(struct text text) {
    struct text host = TEXT("untouched"), port = TEXT("untouched");
    const char *complaint = config_check_address(text, &host, &port);
    if (complaint != NULL)
        cr_expect(text_equal(host, TEXT("untouched")) && text_equal(port, TEXT("untouched")),
                  "an output was written on failure");
    return complaint;
}

Test(config_checks, address) {
    static const struct check_case cases[] = {
        {"8443", "port is missing"},         {"0.0.0.0", "port is missing"},    {":8443", "address is missing"},
        {"localhost:8443", "no IP address"}, {"1.2.3:80", "no IP address"},     {"01.2.3.4:80", "no IP address"},
        {"1.2.3.4.5:80", "no IP address"},   {"::1:8443", "brackets"},          {"[::1]", "brackets"},
        {"[]:80", "no IP address"},          {"[1.2.3.4]:80", "no IP address"}, {"[::1:80", "brackets"},
        {"[fe80::1%eth0]:80", "brackets"},   {"0.0.0.0:", "port is not"},       {"0.0.0.0:65536", "port is not"},
        {"0.0.0.0:x", "port is not"},        {"0.0.0.0:-1", "port is not"},     {"0.0.0.0:100000", "port is not"},
        {"[::]:http", "port is not"},        {"0.0.0.0 :80", "no IP address"},
    };
    RUN(check_address, cases);
}

Test(config_checks, role) {
    static const struct check_case cases[] = {
        {"view", NULL},
        {"system:node", NULL},
        {"Odd role \xc3\xbc", NULL},
        {"...", NULL},
        {".a", NULL},
        {"a:b@c#d", NULL},
        {".", "no role can be called"},
        {"..", "no role can"},
        {"a/b", "neither \"/\""},
        {"a%2fb", "\"%\""},
    };
    RUN(config_check_role, cases);
}
