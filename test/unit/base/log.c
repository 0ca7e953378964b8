#include "base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "lib/memory.h"

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

/* What descriptor 2 was, put back so that Criterion can speak; and the reading end of what it is now. */
static int saved = -1, reader = -1;

static void replace_stderr(int fd) {
    if (saved < 0)
        saved = dup(STDERR_FILENO);
    cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
}

static void put_back(void) {
    if (saved >= 0)
        dup2(saved, STDERR_FILENO);
}

static void into_pipe(void) {
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    reader = ends[0];
    cr_assert_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    replace_stderr(ends[1]);
}

static void into_socket(void) {
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    reader = ends[0];
    cr_assert_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    replace_stderr(ends[1]);
}

/* All that has come, as a string of static memory. */
static char *drain(void) {
    static char all[1 << 21];
    size_t n_bytes = 0;
    for (ssize_t n; (n = read(reader, all + n_bytes, sizeof(all) - 1 - n_bytes)) > 0;)
        n_bytes += (size_t)n;
    all[n_bytes] = '\0';
    return all;
}

static void assert_matches(const char *text, const char *pattern) {
    regex_t regex;
    cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    cr_assert_eq(regexec(&regex, text, 0, NULL, 0), 0, "%s does not match %s", text, pattern);
    regfree(&regex);
}

TestSuite(log, .fini = put_back, .timeout = 20);

Test(log, text_is_a_line_for_people) {
    into_pipe();
    log_info("reload", "generation %d is in use", 7);
    assert_matches(drain(), "^" TIME " INFO    reload: generation 7 is in use\n$");
}

Test(log, json_is_an_object_a_line) {
    into_pipe();
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_error("reload", "config.yaml:1:1: \"x\" is\nno field");
    assert_matches(drain(), "^\\{\"time\":\"" TIME "\",\"level\":\"error\",\"component\":\"reload\",\"message\":"
                            "\"config.yaml:1:1: \\\\\"x\\\\\" is\\\\nno field\"\\}\n$");
}

Test(log, levels_below_the_configured_one_are_silent) {
    into_pipe();
    log_configure(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    log_debug("a", "no");
    log_info("a", "no");
    log_warning("a", "yes");
    log_error("a", "yes");
    assert_matches(drain(), "^" TIME " WARNING a: yes\n" TIME " ERROR   a: yes\n$");
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_debug("a", "yes");
    assert_matches(drain(), "^" TIME " DEBUG   a: yes\n$");
}

Test(log, text_stays_one_line_and_commands_no_terminal) {
    into_pipe();
    log_info("a", "file \x1b[2J\n2026-01-01T00:00:00.000Z ERROR forged\x7f");
    assert_matches(drain(), "^" TIME " INFO    a: file  \\[2J 2026-01-01T00:00:00.000Z ERROR forged \n$");
}

Test(log, a_long_line_is_cut_and_stays_whole_json) {
    into_pipe();
    char long_message[2 * LIMIT_LOG_LINE_BYTES];
    const struct {
        enum log_format format;
        char fill;
        const char *end;
    } cases[] = {
        {LOG_FORMAT_TEXT, 'x', "x\n"}, {LOG_FORMAT_JSON, 'x', "x\"}\n"}, {LOG_FORMAT_JSON, '\x01', "\\u0001\"}\n"}};
    for (size_t i = 0; i < 3; i++) {
        log_configure(LOG_LEVEL_INFO, cases[i].format);
        memset(long_message, cases[i].fill, sizeof(long_message) - 1);
        long_message[sizeof(long_message) - 1] = '\0';
        log_info("a", "%s", long_message);
        const char *line = drain();
        cr_assert_leq(strlen(line), LIMIT_LOG_LINE_BYTES);
        cr_assert_gt(strlen(line), LIMIT_LOG_LINE_BYTES - 256);
        cr_assert_str_eq(line + strlen(line) - strlen(cases[i].end), cases[i].end);
    }
}

Test(log, allocates_nothing_and_keeps_errno) {
    into_pipe();
    memory_fail_at(1);
    errno = ENOTTY;
    log_info("a", "%s", "message");
    cr_assert_eq(errno, ENOTTY);
    cr_assert_not(memory_has_failed());
    memory_fail_at(0);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

/* Writes until lines are lost for sure, within the time of a thread that never waits. */
static void flood(int n_lines) {
    char filler[1000];
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    const int64_t begin_ms = clock_mono_ms(&clock_system);
    for (int i = 0; i < n_lines; i++)
        log_info("flood", "%s", filler);
    cr_assert_lt(clock_mono_ms(&clock_system) - begin_ms, 5000);
}

/* Every line is whole, and those that are not there are counted. */
static void assert_lost_are_told(int n_lines) {
    const size_t n_first = count(drain(), "x\n");
    log_info("after", "read again");
    const char *text = drain();
    const size_t n_later = count(text, "x\n"); /* the rest of a line that a socket had taken a part of */
    char expected[100];
    snprintf(expected, sizeof(expected), "log: %zu log lines were lost because standard error was not read\n",
             (size_t)n_lines - n_first - n_later);
    cr_assert_neq(strstr(text, expected), NULL, "%zu and %zu came; then: %s", n_first, n_later, text);
    assert_matches(text, TIME " INFO    after: read again\n$");
    log_info("after", "once more");
    assert_matches(drain(), "^" TIME " INFO    after: once more\n$");
}

Test(log, a_pipe_that_nobody_reads_never_blocks_and_lost_lines_are_told) {
    into_pipe();
    flood(1000);
    cr_assert_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0, "the flag of a shared pipe was changed");
    assert_lost_are_told(1000);
}

Test(log, a_socket_that_nobody_reads_never_blocks_and_lost_lines_are_told) {
    into_socket();
    flood(2000);
    cr_assert_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0, "the flag of a shared socket was changed");
    assert_lost_are_told(2000);
}

/* As in a container whose standard error is another user's pipe. */
Test(log, a_pipe_that_cannot_be_opened_again_never_blocks_either) {
    if (geteuid() != 0)
        cr_skip_test("needs root to become another user");
    into_pipe();
    cr_assert_eq(fchmod(STDERR_FILENO, 0600), 0);
    cr_assert_eq(seteuid(65534), 0);
    flood(1000);
    assert_lost_are_told(1000);
    cr_assert_eq(seteuid(0), 0);
}

Test(log, a_file_is_appended_to_where_it_stands) {
    char path[] = "/tmp/ki-log-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_eq(write(fd, "before\n", 7), 7);
    reader = open(path, O_RDONLY | O_CLOEXEC);
    replace_stderr(fd);
    log_info("a", "one");
    log_info("a", "two");
    assert_matches(drain(), "^before\n" TIME " INFO    a: one\n" TIME " INFO    a: two\n$");
    unlink(path);
}

Test(log, standard_error_may_be_replaced) {
    into_pipe();
    log_info("a", "one");
    cr_assert_neq(strstr(drain(), "one"), NULL);
    const int first = reader;
    into_pipe();
    log_info("a", "two");
    cr_assert_neq(strstr(drain(), "two"), NULL);
    reader = first;
    cr_assert_str_eq(drain(), "");
}

Test(log, a_closed_standard_error_is_no_failure) {
    into_pipe();
    close(STDERR_FILENO);
    log_info("a", "nobody hears this");
    put_back();
}

static void *write_lines(void *unused) {
    (void)unused;
    for (int i = 0; i < 50; i++) {
        log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_info("thread", "a line of one thread");
    }
    return NULL;
}

Test(log, lines_of_threads_do_not_mix) {
    into_pipe();
    cr_assert_gt(fcntl(reader, F_SETPIPE_SZ, 1 << 18), 0);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_matches(drain(), "^(" TIME " INFO    thread: a line of one thread\n){200}$");
}
