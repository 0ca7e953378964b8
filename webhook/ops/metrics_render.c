#include "ops/metrics_render.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "ops/metrics_state.h"

static const char *const bound_labels[N_METRICS_BOUNDS + 1] = {
#define LABEL(bound_us, label) label,
    METRICS_BOUNDS(LABEL)
#undef LABEL
        "+Inf"};

static uint64_t count_of(const metrics_counter *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static int64_t value_of(const metrics_gauge *gauge) {
    return atomic_load_explicit(gauge, memory_order_relaxed);
}

/* ---- the form (https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4) ---- */

static void append_head(struct buffer *buffer, const char *name, const char *type, const char *help) {
    buffer_append_format(buffer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value in its quotes: backslash, quote and line feed escaped. */
static void append_value(struct buffer *buffer, const char *value) {
    buffer_append_char(buffer, '"');
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\\' || *c == '"')
            buffer_append_char(buffer, '\\');
        if (*c == '\n')
            buffer_append(buffer, TEXT("\\n"));
        else
            buffer_append_char(buffer, *c);
    }
    buffer_append_char(buffer, '"');
}

/* A row up to its number. Keys may be NULL: there is no such label then. */
static void append_row(struct buffer *buffer, const char *name, const char *key_1, const char *value_1, const char *key_2,
                       const char *value_2) {
    buffer_append(buffer, text_of(name));
    if (key_1 != NULL) {
        buffer_append_format(buffer, "{%s=", key_1);
        append_value(buffer, value_1);
        if (key_2 != NULL) {
            buffer_append_format(buffer, ",%s=", key_2);
            append_value(buffer, value_2);
        }
        buffer_append_char(buffer, '}');
    }
    buffer_append_char(buffer, ' ');
}

static void append_u64_row(struct buffer *buffer, const char *name, const char *key, const char *value, uint64_t number) {
    append_row(buffer, name, key, value, NULL, NULL);
    buffer_append_u64(buffer, number);
    buffer_append_char(buffer, '\n');
}

static void append_i64_row(struct buffer *buffer, const char *name, const char *key, const char *value, int64_t number) {
    append_row(buffer, name, key, value, NULL, NULL);
    buffer_append_i64(buffer, number);
    buffer_append_char(buffer, '\n');
}

/* Seconds with a fixed point: a double would lose microseconds after some years of service. */
static void append_seconds(struct buffer *buffer, uint64_t us) {
    buffer_append_format(buffer, "%" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}

/* A time, in seconds. */
static void append_unix_ms_row(struct buffer *buffer, const char *name, int64_t unix_ms) {
    append_row(buffer, name, NULL, NULL, NULL, NULL);
    buffer_append_format(buffer, "%" PRId64 ".%03" PRId64 "\n", unix_ms / 1000, unix_ms % 1000);
}

struct observed {
    uint64_t buckets[N_METRICS_BOUNDS + 1], sum_us;
};

static void add_observed(struct observed *observed, const struct metrics_histogram *histogram) {
    for (size_t i = 0; i <= N_METRICS_BOUNDS; i++)
        observed->buckets[i] += count_of(&histogram->buckets[i]);
    observed->sum_us += count_of(&histogram->sum_us);
}

/* The count is the sum of the buckets as they were read, so that the two agree whatever is counted meanwhile. */
static void append_histogram(struct buffer *buffer, const char *name, const char *key, const char *value,
                             const struct observed *observed) {
    char row[128];
    (void)snprintf(row, sizeof(row), "%s_bucket", name);
    uint64_t count = 0;
    for (size_t i = 0; i <= N_METRICS_BOUNDS; i++) {
        count += observed->buckets[i];
        if (key == NULL)
            append_row(buffer, row, "le", bound_labels[i], NULL, NULL);
        else
            append_row(buffer, row, key, value, "le", bound_labels[i]);
        buffer_append_u64(buffer, count);
        buffer_append_char(buffer, '\n');
    }
    (void)snprintf(row, sizeof(row), "%s_sum", name);
    append_row(buffer, row, key, value, NULL, NULL);
    append_seconds(buffer, observed->sum_us);
    (void)snprintf(row, sizeof(row), "%s_count", name);
    append_u64_row(buffer, row, key, value, count);
}

/* ---- requests ---- */

/* What is counted of each kind of review. */
static const struct {
    const char *total, *total_help, *duration, *duration_help;
} kinds[N_METRICS_KINDS] = {
    [METRICS_LOGIN] = {"kube_introspect_reviews_total", "TokenReviews answered, by verdict and the reason for it.",
                       "kube_introspect_review_duration_seconds", "Time from a TokenReview's arrival to its answer."},
    [METRICS_AUTHORIZATION] = {"kube_introspect_authorization_reviews_total",
                               "SubjectAccessReviews answered, by verdict and the reason for it; allow is no opinion.",
                               "kube_introspect_authorization_review_duration_seconds",
                               "Time from a SubjectAccessReview's arrival to its answer."},
    [METRICS_ADMISSION] = {"kube_introspect_admission_reviews_total",
                           "AdmissionReviews answered, by verdict and the reason for it.",
                           "kube_introspect_admission_review_duration_seconds",
                           "Time from an AdmissionReview's arrival to its answer."},
};

static uint64_t reviews_of(const struct metrics *metrics, size_t kind, enum verdict verdict, enum reason reason) {
    uint64_t n = 0;
    for (size_t i = 0; i < N_METRICS_PARTS; i++)
        n += count_of(&metrics->parts[i].reviews[kind][verdict][reason]);
    return n;
}

static void render_reviews(const struct metrics *metrics, size_t kind, struct buffer *buffer) {
    const char *name = kinds[kind].total;
    append_head(buffer, name, "counter", kinds[kind].total_help);
    for (int verdict = VERDICT_ALLOW; verdict <= VERDICT_UNAVAILABLE; verdict++) {
        for (int reason = 0; reason < N_REASONS; reason++) {
            const uint64_t n = reviews_of(metrics, kind, (enum verdict)verdict, (enum reason)reason);
            if (n == 0)
                continue;
            append_row(buffer, name, "verdict", verdict_word((enum verdict)verdict), "reason",
                       reason_word((enum reason)reason));
            buffer_append_u64(buffer, n);
            buffer_append_char(buffer, '\n');
        }
    }
}

static void render_durations(const struct metrics *metrics, size_t kind, struct buffer *buffer) {
    struct observed observed = {0};
    for (size_t i = 0; i < N_METRICS_PARTS; i++)
        add_observed(&observed, &metrics->parts[i].durations[kind]);
    append_head(buffer, kinds[kind].duration, "histogram", kinds[kind].duration_help);
    append_histogram(buffer, kinds[kind].duration, NULL, NULL, &observed);
}

static void render_lookups(const struct metrics *metrics, struct buffer *buffer) {
    static const char name[] = "kube_introspect_cache_lookups_total";
    append_head(buffer, name, "counter", "Lookups of logins in the facts cache, by what was found.");
    for (int outcome = CACHE_OUTCOME_HIT; outcome <= CACHE_OUTCOME_MISS; outcome++) {
        uint64_t n = 0;
        for (size_t i = 0; i < N_METRICS_PARTS; i++)
            n += count_of(&metrics->parts[i].cache[outcome]);
        append_u64_row(buffer, name, "outcome", cache_outcome_word((enum cache_outcome)outcome), n);
    }
}

static void render_bad_requests(const struct metrics *metrics, struct buffer *buffer) {
    static const char name[] = "kube_introspect_bad_requests_total";
    append_head(buffer, name, "counter", "Requests that were no review, by the status of the answer.");
    for (int status = FIRST_STATUS; status <= LAST_STATUS; status++) {
        const uint64_t n = count_of(&metrics->bad_requests[status - FIRST_STATUS]);
        if (n == 0)
            continue;
        char code[16];
        (void)snprintf(code, sizeof(code), "%d", status);
        append_u64_row(buffer, name, "code", code, n);
    }
}

/* The rows of a pair of counters: failed, succeeded. */
static void append_results(struct buffer *buffer, const char *name, const metrics_counter counters[2]) {
    append_u64_row(buffer, name, "result", "success", count_of(&counters[1]));
    append_u64_row(buffer, name, "result", "failure", count_of(&counters[0]));
}

static void render_connections(const struct metrics *metrics, struct buffer *buffer) {
    static const char handshakes[] = "kube_introspect_tls_handshakes_total";
    append_head(buffer, handshakes, "counter", "TLS handshakes of callers, by result.");
    append_results(buffer, handshakes, metrics->handshakes);
    static const char connections[] = "kube_introspect_connections";
    append_head(buffer, connections, "gauge", "Connections of callers that are open.");
    append_i64_row(buffer, connections, NULL, NULL, value_of(&metrics->connections));
    static const char closed[] = "kube_introspect_connections_closed_total";
    append_head(buffer, closed, "counter", "Connections of callers that were closed from here, by reason.");
    for (enum connection_end why = 0; why < N_CONNECTION_ENDS; why++)
        append_u64_row(buffer, closed, "reason", connection_end_word(why), count_of(&metrics->connection_ends[why]));
}

/* ---- the cache ---- */

static void render_cache(struct cache *cache, struct buffer *buffer) {
    struct cache_stats stats = {0};
    if (cache != NULL)
        cache_stats(cache, &stats);
    static const char entries[] = "kube_introspect_cache_entries";
    append_head(buffer, entries, "gauge", "Facts in the cache, by part.");
    append_u64_row(buffer, entries, "part", "positive", stats.n_entries);
    append_u64_row(buffer, entries, "part", "negative", stats.n_negative_entries);
    static const char bytes[] = "kube_introspect_cache_bytes";
    append_head(buffer, bytes, "gauge", "Memory that both parts of the cache take.");
    append_u64_row(buffer, bytes, NULL, NULL, stats.n_bytes);
    static const char evictions[] = "kube_introspect_cache_evictions_total";
    append_head(buffer, evictions, "counter", "Facts dropped to make room for others, by part.");
    append_u64_row(buffer, evictions, "part", "positive", stats.n_evictions);
    append_u64_row(buffer, evictions, "part", "negative", stats.n_negative_evictions);
}

/* ---- providers ---- */

/* Which rows are there: the named ones, and "other" once there is no room for more names or somebody is called so. */
struct rows {
    const struct metrics *metrics;
    size_t n_named;
};

static bool is_untouched(const struct metrics_issuer *row) {
    uint64_t n = count_of(&row->discovery[0]) + count_of(&row->discovery[1]);
    for (size_t i = 0; i < N_CALL_OUTCOMES; i++)
        n += count_of(&row->calls[i]);
    return n == 0 && value_of(&row->in_flight) == 0 && value_of(&row->waiting) == 0;
}

static const struct metrics_issuer *next_row(const struct rows *rows, size_t *index) {
    const struct metrics_issuer *other = &rows->metrics->issuers[LIMIT_METRICS_ISSUERS];
    const size_t i = (*index)++;
    if (i < rows->n_named)
        return &rows->metrics->issuers[i];
    return i == rows->n_named && !is_untouched(other) ? other : NULL;
}

static void render_calls(const struct rows *rows, struct buffer *buffer) {
    static const char name[] = "kube_introspect_introspection_calls_total";
    append_head(buffer, name, "counter", "Calls to introspection endpoints that have ended, by issuer and outcome.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;) {
        for (int outcome = 0; outcome < N_CALL_OUTCOMES; outcome++) {
            const uint64_t n = count_of(&row->calls[outcome]);
            if (n == 0)
                continue;
            append_row(buffer, name, "issuer", row->name, "outcome", call_outcome_word((enum call_outcome)outcome));
            buffer_append_u64(buffer, n);
            buffer_append_char(buffer, '\n');
        }
    }
}

static void render_call_durations(const struct rows *rows, struct buffer *buffer) {
    static const char name[] = "kube_introspect_introspection_duration_seconds";
    append_head(buffer, name, "histogram", "Time that calls to introspection endpoints took, by issuer.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;) {
        struct observed observed = {0};
        add_observed(&observed, &row->duration);
        append_histogram(buffer, name, "issuer", row->name, &observed);
    }
}

static void render_flights(const struct rows *rows, struct buffer *buffer) {
    static const char in_flight[] = "kube_introspect_introspections_in_flight";
    append_head(buffer, in_flight, "gauge", "Calls to introspection endpoints under way, by issuer.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;)
        append_i64_row(buffer, in_flight, "issuer", row->name, value_of(&row->in_flight));
    static const char waiting[] = "kube_introspect_flights_waiting";
    append_head(buffer, waiting, "gauge", "Tokens that wait for a free place among the calls of their issuer.");
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;)
        append_i64_row(buffer, waiting, "issuer", row->name, value_of(&row->waiting));
}

static void render_budgets(const struct rows *rows, struct buffer *buffer) {
    static const char name[] = "kube_introspect_budget_refusals_total";
    append_head(buffer, name, "counter",
                "Questions that were not put to a provider for want of budget, by whom they were about.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;) {
        for (int kind = 0; kind < N_BUDGET_KINDS; kind++) {
            append_row(buffer, name, "issuer", row->name, "tokens", budget_kind_word((enum budget_kind)kind));
            buffer_append_u64(buffer, count_of(&row->over_budget[kind]));
            buffer_append_char(buffer, '\n');
        }
    }
}

static void render_retries(const struct rows *rows, struct buffer *buffer) {
    static const char name[] = "kube_introspect_retries_total";
    append_head(buffer, name, "counter", "Calls made once more after a failure, and such that there was no budget for.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;) {
        for (int is_made = 1; is_made >= 0; is_made--) {
            append_row(buffer, name, "issuer", row->name, "result", is_made ? "made" : "refused");
            buffer_append_u64(buffer, count_of(&row->retries[is_made]));
            buffer_append_char(buffer, '\n');
        }
    }
}

static void render_refreshes(const struct rows *rows, struct buffer *buffer) {
    static const char name[] = "kube_introspect_refreshes_total";
    append_head(buffer, name, "counter", "Tokens in use that were asked about again ahead of time, by result.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;) {
        for (int succeeded = 1; succeeded >= 0; succeeded--) {
            append_row(buffer, name, "issuer", row->name, "result", succeeded ? "success" : "failure");
            buffer_append_u64(buffer, count_of(&row->refreshes[succeeded]));
            buffer_append_char(buffer, '\n');
        }
    }
}

static void render_breakers(const struct rows *rows, struct buffer *buffer) {
    static const char state[] = "kube_introspect_breaker_state";
    append_head(buffer, state, "gauge",
                "0: the provider is asked. 1: one call is under way to see whether it is back. 2: it is left alone.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;)
        append_i64_row(buffer, state, "issuer", row->name, value_of(&row->breaker));
    static const char opens[] = "kube_introspect_breaker_opens_total";
    append_head(buffer, opens, "counter", "How often a provider began to be left alone because its calls failed.");
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;)
        append_u64_row(buffer, opens, "issuer", row->name, count_of(&row->breaker_opens));
}

static void render_discovery(const struct rows *rows, struct buffer *buffer) {
    static const char name[] = "kube_introspect_discovery_total";
    append_head(buffer, name, "counter", "Fetches of discovery documents, by issuer and result.");
    const struct metrics_issuer *row;
    for (size_t i = 0; (row = next_row(rows, &i)) != NULL;) {
        for (int succeeded = 1; succeeded >= 0; succeeded--) {
            append_row(buffer, name, "issuer", row->name, "result", succeeded ? "success" : "failure");
            buffer_append_u64(buffer, count_of(&row->discovery[succeeded]));
            buffer_append_char(buffer, '\n');
        }
    }
}

/* ---- rules for changes ---- */

static void render_rules(const struct metrics *metrics, size_t n_named, struct buffer *buffer) {
    static const char name[] = "kube_introspect_admission_rule_results_total";
    append_head(buffer, name, "counter", "Requests that a rule for changes was about, by rule and result.");
    for (size_t i = 0; i <= LIMIT_METRICS_RULES; i++) {
        const struct metrics_rule *row = &metrics->rules[i];
        const uint64_t n_failed = count_of(&row->results[0]), n_held = count_of(&row->results[1]);
        if (i == LIMIT_METRICS_RULES ? n_failed + n_held == 0 : i >= n_named)
            continue;
        append_row(buffer, name, "rule", row->name, "result", "held");
        buffer_append_format(buffer, "%" PRIu64 "\n", n_held);
        append_row(buffer, name, "rule", row->name, "result", "failed");
        buffer_append_format(buffer, "%" PRIu64 "\n", n_failed);
    }
}

/* ---- configuration, audit log, process ---- */

static void render_config(const struct metrics *metrics, struct buffer *buffer) {
    static const char generation[] = "kube_introspect_config_generation";
    append_head(buffer, generation, "gauge", "Number of the configuration in use; 1 is the one of the start.");
    append_i64_row(buffer, generation, NULL, NULL, value_of(&metrics->generation));
    static const char successful[] = "kube_introspect_config_last_reload_successful";
    append_head(buffer, successful, "gauge", "1 when the newest configuration is in use, 0 when it was refused.");
    append_i64_row(buffer, successful, NULL, NULL, value_of(&metrics->reload_succeeded));
    static const char timestamp[] = "kube_introspect_config_last_reload_timestamp_seconds";
    append_head(buffer, timestamp, "gauge", "When the configuration in use was loaded, in Unix time.");
    append_unix_ms_row(buffer, timestamp, value_of(&metrics->reload_unix_ms));
    static const char reloads[] = "kube_introspect_config_reloads_total";
    append_head(buffer, reloads, "counter", "Loads of the configuration, the one of the start among them, by result.");
    append_results(buffer, reloads, metrics->reloads);
}

/* The lock is held. */
static void render_certificates(const struct metrics *metrics, struct buffer *buffer) {
    static const char name[] = "kube_introspect_certificate_expiry_timestamp_seconds";
    append_head(buffer, name, "gauge", "When a certificate ends, in Unix time, by what it is used for.");
    for (size_t i = 0; i < LIMIT_METRICS_CERTIFICATES; i++) {
        const struct metrics_certificate *row = &metrics->certificates[i];
        if (row->name[0] != '\0')
            append_i64_row(buffer, name, "certificate", row->name, row->unix_s);
    }
}

static void render_audit(struct audit *audit, struct buffer *buffer) {
    struct audit_stats stats = {0};
    if (audit != NULL)
        audit_stats(audit, &stats);
    static const char records[] = "kube_introspect_audit_records_total";
    append_head(buffer, records, "counter", "Audit records, by what became of them.");
    append_u64_row(buffer, records, "result", "written", stats.n_written);
    append_u64_row(buffer, records, "result", "lost", stats.n_lost);
    append_u64_row(buffer, records, "result", "refused", stats.n_refused);
    static const char errors[] = "kube_introspect_audit_write_errors_total";
    append_head(buffer, errors, "counter", "Attempts to write the audit log that failed, retries among them.");
    append_u64_row(buffer, errors, NULL, NULL, stats.n_write_errors);
    static const char queue[] = "kube_introspect_audit_queue_bytes";
    append_head(buffer, queue, "gauge", "Audit lines that wait for the disk.");
    append_u64_row(buffer, queue, NULL, NULL, stats.queue_bytes);
    static const char writable[] = "kube_introspect_audit_writable";
    append_head(buffer, writable, "gauge", "1 when the last write of the audit log succeeded, 0 when it failed.");
    append_u64_row(buffer, writable, NULL, NULL, stats.writable);
}

/* The second number of /proc/self/statm is the resident pages. 0 where there is no such file. */
static uint64_t resident_bytes(void) {
    struct secret *statm;
    if (file_read("/proc/self/statm", 4096, &statm, NULL) != 0)
        return 0;
    const char *space = strchr(secret_text(statm).data, ' ');
    const uint64_t n_pages = space == NULL ? 0 : strtoull(space, NULL, 10);
    secret_free(statm);
    return n_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_fds(void) {
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    uint64_t n = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(folder);
    return n - 1; /* the folder's own */
}

static void render_process(const struct metrics *metrics, const char *version, struct buffer *buffer) {
    static const char build[] = "kube_introspect_build_info";
    append_head(buffer, build, "gauge", "Always 1; the version is the label.");
    append_u64_row(buffer, build, "version", version, 1);
    static const char start[] = "process_start_time_seconds";
    append_head(buffer, start, "gauge", "When the process started, in Unix time.");
    append_unix_ms_row(buffer, start, metrics->started_unix_ms);
    static const char live[] = "kube_introspect_live";
    append_head(buffer, live, "gauge", "1 when every thread that answers or asks turns, 0 when /livez fails.");
    append_i64_row(buffer, live, NULL, NULL, value_of(&metrics->is_live));
    static const char now[] = "kube_introspect_time_seconds";
    append_head(buffer, now, "gauge", "This machine's clock at the scrape, in Unix time.");
    append_unix_ms_row(buffer, now, clock_unix_ms(&clock_system));
    static const char resident[] = "process_resident_memory_bytes";
    append_head(buffer, resident, "gauge", "Resident memory of the process.");
    append_u64_row(buffer, resident, NULL, NULL, resident_bytes());
    static const char fds[] = "process_open_fds";
    append_head(buffer, fds, "gauge", "Open file descriptors of the process.");
    append_u64_row(buffer, fds, NULL, NULL, open_fds());
}

void metrics_render(struct metrics *metrics, struct cache *cache, struct audit *audit, const char *version,
                    struct buffer *buffer) {
    for (size_t kind = 0; kind < N_METRICS_KINDS; kind++) {
        render_reviews(metrics, kind, buffer);
        render_durations(metrics, kind, buffer);
    }
    render_lookups(metrics, buffer);
    render_cache(cache, buffer);
    pthread_mutex_lock(&metrics->lock);
    const struct rows rows = {.metrics = metrics, .n_named = metrics->n_issuers};
    const size_t n_rules = metrics->n_rules;
    render_certificates(metrics, buffer);
    pthread_mutex_unlock(&metrics->lock);
    render_calls(&rows, buffer);
    render_call_durations(&rows, buffer);
    render_flights(&rows, buffer);
    render_budgets(&rows, buffer);
    render_retries(&rows, buffer);
    render_refreshes(&rows, buffer);
    render_breakers(&rows, buffer);
    render_discovery(&rows, buffer);
    render_rules(metrics, n_rules, buffer);
    render_bad_requests(metrics, buffer);
    render_connections(metrics, buffer);
    render_config(metrics, buffer);
    render_audit(audit, buffer);
    render_process(metrics, version, buffer);
}
