#include "wire/subject_access_review.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/body.h"
#include "lib/memory.h"
#include "unit/wire/cases.h"

#define expect_text(actual, expected, ...)                                                                                 \
    do {                                                                                                                   \
        const struct text actual_ = (actual), expected_ = text_of(expected);                                               \
        cr_expect(text_equal(actual_, expected_), __VA_ARGS__);                                                            \
    } while (0)

#define REVIEW(spec) "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"spec\":" spec "}"
#define GET_API "\"nonResourceAttributes\":{\"path\":\"/api\",\"verb\":\"get\"}"

/* ---- requests as kube-apiserver sends them ---- */

static struct body recorded(const char *name) {
    char path[256];
    snprintf(path, sizeof(path), "test/data/kube-apiserver/subjectaccessreview-v1-%s.json", name);
    return body_of_file(path);
}

Test(subject_access_review, reads_what_kube_apiserver_sends) {
    static const struct {
        const char *name, *verb, *namespace_name, *resource, *subresource, *object, *path;
    } rows[] = {
        {"can-i-list-secrets", "list", "default", "secrets", "", "", ""},
        {"create", "create", "default", "configmaps", "", "", ""},
        {"deletecollection", "deletecollection", "default", "configmaps", "", "", ""},
        {"impersonate-user", "impersonate", "", "users", "", "idp:carol", ""},
        {"nonresource-get", "get", "", "", "", "", "/api"},
        {"pod-exec-get", "get", "default", "pods", "exec", "f-pod", ""},
        {"subresource-token", "create", "default", "serviceaccounts", "token", "default", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct body body = recorded(rows[i].name);
        struct subject_access_review review;
        struct error error;
        memory_fail_at(1);
        const int r = subject_access_review_decode(body.bytes, body.n_bytes, &review, &error);
        cr_expect_eq(memory_n_allocations(), 0);
        memory_fail_at(0);
        cr_assert_eq(r, 0, "%s: %s", rows[i].name, error.text);
        cr_expect_eq(review.version, REVIEW_VERSION_V1);
        cr_expect_eq(review.extra.n_handles, 0);
        cr_expect_eq(review.is_resource, rows[i].path[0] == '\0');
        expect_text(review.user, "idp:alice", "%s", rows[i].name);
        expect_text(review.uid, "a-1", "%s", rows[i].name);
        expect_text(review.verb, rows[i].verb, "%s", rows[i].name);
        expect_text(review.namespace_name, rows[i].namespace_name, "%s", rows[i].name);
        expect_text(review.resource, rows[i].resource, "%s", rows[i].name);
        expect_text(review.subresource, rows[i].subresource, "%s", rows[i].name);
        expect_text(review.name, rows[i].object, "%s", rows[i].name);
        expect_text(review.path, rows[i].path, "%s", rows[i].name);
        free(body.bytes);
    }
}

/* ---- test/data/authorizations: its README tells the format ---- */

static void expect_review(const struct subject_access_review *review, const json_t *expected, const char *file) {
    cr_assert_not_null(expected, "%s: what decodes has expect.review", file);
    const char *version = review->version == REVIEW_VERSION_V1 ? "v1" : "v1beta1";
    const struct {
        const char *name;
        struct text text;
    } members[] = {
        {"uid", review->uid},
        {"handle", review->extra.handle},
        {"verb", review->verb},
        {"namespace", review->namespace_name},
        {"group", review->group},
        {"resource", review->resource},
        {"subresource", review->subresource},
        {"name", review->name},
        {"path", review->path},
    };
    cr_expect_str_eq(case_text(expected, "version"), version, "%s", file);
    cr_expect_eq((json_int_t)review->extra.n_handles, json_integer_value(json_object_get(expected, "handles")),
                 "%s: %zu handles", file, review->extra.n_handles);
    if (case_text(expected, "user") != NULL)
        expect_text(review->user, case_text(expected, "user"), "%s: user", file);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        expect_text(members[i].text, case_text(expected, members[i].name), "%s: %s is %.*s", file, members[i].name,
                    (int)members[i].text.n_bytes, members[i].text.data);
}

static void decode_case(const char *file, const json_t *document) {
    const json_t *expect = json_object_get(document, "expect");
    struct body body = body_of_parts(json_object_get(document, "body"), file);
    struct subject_access_review review;
    struct error error = {{0}};
    memory_fail_at(1);
    const int r = subject_access_review_decode(body.bytes, body.n_bytes, &review, &error);
    cr_expect_eq(memory_n_allocations(), 0, "%s", file);
    memory_fail_at(0);
    case_expect_result(r, &error, expect, "alice", file);
    if (r == 0)
        expect_review(&review, json_object_get(expect, "review"), file);
    free(body.bytes);
}

Test(subject_access_review, says_of_each_hostile_review_what_its_file_expects, .timeout = 60) {
    const size_t n_files = cases_check("test/data/authorizations", decode_case);
    cr_expect_geq(n_files, 60, "%zu files", n_files);
}

/* ---- decoding ---- */

Test(subject_access_review, names_the_first_fault_that_matters_and_its_place) {
    static const struct {
        struct text body;
        int error;
        const char *text;
    } rows[] = {
        {TEXT("{\"kind\":1,}"), SUBJECT_ACCESS_REVIEW_MALFORMED, "byte 10: this character cannot stand here in JSON"},
        {TEXT("[]"), SUBJECT_ACCESS_REVIEW_WRONG_KIND, "kind: SubjectAccessReview is expected"},
        {TEXT("{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"v1\",\"spec\":{}}"), SUBJECT_ACCESS_REVIEW_WRONG_KIND,
         "apiVersion: authorization.k8s.io/v1 or authorization.k8s.io/v1beta1 is expected"},
        {TEXT(REVIEW("[]")), SUBJECT_ACCESS_REVIEW_INVALID, "spec: an object is expected"},
        {TEXT(REVIEW("{\"uid\":1,\"user\":2}")), SUBJECT_ACCESS_REVIEW_INVALID, "spec.uid: a string is expected"},
        {TEXT(REVIEW("{\"groups\":{}}")), SUBJECT_ACCESS_REVIEW_INVALID, "spec.groups: an array of strings is expected"},
        {TEXT(REVIEW("{\"extra\":{\"a\":[1]}}")), SUBJECT_ACCESS_REVIEW_INVALID,
         "spec.extra: each value must be an array of strings"},
        {TEXT(REVIEW("{\"resourceAttributes\":{\"verb\":1}}")), SUBJECT_ACCESS_REVIEW_INVALID,
         "spec.resourceAttributes.verb: a string is expected"},
        {TEXT(REVIEW("{\"user\":\"a\"}")), SUBJECT_ACCESS_REVIEW_INVALID,
         "spec: either resourceAttributes or nonResourceAttributes is expected"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct body body = body_of(rows[i].body);
        struct subject_access_review review, untouched;
        struct error error;
        memset(&review, 0xa5, sizeof(review));
        memset(&untouched, 0xa5, sizeof(untouched));
        cr_expect_eq(subject_access_review_decode(body.bytes, body.n_bytes, &review, &error), rows[i].error, "row %zu", i);
        cr_expect_str_eq(error.text, rows[i].text, "row %zu: %s", i, error.text);
        cr_expect_eq(memcmp(&review, &untouched, sizeof(review)), 0, "row %zu writes a review", i);
        cr_expect_eq(subject_access_review_decode(body.bytes, body.n_bytes, &review, NULL), rows[i].error, "row %zu", i);
        free(body.bytes);
    }
}

Test(subject_access_review, refuses_a_review_cut_at_any_byte) {
    const struct text whole =
        TEXT(REVIEW("{\"user\":\"a\",\"extra\":{\"kube-introspect.io/handle\":[\"\\u0031\"]}," GET_API "}"));
    for (size_t n = 0; n < whole.n_bytes; n++) {
        struct body body = body_of((struct text){.data = whole.data, .n_bytes = n});
        struct subject_access_review review;
        cr_expect_eq(subject_access_review_decode(body.bytes, body.n_bytes, &review, NULL), SUBJECT_ACCESS_REVIEW_MALFORMED,
                     "%zu bytes", n);
        free(body.bytes);
    }
}

/* ---- answers ---- */

static void assert_answer(enum review_version version, enum subject_access_outcome outcome, const char *expected) {
    const struct subject_access_answer answer = {
        .version = version,
        .outcome = outcome,
        .sentence = TEXT("The \"provider\" says no."),
        .word = TEXT("inactive"),
        .request_id = 0x1234,
    };
    struct buffer buffer;
    buffer_init(&buffer, 10000);
    subject_access_review_encode(&answer, &buffer);
    const struct text written = buffer_text(&buffer);
    cr_assert(text_equal(written, text_of(expected)), "%.*s", (int)written.n_bytes, written.data);
    json_t *json = json_loadb(written.data, written.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(json);
    json_decref(json);
    buffer_deinit(&buffer);
}

#define ANSWER(version, status)                                                                                            \
    "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/" version                                     \
    "\",\"metadata\":{},\"spec\":{},\"status\":{\"allowed\":false" status "}}"

Test(subject_access_review, answers_in_the_version_that_was_asked_in) {
    assert_answer(REVIEW_VERSION_V1, SUBJECT_ACCESS_NO_OPINION, ANSWER("v1", ""));
    assert_answer(REVIEW_VERSION_V1BETA1, SUBJECT_ACCESS_NO_OPINION, ANSWER("v1beta1", ""));
}

Test(subject_access_review, a_denial_tells_a_person_what_to_do) {
    assert_answer(REVIEW_VERSION_V1, SUBJECT_ACCESS_DENIED,
                  ANSWER("v1",
                         ",\"denied\":true,\"reason\":\"kube-introspect: The \\\"provider\\\" says no. Sign in again; "
                         "if that does not help, show this to your administrator: inactive, request "
                         "0000000000001234\""));
}

Test(subject_access_review, what_could_not_be_checked_is_denied_and_says_so) {
    assert_answer(REVIEW_VERSION_V1BETA1, SUBJECT_ACCESS_UNKNOWN,
                  ANSWER("v1beta1",
                         ",\"denied\":true,\"reason\":\"kube-introspect: your sign-in could not be checked just "
                         "now. Try again; if that does not help, show this to your administrator: inactive, "
                         "request 0000000000001234\",\"evaluationError\":\"kube-introspect: The \\\"provider\\\" "
                         "says no.\""));
}

Test(subject_access_review, an_answer_without_memory_is_an_error_of_its_buffer) {
    const struct subject_access_answer answer = {
        .outcome = SUBJECT_ACCESS_UNKNOWN, .sentence = TEXT("No."), .word = TEXT("no")};
    struct buffer whole;
    buffer_init(&whole, 10000);
    subject_access_review_encode(&answer, &whole);
    for (size_t n = 0; n < whole.n_bytes; n++) {
        struct buffer buffer;
        buffer_init(&buffer, n);
        subject_access_review_encode(&answer, &buffer);
        cr_expect_neq(buffer.error, 0, "%zu bytes", n);
        buffer_deinit(&buffer);
    }
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct buffer buffer;
        buffer_init(&buffer, 10000);
        memory_fail_at(n);
        subject_access_review_encode(&answer, &buffer);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_expect_eq(buffer.error != 0, has_failed);
        buffer_deinit(&buffer);
    }
    buffer_deinit(&whole);
}
