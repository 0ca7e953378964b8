#include "wire/scan_string.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* A string as it stands between its quotes. */
static struct scan_string string_of(const char *raw) {
    return (struct scan_string){.raw = text_of(raw), .has_escapes = strchr(raw, '\\') != NULL};
}

static const struct {
    const char *raw, *unescaped;
} rows[] = {
    {"", ""},
    {"plain", "plain"},
    {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
    {"\\u0041\\u007f", "A\x7f"},
    {"\\u0080\\u07ff", "\xc2\x80\xdf\xbf"},
    {"\\u0800\\uFfFf", "\xe0\xa0\x80\xef\xbf\xbf"},
    {"\\ud800\\udc00\\uDBFF\\uDFFF", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
    {"a\\u00e4b\xc3\xa4\\n", "a\xc3\xa4"
                             "b\xc3\xa4\n"},
};

Test(scan_string, unescapes_in_place_and_elsewhere) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char raw[64], elsewhere[64];
        snprintf(raw, sizeof(raw), "%s", rows[i].raw);
        struct scan_string string = string_of(raw);
        const struct text expected = text_of(rows[i].unescaped);
        const size_t n = scan_string_unescape(string, elsewhere);
        cr_expect(text_equal((struct text){.data = elsewhere, .n_bytes = n}, expected), "%s", rows[i].raw);
        cr_expect_eq(scan_string_unescape(string, raw), n);
        cr_expect(text_equal((struct text){.data = raw, .n_bytes = n}, expected), "%s in place", rows[i].raw);
    }
}

Test(scan_string, equals_what_it_unescapes_to_and_nothing_shorter_or_longer) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct scan_string string = string_of(rows[i].raw);
        struct text expected = text_of(rows[i].unescaped);
        cr_expect(scan_string_equal(string, expected), "%s", rows[i].raw);
        char longer[64];
        const int n = snprintf(longer, sizeof(longer), "%sx", rows[i].unescaped);
        cr_expect_not(scan_string_equal(string, (struct text){.data = longer, .n_bytes = (size_t)n}));
        if (expected.n_bytes == 0)
            continue;
        expected.n_bytes--;
        cr_expect_not(scan_string_equal(string, expected));
    }
}

Test(scan_string, is_ordered_by_its_unescaped_bytes) {
    /* Ascending; each row twice, plain and escaped. */
    static const char *const ordered[][2] = {
        {"", ""},
        {"A", "\\u0041"},
        {"a", "\\u0061"},
        {"aa", "a\\u0061"},
        {"b", "\\u0062"},
        {"\xc3\xa4", "\\u00e4"},
        {"\xef\xbf\xbf", "\\uffff"},
        {"\xf0\x90\x80\x80", "\\ud800\\udc00"},
    };
    const int n = sizeof(ordered) / sizeof(ordered[0]);
    for (int a = 0; a < n; a++) {
        for (int b = 0; b < n; b++) {
            for (int forms = 0; forms < 4; forms++) {
                const int order = scan_string_compare(string_of(ordered[a][forms & 1]), string_of(ordered[b][forms >> 1]));
                cr_expect_eq((order > 0) - (order < 0), (a > b) - (a < b), "%s and %s", ordered[a][forms & 1],
                             ordered[b][forms >> 1]);
            }
        }
    }
}
