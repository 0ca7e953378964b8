#include "base/base64.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void append_group(const unsigned char *in, size_t n, const char *alphabet, bool is_padded, struct buffer *buffer) {
    const uint32_t group = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);
    buffer_append_char(buffer, alphabet[group >> 18]);
    buffer_append_char(buffer, alphabet[group >> 12 & 63]);
    if (n > 1 || is_padded)
        buffer_append_char(buffer, n > 1 ? alphabet[group >> 6 & 63] : '=');
    if (n > 2 || is_padded)
        buffer_append_char(buffer, n > 2 ? alphabet[group & 63] : '=');
}

static void encode(struct text bytes, const char *alphabet, bool is_padded, struct buffer *buffer) {
    const unsigned char *in = (const unsigned char *)bytes.data;
    for (size_t i = 0; i < bytes.n_bytes; i += 3)
        append_group(in + i, bytes.n_bytes - i, alphabet, is_padded, buffer);
}

void base64_encode(struct text bytes, struct buffer *buffer) {
    const size_t n_groups = bytes.n_bytes / 3 + (bytes.n_bytes % 3 != 0);
    /* All at once: growing on the way would leave copies of a secret behind. */
    if (buffer_reserve(buffer, n_groups > SIZE_MAX / 4 ? SIZE_MAX : n_groups * 4) != 0)
        return;
    encode(bytes, LETTERS_AND_DIGITS "+/", true, buffer);
}

void base64url_encode(struct text bytes, struct buffer *buffer) {
    encode(bytes, LETTERS_AND_DIGITS "-_", false, buffer);
}

/* The six bits of a character of the URL-safe alphabet, or -1. */
static int value_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_decode(struct text text, uint8_t *ret_bytes, size_t *ret_n) {
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        const int value = value_of(text.data[i]);
        if (value < 0)
            return BASE64_MALFORMED;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        ret_bytes[n++] = (uint8_t)(bits >> n_bits);
        bits &= (1u << n_bits) - 1;
    }
    /* A lone last character carries no byte; and bits that nobody reads would give one value many spellings. */
    if (text.n_bytes % 4 == 1 || bits != 0)
        return BASE64_MALFORMED;
    *ret_n = n;
    return 0;
}
