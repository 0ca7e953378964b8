#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"

#define FIRST_CAPACITY_BYTES ((size_t)256)

static const char hex_digits[] = "0123456789abcdef";

void buffer_init(struct buffer *buffer, size_t max_bytes) {
    *buffer = (struct buffer){.max_bytes = max_bytes};
}

void buffer_init_fixed(struct buffer *buffer, char *memory, size_t n_bytes) {
    *buffer = (struct buffer){.data = memory, .capacity_bytes = n_bytes - 1, .max_bytes = n_bytes - 1};
}

void buffer_deinit(struct buffer *buffer) {
    free(buffer->data);
    buffer_init(buffer, buffer->max_bytes);
}

void buffer_deinit_secret(struct buffer *buffer) {
    if (buffer->data != NULL)
        secret_wipe(buffer->data, buffer->capacity_bytes);
    buffer_deinit(buffer);
}

void buffer_clear(struct buffer *buffer) {
    buffer->n_bytes = 0;
    buffer->error = 0;
}

static int fail(struct buffer *buffer, int error) {
    buffer->error = error;
    return error;
}

/* Doubles, so that many small appends copy each byte a bounded number of times. */
static int grow(struct buffer *buffer, size_t needed_bytes) {
    size_t capacity = buffer->capacity_bytes < FIRST_CAPACITY_BYTES ? FIRST_CAPACITY_BYTES : buffer->capacity_bytes;
    while (capacity < needed_bytes)
        capacity = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
    if (capacity > buffer->max_bytes)
        capacity = buffer->max_bytes;
    if (capacity == SIZE_MAX)
        return fail(buffer, -ENOMEM);
    char *data = realloc(buffer->data, capacity + 1); /* the byte more is for the zero that vsnprintf() writes */
    if (data == NULL)
        return fail(buffer, -ENOMEM);
    buffer->data = data;
    buffer->capacity_bytes = capacity;
    return 0;
}

/* Never inlined, so that what is inlined stays small. */
__attribute__((noinline)) bool buffer_make_room(struct buffer *buffer, size_t n_bytes) {
    if (buffer->error != 0)
        return false;
    if (n_bytes > buffer->max_bytes - buffer->n_bytes)
        return fail(buffer, -EMSGSIZE) == 0;
    return grow(buffer, buffer->n_bytes + n_bytes) == 0;
}

int buffer_reserve(struct buffer *buffer, size_t n_bytes) {
    return buffer_has_room(buffer, n_bytes) ? 0 : buffer->error;
}

void buffer_append_u64(struct buffer *buffer, uint64_t number) {
    char digits[20];
    size_t begin = sizeof(digits);
    do {
        digits[--begin] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buffer_append(buffer, (struct text){.data = digits + begin, .n_bytes = sizeof(digits) - begin});
}

void buffer_append_i64(struct buffer *buffer, int64_t number) {
    if (number < 0)
        buffer_append_char(buffer, '-');
    buffer_append_u64(buffer, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void buffer_append_hex(struct buffer *buffer, const uint8_t *bytes, size_t n_bytes) {
    if (n_bytes > SIZE_MAX / 2) {
        fail(buffer, -EMSGSIZE);
        return;
    }
    if (!buffer_has_room(buffer, n_bytes * 2))
        return;
    char *at = buffer->data + buffer->n_bytes;
    for (size_t i = 0; i < n_bytes; i++) {
        *at++ = hex_digits[bytes[i] >> 4];
        *at++ = hex_digits[bytes[i] & 15];
    }
    buffer->n_bytes += n_bytes * 2;
}

void buffer_append_format(struct buffer *buffer, const char *format, ...) {
    if (buffer->error != 0)
        return;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const size_t room = buffer->data == NULL ? 0 : buffer->capacity_bytes - buffer->n_bytes;
    const int n = vsnprintf(buffer->data == NULL ? NULL : buffer->data + buffer->n_bytes,
                            buffer->data == NULL ? 0 : room + 1, format, arguments);
    if (n < 0) {
        fail(buffer, -ENOMEM); /* the one thing that makes our formats fail */
    } else if ((size_t)n <= room) {
        buffer->n_bytes += (size_t)n;
    } else if (buffer_reserve(buffer, (size_t)n) == 0) {
        (void)vsnprintf(buffer->data + buffer->n_bytes, (size_t)n + 1, format, again);
        buffer->n_bytes += (size_t)n;
    }
    va_end(again);
    va_end(arguments);
}

/* ---- JSON strings ---- */

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (uint64_t)(value))

static uint64_t word_at(const char *data) {
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    return word;
}

/* Not zero when one of the eight bytes is below 0x20, a quote, a backslash, or not ASCII. */
static uint64_t has_special(uint64_t word) {
    const uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    const uint64_t below_space = word - EACH_BYTE(0x20);
    return (word | below_space | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1))) & EACH_BYTE(0x80);
}

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* How many bytes from the start can stand in a JSON string as they are and are ASCII. */
static size_t plain_bytes(const char *data, size_t n_bytes) {
    size_t i = 0;
    while (n_bytes - i >= sizeof(uint64_t) && has_special(word_at(data + i)) == 0)
        i += sizeof(uint64_t);
    /* The last word overlaps the one before: cheaper than its bytes one by one. */
    if (i > 0 && n_bytes - i < sizeof(uint64_t) && has_special(word_at(data + n_bytes - sizeof(uint64_t))) == 0)
        return n_bytes;
    while (i < n_bytes && is_plain((unsigned char)data[i]))
        i++;
    return i;
}

/*
 * The bytes of the character at data (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF). ret_valid is
 * false where there is none: then so many bytes are replaced by one U+FFFD.
 */
static size_t character_bytes(const unsigned char *data, size_t n_bytes, bool *ret_valid) {
    const unsigned char first = data[0];
    const size_t n = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    size_t i = 1;
    while (i < n && i < n_bytes && data[i] >= (i == 1 ? low : 0x80) && data[i] <= (i == 1 ? high : 0xbf))
        i++;
    *ret_valid = n != 0 && i == n;
    return i;
}

static void append_escaped(struct buffer *buffer, unsigned char c) {
    static const char letters[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    const char letter = c < sizeof(letters) ? letters[c] : (char)c;
    if (letter != '\0') {
        buffer_append(buffer, (struct text){.data = (const char[]){'\\', letter}, .n_bytes = 2});
        return;
    }
    buffer_append(buffer, TEXT("\\u"));
    buffer_append_hex(buffer, (const uint8_t[]){0, c}, 2);
}

/* Appends the first character, that is not plain, and returns how many bytes of the text it was. */
static size_t append_special(struct buffer *buffer, struct text text) {
    const unsigned char first = (unsigned char)text.data[0];
    if (first < 0x80) {
        append_escaped(buffer, first);
        return 1;
    }
    bool valid;
    const size_t n = character_bytes((const unsigned char *)text.data, text.n_bytes, &valid);
    buffer_append(buffer, valid ? (struct text){.data = text.data, .n_bytes = n} : TEXT("\xef\xbf\xbd"));
    return n;
}

void buffer_append_json_string(struct buffer *buffer, struct text text) {
    /* What is escaped or replaced never gets shorter, so this asks for no byte too many. */
    if (text.n_bytes > SIZE_MAX - 2 || !buffer_has_room(buffer, text.n_bytes + 2))
        return;
    buffer_append_char(buffer, '"');
    buffer_append_json_inside(buffer, text);
    buffer_append_char(buffer, '"');
}

void buffer_append_json_inside(struct buffer *buffer, struct text text) {
    for (size_t i = 0; i < text.n_bytes;) {
        const size_t n = plain_bytes(text.data + i, text.n_bytes - i);
        buffer_append(buffer, (struct text){.data = text.data + i, .n_bytes = n});
        i += n;
        if (i < text.n_bytes)
            i += append_special(buffer, (struct text){.data = text.data + i, .n_bytes = text.n_bytes - i});
    }
}

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

void buffer_append_form_encoded(struct buffer *buffer, struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char c = text.data[i];
        if (is_unreserved(c)) {
            buffer_append_char(buffer, c);
            continue;
        }
        static const char upper[] = "0123456789ABCDEF";
        const char escaped[] = {'%', upper[(unsigned char)c >> 4], upper[(unsigned char)c & 15]};
        buffer_append(buffer, (struct text){.data = escaped, .n_bytes = sizeof(escaped)});
    }
}
