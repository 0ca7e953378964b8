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

int base64url_decode(struct text text, uint8_t *ret_bytes, size_t *ret_n) {
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        const uint8_t value = values[(unsigned char)text.data[i]];
        if (value == 0)
            return BASE64_MALFORMED;
        bits = bits << 6 | (uint32_t)(value - 1);
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
