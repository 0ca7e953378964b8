#include "net/authorize.h"

#include "unit/net/site.h"

SITE_ROLE(authorize_reviews, .max_entity_bytes = LIMIT_H2O_ENTITY_BYTES);

static struct site site;
static struct policy policy;
static char handle[LIMIT_HANDLE_BYTES + 1];
static int caller;

static void set_up_with(const char *audit_path) {
    site_init(&site);
    snprintf(site.audit_path, sizeof(site.audit_path), "%s", audit_path);
    policy = site_policy(&site);
    site_start(&site, &role, &policy);
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

TestSuite(authorize, .init = set_up, .fini = tear_down, .timeout = 60);

/* Asks for alice, with her handle or without one. */
static void ask_for(const char *version, bool shows_handle) {
    char body[2048], extra[512] = "";
    if (shows_handle)
        snprintf(extra, sizeof(extra), ",\"extra\":{\"kube-introspect.io/handle\":[\"%s\"]}", handle);
    snprintf(
        body, sizeof(body),
        "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/%s\",\"spec\":{\"user\":\"corp:alice\","
        "\"uid\":\"u1\"%s,\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\",\"namespace\":\"prod\"}}}",
        version, extra);
    post(caller, "/authorize?timeout=20s", body);
}

/* Whatever happens, nothing is allowed by it. */
static struct response receive_answer(const char *version) {
    char begins[256];
    const struct response response = receive(caller);
    snprintf(begins, sizeof(begins),
             "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/%s\",\"metadata\":{},\"spec\":{},"
             "\"status\":{\"allowed\":false",
             version);
    cr_expect_eq(response.status, 200, "%d", response.status);
    cr_expect(text_starts_with(text_of(response.body), text_of(begins)), "%s", response.body);
    cr_expect_null(strstr(response.body, "true,\"allowed\""));
    return response;
}

#define NO_OPINION "\"status\":{\"allowed\":false}}"
#define DENIED "\"status\":{\"allowed\":false,\"denied\":true,\"reason\":\"kube-introspect: "
#define UNKNOWN DENIED "your sign-in could not be checked just now."

/* word: that stands in the reason, for a machine. */
static void expect_answer(const char *status, const char *word) {
    const struct response response = receive_answer("v1");
    cr_expect_not_null(strstr(response.body, status), "%s: %s", word, response.body);
    cr_expect_not_null(strstr(response.body, word), "%s: %s", word, response.body);
    cr_expect_eq(strstr(response.body, "evaluationError") != NULL, strcmp(status, UNKNOWN) == 0, "%s", response.body);
}

static void expect_outcome(bool shows_handle, const char *status, const char *word) {
    ask_for("v1", shows_handle);
    expect_answer(status, word);
}

Test(authorize, has_no_opinion_on_a_token_that_is_good_and_denies_for_one_that_is_not) {
    site_learn(&site, SITE_REPLY);
    expect_outcome(true, NO_OPINION, "");
    site_learn(&site, INACTIVE);
    expect_outcome(true, DENIED, ": inactive, request ");
    EVENTUALLY(site_has_record(&site, "\"reason\":\"inactive\""));
    cr_expect(site_has_record(&site, "\"namespace\":\"prod\""));
    cr_expect(site_has_record(&site, "\"cache\":\"negative\""));
    cr_expect(
        site_has_metric(&site, "kube_introspect_authorization_reviews_total{verdict=\"deny\",reason=\"inactive\"} 1"));
}

Test(authorize, answers_in_the_version_that_was_asked_in) {
    site_learn(&site, SITE_REPLY);
    ask_for("v1beta1", true);
    receive_answer("v1beta1");
    ask_for("v1", true);
    receive_answer("v1");
}

Test(authorize, a_handle_whose_fact_is_missing_is_denied_or_passed_as_the_policy_says) {
    expect_outcome(true, DENIED, ": fact_unknown, request ");
    expect_outcome(false, DENIED, ": handle_absent, request ");
    policy.handle.refuse_unknown_fact = policy.handle.refuse_without_handle = false;
    site_reload(&site, &policy);
    expect_outcome(true, NO_OPINION, "");
    expect_outcome(false, NO_OPINION, "");
    cr_expect_eq(https_server_n_requests(site.world.server), 0);
}

Test(authorize, what_nobody_can_say_is_denied_and_told_as_such) {
    site_learn(&site, SITE_REPLY);
    site.world.ahead_ms += 36000;
    site.status = 500;
    expect_outcome(true, UNKNOWN, ": provider_error, request ");
}

Test(authorize, that_waits_is_judged_by_the_configuration_that_it_began_with) {
    site_learn(&site, SITE_REPLY);
    site.world.ahead_ms += 6000;
    gate_close(&site.world);
    ask_for("v1", true);
    wait_for(&site.world, &site.world.n_at_gate, 1);
    policy.handle.is_on = false;
    site_reload(&site, &policy);
    site.reply = INACTIVE;
    gate_open(&site.world);
    /* The reply was chosen behind the gate. */
    expect_answer(DENIED, ": inactive, request ");
    EVENTUALLY(site.first.runtime.n_refs == 1);
}

Test(authorize, a_body_that_is_no_review_is_refused_and_asks_nobody) {
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"", "byte 0: "},
        {"{}", "kind: SubjectAccessReview is expected"},
        {"{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"spec\":{\"extra\":1}}",
         "spec.extra: an object is expected"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        post(caller, "/authorize", rows[i].body);
        const struct response response = receive(caller);
        cr_expect_eq(response.status, 400, "%zu: %d", i, response.status);
        cr_expect_not_null(strstr(response.body, rows[i].says), "%zu: %s", i, response.body);
    }
    cr_expect(site_has_metric(&site, "kube_introspect_bad_requests_total{code=\"400\"} 3"));
}

/* From the request's first byte on, on whatever thread: an answer, and none that lets a bad token by. */
Test(authorize, without_memory_denies_as_unknown_or_as_it_should) {
    bool has_failed = true;
    for (size_t n = 1; has_failed && n < 60; n++) {
        site_learn(&site, INACTIVE);
        memory_fail_at(n);
        ask_for("v1", true);
        const struct response response = receive_answer("v1");
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_expect_not_null(strstr(response.body, DENIED), "allocation %zu: %s", n, response.body);
    }
    cr_expect_not(has_failed);
    site_learn(&site, SITE_REPLY);
    memory_fail_at(1); /* nobody has made an identity of it yet */
    ask_for("v1", true);
    expect_answer(UNKNOWN, ": internal, request ");
    memory_fail_at(0);
    expect_outcome(true, NO_OPINION, "");
    memory_fail_at(1); /* and now it takes none */
    expect_outcome(true, NO_OPINION, "");
    cr_expect_eq(memory_n_allocations(), 0);
    memory_fail_at(0);
}

static void set_up_with_full_disk(void) {
    set_up_with("/dev/full");
}

TestSuite(authorize_unwritten, .init = set_up_with_full_disk, .fini = tear_down, .timeout = 60);

Test(authorize_unwritten, nothing_passes_that_has_no_record) {
    site_learn(&site, SITE_REPLY);
    expect_outcome(true, NO_OPINION, ""); /* the disk is not yet known to be full */
    EVENTUALLY(!site_is_writable(&site));
    expect_outcome(true, UNKNOWN, ": audit_unwritable, request ");
    site_learn(&site, INACTIVE);
    expect_outcome(true, UNKNOWN, ": audit_unwritable, request ");
}
