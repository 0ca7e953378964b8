#include "base/base64.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Writes a group of one to three bytes as four characters, the last ones padding. */
static inline void write_group(const unsigned char *in, size_t n, const char *alphabet, char *out) {
    const uint32_t group = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);
    out[0] = alphabet[group >> 18];
    out[1] = alphabet[group >> 12 & 63];
    out[2] = n > 1 ? alphabet[group >> 6 & 63] : '=';
    out[3] = n > 2 ? alphabet[group & 63] : '=';
}

/* Room for all at once: growing on the way would leave copies of a secret behind, and a check for each character costs more
   than the character, in every login's handle. */
static void encode(struct text bytes, const char *alphabet, bool is_padded, struct buffer *buffer) {
    const unsigned char *in = (const unsigned char *)bytes.data;
    const size_t n_groups = bytes.n_bytes / 3, n_left = bytes.n_bytes % 3;
    const size_t n_last = n_left == 0 ? 0 : is_padded ? 4 : n_left + 1;
    if (bytes.n_bytes == 0 || buffer_reserve(buffer, n_groups > SIZE_MAX / 8 ? SIZE_MAX : n_groups * 4 + n_last) != 0)
        return;
    char *out = buffer->data + buffer->n_bytes;
    for (size_t i = 0; i < n_groups; i++, out += 4)
        write_group(in + 3 * i, 3, alphabet, out);
    if (n_left > 0) {
        char last[4];
        write_group(in + 3 * n_groups, n_left, alphabet, last);
        memcpy(out, last, n_last);
    }
    buffer->n_bytes += n_groups * 4 + n_last;
}

void base64_encode(struct text bytes, struct buffer *buffer) {
    encode(bytes, LETTERS_AND_DIGITS "+/", true, buffer);
}

void base64url_encode(struct text bytes, struct buffer *buffer) {
    encode(bytes, LETTERS_AND_DIGITS "-_", false, buffer);
}

/* The six bits of a character of the URL-safe alphabet and one more; 0: it is none. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10,
    ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20,
    ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,
    ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
    ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64};

static inline uint32_t value_of(char character) {
    return values[(unsigned char)character];
}

/* Two to four characters; the bytes that they carry, and nothing else. What is no character is 0, and noticed before it is
 * used. */
static inline bool read_group(const char *in, size_t n, uint8_t *out) {
    const uint32_t a = value_of(in[0]), b = value_of(in[1]), c = n > 2 ? value_of(in[2]) : 1,
                   d = n > 3 ? value_of(in[3]) : 1;
    if (a == 0 || b == 0 || c == 0 || d == 0)
        return false;
    const uint32_t group = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
    out[0] = (uint8_t)(group >> 16);
    if (n > 2)
        out[1] = (uint8_t)(group >> 8);
    if (n > 3)
        out[2] = (uint8_t)group;
    /* Bits that nobody reads would give one value many spellings. */
    return n == 4 || (n == 3 ? (group & 0xff) == 0 : (group & 0xffff) == 0);
}

int base64url_decode(struct text text, uint8_t *ret_bytes, size_t *ret_n) {
    const size_t n_groups = text.n_bytes / 4, n_left = text.n_bytes % 4;
    if (n_left == 1) /* a lone last character carries no byte */
        return BASE64_MALFORMED;
    for (size_t i = 0; i < n_groups; i++) {
        if (!read_group(text.data + 4 * i, 4, ret_bytes + 3 * i))
            return BASE64_MALFORMED;
    }
    if (n_left > 0 && !read_group(text.data + 4 * n_groups, n_left, ret_bytes + 3 * n_groups))
        return BASE64_MALFORMED;
    *ret_n = 3 * n_groups + (n_left == 0 ? 0 : n_left - 1);
    return 0;
}
