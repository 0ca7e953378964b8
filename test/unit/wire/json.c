#include "wire/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "lib/memory.h"

static int load(struct text bytes, unsigned max_depth) {
    json_t *object;
    const int result = json_object_load(bytes, max_depth, &object);
    if (result == 0)
        json_decref(object);
    return result;
}

static const struct {
    const char *bytes;
    int result;
} documents[] = {
    {"{}", 0},
    {" \t\r\n{ } \n", 0},
    {"{\"a\":1,\"b\":[true,null,-0.5e3],\"c\":{\"a\":1}}", 0},
    {"{\"a\":9223372036854775807,\"b\":-9223372036854775808}", 0},
    {"{\"\\u0061\":1,\"A\":2}", 0},
    {"", JSON_MALFORMED},
    {" ", JSON_MALFORMED},
    {"[]", JSON_MALFORMED},
    {"[{}]", JSON_MALFORMED},
    {"\"{}\"", JSON_MALFORMED},
    {"1", JSON_MALFORMED},
    {"true", JSON_MALFORMED},
    {"null", JSON_MALFORMED},
    {"{", JSON_MALFORMED},
    {"}", JSON_MALFORMED},
    {"{\"a\"", JSON_MALFORMED},
    {"{\"a\":", JSON_MALFORMED},
    {"{\"a\":1", JSON_MALFORMED},
    {"{\"a", JSON_MALFORMED},
    {"{\"a\\", JSON_MALFORMED},
    {"{}{}", JSON_MALFORMED},
    {"{} {}", JSON_MALFORMED},
    {"{}x", JSON_MALFORMED},
    {"{]", JSON_MALFORMED},
    {"{\"a\":1,}", JSON_MALFORMED},
    {"{'a':1}", JSON_MALFORMED},
    {"{a:1}", JSON_MALFORMED},
    {"{\"a\":NaN}", JSON_MALFORMED},
    {"{\"a\":01}", JSON_MALFORMED},
    {"{\"a\":+1}", JSON_MALFORMED},
    {"{\"a\":1.}", JSON_MALFORMED},
    {"{\"a\":1e400}", JSON_MALFORMED},
    {"{\"a\":9223372036854775808}", JSON_MALFORMED},
    {"{\"a\":\"\\x\"}", JSON_MALFORMED},
    {"{\"a\":\"\\ud800\"}", JSON_MALFORMED},
    {"{\"a\":\"\\u0000\"}", JSON_MALFORMED},
    {"{\"a\":\"\n\"}", JSON_MALFORMED},
    {"{\"a\":\"\xff\"}", JSON_MALFORMED},
    {"{\"a\":\"\xc0\xaf\"}", JSON_MALFORMED},
    {"{\"a\":\"\xed\xa0\x80\"}", JSON_MALFORMED},
    {"\xef\xbb\xbf{}", JSON_MALFORMED},
    /* members that are there twice, on each level, also when written differently */
    {"{\"a\":1,\"a\":1}", JSON_MALFORMED},
    {"{\"a\":1,\"\\u0061\":1}", JSON_MALFORMED},
    {"{\"b\":[{\"a\":1,\"a\":1}]}", JSON_MALFORMED},
    {"{\"b\":{\"c\":{\"a\":null,\"a\":null}}}", JSON_MALFORMED},
};

Test(json, takes_one_whole_strict_object_and_nothing_else) {
    for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++)
        cr_expect_eq(load(text_of(documents[i].bytes), 8), documents[i].result, "%s", documents[i].bytes);
}

Test(json, refuses_zero_bytes_wherever_they_stand) {
    static const char behind_number[] = "{\"a\":1\0}", behind[] = "{}\0", in_text[] = "{\"a\":\"\0\"}";
    cr_expect_eq(load((struct text){behind_number, sizeof(behind_number) - 1}, 8), JSON_MALFORMED);
    cr_expect_eq(load((struct text){behind, sizeof(behind) - 1}, 8), JSON_MALFORMED);
    cr_expect_eq(load((struct text){in_text, sizeof(in_text) - 1}, 8), JSON_MALFORMED);
}

Test(json, follows_as_many_levels_as_it_may_and_not_one_more) {
    static const struct {
        const char *bytes;
        unsigned max_depth;
        int result;
    } cases[] = {
        {"{}", 0, JSON_MALFORMED},
        {"{}", 1, 0},
        {"{\"a\":[]}", 1, JSON_MALFORMED},
        {"{\"a\":[]}", 2, 0},
        {"{\"a\":{\"b\":[1]}}", 2, JSON_MALFORMED},
        {"{\"a\":{\"b\":[1]}}", 3, 0},
        {"{\"a\":[],\"b\":[],\"c\":{},\"d\":{}}", 2, 0},    /* side by side is not deep */
        {"{\"a\":\"[[[{{{\",\"[[[\":1}", 1, 0},             /* brackets in strings do not count */
        {"{\"a\":\"\\\"[[[\",\"b\":\"\\\\\"}", 1, 0},       /* nor behind an escaped quote */
        {"{\"a\":\"\\\\\",\"b\":[[]]}", 2, JSON_MALFORMED}, /* an escaped backslash does not hide the quote */
        {"}}}}{\"a\":[[]]}", 2, JSON_MALFORMED},            /* closing what is not open buys no depth */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(load(text_of(cases[i].bytes), cases[i].max_depth), cases[i].result, "%s", cases[i].bytes);
}

Test(json, refuses_a_bracket_bomb_before_jansson_sees_it) {
    const size_t n_bytes = 1024 * 1024;
    char *const bomb = malloc(n_bytes);
    memset(bomb, '[', n_bytes);
    bomb[0] = '{';
    memory_fail_at(1); /* jansson allocates as the first thing it does */
    const int result = load((struct text){bomb, n_bytes}, 32);
    memory_fail_at(0);
    cr_expect_eq(result, JSON_MALFORMED);
    free(bomb);
}

Test(json, keeps_the_order_of_members) {
    json_t *object;
    cr_assert_eq(json_object_load(TEXT("{\"z\":1,\"a\":2,\"m\":3,\"b\":4}"), 1, &object), 0);
    char *const dumped = json_dumps(object, JSON_COMPACT);
    cr_expect_str_eq(dumped, "{\"z\":1,\"a\":2,\"m\":3,\"b\":4}");
    json_decref(object);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(dumped);
}

/* Strings longer than each size that jansson's token buffer grows through (16, 32, 64, ...), as values and as names. */
static void write_growing_document(struct buffer *document) {
    buffer_init(document, 16 * 1024);
    buffer_append(document, TEXT("{\"first\":[1,-2.5,true,null,{\"inner\":\"x\"}]"));
    for (int n_bytes = 8; n_bytes <= 1024; n_bytes *= 2)
        buffer_append_format(document, ",\"%0*d\":\"%0*d\"", n_bytes, 1, n_bytes + 7, 2);
    buffer_append(document, TEXT("}"));
    cr_assert_eq(document->error, 0);
}

Test(json, survives_each_failing_allocation_and_never_gives_part_of_a_document) {
    struct buffer document;
    write_growing_document(&document);
    json_t *whole = NULL;
    cr_assert_eq(json_object_load(buffer_text(&document), 8, &whole), 0);
    size_t n = 1;
    for (;; n++) {
        json_t *object = NULL;
        memory_fail_at(n);
        const int result = json_object_load(buffer_text(&document), 8, &object);
        const bool has_failed = memory_has_failed();
        memory_fail_at(0);
        if (!has_failed) {
            cr_assert_eq(result, 0);
            cr_expect(json_equal(object, whole));
            json_decref(object);
            break;
        }
        cr_assert_eq(result, -ENOMEM, "allocation %zu", n);
        cr_assert_null(object);
    }
    cr_expect_gt(n, 50, "only %zu allocations were made to fail", n - 1);
    json_decref(whole);
    buffer_deinit(&document);
}

/* Between jansson and our allocator: makes a single allocation fail and lets those after it succeed. */
static json_malloc_t real_allocate;
static size_t single_failure, n_allocations;

static void *allocate_with_a_single_failure(size_t n_bytes) {
    memory_fail_at(++n_allocations == single_failure ? 1 : 0);
    void *const memory = real_allocate(n_bytes);
    memory_fail_at(0);
    return memory;
}

/* jansson 2.14 by itself reads a text without some of its bytes when the buffer of its scanner could not grow just then. */
Test(json, a_single_failing_allocation_never_leaves_bytes_out_of_a_text) {
    static const char document[] = "{\"groups\":[\"admins-readonly-of-the-test-cluster-in-frankfurt\"],\"active\":true}";
    json_free_t release;
    json_get_alloc_funcs(&real_allocate, &release);
    json_set_alloc_funcs(allocate_with_a_single_failure, release);
    for (single_failure = 1;; single_failure++) {
        json_t *object;
        n_allocations = 0;
        const int result = json_object_load(TEXT(document), 8, &object);
        memory_fail_at(0);
        cr_assert_eq(result, n_allocations < single_failure ? 0 : -ENOMEM, "allocation %zu", single_failure);
        if (result == 0) {
            json_decref(object);
            break;
        }
    }
    cr_expect_gt(single_failure, 10);
}

Test(json, a_failing_allocation_is_not_malformed_and_malformed_is_no_failing_allocation) {
    static const char document[] = "{\"a\":[\"some text that is long enough\", oops]}";
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        memory_fail_at(n);
        const int result = load(TEXT(document), 8);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(result, has_failed ? -ENOMEM : JSON_MALFORMED, "allocation %zu", n);
    }
}

Test(json, documents_live_and_die_in_any_order) {
    json_t *first, *second, *third;
    cr_assert_eq(json_object_load(TEXT("{\"a\":\"one\"}"), 8, &first), 0);
    cr_assert_eq(json_object_load(TEXT("{\"b\":[\"two\"]}"), 8, &second), 0);
    json_decref(first);
    cr_assert_eq(json_object_load(TEXT("{\"c\":{\"d\":\"three\"}}"), 8, &third), 0);
    json_t *const part = json_incref(json_object_get(third, "c"));
    json_decref(third);
    json_object_set(second, "e", part);
    json_decref(second);
    cr_expect_str_eq(json_string_value(json_object_get(part, "d")), "three");
    json_decref(part);
}
