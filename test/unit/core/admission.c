#include "core/admission.h"

#include "fixture.h"

#define NOW INT64_C(1800000000)

/* A rule, and a request; what is not said of either is as plain as can be. */
struct request {
    enum admission_operation operation;
    const char *group, *resource, *subresource, *namespace_name, *user, *groups, *subjects;
};

static struct admission_review review_of(const struct request *request) {
    return (struct admission_review){
        .uid = TEXT("1"),
        .operation = request->operation == 0 ? ADMISSION_CREATE : request->operation,
        .group = text_of(request->group),
        .resource = text_of(request->resource == NULL ? "pods" : request->resource),
        .subresource = text_of(request->subresource),
        .namespace_name = text_of(request->namespace_name),
        .user = text_of(request->user == NULL ? "corp:alice" : request->user),
        .groups = text_of(request->groups),
        .has_object = request->operation != ADMISSION_DELETE,
        .subjects = text_of(request->subjects),
    };
}

/* An explanation that only counts. */
struct counting {
    struct explanation explanation;
    size_t n_lines, n_failed;
};

static void count_line(struct explanation *explanation, const char *rule, bool held, const char *seen) {
    struct counting *counting = (struct counting *)explanation;
    cr_expect(text_starts_with(text_of(rule), TEXT("admission.rules[")));
    cr_expect_neq(seen[0], '\0');
    counting->n_lines++;
    counting->n_failed += !held;
}

static struct admission_result evaluate(const struct issuer_policy *issuer, const struct admission_rule *rule,
                                        const struct request *request, const struct fact *fact) {
    const struct policy policy = {.issuers = issuer, .n_issuers = 1, .rules = rule, .n_rules = 1};
    const struct admission_review review = review_of(request);
    const struct admission_token token = {.fact = fact, .now_unix_s = NOW};
    struct admission_results results;
    struct counting counting = {.explanation.line = count_line};
    cr_assert_eq(admission_evaluate(&policy, &review, &token, &counting.explanation, &results), 0);
    cr_assert_eq(results.n_items, 1);
    cr_expect_eq(results.is_denied, results.items[0].state == ADMISSION_FAILED && rule->action == ADMISSION_ACTION_DENY);
    cr_expect_eq(counting.n_lines == 0, results.items[0].state == ADMISSION_NOT_ABOUT, "what is looked at is told of");
    cr_expect_eq(counting.n_failed > 0, results.items[0].state == ADMISSION_FAILED);
    cr_expect_eq(results.items[0].cause != ADMISSION_CAUSE_NONE, results.items[0].state == ADMISSION_FAILED);
    return results.items[0];
}

/* ---- which requests a rule is about ---- */

#define PATTERNS(...)                                                                                                      \
    .resources = (const struct resource_pattern[]){__VA_ARGS__},                                                           \
    .n_resources = sizeof((const struct resource_pattern[]){__VA_ARGS__}) / sizeof(struct resource_pattern)
#define ANY TEXT("*")
#define NONE TEXT("")

Test(admission, a_rule_is_about_requests_that_fit_all_that_it_names) {
    const struct {
        struct admission_match match;
        struct request request;
        bool is_about;
    } rows[] = {
        {{0}, {0}, true},
        {{.operations = ADMISSION_CREATE}, {0}, true},
        {{.operations = ADMISSION_UPDATE | ADMISSION_CONNECT}, {0}, false},
        {{.operations = ADMISSION_UPDATE | ADMISSION_CONNECT}, {.operation = ADMISSION_CONNECT}, true},
        {{PATTERNS({NONE, TEXT("pods"), NONE})}, {0}, true},
        {{PATTERNS({NONE, TEXT("pods"), NONE})}, {.subresource = "exec"}, false},
        {{PATTERNS({NONE, TEXT("pods"), NONE})}, {.group = "metrics.k8s.io"}, false},
        {{PATTERNS({NONE, TEXT("pods"), TEXT("exec")})}, {.subresource = "exec"}, true},
        {{PATTERNS({NONE, TEXT("pods"), TEXT("exec")})}, {.subresource = "attach"}, false},
        {{PATTERNS({NONE, TEXT("pods"), TEXT("exec")})}, {0}, false},
        {{PATTERNS({NONE, TEXT("pods"), ANY})}, {.subresource = "attach"}, true},
        {{PATTERNS({NONE, TEXT("pods"), ANY})}, {0}, false},
        {{PATTERNS({NONE, TEXT("pods"), ANY})}, {.resource = "services", .subresource = "proxy"}, false},
        {{PATTERNS({ANY, ANY, NONE})}, {.group = "apps", .resource = "deployments"}, true},
        {{PATTERNS({ANY, ANY, NONE})}, {.group = "apps", .resource = "deployments", .subresource = "scale"}, false},
        {{PATTERNS({ANY, ANY, ANY})}, {.group = "apps", .resource = "deployments", .subresource = "scale"}, true},
        {{PATTERNS({ANY, ANY, ANY})}, {.group = "apps", .resource = "deployments"}, true},
        {{PATTERNS({ANY, ANY, TEXT("scale")})}, {.group = "apps", .resource = "deployments", .subresource = "scale"}, true},
        {{PATTERNS({ANY, ANY, TEXT("scale")})}, {.group = "apps", .resource = "deployments"}, false},
        {{PATTERNS({TEXT("apps"), ANY, NONE})}, {.group = "apps", .resource = "deployments"}, true},
        {{PATTERNS({TEXT("apps"), ANY, NONE})}, {0}, false},
        {{PATTERNS({NONE, TEXT("secrets"), NONE}, {NONE, TEXT("pods"), NONE})}, {0}, true},
        {{.namespaces = LIST(TEXT("prod"))}, {.namespace_name = "prod"}, true},
        {{.namespaces = LIST(TEXT("prod"))}, {.namespace_name = "prod2"}, false},
        {{.namespaces = LIST(TEXT("prod"))}, {0}, false},
        {{.users = LIST(TEXT("corp:bob"), TEXT("corp:alice"))}, {0}, true},
        {{.users = LIST(TEXT("alice"))}, {0}, false},
        {{.groups = LIST(TEXT("corp:ops"))}, {.groups = "[\"a\",\"corp:\\u006fps\"]"}, true},
        {{.groups = LIST(TEXT("corp:ops"))}, {.groups = "[\"a\"]"}, false},
        {{.groups = LIST(TEXT("corp:ops"))}, {0}, false},
        {{.issuers = LIST(TEXT("corp"))}, {0}, true},
        {{.issuers = LIST(TEXT("corp"))}, {.user = "system:admin"}, false},
        {{.issuers = LIST(TEXT("other"))}, {0}, false},
        {{.operations = ADMISSION_CREATE, .namespaces = LIST(TEXT("prod"))}, {0}, false},
    };
    const struct issuer_policy issuer = fixture_issuer();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct admission_rule rule = {.name = TEXT("r"), .match = rows[i].match, .subjects.is_set = true};
        const enum admission_state state = evaluate(&issuer, &rule, &rows[i].request, NULL).state;
        cr_expect_eq(state, rows[i].is_about ? ADMISSION_HELD : ADMISSION_NOT_ABOUT, "row %zu: %s", i,
                     admission_state_word(state));
    }
}

Test(admission, a_known_token_is_its_issuers_whatever_its_user_is_called) {
    struct issuer_policy issuers[] = {fixture_issuer(), fixture_issuer()};
    issuers[1].name = TEXT("other");
    issuers[1].username_prefix = TEXT("corp:a");
    struct fact *fact = fixture_fact(TEXT("{\"active\":true,\"sub\":\"1\"}"));
    for (size_t of = 0; of < 2; of++) {
        const struct admission_rule rule = {.match.issuers = LIST(TEXT("other")),
                                            .token = {.is_set = true, .max_age_s = 1}};
        const struct policy policy = {.issuers = issuers, .n_issuers = 2, .rules = &rule, .n_rules = 1};
        const struct admission_review review = review_of(&(struct request){0});
        struct admission_token token = {.fact = fact, .issuer = of, .now_unix_s = NOW};
        struct admission_results results;
        cr_assert_eq(admission_evaluate(&policy, &review, &token, NULL, &results), 0);
        cr_expect_eq(results.items[0].state, of == 1 ? ADMISSION_FAILED : ADMISSION_NOT_ABOUT);
        token.fact = NULL;
        cr_assert_eq(admission_evaluate(&policy, &review, &token, NULL, &results), 0);
        cr_expect_eq(results.items[0].state, ADMISSION_FAILED, "unknown: both may be meant");
    }
    fact_unref(fact);
}

/* ---- what is required of the token ---- */

#define TOKEN(claims) "{\"active\":true,\"sub\":\"1\"," claims "}"

Test(admission, what_is_required_of_a_token_holds_by_what_the_provider_said) {
    const struct {
        struct token_requirement required;
        const char *reply;
        enum admission_cause cause;
    } rows[] = {
        {{.max_age_s = 900}, TOKEN("\"auth_time\":1799999100"), ADMISSION_CAUSE_NONE},
        {{.max_age_s = 900}, TOKEN("\"auth_time\":1799999099"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"iat\":1799999100"), ADMISSION_CAUSE_NONE},
        {{.max_age_s = 900}, TOKEN("\"iat\":1799999099"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"iat\":1800000000,\"auth_time\":1799990000"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"iat\":1800000000,\"auth_time\":\"1800000000\""), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"iat\":1800000000,\"auth_time\":1.8e9"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"iat\":1800000000,\"auth_time\":true"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"iat\":1800000000,\"auth_time\":null"), ADMISSION_CAUSE_NONE},
        {{.max_age_s = 900}, TOKEN("\"auth_time\":1800000010"), ADMISSION_CAUSE_NONE},
        {{.max_age_s = 900}, TOKEN("\"auth_time\":1800000011"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"auth_time\":9223372036854775807"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"auth_time\":-9223372036854775808"), ADMISSION_CAUSE_MAX_AGE},
        {{.max_age_s = 900}, TOKEN("\"x\":1"), ADMISSION_CAUSE_MAX_AGE},
        {{.acr = LIST(TEXT("gold"), TEXT("2"))}, TOKEN("\"acr\":\"gold\""), ADMISSION_CAUSE_NONE},
        {{.acr = LIST(TEXT("gold"), TEXT("2"))}, TOKEN("\"acr\":2"), ADMISSION_CAUSE_NONE},
        {{.acr = LIST(TEXT("gold"), TEXT("2"))}, TOKEN("\"acr\":\"Gold\""), ADMISSION_CAUSE_ACR},
        {{.acr = LIST(TEXT("gold"), TEXT("2"))}, TOKEN("\"acr\":[\"gold\"]"), ADMISSION_CAUSE_ACR},
        {{.acr = LIST(TEXT("gold"), TEXT("2"))}, TOKEN("\"acr\":\"\""), ADMISSION_CAUSE_ACR},
        {{.acr = LIST(TEXT("gold"), TEXT("2"))}, TOKEN("\"x\":1"), ADMISSION_CAUSE_ACR},
        {{.amr = LIST(TEXT("mfa"), TEXT("pwd"))}, TOKEN("\"amr\":[\"pwd\",\"otp\",\"mfa\"]"), ADMISSION_CAUSE_NONE},
        {{.amr = LIST(TEXT("mfa"), TEXT("pwd"))}, TOKEN("\"amr\":[\"mfa\"]"), ADMISSION_CAUSE_AMR},
        {{.amr = LIST(TEXT("mfa"))}, TOKEN("\"amr\":\"mfa\""), ADMISSION_CAUSE_NONE},
        {{.amr = LIST(TEXT("mfa"))}, TOKEN("\"amr\":\"mfa pwd\""), ADMISSION_CAUSE_AMR},
        {{.amr = LIST(TEXT("mfa"))}, TOKEN("\"amr\":[\"mfa\",1]"), ADMISSION_CAUSE_AMR},
        {{.amr = LIST(TEXT("mfa"))}, TOKEN("\"amr\":{\"mfa\":true}"), ADMISSION_CAUSE_AMR},
        {{.amr = LIST(TEXT("mfa"))}, TOKEN("\"x\":1"), ADMISSION_CAUSE_AMR},
        {{.scope = LIST(TEXT("b"), TEXT("a"))}, TOKEN("\"scope\":\"a b c\""), ADMISSION_CAUSE_NONE},
        {{.scope = LIST(TEXT("b"), TEXT("a"))}, TOKEN("\"scope\":\"ab c\""), ADMISSION_CAUSE_SCOPE},
        {{.scope = LIST(TEXT("b"))}, TOKEN("\"scope\":[\"a\",\"b\"]"), ADMISSION_CAUSE_NONE},
        {{.scope = LIST(TEXT("b"))}, TOKEN("\"scope\":[\"a b\"]"), ADMISSION_CAUSE_SCOPE},
        {{.scope = LIST(TEXT("b"))}, TOKEN("\"scope\":\" b \""), ADMISSION_CAUSE_NONE},
        {{.scope = LIST(TEXT("b"))}, TOKEN("\"scope\":\"\""), ADMISSION_CAUSE_SCOPE},
        {{.scope = LIST(TEXT("b"))}, TOKEN("\"x\":1"), ADMISSION_CAUSE_SCOPE},
        {{.claim = TEXT("mfa"), .value = TEXT("true")}, TOKEN("\"mfa\":true"), ADMISSION_CAUSE_NONE},
        {{.claim = TEXT("mfa"), .value = TEXT("true")}, TOKEN("\"mfa\":\"true\""), ADMISSION_CAUSE_NONE},
        {{.claim = TEXT("mfa"), .value = TEXT("true")}, TOKEN("\"mfa\":[\"true\"]"), ADMISSION_CAUSE_CLAIM},
        {{.claim = TEXT("mfa"), .value = TEXT("true")}, TOKEN("\"x\":1"), ADMISSION_CAUSE_CLAIM},
        {{.acr = LIST(TEXT("2")), .amr = LIST(TEXT("mfa"))},
         TOKEN("\"acr\":\"2\",\"amr\":[\"mfa\"]"),
         ADMISSION_CAUSE_NONE},
        {{.acr = LIST(TEXT("2")), .amr = LIST(TEXT("mfa"))}, TOKEN("\"acr\":\"1\",\"amr\":[\"mfa\"]"), ADMISSION_CAUSE_ACR},
        {{.acr = LIST(TEXT("2")), .amr = LIST(TEXT("mfa"))}, TOKEN("\"acr\":\"2\",\"amr\":[]"), ADMISSION_CAUSE_AMR},
    };
    const struct issuer_policy issuer = fixture_issuer();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct admission_rule rule = {.token = rows[i].required, .action = ADMISSION_ACTION_DENY};
        rule.token.is_set = true;
        struct fact *fact = fixture_fact(text_of(rows[i].reply));
        struct admission_result result = evaluate(&issuer, &rule, &(struct request){0}, fact);
        cr_expect_eq(result.cause, rows[i].cause, "row %zu: %s", i, admission_cause_word(result.cause));
        result = evaluate(&issuer, &rule, &(struct request){0}, NULL);
        cr_expect_eq(result.cause, ADMISSION_CAUSE_TOKEN_UNKNOWN, "row %zu holds of an unknown token", i);
        fact_unref(fact);
    }
}

/* ---- what a binding may name ---- */

#define GROUP(name) "{\"kind\":\"Group\",\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":\"" name "\"}"
#define USER(name) "{\"kind\":\"User\",\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":\"" name "\"}"
#define ACCOUNT "{\"kind\":\"ServiceAccount\",\"name\":\"default\",\"namespace\":\"x\"}"

Test(admission, a_binding_may_name_whom_the_mapping_can_produce) {
    const struct {
        bool mapped_groups_only, forbids_users, drops;
        const char *subjects;
        enum admission_cause cause;
    } rows[] = {
        {true, true, true, "[" GROUP("corp:mapped") "]", ADMISSION_CAUSE_NONE},
        {true, true, true, "[" GROUP("corp:other") "]", ADMISSION_CAUSE_GROUP},
        {true, true, false, "[" GROUP("corp:other") "]", ADMISSION_CAUSE_NONE},
        {true, true, false, "[" GROUP("corp:source") "]", ADMISSION_CAUSE_GROUP},
        {true, true, false, "[" GROUP("other") "]", ADMISSION_CAUSE_GROUP},
        {true, true, false, "[" GROUP("system:authenticated") "]", ADMISSION_CAUSE_GROUP},
        {true, false, true, "[" GROUP("corp:mapped") "," GROUP("system:masters") "]", ADMISSION_CAUSE_MASTERS},
        {false, false, false, "[" GROUP("system:masters") "]", ADMISSION_CAUSE_MASTERS},
        {false, false, false, "[" GROUP("system:\\u006dasters") "]", ADMISSION_CAUSE_MASTERS},
        {false, true, false, "[" GROUP("whatever") "," ACCOUNT "]", ADMISSION_CAUSE_NONE},
        {true, true, true, "[" ACCOUNT "]", ADMISSION_CAUSE_NONE},
        {false, true, false, "[" USER("corp:alice") "]", ADMISSION_CAUSE_USER},
        {false, true, false, "[" ACCOUNT "," USER("admin") "]", ADMISSION_CAUSE_NONE},
        {false, false, false, "[" USER("corp:alice") "]", ADMISSION_CAUSE_NONE},
        {true, true, true, NULL, ADMISSION_CAUSE_NONE},
        {true, true, true, "[]", ADMISSION_CAUSE_NONE},
        {false, false, false, "{}", ADMISSION_CAUSE_UNREADABLE},
        {false, false, false, "[1]", ADMISSION_CAUSE_UNREADABLE},
        {false, false, false, "[{\"kind\":\"Group\"}]", ADMISSION_CAUSE_UNREADABLE},
        {false, false, false, "[{\"kind\":\"group\",\"name\":\"system:masters\"}]", ADMISSION_CAUSE_UNREADABLE},
    };
    const struct group_rule to_mapped = {.group = TEXT("source"), .to = LIST(TEXT("mapped"))};
    struct issuer_policy issuer = fixture_issuer();
    issuer.group_rules = &to_mapped;
    issuer.n_group_rules = 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct admission_rule rule = {.subjects = {.is_set = true,
                                                         .mapped_groups_only = rows[i].mapped_groups_only,
                                                         .forbids_users = rows[i].forbids_users}};
        struct request request = {
            .group = "rbac.authorization.k8s.io", .resource = "clusterrolebindings", .subjects = rows[i].subjects};
        issuer.drop_unmapped_groups = rows[i].drops;
        struct admission_result result = evaluate(&issuer, &rule, &request, NULL);
        cr_expect_eq(result.cause, rows[i].cause, "row %zu: %s", i, admission_cause_word(result.cause));
        request.resource = "things";
        result = evaluate(&issuer, &rule, &request, NULL);
        cr_expect_eq(result.state, ADMISSION_HELD, "row %zu: it is no binding", i);
        request = (struct request){.operation = ADMISSION_DELETE, .group = request.group, .resource = "rolebindings"};
        cr_expect_eq(evaluate(&issuer, &rule, &request, NULL).state, ADMISSION_HELD, "row %zu: nothing is bound", i);
    }
}

Test(admission, without_a_prefix_any_user_may_be_ours) {
    struct issuer_policy issuer = fixture_issuer();
    issuer.username_prefix = TEXT("");
    const struct admission_rule rule = {.subjects = {.is_set = true, .forbids_users = true}};
    struct request request = {
        .group = "rbac.authorization.k8s.io", .resource = "rolebindings", .subjects = "[" USER("bob") "]"};
    cr_expect_eq(evaluate(&issuer, &rule, &request, NULL).cause, ADMISSION_CAUSE_USER);
    request.subjects = "[" USER("system:kube-scheduler") "]";
    cr_expect_eq(evaluate(&issuer, &rule, &request, NULL).state, ADMISSION_HELD);
}

/* ---- all rules ---- */

Test(admission, all_rules_are_evaluated_and_any_that_denies_denies) {
    const struct issuer_policy issuer = fixture_issuer();
    const struct token_requirement mfa = {.is_set = true, .amr = LIST(TEXT("mfa"))}, any = {.is_set = true};
    const struct admission_rule rules[] = {
        {.name = TEXT("warns"), .token = mfa, .action = ADMISSION_ACTION_WARN, .message = TEXT("m")},
        {.name = TEXT("denies"), .token = mfa, .action = ADMISSION_ACTION_DENY},
        {.name = TEXT("other"), .match.operations = ADMISSION_DELETE, .token = mfa, .action = ADMISSION_ACTION_DENY},
        {.name = TEXT("holds"), .token = any, .action = ADMISSION_ACTION_DENY},
        {.name = TEXT("audits"), .token = mfa, .action = ADMISSION_ACTION_AUDIT},
    };
    struct policy policy = {.issuers = &issuer, .n_issuers = 1, .rules = rules, .n_rules = 5};
    const struct admission_review review = review_of(&(struct request){0});
    struct fact *fact = fixture_fact(TEXT(TOKEN("\"amr\":[\"pwd\"]")));
    const struct admission_token token = {.fact = fact, .now_unix_s = NOW};
    struct admission_results results;
    struct admission_note notes[LIMIT_ADMISSION_RULES];
    cr_assert_eq(admission_evaluate(&policy, &review, &token, NULL, &results), 0);
    static const enum admission_state states[] = {ADMISSION_FAILED, ADMISSION_FAILED, ADMISSION_NOT_ABOUT, ADMISSION_HELD,
                                                  ADMISSION_FAILED};
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(results.items[i].state, states[i], "rule %zu", i);
    cr_expect(results.is_denied);
    cr_assert_eq(admission_notes(&policy, &results, notes), 3);
    assert_text(notes[0].rule, TEXT("warns"));
    assert_text(notes[0].message, TEXT("m"));
    cr_expect_eq(notes[1].action, ADMISSION_ACTION_DENY);
    assert_text(notes[2].rule, TEXT("audits"));
    policy.n_rules = 1;
    cr_assert_eq(admission_evaluate(&policy, &review, &token, NULL, &results), 0);
    cr_expect_not(results.is_denied, "a warning denies nothing");
    policy.n_rules = 0;
    cr_assert_eq(admission_evaluate(&policy, &review, &token, NULL, &results), 0);
    cr_expect_eq(admission_notes(&policy, &results, notes), 0);
    cr_expect_not(results.is_denied);
    fact_unref(fact);
}

Test(admission, a_failed_allocation_is_no_result) {
    const struct issuer_policy issuer = fixture_issuer();
    const struct admission_rule rule = {.token = {.is_set = true, .amr = LIST(TEXT("mfa"))}};
    const struct policy policy = {.issuers = &issuer, .n_issuers = 1, .rules = &rule, .n_rules = 1};
    const struct admission_review review = review_of(&(struct request){0});
    struct fact *fact = fixture_fact(TEXT(TOKEN("\"amr\":[\"mfa\"]")));
    const struct admission_token token = {.fact = fact, .now_unix_s = NOW};
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct admission_results results, untouched;
        memset(&results, 0xa5, sizeof(results));
        memset(&untouched, 0xa5, sizeof(untouched));
        memory_fail_at(n);
        const int r = admission_evaluate(&policy, &review, &token, NULL, &results);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_expect_eq(r, has_failed ? -ENOMEM : 0);
        if (has_failed)
            cr_expect_eq(memcmp(&results, &untouched, sizeof(results)), 0);
    }
    fact_unref(fact);
}

Test(admission, allocates_nothing_where_no_token_is_looked_at) {
    const struct issuer_policy issuer = fixture_issuer();
    const struct admission_rule rules[] = {{.match.operations = ADMISSION_DELETE, .token = {.is_set = true}},
                                           {.subjects.is_set = true}};
    const struct policy policy = {.issuers = &issuer, .n_issuers = 1, .rules = rules, .n_rules = 2};
    const struct admission_review review = review_of(&(struct request){.resource = "rolebindings"});
    struct fact *fact = fixture_fact(TEXT(TOKEN("\"amr\":[\"mfa\"]")));
    const struct admission_token token = {.fact = fact, .now_unix_s = NOW};
    struct admission_results results;
    memory_fail_at(1);
    cr_expect_eq(admission_evaluate(&policy, &review, &token, NULL, &results), 0);
    memory_fail_at(0);
    fact_unref(fact);
}
