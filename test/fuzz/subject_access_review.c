/*
 * Holds subject_access_review_decode() against jansson, as it reads with JSON_REJECT_DUPLICATES. What we take, jansson
 * takes too, and finds the same user, uid, handles and attributes; what it takes as JSON and we do as well, we refuse for
 * the same fault as the plain rules below. An answer to it is JSON, of the same version, and never allows.
 */
#include "wire/subject_access_review.h"

#include "fuzz/user.h"

/* ---- the rules, as simply as they can be put ---- */

static bool has_strings(const json_t *object, const char *const *names) {
    for (; *names != NULL; names++) {
        const json_t *value = json_object_get(object, *names);
        if (value != NULL && !json_is_string(value))
            return false;
    }
    return true;
}

static bool is_attributes(const json_t *value, const char *const *names) {
    return is_absent(value) || (json_is_object(value) && has_strings(value, names));
}

static int expected(json_t *review) {
    static const char *const names[] = {"user", "uid", NULL};
    static const char *const resource[] = {"verb",     "namespace",   "group", "version",
                                           "resource", "subresource", "name",  NULL};
    static const char *const non_resource[] = {"verb", "path", NULL};
    const json_t *spec = json_object_get(review, "spec");
    const json_t *r = json_object_get(spec, "resourceAttributes"), *n = json_object_get(spec, "nonResourceAttributes");
    const json_t *version = json_object_get(review, "apiVersion");
    if (!is_word(json_object_get(review, "kind"), "SubjectAccessReview") ||
        (!is_word(version, "authorization.k8s.io/v1") && !is_word(version, "authorization.k8s.io/v1beta1")))
        return SUBJECT_ACCESS_REVIEW_WRONG_KIND;
    const bool is_valid = json_is_object(spec) && has_strings(spec, names) &&
                          are_strings(json_object_get(spec, "groups")) && are_strings(json_object_get(spec, "group")) &&
                          is_extra(json_object_get(spec, "extra")) && is_attributes(r, resource) &&
                          is_attributes(n, non_resource) && is_absent(r) != is_absent(n);
    return is_valid ? 0 : SUBJECT_ACCESS_REVIEW_INVALID;
}

/* ---- the same values ---- */

static void check_values(const struct subject_access_review *review, const json_t *spec) {
    const json_t *resource = json_object_get(spec, "resourceAttributes");
    const json_t *path = json_object_get(spec, "nonResourceAttributes");
    CHECK(text_equal(review->user, text_at(spec, "user")));
    CHECK(text_equal(review->uid, text_at(spec, "uid")));
    check_extra(&review->extra, json_object_get(spec, "extra"));
    CHECK(review->is_resource == !is_absent(resource));
    CHECK(text_equal(review->verb, text_at(review->is_resource ? resource : path, "verb")));
    CHECK(text_equal(review->namespace_name, text_at(resource, "namespace")));
    CHECK(text_equal(review->group, text_at(resource, "group")));
    CHECK(text_equal(review->resource, text_at(resource, "resource")));
    CHECK(text_equal(review->subresource, text_at(resource, "subresource")));
    CHECK(text_equal(review->name, text_at(resource, "name")));
    CHECK(text_equal(review->path, text_at(path, "path")));
}

/* ---- the answer ---- */

static void check_answer(const struct subject_access_review *review, const json_t *version) {
    const struct subject_access_answer answer = {
        .version = review->version,
        .outcome = (enum subject_access_outcome)(review->user.n_bytes % 3),
        .sentence = review->user,
        .word = review->verb,
        .request_id = review->name.n_bytes,
    };
    struct buffer buffer;
    buffer_init(&buffer, 64 * 1024 * 1024);
    subject_access_review_encode(&answer, &buffer);
    CHECK(buffer.error == 0);
    json_t *read = json_loadb(buffer.data, buffer.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *status = json_object_get(read, "status");
    CHECK(json_equal(json_object_get(read, "apiVersion"), version));
    CHECK(json_is_false(json_object_get(status, "allowed")));
    CHECK(json_is_true(json_object_get(status, "denied")) == (answer.outcome != SUBJECT_ACCESS_NO_OPINION));
    CHECK(json_is_string(json_object_get(status, "reason")) == (answer.outcome != SUBJECT_ACCESS_NO_OPINION));
    CHECK(json_is_string(json_object_get(status, "evaluationError")) == (answer.outcome == SUBJECT_ACCESS_UNKNOWN));
    json_decref(read);
    buffer_deinit(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    char *body = malloc(n_bytes == 0 ? 1 : n_bytes);
    CHECK(body != NULL);
    if (n_bytes > 0)
        memcpy(body, data, n_bytes);
    struct subject_access_review review;
    struct error error;
    const int r = subject_access_review_decode(body, n_bytes, &review, &error);
    if (r != SUBJECT_ACCESS_REVIEW_MALFORMED) {
        json_t *theirs = json_loadb((const char *)data, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        CHECK(theirs != NULL);
        CHECK(r == expected(theirs));
        if (r == 0) {
            check_values(&review, json_object_get(theirs, "spec"));
            check_answer(&review, json_object_get(theirs, "apiVersion"));
        }
        json_decref(theirs);
    }
    free(body);
    return 0;
}
