#include "core/triage.h"

#include "base/limits.h"
#include "wire/jwt.h"

/* RFC 6750 section 2.1, b64token without its trailing "=". */
static const bool is_token_char[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['+'] = true,         ['/'] = true,
};

static bool is_b64token(struct text token) {
    size_t n = 0;
    while (n < token.n_bytes && is_token_char[(unsigned char)token.data[n]])
        n++;
    if (n == 0)
        return false;
    while (n < token.n_bytes && token.data[n] == '=')
        n++;
    return n == token.n_bytes;
}

static enum reason triage_signed(const struct policy *policy, const struct jwt_peek *peek, size_t *ret_issuer) {
    const struct text iss = {.data = peek->issuer, .n_bytes = peek->n_issuer_bytes};
    bool is_configured = false;
    for (size_t i = 0; peek->has_issuer && i < policy->n_issuers; i++) {
        if (!text_equal(policy->issuers[i].url, iss))
            continue;
        is_configured = true;
        if (policy->issuers[i].takes_jwt) {
            *ret_issuer = i;
            return REASON_OK;
        }
    }
    if (is_configured)
        return REASON_NO_ISSUER;
    return peek->is_service_account ? REASON_SERVICE_ACCOUNT_TOKEN : REASON_ISSUER_UNKNOWN;
}

static enum reason triage_opaque(const struct policy *policy, struct text token, size_t *ret_issuer) {
    const struct issuer_policy *best = NULL;
    for (size_t i = 0; i < policy->n_issuers; i++) {
        const struct issuer_policy *issuer = &policy->issuers[i];
        if (!issuer->takes_opaque || !text_starts_with(token, issuer->opaque_prefix))
            continue;
        if (best == NULL || issuer->opaque_prefix.n_bytes > best->opaque_prefix.n_bytes)
            best = issuer;
    }
    if (best == NULL)
        return REASON_NO_ISSUER;
    *ret_issuer = (size_t)(best - policy->issuers);
    return REASON_OK;
}

int triage(const struct policy *policy, struct text token, size_t *ret_issuer, enum reason *ret_reason) {
    /* Before the alphabet: the length is known, the bytes of an endless token are not worth reading. */
    if (token.n_bytes > LIMIT_TOKEN_BYTES) {
        *ret_reason = REASON_TOKEN_TOO_LONG;
        return 0;
    }
    if (!is_b64token(token)) {
        *ret_reason = REASON_TOKEN_MALFORMED;
        return 0;
    }
    struct jwt_peek peek;
    const int r = jwt_peek(token, &peek);
    if (r < 0)
        return r;
    *ret_reason =
        peek.form == JWT_FORM_SIGNED ? triage_signed(policy, &peek, ret_issuer) : triage_opaque(policy, token, ret_issuer);
    return 0;
}
