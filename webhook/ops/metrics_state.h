/*
 * The counters themselves: shared by what counts (metrics.c) and what prints (metrics_render.c), and by nobody else.
 */
#pragma once

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "ops/metrics.h"

#define CACHE_LINE_BYTES 64
/* The upper bounds of the histograms' buckets; METRICS_BOUNDS(X) in microseconds, with the text of the le label. */
#define METRICS_BOUNDS(X)                                                                                                  \
    X(50, "5e-05")                                                                                                         \
    X(100, "0.0001")                                                                                                       \
    X(250, "0.00025")                                                                                                      \
    X(500, "0.0005")                                                                                                       \
    X(1000, "0.001")                                                                                                       \
    X(2500, "0.0025")                                                                                                      \
    X(5000, "0.005")                                                                                                       \
    X(10000, "0.01")                                                                                                       \
    X(25000, "0.025")                                                                                                      \
    X(50000, "0.05")                                                                                                       \
    X(100000, "0.1")                                                                                                       \
    X(250000, "0.25")                                                                                                      \
    X(500000, "0.5")                                                                                                       \
    X(1000000, "1")                                                                                                        \
    X(2500000, "2.5")                                                                                                      \
    X(5000000, "5")                                                                                                        \
    X(10000000, "10")
#define COUNT_BOUND(bound_us, label) +1
#define N_METRICS_BOUNDS (0 METRICS_BOUNDS(COUNT_BOUND))

typedef _Atomic uint64_t metrics_counter;
typedef _Atomic int64_t metrics_gauge;

struct metrics_histogram {
    metrics_counter buckets[N_METRICS_BOUNDS + 1]; /* each counts its own range; the last is above all bounds */
    metrics_counter sum_us;
};

/* What every request counts. A loop has a part of its own, so that none waits for another's cache line. */
#define N_METRICS_PARTS 16
struct metrics_part {
    alignas(CACHE_LINE_BYTES) metrics_counter reviews[N_METRICS_KINDS][VERDICT_UNAVAILABLE + 1][N_REASONS];
    metrics_counter cache[CACHE_OUTCOME_MISS + 1];
    struct metrics_histogram durations[N_METRICS_KINDS];
};

struct metrics_issuer {
    alignas(CACHE_LINE_BYTES) metrics_counter calls[N_CALL_OUTCOMES];
    struct metrics_histogram duration;
    metrics_counter discovery[2]; /* failed, succeeded */
    metrics_gauge in_flight, waiting;
    metrics_gauge breaker; /* enum breaker_state */
    metrics_counter breaker_opens;
    metrics_counter over_budget[N_BUDGET_KINDS];
    metrics_counter retries[2];              /* refused, made */
    metrics_counter refreshes[2];            /* failed, succeeded */
    char name[LIMIT_METRICS_NAME_BYTES + 1]; /* written once, before n_issuers counts the row */
};

struct metrics_rule {
    alignas(CACHE_LINE_BYTES) metrics_counter results[2]; /* failed, held */
    char name[LIMIT_ADMISSION_RULE_NAME_BYTES + 1];       /* written once, before n_rules counts the row */
};

struct metrics_certificate {
    char name[LIMIT_METRICS_NAME_BYTES + 1]; /* empty: a free row */
    int64_t unix_s;
};

/* Statuses of HTTP. */
#define FIRST_STATUS 100
#define LAST_STATUS 599

struct metrics {
    struct metrics_part parts[N_METRICS_PARTS];
    struct metrics_issuer issuers[LIMIT_METRICS_ISSUERS + 1]; /* the last is "other" */
    struct metrics_rule rules[LIMIT_METRICS_RULES + 1];       /* likewise */
    alignas(CACHE_LINE_BYTES) metrics_counter bad_requests[LAST_STATUS - FIRST_STATUS + 1];
    metrics_counter handshakes[2], reloads[2]; /* failed, succeeded */
    metrics_gauge connections, is_live;
    metrics_counter connection_ends[N_CONNECTION_ENDS];
    metrics_gauge generation, reload_succeeded, reload_unix_ms;
    _Atomic uint32_t n_threads; /* that have counted: each is given a part */
    int64_t started_unix_ms;
    pthread_mutex_t lock; /* of what follows */
    size_t n_issuers, n_rules;
    struct metrics_certificate certificates[LIMIT_METRICS_CERTIFICATES];
    void *memory; /* as malloc() gave it: this structure begins at a cache line within */
};
