#include "ops/audit.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "lib/memory.h"
#include "ops/audit_line.h"

#define WAIT_MS 10000

static char folder[] = "/tmp/ki-audit-XXXXXX";

static char *page; /* docs/audit.md: tests start in the project's folder */

static char *content_of(const char *path);

static void enter(void) {
    page = content_of("docs/audit.md");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(mkdir("log", 0700), 0);
}

static void leave(void) {
    free(page);
    cr_assert_eq(chdir("/"), 0);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(audit, .init = enter, .fini = leave, .timeout = 60);

/* ---- a disk that can be made to fail: what write() does to files of the log's folder ---- */

static ssize_t (*_Atomic disk)(int fd, const void *bytes, size_t n_bytes);

/* Where the file lies now, absolute. */
static void path_of(int fd, char ret_path[static 256]) {
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, ret_path, 255);
    ret_path[n > 0 ? n : 0] = '\0';
}

static bool is_in_folder(int fd) {
    char path[256];
    path_of(fd, path);
    return strncmp(path, folder, strlen(folder)) == 0;
}

ssize_t write(int fd, const void *bytes, size_t n_bytes) {
    ssize_t (*const fault)(int, const void *, size_t) = disk;
    return fault != NULL && is_in_folder(fd) ? fault(fd, bytes, n_bytes) : syscall(SYS_write, fd, bytes, n_bytes);
}

static ssize_t disk_full(int fd, const void *bytes, size_t n_bytes) {
    (void)fd, (void)bytes, (void)n_bytes;
    errno = ENOSPC;
    return -1;
}

/* The file that was renamed takes nothing more; the new one takes all. */
static ssize_t disk_full_for_the_old(int fd, const void *bytes, size_t n_bytes) {
    char path[256];
    path_of(fd, path);
    return strstr(path, "/log/old") != NULL ? disk_full(fd, bytes, n_bytes) : syscall(SYS_write, fd, bytes, n_bytes);
}

static ssize_t disk_broken(int fd, const void *bytes, size_t n_bytes) {
    (void)fd, (void)bytes, (void)n_bytes;
    errno = EIO;
    return -1;
}

/* A signal now and then, and never more than a few bytes at a time. */
static ssize_t disk_slow(int fd, const void *bytes, size_t n_bytes) {
    static _Atomic unsigned n_calls;
    const unsigned n = ++n_calls;
    if (n % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    const size_t some = n % 7 + 1;
    return syscall(SYS_write, fd, bytes, some < n_bytes ? some : n_bytes);
}

static _Atomic size_t disk_room;

/* Takes disk_room bytes, then is full. */
static ssize_t disk_filling(int fd, const void *bytes, size_t n_bytes) {
    if (disk_room == 0)
        return disk_full(fd, bytes, n_bytes);
    const size_t n = n_bytes < disk_room ? n_bytes : disk_room;
    disk_room -= n;
    return syscall(SYS_write, fd, bytes, n);
}

static _Atomic bool disk_hangs;

static void pause_ms(void) {
    const struct timespec ms = {.tv_nsec = 1000000};
    nanosleep(&ms, NULL);
}

static ssize_t disk_hanging(int fd, const void *bytes, size_t n_bytes) {
    while (disk_hangs)
        pause_ms();
    return syscall(SYS_write, fd, bytes, n_bytes);
}

/* ---- help ---- */

/* Polls until the condition holds, or the deadline of the test has come. */
#define wait_for(condition)                                                                                                \
    do {                                                                                                                   \
        const int64_t until_ms = clock_mono_ms(&clock_system) + WAIT_MS;                                                   \
        bool holds;                                                                                                        \
        while (!(holds = (condition)) && clock_mono_ms(&clock_system) < until_ms)                                          \
            pause_ms();                                                                                                    \
        cr_assert(holds, "never: " #condition);                                                                            \
    } while (0)

static struct audit *start(const char *path, bool refuse) {
    struct audit *audit;
    struct error error = {0};
    const struct audit_settings settings = {.path = path, .refuse_when_unwritable = refuse};
    cr_assert_eq(audit_start(&settings, &audit, &error), 0, "%s", error.text);
    return audit;
}

static struct audit_stats stats_of(struct audit *audit) {
    struct audit_stats stats;
    audit_stats(audit, &stats);
    return stats;
}

static struct audit_record record_of(uint64_t id) {
    return (struct audit_record){.unix_ms = 1767225600000,
                                 .request_id = id,
                                 .verdict = VERDICT_ALLOW,
                                 .reason = REASON_OK,
                                 .user = TEXT("{\"username\":\"corp:ada\"}"),
                                 .provider_us = -1};
}

static int write_id(struct audit *audit, uint64_t id) {
    const struct audit_record record = record_of(id);
    return audit_write(audit, &record);
}

/* All of a file, terminated, on the heap; "" where there is none. */
static char *content_of(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return calloc(1, 1);
    char *content = calloc(1, 1 << 23);
    cr_assert_lt(fread(content, 1, (1 << 23) - 1, file), (1 << 23) - 1);
    fclose(file);
    return content;
}

static bool has_content(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && status.st_size > 0;
}

/* Notes which ids the file's lines have; each must be whole JSON and no id may come twice. Returns how many lines. */
static size_t note_ids(const char *path, bool *seen, size_t n_ids) {
    char *content = content_of(path), *rest = NULL;
    size_t n = 0;
    cr_assert(content[0] == '\0' || content[strlen(content) - 1] == '\n', "%s ends within a line", path);
    for (char *line = strtok_r(content, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), n++) {
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(object, "%s: %s", path, line);
        const uint64_t id = strtoull(json_string_value(json_object_get(object, "requestID")), NULL, 16);
        cr_assert_lt(id, n_ids);
        cr_assert_not(seen[id], "record %d came twice", (int)id);
        seen[id] = true;
        json_decref(object);
    }
    free(content);
    return n;
}

static void assert_has_ids_once(const char *path, size_t n_ids) {
    bool *seen = calloc(n_ids, 1);
    cr_assert_eq(note_ids(path, seen, n_ids), n_ids);
    free(seen);
}

/* ---- a line ---- */

static const uint8_t digest[DIGEST_BYTES] = {0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78, 0x87, 0x96, 0xa5,
                                             0xb4, 0xc3, 0xd2, 0xe1, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                             0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static char *line_of(const struct audit_record *record) {
    struct audit_line line;
    audit_line_format(record, &line);
    char *joined = calloc(1, line.n_bytes + 1);
    size_t n_bytes = 0;
    for (size_t i = 0; i < 3; i++) {
        if (line.pieces[i].n_bytes > 0)
            memcpy(joined + n_bytes, line.pieces[i].data, line.pieces[i].n_bytes);
        n_bytes += line.pieces[i].n_bytes;
    }
    cr_assert_eq(n_bytes, line.n_bytes);
    return joined;
}

static void assert_line(const struct audit_record *record, const char *expected) {
    char *line = line_of(record);
    cr_assert_str_eq(line, expected, "%s", line);
    free(line);
}

Test(audit, a_record_is_a_line_of_json) {
    const struct audit_record record = {.unix_ms = 1767225599007,
                                        .cluster = TEXT("production-1"),
                                        .request_id = 0x0123456789abcdef,
                                        .issuer = TEXT("corp"),
                                        .caller = TEXT("kube-apiserver"),
                                        .verdict = VERDICT_ALLOW,
                                        .reason = REASON_OK,
                                        .cache = CACHE_OUTCOME_MISS,
                                        .user = TEXT("{\"username\":\"corp:ada\",\"groups\":[\"corp:dev\"]}"),
                                        .digest = digest,
                                        .provider_us = 12345,
                                        .duration_us = 12400,
                                        .generation = 3};
    assert_line(
        &record,
        "{\"time\":\"2025-12-31T23:59:59.007Z\",\"cluster\":\"production-1\","
        "\"requestID\":\"0123456789abcdef\",\"kind\":\"TokenReview\",\"verdict\":\"allow\",\"reason\":\"ok\",\"issuer\":\"corp\","
        "\"user\":{\"username\":\"corp:ada\",\"groups\":[\"corp:dev\"]},"
        "\"credential\":\"0f1e2d3c4b5a69788796a5b4c3d2e1f0\",\"cache\":\"miss\","
        "\"providerMicroseconds\":12345,\"durationMicroseconds\":12400,"
        "\"caller\":\"kube-apiserver\",\"generation\":3}\n");
}

Test(audit, a_request_after_the_login_says_who_asks_and_for_what) {
    struct audit_record record = record_of(1);
    record.kind = AUDIT_AUTHORIZATION;
    record.issuer = TEXT("");
    record.subject = (struct audit_subject){.username = TEXT("corp:\"ada\""), .uid = TEXT("9f2e")};
    record.request = (struct audit_request){.verb = TEXT("update"),
                                            .group = TEXT("apps"),
                                            .resource = TEXT("deployments"),
                                            .subresource = TEXT("scale"),
                                            .namespace_name = TEXT("team-a"),
                                            .name = TEXT("web")};
    char *line = line_of(&record);
    cr_expect_not_null(strstr(line, "\"kind\":\"SubjectAccessReview\",\"verdict\":"), "%s", line);
    cr_expect_not_null(strstr(line, "\"user\":{\"username\":\"corp:\\\"ada\\\"\",\"uid\":\"9f2e\"},"
                                    "\"request\":{\"verb\":\"update\",\"group\":\"apps\",\"resource\":\"deployments\","
                                    "\"subresource\":\"scale\",\"namespace\":\"team-a\",\"name\":\"web\"},\"c"),
                       "%s", line);
    free(line);
    record.subject.uid = TEXT("");
    record.request = (struct audit_request){.verb = TEXT("get"), .path = TEXT("/healthz")};
    line = line_of(&record);
    cr_expect_not_null(strstr(line, "\"user\":{\"username\":\"corp:\\\"ada\\\"\"},"
                                    "\"request\":{\"verb\":\"get\",\"path\":\"/healthz\"},\"c"),
                       "%s", line);
    free(line);
}

/* Rules with names of the greatest length, as many as there can be, and what came of them. */
static struct admission_rule rules[LIMIT_ADMISSION_RULES];
static const struct policy ruled = {.rules = rules, .n_rules = LIMIT_ADMISSION_RULES};

static struct admission_results all_failed(void) {
    static char name[LIMIT_ADMISSION_RULE_NAME_BYTES + 1];
    struct admission_results results = {.n_items = LIMIT_ADMISSION_RULES};
    memset(name, 'r', LIMIT_ADMISSION_RULE_NAME_BYTES);
    for (size_t i = 0; i < LIMIT_ADMISSION_RULES; i++) {
        rules[i] = (struct admission_rule){.name = text_of(name), .action = ADMISSION_ACTION_AUDIT};
        results.items[i] = (struct admission_result){ADMISSION_FAILED, ADMISSION_CAUSE_MASTERS};
    }
    return results;
}

Test(audit, a_change_has_its_operation_and_the_rules_that_are_about_it) {
    struct audit_record record = record_of(1);
    struct admission_results results = all_failed();
    rules[0].name = TEXT("mfa");
    rules[0].action = ADMISSION_ACTION_DENY;
    rules[2].name = TEXT("mapped");
    results.n_items = 3;
    results.items[0].cause = ADMISSION_CAUSE_AMR;
    results.items[1].state = ADMISSION_NOT_ABOUT;
    results.items[2] = (struct admission_result){.state = ADMISSION_HELD};
    record.kind = AUDIT_ADMISSION;
    record.subject = (struct audit_subject){.username = TEXT("corp:ada")};
    record.request = (struct audit_request){.verb = TEXT("CREATE"), .resource = TEXT("pods"), .is_dry_run = true};
    record.policy = &ruled;
    record.results = &results;
    char *line = line_of(&record);
    cr_expect_not_null(strstr(line, "\"kind\":\"AdmissionReview\""), "%s", line);
    cr_expect_not_null(strstr(line, "\"request\":{\"verb\":\"CREATE\",\"resource\":\"pods\",\"dryRun\":true},"
                                    "\"rules\":[{\"name\":\"mfa\",\"action\":\"Deny\",\"result\":\"failed\","
                                    "\"cause\":\"amr\"},{\"name\":\"mapped\",\"action\":\"Audit\","
                                    "\"result\":\"held\"}],"),
                       "%s", line);
    free(line);
    results.n_items = 0;
    line = line_of(&record);
    cr_expect_not_null(strstr(line, ",\"rules\":[],"), "%s", line);
    free(line);
}

Test(audit, the_fields_of_a_line_and_of_the_documentation_are_the_same) {
    struct audit_record record = record_of(1);
    const struct admission_results results = all_failed();
    record.kind = AUDIT_ADMISSION; /* which has all that others have */
    record.policy = &ruled;
    record.results = &results;
    record.reason = REASON_DEGRADED;
    record.cluster = record.issuer = record.caller = TEXT("name");
    record.digest = digest;
    record.provider_us = 1;
    char *line = line_of(&record), row[64];
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL), *value;
    const char *key;
    size_t n_documented = 0;
    json_object_foreach(object, key, value) {
        snprintf(row, sizeof(row), "\n| `%s` | ", key);
        cr_assert_not_null(strstr(page, row), "docs/audit.md has no row for %s", key);
    }
    for (const char *at = page; (at = strstr(at, "\n| `")) != NULL; at++, n_documented++) {
        cr_assert_eq(sscanf(at, "\n| `%63[a-zA-Z]`", row), 1);
        cr_assert_not_null(json_object_get(object, row), "%s is in docs/audit.md only", row);
    }
    cr_assert_eq(n_documented, json_object_size(object));
    json_decref(object);
    free(line);
}

Test(audit, a_degraded_answer_says_why_the_provider_could_not_answer) {
    struct audit_record record = record_of(1);
    record.because = REASON_BREAKER_OPEN;
    char *line = line_of(&record);
    cr_expect_null(strstr(line, "because"), "%s", line);
    free(line);
    record.reason = REASON_DEGRADED;
    line = line_of(&record);
    cr_expect_not_null(strstr(line, "\"reason\":\"degraded\",\"because\":\"breaker_open\",\""), "%s", line);
    free(line);
}

Test(audit, what_is_absent_is_left_out) {
    const struct audit_record record = {.unix_ms = 1767225600000,
                                        .verdict = VERDICT_DENY,
                                        .reason = REASON_TOKEN_MALFORMED,
                                        .cache = CACHE_OUTCOME_NONE,
                                        .provider_us = -1};
    assert_line(&record,
                "{\"time\":\"2026-01-01T00:00:00.000Z\",\"requestID\":\"0000000000000000\",\"kind\":\"TokenReview\","
                "\"verdict\":\"deny\","
                "\"reason\":\"token_malformed\",\"cache\":\"none\",\"durationMicroseconds\":0,\"generation\":0}\n");
}

Test(audit, every_reason_verdict_and_cache_outcome_has_its_word) {
    for (int reason = 0; reason < N_REASONS; reason++) {
        struct audit_record record = record_of(1);
        record.reason = (enum reason)reason;
        record.verdict = reason_verdict(record.reason);
        record.cache = (enum cache_outcome)(reason % (CACHE_OUTCOME_MISS + 1));
        char *line = line_of(&record);
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_str_eq(json_string_value(json_object_get(object, "reason")), reason_word(record.reason));
        cr_assert_str_eq(json_string_value(json_object_get(object, "verdict")), verdict_word(record.verdict));
        cr_assert_str_eq(json_string_value(json_object_get(object, "cache")), cache_outcome_word(record.cache));
        json_decref(object);
        free(line);
    }
}

Test(audit, the_second_is_right_whenever_it_changes) {
    const struct {
        int64_t unix_ms;
        const char *time;
    } cases[] = {{1767225600000, "2026-01-01T00:00:00.000Z"},
                 {1767225600999, "2026-01-01T00:00:00.999Z"},
                 {1767225601000, "2026-01-01T00:00:01.000Z"},
                 {1767225600010, "2026-01-01T00:00:00.010Z"},
                 {951782400000, "2000-02-29T00:00:00.000Z"},
                 {0, "1970-01-01T00:00:00.000Z"},
                 {-1, "1970-01-01T00:00:00.000Z"},
                 {INT64_MAX, "1970-01-01T00:00:00.000Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct audit_record record = record_of(1);
        record.unix_ms = cases[i].unix_ms;
        char *line = line_of(&record);
        cr_assert_eq(strncmp(line + 9, cases[i].time, 24), 0, "%s", line);
        free(line);
    }
}

Test(audit, a_name_cannot_leave_its_quotes_and_is_cut) {
    char control[1000];
    memset(control, '\x01', sizeof(control));
    const struct text name = {.data = control, .n_bytes = sizeof(control)};
    struct audit_record record = record_of(UINT64_MAX);
    const struct admission_results results = all_failed();
    record.kind = AUDIT_ADMISSION;
    record.policy = &ruled;
    record.results = &results;
    record.cluster = record.issuer = record.caller = name; /* six bytes for each of all: the longest line there is */
    record.subject = (struct audit_subject){name, name};
    record.request = (struct audit_request){name, name, name, name, name, name, name, true};
    record.reason = REASON_DEGRADED;
    record.because = REASON_CLIENT_CREDENTIALS_REJECTED;
    record.verdict = VERDICT_UNAVAILABLE;
    record.cache = CACHE_OUTCOME_NEGATIVE;
    record.digest = digest;
    record.provider_us = record.duration_us = INT64_MAX;
    record.generation = UINT32_MAX;
    char *line = line_of(&record);
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(object, "%s", line);
    cr_assert_eq(json_string_length(json_object_get(object, "caller")), LIMIT_AUDIT_NAME_BYTES);
    cr_assert_eq(json_string_length(json_object_get(json_object_get(object, "user"), "uid")), LIMIT_UID_BYTES);
    cr_assert_eq(json_string_length(json_object_get(json_object_get(object, "request"), "path")), LIMIT_AUDIT_NAME_BYTES);
    cr_assert_eq(json_integer_value(json_object_get(object, "generation")), UINT32_MAX);
    cr_assert_str_eq(line + strlen(line) - 2, "}\n");
    json_decref(object);
    free(line);

    record.caller = TEXT("a\",\"verdict\":\"allow\n");
    line = line_of(&record);
    cr_assert_not_null(strstr(line, "\"caller\":\"a\\\",\\\"verdict\\\":\\\"allow\\n\""));
    free(line);
}

/* ---- the file ---- */

Test(audit, records_are_written_in_order) {
    struct audit *audit = start("log/audit", true);
    for (uint64_t id = 0; id < 1000; id++)
        cr_assert_eq(write_id(audit, id), 0);
    wait_for(stats_of(audit).n_written == 1000);
    const struct audit_stats stats = stats_of(audit);
    cr_assert_eq(stats.queue_bytes, 0);
    cr_assert(stats.writable);
    cr_assert_eq(stats.n_lost + stats.n_refused + stats.n_write_errors, 0);
    audit_stop(audit);
    char *content = content_of("log/audit"), *at = content;
    for (uint64_t id = 0; id < 1000; id++) {
        char part[64];
        snprintf(part, sizeof(part), "\"requestID\":\"%016llx\"", (unsigned long long)id);
        at = strstr(at, part);
        cr_assert_not_null(at, "record %d is missing or not in order", (int)id);
    }
    free(content);
    assert_has_ids_once("log/audit", 1000);
}

Test(audit, stop_writes_what_is_queued) {
    struct audit *audit = start("log/audit", true);
    for (uint64_t id = 0; id < 500; id++)
        cr_assert_eq(write_id(audit, id), 0);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 500);
    audit_stop(NULL);
}

Test(audit, a_large_user_is_written_whole) {
    char *user = calloc(1, LIMIT_IDENTITY_BYTES + 1);
    memset(user, 'x', LIMIT_IDENTITY_BYTES);
    user[0] = user[LIMIT_IDENTITY_BYTES - 1] = '"';
    struct audit_record record = record_of(7);
    record.user = text_of(user);
    struct audit *audit = start("log/audit", true);
    cr_assert_eq(audit_write(audit, &record), 0);
    audit_stop(audit);
    char *content = content_of("log/audit");
    json_t *object = json_loads(content, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_eq(json_string_length(json_object_get(object, "user")), LIMIT_IDENTITY_BYTES - 2);
    json_decref(object);
    free(content);
    free(user);
}

Test(audit, the_file_is_made_for_its_group_to_read_and_kept_when_it_is_there) {
    umask(0);
    audit_stop(start("log/audit", true));
    struct stat status;
    cr_assert_eq(stat("log/audit", &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0640);

    for (uint64_t id = 0; id < 3; id++) { /* three starts, one after the other */
        struct audit *audit = start("log/audit", true);
        cr_assert_eq(write_id(audit, id), 0);
        audit_stop(audit);
    }
    assert_has_ids_once("log/audit", 3);
}

Test(audit, a_line_that_a_crash_left_half_written_does_not_swallow_the_next) {
    FILE *file = fopen("log/audit", "w");
    fputs("{\"time\":\"2026-01-0", file);
    fclose(file);
    struct audit *audit = start("log/audit", true);
    cr_assert_eq(write_id(audit, 1), 0);
    audit_stop(audit);
    char *content = content_of("log/audit");
    cr_assert_eq(strncmp(content, "{\"time\":\"2026-01-0\n{\"time\":", 26), 0, "%s", content);
    free(content);
}

Test(audit, minus_is_standard_output) {
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    const int saved = dup(STDOUT_FILENO);
    cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    struct audit *audit = start("-", true);
    for (uint64_t id = 0; id < 100; id++)
        cr_assert_eq(write_id(audit, id), 0);
    audit_stop(audit);
    dup2(saved, STDOUT_FILENO);
    close(ends[1]);
    FILE *file = fopen("log/copy", "w");
    char bytes[4096];
    for (ssize_t n; (n = read(ends[0], bytes, sizeof(bytes))) > 0;)
        fwrite(bytes, 1, (size_t)n, file);
    fclose(file);
    assert_has_ids_once("log/copy", 100);
}

static void assert_start_fails(const char *path, int expected, const char *text) {
    struct audit *audit = NULL;
    struct error error = {0};
    const struct audit_settings settings = {.path = path};
    cr_assert_eq(audit_start(&settings, &audit, &error), expected, "%s", error.text);
    cr_assert_null(audit);
    cr_assert_str_eq(error.text, text);
}

Test(audit, a_log_that_cannot_be_opened_stops_the_start_and_says_the_way_out) {
    assert_start_fails("none/audit", -ENOENT,
                       "audit.path: none/audit cannot be opened for writing: No such file or directory: make its "
                       "folder, or correct the path");
    assert_start_fails("log", -EISDIR, "audit.path: log cannot be opened for writing: Is a directory");
    cr_assert_eq(mkfifo("log/fifo", 0600), 0);
    assert_start_fails("log/fifo", -ENXIO,
                       "audit.path: log/fifo cannot be opened for writing: No such device or address: start the reader "
                       "of this FIFO first");
    char long_path[PATH_MAX + 2] = "";
    memset(long_path, 'x', PATH_MAX + 1);
    struct audit *audit = NULL;
    struct error error = {0};
    const struct audit_settings settings = {.path = long_path};
    cr_assert_eq(audit_start(&settings, &audit, &error), -ENAMETOOLONG);
}

Test(audit, survives_each_allocation_that_fails) {
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct audit *audit = NULL;
        struct error error = {0};
        const struct audit_settings settings = {.path = "log/audit"};
        memory_fail_at(n);
        const int r = audit_start(&settings, &audit, &error);
        failed = memory_has_failed();
        cr_assert_eq(r, failed ? -ENOMEM : 0);
        if (r == 0) { /* and a record takes no memory at all */
            memory_fail_at(1);
            cr_assert_eq(write_id(audit, 0), 0);
            cr_assert_not(memory_has_failed());
        }
        memory_fail_at(0);
        audit_stop(audit);
    }
    assert_has_ids_once("log/audit", 1);
}

Test(audit, the_writer_takes_no_signal) {
    struct audit *audit = start("log/audit", true);
    DIR *tasks = opendir("/proc/self/task");
    bool found = false;
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[64 + sizeof(task->d_name)];
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
        char *status = content_of(path);
        if (strncmp(status, "Name:\taudit writer\n", 19) == 0) {
            const uint64_t blocked = strtoull(strstr(status, "SigBlk:") + 7, NULL, 16);
            found = true;
            for (int signal = 1; signal < SIGRTMIN; signal++) {
                const bool can_be_blocked = signal != SIGKILL && signal != SIGSTOP && signal < 32;
                cr_assert(!can_be_blocked || (blocked >> (signal - 1) & 1) == 1, "signal %d", signal);
            }
        }
        free(status);
    }
    closedir(tasks);
    cr_assert(found);
    sigset_t ours;
    pthread_sigmask(SIG_SETMASK, NULL, &ours);
    cr_assert_not(sigismember(&ours, SIGTERM), "the caller's own mask was changed");
    audit_stop(audit);
}

/* ---- rotation ---- */

Test(audit, a_renamed_file_is_noticed_and_no_line_is_lost) {
    struct audit *audit = start("log/audit", true);
    uint64_t id = 0;
    for (int round = 0; round < 3; round++) {
        char old[32];
        snprintf(old, sizeof(old), "log/audit.%d", round);
        cr_assert_eq(write_id(audit, id++), 0);
        wait_for(has_content("log/audit"));
        cr_assert_eq(rename("log/audit", old), 0);
        cr_assert_eq(write_id(audit, id++), 0);
        wait_for(stats_of(audit).n_written == id && access("log/audit", F_OK) == 0);
    }
    audit_stop(audit);
    bool seen[6] = {0};
    cr_assert_eq(note_ids("log/audit.0", seen, 6) + note_ids("log/audit.1", seen, 6) + note_ids("log/audit.2", seen, 6) +
                     note_ids("log/audit", seen, 6),
                 6);
}

Test(audit, a_removed_file_is_made_again_without_a_record_being_written) {
    struct audit *audit = start("log/audit", true);
    cr_assert_eq(unlink("log/audit"), 0);
    wait_for(access("log/audit", F_OK) == 0);
    cr_assert_eq(write_id(audit, 0), 0);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 1);
}

Test(audit, a_truncated_file_goes_on_from_its_start) {
    struct audit *audit = start("log/audit", true);
    cr_assert_eq(write_id(audit, 1), 0);
    wait_for(has_content("log/audit"));
    cr_assert_eq(truncate("log/audit", 0), 0);
    cr_assert_eq(write_id(audit, 0), 0);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 1);
}

Test(audit, reopen_follows_the_path) {
    struct audit *audit = start("log/audit", true);
    cr_assert_eq(rename("log/audit", "log/old"), 0);
    audit_reopen(audit);
    wait_for(access("log/audit", F_OK) == 0);
    audit_stop(audit);
}

/* ---- settings ---- */

Test(audit, a_new_path_is_used_from_then_on) {
    struct audit *audit = start("log/one", true);
    cr_assert_eq(write_id(audit, 0), 0);
    wait_for(has_content("log/one"));
    const struct audit_settings settings = {.path = "log/two", .refuse_when_unwritable = true};
    audit_configure(audit, &settings);
    wait_for(access("log/two", F_OK) == 0);
    cr_assert_eq(write_id(audit, 0), 0);
    audit_stop(audit);
    assert_has_ids_once("log/one", 1);
    assert_has_ids_once("log/two", 1);
}

Test(audit, a_new_path_that_cannot_be_opened_leaves_the_old_file_in_use_until_it_can) {
    struct audit *audit = start("log/one", true);
    const struct audit_settings settings = {.path = "later/two", .refuse_when_unwritable = true};
    audit_configure(audit, &settings);
    cr_assert_eq(write_id(audit, 0), 0);
    wait_for(has_content("log/one"));
    cr_assert(stats_of(audit).writable);
    cr_assert_eq(mkdir("later", 0700), 0);
    wait_for(access("later/two", F_OK) == 0);
    cr_assert_eq(write_id(audit, 0), 0);
    audit_stop(audit);
    assert_has_ids_once("log/one", 1);
    assert_has_ids_once("later/two", 1);
}

Test(audit, a_path_that_is_too_long_changes_nothing) {
    char long_path[PATH_MAX + 2] = "";
    memset(long_path, 'x', PATH_MAX + 1);
    struct audit *audit = start("log/audit", true);
    const struct audit_settings settings = {.path = long_path, .refuse_when_unwritable = true};
    audit_configure(audit, &settings);
    cr_assert_eq(write_id(audit, 0), 0);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 1);
}

/* ---- a disk that does not take lines ---- */

Test(audit, refuse_answers_refused_once_the_disk_is_full) {
    struct audit *audit = start("/dev/full", true);
    cr_assert_eq(write_id(audit, 0), 0, "the first is not known to fail yet");
    wait_for(!stats_of(audit).writable);
    cr_assert_eq(write_id(audit, 1), AUDIT_REFUSED);
    const struct audit_stats stats = stats_of(audit);
    cr_assert_eq(stats.n_refused, 1);
    cr_assert_eq(stats.n_lost, 0);
    cr_assert_eq(stats.n_written, 0);
    cr_assert_geq(stats.n_write_errors, 1);
    /* to a good disk, so that the stop need not wait for this one */
    const struct audit_settings settings = {.path = "log/audit", .refuse_when_unwritable = true};
    audit_configure(audit, &settings);
    wait_for(stats_of(audit).writable);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 1);
}

Test(audit, continue_keeps_what_fits_and_counts_what_is_lost) {
    struct audit *audit = start("/dev/full", false);
    char *user = calloc(1, 100001);
    memset(user, 'x', 100000);
    user[0] = user[99999] = '"';
    uint64_t n = 0;
    for (; n < 1000 && stats_of(audit).n_lost < 10; n++) {
        struct audit_record record = record_of(n);
        record.user = text_of(user);
        cr_assert_eq(audit_write(audit, &record), 0);
    }
    const struct audit_stats stats = stats_of(audit);
    cr_assert_eq(stats.n_lost, 10);
    cr_assert_eq(stats.n_refused, 0);
    cr_assert_leq(stats.queue_bytes, LIMIT_AUDIT_QUEUE_BYTES);
    cr_assert_gt(stats.queue_bytes, LIMIT_AUDIT_QUEUE_BYTES - 120000);

    const struct audit_settings settings = {.path = "log/audit", .refuse_when_unwritable = false};
    audit_configure(audit, &settings);
    wait_for(stats_of(audit).n_written == n - 10 && stats_of(audit).writable);
    cr_assert_eq(stats_of(audit).queue_bytes, 0);
    audit_stop(audit);
    struct stat status;
    cr_assert_eq(stat("log/audit", &status), 0);
    cr_assert_geq((size_t)status.st_size, stats.queue_bytes);
    free(user);
}

Test(audit, a_full_queue_refuses_before_the_disk_has_failed) {
    disk_hangs = true;
    disk = disk_hanging;
    struct audit *audit = start("log/audit", true);
    char *user = calloc(1, 100001);
    memset(user, 'x', 100000);
    user[0] = user[99999] = '"';
    struct audit_record record = record_of(0);
    record.user = text_of(user);
    uint64_t n = 0;
    while (n < 1000 && audit_write(audit, &record) == 0)
        n++;
    cr_assert_lt(n, 1000);
    cr_assert(stats_of(audit).writable);
    cr_assert_eq(stats_of(audit).n_refused, 1);
    disk_hangs = false;
    wait_for(stats_of(audit).n_written == n);
    cr_assert_eq(audit_write(audit, &record), 0);
    audit_stop(audit);
    free(user);
}

Test(audit, a_disk_that_was_full_neither_splits_nor_repeats_a_line) {
    struct audit *audit = start("log/audit", true);
    uint64_t n = 0;
    for (size_t room = 0; room < 420; room += 23) { /* a line is some 190 bytes: it fills up at every kind of place */
        disk_room = room;
        disk = disk_filling;
        cr_assert_eq(write_id(audit, n++), 0);
        n += write_id(audit, n) == 0; /* refused, if the writer was quick to find it full */
        wait_for(!stats_of(audit).writable || stats_of(audit).n_written == n);
        const bool writable = stats_of(audit).writable;
        cr_assert_eq(write_id(audit, n), writable ? 0 : AUDIT_REFUSED);
        n += writable;
        disk = NULL;
        wait_for(stats_of(audit).n_written == n && stats_of(audit).writable); /* it became good again by itself */
        cr_assert_eq(stats_of(audit).queue_bytes, 0);
    }
    audit_stop(audit);
    assert_has_ids_once("log/audit", n);
}

/* The kernel's own partial writes and failure, by a limit on the size of files. */
Test(audit, a_file_at_its_size_limit_goes_on_when_the_limit_is_raised) {
    struct audit *audit = start("log/audit", false);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit small = {.rlim_cur = 500, .rlim_max = limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (uint64_t id = 0; id < 10; id++)
        cr_assert_eq(write_id(audit, id), 0);
    wait_for(!stats_of(audit).writable);
    struct stat status;
    cr_assert_eq(stat("log/audit", &status), 0);
    cr_assert_eq(status.st_size, 500);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    wait_for(stats_of(audit).n_written == 10);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 10);
}

Test(audit, short_writes_and_signals_are_gone_on_from) {
    disk = disk_slow;
    struct audit *audit = start("log/audit", true);
    for (uint64_t id = 0; id < 200; id++)
        cr_assert_eq(write_id(audit, id), 0);
    audit_stop(audit);
    disk = NULL;
    assert_has_ids_once("log/audit", 200);
}

Test(audit, a_broken_descriptor_is_opened_anew_and_its_line_goes_on) {
    struct audit *audit = start("log/audit", false);
    disk_room = 300;
    disk = disk_filling;
    for (uint64_t id = 0; id < 5; id++)
        cr_assert_eq(write_id(audit, id), 0);
    wait_for(disk_room == 0);
    disk = disk_broken;
    wait_for(stats_of(audit).n_write_errors > 3);
    disk = NULL;
    wait_for(stats_of(audit).n_written == 5);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 5);
}

Test(audit, a_line_that_a_full_disk_cut_is_whole_in_the_next_file) {
    struct audit *audit = start("log/audit", false);
    disk_room = 300; /* the second line is cut */
    disk = disk_filling;
    for (uint64_t id = 0; id < 4; id++)
        cr_assert_eq(write_id(audit, id), 0);
    wait_for(!stats_of(audit).writable);
    disk = disk_full;
    cr_assert_eq(rename("log/audit", "log/old"), 0);
    disk = disk_full_for_the_old;
    wait_for(stats_of(audit).n_written == 4);
    audit_stop(audit);
    bool seen[4] = {0};
    cr_assert_eq(note_ids("log/audit", seen, 4), 3);
    cr_assert_not(seen[0]);
    char *old = content_of("log/old");
    cr_assert_eq(strlen(old), 300);
    free(old);
}

/* As often as it takes: the writer may look between the two, and make its file again. */
static void remove_folder(void) {
    do
        (void)unlink("log/audit");
    while (rmdir("log") != 0 && errno == ENOTEMPTY);
    cr_assert_neq(access("log", F_OK), 0);
}

Test(audit, a_vanished_folder_refuses_until_it_is_back) {
    struct audit *audit = start("log/audit", true);
    cr_assert_eq(write_id(audit, 0), 0);
    wait_for(stats_of(audit).n_written == 1);
    remove_folder();
    wait_for(!stats_of(audit).writable); /* noticed without a record */
    cr_assert_eq(write_id(audit, 0), AUDIT_REFUSED);
    cr_assert_eq(mkdir("log", 0700), 0);
    wait_for(stats_of(audit).writable);
    cr_assert_eq(write_id(audit, 0), 0);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 1);
}

Test(audit, with_continue_records_wait_for_a_vanished_folder) {
    struct audit *audit = start("log/audit", false);
    remove_folder();
    wait_for(!stats_of(audit).writable);
    for (uint64_t id = 0; id < 10; id++)
        cr_assert_eq(write_id(audit, id), 0);
    cr_assert_eq(mkdir("log", 0700), 0);
    wait_for(stats_of(audit).n_written == 10);
    audit_stop(audit);
    assert_has_ids_once("log/audit", 10);
}

static int open_reader(void) {
    const int reader = open("log/fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_geq(reader, 0);
    return reader;
}

static void append_all(int reader, const char *path) {
    FILE *file = fopen(path, "a");
    char bytes[65536];
    for (ssize_t n; (n = read(reader, bytes, sizeof(bytes))) > 0;)
        fwrite(bytes, 1, (size_t)n, file);
    fclose(file);
}

Test(audit, a_fifo_whose_reader_went_refuses_and_the_next_reader_goes_on) {
    cr_assert_eq(mkfifo("log/fifo", 0600), 0);
    int reader = open_reader();
    struct audit *audit = start("log/fifo", true);
    cr_assert_eq(write_id(audit, 0), 0);
    wait_for(stats_of(audit).n_written == 1);
    append_all(reader, "log/copy");
    close(reader);
    cr_assert_eq(write_id(audit, 1), 0);
    wait_for(!stats_of(audit).writable);
    cr_assert_eq(write_id(audit, 2), AUDIT_REFUSED);
    reader = open_reader();
    wait_for(stats_of(audit).writable);
    cr_assert_eq(write_id(audit, 2), 0);
    audit_stop(audit);
    append_all(reader, "log/copy");
    close(reader);
    assert_has_ids_once("log/copy", 3);
}

Test(audit, a_fifo_is_given_whole_lines_so_that_its_next_reader_begins_with_one) {
    cr_assert_eq(mkfifo("log/fifo", 0600), 0);
    int reader = open_reader();
    struct audit *audit = start("log/fifo", true);
    for (uint64_t id = 0; id < 1000; id++)
        cr_assert_eq(write_id(audit, id), 0);
    while (stats_of(audit).n_written < 1000) { /* each reader takes all there is, as a new one every time */
        append_all(reader, "log/copy");
        close(reader);
        reader = open_reader();
        char *content = content_of("log/copy");
        cr_assert(content[0] == '\0' || content[strlen(content) - 1] == '\n', "a reader ended within a line");
        free(content);
    }
    audit_stop(audit);
    append_all(reader, "log/copy");
    close(reader);
    assert_has_ids_once("log/copy", 1000);
}

Test(audit, a_fifo_whose_reader_is_slow_is_waited_for) {
    cr_assert_eq(mkfifo("log/fifo", 0600), 0);
    const int reader = open_reader();
    struct audit *audit = start("log/fifo", true);
    for (uint64_t id = 0; id < 2000; id++) /* far more than the FIFO holds */
        cr_assert_eq(write_id(audit, id), 0);
    wait_for(stats_of(audit).n_written > 0);
    cr_assert(stats_of(audit).writable);
    while (stats_of(audit).n_written < 2000)
        append_all(reader, "log/copy");
    audit_stop(audit);
    append_all(reader, "log/copy");
    close(reader);
    assert_has_ids_once("log/copy", 2000);
}

Test(audit, stop_gives_a_full_disk_up_after_five_seconds) {
    struct audit *audit = start("/dev/full", false);
    cr_assert_eq(write_id(audit, 0), 0);
    const int64_t begin_ms = clock_mono_ms(&clock_system);
    audit_stop(audit);
    const int64_t took_ms = clock_mono_ms(&clock_system) - begin_ms;
    cr_assert_geq(took_ms, LIMIT_AUDIT_STOP_MS - 100);
    cr_assert_lt(took_ms, LIMIT_AUDIT_STOP_MS + LIMIT_AUDIT_RETRY_MAX_MS + WAIT_MS);
}

static struct audit *volatile abandoned; /* so that a search for leaks does not find it */

Test(audit, a_disk_that_hangs_blocks_neither_callers_nor_the_stop) {
    disk_hangs = true;
    disk = disk_hanging;
    struct audit *audit = abandoned = start("log/audit", false);
    int64_t begin_ms = clock_mono_ms(&clock_system);
    for (uint64_t id = 0; id < 1000; id++)
        cr_assert_eq(write_id(audit, id), 0);
    cr_assert_lt(clock_mono_ms(&clock_system) - begin_ms, WAIT_MS);
    begin_ms = clock_mono_ms(&clock_system);
    audit_stop(audit);
    cr_assert_lt(clock_mono_ms(&clock_system) - begin_ms, LIMIT_AUDIT_STOP_MS + LIMIT_AUDIT_RETRY_MAX_MS + WAIT_MS);
    disk_hangs = false;
    wait_for(has_content("log/audit")); /* the thread was let go, not freed under */
}

/* ---- threads ---- */

#define N_THREADS 4
#define N_EACH 2000

static struct audit *shared_audit;

static void *write_many(void *context) {
    const uint64_t first = *(const uint64_t *)context;
    for (uint64_t id = first; id < first + N_EACH; id++) {
        cr_assert_eq(write_id(shared_audit, id), 0);
        if (id % 100 == 0)
            (void)stats_of(shared_audit);
    }
    return NULL;
}

Test(audit, many_threads_write_while_the_file_is_rotated_and_every_line_is_there_once) {
    shared_audit = start("log/audit", true);
    pthread_t threads[N_THREADS];
    uint64_t firsts[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++) {
        firsts[i] = i * N_EACH;
        cr_assert_eq(pthread_create(&threads[i], NULL, write_many, &firsts[i]), 0);
    }
    size_t n_files = 0;
    for (; n_files < 50 && stats_of(shared_audit).n_written < N_THREADS * N_EACH; n_files++) {
        char old[32];
        snprintf(old, sizeof(old), "log/old.%zu", n_files);
        (void)rename("log/audit", old);
        audit_reopen(shared_audit);
        const struct audit_settings settings = {.path = n_files % 2 == 0 ? "log/audit" : "log/other",
                                                .refuse_when_unwritable = true};
        audit_configure(shared_audit, &settings);
        pause_ms();
    }
    for (size_t i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    audit_stop(shared_audit);
    bool *seen = calloc(N_THREADS * N_EACH, 1);
    size_t n = note_ids("log/audit", seen, N_THREADS * N_EACH) + note_ids("log/other", seen, N_THREADS * N_EACH);
    for (size_t i = 0; i < n_files; i++) {
        char old[32];
        snprintf(old, sizeof(old), "log/old.%zu", i);
        n += note_ids(old, seen, N_THREADS * N_EACH);
    }
    cr_assert_eq(n, N_THREADS * N_EACH);
    free(seen);
}
