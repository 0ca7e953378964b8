#include "wire/scan.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/memory.h"

/* Reads a whole document by scan_skip(). */
static int skipped(struct text bytes, size_t *ret_offset) {
    struct scan scan;
    scan_begin(&scan, bytes);
    scan_skip(&scan);
    const int r = scan_end(&scan);
    if (ret_offset != NULL)
        *ret_offset = scan_offset(&scan);
    return r;
}

/* ---- what is accepted, and with which values: held against jansson ---- */

static void expect_same(struct scan *scan, json_t *theirs, const char *document);

static void expect_same_string(struct scan_string ours, const char *theirs, size_t n_theirs, const char *document) {
    char *unescaped = malloc(ours.raw.n_bytes + 1);
    const size_t n = scan_string_unescape(ours, unescaped);
    cr_expect(n == n_theirs && memcmp(unescaped, theirs, n) == 0, "%s: a string differs", document);
    cr_expect(scan_string_equal(ours, (struct text){.data = theirs, .n_bytes = n_theirs}), "%s: equality differs",
              document);
    free(unescaped);
}

static void expect_same_members(struct scan *scan, json_t *theirs, const char *document) {
    struct scan_string name;
    for (void *i = json_object_iter(theirs); i != NULL; i = json_object_iter_next(theirs, i)) {
        cr_assert_eq(scan_member(scan, &name), 0, "%s: a member is missing", document);
        const char *key = json_object_iter_key(i);
        expect_same_string(name, key, strlen(key), document);
        expect_same(scan, json_object_iter_value(i), document);
    }
    cr_assert_eq(scan_member(scan, &name), SCAN_CLOSED, "%s: a member too many", document);
}

static void expect_same_elements(struct scan *scan, json_t *theirs, const char *document) {
    for (size_t i = 0; i < json_array_size(theirs); i++) {
        cr_assert_eq(scan_element(scan), 0, "%s: an element is missing", document);
        expect_same(scan, json_array_get(theirs, i), document);
    }
    cr_assert_eq(scan_element(scan), SCAN_CLOSED, "%s: an element too many", document);
}

static void expect_same(struct scan *scan, json_t *theirs, const char *document) {
    static const json_type types[] = {
        [SCAN_OBJECT] = JSON_OBJECT, [SCAN_ARRAY] = JSON_ARRAY, [SCAN_STRING] = JSON_STRING, [SCAN_INTEGER] = JSON_INTEGER,
        [SCAN_REAL] = JSON_REAL,     [SCAN_TRUE] = JSON_TRUE,   [SCAN_FALSE] = JSON_FALSE,   [SCAN_NULL] = JSON_NULL};
    struct scan_value ours;
    cr_assert_eq(scan_value(scan, &ours), 0, "%s", document);
    cr_assert_eq(types[ours.kind], json_typeof(theirs), "%s: kinds differ", document);
    if (ours.kind == SCAN_OBJECT) {
        expect_same_members(scan, theirs, document);
    } else if (ours.kind == SCAN_ARRAY) {
        expect_same_elements(scan, theirs, document);
    } else if (ours.kind == SCAN_STRING) {
        expect_same_string(ours.string, json_string_value(theirs), json_string_length(theirs), document);
    } else if (ours.kind == SCAN_INTEGER) {
        cr_expect_eq(ours.integer, json_integer_value(theirs), "%s: %" PRId64, document, ours.integer);
    } else if (ours.kind == SCAN_REAL) {
        char number[64];
        snprintf(number, sizeof(number), "%.*s", (int)ours.number.n_bytes, ours.number.data);
        cr_expect_eq(strtod(number, NULL), json_real_value(theirs), "%s: %s", document, number);
    }
}

Test(scan, gives_the_values_that_jansson_gives) {
    static const char *const documents[] = {
        "{}",
        "[]",
        "\"\"",
        " \t\r\n[ ] \n",
        "null",
        "[true,false,null]",
        "{\"a\":{\"b\":[{\"c\":[]},{}]},\"d\":\"\"}",
        "{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }",
        "{\"\":1,\" \":2}",
        "[0,-0,1,-1,10,9223372036854775807,-9223372036854775808]",
        "[0.0,-0.0,1.5,0.1,1e5,1E+5,1e-5,1.25E2,0e999999999999999999999,0.0e400,1e-400,123456789012345678901234567890.0]",
        "[1e307,9.99e307,99999.9e303,0.00000001e315,1e-999999999999999999999]",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u0041\\u00e4\\u20AC\\uFFFF\",\"\\ud83d\\ude00\",\"\\uD800\\uDC00\\udbff\\udfff\"]",
        "[\"\\u0001\\u001f\\u007f\\u0080\\u07ff\\u0800\\ud7ff\\ue000\"]",
        "[\"\x7f\",\"\xc2\x80\",\"\xdf\xbf\",\"\xe0\xa0\x80\",\"\xed\x9f\xbf\",\"\xee\x80\x80\",\"\xef\xbf\xbf\",\"\xf0\x90\x80\x80\","
        "\"\xf4\x8f\xbf\xbf\"]",
        "{\"\\u0061b\":1,\"\\u0061c\":2,\"a\":3,\"\xc3\xa4\":4}",
        "\"a string of more than sixteen plain characters, then \\u0065scapes, then plain ones again and \xc3\xa4\"",
    };
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct scan scan;
        json_t *theirs = json_loads(documents[i], JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        cr_assert_not_null(theirs, "jansson refuses %s", documents[i]);
        scan_begin(&scan, text_of(documents[i]));
        expect_same(&scan, theirs, documents[i]);
        cr_expect_eq(scan_end(&scan), 0, "%s", documents[i]);
        cr_expect_eq(skipped(text_of(documents[i]), NULL), 0, "%s is not skipped", documents[i]);
        json_decref(theirs);
    }
}

/* ---- what is refused, why, and where ---- */

static const struct refusal {
    struct text document;
    int why;
    size_t offset;
} refusals[] = {
    {TEXT(""), SCAN_TRUNCATED, 0},
    {TEXT(" \n"), SCAN_TRUNCATED, 2},
    {TEXT("{"), SCAN_TRUNCATED, 1},
    {TEXT("{\"a\""), SCAN_TRUNCATED, 4},
    {TEXT("{\"a\":"), SCAN_TRUNCATED, 5},
    {TEXT("{\"a\":1"), SCAN_TRUNCATED, 6},
    {TEXT("{\"a\":1,"), SCAN_TRUNCATED, 7},
    {TEXT("["), SCAN_TRUNCATED, 1},
    {TEXT("[1"), SCAN_TRUNCATED, 2},
    {TEXT("[1,"), SCAN_TRUNCATED, 3},
    {TEXT("\"abc"), SCAN_TRUNCATED, 4},
    {TEXT("tru"), SCAN_TRUNCATED, 3},
    {TEXT("-"), SCAN_TRUNCATED, 1},
    {TEXT("1."), SCAN_TRUNCATED, 2},
    {TEXT("1e"), SCAN_TRUNCATED, 2},
    {TEXT("1e+"), SCAN_TRUNCATED, 3},
    {TEXT("\xef\xbb\xbf{}"), SCAN_UNEXPECTED, 0},
    {TEXT("\0"), SCAN_UNEXPECTED, 0},
    {TEXT("\v1"), SCAN_UNEXPECTED, 0},
    {TEXT("}"), SCAN_UNEXPECTED, 0},
    {TEXT("'a'"), SCAN_UNEXPECTED, 0},
    {TEXT("{a:1}"), SCAN_UNEXPECTED, 1},
    {TEXT("{1:1}"), SCAN_UNEXPECTED, 1},
    {TEXT("{,}"), SCAN_UNEXPECTED, 1},
    {TEXT("{\"a\" 1}"), SCAN_UNEXPECTED, 5},
    {TEXT("{\"a\"::1}"), SCAN_UNEXPECTED, 5},
    {TEXT("{\"a\":}"), SCAN_UNEXPECTED, 5},
    {TEXT("{\"a\":1,}"), SCAN_UNEXPECTED, 7},
    {TEXT("{\"a\":1 \"b\":2}"), SCAN_UNEXPECTED, 7},
    {TEXT("{\"a\":1]"), SCAN_UNEXPECTED, 6},
    {TEXT("[1}"), SCAN_UNEXPECTED, 2},
    {TEXT("[1,]"), SCAN_UNEXPECTED, 3},
    {TEXT("[,1]"), SCAN_UNEXPECTED, 1},
    {TEXT("[1,,2]"), SCAN_UNEXPECTED, 3},
    {TEXT("[1 2]"), SCAN_UNEXPECTED, 3},
    {TEXT("[1\0]"), SCAN_UNEXPECTED, 2},
    {TEXT("[True]"), SCAN_UNEXPECTED, 1},
    {TEXT("nulL"), SCAN_UNEXPECTED, 3},
    {TEXT("NaN"), SCAN_UNEXPECTED, 0},
    {TEXT("[01]"), SCAN_UNEXPECTED, 2},
    {TEXT("[-01]"), SCAN_UNEXPECTED, 3},
    {TEXT("[+1]"), SCAN_UNEXPECTED, 1},
    {TEXT("[.5]"), SCAN_UNEXPECTED, 1},
    {TEXT("[1.]"), SCAN_UNEXPECTED, 3},
    {TEXT("[1.e5]"), SCAN_UNEXPECTED, 3},
    {TEXT("[1e]"), SCAN_UNEXPECTED, 3},
    {TEXT("[-]"), SCAN_UNEXPECTED, 2},
    {TEXT("[--1]"), SCAN_UNEXPECTED, 2},
    {TEXT("[0x10]"), SCAN_UNEXPECTED, 2},
    {TEXT("[1_000]"), SCAN_UNEXPECTED, 2},
    {TEXT("[/**/]"), SCAN_UNEXPECTED, 1},
    {TEXT("[9223372036854775808]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("[-9223372036854775809]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("[1e400]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("[1e308]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("[-1e309]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("[1000000000000000000000.0e287]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("[0.001e311]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("[1e99999999999999999999999999]"), SCAN_NUMBER_RANGE, 1},
    {TEXT("\"a\nb\""), SCAN_BAD_STRING, 2},
    {TEXT("\"a\0b\""), SCAN_BAD_STRING, 2},
    {TEXT("\"\x1f\""), SCAN_BAD_STRING, 1},
    {TEXT("\"0123456789abcdef0123456789\tabcdef\""), SCAN_BAD_STRING, 27},
    {TEXT("\"\\x41\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\\0\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\"), SCAN_BAD_STRING, 1},
    {TEXT("\"\\u"), SCAN_BAD_STRING, 1},
    {TEXT("\"\\u004\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\u004g\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\U0041\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\u0000\""), SCAN_BAD_STRING, 1},
    {TEXT("{\"a\\u0000\":1}"), SCAN_BAD_STRING, 3},
    {TEXT("\"\\ud800\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\udc00\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\ud800\\ud800\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\ud800\\n\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\ud800\\u0041\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\\ud800xxxxxx\""), SCAN_BAD_STRING, 1},
    {TEXT("\"\x80\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xc0\x80\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xc1\xbf\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xc2\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xc2\x41\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xe0\x9f\xbf\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xe2\x82\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xe2\x82\xc0\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xed\xa0\x80\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xed\xbf\xbf\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xf0\x8f\xbf\xbf\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xf4\x90\x80\x80\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xf5\x80\x80\x80\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xfe\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xff\""), SCAN_NOT_UTF8, 1},
    {TEXT("\"\xe2\x82"), SCAN_NOT_UTF8, 1},
    {TEXT("{} {}"), SCAN_TRAILING, 3},
    {TEXT("{}]"), SCAN_TRAILING, 2},
    {TEXT("1 2"), SCAN_TRAILING, 2},
    {TEXT("{}\0"), SCAN_TRAILING, 2},
    {TEXT("{\"a\":1,\"a\":2}"), SCAN_DUPLICATE, 8},
    {TEXT("{\"\":1,\"\":2}"), SCAN_DUPLICATE, 7},
    {TEXT("{\"a\":1,\"\\u0061\":2}"), SCAN_DUPLICATE, 8},
    {TEXT("{\"\\u0061\":1,\"a\":2}"), SCAN_DUPLICATE, 13},
    {TEXT("{\"\\u0061\":1,\"\\u0061\":2}"), SCAN_DUPLICATE, 13},
    {TEXT("{\"\\/\":1,\"/\":2}"), SCAN_DUPLICATE, 9},
    {TEXT("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), SCAN_DUPLICATE, 19},
    {TEXT("[[{\"x\":{\"a\":1,\"b\":{},\"a\":2}}]]"), SCAN_DUPLICATE, 22},
    {TEXT("{\"a\":{\"b\":1},\"c\":{\"b\":1},\"a\":1}"), SCAN_DUPLICATE, 26},
};

Test(scan, refuses_what_is_no_json_and_says_why_and_where) {
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *row = &refusals[i];
        size_t offset;
        const int r = skipped(row->document, &offset);
        cr_expect_eq(r, row->why, "%s: %s", row->document.data, scan_sentence((enum scan_result)r));
        cr_expect_eq(offset, row->offset, "%s: at byte %zu", row->document.data, offset);
    }
}

Test(scan, follows_no_more_levels_than_it_is_allowed) {
    struct scan scan;
    scan_begin(&scan, TEXT("[[[1]]]"));
    scan_limit_depth(&scan, 3);
    cr_expect_eq(scan_skip(&scan), 0);
    cr_expect_eq(scan_end(&scan), 0);
    scan_begin(&scan, TEXT("[[[1]]]"));
    scan_limit_depth(&scan, 2);
    cr_expect_eq(scan_skip(&scan), SCAN_TOO_DEEP);
    cr_expect_eq(scan_offset(&scan), 2);
}

Test(scan, is_refused_by_jansson_too_where_jansson_is_strict) {
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *row = &refusals[i];
        /* jansson takes reals up to 1.797e308, and drops a zero byte behind a number. */
        if (row->why == SCAN_NUMBER_RANGE || memchr(row->document.data, '\0', row->document.n_bytes) != NULL)
            continue;
        json_t *theirs =
            json_loadb(row->document.data, row->document.n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        cr_expect_null(theirs, "jansson takes %s", row->document.data);
        json_decref(theirs);
    }
}

Test(scan, refuses_a_document_cut_at_any_byte) {
    const struct text whole = TEXT("{\"a\":[1.5e3,true,null,\"x\\u00e4\xc3\xa4\\n\",{}],\"b\":{\"c\":-12,\"d\":\"\"}}");
    cr_assert_eq(skipped(whole, NULL), 0);
    for (size_t n = 0; n < whole.n_bytes; n++) {
        /* In memory of just that size, so that a sanitizer sees a read behind the end. */
        char *part = malloc(n == 0 ? 1 : n);
        memcpy(part, whole.data, n);
        cr_expect_gt(skipped((struct text){.data = part, .n_bytes = n}, NULL), SCAN_OTHER_KIND, "%zu bytes", n);
        free(part);
    }
}

Test(scan, finds_the_end_of_a_string_at_any_place_of_a_machine_word) {
    for (size_t n = 0; n < 70; n++) {
        char document[80];
        memset(document, 'x', sizeof(document));
        document[0] = '"';
        document[n + 1] = '"';
        cr_expect_eq(skipped((struct text){.data = document, .n_bytes = n + 2}, NULL), 0, "%zu", n);
        size_t offset;
        cr_expect_eq(skipped((struct text){.data = document, .n_bytes = sizeof(document)}, &offset), SCAN_TRAILING);
        cr_expect_eq(offset, n + 2);
        for (size_t at = 0; at < n; at++) {
            document[at + 1] = '\x1f';
            cr_expect_eq(skipped((struct text){.data = document, .n_bytes = n + 2}, &offset), SCAN_BAD_STRING);
            cr_expect_eq(offset, at + 1);
            document[at + 1] = '\x80';
            cr_expect_eq(skipped((struct text){.data = document, .n_bytes = n + 2}, &offset), SCAN_NOT_UTF8);
            cr_expect_eq(offset, at + 1);
            document[at + 1] = 'x';
        }
    }
}

/* ---- limits ---- */

/* A document put together from a beginning, n times something with its number in it, and an end. */
static struct text repeated(const char *begin, size_t n, const char *format, const char *end, char **ret_memory) {
    const size_t room = strlen(begin) + n * (strlen(format) + 24) + strlen(end) + 1;
    char *memory = malloc(room);
    size_t at = (size_t)snprintf(memory, room, "%s", begin);
    for (size_t i = 0; i < n; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        at += (size_t)snprintf(memory + at, room - at, format, i);
#pragma GCC diagnostic pop
    }
    at += (size_t)snprintf(memory + at, room - at, "%s", end);
    *ret_memory = memory;
    return (struct text){.data = memory, .n_bytes = at};
}

static int skipped_repeated(const char *begin, size_t n, const char *format, const char *end) {
    char *memory;
    const struct text document = repeated(begin, n, format, end, &memory);
    const int r = skipped(document, NULL);
    free(memory);
    return r;
}

Test(scan, follows_as_many_levels_as_the_limit_says_and_no_more) {
    char document[2 * LIMIT_JSON_DEPTH + 3];
    for (size_t depth = 1; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
        memset(document, '[', depth);
        memset(document + depth, ']', depth);
        const int r = skipped((struct text){.data = document, .n_bytes = 2 * depth}, NULL);
        cr_expect_eq(r, depth <= LIMIT_JSON_DEPTH ? 0 : SCAN_TOO_DEEP, "%zu levels", depth);
    }
    cr_expect_eq(skipped_repeated("", LIMIT_JSON_DEPTH + 1, "{\"a\":", ""), SCAN_TOO_DEEP);
}

Test(scan, takes_as_many_members_as_the_limit_says_and_no_more) {
    cr_expect_eq(skipped_repeated("{", LIMIT_JSON_MEMBERS - 1, "\"m%zu\":0,", "\"z\":0}"), 0);
    cr_expect_eq(skipped_repeated("{", LIMIT_JSON_MEMBERS, "\"m%zu\":0,", "\"z\":0}"), SCAN_TOO_MANY);
    cr_expect_eq(skipped_repeated("[", 5000, "{\"a\":{},\"b\":[]},", "{}]"), 0,
                 "members of closed objects no longer count");
}

Test(scan, bounds_the_members_of_all_open_objects) {
    char *inner_memory, *middle_memory;
    const struct text inner = repeated("{", LIMIT_JSON_MEMBERS - 1, "\"m%zu\":0,", "\"z\":0}", &inner_memory);
    /* outer: 1 or 2 members; middle: all it may have; inner: the same again, while both are open */
    for (size_t n_outer = 0; n_outer <= 1; n_outer++) {
        const struct text middle = repeated("", LIMIT_JSON_MEMBERS - 1, "\"m%zu\":0,", "\"z\":", &middle_memory);
        const size_t room = inner.n_bytes + middle.n_bytes + 16;
        char *document = malloc(room);
        const int n = snprintf(document, room, "%s{%s%s}%s", n_outer == 0 ? "" : "{\"a\":", middle.data, inner.data,
                               n_outer == 0 ? "" : "}");
        cr_expect_eq(skipped((struct text){.data = document, .n_bytes = (size_t)n}, NULL),
                     n_outer == 0 ? 0 : SCAN_TOO_MANY);
        free(document);
        free(middle_memory);
    }
    free(inner_memory);
}

Test(scan, finds_a_duplicate_wherever_it_is_among_any_number_of_members) {
    static const size_t counts[] = {2, 3, 7, 8, 9, 10, 17, 47, 48, 49, 50, 100, LIMIT_JSON_MEMBERS};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const size_t n = counts[i], step = n > 20 ? n / 7 : 1;
        char *memory;
        struct text document = repeated("{", n - 1, "\"%06zu\":0,", "\"999999\":0}", &memory);
        cr_expect_eq(skipped(document, NULL), 0, "%zu members", n);
        /* Each name is six digits in a member of eleven bytes. */
        for (size_t a = 0; a < n; a += step) {
            for (size_t b = a + 1; b < n; b += step) {
                char saved[6];
                size_t offset;
                memcpy(saved, memory + 2 + b * 11, 6);
                memcpy(memory + 2 + b * 11, memory + 2 + a * 11, 6);
                cr_expect_eq(skipped(document, &offset), SCAN_DUPLICATE, "%zu members, %zu and %zu", n, a, b);
                cr_expect_eq(offset, 2 + b * 11);
                memcpy(memory + 2 + b * 11, saved, 6);
            }
        }
        free(memory);
    }
}

Test(scan, finds_an_escaped_duplicate_among_many_members) {
    cr_expect_eq(skipped_repeated("{", 50, "\"m%zu\":0,", "\"\\u006d17\":0}"), SCAN_DUPLICATE);
    cr_expect_eq(skipped_repeated("{\"\\u006d17\":0,", 50, "\"m%zu\":0,", "\"z\":0}"), SCAN_DUPLICATE);
    cr_expect_eq(skipped_repeated("{", 50, "\"\\u006d%zu\":0,", "\"m\":0}"), 0);
}

/* Beyond 256 bytes they are compared in another way. */
Test(scan, finds_a_duplicate_among_few_names_of_any_length) {
    for (int n = 250; n < 264; n++) {
        char document[1000];
        size_t offset;
        const int at = snprintf(document, sizeof(document), "{\"b\":0,\"%0*d\":0,\"a\":0,", n, 7);
        const int end = snprintf(document + at, sizeof(document) - (size_t)at, "\"%0*d\":0}", n - 1, 7) + at;
        cr_expect_eq(skipped((struct text){.data = document, .n_bytes = (size_t)end}, NULL), 0, "%d bytes", n);
        const int again = snprintf(document + at, sizeof(document) - (size_t)at, "\"\\u0030%0*d\":0}", n - 1, 7) + at;
        cr_expect_eq(skipped((struct text){.data = document, .n_bytes = (size_t)again}, &offset), SCAN_DUPLICATE,
                     "%d bytes", n);
        cr_expect_eq(offset, (size_t)at + 1);
    }
}

/* Whatever the hashes are: each document has its own key. */
Test(scan, of_many_doubled_names_the_first_in_the_document_is_told) {
    static const char end[] = "\"m9\":0,\"m30\":0,\"m2\":0,\"m\\u0039\":0}";
    for (int i = 0; i < 50; i++) {
        char *memory;
        size_t offset;
        const struct text document = repeated("{", 60, "\"m%zu\":0,", end, &memory);
        cr_expect_eq(skipped(document, &offset), SCAN_DUPLICATE);
        cr_expect_eq(offset, document.n_bytes - (sizeof(end) - 1) + 1);
        free(memory);
    }
    cr_expect_eq(skipped_repeated("{", LIMIT_JSON_MEMBERS - 1, "\"m\":%zu,", "\"z\":0}"), SCAN_DUPLICATE);
}

Test(scan, refuses_what_its_offsets_cannot_count) {
    static const char byte = '1';
    struct scan scan;
    struct scan_value value;
    scan_begin(&scan, (struct text){.data = &byte, .n_bytes = (size_t)INT32_MAX + 1});
    cr_expect_eq(scan_value(&scan, &value), SCAN_TOO_LARGE);
    cr_expect_eq(scan_end(&scan), SCAN_TOO_LARGE);
}

/* ---- the calls ---- */

Test(scan, passes_over_a_value_of_another_kind_as_a_whole) {
    static const char *const values[] = {"1", "null", "[[],{\"a\":[{}]}]", "{\"a\":{\"a\":[]}}", "\"x\""};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char document[64];
        struct scan scan;
        struct scan_string name, string;
        const int n = snprintf(document, sizeof(document), "{\"a\":%s,\"b\":2}", values[i]);
        scan_begin(&scan, (struct text){.data = document, .n_bytes = (size_t)n});
        cr_assert_eq(scan_object(&scan), 0);
        cr_assert_eq(scan_member(&scan, &name), 0);
        const int r = values[i][0] == '"' ? scan_array(&scan) : scan_string(&scan, &string);
        cr_expect_eq(r, SCAN_OTHER_KIND);
        cr_assert_eq(scan_member(&scan, &name), 0);
        cr_expect(scan_string_equal(name, TEXT("b")));
        cr_expect_eq(scan_object(&scan), SCAN_OTHER_KIND);
        cr_expect_eq(scan_member(&scan, &name), SCAN_CLOSED);
        cr_expect_eq(scan_end(&scan), 0);
    }
}

Test(scan, passes_over_null_and_leaves_any_other_value_to_be_read) {
    struct scan scan;
    struct scan_string string;
    scan_begin(&scan, TEXT("[ null,\"a\",nil]"));
    cr_assert_eq(scan_array(&scan), 0);
    cr_assert_eq(scan_element(&scan), 0);
    cr_expect(scan_null(&scan));
    cr_assert_eq(scan_element(&scan), 0);
    cr_expect_not(scan_null(&scan));
    cr_expect_eq(scan_string(&scan, &string), 0);
    cr_assert_eq(scan_element(&scan), 0);
    cr_expect_not(scan_null(&scan));
    cr_expect_not(scan_null(&scan));
    cr_expect_eq(scan_end(&scan), SCAN_UNEXPECTED);
    cr_expect_eq(scan_offset(&scan), 12);
}

Test(scan, finds_a_fault_in_what_it_passes_over) {
    struct scan scan;
    struct scan_string string;
    scan_begin(&scan, TEXT("[[{\"a\":1,\"a\":2}]]"));
    cr_expect_eq(scan_array(&scan), 0);
    cr_expect_eq(scan_element(&scan), 0);
    cr_expect_eq(scan_string(&scan, &string), SCAN_DUPLICATE);
    cr_expect_eq(scan_offset(&scan), 10);
}

Test(scan, keeps_its_first_error) {
    struct scan scan;
    struct scan_value value;
    struct scan_string string;
    scan_begin(&scan, TEXT("[1,x,\"\x80\"]"));
    cr_assert_eq(scan_array(&scan), 0);
    cr_assert_eq(scan_element(&scan), 0);
    cr_assert_eq(scan_skip(&scan), 0);
    cr_assert_eq(scan_element(&scan), 0);
    cr_assert_eq(scan_value(&scan, &value), SCAN_UNEXPECTED);
    cr_expect_eq(scan_value(&scan, &value), SCAN_UNEXPECTED);
    cr_expect_eq(scan_string(&scan, &string), SCAN_UNEXPECTED);
    cr_expect_eq(scan_object(&scan), SCAN_UNEXPECTED);
    cr_expect_eq(scan_array(&scan), SCAN_UNEXPECTED);
    cr_expect_eq(scan_member(&scan, &string), SCAN_UNEXPECTED);
    cr_expect_eq(scan_element(&scan), SCAN_UNEXPECTED);
    cr_expect_eq(scan_skip(&scan), SCAN_UNEXPECTED);
    cr_expect_eq(scan_end(&scan), SCAN_UNEXPECTED);
    cr_expect_eq(scan_offset(&scan), 3);
}

Test(scan, does_not_end_before_a_value_or_inside_one) {
    struct scan scan;
    struct scan_string name;
    scan_begin(&scan, TEXT("{\"a\":1}"));
    cr_expect_eq(scan_end(&scan), SCAN_UNEXPECTED);
    scan_begin(&scan, TEXT("{\"a\":1}"));
    scan_object(&scan);
    cr_expect_eq(scan_end(&scan), SCAN_UNEXPECTED);
    scan_begin(&scan, TEXT("1"));
    cr_expect_eq(scan_member(&scan, &name), SCAN_UNEXPECTED, "no object is open");
    scan_begin(&scan, (struct text){.data = NULL, .n_bytes = 0});
    cr_expect_eq(scan_skip(&scan), SCAN_TRUNCATED);
}

Test(scan, has_a_sentence_for_every_result) {
    for (int i = SCAN_CLOSED; i <= SCAN_TOO_LARGE; i++) {
        for (int k = SCAN_CLOSED; k < i; k++)
            cr_expect_str_neq(scan_sentence((enum scan_result)i), scan_sentence((enum scan_result)k));
        cr_expect_str_neq(scan_sentence((enum scan_result)i), scan_sentence((enum scan_result)(SCAN_TOO_LARGE + 1)));
    }
}

Test(scan, allocates_nothing) {
    char *memory;
    const struct text document = repeated("{", 1000, "\"\\u006d%zu\":[{\"a\":1}],", "\"z\":\"\\u0061\"}", &memory);
    memory_fail_at(1);
    const int r = skipped(document, NULL);
    const size_t n = memory_n_allocations();
    memory_fail_at(0);
    cr_expect_eq(r, 0);
    cr_expect_eq(n, 0);
    free(memory);
}

/* ---- documents that carry objects of a cluster ---- */

static int skipped_large(struct text bytes) {
    static struct scan_room room;
    struct scan scan;
    scan_begin_large(&scan, bytes, &room);
    scan_skip(&scan);
    return scan_end(&scan);
}

static int skipped_large_repeated(const char *begin, size_t n, const char *format, const char *end) {
    char *memory;
    const struct text document = repeated(begin, n, format, end, &memory);
    const int r = skipped_large(document);
    free(memory);
    return r;
}

Test(scan, takes_a_large_object_up_to_limits_of_its_own) {
    cr_expect_eq(skipped_large_repeated("{", LIMIT_OBJECT_OPEN_MEMBERS - 1, "\"m%zu\":0,", "\"z\":0}"), 0);
    cr_expect_eq(skipped_large_repeated("{", LIMIT_OBJECT_OPEN_MEMBERS, "\"m%zu\":0,", "\"z\":0}"), SCAN_TOO_MANY);
    cr_expect_eq(skipped_large_repeated("{", LIMIT_OBJECT_OPEN_MEMBERS - 1, "\"m%zu\":0,", "\"m4711\":0}"), SCAN_DUPLICATE);
    cr_expect_eq(skipped_large_repeated("", LIMIT_OBJECT_DEPTH, "[", ""), SCAN_TRUNCATED);
    cr_expect_eq(skipped_large_repeated("", LIMIT_OBJECT_DEPTH + 1, "[", ""), SCAN_TOO_DEEP);
}

Test(scan, passes_over_what_an_object_may_have_and_reads_it_as_strictly_as_ever) {
    static const struct {
        struct text value;
        int passed, read;
    } rows[] = {
        {TEXT("[\"a\\u0000b\"]"), 0, SCAN_BAD_STRING},
        {TEXT("[18446744073709551616]"), 0, SCAN_NUMBER_RANGE},
        {TEXT("[1e308]"), 0, SCAN_NUMBER_RANGE},
        {TEXT("[-1.7976931348623157e+308]"), 0, SCAN_NUMBER_RANGE}, /* as Go writes the largest */
        {TEXT("[179769313486231.57e294]"), 0, SCAN_NUMBER_RANGE},
        {TEXT("[1.7976931348623158e308]"), SCAN_NUMBER_RANGE, SCAN_NUMBER_RANGE},
        {TEXT("[0.018e310]"), SCAN_NUMBER_RANGE, SCAN_NUMBER_RANGE},
        {TEXT("[-1e309]"), SCAN_NUMBER_RANGE, SCAN_NUMBER_RANGE},
        {TEXT("{\"\\u0000\":1}"), SCAN_BAD_STRING, SCAN_BAD_STRING},
        {TEXT("[\"\\ud800\"]"), SCAN_BAD_STRING, SCAN_BAD_STRING},
        {TEXT("[\"\0\"]"), SCAN_BAD_STRING, SCAN_BAD_STRING},
    };
    static struct scan_room room;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scan scan;
        struct scan_value value;
        struct scan_string name;
        cr_expect_eq(skipped_large(rows[i].value), rows[i].passed, "row %zu", i);
        scan_begin_large(&scan, rows[i].value, &room);
        scan_value(&scan, &value);
        if (value.kind == SCAN_OBJECT)
            scan_member(&scan, &name);
        else
            scan_element(&scan);
        scan_value(&scan, &value);
        cr_expect_eq(scan_end(&scan) == rows[i].read, true, "row %zu: %d", i, scan_end(&scan));
        cr_expect_neq(skipped(rows[i].value, NULL), 0, "row %zu: a small document has none of it", i);
    }
}

Test(scan, a_large_number_of_digits_is_judged_by_its_size) {
    cr_expect_eq(skipped_large_repeated("1", 307, "0", ""), 0);
    cr_expect_eq(skipped_large_repeated("1", 308, "0", ""), 0);
    cr_expect_eq(skipped_large_repeated("1", 309, "0", ""), SCAN_NUMBER_RANGE);
}

Test(scan, lends_the_bytes_of_a_value) {
    const struct text document = TEXT(" { \"a\" :  [ 1, {\"b\":2} ] , \"c\":7}");
    struct scan scan;
    struct scan_string name;
    struct text span = {0};
    scan_begin(&scan, document);
    cr_assert_eq(scan_object(&scan), 0);
    cr_assert_eq(scan_member(&scan, &name), 0);
    cr_assert_eq(scan_span(&scan, &span), 0);
    cr_expect(text_equal(span, TEXT("[ 1, {\"b\":2} ]")), "%.*s", (int)span.n_bytes, span.data);
    cr_assert_eq(scan_member(&scan, &name), 0);
    cr_assert_eq(scan_span(&scan, &span), 0);
    cr_expect(text_equal(span, TEXT("7")));
    cr_expect_eq(scan_member(&scan, &name), SCAN_CLOSED);
    cr_expect_eq(scan_end(&scan), 0);
    scan_begin(&scan, TEXT("[1,]"));
    const struct text before = span;
    cr_expect_eq(scan_span(&scan, &span), SCAN_UNEXPECTED);
    cr_expect(text_equal(span, before), "written on success only");
}
