#include "wire/claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "wire/json.h"

struct claims {
    json_t *root;
};

int claims_open(struct text json, struct claims **ret_claims) {
    if (json.n_bytes > LIMIT_INTROSPECTION_REPLY_BYTES)
        return -EBADMSG;
    struct claims *const claims = malloc(sizeof(*claims));
    if (claims == NULL)
        return -ENOMEM;
    const int result = json_object_load(json, LIMIT_REPLY_DEPTH, &claims->root);
    if (result != 0) {
        free(claims);
        return result == JSON_MALFORMED ? -EBADMSG : result;
    }
    *ret_claims = claims;
    return 0;
}

void claims_close(struct claims *claims) {
    if (claims == NULL)
        return;
    json_decref(claims->root);
    free(claims);
}

/* NULL where it is absent, and where it is null. */
static const json_t *member(const json_t *object, struct text name) {
    const json_t *const value = json_object_getn(object, name.data, name.n_bytes);
    return json_is_null(value) ? NULL : value;
}

static bool is_all_strings(const json_t *array) {
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i)))
            return false;
    }
    return true;
}

static enum claim_kind kind_of(const json_t *value) {
    if (value == NULL)
        return CLAIM_ABSENT;
    switch (json_typeof(value)) {
    case JSON_STRING:
        return CLAIM_STRING;
    case JSON_ARRAY:
        return is_all_strings(value) ? CLAIM_STRINGS : CLAIM_OTHER;
    case JSON_TRUE:
    case JSON_FALSE:
        return CLAIM_BOOLEAN;
    case JSON_INTEGER:
    case JSON_REAL:
        return CLAIM_NUMBER;
    case JSON_OBJECT:
    case JSON_NULL:
        break;
    }
    return CLAIM_OTHER;
}

static struct text text_of_string(const json_t *value) {
    return (struct text){.data = json_string_value(value), .n_bytes = json_string_length(value)};
}

enum claim_kind claims_kind(const struct claims *claims, struct text name) {
    return kind_of(member(claims->root, name));
}

struct text claims_string(const struct claims *claims, struct text name) {
    return text_of_string(member(claims->root, name));
}

size_t claims_n_strings(const struct claims *claims, struct text name) {
    const json_t *const value = member(claims->root, name);
    switch (kind_of(value)) {
    case CLAIM_STRING:
        return 1;
    case CLAIM_STRINGS:
        return json_array_size(value);
    default:
        return 0;
    }
}

struct text claims_string_at(const struct claims *claims, struct text name, size_t index) {
    const json_t *const value = member(claims->root, name);
    if (json_is_string(value) && index == 0)
        return text_of_string(value);
    /* json_array_get() gives NULL for what is no array or past its end, and that has the empty text. */
    return text_of_string(json_array_get(value, index));
}

bool claims_has_member(const struct claims *claims, struct text outer, struct text inner) {
    const json_t *const object = member(claims->root, outer);
    return json_is_object(object) && member(object, inner) != NULL;
}

bool claims_is_true(const struct claims *claims, struct text name) {
    return json_is_true(member(claims->root, name));
}

struct text claims_scalar(const struct claims *claims, struct text name, char *room, size_t n_room) {
    const json_t *const value = member(claims->root, name);
    int n = -1;
    if (json_is_boolean(value))
        n = snprintf(room, n_room, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        n = snprintf(room, n_room, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (n < 0 || (size_t)n >= n_room)
        return (struct text){0};
    return (struct text){.data = room, .n_bytes = (size_t)n};
}
