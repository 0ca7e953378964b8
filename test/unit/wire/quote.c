#include "wire/quote.h"

#include <criterion/criterion.h>

#include "lib/memory.h"

#define ROOM 4096

/* Text as a literal, so that it may hold zero bytes. */
struct quote_case {
    struct text text;
    const char *expected;
};

static void expect_quoted(struct text text, size_t max_bytes, const char *expected) {
    char memory[ROOM];
    struct buffer buffer;
    buffer_init_fixed(&buffer, memory, sizeof(memory));
    quote_append_cut(&buffer, text, max_bytes);
    cr_assert_eq(buffer.error, 0);
    const struct text is = buffer_text(&buffer);
    cr_expect(text_equal(is, text_of(expected)), "%.*s is not %s", (int)is.n_bytes, is.data, expected);
}

Test(quote, what_reads_as_itself_stays_and_the_rest_is_escaped) {
    static const struct quote_case cases[] = {
        {TEXT(""), "\"\""},
        {TEXT("corp:developers"), "\"corp:developers\""},
        {TEXT("a b/c#d: - {e} [f] & * ! | > ' % @ `"), "\"a b/c#d: - {e} [f] & * ! | > ' % @ `\""},
        {TEXT("say \"hi\" \\n"), "\"say \\\"hi\\\" \\\\n\""},
        {TEXT("a\nb\tc\r\0d\x1b[31m\x7f"), "\"a\\u000ab\\u0009c\\u000d\\u0000d\\u001b[31m\\u007f\""},
        {TEXT("\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0"), "\"\\u0080\\u0085\\u009f\xc2\xa0\""},
        {TEXT("\xc3\xbc\xe2\x82\xac\xe6\xb1\x89\xf0\x9f\x98\x80"), "\"\xc3\xbc\xe2\x82\xac\xe6\xb1\x89\xf0\x9f\x98\x80\""},
        /* line ends, no width, direction, byte order, noncharacters, tags */
        {TEXT("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\""},
        {TEXT("a\xe2\x80\x8b\xe2\x80\x8f\xc2\xad"), "\"a\\u200b\\u200f\\u00ad\""},
        {TEXT("\xe2\x80\xae\xe2\x81\xa6\xd8\x9c"), "\"\\u202e\\u2066\\u061c\""},
        {TEXT("\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf"), "\"\\ufeff\\ufffe\\uffff\""},
        {TEXT("\xf3\xa0\x80\x81"), "\"\\U000e0001\""},
        /* no UTF-8: a byte alone, cut off, overlong, a surrogate, too large */
        {TEXT("\xff|\x80|"), "\"\xef\xbf\xbd|\xef\xbf\xbd|\""},
        {TEXT("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xe2\x82|"), "\"\xef\xbf\xbd\xef\xbf\xbd|\""},
        {TEXT("\xc0\xaf\xe0\x80\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xef\xbf\xbd"), "\"\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_quoted(cases[i].text, cases[i].text.n_bytes, cases[i].expected);
}

Test(quote, a_long_text_is_cut_between_two_characters) {
    expect_quoted(TEXT("abcdef"), 6, "\"abcdef\"");
    expect_quoted(TEXT("abcdef"), 5, "\"abcde\"...");
    expect_quoted(TEXT("ab\xe2\x82\xac"), 4, "\"ab\"...");
    expect_quoted(TEXT("ab\xe2\x82\xac"), 5, "\"ab\xe2\x82\xac\"");
    expect_quoted(TEXT("ab"), 0, "\"\"...");
    expect_quoted(TEXT(""), 0, "\"\"");
}

Test(quote, a_text_that_does_not_fit_is_the_buffers_error) {
    struct buffer buffer;
    buffer_init(&buffer, 4);
    quote_append(&buffer, TEXT("abc"));
    cr_expect_neq(buffer.error, 0);
    buffer_deinit(&buffer);
}
