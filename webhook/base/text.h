/*
 * Borrowed bytes: a pointer and a length. Not terminated by a zero byte, never owned by who holds it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *data;
    size_t n_bytes;
};

/* Texts in a row, owned by whoever owns the structure that this is a member of. */
struct text_list {
    struct text *items;
    size_t n_items;
};

/* A text of a string literal. */
#define TEXT(literal) ((struct text){.data = (literal), .n_bytes = sizeof(literal) - 1})

/* A text of a C string; NULL gives the empty text. */
static inline struct text text_of(const char *string) {
    return (struct text){.data = string, .n_bytes = string == NULL ? 0 : strlen(string)};
}

/* Equal byte for byte. Not for secrets: see secret_equal(). */
static inline bool text_equal(struct text a, struct text b) {
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.data, b.data, a.n_bytes) == 0);
}

static inline bool text_starts_with(struct text text, struct text prefix) {
    return text.n_bytes >= prefix.n_bytes && (prefix.n_bytes == 0 || memcmp(text.data, prefix.data, prefix.n_bytes) == 0);
}

static inline bool text_list_contains(const struct text_list *list, struct text text) {
    for (size_t i = 0; i < list->n_items; i++) {
        if (text_equal(list->items[i], text))
            return true;
    }
    return false;
}
