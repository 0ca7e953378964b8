#include "wire/scan_string.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_plain(char c) {
    /* char may be signed: bytes from 0x80 on are not above 0x20 then, and a cast makes that so everywhere. */
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

/* Where the run of characters that stand for themselves (ASCII but quote, backslash and controls) ends. */
static const char *plain_end(const char *at, const char *end) {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* The comparison is signed: below the space are the controls and all that is not ASCII. */
        const __m128i stops = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                           _mm_cmplt_epi8(bytes, space));
        const unsigned mask = (unsigned)_mm_movemask_epi8(stops);
        if (mask != 0)
            return at + __builtin_ctz(mask);
    }
#else
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    for (; end - at >= 8; at += 8) {
        uint64_t bytes;
        memcpy(&bytes, at, sizeof(bytes));
        const uint64_t quote = bytes ^ (ones * '"'), backslash = bytes ^ (ones * '\\');
        /* Where a byte is zero (or below the space), subtracting sets its top bit; borrows only add false alarms. */
        if ((((quote - ones) | (backslash - ones) | (bytes - ones * ' ') | bytes) & tops) != 0)
            break;
    }
#endif
    while (at < end && is_plain(*at))
        at++;
    return at;
}

static bool is_within(char c, unsigned low, unsigned high) {
    const unsigned char byte = (unsigned char)c;
    return byte >= low && byte <= high;
}

/* The bytes of the UTF-8 character at a byte from 0x80 on, or 0: the table of RFC 3629 section 4. */
static size_t utf8_length(const char *at, const char *end) {
    const unsigned char lead = (unsigned char)*at;
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - at) < length)
        return 0;
    /* The second byte is what rules out overlong forms, surrogates and all above U+10FFFF. */
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (!is_within(at[1], low, high))
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!is_within(at[i], 0x80, 0xbf))
            return 0;
    }
    return length;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The code unit of \uXXXX, or -1 where there is none. */
static int32_t code_unit(const char *at, const char *end) {
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    int32_t unit = 0;
    for (size_t i = 2; i < 6; i++) {
        const int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit) {
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(int32_t unit) {
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* The bytes of the escape at a backslash, or 0 where it is none of RFC 8259 section 7. */
static size_t escape_length(const char *at, const char *end, bool takes_zero) {
    if (end - at < 2)
        return 0;
    if (at[1] != 'u')
        return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
    const int32_t unit = code_unit(at, end);
    /* U+0000 would end a C string early, and two readers would then see two strings. */
    if (unit < 0 || (unit == 0 && !takes_zero) || is_low_surrogate(unit))
        return 0;
    if (!is_high_surrogate(unit))
        return 6;
    return is_low_surrogate(code_unit(at + 6, end)) ? 12 : 0;
}

/* The bytes of a character that plain_end() stopped at and that is no quote, or 0 where it is none. */
static size_t special_length(const char *at, const char *end, bool takes_zero) {
    if ((signed char)*at < 0)
        return utf8_length(at, end);
    return *at == '\\' ? escape_length(at, end, takes_zero) : 0;
}

static inline bool pass(const char **at, const char *end, bool takes_zero, struct scan_string *ret_string) {
    const char *start = *at;
    bool has_escapes = false;
    while ((*at = plain_end(*at, end)) != end && **at != '"') {
        const size_t length = special_length(*at, end, takes_zero);
        if (length == 0)
            return false;
        has_escapes = has_escapes || **at == '\\';
        *at += length;
    }
    if (*at == end)
        return false;
    ret_string->raw = (struct text){.data = start, .n_bytes = (size_t)(*at - start)};
    ret_string->has_escapes = has_escapes;
    (*at)++;
    return true;
}

bool scan_string_read(const char **at, const char *end, struct scan_string *ret_string) {
    return pass(at, end, false, ret_string);
}

bool scan_string_pass(const char **at, const char *end) {
    struct scan_string passed;
    return pass(at, end, true, &passed);
}

/* Writes a code point as UTF-8; returns its bytes. */
static size_t utf8_encode(uint32_t point, char *to) {
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    const size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    to[0] = (char)(leads[length] | point);
    return length;
}

/* Unescapes one checked escape, moving *at past it; returns the bytes written (1 to 4). */
static size_t unescape(const char **at, const char *end, char *to) {
    static const char from[] = "bfnrt", is[] = "\b\f\n\r\t";
    const char c = (*at)[1];
    if (c != 'u') {
        const char *found = strchr(from, c);
        to[0] = found != NULL ? is[found - from] : c;
        *at += 2;
        return 1;
    }
    uint32_t point = (uint32_t)code_unit(*at, end);
    *at += 6;
    if (is_high_surrogate((int32_t)point)) {
        point = 0x10000 + ((point - 0xd800) << 10) + ((uint32_t)code_unit(*at, end) - 0xdc00);
        *at += 6;
    }
    return utf8_encode(point, to);
}

size_t scan_string_unescape(struct scan_string string, char *to) {
    if (!string.has_escapes) {
        if (string.raw.n_bytes != 0)
            memmove(to, string.raw.data, string.raw.n_bytes);
        return string.raw.n_bytes;
    }
    const char *at = string.raw.data, *end = at + string.raw.n_bytes;
    size_t n = 0;
    while (at < end) {
        if (*at == '\\') {
            /* Aside, because the escape may lie where the character goes. */
            char bytes[4];
            const size_t n_bytes = unescape(&at, end, bytes);
            memcpy(to + n, bytes, n_bytes);
            n += n_bytes;
        } else {
            to[n++] = *at++;
        }
    }
    return n;
}

struct text scan_string_settle(struct scan_string string, char *place) {
    return string.has_escapes ? (struct text){.data = place, .n_bytes = scan_string_unescape(string, place)} : string.raw;
}

/* Gives a string byte by byte, unescaped, without a place to put it. */
struct reader {
    const char *at, *end;
    char pending[4];
    size_t n_pending, i_pending;
};

/* The next byte, or -1 at the end. */
static int next_byte(struct reader *reader) {
    if (reader->i_pending < reader->n_pending)
        return (unsigned char)reader->pending[reader->i_pending++];
    if (reader->at == reader->end)
        return -1;
    if (*reader->at != '\\')
        return (unsigned char)*reader->at++;
    reader->n_pending = unescape(&reader->at, reader->end, reader->pending);
    reader->i_pending = 1;
    return (unsigned char)reader->pending[0];
}

static struct reader reader_of(struct text raw) {
    return (struct reader){.at = raw.data, .end = raw.data + raw.n_bytes};
}

int scan_string_compare(struct scan_string a, struct scan_string b) {
    if (!a.has_escapes && !b.has_escapes) {
        const size_t n = a.raw.n_bytes < b.raw.n_bytes ? a.raw.n_bytes : b.raw.n_bytes;
        const int order = n == 0 ? 0 : memcmp(a.raw.data, b.raw.data, n);
        return order != 0 ? order : (a.raw.n_bytes > b.raw.n_bytes) - (a.raw.n_bytes < b.raw.n_bytes);
    }
    struct reader of_a = reader_of(a.raw), of_b = reader_of(b.raw);
    for (;;) {
        const int byte_a = next_byte(&of_a), byte_b = next_byte(&of_b);
        if (byte_a != byte_b || byte_a < 0)
            return byte_a - byte_b;
    }
}

uint64_t scan_string_hash(struct scan_string string, const struct siphash *begun) {
    struct siphash siphash = *begun;
    if (string.has_escapes) {
        struct reader reader = reader_of(string.raw);
        for (int byte = next_byte(&reader); byte >= 0; byte = next_byte(&reader)) {
            const char character = (char)byte;
            siphash_update(&siphash, (struct text){.data = &character, .n_bytes = 1});
        }
    } else {
        siphash_update(&siphash, string.raw);
    }
    return siphash_end(&siphash);
}

bool scan_string_equal_unescaped(struct scan_string string, struct text text) {
    struct reader reader = reader_of(string.raw);
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (next_byte(&reader) != (unsigned char)text.data[i])
            return false;
    }
    return next_byte(&reader) < 0;
}
