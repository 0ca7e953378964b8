/*
 * Holds admission_review_decode() against jansson, as it reads with JSON_REJECT_DUPLICATES (and JSON_ALLOW_NUL and
 * JSON_DECODE_INT_AS_REAL, for objects may have both). What we take, jansson takes too, and finds the same values and the
 * same subjects; what it takes as JSON and we do as well, we refuse for the same fault as the plain rules below. An answer
 * to it is JSON, under the same uid.
 */
#include "wire/admission_review.h"

#include "base/limits.h"
#include "fuzz/user.h"

static struct scan_room room;

/* ---- the rules, as simply as they can be put ---- */

static bool is_text(const json_t *value) {
    return is_absent(value) || json_is_string(value);
}

static bool is_operation(const json_t *value) {
    return is_word(value, "CREATE") || is_word(value, "UPDATE") || is_word(value, "DELETE") || is_word(value, "CONNECT");
}

static bool is_user(const json_t *user) {
    return json_is_object(user) && is_text(json_object_get(user, "username")) && is_text(json_object_get(user, "uid")) &&
           are_strings(json_object_get(user, "groups")) && is_extra(json_object_get(user, "extra"));
}

static bool is_resource(const json_t *resource) {
    return json_is_object(resource) && is_text(json_object_get(resource, "group")) &&
           json_string_length(json_object_get(resource, "resource")) > 0;
}

static bool is_request(const json_t *request) {
    const json_t *uid = json_object_get(request, "uid"), *object = json_object_get(request, "object");
    const json_t *dry_run = json_object_get(request, "dryRun");
    return json_is_object(request) && json_string_length(uid) > 0 && json_string_length(uid) <= LIMIT_ADMISSION_UID_BYTES &&
           is_operation(json_object_get(request, "operation")) && is_resource(json_object_get(request, "resource")) &&
           is_user(json_object_get(request, "userInfo")) && is_text(json_object_get(request, "name")) &&
           is_text(json_object_get(request, "namespace")) && is_text(json_object_get(request, "subResource")) &&
           (is_absent(dry_run) || json_is_boolean(dry_run)) && (is_absent(object) || json_is_object(object));
}

static int expected(const json_t *review) {
    if (!is_word(json_object_get(review, "kind"), "AdmissionReview") ||
        !is_word(json_object_get(review, "apiVersion"), "admission.k8s.io/v1"))
        return ADMISSION_REVIEW_WRONG_KIND;
    return is_request(json_object_get(review, "request")) ? 0 : ADMISSION_REVIEW_INVALID;
}

/* ---- the same values ---- */

static void check_groups(const struct admission_review *review, const json_t *groups) {
    for (size_t i = 0; i < json_array_size(groups) && i < 8; i++) {
        const json_t *group = json_array_get(groups, i);
        struct text text = {.data = json_string_value(group), .n_bytes = json_string_length(group)};
        CHECK(admission_review_has_group(review, &(struct text_list){.items = &text, .n_items = 1}));
    }
    struct text nobody = TEXT("\x01nobody's\x01");
    CHECK(!admission_review_has_group(review, &(struct text_list){.items = &nobody, .n_items = 1}));
}

/* Each that we give is jansson's; where we stop before the end, we say that we cannot read it. */
static void check_subjects(const struct admission_review *review, const json_t *theirs) {
    struct admission_subjects subjects;
    struct admission_subject subject;
    admission_subjects_begin(review, &subjects);
    CHECK((review->subjects.n_bytes == 0) == is_absent(theirs));
    size_t n = 0;
    int r;
    while ((r = admission_subjects_next(&subjects, &subject)) == 0) {
        const json_t *their = json_array_get(theirs, n++);
        CHECK(text_equal(subject.kind, text_at(their, "kind")) && subject.kind.n_bytes > 0);
        CHECK(text_equal(subject.name, text_at(their, "name")) && subject.name.n_bytes > 0);
        CHECK(text_equal(subject.api_group, text_at(their, "apiGroup")));
    }
    CHECK(r != ADMISSION_SUBJECTS_END || n == json_array_size(theirs));
    CHECK(r != ADMISSION_SUBJECTS_END || is_absent(theirs) || json_is_array(theirs));
}

static void check_values(const struct admission_review *review, const json_t *request) {
    json_t *user = json_object_get(request, "userInfo");
    const json_t *resource = json_object_get(request, "resource"), *object = json_object_get(request, "object");
    CHECK(text_equal(review->uid, text_at(request, "uid")));
    CHECK(is_word(json_object_get(request, "operation"), admission_operation_word(review->operation)));
    CHECK(text_equal(review->group, text_at(resource, "group")));
    CHECK(text_equal(review->resource, text_at(resource, "resource")));
    CHECK(text_equal(review->subresource, text_at(request, "subResource")));
    CHECK(text_equal(review->name, text_at(request, "name")));
    CHECK(text_equal(review->namespace_name, text_at(request, "namespace")));
    CHECK(review->is_dry_run == json_is_true(json_object_get(request, "dryRun")));
    CHECK(text_equal(review->user, text_at(user, "username")));
    CHECK(text_equal(review->user_uid, text_at(user, "uid")));
    CHECK(review->has_object == !is_absent(object));
    CHECK((review->role_ref.n_bytes == 0) == is_absent(json_object_get(object, "roleRef")));
    check_extra(&review->extra, json_object_get(user, "extra"));
    check_groups(review, json_object_get(user, "groups"));
    check_subjects(review, json_object_get(object, "subjects"));
}

/* ---- the answer ---- */

static void check_answer(const struct admission_review *review, const json_t *uid) {
    const struct admission_note notes[] = {{ADMISSION_ACTION_WARN, review->name, review->user},
                                           {ADMISSION_ACTION_DENY, review->user, review->name}};
    const struct admission_answer answer = {
        .uid = review->uid,
        .outcome = (enum admission_outcome)(review->user.n_bytes % 3),
        .sentence = review->user,
        .word = review->resource,
        .request_id = review->name.n_bytes,
        .notes = notes,
        .n_notes = review->user_uid.n_bytes % 3,
    };
    struct buffer buffer;
    buffer_init(&buffer, 64 * 1024 * 1024);
    admission_review_encode(&answer, &buffer);
    CHECK(buffer.error == 0);
    json_t *read = json_loadb(buffer.data, buffer.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *response = json_object_get(read, "response");
    CHECK(json_equal(json_object_get(response, "uid"), uid));
    CHECK(json_is_true(json_object_get(response, "allowed")) == (answer.outcome == ADMISSION_ALLOWED));
    CHECK(json_is_object(json_object_get(response, "status")) == (answer.outcome != ADMISSION_ALLOWED));
    CHECK(json_array_size(json_object_get(response, "warnings")) == (answer.n_notes > 0 ? 1 : 0));
    json_decref(read);
    buffer_deinit(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    char *body = malloc(n_bytes == 0 ? 1 : n_bytes);
    CHECK(body != NULL);
    if (n_bytes > 0)
        memcpy(body, data, n_bytes);
    struct admission_review review;
    struct error error;
    const int r = admission_review_decode(body, n_bytes, &room, &review, &error);
    if (r != ADMISSION_REVIEW_MALFORMED) {
        json_t *theirs =
            json_loadb((const char *)data, n_bytes,
                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
        CHECK(theirs != NULL);
        CHECK(r == expected(theirs));
        if (r == 0) {
            check_values(&review, json_object_get(theirs, "request"));
            check_answer(&review, json_object_get(json_object_get(theirs, "request"), "uid"));
        }
        json_decref(theirs);
    }
    free(body);
    return 0;
}
