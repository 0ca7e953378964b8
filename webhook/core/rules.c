#include "core/rules.h"

#include <strings.h>

#include "core/explanation.h"

static bool equal_ignoring_case(struct text a, struct text b) {
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || strncasecmp(a.data, b.data, a.n_bytes) == 0);
}

static bool is_one_of(struct text value, const struct text *values, size_t n_values) {
    for (size_t i = 0; i < n_values; i++) {
        if (equal_ignoring_case(value, values[i]))
            return true;
    }
    return false;
}

static enum reason check_issuer(const struct reading *reading) {
    const enum claim_kind kind = claims_kind(reading->claims, TEXT("iss"));
    const struct text iss = claims_string(reading->claims, TEXT("iss"));
    if (kind == CLAIM_ABSENT) {
        explanation_rule(reading->explanation, "issuer.url", true, "no iss (RFC 7662 does not ask for one)");
        return REASON_OK;
    }
    const bool held = kind == CLAIM_STRING && text_equal(iss, reading->issuer->url);
    return explanation_rule(reading->explanation, "issuer.url", held, "iss \"%.*s\"", SEEN(iss)) ? REASON_OK
                                                                                                 : REASON_ISSUER_MISMATCH;
}

/* A name of a token's type that is not accepted: bound to a key, or no access token. */
static enum reason refused_type(struct text type) {
    return equal_ignoring_case(type, TEXT("DPoP")) ? REASON_TOKEN_BOUND : REASON_TOKEN_TYPE_REFUSED;
}

/* RFC 7662 section 2.2: token_type is that of RFC 6749 section 5.1, whose names know no case (section 7.1). Some providers
   send the URI-less name of RFC 8693 section 3 instead. */
static enum reason check_token_type(const struct reading *reading) {
    static const struct text accepted[] = {TEXT("Bearer"), TEXT("access_token")};
    const enum claim_kind kind = claims_kind(reading->claims, TEXT("token_type"));
    const struct text type = claims_string(reading->claims, TEXT("token_type"));
    if (kind == CLAIM_ABSENT) {
        const bool held = reading->issuer->accept_absent_token_type;
        return explanation_rule(reading->explanation, "absentTokenType", held, "no token_type") ? REASON_OK
                                                                                                : REASON_TOKEN_TYPE_ABSENT;
    }
    const bool held = kind == CLAIM_STRING && is_one_of(type, accepted, sizeof(accepted) / sizeof(accepted[0]));
    return explanation_rule(reading->explanation, "token_type", held, "\"%.*s\"", SEEN(type)) ? REASON_OK
                                                                                              : refused_type(type);
}

/* Keycloak names the type of every token in the claim typ ("Bearer", "Refresh", "ID", "Offline", "DPoP"); others copy the
   JOSE header's typ there (RFC 9068 section 2.1). */
static enum reason check_typ(const struct reading *reading) {
    static const struct text accepted[] = {TEXT("Bearer"), TEXT("at+jwt"), TEXT("application/at+jwt"), TEXT("JWT")};
    const enum claim_kind kind = claims_kind(reading->claims, TEXT("typ"));
    const struct text typ = claims_string(reading->claims, TEXT("typ"));
    if (kind == CLAIM_ABSENT)
        return REASON_OK;
    const bool held = kind == CLAIM_STRING && is_one_of(typ, accepted, sizeof(accepted) / sizeof(accepted[0]));
    return explanation_rule(reading->explanation, "typ", held, "\"%.*s\"", SEEN(typ)) ? REASON_OK : refused_type(typ);
}

/* RFC 7800, RFC 8705, RFC 9449: what cnf names must be proved, and the proof went to the API server and no further. What
   is in it does not matter: a way to bind that nobody knows yet binds as well. */
static enum reason check_binding(const struct reading *reading) {
    const bool held = claims_kind(reading->claims, TEXT("cnf")) == CLAIM_ABSENT;
    return explanation_rule(reading->explanation, "cnf", held, held ? "absent: a plain bearer token" : "bound to a key")
               ? REASON_OK
               : REASON_TOKEN_BOUND;
}

static enum reason check_client(const struct reading *reading) {
    if (reading->issuer->any_client)
        return REASON_OK;
    /* client_id is the introspection reply's own word (RFC 7662); azp, a claim of ID tokens, only stands in for it. */
    const bool has_client_id = claims_kind(reading->claims, TEXT("client_id")) != CLAIM_ABSENT;
    const struct text name = has_client_id ? TEXT("client_id") : TEXT("azp");
    const enum claim_kind kind = claims_kind(reading->claims, name);
    const struct text client = claims_string(reading->claims, name);
    const bool held = kind == CLAIM_STRING && text_list_contains(&reading->issuer->client_ids, client);
    explanation_rule(reading->explanation, "clientIDs", held,
                     kind == CLAIM_ABSENT ? "no client_id, no %.*s%.*s" : "%.*s \"%.*s\"", SEEN(name), SEEN(client));
    return held ? REASON_OK : REASON_CLIENT_REFUSED;
}

bool rules_has_audience(const struct reading *reading, struct text audience) {
    const size_t n = claims_n_strings(reading->claims, TEXT("aud"));
    for (size_t i = 0; i < n; i++) {
        if (text_equal(claims_string_at(reading->claims, TEXT("aud"), i), audience))
            return true;
    }
    return false;
}

/* The first of the issuer's audiences that the token is for; the empty text: none. */
static struct text find_audience(const struct reading *reading) {
    const struct text_list *audiences = &reading->issuer->audiences;
    for (size_t i = 0; i < audiences->n_items; i++) {
        if (rules_has_audience(reading, audiences->items[i]))
            return audiences->items[i];
    }
    return (struct text){0};
}

static enum reason check_audience(const struct reading *reading) {
    const enum claim_kind kind = claims_kind(reading->claims, TEXT("aud"));
    if (kind == CLAIM_ABSENT) {
        const bool held = reading->issuer->accept_absent_audience;
        return explanation_rule(reading->explanation, "absentAudience", held, "no aud") ? REASON_OK
                                                                                        : REASON_AUDIENCE_ABSENT;
    }
    if (kind != CLAIM_STRING && kind != CLAIM_STRINGS) {
        explanation_rule(reading->explanation, "issuer.audiences", false,
                         "aud is neither a string nor an array of strings");
        return REASON_CLAIM_TYPE_INVALID;
    }
    const struct text found = find_audience(reading);
    if (found.n_bytes == 0) {
        const struct text first = claims_string_at(reading->claims, TEXT("aud"), 0);
        explanation_rule(reading->explanation, "issuer.audiences", false, "aud has %zu, none of the issuer's: \"%.*s\" ...",
                         claims_n_strings(reading->claims, TEXT("aud")), SEEN(first));
        return REASON_AUDIENCE_MISMATCH;
    }
    explanation_rule(reading->explanation, "issuer.audiences", true, "aud has \"%.*s\"", SEEN(found));
    return REASON_OK;
}

static bool has_subject(const struct reading *reading) {
    return claims_string(reading->claims, TEXT("sub")).n_bytes > 0;
}

bool rules_client_is_subject(const struct reading *reading) {
    return reading->issuer->absent_subject_is_client_id && !has_subject(reading) &&
           claims_string(reading->claims, TEXT("client_id")).n_bytes > 0;
}

static enum reason check_subject(const struct reading *reading) {
    const struct text sub = claims_string(reading->claims, TEXT("sub"));
    if (has_subject(reading)) {
        explanation_rule(reading->explanation, "absentSubject", true, "sub \"%.*s\"", SEEN(sub));
        return REASON_OK;
    }
    const bool held = rules_client_is_subject(reading);
    const struct text client = claims_string(reading->claims, TEXT("client_id"));
    explanation_rule(reading->explanation, "absentSubject", held, "no sub, client_id \"%.*s\"", SEEN(client));
    return held ? REASON_OK : REASON_SUBJECT_ABSENT;
}

/* An array never equals a value: which of its elements would have to? */
static enum reason check_claim_rule(const struct reading *reading, size_t index) {
    const struct claim_rule *rule = &reading->issuer->claim_rules[index];
    char room[32];
    const enum claim_kind kind = claims_kind(reading->claims, rule->claim);
    struct text seen = {0};
    if (kind == CLAIM_STRING)
        seen = claims_string(reading->claims, rule->claim);
    else if (kind == CLAIM_BOOLEAN || kind == CLAIM_NUMBER)
        seen = claims_scalar(reading->claims, rule->claim, room, sizeof(room));
    /* A number that cannot be written as text is no empty string. */
    const bool is_text = kind == CLAIM_STRING || seen.n_bytes > 0;
    const bool held = is_text && text_equal(seen, rule->required_value);
    explanation_rule_at(reading->explanation, "claimValidationRules", index, held, "%.*s is %s%.*s%s", SEEN(rule->claim),
                        kind == CLAIM_ABSENT ? "absent"
                        : is_text            ? "\""
                                             : "of another type",
                        SEEN(seen), is_text ? "\"" : "");
    return held ? REASON_OK : REASON_CLAIM_RULE;
}

static enum reason check_claim_rules(const struct reading *reading) {
    for (size_t i = 0; i < reading->issuer->n_claim_rules; i++) {
        const enum reason reason = check_claim_rule(reading, i);
        if (reason != REASON_OK)
            return reason;
    }
    return REASON_OK;
}

enum reason rules_check(const struct reading *reading) {
    static enum reason (*const checks[])(const struct reading *) = {
        check_issuer, check_token_type, check_typ,     check_binding,
        check_client, check_audience,   check_subject, check_claim_rules,
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const enum reason reason = checks[i](reading);
        if (reason != REASON_OK)
            return reason;
    }
    return REASON_OK;
}
