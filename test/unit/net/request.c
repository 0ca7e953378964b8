#include "net/request.h"

#include <criterion/criterion.h>

static h2o_req_t request_of(const char *path) {
    h2o_req_t req = {0};
    req.path = h2o_iovec_init(path, strlen(path));
    const char *query = strchr(path, '?');
    req.query_at = query == NULL ? SIZE_MAX : (size_t)(query - path);
    return req;
}

Test(request, path_is_compared_as_it_came) {
    static const struct {
        const char *path;
        bool is_it;
    } cases[] = {
        {"/authenticate", true},       {"/authenticate?timeout=30s", true}, {"/authenticate?", true},
        {"/authenticate/", false},     {"/authenticatex", false},           {"/authenticat", false},
        {"/AUTHENTICATE", false},      {"/%61uthenticate", false},          {"//authenticate", false},
        {"/x/../authenticate", false}, {"/authenticate;a=b", false},        {"/", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const h2o_req_t req = request_of(cases[i].path);
        cr_expect_eq(request_path_is(&req, TEXT("/authenticate")), cases[i].is_it, "%s", cases[i].path);
    }
}

Test(request, query_is_what_follows_the_question_mark) {
    static const struct {
        const char *path, *query;
    } cases[] = {{"/a?b=c", "b=c"}, {"/a?", ""}, {"/a", ""}, {"/a?b?c", "b?c"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const h2o_req_t req = request_of(cases[i].path);
        cr_expect(text_equal(request_query(&req), text_of(cases[i].query)), "%s", cases[i].path);
    }
}

Test(request, parameters_are_found_by_their_whole_name_and_the_first_counts) {
    static const struct {
        const char *query;
        bool is_there;
        const char *value;
    } cases[] = {
        {"", false, ""},        {"a", true, ""},     {"a=", true, ""},         {"a=1", true, "1"}, {"a=1=2", true, "1=2"},
        {"a=1&a=2", true, "1"}, {"a&a=2", true, ""}, {"b=1&a=2&c", true, "2"}, {"b&a", true, ""},  {"&&a=3&", true, "3"},
        {"=1", false, ""},      {"=a", false, ""},   {"aa=1", false, ""},      {"b=a", false, ""}, {"A=1", false, ""},
        {"%61=1", false, ""},   {"a?=1", false, ""}, {"&", false, ""},         {"=", false, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* On the heap and without a zero behind it, so that a sanitizer sees whoever reads on. */
        const size_t n = strlen(cases[i].query);
        char *bytes = malloc(n == 0 ? 1 : n);
        memcpy(bytes, cases[i].query, n);
        const struct text query = {.data = bytes, .n_bytes = n};
        struct text value = TEXT("untouched");
        cr_expect_eq(request_parameter(query, TEXT("a"), NULL), cases[i].is_there, "%s", cases[i].query);
        cr_expect_eq(request_parameter(query, TEXT("a"), &value), cases[i].is_there, "%s", cases[i].query);
        cr_expect(text_equal(value, cases[i].is_there ? text_of(cases[i].value) : TEXT("untouched")), "%s: %.*s",
                  cases[i].query, (int)value.n_bytes, value.data);
        free(bytes);
    }
}

Test(request, timeout_leaves_a_margin_for_the_answer) {
    cr_expect_eq(request_timeout_ms(TEXT("timeout=30s")), 30000 - LIMIT_DEADLINE_MARGIN_MS);
    cr_expect_eq(request_timeout_ms(TEXT("timeout=1s")), 1000 - LIMIT_DEADLINE_MARGIN_MS);
    cr_expect_eq(request_timeout_ms(TEXT("timeout=100ms")), 90);
}

Test(request, timeout_is_a_duration_of_go) {
    const int64_t margin = LIMIT_DEADLINE_MARGIN_MS;
    static const struct {
        const char *query;
        int64_t ms; /* 0: as if there were none */
    } cases[] = {
        {"timeout=5s", 5000},
        {"timeout=1m", 60000},
        {"timeout=0.5m", 30000},
        {"timeout=1m0s", 60000},
        {"timeout=1.5s", 1500},
        {"a=b&timeout=2s", 2000},
        {"timeout=2s&a=b", 2000},
        {"timeout=9000h", LIMIT_DEADLINE_MS},
        {"timeout=99999999999999999999999s", LIMIT_DEADLINE_MS},
        {"", 0},
        {"timeout=", 0},
        {"timeout=5", 0},
        {"timeout=s", 0},
        {"timeout=-5s", 0},
        {"timeout=5parsec", 0},
        {"xtimeout=5s", 0},
        {"timeout=1.2.3s", 0},
        {"timeout", 0},
        {"timeout=5s junk", 0},
        {"timeout=.s", 0},
        {"timeout=s5", 0},
        {"timeout=.5m", 30000},
        {"timeout=2000000us", 2000},
        {"timeout=3000000000ns", 3000},
        {"timeout=1.25s", 1250},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int64_t expected = cases[i].ms == 0 ? LIMIT_DEADLINE_DEFAULT_MS : cases[i].ms - margin;
        cr_expect_eq(request_timeout_ms(text_of(cases[i].query)), expected, "%s: %lld", cases[i].query,
                     (long long)request_timeout_ms(text_of(cases[i].query)));
    }
}

Test(request, timeout_of_nothing_is_still_a_millisecond) {
    cr_expect_eq(request_timeout_ms(TEXT("timeout=0s")), 1);
    cr_expect_eq(request_timeout_ms(TEXT("timeout=1ms")), 1);
}

static bool is_json_with(const char *type, const char *encoding) {
    h2o_req_t req = {0};
    h2o_mem_init_pool(&req.pool);
    if (type != NULL)
        h2o_add_header(&req.pool, &req.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    if (encoding != NULL)
        h2o_add_header(&req.pool, &req.headers, H2O_TOKEN_CONTENT_ENCODING, NULL, encoding, strlen(encoding));
    const bool is_json = request_is_json(&req);
    h2o_mem_clear_pool(&req.pool);
    return is_json;
}

Test(request, only_plain_json_is_read) {
    cr_expect(is_json_with("application/json", NULL));
    cr_expect(is_json_with("Application/JSON; charset=utf-8", NULL));
    cr_expect(is_json_with("application/json ;charset=utf-8", "identity"));
    cr_expect_not(is_json_with(NULL, NULL));
    cr_expect_not(is_json_with("text/plain", NULL));
    cr_expect_not(is_json_with("application/jsonp", NULL));
    cr_expect_not(is_json_with("application/json+x", NULL));
    cr_expect_not(is_json_with("application/json", "gzip"));
}
