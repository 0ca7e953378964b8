#include "ops/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "ops/metrics_state.h"

static const int64_t bounds_us[N_METRICS_BOUNDS] = {
#define BOUND(bound_us, label) bound_us,
    METRICS_BOUNDS(BOUND)
#undef BOUND
};

/* Relaxed everywhere: a counter orders nothing, it only has to be right in the end. */
static void add(metrics_counter *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void change_gauge(metrics_gauge *gauge, int64_t change) {
    atomic_fetch_add_explicit(gauge, change, memory_order_relaxed);
}

static void set_gauge(metrics_gauge *gauge, int64_t value) {
    atomic_store_explicit(gauge, value, memory_order_relaxed);
}

static void observe(struct metrics_histogram *histogram, int64_t duration_us) {
    size_t bucket = 0;
    while (bucket < N_METRICS_BOUNDS && duration_us > bounds_us[bucket])
        bucket++;
    add(&histogram->buckets[bucket], 1);
    add(&histogram->sum_us, duration_us > 0 ? (uint64_t)duration_us : 0);
}

const char *call_outcome_word(enum call_outcome outcome) {
    static const char *const words[N_CALL_OUTCOMES] = {[CALL_ACTIVE] = "active",
                                                       [CALL_INACTIVE] = "inactive",
                                                       [CALL_UNSUPPORTED] = "unsupported",
                                                       [CALL_UNREACHABLE] = "unreachable",
                                                       [CALL_TIMEOUT] = "timeout",
                                                       [CALL_TLS] = "tls",
                                                       [CALL_ERROR] = "error",
                                                       [CALL_THROTTLED] = "throttled",
                                                       [CALL_REJECTED] = "rejected",
                                                       [CALL_INVALID_REPLY] = "invalid_reply",
                                                       [CALL_MISCONFIGURED] = "misconfigured"};
    return words[outcome];
}

int metrics_new(struct metrics **ret_metrics) {
    const size_t n_bytes = sizeof(struct metrics) + CACHE_LINE_BYTES - 1;
    void *memory = calloc(1, n_bytes);
    if (memory == NULL)
        return -ENOMEM;
    const size_t misplaced = (uintptr_t)memory % CACHE_LINE_BYTES;
    struct metrics *metrics = (void *)((char *)memory + (misplaced == 0 ? 0 : CACHE_LINE_BYTES - misplaced));
    metrics->memory = memory;
    metrics->started_unix_ms = clock_unix_ms(&clock_system);
    memcpy(metrics->issuers[LIMIT_METRICS_ISSUERS].name, "other", sizeof("other"));
    memcpy(metrics->rules[LIMIT_METRICS_RULES].name, "other", sizeof("other"));
    pthread_mutex_init(&metrics->lock, NULL); /* glibc's cannot fail */
    *ret_metrics = metrics;
    return 0;
}

void metrics_free(struct metrics *metrics) {
    if (metrics == NULL)
        return;
    pthread_mutex_destroy(&metrics->lock);
    free(metrics->memory);
}

/* ---- requests ---- */

static struct metrics_part *part_of_thread(struct metrics *metrics) {
    static _Thread_local uint32_t number; /* 0: none yet. Two threads with the same part only wait for each other. */
    if (number == 0)
        number = atomic_fetch_add_explicit(&metrics->n_threads, 1, memory_order_relaxed) + 1;
    return &metrics->parts[number % N_METRICS_PARTS];
}

void metrics_review(struct metrics *metrics, enum metrics_kind kind, enum verdict verdict, enum reason reason,
                    enum cache_outcome cache, int64_t duration_us) {
    struct metrics_part *part = part_of_thread(metrics);
    add(&part->reviews[kind][verdict][reason], 1);
    if (kind == METRICS_LOGIN)
        add(&part->cache[cache], 1);
    observe(&part->durations[kind], duration_us);
}

void metrics_bad_request(struct metrics *metrics, int status) {
    /* What is no status of HTTP is our own fault, and is counted as that. */
    const int counted = status < FIRST_STATUS || status > LAST_STATUS ? 500 : status;
    add(&metrics->bad_requests[counted - FIRST_STATUS], 1);
}

void metrics_handshake(struct metrics *metrics, bool succeeded) {
    add(&metrics->handshakes[succeeded], 1);
}

void metrics_connections(struct metrics *metrics, int change) {
    change_gauge(&metrics->connections, change);
}

const char *connection_end_word(enum connection_end why) {
    static const char *const words[N_CONNECTION_ENDS] = {
        [END_HANDSHAKE_TIMEOUT] = "handshake_timeout",
        [END_REQUEST_TIMEOUT] = "request_timeout",
        [END_IDLE_TIMEOUT] = "idle_timeout",
        [END_WRITE_TIMEOUT] = "write_timeout",
        [END_CROWDED] = "crowded",
        [END_MEMORY] = "memory",
    };
    return words[why];
}

void metrics_connection_ended(struct metrics *metrics, enum connection_end why) {
    add(&metrics->connection_ends[why], 1);
}

/* ---- issuers ---- */

/* Row names are cut, so a name is compared as far as it is kept. */
static struct text kept(struct text name) {
    if (name.n_bytes > LIMIT_METRICS_NAME_BYTES)
        name.n_bytes = LIMIT_METRICS_NAME_BYTES;
    return name;
}

static size_t find_or_add_issuer(struct metrics *metrics, struct text name) {
    if (text_equal(name, TEXT("other")))
        return LIMIT_METRICS_ISSUERS; /* two rows of one name would be no valid exposition */
    for (size_t i = 0; i < metrics->n_issuers; i++) {
        if (text_equal(text_of(metrics->issuers[i].name), name))
            return i;
    }
    if (metrics->n_issuers == LIMIT_METRICS_ISSUERS)
        return LIMIT_METRICS_ISSUERS;
    memcpy(metrics->issuers[metrics->n_issuers].name, name.data, name.n_bytes);
    return metrics->n_issuers++;
}

size_t metrics_issuer(struct metrics *metrics, struct text name) {
    pthread_mutex_lock(&metrics->lock);
    const size_t row = find_or_add_issuer(metrics, kept(name));
    pthread_mutex_unlock(&metrics->lock);
    return row;
}

void metrics_call_begin(struct metrics *metrics, size_t issuer) {
    change_gauge(&metrics->issuers[issuer].in_flight, 1);
}

void metrics_call_end(struct metrics *metrics, size_t issuer, enum call_outcome outcome, int64_t duration_us) {
    struct metrics_issuer *row = &metrics->issuers[issuer];
    change_gauge(&row->in_flight, -1);
    add(&row->calls[outcome], 1);
    observe(&row->duration, duration_us);
}

void metrics_flights_waiting(struct metrics *metrics, size_t issuer, int change) {
    change_gauge(&metrics->issuers[issuer].waiting, change);
}

void metrics_discovery(struct metrics *metrics, size_t issuer, bool succeeded) {
    add(&metrics->issuers[issuer].discovery[succeeded], 1);
}

void metrics_over_budget(struct metrics *metrics, size_t issuer, enum budget_kind kind) {
    add(&metrics->issuers[issuer].over_budget[kind], 1);
}

void metrics_retry(struct metrics *metrics, size_t issuer, bool is_made) {
    add(&metrics->issuers[issuer].retries[is_made], 1);
}

void metrics_refresh(struct metrics *metrics, size_t issuer, bool succeeded) {
    add(&metrics->issuers[issuer].refreshes[succeeded], 1);
}

/* A breaker that a probe left open has not opened again. */
void metrics_breaker(struct metrics *metrics, size_t issuer, enum breaker_state state) {
    struct metrics_issuer *row = &metrics->issuers[issuer];
    const int64_t before = atomic_exchange_explicit(&row->breaker, state, memory_order_relaxed);
    if (before == BREAKER_CLOSED && state == BREAKER_OPEN)
        add(&row->breaker_opens, 1);
}

/* ---- rules for changes ---- */

static size_t find_or_add_rule(struct metrics *metrics, struct text name) {
    if (text_equal(name, TEXT("other")))
        return LIMIT_METRICS_RULES;
    for (size_t i = 0; i < metrics->n_rules; i++) {
        if (text_equal(text_of(metrics->rules[i].name), name))
            return i;
    }
    if (metrics->n_rules == LIMIT_METRICS_RULES || name.n_bytes > LIMIT_ADMISSION_RULE_NAME_BYTES)
        return LIMIT_METRICS_RULES;
    memcpy(metrics->rules[metrics->n_rules].name, name.data, name.n_bytes);
    return metrics->n_rules++;
}

size_t metrics_rule(struct metrics *metrics, struct text name) {
    pthread_mutex_lock(&metrics->lock);
    const size_t row = find_or_add_rule(metrics, name);
    pthread_mutex_unlock(&metrics->lock);
    return row;
}

void metrics_rule_result(struct metrics *metrics, size_t rule, bool held) {
    add(&metrics->rules[rule].results[held], 1);
}

/* ---- configuration ---- */

void metrics_reload(struct metrics *metrics, bool succeeded, uint32_t generation, int64_t unix_ms) {
    add(&metrics->reloads[succeeded], 1);
    set_gauge(&metrics->reload_succeeded, succeeded);
    if (!succeeded)
        return;
    set_gauge(&metrics->generation, generation);
    set_gauge(&metrics->reload_unix_ms, unix_ms);
}

void metrics_live(struct metrics *metrics, bool is_live) {
    set_gauge(&metrics->is_live, is_live);
}

/* The row of that name, or the free one that it would have, or NULL. The lock is held. */
static struct metrics_certificate *certificate_row(struct metrics *metrics, struct text name) {
    struct metrics_certificate *row = NULL;
    for (size_t i = 0; i < LIMIT_METRICS_CERTIFICATES; i++) {
        struct metrics_certificate *candidate = &metrics->certificates[i];
        if (text_equal(text_of(candidate->name), name))
            return candidate;
        if (candidate->name[0] == '\0' && row == NULL)
            row = candidate;
    }
    return row;
}

void metrics_certificate_expiry(struct metrics *metrics, const char *name, int64_t unix_s) {
    const struct text row_name = kept(text_of(name));
    pthread_mutex_lock(&metrics->lock);
    struct metrics_certificate *row = certificate_row(metrics, row_name);
    if (row != NULL) {
        memset(row, 0, sizeof(*row));
        if (unix_s != 0)
            memcpy(row->name, row_name.data, row_name.n_bytes);
        row->unix_s = unix_s;
    }
    pthread_mutex_unlock(&metrics->lock);
    if (row == NULL)
        log_warning("metrics", "the expiry of certificate %s is not shown: there are more than %d", name,
                    LIMIT_METRICS_CERTIFICATES);
}
