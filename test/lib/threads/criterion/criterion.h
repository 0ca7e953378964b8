/*
 * As much of Criterion as our tests use, for ThreadSanitizer: Criterion shares memory with its workers at an address that
 * ThreadSanitizer keeps for itself, and so cannot start under it. Each test runs in a process of its own, one after the
 * other.
 *
 * Found before the system's <criterion/criterion.h> when SANITIZE holds "thread". A test does not notice.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct criterion_options {
    void (*init)(void);
    void (*fini)(void);
    double timeout;
    int signal, exit_code;
    bool disabled;
    const char *description;
};

struct criterion_test {
    struct criterion_test *next;
    const char *suite, *name;
    void (*function)(void);
    struct criterion_options options;
};

static struct criterion_test *criterion_tests, *criterion_suites;
static const struct criterion_test *criterion_current;
static _Atomic int criterion_n_failed;

#define CRITERION_SKIPPED 77

#define CRITERION_REGISTER(list, id, suite_name, test_name, test_function, ...)                                            \
    __attribute__((constructor)) static void id##_register(void) {                                                         \
        static struct criterion_test test = {                                                                              \
            .suite = suite_name, .name = test_name, .function = test_function, .options = {__VA_ARGS__}};                  \
        test.next = list;                                                                                                  \
        list = &test;                                                                                                      \
    }
#define Test(suite, name, ...)                                                                                             \
    static void suite##_##name##_test(void);                                                                               \
    CRITERION_REGISTER(criterion_tests, suite##_##name, #suite, #name, suite##_##name##_test, __VA_ARGS__)                 \
    static void suite##_##name##_test(void)
#define TestSuite(suite, ...)                                                                                              \
    CRITERION_REGISTER(criterion_suites, suite##_suite, #suite, "", NULL, __VA_ARGS__)                                     \
    struct criterion_ends_with_semicolon

static inline const struct criterion_test *criterion_suite_of(const struct criterion_test *test) {
    for (const struct criterion_test *suite = criterion_suites; suite != NULL; suite = suite->next) {
        if (strcmp(suite->suite, test->suite) == 0)
            return suite;
    }
    return NULL;
}

/* exit(), not _exit(): ThreadSanitizer says at exit whether it saw a race. */
static inline void criterion_leave(int status) {
    const struct criterion_test *suite = criterion_suite_of(criterion_current);
    if (criterion_current->options.fini != NULL)
        criterion_current->options.fini();
    if (suite != NULL && suite->options.fini != NULL)
        suite->options.fini();
    exit(status);
}

static inline void criterion_run(const struct criterion_test *test) {
    const struct criterion_test *suite = criterion_suite_of(test);
    const double timeout = test->options.timeout > 0 ? test->options.timeout : suite != NULL ? suite->options.timeout : 0;
    alarm((unsigned)(timeout > 0 ? timeout * 4 : 120)); /* the sanitizer takes its time */
    criterion_current = test;
    if (suite != NULL && suite->options.init != NULL)
        suite->options.init();
    if (test->options.init != NULL)
        test->options.init();
    test->function();
    criterion_leave(criterion_n_failed > 0);
}

__attribute__((format(printf, 6, 7))) static inline void criterion_check(bool fatal, bool holds, const char *file, int line,
                                                                         const char *text, const char *format, ...) {
    if (holds)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "[----] %s:%d: Assertion Failed: %s\n[----]  ", file, line, text);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    criterion_n_failed++;
    if (fatal)
        criterion_leave(1);
}

#define CRITERION_CHECK(fatal, holds, text, ...) criterion_check(fatal, holds, __FILE__, __LINE__, text, " " __VA_ARGS__)
#define cr_assert(condition, ...) CRITERION_CHECK(true, (condition), #condition, __VA_ARGS__)
#define cr_expect(condition, ...) CRITERION_CHECK(false, (condition), #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...) CRITERION_CHECK(true, !(condition), "not " #condition, __VA_ARGS__)
#define cr_expect_not(condition, ...) CRITERION_CHECK(false, !(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CRITERION_CHECK(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) CRITERION_CHECK(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CRITERION_CHECK(true, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CRITERION_CHECK(false, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CRITERION_CHECK(true, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) CRITERION_CHECK(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CRITERION_CHECK(true, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) CRITERION_CHECK(false, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CRITERION_CHECK(true, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) CRITERION_CHECK(false, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CRITERION_CHECK(true, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) CRITERION_CHECK(false, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(a, ...) CRITERION_CHECK(true, (a) == NULL, #a " == NULL", __VA_ARGS__)
#define cr_expect_null(a, ...) CRITERION_CHECK(false, (a) == NULL, #a " == NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) CRITERION_CHECK(true, (a) != NULL, #a " != NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...) CRITERION_CHECK(false, (a) != NULL, #a " != NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) CRITERION_CHECK(true, strcmp((a), (b)) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) CRITERION_CHECK(false, strcmp((a), (b)) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) CRITERION_CHECK(true, strcmp((a), (b)) != 0, #a " != " #b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) CRITERION_CHECK(false, strcmp((a), (b)) != 0, #a " != " #b, __VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) CRITERION_CHECK(true, (a)[0] != '\0', #a " is not empty", __VA_ARGS__)
#define cr_expect_str_not_empty(a, ...) CRITERION_CHECK(false, (a)[0] != '\0', #a " is not empty", __VA_ARGS__)
#define cr_assert_str_empty(a, ...) CRITERION_CHECK(true, (a)[0] == '\0', #a " is empty", __VA_ARGS__)
#define cr_expect_str_empty(a, ...) CRITERION_CHECK(false, (a)[0] == '\0', #a " is empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) CRITERION_CHECK(true, memcmp((a), (b), (n)) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) CRITERION_CHECK(false, memcmp((a), (b), (n)) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_fail(...) CRITERION_CHECK(true, false, "reached", __VA_ARGS__)
#define cr_expect_fail(...) CRITERION_CHECK(false, false, "reached", __VA_ARGS__)
#define cr_skip_test(...) criterion_leave(CRITERION_SKIPPED)
#define cr_fatal cr_assert_fail
#define cr_fail cr_expect_fail

/* Runs one test. Returns 0, 1 when it failed, 2 when it crashed (or was told of a race). */
static inline int criterion_fork(const struct criterion_test *test) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        criterion_run(test);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 2;
    const int wanted = test->options.exit_code;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == test->options.signal ? 0 : 2;
    if (WEXITSTATUS(status) == CRITERION_SKIPPED || WEXITSTATUS(status) == wanted)
        return 0;
    return WEXITSTATUS(status) == 1 ? 1 : 2;
}

int main(void) {
    size_t n = 0, results[3] = {0};
    for (const struct criterion_test *test = criterion_tests; test != NULL; test = test->next) {
        if (test->options.disabled)
            continue;
        const int result = criterion_fork(test);
        if (result != 0)
            fprintf(stderr, "[%s] %s::%s\n", result == 1 ? "FAIL" : "CRASH", test->suite, test->name);
        results[result]++;
        n++;
    }
    fprintf(stderr, "[====] Synthesis: Tested: %zu | Passing: %zu | Failing: %zu | Crashing: %zu\n", n, results[0],
            results[1], results[2]);
    return results[1] + results[2] > 0;
}
