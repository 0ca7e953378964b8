#include "base/base64.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/memory.h"

Test(base64, encodes_the_vectors_of_rfc_4648_section_10) {
    const struct {
        const char *in, *out;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xfb\xff\xbe", "+/++"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer buffer;
        buffer_init(&buffer, 100);
        base64_encode(text_of(cases[i].in), &buffer);
        cr_assert(text_equal(buffer_text(&buffer), text_of(cases[i].out)), "case %zu", i);
        buffer_deinit(&buffer);
    }
}

Test(base64, fails_as_the_buffer_does) {
    struct buffer buffer;
    buffer_init(&buffer, 7);
    base64_encode(TEXT("foob"), &buffer);
    cr_assert_eq(buffer.error, -EMSGSIZE);
    cr_assert_eq(buffer.n_bytes, 0);
    buffer_deinit(&buffer);

    buffer_init(&buffer, 100);
    memory_fail_at(1);
    base64_encode(TEXT("foob"), &buffer);
    memory_fail_at(0);
    cr_assert_eq(buffer.error, -ENOMEM);
    buffer_deinit(&buffer);
}

Test(base64, allocates_at_most_once_so_that_no_copy_of_a_secret_is_left) {
    char bytes[3000];
    memset(bytes, 'x', sizeof(bytes));
    struct buffer buffer;
    buffer_init(&buffer, 10000);
    memory_fail_at(2);
    base64_encode((struct text){.data = bytes, .n_bytes = sizeof(bytes)}, &buffer);
    cr_assert_not(memory_has_failed());
    memory_fail_at(0);
    cr_assert_eq(buffer.n_bytes, 4000);
    buffer_deinit(&buffer);
}

Test(base64, decodes_the_url_alphabet) {
    const struct {
        const char *in;
        struct text out;
    } cases[] = {{"", TEXT("")},
                 {"Zg", TEXT("f")},
                 {"Zm8", TEXT("fo")},
                 {"Zm9v", TEXT("foo")},
                 {"Zm9vYg", TEXT("foob")},
                 {"Zm9vYmE", TEXT("fooba")},
                 {"-_--", TEXT("\xfb\xff\xbe")},
                 {"AAAA", TEXT("\0\0\0")},
                 {"eyJhIjoxfQ", TEXT("{\"a\":1}")}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[16];
        size_t n;
        cr_assert_eq(base64url_decode(text_of(cases[i].in), bytes, &n), 0, "case %zu", i);
        cr_assert(text_equal((struct text){.data = (char *)bytes, .n_bytes = n}, cases[i].out), "case %zu", i);
    }
}

Test(base64, takes_nothing_but_the_one_spelling) {
    const struct text cases[] = {TEXT("Z"),     TEXT("Zm9vY"), TEXT("Zg=="),       TEXT("Zm8="), TEXT("Zm9v\n"),
                                 TEXT(" Zm9v"), TEXT("Zm 9v"), TEXT("+/++"),       TEXT("Zh"),   TEXT("Zm9"),
                                 TEXT("Zm\0v"), TEXT("Zm9.v"), TEXT("Zm\xc3\xa9"), TEXT("=")};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[16];
        size_t n = 77;
        cr_assert_eq(base64url_decode(cases[i], bytes, &n), BASE64_MALFORMED, "case %zu", i);
        cr_assert_eq(n, 77);
    }
}

static char url_safe(char c) {
    return c == '+' ? '-' : c == '/' ? '_' : c;
}

Test(base64, what_is_encoded_is_decoded_within_the_promised_room) {
    for (size_t n_bytes = 0; n_bytes < 200; n_bytes++) {
        char *bytes = malloc(n_bytes + 1);
        for (size_t i = 0; i < n_bytes; i++)
            bytes[i] = (char)(i * 151 + n_bytes * 7);
        struct buffer buffer;
        buffer_init(&buffer, 1000);
        base64_encode((struct text){.data = bytes, .n_bytes = n_bytes}, &buffer);
        struct text encoded = buffer_text(&buffer);
        while (encoded.n_bytes > 0 && encoded.data[encoded.n_bytes - 1] == '=')
            encoded.n_bytes--;
        for (size_t i = 0; i < encoded.n_bytes; i++)
            buffer.data[i] = url_safe(buffer.data[i]);
        uint8_t *decoded = malloc(encoded.n_bytes * 3 / 4 + (encoded.n_bytes == 0)); /* exactly: ASan watches its end */
        size_t n;
        cr_assert_eq(base64url_decode(encoded, decoded, &n), 0);
        cr_assert_eq(n, n_bytes);
        cr_assert_eq(memcmp(decoded, bytes, n), 0);
        free(decoded);
        free(bytes);
        buffer_deinit(&buffer);
    }
}

/* RFC 4648 section 10, and what differs between the alphabets. */
Test(base64, url_safe_form_has_its_own_alphabet_and_no_padding) {
    static const struct {
        struct text bytes;
        const char *encoded;
    } rows[] = {
        {TEXT(""), ""},
        {TEXT("f"), "Zg"},
        {TEXT("fo"), "Zm8"},
        {TEXT("foo"), "Zm9v"},
        {TEXT("foob"), "Zm9vYg"},
        {TEXT("fooba"), "Zm9vYmE"},
        {TEXT("\xfb\xff\xfe"), "-__-"},
        {TEXT("\xff"), "_w"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer buffer;
        buffer_init(&buffer, 100);
        base64url_encode(rows[i].bytes, &buffer);
        cr_expect(text_equal(buffer_text(&buffer), text_of(rows[i].encoded)), "row %zu", i);
        buffer_deinit(&buffer);
    }
}
