/*
 * A JSON string (RFC 8259 section 7) as it stands in a document: checked where it is read, unescaped only where somebody
 * needs it, compared without being unescaped. Allocates nothing.
 */
#pragma once

#include <stdbool.h>

#include "base/siphash.h"
#include "base/text.h"

/* What stands between the quotes; borrowed. Already checked. */
struct scan_string {
    struct text raw;
    bool has_escapes; /* false: raw is the string */
};

/*
 * Reads a string and checks it: UTF-8 (RFC 3629), no control characters, known escapes only, no half of a surrogate pair,
 * no U+0000.
 *
 * at  behind the opening quote; moved behind the closing one, or, where false is returned, to the first wrong byte (to end,
 *     where the string is not closed)
 */
bool scan_string_read(const char **at, const char *end, struct scan_string *ret_string);

/* The same for a string that nobody will read: U+0000 may be in it. */
bool scan_string_pass(const char **at, const char *end);

/*
 * Writes the unescaped string, which is never longer than the raw one; to may be the raw string itself.
 * Returns its bytes.
 */
size_t scan_string_unescape(struct scan_string string, char *to);

/* Unescapes a string where it stands, place being raw.data in memory of the caller's. Returns the text, in that memory. */
struct text scan_string_settle(struct scan_string string, char *place);

/* Orders two strings by their unescaped bytes, as memcmp() would. Not for secrets. */
int scan_string_compare(struct scan_string a, struct scan_string b);

/* The hash of a string's unescaped bytes. begun: with the key, and nothing else. */
uint64_t scan_string_hash(struct scan_string string, const struct siphash *begun);

/* Like scan_string_equal(), for a string that has escapes. */
bool scan_string_equal_unescaped(struct scan_string string, struct text text);

/* Whether the string, unescaped, is the text. Not for secrets. In the header: with a literal it is two comparisons. */
static inline bool scan_string_equal(struct scan_string string, struct text text) {
    return string.has_escapes ? scan_string_equal_unescaped(string, text) : text_equal(string.raw, text);
}
