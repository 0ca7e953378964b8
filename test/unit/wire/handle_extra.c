#include "wire/handle_extra.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/body.h"
#include "lib/memory.h"

#define KEY "kube-introspect.io/handle"
#define NO_OBJECT "an object is expected"
#define NO_STRINGS "each value must be an array of strings"

struct row {
    const char *extra, *handle;
    size_t n_handles;
    const char *fault; /* NULL: none */
};

/* As the only element of an array, so that the extra begins and ends anywhere. */
static void expect_extra(const struct row *row) {
    char document[1024];
    snprintf(document, sizeof(document), "[%s]", row->extra);
    struct body body = body_of(text_of(document));
    struct scan scan;
    struct handle_extra extra;
    memset(&extra, 0xa5, sizeof(extra));
    memory_fail_at(1);
    scan_begin(&scan, (struct text){.data = body.bytes, .n_bytes = body.n_bytes});
    cr_assert_eq(scan_array(&scan), 0);
    cr_assert_eq(scan_element(&scan), 0);
    const char *fault = handle_extra_read(&scan, body.bytes, &extra);
    cr_expect_eq(scan_element(&scan), SCAN_CLOSED, "%s: the value has not been read to its end", row->extra);
    cr_expect_eq(scan_end(&scan), 0, "%s", row->extra);
    cr_expect_eq(memory_n_allocations(), 0);
    memory_fail_at(0);
    cr_expect_eq(extra.n_handles, row->n_handles, "%s: %zu handles", row->extra, extra.n_handles);
    cr_expect(text_equal(extra.handle, text_of(row->handle)), "%s: %.*s", row->extra, (int)extra.handle.n_bytes,
              extra.handle.data);
    cr_expect_str_eq(fault == NULL ? "none" : fault, row->fault == NULL ? "none" : row->fault, "%s", row->extra);
    free(body.bytes);
}

static void expect_rows(const struct row *rows, size_t n_rows) {
    for (size_t i = 0; i < n_rows; i++)
        expect_extra(&rows[i]);
}
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

Test(handle_extra, finds_the_handle_among_other_keys) {
    static const struct row rows[] = {
        {"{\"" KEY "\":[\"1.abc\"]}", "1.abc", 1, NULL},
        {"{\"a\":[],\"b\":[\"x\",\"y\"],\"" KEY "\":[\"1.abc\"],\"c\":null}", "1.abc", 1, NULL},
        {"{\"" KEY "\":[\"1\\u002eabc\"]}", "1.abc", 1, NULL},
        {"{\"\\u006bube-introspect.io\\/handle\":[\"1.abc\"]}", "1.abc", 1, NULL},
        {"{\"Kube-Introspect.IO/Handle\":[\"1.abc\"]}", "1.abc", 1, NULL},
        {"{\"" KEY "\":[\"\"]}", "", 1, NULL},
    };
    expect_rows(rows, N_OF(rows));
}

Test(handle_extra, what_only_looks_like_the_key_is_none) {
    static const struct row rows[] = {
        {"{}", "", 0, NULL},
        {"null", "", 0, NULL},
        {"{\"" KEY "\":[]}", "", 0, NULL},
        {"{\"" KEY "\":null}", "", 0, NULL},
        {"{\"" KEY "s\":[\"1.abc\"]}", "", 0, NULL},
        {"{\"x" KEY "\":[\"1.abc\"]}", "", 0, NULL},
        {"{\"kube-introspect.io/handl\":[\"1.abc\"]}", "", 0, NULL},
        {"{\"kube-introspect.io/h\xc3\xa4ndle\":[\"1.abc\"]}", "", 0, NULL},
        {"{\"other\":[\"" KEY "\",\"1.abc\"]}", "", 0, NULL},
    };
    expect_rows(rows, N_OF(rows));
}

Test(handle_extra, what_is_doubled_counts_as_two) {
    static const struct row rows[] = {
        {"{\"" KEY "\":[\"1.abc\",\"2\"]}", "1.abc", 2, NULL},
        {"{\"" KEY "\":[\"1.abc\",\"1.abc\"]}", "1.abc", 2, NULL},
        {"{\"" KEY "\":[\"1.abc\"],\"KUBE-introspect.io/handle\":[\"2\"]}", "1.abc", 2, NULL},
        {"{\"" KEY "\":[\"1.abc\"],\"KUBE-introspect.io/handle\":[]}", "1.abc", 2, NULL},
        {"{\"" KEY "\":null,\"KUBE-introspect.io/handle\":null}", "", 2, NULL},
        {"{\"" KEY "\":[\"1\",\"2\",\"3\"],\"KUBE-introspect.io/handle\":[]}", "1", 3, NULL},
    };
    expect_rows(rows, N_OF(rows));
}

/* What is found beside a fault is told as well: the caller refuses for the fault, whatever it is. */
Test(handle_extra, says_what_is_wrong_with_it) {
    static const struct row rows[] = {
        {"[]", "", 0, NO_OBJECT},
        {"\"" KEY "\"", "", 0, NO_OBJECT},
        {"1", "", 0, NO_OBJECT},
        {"true", "", 0, NO_OBJECT},
        {"[{\"" KEY "\":[\"1.abc\"]}]", "", 0, NO_OBJECT},
        {"{\"" KEY "\":\"1.abc\"}", "", 0, NO_STRINGS},
        {"{\"" KEY "\":{\"a\":1}}", "", 0, NO_STRINGS},
        {"{\"" KEY "\":[1]}", "", 0, NO_STRINGS},
        {"{\"" KEY "\":[null]}", "", 0, NO_STRINGS},
        {"{\"a\":[\"b\",{\"c\":[]}],\"" KEY "\":[\"1.abc\"]}", "1.abc", 1, NO_STRINGS},
        {"{\"" KEY "\":[\"1.abc\"],\"a\":1,\"b\":[]}", "1.abc", 1, NO_STRINGS},
    };
    expect_rows(rows, N_OF(rows));
}

/* Which values are seen before the scan finds the fault does not matter: the document is refused. */
Test(handle_extra, a_key_twice_or_a_torn_value_is_for_the_scan_to_refuse) {
    static const struct {
        const char *document;
        int error;
    } rows[] = {
        {"{\"" KEY "\":[\"1\"],\"" KEY "\":[\"2\"]}", SCAN_DUPLICATE},
        {"{\"" KEY "\":[\"1\"],\"\\u006bube-introspect.io/handle\":[\"2\"]}", SCAN_DUPLICATE},
        {"{\"" KEY "\":[\"1\"", SCAN_TRUNCATED},
        {"{\"" KEY "\":[\"\\u0000\"]}", SCAN_BAD_STRING},
        {"{\"" KEY "\":[\"\xff\"]}", SCAN_NOT_UTF8},
        {"", SCAN_TRUNCATED},
    };
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct body body = body_of(text_of(rows[i].document));
        struct scan scan;
        struct handle_extra extra;
        scan_begin(&scan, (struct text){.data = body.bytes, .n_bytes = body.n_bytes});
        handle_extra_read(&scan, body.bytes, &extra);
        cr_expect_eq(scan_end(&scan), rows[i].error, "%s: %d", rows[i].document, scan_end(&scan));
        free(body.bytes);
    }
}
