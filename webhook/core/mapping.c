#include "core/mapping.h"

#include "core/explanation.h"

#define CREDENTIAL_ID_KEY TEXT("authentication.kubernetes.io/credential-id")
#define RESERVED TEXT("system:")

/* ---- names ---- */

bool mapping_starts_with(struct text prefix, struct text value, struct text start) {
    if (prefix.n_bytes >= start.n_bytes)
        return text_starts_with(prefix, start);
    const struct text rest = {.data = start.data + prefix.n_bytes, .n_bytes = start.n_bytes - prefix.n_bytes};
    return text_starts_with(start, prefix) && text_starts_with(value, rest);
}

bool mapping_has_control(struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == 0x7F)
            return true;
        /* U+0080 to U+009F in UTF-8. The text is valid UTF-8, so 0xC2 is always the first byte of two. */
        if (c == 0xC2 && i + 1 < text.n_bytes && (unsigned char)text.data[i + 1] <= 0x9F)
            return true;
    }
    return false;
}

void mapping_append_name(struct text prefix, struct text value, struct buffer *buffer) {
    char name[LIMIT_USERNAME_BYTES];
    _Static_assert(LIMIT_GROUP_BYTES <= LIMIT_USERNAME_BYTES, "a group's name does not fit");
    if (prefix.n_bytes > 0)
        memcpy(name, prefix.data, prefix.n_bytes);
    if (value.n_bytes > 0)
        memcpy(name + prefix.n_bytes, value.data, value.n_bytes);
    buffer_append_json_string(buffer, (struct text){.data = name, .n_bytes = prefix.n_bytes + value.n_bytes});
}

/* ---- username and uid ---- */

/* The value of a claim that must be one string. The client's id is the subject where the policy says so: also for a user
   name that is taken from another claim, which such a token cannot have. */
static struct text single_value(const struct reading *reading, struct text claim, bool falls_back) {
    const struct text value = claims_string(reading->claims, claim);
    if (value.n_bytes == 0 && rules_client_is_subject(reading) && (falls_back || text_equal(claim, TEXT("sub"))))
        return claims_string(reading->claims, TEXT("client_id"));
    return value;
}

static bool is_single_type(enum claim_kind kind) {
    return kind == CLAIM_ABSENT || kind == CLAIM_STRING;
}

static enum reason judge_username(const struct issuer_policy *issuer, enum claim_kind kind, struct text username) {
    if (!is_single_type(kind))
        return REASON_CLAIM_TYPE_INVALID;
    if (username.n_bytes == 0)
        return REASON_USERNAME_ABSENT;
    if (issuer->username_prefix.n_bytes > LIMIT_USERNAME_BYTES ||
        username.n_bytes > LIMIT_USERNAME_BYTES - issuer->username_prefix.n_bytes || mapping_has_control(username))
        return REASON_USERNAME_INVALID;
    if (mapping_starts_with(issuer->username_prefix, username, RESERVED))
        return REASON_USERNAME_RESERVED;
    return REASON_OK;
}

enum reason mapping_username(const struct reading *reading, struct mapped_user *user) {
    const struct issuer_policy *issuer = reading->issuer;
    const enum claim_kind kind = claims_kind(reading->claims, issuer->username_claim);
    const struct text username = single_value(reading, issuer->username_claim, kind == CLAIM_ABSENT);
    const enum reason reason = judge_username(issuer, kind, username);
    explanation_rule(reading->explanation, "claimMappings.username", reason == REASON_OK, "\"%.*s%.*s\" from %.*s%s",
                     SEEN(issuer->username_prefix), SEEN(username), SEEN(issuer->username_claim),
                     kind == CLAIM_ABSENT   ? ", which is absent"
                     : is_single_type(kind) ? ""
                                            : ", which is no string");
    user->username = username;
    return reason;
}

static enum reason judge_uid(enum claim_kind kind, struct text uid) {
    if (!is_single_type(kind))
        return REASON_CLAIM_TYPE_INVALID;
    const bool is_valid = uid.n_bytes > 0 && uid.n_bytes <= LIMIT_UID_BYTES && !mapping_has_control(uid);
    return is_valid ? REASON_OK : REASON_UID_INVALID;
}

enum reason mapping_uid(const struct reading *reading, struct mapped_user *user) {
    const struct text claim = reading->issuer->uid_claim;
    user->uid = (struct text){0};
    if (claim.n_bytes == 0)
        return REASON_OK;
    const enum claim_kind kind = claims_kind(reading->claims, claim);
    const struct text uid = single_value(reading, claim, false);
    const enum reason reason = judge_uid(kind, uid);
    explanation_rule(reading->explanation, "claimMappings.uid", reason == REASON_OK, "\"%.*s\" from %.*s%s", SEEN(uid),
                     SEEN(claim), is_single_type(kind) ? "" : ", which is no string");
    user->uid = uid;
    return reason;
}

/* ---- extra ---- */

static void append_extra(struct text key, const struct text *values, size_t n_values, struct buffer *buffer) {
    if (buffer->n_bytes > 0)
        buffer_append_char(buffer, ',');
    buffer_append_json_string(buffer, key);
    buffer_append(buffer, TEXT(":["));
    for (size_t i = 0; i < n_values; i++) {
        if (i > 0)
            buffer_append_char(buffer, ',');
        buffer_append_json_string(buffer, values[i]);
    }
    buffer_append_char(buffer, ']');
}

static bool is_extra_value(struct text value) {
    return value.n_bytes <= LIMIT_EXTRA_VALUE_BYTES && !mapping_has_control(value);
}

/* The values of a STRING or STRINGS claim. */
static enum reason read_strings(const struct claims *claims, struct text claim, struct text *ret_values,
                                size_t *ret_n_values) {
    const size_t n = claims_n_strings(claims, claim);
    if (n > LIMIT_EXTRA_VALUES)
        return REASON_EXTRA_INVALID;
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = claims_string_at(claims, claim, i);
        if (!is_extra_value(ret_values[i]))
            return REASON_EXTRA_INVALID;
    }
    *ret_n_values = n;
    return REASON_OK;
}

/* room: for a boolean or number as text */
static enum reason read_extra(const struct claims *claims, struct text claim, char room[32], struct text *ret_values,
                              size_t *ret_n_values) {
    switch (claims_kind(claims, claim)) {
    case CLAIM_ABSENT:
        *ret_n_values = 0;
        return REASON_OK;
    case CLAIM_STRING:
    case CLAIM_STRINGS:
        return read_strings(claims, claim, ret_values, ret_n_values);
    case CLAIM_BOOLEAN:
    case CLAIM_NUMBER:
        ret_values[0] = claims_scalar(claims, claim, room, 32);
        *ret_n_values = 1;
        return ret_values[0].n_bytes > 0 ? REASON_OK : REASON_CLAIM_TYPE_INVALID;
    case CLAIM_OTHER:
        break;
    }
    return REASON_CLAIM_TYPE_INVALID;
}

static enum reason map_extra(const struct reading *reading, size_t index, struct buffer *buffer) {
    const struct extra_mapping *mapping = &reading->issuer->extra[index];
    struct text values[LIMIT_EXTRA_VALUES];
    char room[32];
    size_t n_values = 0;
    const enum reason reason = read_extra(reading->claims, mapping->claim, room, values, &n_values);
    explanation_rule_at(reading->explanation, "claimMappings.extra", index, reason == REASON_OK,
                        "%.*s: %zu values from %.*s", SEEN(mapping->key), n_values, SEEN(mapping->claim));
    if (reason == REASON_OK && n_values > 0)
        append_extra(mapping->key, values, n_values, buffer);
    return reason;
}

/* KEP-3331's name for the credential in audit events. Left out where the jti is nothing to put there: it grants nothing. */
static void map_credential_id(const struct reading *reading, struct buffer *buffer) {
    static const char start[] = "JTI=";
    const struct text jti = claims_string(reading->claims, TEXT("jti"));
    char value[LIMIT_EXTRA_VALUE_BYTES];
    const size_t n_start = sizeof(start) - 1;
    if (jti.n_bytes == 0 || jti.n_bytes > sizeof(value) - n_start || mapping_has_control(jti))
        return;
    memcpy(value, start, n_start);
    memcpy(value + n_start, jti.data, jti.n_bytes);
    const struct text credential = {.data = value, .n_bytes = n_start + jti.n_bytes};
    append_extra(CREDENTIAL_ID_KEY, &credential, 1, buffer);
}

enum reason mapping_extra(const struct reading *reading, struct buffer *buffer) {
    for (size_t i = 0; i < reading->issuer->n_extra; i++) {
        const enum reason reason = map_extra(reading, i, buffer);
        if (reason != REASON_OK)
            return reason;
    }
    map_credential_id(reading, buffer);
    return REASON_OK;
}

/* ---- userValidationRules ---- */

static bool holds(const struct issuer_policy *issuer, const struct user_rule *rule, const struct mapped_user *user) {
    switch (rule->kind) {
    case USER_RULE_USERNAME_NOT_PREFIX:
        return !mapping_starts_with(issuer->username_prefix, user->username, rule->value);
    case USER_RULE_GROUPS_NOT_PREFIX:
        for (size_t i = 0; i < user->n_groups; i++) {
            if (mapping_starts_with(issuer->groups_prefix, user->groups[i], rule->value))
                return false;
        }
        return true;
    }
    return false;
}

enum reason mapping_user_rules(const struct reading *reading, const struct mapped_user *user) {
    for (size_t i = 0; i < reading->issuer->n_user_rules; i++) {
        const struct user_rule *rule = &reading->issuer->user_rules[i];
        const char *of = rule->kind == USER_RULE_USERNAME_NOT_PREFIX ? "username" : "groups";
        const bool held = holds(reading->issuer, rule, user);
        explanation_rule_at(reading->explanation, "userValidationRules", i, held, "%s notPrefix \"%.*s\"", of,
                            SEEN(rule->value));
        if (!held)
            return REASON_USER_RULE;
    }
    return REASON_OK;
}
