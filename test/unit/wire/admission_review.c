#include "wire/admission_review.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "lib/body.h"
#include "lib/memory.h"
#include "unit/wire/cases.h"

static struct scan_room room;

#define expect_text(actual, expected, ...)                                                                                 \
    do {                                                                                                                   \
        const struct text actual_ = (actual), expected_ = text_of(expected);                                               \
        cr_expect(text_equal(actual_, expected_), __VA_ARGS__);                                                            \
    } while (0)

/* ---- requests as kube-apiserver sends them ---- */

Test(admission_review, reads_what_kube_apiserver_sends) {
    static const struct {
        const char *file, *operation, *group, *resource, *subresource, *name, *namespace_name;
        bool is_dry_run, has_object, has_subjects;
    } rows[] = {
        {"connect-pod-exec", "CONNECT", "", "pods", "exec", "f-pod", "default", false, true, false},
        {"create-clusterrolebinding", "CREATE", "rbac.authorization.k8s.io", "clusterrolebindings", "", "f-crb", "", false,
         true, true},
        {"create-configmap", "CREATE", "", "configmaps", "", "f1", "default", false, true, false},
        {"create-crd", "CREATE", "apiextensions.k8s.io", "customresourcedefinitions", "", "things.example.test", "", false,
         true, false},
        {"create-dryrun", "CREATE", "", "configmaps", "", "f2", "default", true, true, false},
        {"create-pod-eviction", "CREATE", "", "pods", "eviction", "f-pod", "default", false, true, false},
        {"create-serviceaccount-token", "CREATE", "", "serviceaccounts", "token", "default", "default", false, true, false},
        {"delete-configmap", "DELETE", "", "configmaps", "", "f1", "default", false, false, false},
        {"update-deployment-scale", "UPDATE", "apps", "deployments", "scale", "f-dep", "default", false, true, false},
    };
    const struct text groups[] = {TEXT("idp:admins"), TEXT("idp:devs")};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "test/data/kube-apiserver/admissionreview-v1-%s.json", rows[i].file);
        struct body body = body_of_file(path);
        struct admission_review review;
        struct error error;
        memory_fail_at(1);
        const int r = admission_review_decode(body.bytes, body.n_bytes, &room, &review, &error);
        cr_expect_eq(memory_n_allocations(), 0);
        memory_fail_at(0);
        cr_assert_eq(r, 0, "%s: %s", rows[i].file, error.text);
        cr_expect_eq(review.uid.n_bytes, 36);
        expect_text(review.user, "idp:alice", "%s", rows[i].file);
        expect_text(review.user_uid, "a-1", "%s", rows[i].file);
        expect_text(review.group, rows[i].group, "%s", rows[i].file);
        expect_text(review.resource, rows[i].resource, "%s", rows[i].file);
        expect_text(review.subresource, rows[i].subresource, "%s", rows[i].file);
        expect_text(review.namespace_name, rows[i].namespace_name, "%s: %.*s", rows[i].file,
                    (int)review.namespace_name.n_bytes, review.namespace_name.data);
        expect_text(review.name, rows[i].name, "%s: %.*s", rows[i].file, (int)review.name.n_bytes, review.name.data);
        cr_expect_str_eq(admission_operation_word(review.operation), rows[i].operation);
        cr_expect_eq(review.is_dry_run, rows[i].is_dry_run, "%s", rows[i].file);
        cr_expect_eq(review.has_object, rows[i].has_object, "%s", rows[i].file);
        cr_expect_eq(review.subjects.n_bytes > 0, rows[i].has_subjects, "%s", rows[i].file);
        cr_expect_eq(review.extra.n_handles, 0);
        cr_expect(admission_review_has_group(&review, &(struct text_list){.items = (struct text *)groups, .n_items = 2}));
        cr_expect_not(
            admission_review_has_group(&review, &(struct text_list){.items = (struct text *)groups, .n_items = 1}));
        free(body.bytes);
    }
}

Test(admission_review, does_not_answer_v1beta1) {
    struct body body = body_of_file("test/data/kube-apiserver/admissionreview-v1beta1-update-configmap.json");
    struct admission_review review;
    cr_expect_eq(admission_review_decode(body.bytes, body.n_bytes, &room, &review, NULL), ADMISSION_REVIEW_WRONG_KIND);
    free(body.bytes);
}

/* ---- test/data/admissions: its README tells the format ---- */

/* Twice, for each rule reads them anew. */
static void expect_subjects(const struct admission_review *review, const json_t *expected, const char *file) {
    for (size_t round = 0; round < 2; round++) {
        struct admission_subjects subjects;
        struct admission_subject subject;
        admission_subjects_begin(review, &subjects);
        size_t n = 0;
        for (int r = 0; r == 0; n++) {
            char seen[600] = "";
            r = admission_subjects_next(&subjects, &subject);
            if (r == ADMISSION_SUBJECTS_END)
                break;
            snprintf(seen, sizeof(seen), "%.*s %.*s", (int)subject.kind.n_bytes, subject.kind.data,
                     (int)subject.name.n_bytes, subject.name.data);
            const char *as = json_string_value(json_array_get(expected, n));
            cr_assert_not_null(as, "%s: a subject too many: %d, %s", file, r, seen);
            cr_expect_str_eq(r == 0 ? seen : "unreadable", as, "%s: subject %zu", file, n);
        }
        cr_expect_eq(n, json_array_size(expected), "%s: %zu subjects", file, n);
    }
}

static void expect_review(const struct admission_review *review, const json_t *expected, const char *file) {
    cr_assert_not_null(expected, "%s: what decodes has expect.review", file);
    const struct {
        const char *name;
        struct text text;
    } members[] = {
        {"uid", review->uid},
        {"operation", text_of(admission_operation_word(review->operation))},
        {"group", review->group},
        {"resource", review->resource},
        {"subresource", review->subresource},
        {"name", review->name},
        {"namespace", review->namespace_name},
        {"user", review->user},
        {"userUid", review->user_uid},
        {"handle", review->extra.handle},
        {"roleRef", review->role_ref},
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        expect_text(members[i].text, case_text(expected, members[i].name), "%s: %s is %.*s", file, members[i].name,
                    (int)members[i].text.n_bytes, members[i].text.data);
    cr_expect_eq((json_int_t)review->extra.n_handles, json_integer_value(json_object_get(expected, "handles")),
                 "%s: %zu handles", file, review->extra.n_handles);
    cr_expect_eq(review->is_dry_run, json_is_true(json_object_get(expected, "dryRun")), "%s: dryRun", file);
    cr_expect_eq(review->has_object, !json_is_false(json_object_get(expected, "object")), "%s: object", file);
    expect_subjects(review, json_object_get(expected, "subjects"), file);
}

static void decode_case(const char *file, const json_t *document) {
    const json_t *expect = json_object_get(document, "expect");
    struct body body = body_of_parts(json_object_get(document, "body"), file);
    struct admission_review review;
    struct error error = {{0}};
    memory_fail_at(1);
    const int r = admission_review_decode(body.bytes, body.n_bytes, &room, &review, &error);
    cr_expect_eq(memory_n_allocations(), 0, "%s", file);
    memory_fail_at(0);
    case_expect_result(r, &error, expect, "alice", file);
    if (r == 0)
        expect_review(&review, json_object_get(expect, "review"), file);
    free(body.bytes);
}

Test(admission_review, says_of_each_hostile_review_what_its_file_expects, .timeout = 60) {
    const size_t n_files = cases_check("test/data/admissions", decode_case);
    cr_expect_geq(n_files, 90, "%zu files", n_files);
}

/* ---- decoding ---- */

#define REVIEW(request) "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":" request "}"

Test(admission_review, names_the_first_fault_that_matters_and_its_place) {
    static const struct {
        struct text body;
        int error;
        const char *text;
    } rows[] = {
        {TEXT("{\"kind\":1,}"), ADMISSION_REVIEW_MALFORMED, "byte 10: this character cannot stand here in JSON"},
        {TEXT("[]"), ADMISSION_REVIEW_WRONG_KIND, "kind: AdmissionReview is expected"},
        {TEXT("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"v1\"}"), ADMISSION_REVIEW_WRONG_KIND,
         "apiVersion: admission.k8s.io/v1 is expected"},
        {TEXT(REVIEW("[]")), ADMISSION_REVIEW_INVALID, "request: an object is expected"},
        {TEXT(REVIEW("{\"uid\":1,\"name\":2}")), ADMISSION_REVIEW_INVALID, "request.uid: a string is expected"},
        {TEXT(REVIEW("{\"userInfo\":{\"groups\":{}}}")), ADMISSION_REVIEW_INVALID,
         "request.userInfo.groups: an array of strings is expected"},
        {TEXT(REVIEW("{\"userInfo\":{\"extra\":{\"a\":[1]}}}")), ADMISSION_REVIEW_INVALID,
         "request.userInfo.extra: each value must be an array of strings"},
        {TEXT(REVIEW("{\"uid\":\"1\"}")), ADMISSION_REVIEW_INVALID,
         "request.operation: CREATE, UPDATE, DELETE or CONNECT is expected"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct body body = body_of(rows[i].body);
        struct admission_review review, untouched;
        struct error error;
        memset(&review, 0xa5, sizeof(review));
        memset(&untouched, 0xa5, sizeof(untouched));
        cr_expect_eq(admission_review_decode(body.bytes, body.n_bytes, &room, &review, &error), rows[i].error, "row %zu",
                     i);
        cr_expect_str_eq(error.text, rows[i].text, "row %zu: %s", i, error.text);
        cr_expect_eq(memcmp(&review, &untouched, sizeof(review)), 0, "row %zu writes a review", i);
        cr_expect_eq(admission_review_decode(body.bytes, body.n_bytes, &room, &review, NULL), rows[i].error, "row %zu", i);
        free(body.bytes);
    }
}

Test(admission_review, refuses_a_review_cut_at_any_byte) {
    struct body whole = body_of_file("test/data/kube-apiserver/admissionreview-v1-create-clusterrolebinding.json");
    for (size_t n = 0; n + 1 < whole.n_bytes; n++) {
        struct body body = body_of((struct text){.data = whole.bytes, .n_bytes = n});
        struct admission_review review;
        cr_expect_eq(admission_review_decode(body.bytes, body.n_bytes, &room, &review, NULL), ADMISSION_REVIEW_MALFORMED,
                     "%zu bytes", n);
        free(body.bytes);
    }
    free(whole.bytes);
}

/* ---- answers ---- */

#define ANSWER(response)                                                                                                   \
    "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"response\":{\"uid\":\"r-\\\"1\"," response "}}"

static void assert_answer(enum admission_outcome outcome, const struct admission_note *notes, size_t n_notes,
                          const char *expected) {
    const struct admission_answer answer = {.uid = TEXT("r-\"1"),
                                            .outcome = outcome,
                                            .sentence = TEXT("The \"provider\" says no."),
                                            .word = TEXT("inactive"),
                                            .request_id = 0x1234,
                                            .notes = notes,
                                            .n_notes = n_notes};
    struct buffer buffer;
    buffer_init(&buffer, 100000);
    admission_review_encode(&answer, &buffer);
    const struct text written = buffer_text(&buffer);
    cr_expect(text_equal(written, text_of(expected)), "%.*s", (int)written.n_bytes, written.data);
    json_t *json = json_loadb(written.data, written.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(json);
    json_decref(json);
    buffer_deinit(&buffer);
}

#define ANNOTATIONS "\"auditAnnotations\":{\"request\":\"0000000000001234\",\"reason\":\"inactive\""

Test(admission_review, allows_under_the_uid_of_the_request) {
    assert_answer(ADMISSION_ALLOWED, NULL, 0, ANSWER("\"allowed\":true," ANNOTATIONS "}"));
}

Test(admission_review, a_denial_is_403_and_tells_a_person_what_to_do) {
    assert_answer(ADMISSION_DENIED, NULL, 0,
                  ANSWER("\"allowed\":false,\"status\":{\"status\":\"Failure\",\"message\":\"kube-introspect: The "
                         "\\\"provider\\\" says no. Sign in again; if that does not help, show this to your administrator: "
                         "inactive, request 0000000000001234\",\"reason\":\"Forbidden\",\"code\":403}," ANNOTATIONS "}"));
}

Test(admission_review, what_could_not_be_checked_is_503) {
    const struct admission_note note = {ADMISSION_ACTION_DENY, TEXT("r"), TEXT("m")};
    assert_answer(ADMISSION_UNKNOWN, &note, 1,
                  ANSWER("\"allowed\":false,\"status\":{\"status\":\"Failure\",\"message\":\"kube-introspect: your sign-in "
                         "could not be checked just now. Try again; if that does not help, show this to your "
                         "administrator: inactive, request "
                         "0000000000001234\",\"reason\":\"ServiceUnavailable\",\"code\":503}," ANNOTATIONS
                         ",\"rules\":\"r=Deny\"}"));
}

Test(admission_review, a_rule_that_denies_says_why_and_others_warn) {
    const struct admission_note notes[] = {
        {ADMISSION_ACTION_WARN, TEXT("fresh"), TEXT("sign in \"again\"")},
        {ADMISSION_ACTION_AUDIT, TEXT("seen"), TEXT("nobody reads this")},
        {ADMISSION_ACTION_DENY, TEXT("mfa"), TEXT("use a second factor")},
        {ADMISSION_ACTION_DENY, TEXT("other"), {0}},
        {ADMISSION_ACTION_WARN, TEXT("plain"), {0}},
    };
    assert_answer(
        ADMISSION_DENIED, notes, 5,
        ANSWER(
            "\"allowed\":false,\"status\":{\"status\":\"Failure\",\"message\":\"kube-introspect: use a second factor (rule "
            "mfa): inactive, request 0000000000001234\",\"reason\":\"Forbidden\",\"code\":403},\"warnings\":["
            "\"kube-introspect: sign in \\\"again\\\" (rule fresh)\","
            "\"kube-introspect: a rule for changes does not hold (rule plain)\"]," ANNOTATIONS
            ",\"rules\":\"fresh=Warn,seen=Audit,mfa=Deny,other=Deny,plain=Warn\"}"));
}

Test(admission_review, warnings_keep_to_the_convention) {
    char message[LIMIT_ADMISSION_MESSAGE_BYTES];
    for (size_t i = 0; i < sizeof(message); i += 2)
        memcpy(message + i, "\xc3\xa9", 2);
    struct admission_note notes[LIMIT_ADMISSION_WARNINGS + 1];
    for (size_t i = 0; i < LIMIT_ADMISSION_WARNINGS + 1; i++)
        notes[i] =
            (struct admission_note){ADMISSION_ACTION_WARN, TEXT("long"), {.data = message, .n_bytes = sizeof(message)}};
    const struct admission_answer answer = {.uid = TEXT("1"),
                                            .outcome = ADMISSION_ALLOWED,
                                            .word = TEXT("ok"),
                                            .notes = notes,
                                            .n_notes = LIMIT_ADMISSION_WARNINGS + 1};
    struct buffer buffer;
    buffer_init(&buffer, 100000);
    admission_review_encode(&answer, &buffer);
    json_t *json = json_loadb(buffer.data, buffer.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *warnings = json_object_get(json_object_get(json, "response"), "warnings");
    cr_assert_eq(json_array_size(warnings), LIMIT_ADMISSION_WARNINGS);
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *warning = json_string_value(json_array_get(warnings, i));
        cr_expect_leq(strlen(warning), LIMIT_ADMISSION_WARNING_BYTES);
        cr_expect_geq(strlen(warning), LIMIT_ADMISSION_WARNING_BYTES - 1);
        cr_expect_str_eq(warning + strlen(warning) - 12, " (rule long)");
    }
    json_decref(json);
    buffer_deinit(&buffer);
}

Test(admission_review, an_answer_without_memory_is_an_error_of_its_buffer) {
    const struct admission_note note = {ADMISSION_ACTION_WARN, TEXT("r"), TEXT("m")};
    const struct admission_answer answer = {.uid = TEXT("1"),
                                            .outcome = ADMISSION_DENIED,
                                            .sentence = TEXT("No."),
                                            .word = TEXT("no"),
                                            .notes = &note,
                                            .n_notes = 1};
    struct buffer whole;
    buffer_init(&whole, 10000);
    admission_review_encode(&answer, &whole);
    for (size_t n = 0; n < whole.n_bytes; n++) {
        struct buffer buffer;
        buffer_init(&buffer, n);
        admission_review_encode(&answer, &buffer);
        cr_expect_neq(buffer.error, 0, "%zu bytes", n);
        buffer_deinit(&buffer);
    }
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct buffer buffer;
        buffer_init(&buffer, 10000);
        memory_fail_at(n);
        admission_review_encode(&answer, &buffer);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_expect_eq(buffer.error != 0, has_failed);
        buffer_deinit(&buffer);
    }
    buffer_deinit(&whole);
}
