#include "ops/metrics.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/memory.h"
#include "ops/metrics_render.h"

static struct metrics *metrics;

static void enter(void) {
    cr_assert_eq(metrics_new(&metrics), 0);
}

static void leave(void) {
    metrics_free(metrics);
}

TestSuite(metrics, .init = enter, .fini = leave, .timeout = 60);

/* All of it, terminated; free() it. */
static char *render_with(struct cache *cache, struct audit *audit) {
    struct buffer buffer;
    buffer_init(&buffer, LIMIT_METRICS_BYTES);
    metrics_render(metrics, cache, audit, "v1.2.3", &buffer);
    buffer_append_char(&buffer, '\0');
    cr_assert_eq(buffer.error, 0);
    return buffer.data;
}

static char *render(void) {
    return render_with(NULL, NULL);
}

/* The line begins with the row and ends with the number. */
static bool has_row(const char *text, const char *row) {
    char line[512];
    snprintf(line, sizeof(line), "\n%s\n", row);
    return strstr(text, line) != NULL;
}

#define assert_row(row)                                                                                                    \
    do {                                                                                                                   \
        char *text = render();                                                                                             \
        cr_assert(has_row(text, row), "%s is not in:\n%s", row, text);                                                     \
        free(text);                                                                                                        \
    } while (0)

#define assert_no_row(part)                                                                                                \
    do {                                                                                                                   \
        char *text = render();                                                                                             \
        cr_assert_null(strstr(text, part));                                                                                \
        free(text);                                                                                                        \
    } while (0)

Test(metrics, reviews_are_counted_by_verdict_and_reason) {
    metrics_review(metrics, METRICS_LOGIN, VERDICT_ALLOW, REASON_OK, CACHE_OUTCOME_HIT, 10);
    metrics_review(metrics, METRICS_LOGIN, VERDICT_ALLOW, REASON_OK, CACHE_OUTCOME_MISS, 10);
    metrics_review(metrics, METRICS_LOGIN, VERDICT_DENY, REASON_INACTIVE, CACHE_OUTCOME_NEGATIVE, 10);
    assert_row("kube_introspect_reviews_total{verdict=\"allow\",reason=\"ok\"} 2");
    assert_row("kube_introspect_reviews_total{verdict=\"deny\",reason=\"inactive\"} 1");
    assert_row("kube_introspect_cache_lookups_total{outcome=\"hit\"} 1");
    assert_row("kube_introspect_cache_lookups_total{outcome=\"negative\"} 1");
    assert_row("kube_introspect_cache_lookups_total{outcome=\"stale\"} 0");
    assert_row("kube_introspect_cache_lookups_total{outcome=\"miss\"} 1");
    assert_no_row("reason=\"expired\"");
    assert_no_row("outcome=\"none\"");
}

Test(metrics, every_reason_has_its_row_once_it_is_counted) {
    for (int reason = 0; reason < N_REASONS; reason++) {
        const enum verdict verdict = reason_verdict((enum reason)reason);
        metrics_review(metrics, METRICS_LOGIN, verdict, (enum reason)reason, CACHE_OUTCOME_NONE, 1);
        char row[200];
        snprintf(row, sizeof(row), "kube_introspect_reviews_total{verdict=\"%s\",reason=\"%s\"} 1", verdict_word(verdict),
                 reason_word((enum reason)reason));
        assert_row(row);
    }
}

Test(metrics, a_duration_counts_in_its_bucket_and_all_above) {
    const int64_t durations_us[] = {-1, 0, 50, 51, 1000, 1001, 10000000, 10000001};
    for (size_t i = 0; i < sizeof(durations_us) / sizeof(durations_us[0]); i++)
        metrics_review(metrics, METRICS_LOGIN, VERDICT_ALLOW, REASON_OK, CACHE_OUTCOME_HIT, durations_us[i]);
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"5e-05\"} 3");
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"0.0001\"} 4");
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"0.0005\"} 4");
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"0.001\"} 5");
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"0.0025\"} 6");
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"5\"} 6");
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"10\"} 7");
    assert_row("kube_introspect_review_duration_seconds_bucket{le=\"+Inf\"} 8");
    assert_row("kube_introspect_review_duration_seconds_sum 20.002103");
    assert_row("kube_introspect_review_duration_seconds_count 8");
}

Test(metrics, what_comes_after_a_login_is_counted_apart) {
    metrics_review(metrics, METRICS_LOGIN, VERDICT_DENY, REASON_INACTIVE, CACHE_OUTCOME_MISS, 10);
    metrics_review(metrics, METRICS_AUTHORIZATION, VERDICT_DENY, REASON_INACTIVE, CACHE_OUTCOME_STALE, 10);
    metrics_review(metrics, METRICS_AUTHORIZATION, VERDICT_DENY, REASON_INACTIVE, CACHE_OUTCOME_STALE, 10);
    metrics_review(metrics, METRICS_AUTHORIZATION, VERDICT_ALLOW, REASON_NOT_OURS, CACHE_OUTCOME_NONE, 10);
    assert_row("kube_introspect_reviews_total{verdict=\"deny\",reason=\"inactive\"} 1");
    assert_row("kube_introspect_authorization_reviews_total{verdict=\"deny\",reason=\"inactive\"} 2");
    assert_row("kube_introspect_authorization_reviews_total{verdict=\"allow\",reason=\"not_ours\"} 1");
    assert_row("kube_introspect_review_duration_seconds_count 1");
    assert_row("kube_introspect_authorization_review_duration_seconds_count 3");
    assert_row("kube_introspect_cache_lookups_total{outcome=\"stale\"} 0");
}

Test(metrics, changes_and_their_rules_are_counted) {
    metrics_review(metrics, METRICS_ADMISSION, VERDICT_DENY, REASON_ADMISSION_RULE, CACHE_OUTCOME_HIT, 10);
    assert_row("kube_introspect_admission_reviews_total{verdict=\"deny\",reason=\"admission_rule\"} 1");
    assert_row("kube_introspect_admission_review_duration_seconds_count 1");
    const size_t mfa = metrics_rule(metrics, TEXT("mfa")), other = metrics_rule(metrics, TEXT("other"));
    cr_assert_eq(metrics_rule(metrics, TEXT("mfa")), mfa);
    metrics_rule_result(metrics, mfa, true);
    metrics_rule_result(metrics, mfa, false);
    metrics_rule_result(metrics, mfa, false);
    metrics_rule_result(metrics, other, true);
    assert_row("kube_introspect_admission_rule_results_total{rule=\"mfa\",result=\"held\"} 1");
    assert_row("kube_introspect_admission_rule_results_total{rule=\"mfa\",result=\"failed\"} 2");
    assert_row("kube_introspect_admission_rule_results_total{rule=\"other\",result=\"held\"} 1");
}

Test(metrics, rules_that_come_too_late_share_a_row) {
    char name[32];
    size_t row = 0;
    for (size_t i = 0; i < LIMIT_METRICS_RULES + 1; i++) {
        snprintf(name, sizeof(name), "rule-%zu", i);
        row = metrics_rule(metrics, text_of(name));
        cr_expect_eq(row, i, "%s", name);
    }
    metrics_rule_result(metrics, row, false);
    assert_row("kube_introspect_admission_rule_results_total{rule=\"other\",result=\"failed\"} 1");
}

Test(metrics, the_bounds_of_buckets_rise_and_their_labels_say_them) {
    char *text = render();
    double before = 0;
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "\nkube_introspect_review_duration_seconds_bucket{le=\"")) != NULL; n++) {
        at = strchr(at, '"') + 1;
        const double bound = strtod(at, NULL);
        cr_assert_gt(bound, before);
        before = bound;
    }
    cr_assert_eq(n, 18);
    free(text);
}

Test(metrics, bad_requests_are_counted_by_status) {
    metrics_bad_request(metrics, 404);
    metrics_bad_request(metrics, 404);
    metrics_bad_request(metrics, 415);
    metrics_bad_request(metrics, -1);
    metrics_bad_request(metrics, 1000);
    assert_row("kube_introspect_bad_requests_total{code=\"404\"} 2");
    assert_row("kube_introspect_bad_requests_total{code=\"415\"} 1");
    assert_row("kube_introspect_bad_requests_total{code=\"500\"} 2");
}

Test(metrics, connections_and_handshakes) {
    metrics_handshake(metrics, true);
    metrics_handshake(metrics, true);
    metrics_handshake(metrics, false);
    metrics_connections(metrics, 2);
    metrics_connections(metrics, -1);
    assert_row("kube_introspect_tls_handshakes_total{result=\"success\"} 2");
    assert_row("kube_introspect_tls_handshakes_total{result=\"failure\"} 1");
    assert_row("kube_introspect_connections 1");
}

Test(metrics, calls_are_counted_by_issuer_and_outcome) {
    const size_t corp = metrics_issuer(metrics, TEXT("corp")), labs = metrics_issuer(metrics, TEXT("labs"));
    cr_assert_neq(corp, labs);
    metrics_call_begin(metrics, corp);
    metrics_call_begin(metrics, corp);
    metrics_call_begin(metrics, labs);
    metrics_call_end(metrics, corp, CALL_ACTIVE, 3000);
    metrics_flights_waiting(metrics, labs, 3);
    metrics_flights_waiting(metrics, labs, -1);
    metrics_discovery(metrics, corp, true);
    metrics_discovery(metrics, labs, false);
    assert_row("kube_introspect_introspection_calls_total{issuer=\"corp\",outcome=\"active\"} 1");
    assert_row("kube_introspect_introspections_in_flight{issuer=\"corp\"} 1");
    assert_row("kube_introspect_introspections_in_flight{issuer=\"labs\"} 1");
    assert_row("kube_introspect_introspection_duration_seconds_bucket{issuer=\"corp\",le=\"0.0025\"} 0");
    assert_row("kube_introspect_introspection_duration_seconds_bucket{issuer=\"corp\",le=\"0.005\"} 1");
    assert_row("kube_introspect_introspection_duration_seconds_sum{issuer=\"corp\"} 0.003000");
    assert_row("kube_introspect_introspection_duration_seconds_count{issuer=\"corp\"} 1");
    assert_row("kube_introspect_introspection_duration_seconds_count{issuer=\"labs\"} 0");
    assert_row("kube_introspect_flights_waiting{issuer=\"labs\"} 2");
    assert_row("kube_introspect_discovery_total{issuer=\"corp\",result=\"success\"} 1");
    assert_row("kube_introspect_discovery_total{issuer=\"labs\",result=\"failure\"} 1");
    assert_no_row("\"other\"");
}

Test(metrics, every_call_outcome_has_a_word_of_its_own) {
    const size_t corp = metrics_issuer(metrics, TEXT("corp"));
    for (int outcome = 0; outcome < N_CALL_OUTCOMES; outcome++) {
        metrics_call_begin(metrics, corp);
        metrics_call_end(metrics, corp, (enum call_outcome)outcome, 1);
        char row[200];
        snprintf(row, sizeof(row), "kube_introspect_introspection_calls_total{issuer=\"corp\",outcome=\"%s\"} 1",
                 call_outcome_word((enum call_outcome)outcome));
        assert_row(row); /* 1: no other outcome has the same word */
    }
}

Test(metrics, a_breaker_has_opened_once_however_many_probes_fail) {
    const size_t corp = metrics_issuer(metrics, TEXT("corp"));
    assert_row("kube_introspect_breaker_state{issuer=\"corp\"} 0");
    metrics_breaker(metrics, corp, BREAKER_OPEN);
    metrics_breaker(metrics, corp, BREAKER_HALF_OPEN);
    assert_row("kube_introspect_breaker_state{issuer=\"corp\"} 1");
    metrics_breaker(metrics, corp, BREAKER_OPEN);
    assert_row("kube_introspect_breaker_state{issuer=\"corp\"} 2");
    assert_row("kube_introspect_breaker_opens_total{issuer=\"corp\"} 1");
    metrics_breaker(metrics, corp, BREAKER_CLOSED);
    metrics_breaker(metrics, corp, BREAKER_OPEN);
    assert_row("kube_introspect_breaker_opens_total{issuer=\"corp\"} 2");
}

Test(metrics, refusals_for_want_of_budget_are_counted_by_whom_they_were_about) {
    const size_t corp = metrics_issuer(metrics, TEXT("corp"));
    metrics_over_budget(metrics, corp, BUDGET_UNKNOWN);
    metrics_over_budget(metrics, corp, BUDGET_UNKNOWN);
    assert_row("kube_introspect_budget_refusals_total{issuer=\"corp\",tokens=\"unknown\"} 2");
    assert_row("kube_introspect_budget_refusals_total{issuer=\"corp\",tokens=\"known\"} 0");
}

Test(metrics, retries_are_counted_made_or_refused) {
    const size_t corp = metrics_issuer(metrics, TEXT("corp"));
    metrics_retry(metrics, corp, true);
    assert_row("kube_introspect_retries_total{issuer=\"corp\",result=\"made\"} 1");
    assert_row("kube_introspect_retries_total{issuer=\"corp\",result=\"refused\"} 0");
}

Test(metrics, refreshes_are_counted_by_result) {
    const size_t corp = metrics_issuer(metrics, TEXT("corp"));
    metrics_refresh(metrics, corp, false);
    assert_row("kube_introspect_refreshes_total{issuer=\"corp\",result=\"failure\"} 1");
    assert_row("kube_introspect_refreshes_total{issuer=\"corp\",result=\"success\"} 0");
}

Test(metrics, an_issuer_keeps_its_row) {
    const size_t corp = metrics_issuer(metrics, TEXT("corp"));
    (void)metrics_issuer(metrics, TEXT("labs"));
    cr_assert_eq(metrics_issuer(metrics, TEXT("corp")), corp);
    cr_assert_neq(metrics_issuer(metrics, TEXT("cor")), corp);
}

Test(metrics, issuers_beyond_the_last_row_share_the_row_other) {
    size_t last = 0;
    for (int i = 0; i < LIMIT_METRICS_ISSUERS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "issuer-%d", i);
        last = metrics_issuer(metrics, text_of(name));
    }
    const size_t other = metrics_issuer(metrics, TEXT("one more"));
    cr_assert_neq(other, last);
    cr_assert_eq(metrics_issuer(metrics, TEXT("and one more")), other);
    cr_assert_eq(metrics_issuer(metrics, TEXT("other")), other);
    cr_assert_neq(metrics_issuer(metrics, TEXT("issuer-0")), other);
    metrics_discovery(metrics, other, true);
    assert_row("kube_introspect_discovery_total{issuer=\"other\",result=\"success\"} 1");
}

Test(metrics, label_values_are_escaped) {
    const size_t row = metrics_issuer(metrics, TEXT("a\"b\\c\nd"));
    metrics_discovery(metrics, row, true);
    assert_row("kube_introspect_discovery_total{issuer=\"a\\\"b\\\\c\\nd\",result=\"success\"} 1");
}

Test(metrics, names_are_cut_and_still_found) {
    char name[1000];
    memset(name, 'x', sizeof(name));
    const struct text long_name = {.data = name, .n_bytes = sizeof(name)};
    cr_assert_eq(metrics_issuer(metrics, long_name), metrics_issuer(metrics, long_name));
    name[sizeof(name) - 1] = '\0';
    metrics_certificate_expiry(metrics, name, 1);
    metrics_certificate_expiry(metrics, name, 2);
    char row[400];
    snprintf(row, sizeof(row), "kube_introspect_certificate_expiry_timestamp_seconds{certificate=\"%.253s\"} 2", name);
    assert_row(row);
}

Test(metrics, a_reload_that_fails_keeps_generation_and_time) {
    assert_row("kube_introspect_config_last_reload_successful 0");
    metrics_reload(metrics, true, 1, 1767225600123);
    assert_row("kube_introspect_config_generation 1");
    assert_row("kube_introspect_config_last_reload_successful 1");
    assert_row("kube_introspect_config_last_reload_timestamp_seconds 1767225600.123");
    metrics_reload(metrics, false, 2, 1767225700000);
    assert_row("kube_introspect_config_generation 1");
    assert_row("kube_introspect_config_last_reload_successful 0");
    assert_row("kube_introspect_config_last_reload_timestamp_seconds 1767225600.123");
    assert_row("kube_introspect_config_reloads_total{result=\"success\"} 1");
    assert_row("kube_introspect_config_reloads_total{result=\"failure\"} 1");
}

Test(metrics, a_thread_that_hangs_is_shown_until_it_turns_again) {
    metrics_live(metrics, false);
    assert_row("kube_introspect_live 0");
    metrics_live(metrics, true);
    assert_row("kube_introspect_live 1");
}

Test(metrics, the_clock_is_that_of_the_moment_of_rendering) {
    const double before = (double)clock_unix_ms(&clock_system) / 1000;
    char *const text = render();
    const char *const row = strstr(text, "\nkube_introspect_time_seconds ");
    cr_assert_not_null(row);
    const double shown = strtod(strchr(row, ' '), NULL);
    cr_assert(shown >= before && shown <= (double)clock_unix_ms(&clock_system) / 1000, "%f", shown);
    free(text);
}

Test(metrics, certificates_come_change_and_go) {
    metrics_certificate_expiry(metrics, "authentication", 1800000000);
    metrics_certificate_expiry(metrics, "issuer:corp", 1900000000);
    metrics_certificate_expiry(metrics, "authentication", 1850000000);
    assert_row("kube_introspect_certificate_expiry_timestamp_seconds{certificate=\"authentication\"} 1850000000");
    assert_row("kube_introspect_certificate_expiry_timestamp_seconds{certificate=\"issuer:corp\"} 1900000000");
    metrics_certificate_expiry(metrics, "issuer:corp", 0);
    assert_no_row("issuer:corp");
    metrics_certificate_expiry(metrics, "never there", 0);
    assert_no_row("never there");
}

Test(metrics, more_certificates_than_rows_are_left_out) {
    for (int i = 0; i <= LIMIT_METRICS_CERTIFICATES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "certificate-%d", i);
        metrics_certificate_expiry(metrics, name, 1800000000);
    }
    char last[32];
    snprintf(last, sizeof(last), "certificate-%d\"", LIMIT_METRICS_CERTIFICATES - 1);
    char *text = render();
    cr_assert_not_null(strstr(text, last));
    snprintf(last, sizeof(last), "certificate-%d\"", LIMIT_METRICS_CERTIFICATES);
    cr_assert_null(strstr(text, last));
    free(text);
}

Test(metrics, show_the_state_of_cache_and_audit_log) {
    struct cache *cache;
    struct audit *audit;
    const struct cache_limits limits = {.max_entries = 10, .max_negative_entries = 10, .max_bytes = 1 << 20};
    cr_assert_eq(cache_new(&limits, &cache), 0);
    const struct audit_settings settings = {.path = "/dev/null"};
    cr_assert_eq(audit_start(&settings, &audit, NULL), 0);
    char *text = render_with(cache, audit);
    cr_assert(has_row(text, "kube_introspect_audit_writable 1"));
    cr_assert(has_row(text, "kube_introspect_audit_records_total{result=\"written\"} 0"));
    cr_assert(has_row(text, "kube_introspect_cache_entries{part=\"positive\"} 0"));
    cr_assert(has_row(text, "kube_introspect_cache_entries{part=\"negative\"} 0"));
    free(text);
    audit_stop(audit);
    cache_free(cache);
}

static double value_of(const char *text, const char *name) {
    char line[200];
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    cr_assert_not_null(at, "no %s", name);
    return strtod(at + strlen(line), NULL);
}

Test(metrics, show_the_process) {
    char *text = render();
    cr_assert(has_row(text, "kube_introspect_build_info{version=\"v1.2.3\"} 1"));
    const double now = (double)clock_unix_ms(&clock_system) / 1000;
    cr_assert_leq(value_of(text, "process_start_time_seconds"), now);
    cr_assert_gt(value_of(text, "process_start_time_seconds"), now - 600);
    cr_assert_gt(value_of(text, "process_resident_memory_bytes"), 1e6);
    const double before = value_of(text, "process_open_fds");
    free(text);
    const int fd = dup(STDERR_FILENO);
    text = render();
    cr_assert_eq(value_of(text, "process_open_fds"), before + 1);
    close(fd);
    free(text);
}

/* ---- the form ---- */

/* Every line is a comment or "name{labels} number"; each name has HELP and TYPE before its rows, once. */
Test(metrics, all_of_it_is_the_exposition_format) {
    metrics_review(metrics, METRICS_LOGIN, VERDICT_ALLOW, REASON_OK, CACHE_OUTCOME_HIT, 10);
    metrics_call_end(metrics, metrics_issuer(metrics, TEXT("corp")), CALL_ACTIVE, 1);
    metrics_certificate_expiry(metrics, "operations", 1);
    metrics_bad_request(metrics, 400);
    char *text = render(), *rest = NULL, name[128] = "";
    cr_assert_eq(text[strlen(text) - 1], '\n');
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            cr_assert_eq(sscanf(line + 7, "%127s", name), 1);
            continue;
        }
        if (strncmp(line, "# TYPE ", 7) == 0) {
            cr_assert_eq(strncmp(line + 7, name, strlen(name)), 0, "%s after HELP of %s", line, name);
            continue;
        }
        cr_assert_eq(strncmp(line, name, strlen(name)), 0, "%s among the rows of %s", line, name);
        char *end;
        const char *number = strrchr(line, ' ') + 1;
        (void)strtod(number, &end);
        cr_assert(end != number && *end == '\0', "%s", line);
    }
    free(text);
}

/* ---- the documentation: tests run in the project's folder ---- */

static char *page(void) {
    FILE *file = fopen("docs/metrics.md", "r");
    cr_assert_not_null(file, "run the tests in the project's folder");
    char *text = calloc(1, 1 << 20);
    cr_assert_gt(fread(text, 1, (1 << 20) - 1, file), 0);
    fclose(file);
    return text;
}

Test(metrics, every_metric_stands_in_the_documentation_with_its_type) {
    char *docs = page(), *text = render();
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "# TYPE ")) != NULL; at++, n++) {
        char name[128], type[32], row[200];
        cr_assert_eq(sscanf(at, "# TYPE %127s %31s", name, type), 2);
        snprintf(row, sizeof(row), "\n| `%s` | %s |", name, type);
        cr_assert_not_null(strstr(docs, row), "docs/metrics.md has no row for %s, %s", name, type);
    }
    cr_assert_gt(n, 25);
    free(text);
    free(docs);
}

Test(metrics, every_metric_of_the_documentation_is_printed) {
    char *docs = page(), *text = render();
    size_t n = 0;
    for (const char *at = docs; (at = strstr(at, "\n| `")) != NULL; at++) {
        char name[128], type[32], line[200];
        if (sscanf(at, "\n| `%127[a-z_]` | %31[a-z] |", name, type) != 2 || strchr(name, '_') == NULL)
            continue; /* a row of another table: an outcome and a sentence */
        if (strcmp(type, "counter") != 0 && strcmp(type, "gauge") != 0 && strcmp(type, "histogram") != 0)
            continue;
        snprintf(line, sizeof(line), "# TYPE %s %s\n", name, type);
        cr_assert_not_null(strstr(text, line), "%s, %s is in docs/metrics.md only", name, type);
        n++;
    }
    cr_assert_gt(n, 25);
    free(text);
    free(docs);
}

Test(metrics, every_call_outcome_stands_in_the_documentation) {
    char *docs = page();
    for (int outcome = 0; outcome < N_CALL_OUTCOMES; outcome++) {
        char row[64];
        snprintf(row, sizeof(row), "\n| `%s` | ", call_outcome_word((enum call_outcome)outcome));
        cr_assert_not_null(strstr(docs, row), "%s", row);
    }
    free(docs);
}

/* ---- memory and threads ---- */

Test(metrics, survives_each_allocation_that_fails) {
    struct metrics *none = NULL;
    memory_fail_at(1);
    cr_assert_eq(metrics_new(&none), -ENOMEM);
    memory_fail_at(0);
    cr_assert_null(none);
    metrics_free(NULL);

    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct buffer buffer;
        buffer_init(&buffer, LIMIT_METRICS_BYTES);
        memory_fail_at(n);
        metrics_render(metrics, NULL, NULL, "v1.2.3", &buffer);
        failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert(buffer.error == 0 || failed);
        buffer_deinit(&buffer);
        cr_assert_lt(n, 50);
    }
}

#define N_THREADS 8
#define N_EACH 20000

static void *count(void *context) {
    const size_t issuer = metrics_issuer(metrics, TEXT("corp"));
    for (int i = 0; i < N_EACH; i++) {
        metrics_review(metrics, METRICS_LOGIN, VERDICT_ALLOW, REASON_OK, CACHE_OUTCOME_HIT, i);
        metrics_call_begin(metrics, issuer);
        metrics_call_end(metrics, issuer, CALL_ACTIVE, i);
        metrics_connections(metrics, i % 2 == 0 ? 1 : -1);
        if (i % 5000 == 0) {
            metrics_certificate_expiry(metrics, "authentication", i + 1);
            free(render());
        }
    }
    return context;
}

Test(metrics, nothing_is_lost_between_threads) {
    pthread_t threads[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (size_t i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_row("kube_introspect_reviews_total{verdict=\"allow\",reason=\"ok\"} 160000");
    assert_row("kube_introspect_review_duration_seconds_count 160000");
    assert_row("kube_introspect_introspection_calls_total{issuer=\"corp\",outcome=\"active\"} 160000");
    assert_row("kube_introspect_introspections_in_flight{issuer=\"corp\"} 0");
    assert_row("kube_introspect_connections 0");
}
