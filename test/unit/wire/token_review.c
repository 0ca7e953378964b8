#include "wire/token_review.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/body.h"
#include "lib/memory.h"
#include "lib/sentinel.h"
#include "unit/wire/cases.h"

#define REVIEW(spec) "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"spec\":" spec "}"

/* ---- requests as kube-apiserver sends them ---- */

static struct body recorded(const char *name) {
    char path[256];
    snprintf(path, sizeof(path), "test/data/kube-apiserver/%s.json", name);
    const struct body body = body_of_file(path);
    cr_assert(body.n_bytes > 100, "%s", path);
    return body;
}

Test(token_review, reads_what_kube_apiserver_sends) {
    static const struct {
        const char *name;
        enum review_version version;
        const char *token, *audiences[2];
        size_t n_audiences;
    } rows[] = {
        {"tokenreview-v1", REVIEW_VERSION_V1, "tok-alice", {"https://kubernetes.default.svc"}, 1},
        {"tokenreview-v1beta1", REVIEW_VERSION_V1BETA1, "tok-alice", {"https://kubernetes.default.svc"}, 1},
        {"tokenreview-v1-unknown-token", REVIEW_VERSION_V1, "nope", {"https://kubernetes.default.svc"}, 1},
        {"tokenreview-v1-custom-audiences", REVIEW_VERSION_V1, "tok-bob", {"vault", "grafana"}, 2},
        {"tokenreview-v1-foreign-jwt", REVIEW_VERSION_V1, "eyJhbGciOiJSUzI1NiIs", {"https://kubernetes.default.svc"}, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct body body = recorded(rows[i].name);
        struct token_review review;
        struct error error;
        cr_assert_eq(token_review_decode(body.bytes, body.n_bytes, &review, &error), 0, "%s: %s", rows[i].name, error.text);
        cr_expect_eq(review.version, rows[i].version, "%s", rows[i].name);
        cr_expect(text_starts_with(review.token, text_of(rows[i].token)), "%s", rows[i].name);
        cr_expect(review.token.n_bytes == strlen(rows[i].token) || review.token.n_bytes > 800, "%s", rows[i].name);
        cr_assert_eq(review.n_audiences, rows[i].n_audiences, "%s", rows[i].name);
        for (size_t k = 0; k < review.n_audiences; k++)
            cr_expect(text_equal(review.audiences[k], text_of(rows[i].audiences[k])), "%s", rows[i].name);
        free(body.bytes);
    }
}

/* ---- test/data/reviews: its README tells the format ---- */

static void expect_review(const struct token_review *review, const json_t *expected, const char *file) {
    if (expected == NULL)
        return;
    const json_t *audiences = json_object_get(expected, "audiences");
    const char *version = review->version == REVIEW_VERSION_V1 ? "v1" : "v1beta1";
    cr_expect_str_eq(case_text(expected, "version"), version, "%s", file);
    cr_expect(text_equal(review->token, text_of(case_text(expected, "token"))), "%s: another token", file);
    cr_assert_eq(review->n_audiences, json_array_size(audiences), "%s: %zu audiences", file, review->n_audiences);
    for (size_t i = 0; i < review->n_audiences; i++)
        cr_expect(text_equal(review->audiences[i], text_of(json_string_value(json_array_get(audiences, i)))),
                  "%s: audience %zu", file, i);
}

/* A file without expect.decode is not about the decoder. */
static size_t n_decoded;

static void decode_case(const char *file, const json_t *document) {
    const json_t *expect = json_object_get(document, "expect");
    if (case_text(expect, "decode") == NULL)
        return;
    n_decoded++;
    struct body body = body_of_parts(json_object_get(json_object_get(document, "request"), "body"), file);
    struct token_review review;
    struct error error = {{0}};
    const int r = token_review_decode(body.bytes, body.n_bytes, &review, &error);
    case_expect_result(r, &error, expect, "KISentinel", file);
    cr_expect_eq(r == 0, json_integer_value(json_object_get(expect, "code")) == 200, "%s: code and decode differ", file);
    if (r == 0)
        expect_review(&review, json_object_get(expect, "review"), file);
    free(body.bytes);
}

Test(token_review, says_of_each_hostile_review_what_its_file_expects, .timeout = 60) {
    const size_t n_files = cases_check("test/data/reviews", decode_case);
    cr_expect_geq(n_files, 60, "%zu files", n_files);
    cr_expect_geq(n_decoded, 60, "%zu files with expect.decode", n_decoded);
}

/* ---- decoding ---- */

Test(token_review, names_the_first_fault_that_matters_and_its_place) {
    static const struct {
        struct text body;
        int error;
        const char *text;
    } rows[] = {
        {TEXT("{\"kind\":1,}"), TOKEN_REVIEW_MALFORMED, "byte 10: this character cannot stand here in JSON"},
        {TEXT("{\"spec\":{},\"spec\":{}}"), TOKEN_REVIEW_MALFORMED, "byte 12: a member occurs twice in one object"},
        {TEXT("[]"), TOKEN_REVIEW_WRONG_KIND, "kind: TokenReview is expected"},
        {TEXT("{\"kind\":\"TokenReview\",\"apiVersion\":\"v1\",\"spec\":{\"token\":1}}"), TOKEN_REVIEW_WRONG_KIND,
         "apiVersion: authentication.k8s.io/v1 or authentication.k8s.io/v1beta1 is expected"},
        {TEXT(REVIEW("[]")), TOKEN_REVIEW_INVALID, "spec: an object is expected"},
        {TEXT(REVIEW("{\"token\":\"\",\"audiences\":1}")), TOKEN_REVIEW_INVALID,
         "spec.token: a string that is not empty is expected"},
        {TEXT(REVIEW("{\"audiences\":1,\"token\":\"a\"}")), TOKEN_REVIEW_INVALID,
         "spec.audiences: an array of strings is expected"},
        {TEXT(REVIEW("{\"audiences\":[1,\"a\",{}],\"token\":\"a\"}")), TOKEN_REVIEW_INVALID,
         "spec.audiences: each element must be a string"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct body body = body_of(rows[i].body);
        struct token_review review;
        struct error error;
        cr_expect_eq(token_review_decode(body.bytes, body.n_bytes, &review, &error), rows[i].error, "row %zu", i);
        cr_expect_str_eq(error.text, rows[i].text, "row %zu: %s", i, error.text);
        cr_expect_eq(token_review_decode(body.bytes, body.n_bytes, &review, NULL), rows[i].error, "row %zu without error",
                     i);
        free(body.bytes);
    }
}

Test(token_review, refuses_a_review_cut_at_any_byte) {
    const struct text whole = TEXT(REVIEW("{\"token\":\"" SENTINEL_TOKEN "\\n\",\"audiences\":[\"a\",\"\\u00e4\"]}"));
    for (size_t n = 0; n < whole.n_bytes; n++) {
        struct body body = body_of((struct text){.data = whole.data, .n_bytes = n});
        struct token_review review;
        struct error error;
        cr_expect_eq(token_review_decode(body.bytes, body.n_bytes, &review, &error), TOKEN_REVIEW_MALFORMED, "%zu bytes",
                     n);
        cr_expect_null(strstr(error.text, SENTINEL), "%zu bytes: %s", n, error.text);
        free(body.bytes);
    }
}

Test(token_review, writes_nothing_on_failure) {
    struct token_review review, untouched;
    memset(&review, 0xa5, sizeof(review));
    memset(&untouched, 0xa5, sizeof(untouched));
    struct body body = body_of(TEXT(REVIEW("{\"token\":\"a\",\"audiences\":[\"b\",1]}")));
    cr_expect_eq(token_review_decode(body.bytes, body.n_bytes, &review, NULL), TOKEN_REVIEW_INVALID);
    cr_expect_arr_eq(&review, &untouched, sizeof(review));
    free(body.bytes);
}

Test(token_review, allocates_nothing_and_borrows_from_the_body) {
    struct body body = body_of(TEXT(REVIEW("{\"token\":\"" SENTINEL_TOKEN "\",\"audiences\":[\"a\",\"\\u0062\"]}")));
    struct token_review review;
    memory_fail_at(1);
    const int r = token_review_decode(body.bytes, body.n_bytes, &review, NULL);
    const size_t n = memory_n_allocations();
    memory_fail_at(0);
    cr_expect_eq(r, 0);
    cr_expect_eq(n, 0);
    cr_expect(review.token.data > body.bytes && review.token.data < body.bytes + body.n_bytes);
    cr_expect(review.audiences[1].data > body.bytes && review.audiences[1].data < body.bytes + body.n_bytes);
    free(body.bytes);
}

/* ---- encoding ---- */

#define ANSWER(version, status)                                                                                            \
    "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/" version "\",\"metadata\":{},\"status\":" status "}"

Test(token_review, answers_in_three_forms_and_in_the_version_asked) {
    static const struct {
        enum review_version version;
        struct text user, audiences[2];
        size_t n_audiences;
        struct text error;
        const char *answer;
    } rows[] = {
        {REVIEW_VERSION_V1,
         TEXT("{\"username\":\"alice\"}"),
         {TEXT("a"), TEXT("b\"c")},
         2,
         TEXT(""),
         ANSWER("v1", "{\"authenticated\":true,\"user\":{\"username\":\"alice\"},\"audiences\":[\"a\",\"b\\\"c\"]}")},
        {REVIEW_VERSION_V1,
         TEXT("{\"username\":\"alice\"}"),
         {TEXT("")},
         0,
         TEXT(""),
         ANSWER("v1", "{\"authenticated\":true,\"user\":{\"username\":\"alice\"}}")},
        {REVIEW_VERSION_V1BETA1,
         TEXT("{\"username\":\"alice\"}"),
         {TEXT("a")},
         1,
         TEXT(""),
         ANSWER("v1beta1", "{\"authenticated\":true,\"user\":{\"username\":\"alice\"},\"audiences\":[\"a\"]}")},
        {REVIEW_VERSION_V1, TEXT(""), {TEXT("")}, 0, TEXT(""), ANSWER("v1", "{\"authenticated\":false}")},
        {REVIEW_VERSION_V1BETA1, TEXT(""), {TEXT("")}, 0, TEXT(""), ANSWER("v1beta1", "{\"authenticated\":false}")},
        {REVIEW_VERSION_V1,
         TEXT(""),
         {TEXT("a")},
         1,
         TEXT("The \"provider\" cannot be reached."),
         ANSWER("v1", "{\"authenticated\":false,\"error\":\"The \\\"provider\\\" cannot be reached.\"}")},
        {REVIEW_VERSION_V1BETA1,
         TEXT(""),
         {TEXT("")},
         0,
         TEXT("The webhook is stopping."),
         ANSWER("v1beta1", "{\"authenticated\":false,\"error\":\"The webhook is stopping.\"}")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer buffer;
        buffer_init(&buffer, 4096);
        const struct token_review_answer given = {
            .version = rows[i].version,
            .user = rows[i].user,
            .audiences = rows[i].audiences,
            .n_audiences = rows[i].n_audiences,
            .error = rows[i].error,
        };
        token_review_encode(&given, &buffer);
        cr_expect_eq(buffer.error, 0);
        cr_expect(text_equal(buffer_text(&buffer), text_of(rows[i].answer)), "row %zu: %.*s", i, (int)buffer.n_bytes,
                  buffer.data);
        json_t *answer = json_loadb(buffer.data, buffer.n_bytes, JSON_REJECT_DUPLICATES, NULL);
        cr_expect_not_null(answer, "row %zu is no JSON", i);
        json_decref(answer);
        buffer_deinit(&buffer);
    }
}

#define USER(json) ANSWER("v1", "{\"authenticated\":true,\"user\":" json "}")

Test(token_review, puts_what_belongs_to_the_answer_behind_the_users_extra) {
    static const struct review_extra extra[] = {
        {TEXT("kube-introspect.io/credential"), TEXT("00ff")},
        {TEXT("kube-introspect.io/handle"), TEXT("a\"b")},
    };
#define ONE "\"kube-introspect.io/credential\":[\"00ff\"]"
#define BOTH ONE ",\"kube-introspect.io/handle\":[\"a\\\"b\"]"
    static const struct {
        struct text user;
        size_t n_extra;
        const char *answer;
    } rows[] = {
        {TEXT("{\"username\":\"a\"}"), 0, USER("{\"username\":\"a\"}")},
        {TEXT("{\"username\":\"a\"}"), 1, USER("{\"username\":\"a\",\"extra\":{" ONE "}}")},
        {TEXT("{\"username\":\"a\"}"), 2, USER("{\"username\":\"a\",\"extra\":{" BOTH "}}")},
        {TEXT("{\"username\":\"a}}\"}"), 1, USER("{\"username\":\"a}}\",\"extra\":{" ONE "}}")},
        {TEXT("{\"username\":\"a\",\"groups\":[\"b}\"]}"), 1,
         USER("{\"username\":\"a\",\"groups\":[\"b}\"],\"extra\":{" ONE "}}")},
        {TEXT("{\"username\":\"a\",\"extra\":{\"c.d/e\":[\"}\"]}}"), 0,
         USER("{\"username\":\"a\",\"extra\":{\"c.d/e\":[\"}\"]}}")},
        {TEXT("{\"username\":\"a\",\"extra\":{\"c.d/e\":[\"}\"]}}"), 1,
         USER("{\"username\":\"a\",\"extra\":{\"c.d/e\":[\"}\"]," ONE "}}")},
        {TEXT("{\"username\":\"a\",\"extra\":{\"c.d/e\":[]}}"), 2,
         USER("{\"username\":\"a\",\"extra\":{\"c.d/e\":[]," BOTH "}}")},
        {TEXT(""), 1, ANSWER("v1", "{\"authenticated\":false}")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer buffer;
        buffer_init(&buffer, 4096);
        const struct token_review_answer answer = {.user = rows[i].user, .extra = extra, .n_extra = rows[i].n_extra};
        token_review_encode(&answer, &buffer);
        cr_expect(text_equal(buffer_text(&buffer), text_of(rows[i].answer)), "row %zu: %.*s", i, (int)buffer.n_bytes,
                  buffer.data);
        buffer_deinit(&buffer);
    }
}

Test(token_review, marks_the_buffer_when_memory_runs_out_at_any_allocation) {
    const struct text audience = TEXT("https://kubernetes.default.svc");
    const struct review_extra extra = {TEXT("example.com/a"), TEXT("1")};
    const struct token_review_answer answer = {
        .user = TEXT("{\"username\":\"alice\"}"),
        .extra = &extra,
        .n_extra = 1,
        .audiences = &audience,
        .n_audiences = 1,
    };
    bool has_succeeded = false;
    for (size_t n = 1; !has_succeeded; n++) {
        struct buffer buffer;
        buffer_init(&buffer, 4096);
        memory_fail_at(n);
        token_review_encode(&answer, &buffer);
        has_succeeded = !memory_has_failed();
        memory_fail_at(0);
        cr_expect_eq(buffer.error, has_succeeded ? 0 : -ENOMEM, "allocation %zu", n);
        buffer_deinit(&buffer);
    }
}
