/*
 * Holds wire/scan against jansson. Whatever the scanner accepts, jansson accepts with JSON_REJECT_DUPLICATES, with the same
 * values in the same order; and what jansson accepts, the scanner refuses only for reasons that are
 * listed here. The TokenReview decoder then reads a copy, and must find what jansson finds.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "fuzz/check.h"
#include "wire/scan.h"
#include "wire/token_review.h"

static void compare_value(struct scan *scan, json_t *theirs);

/* Both ways to look at a string, unescaped and compared, must give jansson's. */
static void compare_string(struct scan_string ours, const char *theirs, size_t n_theirs) {
    static char unescaped[1 << 20];
    CHECK(ours.raw.n_bytes <= sizeof(unescaped));
    const size_t n = scan_string_unescape(ours, unescaped);
    CHECK(n <= ours.raw.n_bytes);
    CHECK(n == n_theirs && memcmp(unescaped, theirs, n) == 0);
    CHECK(scan_string_equal(ours, (struct text){.data = theirs, .n_bytes = n_theirs}));
    CHECK(n == 0 || !scan_string_equal(ours, (struct text){.data = theirs, .n_bytes = n_theirs - 1}));
}

static void compare_object(struct scan *scan, json_t *theirs) {
    struct scan_string name;
    /* jansson keeps the order in which members were set. */
    for (void *i = json_object_iter(theirs); i != NULL; i = json_object_iter_next(theirs, i)) {
        CHECK(scan_member(scan, &name) == 0);
        const char *key = json_object_iter_key(i);
        compare_string(name, key, strlen(key));
        compare_value(scan, json_object_iter_value(i));
    }
    CHECK(scan_member(scan, &name) == SCAN_CLOSED);
}

static void compare_array(struct scan *scan, json_t *theirs) {
    size_t i;
    json_t *element;
    json_array_foreach(theirs, i, element) {
        CHECK(scan_element(scan) == 0);
        compare_value(scan, element);
    }
    CHECK(scan_element(scan) == SCAN_CLOSED);
}

static void compare_real(struct text ours, double theirs) {
    char number[4096];
    if (ours.n_bytes >= sizeof(number))
        return;
    memcpy(number, ours.data, ours.n_bytes);
    number[ours.n_bytes] = '\0';
    CHECK(strtod(number, NULL) == theirs && isfinite(theirs));
}

static void compare_value(struct scan *scan, json_t *theirs) {
    static const json_type types[] = {
        [SCAN_OBJECT] = JSON_OBJECT, [SCAN_ARRAY] = JSON_ARRAY, [SCAN_STRING] = JSON_STRING, [SCAN_INTEGER] = JSON_INTEGER,
        [SCAN_REAL] = JSON_REAL,     [SCAN_TRUE] = JSON_TRUE,   [SCAN_FALSE] = JSON_FALSE,   [SCAN_NULL] = JSON_NULL};
    struct scan_value ours;
    CHECK(scan_value(scan, &ours) == 0);
    CHECK(types[ours.kind] == json_typeof(theirs));
    if (ours.kind == SCAN_OBJECT)
        compare_object(scan, theirs);
    else if (ours.kind == SCAN_ARRAY)
        compare_array(scan, theirs);
    else if (ours.kind == SCAN_STRING)
        compare_string(ours.string, json_string_value(theirs), json_string_length(theirs));
    else if (ours.kind == SCAN_INTEGER)
        CHECK(ours.integer == json_integer_value(theirs));
    else if (ours.kind == SCAN_REAL)
        compare_real(ours.number, json_real_value(theirs));
}

/*
 * Whether the scanner may refuse what jansson takes: for its limits; and because jansson 2.14 drops a zero byte that
 * follows a number or a word ("[1\0]" is [1] to it), which is no JSON.
 */
static bool may_refuse(int r, struct text bytes) {
    return r == SCAN_TOO_DEEP || r == SCAN_TOO_MANY || r == SCAN_NUMBER_RANGE ||
           memchr(bytes.data, '\0', bytes.n_bytes) != NULL;
}

static int skip_document(struct scan *scan, struct text bytes) {
    scan_begin(scan, bytes);
    const int skipped = scan_skip(scan);
    const int r = scan_end(scan);
    CHECK(skipped == 0 || skipped == r);
    CHECK(scan_offset(scan) <= bytes.n_bytes);
    return r;
}

/* What jansson says of a member that a TokenReview must have as a string. */
static const char *string_member(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static void compare_review(const struct token_review *review, const json_t *theirs) {
    const json_t *spec = json_object_get(theirs, "spec"), *audiences = json_object_get(spec, "audiences");
    const char *token = string_member(spec, "token"), *version = string_member(theirs, "apiVersion");
    CHECK(token != NULL && version != NULL && strcmp(string_member(theirs, "kind"), "TokenReview") == 0);
    CHECK(strcmp(version,
                 review->version == REVIEW_VERSION_V1 ? "authentication.k8s.io/v1" : "authentication.k8s.io/v1beta1") == 0);
    CHECK(text_equal(review->token, text_of(token)) && review->token.n_bytes > 0);
    CHECK(review->n_audiences == json_array_size(audiences) && review->n_audiences <= LIMIT_REVIEW_AUDIENCES);
    for (size_t i = 0; i < review->n_audiences; i++)
        CHECK(text_equal(review->audiences[i], text_of(json_string_value(json_array_get(audiences, i)))));
}

/* The decoder changes what it reads, so it gets a copy of exactly the size. */
static void decode_review(struct text bytes, int scanned, const json_t *theirs) {
    char *copy = malloc(bytes.n_bytes == 0 ? 1 : bytes.n_bytes);
    struct token_review review;
    if (copy == NULL)
        return;
    memcpy(copy, bytes.data, bytes.n_bytes);
    const int r = token_review_decode(copy, bytes.n_bytes, &review, NULL);
    CHECK((r == TOKEN_REVIEW_MALFORMED) == (scanned != 0));
    if (r == 0)
        compare_review(&review, theirs);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static struct scan scan;
    const struct text bytes = {.data = (const char *)data, .n_bytes = n_bytes};
    const int r = skip_document(&scan, bytes);
    json_t *theirs = json_loadb(bytes.data, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    CHECK(r == 0 ? theirs != NULL : theirs == NULL || may_refuse(r, bytes));
    if (r == 0) {
        scan_begin(&scan, bytes);
        compare_value(&scan, theirs);
        CHECK(scan_end(&scan) == 0);
    }
    decode_review(bytes, r, theirs);
    json_decref(theirs);
    return 0;
}
