#include "core/triage.h"

#include "base/base64.h"
#include "base/limits.h"
#include "unit/core/fixture.h"

static struct issuer_policy issuers[] = {
    {.name = TEXT("corp"), .url = TEXT("https://id.example.com"), .takes_jwt = true, .takes_opaque = true},
    {.name = TEXT("prefixed"),
     .url = TEXT("https://prefixed.example.com"),
     .takes_opaque = true,
     .opaque_prefix = TEXT("ory_at_")},
    {.name = TEXT("longer"),
     .url = TEXT("https://longer.example.com"),
     .takes_opaque = true,
     .opaque_prefix = TEXT("ory_at_eu_")},
    {.name = TEXT("jwt"), .url = TEXT("https://jwt.example.com"), .takes_jwt = true},
    {.name = TEXT("cluster"), .url = TEXT("https://kubernetes.default.svc"), .takes_jwt = true},
    /* The same provider twice: JWTs by one set of rules, opaque tokens by another. */
    {.name = TEXT("split-opaque"),
     .url = TEXT("https://split.example.com"),
     .takes_opaque = true,
     .opaque_prefix = TEXT("s_")},
    {.name = TEXT("split-jwt"), .url = TEXT("https://split.example.com"), .takes_jwt = true},
};
static const struct policy policy = {
    .generation = 1, .issuers = issuers, .n_issuers = sizeof(issuers) / sizeof(issuers[0])};

static enum reason triage_with(const struct policy *with, struct text token, size_t *ret_issuer) {
    enum reason reason = REASON_INTERNAL;
    *ret_issuer = SIZE_MAX;
    cr_assert_eq(triage(with, token, ret_issuer, &reason), 0);
    return reason;
}

static void append_base64url(const char *json, struct buffer *buffer) {
    const size_t begin = buffer->n_bytes;
    base64_encode(text_of(json), buffer);
    for (size_t i = begin; i < buffer->n_bytes; i++) {
        if (buffer->data[i] == '+')
            buffer->data[i] = '-';
        if (buffer->data[i] == '/')
            buffer->data[i] = '_';
    }
    while (buffer->n_bytes > begin && buffer->data[buffer->n_bytes - 1] == '=')
        buffer->n_bytes--;
}

/* HEADER.PAYLOAD.SIGNATURE */
static void make_jwt(const char *header, const char *payload, struct buffer *buffer) {
    buffer_init(buffer, 64 * 1024);
    append_base64url(header, buffer);
    buffer_append_char(buffer, '.');
    append_base64url(payload, buffer);
    buffer_append(buffer, TEXT("." SENTINEL));
}

/* ---- length and alphabet ---- */

Test(triage, only_the_alphabet_of_rfc_6750_passes) {
    static const struct {
        const char *token;
        bool passes;
    } cases[] = {
        {SENTINEL_TOKEN, true},
        {"abcXYZ0189-._~+/", true},
        {"a=", true},
        {"a==", true},
        {"a====", true},
        {"", false},
        {"=", false},
        {"==", false},
        {"a=b", false},
        {"a b", false},
        {" a", false},
        {"a ", false},
        {"a\t", false},
        {"a\n", false},
        {"a\r\nX-Header: 1", false},
        {"a,b", false},
        {"a:b", false},
        {"a\"", false},
        {"a&token=b", false},
        {"a%20", false},
        {"a\x7f", false},
        {"a\xc3\xa4", false},
        {"\xff", false},
        {"a|b", false},
        {"a@b", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t issuer;
        cr_expect_eq(triage_with(&policy, text_of(cases[i].token), &issuer),
                     cases[i].passes ? REASON_OK : REASON_TOKEN_MALFORMED, "%s", cases[i].token);
        cr_expect_eq(issuer, cases[i].passes ? 0 : SIZE_MAX, "%s", cases[i].token);
    }
}

Test(triage, every_byte_is_judged_as_the_grammar_says) {
    for (int c = 0; c < 256; c++) {
        const char token[] = {'a', (char)c, 'b'};
        const bool is_good =
            c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", c) != NULL;
        size_t issuer;
        cr_expect_eq(triage_with(&policy, (struct text){token, 3}, &issuer), is_good ? REASON_OK : REASON_TOKEN_MALFORMED,
                     "byte %d", c);
    }
}

Test(triage, a_token_of_the_limit_passes_and_one_byte_more_does_not) {
    char *token = malloc(LIMIT_TOKEN_BYTES + 1);
    memset(token, 'a', LIMIT_TOKEN_BYTES + 1);
    size_t issuer;
    cr_expect_eq(triage_with(&policy, (struct text){token, LIMIT_TOKEN_BYTES}, &issuer), REASON_OK);
    cr_expect_eq(triage_with(&policy, (struct text){token, LIMIT_TOKEN_BYTES + 1}, &issuer), REASON_TOKEN_TOO_LONG);
    free(token);
}

/* ---- whose token ---- */

Test(triage, a_jwt_goes_to_the_issuer_that_its_iss_names) {
    static const struct {
        const char *payload;
        enum reason reason;
        const char *issuer;
    } cases[] = {
        {"{\"iss\":\"https://id.example.com\"}", REASON_OK, "corp"},
        {"{\"iss\":\"https://jwt.example.com\",\"sub\":\"a\"}", REASON_OK, "jwt"},
        {"{\"iss\":\"https://split.example.com\"}", REASON_OK, "split-jwt"},
        /* an issuer that is configured, but not for JWTs */
        {"{\"iss\":\"https://prefixed.example.com\"}", REASON_NO_ISSUER, NULL},
        /* byte for byte, as OpenID Connect Discovery section 4.3 has it */
        {"{\"iss\":\"https://id.example.com/\"}", REASON_ISSUER_UNKNOWN, NULL},
        {"{\"iss\":\"https://ID.example.com\"}", REASON_ISSUER_UNKNOWN, NULL},
        {"{\"iss\":\"http://id.example.com\"}", REASON_ISSUER_UNKNOWN, NULL},
        {"{\"iss\":\"https://id.example.com.evil.test\"}", REASON_ISSUER_UNKNOWN, NULL},
        {"{\"iss\":\"\"}", REASON_ISSUER_UNKNOWN, NULL},
        {"{\"iss\":[\"https://id.example.com\"]}", REASON_ISSUER_UNKNOWN, NULL},
        {"{\"sub\":\"alice\"}", REASON_ISSUER_UNKNOWN, NULL},
        {"not json", REASON_ISSUER_UNKNOWN, NULL},
        /* the cluster's own, and other clusters' */
        {"{\"iss\":\"https://other.cluster\",\"sub\":\"system:serviceaccount:kube-system:default\"}",
         REASON_SERVICE_ACCOUNT_TOKEN, NULL},
        {"{\"iss\":\"https://other.cluster\",\"kubernetes.io\":{\"namespace\":\"default\"}}", REASON_SERVICE_ACCOUNT_TOKEN,
         NULL},
        {"{\"iss\":\"kubernetes/serviceaccount\",\"sub\":\"system:serviceaccount:a:b\"}", REASON_SERVICE_ACCOUNT_TOKEN,
         NULL},
        {"{\"sub\":\"system:serviceaccount:a:b\"}", REASON_SERVICE_ACCOUNT_TOKEN, NULL},
        /* unless an admin made that very issuer one of ours */
        {"{\"iss\":\"https://kubernetes.default.svc\",\"sub\":\"system:serviceaccount:a:b\"}", REASON_OK, "cluster"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer token;
        make_jwt("{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", cases[i].payload, &token);
        size_t issuer;
        cr_expect_eq(triage_with(&policy, buffer_text(&token), &issuer), cases[i].reason, "%s", cases[i].payload);
        if (cases[i].issuer != NULL)
            cr_expect(issuer < policy.n_issuers && text_equal(issuers[issuer].name, text_of(cases[i].issuer)), "%s",
                      cases[i].payload);
        else
            cr_expect_eq(issuer, SIZE_MAX, "%s", cases[i].payload);
        buffer_deinit(&token);
    }
}

Test(triage, an_opaque_token_goes_to_the_issuer_with_the_longest_prefix) {
    static const struct {
        const char *token, *issuer;
    } cases[] = {
        {"ory_at_abc", "prefixed"}, {"ory_at_eu_abc", "longer"}, {"ory_at_eu", "prefixed"}, {"ory_at", "corp"},
        {"ORY_AT_abc", "corp"},     {"s_abc", "split-opaque"},   {"a.b", "corp"},           {"a.b.c", "corp"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t issuer;
        cr_expect_eq(triage_with(&policy, text_of(cases[i].token), &issuer), REASON_OK, "%s", cases[i].token);
        cr_expect(issuer < policy.n_issuers && text_equal(issuers[issuer].name, text_of(cases[i].issuer)), "%s",
                  cases[i].token);
    }
}

Test(triage, an_encrypted_jwt_is_opaque_though_it_starts_like_a_signed_one) {
    struct buffer token;
    buffer_init(&token, 4096);
    append_base64url("{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}", &token);
    buffer_append(&token, TEXT(".a2V5.aXY.Y2lwaGVy.dGFn"));
    size_t issuer;
    cr_expect_eq(triage_with(&policy, buffer_text(&token), &issuer), REASON_OK);
    cr_expect_eq(issuer, 0);
    buffer_deinit(&token);
}

Test(triage, where_nobody_takes_opaque_tokens_none_leaves) {
    const struct policy jwt_only = {.issuers = &issuers[3], .n_issuers = 1};
    size_t issuer;
    cr_expect_eq(triage_with(&jwt_only, TEXT(SENTINEL_TOKEN), &issuer), REASON_NO_ISSUER);
    const struct policy prefixed_only = {.issuers = &issuers[1], .n_issuers = 2};
    cr_expect_eq(triage_with(&prefixed_only, TEXT(SENTINEL_TOKEN), &issuer), REASON_NO_ISSUER);
    const struct policy none = {.n_issuers = 0};
    cr_expect_eq(triage_with(&none, TEXT(SENTINEL_TOKEN), &issuer), REASON_NO_ISSUER);
    cr_expect_eq(issuer, SIZE_MAX);
}

Test(triage, a_failed_allocation_is_our_failure_and_no_verdict) {
    struct buffer token;
    make_jwt("{\"alg\":\"RS256\"}", "{\"iss\":\"https://id.example.com\"}", &token);
    int r = -1;
    size_t n_failures = 0;
    for (size_t n = 1; r != 0; n++) {
        size_t issuer = SIZE_MAX;
        enum reason reason = N_REASONS;
        memory_fail_at(n);
        r = triage(&policy, buffer_text(&token), &issuer, &reason);
        memory_fail_at(0);
        if (r != 0) {
            n_failures++;
            cr_expect_eq(r, -ENOMEM);
            cr_expect_eq(reason, N_REASONS);
            cr_expect_eq(issuer, SIZE_MAX);
        }
    }
    cr_expect_gt(n_failures, 0);
    buffer_deinit(&token);
}
