/*
 * Bytes that grow up to a maximum. An append that fails (no memory, or over the maximum) marks the buffer as failed and
 * all later appends do nothing, so that a writer checks once, at its end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct buffer {
    char *data;
    size_t n_bytes;
    size_t capacity_bytes;
    size_t max_bytes;
    int error; /* 0, -ENOMEM, or -EMSGSIZE */
};

/* An empty buffer; allocates nothing. */
void buffer_init(struct buffer *buffer, size_t max_bytes);

/*
 * An empty buffer in memory of the caller's, that never grows: it takes one byte less than n_bytes (at least 1), and
 * allocates nothing. Never deinit it.
 */
void buffer_init_fixed(struct buffer *buffer, char *memory, size_t n_bytes);

/* Frees; the buffer is empty then and may be used again. A zeroed or half-built one is fine. */
void buffer_deinit(struct buffer *buffer);

/* Like buffer_deinit(), but wipes the bytes first. Growth does not wipe: reserve before writing a secret. */
void buffer_deinit_secret(struct buffer *buffer);

/* Makes room for n_bytes more. Returns 0, -ENOMEM or -EMSGSIZE. */
int buffer_reserve(struct buffer *buffer, size_t n_bytes);

/* Forgets the content and the error, keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* For the two appends below, which are inlined: nearly every one finds room, and of a literal the length is known then. */
bool buffer_make_room(struct buffer *buffer, size_t n_bytes);

static inline bool buffer_has_room(struct buffer *buffer, size_t n_bytes) {
    return __builtin_expect(buffer->error == 0 && n_bytes <= buffer->capacity_bytes - buffer->n_bytes, true) ||
           buffer_make_room(buffer, n_bytes);
}

static inline void buffer_append(struct buffer *buffer, struct text text) {
    if (text.n_bytes == 0 || !buffer_has_room(buffer, text.n_bytes))
        return;
    memcpy(buffer->data + buffer->n_bytes, text.data, text.n_bytes);
    buffer->n_bytes += text.n_bytes;
}

static inline void buffer_append_char(struct buffer *buffer, char c) {
    if (buffer_has_room(buffer, 1))
        buffer->data[buffer->n_bytes++] = c;
}

void buffer_append_u64(struct buffer *buffer, uint64_t number);
void buffer_append_i64(struct buffer *buffer, int64_t number);
void buffer_append_hex(struct buffer *buffer, const uint8_t *bytes, size_t n_bytes);
/* snprintf() into the buffer, for what is written seldom. Never with a secret. */
void buffer_append_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The text as a JSON string in its quotes (RFC 8259 section 7): control characters, quote and backslash escaped, the
 * rest as it is. The text must be UTF-8; what is not (an attacker's file name in a log) becomes U+FFFD.
 */
void buffer_append_json_string(struct buffer *buffer, struct text text);

/* The same without the quotes, inside a JSON string that is written piece by piece. */
void buffer_append_json_inside(struct buffer *buffer, struct text text);

/* application/x-www-form-urlencoded (RFC 6749 appendix B): unreserved characters stay, all others become %XX. */
void buffer_append_form_encoded(struct buffer *buffer, struct text text);

/* What was appended; borrowed until the next append. */
static inline struct text buffer_text(const struct buffer *buffer) {
    return (struct text){.data = buffer->data, .n_bytes = buffer->n_bytes};
}
