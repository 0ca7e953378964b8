#include "wire/quote.h"

#define REPLACEMENT 0xfffd

/* The bytes of the character that starts so; 0 where none does. */
static size_t n_bytes_from(unsigned char first) {
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The first character of a text that is not empty (RFC 3629), and how many bytes it has; REPLACEMENT of one byte where
   there is none. */
static uint32_t decode(struct text text, size_t *ret_n_bytes) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text.data;
    const size_t n = n_bytes_from(bytes[0]);
    *ret_n_bytes = 1;
    if (n == 0 || n > text.n_bytes)
        return REPLACEMENT;
    uint32_t character = n == 1 ? bytes[0] : bytes[0] & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return REPLACEMENT;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < least[n] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
        return REPLACEMENT;
    *ret_n_bytes = n;
    return character;
}

/* What shows as nothing, ends a line, or makes what follows show elsewhere; and what YAML 1.1 has no character for. */
static bool is_hidden(uint32_t character) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},     {0x180e, 0x180e},
        {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
        {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    }
    return false;
}

static void append_escaped(struct buffer *buffer, uint32_t character) {
    const uint8_t bytes[] = {(uint8_t)(character >> 24), (uint8_t)(character >> 16), (uint8_t)(character >> 8),
                             (uint8_t)character};
    const bool is_long = character > 0xffff;
    buffer_append(buffer, is_long ? TEXT("\\U") : TEXT("\\u"));
    buffer_append_hex(buffer, is_long ? bytes : bytes + 2, is_long ? 4 : 2);
}

static void append_character(struct buffer *buffer, uint32_t character, struct text bytes) {
    if (character == '"' || character == '\\')
        buffer_append_char(buffer, '\\');
    if (is_hidden(character))
        append_escaped(buffer, character);
    else
        buffer_append(buffer, character == REPLACEMENT ? TEXT("\xef\xbf\xbd") : bytes);
}

void quote_append_cut(struct buffer *buffer, struct text text, size_t max_bytes) {
    size_t at = 0;
    buffer_append_char(buffer, '"');
    while (at < text.n_bytes) {
        size_t n;
        const uint32_t character = decode((struct text){.data = text.data + at, .n_bytes = text.n_bytes - at}, &n);
        if (n > max_bytes - at)
            break;
        append_character(buffer, character, (struct text){.data = text.data + at, .n_bytes = n});
        at += n;
    }
    buffer_append(buffer, at < text.n_bytes ? TEXT("\"...") : TEXT("\""));
}

void quote_append(struct buffer *buffer, struct text text) {
    quote_append_cut(buffer, text, text.n_bytes);
}
