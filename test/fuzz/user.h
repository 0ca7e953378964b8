/*
 * What the fuzz targets of reviews that come after a login have in common: what jansson has read of a user, and how it is
 * held against what the decoder says.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "fuzz/check.h"
#include "wire/handle_extra.h"

/* ---- the rules, as simply as they can be put ---- */

static inline bool is_absent(const json_t *value) {
    return value == NULL || json_is_null(value);
}

static inline bool is_word(const json_t *value, const char *word) {
    return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

/* U+0000 gets by jansson only where it was told to let it. */
static inline bool has_zero(const json_t *string) {
    return memchr(json_string_value(string), '\0', json_string_length(string)) != NULL;
}

static inline bool are_strings(const json_t *value) {
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *element = json_array_get(value, i);
        if (!json_is_string(element) || has_zero(element))
            return false;
    }
    return is_absent(value) || json_is_array(value);
}

static inline bool is_extra(json_t *extra) {
    const char *key;
    json_t *value;
    json_object_foreach(extra, key, value) {
        if (!are_strings(value))
            return false;
    }
    return is_absent(extra) || json_is_object(extra);
}

/* ---- the same values ---- */

/* Empty where there is none. */
static inline struct text text_at(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return (struct text){.data = json_string_value(value), .n_bytes = json_string_length(value)};
}

static inline void check_extra(const struct handle_extra *ours, json_t *theirs) {
    size_t n_keys = 0, n_values = 0;
    const json_t *first = NULL;
    const char *key;
    json_t *values;
    json_object_foreach(theirs, key, values) {
        if (strcasecmp(key, "kube-introspect.io/handle") != 0)
            continue;
        n_keys++;
        if (first == NULL)
            first = json_array_get(values, 0);
        n_values += json_array_size(values);
    }
    CHECK(ours->n_handles == (n_keys > 1 && n_values < n_keys ? n_keys : n_values));
    if (first != NULL)
        CHECK(text_equal(ours->handle, (struct text){json_string_value(first), json_string_length(first)}));
}
