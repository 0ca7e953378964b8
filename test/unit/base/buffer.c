#include "base/buffer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/memory.h"
#include "lib/sentinel.h"

#define assert_text(buffer, expected)                                                                                      \
    cr_assert(text_equal(buffer_text(buffer), text_of(expected)), "got %.*s, not %s", (int)(buffer)->n_bytes,              \
              (buffer)->data, (expected))

/* In place of OpenSSL's, as what was freed cannot be looked at. */
static struct {
    const void *memory;
    size_t n_bytes;
} wiped;

void OPENSSL_cleanse(void *memory, size_t n_bytes);
void OPENSSL_cleanse(void *memory, size_t n_bytes) {
    wiped.memory = memory;
    wiped.n_bytes = n_bytes;
    memset(memory, 0, n_bytes);
}

Test(buffer, holds_what_was_appended) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    cr_assert_eq(buffer_text(&buffer).n_bytes, 0);
    cr_assert_null(buffer.data);
    buffer_append(&buffer, TEXT("one"));
    buffer_append(&buffer, (struct text){0});
    buffer_append_char(&buffer, ' ');
    buffer_append_format(&buffer, "%s%d", "two", 2);
    assert_text(&buffer, "one two2");
    cr_assert_eq(buffer.error, 0);
    buffer_deinit(&buffer);
    cr_assert_eq(buffer.n_bytes, 0);
}

Test(buffer, can_be_used_again_after_deinit) {
    struct buffer buffer;
    buffer_init(&buffer, 3);
    buffer_append(&buffer, TEXT("abc"));
    buffer_deinit(&buffer);
    buffer_append(&buffer, TEXT("xyz"));
    assert_text(&buffer, "xyz");
    buffer_append_char(&buffer, '!');
    cr_assert_eq(buffer.error, -EMSGSIZE);
    buffer_deinit(&buffer);
}

Test(buffer, deinit_takes_a_zeroed_one) {
    struct buffer buffer = {0};
    buffer_deinit(&buffer);
    buffer_deinit_secret(&buffer);
}

Test(buffer, grows_to_its_maximum_and_not_by_a_byte_more) {
    const size_t maxima[] = {0, 1, 255, 256, 257, 1000, 4096};
    for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
        struct buffer buffer;
        buffer_init(&buffer, maxima[i]);
        for (size_t n = 0; n < maxima[i]; n++)
            buffer_append_char(&buffer, 'x');
        cr_assert_eq(buffer.error, 0);
        cr_assert_eq(buffer.n_bytes, maxima[i]);
        buffer_append_char(&buffer, 'x');
        cr_assert_eq(buffer.error, -EMSGSIZE);
        cr_assert_eq(buffer.n_bytes, maxima[i]);
        buffer_deinit(&buffer);
    }
}

Test(buffer, after_a_failure_all_appends_do_nothing_until_it_is_cleared) {
    struct buffer buffer;
    buffer_init(&buffer, 4);
    buffer_append(&buffer, TEXT("ab"));
    buffer_append(&buffer, TEXT("cde"));
    buffer_append(&buffer, TEXT("f"));
    buffer_append_char(&buffer, 'g');
    buffer_append_u64(&buffer, 1);
    buffer_append_format(&buffer, "%d", 1);
    buffer_append_json_string(&buffer, TEXT(""));
    buffer_append_form_encoded(&buffer, TEXT("h"));
    cr_assert_eq(buffer_reserve(&buffer, 1), -EMSGSIZE);
    assert_text(&buffer, "ab");
    buffer_clear(&buffer);
    buffer_append(&buffer, TEXT("wxyz"));
    assert_text(&buffer, "wxyz");
    cr_assert_eq(buffer.error, 0);
    buffer_deinit(&buffer);
}

Test(buffer, a_number_of_bytes_that_would_wrap_round_is_too_many) {
    struct buffer buffer;
    buffer_init(&buffer, SIZE_MAX);
    buffer_append_char(&buffer, 'x');
    cr_assert_neq(buffer_reserve(&buffer, SIZE_MAX), 0);
    cr_assert_eq(buffer.n_bytes, 1);
    buffer_clear(&buffer);
    buffer_append_hex(&buffer, NULL, SIZE_MAX / 2 + 1);
    cr_assert_eq(buffer.error, -EMSGSIZE);
    buffer_deinit(&buffer);
}

static void append_all(struct buffer *buffer) {
    for (int i = 0; i < 300; i++) {
        buffer_append(buffer, TEXT("text"));
        buffer_append_char(buffer, 'c');
        buffer_append_u64(buffer, 12345);
        buffer_append_hex(buffer, (const uint8_t *)"\x01\xff", 2);
        buffer_append_format(buffer, "%0300d", i);
        buffer_append_json_string(buffer, TEXT("\"quoted\""));
        buffer_append_form_encoded(buffer, TEXT("a b"));
    }
}

Test(buffer, survives_each_allocation_that_fails) {
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct buffer buffer;
        buffer_init(&buffer, 1 << 20);
        memory_fail_at(n);
        append_all(&buffer);
        failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(buffer.error, failed ? -ENOMEM : 0);
        cr_assert(n < 100);
        buffer_deinit(&buffer);
    }
}

Test(buffer, fixed_memory_is_filled_but_for_one_byte_and_nothing_is_allocated) {
    char memory[9] = {[8] = '!'};
    struct buffer buffer;
    buffer_init_fixed(&buffer, memory, 8);
    memory_fail_at(1);
    buffer_append_format(&buffer, "%d", 1234567);
    cr_assert_eq(buffer.error, 0);
    buffer_append_char(&buffer, '8');
    cr_assert_eq(buffer.error, -EMSGSIZE);
    cr_assert_not(memory_has_failed());
    memory_fail_at(0);
    assert_text(&buffer, "1234567");
    cr_assert_eq(memory[8], '!');
}

Test(buffer, a_secret_can_be_reserved_for_so_that_it_never_moves) {
    struct buffer buffer;
    buffer_init(&buffer, 10000);
    cr_assert_eq(buffer_reserve(&buffer, 5000), 0);
    const char *const data = buffer.data;
    for (int i = 0; i < 100; i++)
        buffer_append(&buffer, TEXT(SENTINEL_SECRET));
    cr_assert_eq(buffer.data, data);
    buffer_deinit_secret(&buffer);
    cr_assert_null(buffer.data);
}

Test(buffer, deinit_secret_wipes_all_that_was_ever_written) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    buffer_append(&buffer, TEXT(SENTINEL_SECRET));
    const char *const data = buffer.data;
    buffer_clear(&buffer);
    buffer_append(&buffer, TEXT("short"));
    buffer_deinit_secret(&buffer);
    cr_assert_eq(wiped.memory, data);
    cr_assert_geq(wiped.n_bytes, sizeof(SENTINEL_SECRET) - 1);
}

Test(buffer, writes_numbers) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    buffer_append_u64(&buffer, 0);
    buffer_append_char(&buffer, ' ');
    buffer_append_u64(&buffer, UINT64_MAX);
    buffer_append_char(&buffer, ' ');
    buffer_append_i64(&buffer, INT64_MIN);
    buffer_append_char(&buffer, ' ');
    buffer_append_i64(&buffer, INT64_MAX);
    buffer_append_char(&buffer, ' ');
    buffer_append_i64(&buffer, -7);
    assert_text(&buffer, "0 18446744073709551615 -9223372036854775808 9223372036854775807 -7");
    buffer_deinit(&buffer);
}

Test(buffer, writes_hex) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    buffer_append_hex(&buffer, (const uint8_t *)"\x00\x0f\xf0\xab", 4);
    assert_text(&buffer, "000ff0ab");
    buffer_deinit(&buffer);
}

Test(buffer, formats_more_than_there_is_room_for_at_first) {
    struct buffer buffer;
    buffer_init(&buffer, 5000);
    for (size_t i = 0; i < 3; i++)
        buffer_append_format(&buffer, "%01000d", 7);
    cr_assert_eq(buffer.n_bytes, 3000);
    for (size_t i = 0; i < 3000; i++)
        cr_assert_eq(buffer.data[i], i % 1000 == 999 ? '7' : '0');
    buffer_deinit(&buffer);
}

Test(buffer, json_strings) {
    const struct {
        struct text in;
        const char *out;
    } cases[] = {
        {TEXT(""), "\"\""},
        {TEXT("plain text, longer than eight bytes"), "\"plain text, longer than eight bytes\""},
        {TEXT("say \"hi\" \\ there"), "\"say \\\"hi\\\" \\\\ there\""},
        {TEXT("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
        {TEXT("a\0b\x1f"), "\"a\\u0000b\\u001f\""},
        {TEXT("\x7f/"), "\"\x7f/\""},
        {TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {TEXT("\xf4\x8f\xbf\xbf"), "\"\xf4\x8f\xbf\xbf\""},
        /* not UTF-8: a lone continuation, overlong forms, a surrogate, above U+10FFFF, cut short */
        {TEXT("a\x80z"), "\"a\xef\xbf\xbdz\""},
        {TEXT("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xe0\x80\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xf0\x8f\xbf\xbf"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xff\xfe"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xe2\x82"), "\"\xef\xbf\xbd\""},
        {TEXT("\xe2\x82\""), "\"\xef\xbf\xbd\\\"\""},
        {TEXT("\xf0\x9f\x98z"), "\"\xef\xbf\xbdz\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer buffer;
        buffer_init(&buffer, 1000);
        buffer_append_json_string(&buffer, cases[i].in);
        cr_assert_eq(buffer.error, 0);
        cr_assert(text_equal(buffer_text(&buffer), text_of(cases[i].out)), "case %zu: %.*s", i, (int)buffer.n_bytes,
                  buffer.data);
        buffer_deinit(&buffer);
    }
}

/* What a byte among ASCII becomes, told in the plainest way. */
static void expected_of(unsigned c, char expected[8]) {
    if (c == '"' || c == '\\')
        snprintf(expected, 8, "\\%c", (char)c);
    else if (c == 8 || c == 9 || c == 10 || c == 12 || c == 13)
        snprintf(expected, 8, "\\%c", "btn?fr"[c - 8]);
    else if (c < 0x20)
        snprintf(expected, 8, "\\u%04x", c);
    else if (c >= 0x80)
        snprintf(expected, 8, "\xef\xbf\xbd");
    else
        snprintf(expected, 8, "%c", (char)c);
}

Test(buffer, json_strings_find_every_special_byte_at_every_place) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    for (size_t n_bytes = 1; n_bytes <= 20; n_bytes++) {
        for (size_t at = 0; at < n_bytes; at++) {
            for (unsigned c = 1; c < 256; c++) {
                char in[21] = "", out[32] = "", middle[8];
                memset(in, 'a', n_bytes);
                in[at] = (char)c;
                expected_of(c, middle);
                snprintf(out, sizeof(out), "\"%.*s%s%s\"", (int)at, in, middle, in + at + 1);
                buffer_clear(&buffer);
                buffer_append_json_string(&buffer, (struct text){.data = in, .n_bytes = n_bytes});
                cr_assert(text_equal(buffer_text(&buffer), text_of(out)), "byte %02x at %zu of %zu", c, at, n_bytes);
            }
        }
    }
    buffer_deinit(&buffer);
}

Test(buffer, a_json_string_that_just_fits_is_written) {
    struct buffer buffer;
    buffer_init(&buffer, 10);
    buffer_append_json_string(&buffer, TEXT("12345678"));
    cr_assert_eq(buffer.error, 0);
    buffer_clear(&buffer);
    buffer_append_json_string(&buffer, TEXT("1234567\n"));
    cr_assert_eq(buffer.error, -EMSGSIZE);
    buffer_deinit(&buffer);
}

Test(buffer, form_encoding) {
    const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"AZaz09-._~", "AZaz09-._~"},
        {"a b+c&d=e/f:g%h", "a%20b%2Bc%26d%3De%2Ff%3Ag%25h"},
        {"\xc3\xa9\n\x7f", "%C3%A9%0A%7F"},
        {"!*'()", "%21%2A%27%28%29"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer buffer;
        buffer_init(&buffer, 1000);
        buffer_append_form_encoded(&buffer, text_of(cases[i].in));
        assert_text(&buffer, cases[i].out);
        buffer_deinit(&buffer);
    }
}
