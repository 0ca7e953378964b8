/*
 * Holds subject_access_review_decode() against jansson, as it reads with JSON_REJECT_DUPLICATES. What we take, jansson
 * takes too, and finds the same user, uid, handles and attributes; what it takes as JSON and we do as well, we refuse for
 * the same fault as the plain rules below. An answer to it is JSON, of the same version, and never allows.
 */
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "fuzz/check.h"
#include "wire/subject_access_review.h"

static bool is_one_of(const json_t *value, const char *a, const char *b) {
    const char *text = json_string_value(value);
    return text != NULL && (strcmp(text, a) == 0 || strcmp(text, b) == 0);
}

/* ---- the rules, as simply as they can be put ---- */

static bool is_absent(const json_t *value) {
    return value == NULL || json_is_null(value);
}

static bool are_strings(const json_t *value) {
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i)))
            return false;
    }
    return is_absent(value) || json_is_array(value);
}

static bool has_strings(const json_t *object, const char *const *names) {
    for (; *names != NULL; names++) {
        const json_t *value = json_object_get(object, *names);
        if (value != NULL && !json_is_string(value))
            return false;
    }
    return true;
}

static bool is_extra(json_t *extra) {
    const char *key;
    json_t *value;
    json_object_foreach(extra, key, value) {
        if (!are_strings(value))
            return false;
    }
    return is_absent(extra) || json_is_object(extra);
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
    if (!is_one_of(json_object_get(review, "kind"), "SubjectAccessReview", "SubjectAccessReview") ||
        !is_one_of(json_object_get(review, "apiVersion"), "authorization.k8s.io/v1", "authorization.k8s.io/v1beta1"))
        return SUBJECT_ACCESS_REVIEW_WRONG_KIND;
    const bool is_valid = json_is_object(spec) && has_strings(spec, names) &&
                          are_strings(json_object_get(spec, "groups")) && are_strings(json_object_get(spec, "group")) &&
                          is_extra(json_object_get(spec, "extra")) && is_attributes(r, resource) &&
                          is_attributes(n, non_resource) && is_absent(r) != is_absent(n);
    return is_valid ? 0 : SUBJECT_ACCESS_REVIEW_INVALID;
}

/* ---- the same values ---- */

static void check_text(struct text ours, const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    CHECK(text_equal(ours, (struct text){.data = json_string_value(value), .n_bytes = json_string_length(value)}));
}

static void check_handles(const struct subject_access_review *review, json_t *extra) {
    size_t n_keys = 0, n_values = 0;
    const json_t *first = NULL;
    const char *key;
    json_t *values;
    json_object_foreach(extra, key, values) {
        if (strcasecmp(key, "kube-introspect.io/handle") != 0)
            continue;
        n_keys++;
        if (first == NULL)
            first = json_array_get(values, 0);
        n_values += json_array_size(values);
    }
    CHECK(review->extra.n_handles == (n_keys > 1 && n_values < n_keys ? n_keys : n_values));
    if (first != NULL)
        CHECK(text_equal(review->extra.handle,
                         (struct text){.data = json_string_value(first), .n_bytes = json_string_length(first)}));
}

static void check_values(const struct subject_access_review *review, const json_t *spec) {
    const json_t *resource = json_object_get(spec, "resourceAttributes");
    const json_t *path = json_object_get(spec, "nonResourceAttributes");
    check_text(review->user, spec, "user");
    check_text(review->uid, spec, "uid");
    check_handles(review, json_object_get(spec, "extra"));
    CHECK(review->is_resource == !is_absent(resource));
    check_text(review->verb, review->is_resource ? resource : path, "verb");
    check_text(review->namespace_name, resource, "namespace");
    check_text(review->group, resource, "group");
    check_text(review->resource, resource, "resource");
    check_text(review->subresource, resource, "subresource");
    check_text(review->name, resource, "name");
    check_text(review->path, path, "path");
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
