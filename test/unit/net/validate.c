#include "net/validate.h"

#include "unit/net/site.h"

SITE_ROLE(validate_reviews, .max_entity_bytes = LIMIT_ADMISSION_H2O_ENTITY_BYTES, .reads_objects = true);

static const struct resource_pattern secrets[] = {{TEXT(""), TEXT("secrets"), TEXT("")}};
static const struct admission_rule rules[] = {
    {.name = TEXT("secrets-need-mfa"),
     .match = {.operations = ADMISSION_CREATE, .resources = secrets, .n_resources = 1},
     .token = {.is_set = true, .claim = TEXT("mfa"), .value = TEXT("yes")},
     .action = ADMISSION_ACTION_DENY,
     .message = TEXT("Secrets want a second factor.")},
    {.name = TEXT("say-so"),
     .token = {.is_set = true, .claim = TEXT("mfa"), .value = TEXT("yes")},
     .action = ADMISSION_ACTION_WARN,
     .message = TEXT("Soon this will want a second factor.")},
};

static struct site site;
static struct policy policy;
static char handle[LIMIT_HANDLE_BYTES + 1];
static int caller;

static void set_up_with(const char *audit_path) {
    site_init(&site);
    snprintf(site.audit_path, sizeof(site.audit_path), "%s", audit_path);
    policy = site_policy(&site);
    policy.rules = rules;
    policy.n_rules = 2;
    site_start(&site, &role, &policy);
    for (size_t i = 0; i < policy.n_rules; i++)
        site.first.runtime.rule_rows[i] = metrics_rule(site.world.metrics, rules[i].name);
    site_handle(&site, handle);
    caller = site_connect(&site);
}

static void set_up(void) {
    set_up_with("");
}

static void tear_down(void) {
    close(caller);
    site_deinit(&site);
}

TestSuite(validate, .init = set_up, .fini = tear_down, .timeout = 60);

/* Asks for alice, who shows her handle. */
static void ask_about(const char *resource) {
    char body[2048];
    snprintf(
        body, sizeof(body),
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\"uid-1\",\"operation\":"
        "\"CREATE\",\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"%s\"},\"namespace\":\"prod\",\"userInfo\":"
        "{\"username\":\"corp:alice\",\"uid\":\"u1\",\"extra\":{\"kube-introspect.io/handle\":[\"%s\"]}},\"object\":{}}}",
        resource, handle);
    post(caller, "/validate?timeout=20s", body);
}

#define ALLOWED "\"response\":{\"uid\":\"uid-1\",\"allowed\":true"
#define DENIED "\"response\":{\"uid\":\"uid-1\",\"allowed\":false"
#define FORBIDDEN "\"code\":403"
#define UNKNOWN "\"code\":503"

/* Returns the answer, which is a review under the request's uid, and either allows or says by which code it does not. */
static struct response receive_answer(void) {
    const struct response response = receive(caller);
    const bool is_allowed = strstr(response.body, ALLOWED) != NULL;
    cr_expect_eq(response.status, 200, "%d", response.status);
    cr_expect(text_starts_with(text_of(response.body), TEXT("{\"kind\":\"AdmissionReview\",\"apiVersion\":"
                                                            "\"admission.k8s.io/v1\",")),
              "%s", response.body);
    cr_expect_neq(is_allowed, strstr(response.body, DENIED) != NULL, "%s", response.body);
    cr_expect_neq(is_allowed, strstr(response.body, FORBIDDEN) != NULL || strstr(response.body, UNKNOWN) != NULL, "%s",
                  response.body);
    return response;
}

static void expect_answer(const char *outcome, const char *word) {
    const struct response response = receive_answer();
    cr_expect_not_null(strstr(response.body, outcome), "%s: %s", word, response.body);
    cr_expect_not_null(strstr(response.body, word), "%s: %s", word, response.body);
}

static void expect_outcome(const char *resource, const char *outcome, const char *word) {
    ask_about(resource);
    expect_answer(outcome, word);
}

#define WITH_MFA "{\"active\":true,\"sub\":\"u1\",\"preferred_username\":\"alice\",\"mfa\":\"yes\",\"exp\":4102444800}"

/* ---- what is decided ---- */

Test(validate, asks_the_rules_of_a_token_that_is_good) {
    site_learn(&site, SITE_REPLY);
    expect_outcome("secrets", FORBIDDEN, "Secrets want a second factor. (rule secrets-need-mfa)");
    expect_outcome("pods", ALLOWED, "Soon this will want a second factor. (rule say-so)");
    site_learn(&site, WITH_MFA);
    expect_outcome("secrets", ALLOWED, "\"reason\":\"ok\"");
    EVENTUALLY(site_has_record(&site, "{\"name\":\"secrets-need-mfa\""));
    cr_expect(site_has_metric(
        &site, "kube_introspect_admission_rule_results_total{rule=\"secrets-need-mfa\",result=\"failed\"} 1"));
    cr_expect(site_has_metric(&site,
                              "kube_introspect_admission_rule_results_total{rule=\"secrets-need-mfa\",result=\"held\"} 1"));
    cr_expect(site_has_metric(&site, "kube_introspect_admission_rule_results_total{rule=\"say-so\",result=\"failed\"} 2"));
}

Test(validate, asks_no_rule_of_a_token_that_is_refused) {
    site_learn(&site, INACTIVE);
    expect_outcome("secrets", FORBIDDEN, ": inactive, request ");
    cr_expect_not(site_has_metric(&site, "result=\"failed\"} 1"));
}

Test(validate, of_a_handle_whose_fact_is_missing_nothing_is_known_and_what_is_required_does_not_hold) {
    expect_outcome("pods", FORBIDDEN, ": fact_unknown, request ");
    policy.handle.refuse_unknown_fact = false;
    site_reload(&site, &policy);
    for (size_t i = 0; i < policy.n_rules; i++)
        site.second.runtime.rule_rows[i] = site.first.runtime.rule_rows[i];
    expect_outcome("pods", ALLOWED, "Soon this will want a second factor. (rule say-so)");
    expect_outcome("secrets", FORBIDDEN, "Secrets want a second factor. (rule secrets-need-mfa)");
    cr_expect_eq(https_server_n_requests(site.world.server), 0);
}

Test(validate, what_nobody_can_say_is_not_allowed_and_told_as_such) {
    site_learn(&site, WITH_MFA);
    site.world.ahead_ms += 36000;
    site.status = 500;
    expect_outcome("pods", UNKNOWN, ": provider_error, request ");
}

Test(validate, a_body_that_is_no_review_is_refused_and_asks_nobody) {
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"", "byte 0: "},
        {"{}", "kind: AdmissionReview is expected"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}", "request: an object is expected"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        post(caller, "/validate", rows[i].body);
        const struct response response = receive(caller);
        cr_expect_eq(response.status, 400, "%zu: %d", i, response.status);
        cr_expect_not_null(strstr(response.body, rows[i].says), "%zu: %s", i, response.body);
    }
}

/* ---- while it waits ---- */

static void begin_to_wait(const char *resource) {
    site_learn(&site, SITE_REPLY);
    site.world.ahead_ms += 6000;
    gate_close(&site.world);
    ask_about(resource);
    wait_for(&site.world, &site.world.n_at_gate, 1);
}

/* The body is the request's own and stays with it: what rules ask of it is still there. */
Test(validate, that_waited_is_asked_the_rules_that_it_began_with) {
    begin_to_wait("secrets");
    policy.n_rules = 0;
    site_reload(&site, &policy);
    gate_open(&site.world);
    expect_answer(FORBIDDEN, "Secrets want a second factor. (rule secrets-need-mfa)");
    EVENTUALLY(site.first.runtime.n_refs == 1);
    expect_outcome("secrets", ALLOWED, "\"reason\":\"ok\"");
}

Test(validate, that_waited_is_judged_by_what_is_said_then) {
    begin_to_wait("secrets");
    site.reply = WITH_MFA;
    gate_open(&site.world);
    expect_answer(ALLOWED, "\"reason\":\"ok\"");
}

Test(validate, whose_caller_goes_while_it_waits_is_recorded_and_released) {
    begin_to_wait("secrets");
    close(caller);
    gate_open(&site.world);
    EVENTUALLY(site_has_record(&site, "\"verdict\":\"deny\""));
    caller = site_connect(&site);
    expect_outcome("pods", ALLOWED, "\"reason\":\"ok\"");
}

/* ---- when something is lacking ---- */

/* From the request's first byte on: an answer, and none that lets by what a rule forbids. */
Test(validate, without_memory_allows_nothing_that_a_rule_forbids) {
    bool has_failed = true;
    unsigned n_unknown = 0;
    for (size_t n = 1; has_failed && n < 100; n++) {
        site_learn(&site, SITE_REPLY);
        memory_fail_at(n);
        ask_about("secrets");
        const struct response response = receive_answer();
        has_failed = memory_has_failed();
        memory_fail_at(0);
        n_unknown += strstr(response.body, UNKNOWN) != NULL;
        cr_expect_not_null(strstr(response.body, DENIED), "allocation %zu: %s", n, response.body);
        cr_expect(!has_failed || strstr(response.body, ": internal, request ") != NULL, "allocation %zu: %s", n,
                  response.body);
    }
    cr_expect_not(has_failed);
    cr_expect_gt(n_unknown, 1); /* for the identity, and for what a rule asks of the claims */
}

static void set_up_with_full_disk(void) {
    set_up_with("/dev/full");
}

TestSuite(validate_unwritten, .init = set_up_with_full_disk, .fini = tear_down, .timeout = 60);

Test(validate_unwritten, nothing_is_allowed_that_has_no_record) {
    site_learn(&site, WITH_MFA);
    expect_outcome("secrets", ALLOWED, "\"reason\":\"ok\""); /* the disk is not yet known to be full */
    EVENTUALLY(!site_is_writable(&site));
    expect_outcome("secrets", UNKNOWN, ": audit_unwritable, request ");
    expect_outcome("pods", UNKNOWN, ": audit_unwritable, request ");
}
