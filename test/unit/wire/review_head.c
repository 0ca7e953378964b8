#include "wire/review_head.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/memory.h"

static const struct review_form in_two_versions = {
    .kind = TEXT("TokenReview"),
    .v1 = TEXT("authentication.k8s.io/v1"),
    .v1beta1 = TEXT("authentication.k8s.io/v1beta1"),
    .content = TEXT("spec"),
};
static const struct review_form in_one_version = {
    .kind = TEXT("AdmissionReview"),
    .v1 = TEXT("admission.k8s.io/v1"),
    .content = TEXT("request"),
};

/* Reads a whole document. ret_content: the last of its contents, as it stands there. Returns what scan_end() says. */
static int read_document(const struct review_form *form, const char *document, struct review_head *ret_head,
                         struct text *ret_content, size_t *ret_n_contents) {
    struct scan scan;
    struct review_head head = {0};
    size_t n = 0;
    scan_begin(&scan, text_of(document));
    if (scan_object(&scan) == 0) {
        while (review_head_next(&scan, form, &head)) {
            if (scan_span(&scan, ret_content) == 0)
                n++;
        }
    }
    *ret_head = head;
    *ret_n_contents = n;
    return scan_end(&scan);
}

static void expect_head(const struct review_form *form, const char *document, const char *fault,
                        enum review_version version) {
    struct review_head head;
    struct error error = {.text = ""};
    struct text content;
    size_t n_contents;
    memory_fail_at(1);
    cr_expect_eq(read_document(form, document, &head, &content, &n_contents), 0, "%s", document);
    cr_expect_eq(memory_n_allocations(), 0);
    memory_fail_at(0);
    cr_expect_eq(review_head_is_of(form, &head, &error), fault[0] == '\0', "%s", document);
    cr_expect_eq(review_head_is_of(form, &head, NULL), fault[0] == '\0', "%s", document);
    cr_expect_str_eq(error.text, fault, "%s: %s", document, error.text);
    if (fault[0] == '\0')
        cr_expect_eq(head.version, version, "%s", document);
}

Test(review_head, knows_its_form_in_whatever_order_members_come) {
    static const struct {
        const char *document;
        enum review_version version;
    } rows[] = {
        {"{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"spec\":7}", REVIEW_VERSION_V1},
        {"{\"spec\":7,\"apiVersion\":\"authentication.k8s.io/v1beta1\",\"kind\":\"TokenReview\"}", REVIEW_VERSION_V1BETA1},
        {"{\"a\":[{}],\"apiVersion\":\"authentication.k8s.io\\/v1\",\"spec\":7,\"b\":{\"kind\":1},\"k\\u0069nd\":"
         "\"Token\\u0052eview\",\"c\":null}",
         REVIEW_VERSION_V1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct review_head head;
        struct text content;
        size_t n_contents;
        expect_head(&in_two_versions, rows[i].document, "", rows[i].version);
        read_document(&in_two_versions, rows[i].document, &head, &content, &n_contents);
        cr_expect(n_contents == 1 && text_equal(content, TEXT("7")), "%s: the content is lent once", rows[i].document);
    }
    expect_head(&in_one_version, "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}", "",
                REVIEW_VERSION_V1);
}

Test(review_head, says_what_is_expected_and_the_kind_first) {
    static const char no_kind[] = "kind: TokenReview is expected";
    static const char no_version[] = "apiVersion: authentication.k8s.io/v1 or authentication.k8s.io/v1beta1 is expected";
    static const struct {
        const char *document, *fault;
    } rows[] = {
        {"{}", no_kind},
        {"{\"kind\":\"TokenReviewList\",\"apiVersion\":\"authentication.k8s.io/v1\"}", no_kind},
        {"{\"kind\":\"tokenreview\",\"apiVersion\":\"v1\"}", no_kind},
        {"{\"kind\":null,\"apiVersion\":null}", no_kind},
        {"{\"kind\":[\"TokenReview\"],\"apiVersion\":\"authentication.k8s.io/v1\"}", no_kind},
        {"{\"spec\":{\"kind\":\"TokenReview\"}}", no_kind},
        {"{\"kind\":\"TokenReview\"}", no_version},
        {"{\"kind\":\"TokenReview\",\"apiVersion\":\"\"}", no_version},
        {"{\"kind\":\"TokenReview\",\"apiVersion\":1}", no_version},
        {"{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v2\"}", no_version},
        {"{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1beta\"}", no_version},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_head(&in_two_versions, rows[i].document, rows[i].fault, REVIEW_VERSION_V1);
}

/* A form without v1beta1 must not take the empty string for it. */
Test(review_head, a_version_that_a_form_does_not_have_is_none) {
    static const char no_version[] = "apiVersion: admission.k8s.io/v1 is expected";
    expect_head(&in_one_version, "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"\"}", no_version, REVIEW_VERSION_V1);
    expect_head(&in_one_version, "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\"}", no_version,
                REVIEW_VERSION_V1);
}

Test(review_head, what_is_twice_or_torn_is_for_the_scan_to_refuse) {
    static const struct {
        const char *document;
        int error;
        size_t n_contents;
    } rows[] = {
        {"{\"spec\":1,\"spec\":2}", SCAN_DUPLICATE, 2},
        {"{\"kind\":\"TokenReview\",\"k\\u0069nd\":\"TokenReview\"}", SCAN_DUPLICATE, 0},
        {"{\"apiVersion\":\"a\",\"apiVersion\":\"b\"}", SCAN_DUPLICATE, 0},
        {"{\"spec\":1,\"other\":{\"a\":1,\"a\":1}}", SCAN_DUPLICATE, 1},
        {"{\"spec\":1", SCAN_TRUNCATED, 1},
        {"{\"spec\":", SCAN_TRUNCATED, 0},
        {"{\"kind\":\"TokenReview\"} {}", SCAN_TRAILING, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct review_head head;
        struct text content;
        size_t n_contents;
        cr_expect_eq(read_document(&in_two_versions, rows[i].document, &head, &content, &n_contents), rows[i].error, "%s",
                     rows[i].document);
        cr_expect_eq(n_contents, rows[i].n_contents, "%s: %zu contents", rows[i].document, n_contents);
    }
}
