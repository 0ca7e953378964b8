/*
 * Counters, and their text for Prometheus (exposition format 0.0.4). docs/metrics.md lists each; a test holds the two
 * together. Counting is wait-free from any thread.
 */
#pragma once

#include "core/breaker.h"
#include "core/budget.h"
#include "core/decide.h"
#include "ops/audit.h"

struct metrics;

/* How a call to a provider ended. */
enum call_outcome {
    CALL_ACTIVE,
    CALL_INACTIVE,
    CALL_UNSUPPORTED,
    CALL_UNREACHABLE,
    CALL_TIMEOUT,
    CALL_TLS,
    CALL_ERROR,
    CALL_THROTTLED,
    CALL_INVALID_REPLY,
    CALL_REJECTED, /* credentials */
    CALL_MISCONFIGURED,
    N_CALL_OUTCOMES
};
const char *call_outcome_word(enum call_outcome outcome);

int metrics_new(struct metrics **ret_metrics);
void metrics_free(struct metrics *metrics);

/* What a review was about. */
enum metrics_kind { METRICS_LOGIN, METRICS_AUTHORIZATION, METRICS_ADMISSION, N_METRICS_KINDS };

/* A review was answered. duration_us from the request's arrival at the handler. cache counts for a login only: what comes
   after one finds a fact that is not fresh enough as often as recheckAfter wants. */
void metrics_review(struct metrics *metrics, enum metrics_kind kind, enum verdict verdict, enum reason reason,
                    enum cache_outcome cache, int64_t duration_us);

/* A request that was no review was answered with this status (400, 404, ...). */
void metrics_bad_request(struct metrics *metrics, int status);

/* A caller's connection: TLS handshake done, handshake failed, connection closed. */
void metrics_handshake(struct metrics *metrics, bool succeeded);
void metrics_connections(struct metrics *metrics, int change);

/* Why we end a connection that its caller would keep. */
enum connection_end {
    END_HANDSHAKE_TIMEOUT, /* no certificate yet */
    END_REQUEST_TIMEOUT,   /* a request that does not arrive whole */
    END_IDLE_TIMEOUT,
    END_WRITE_TIMEOUT, /* an answer that is not read */
    END_CROWDED,       /* too many who have shown no certificate: the oldest of them */
    END_MEMORY,        /* too much that was not read to the end yet */
    N_CONNECTION_ENDS
};
const char *connection_end_word(enum connection_end why);

/* A connection was ended by us. */
void metrics_connection_ended(struct metrics *metrics, enum connection_end why);

/* The row of an issuer, for the calls below: the same number for the same name as long as the process lives. At most 256
   names; later ones share the last row, named "other". Takes a lock: at start and reload only. */
size_t metrics_issuer(struct metrics *metrics, struct text name);

void metrics_call_begin(struct metrics *metrics, size_t issuer);
void metrics_call_end(struct metrics *metrics, size_t issuer, enum call_outcome outcome, int64_t duration_us);
void metrics_flights_waiting(struct metrics *metrics, size_t issuer, int change);
void metrics_discovery(struct metrics *metrics, size_t issuer, bool succeeded);

/* A question about such a token was refused for want of budget. */
void metrics_over_budget(struct metrics *metrics, size_t issuer, enum budget_kind kind);

/* A call that failed is made once more, or would be if there were budget for it. */
void metrics_retry(struct metrics *metrics, size_t issuer, bool is_made);

/* A token in use was asked about again ahead of time. */
void metrics_refresh(struct metrics *metrics, size_t issuer, bool succeeded);

/* The state that an issuer's breaker has come to. */
void metrics_breaker(struct metrics *metrics, size_t issuer, enum breaker_state state);

/* The row of a rule for changes, as metrics_issuer() gives one of an issuer. */
size_t metrics_rule(struct metrics *metrics, struct text name);

/* A rule was about a request, and held or not. */
void metrics_rule_result(struct metrics *metrics, size_t rule, bool held);

void metrics_reload(struct metrics *metrics, bool succeeded, uint32_t generation, int64_t unix_ms);

/* Whether every thread that answers or asks turns, as /livez says it. */
void metrics_live(struct metrics *metrics, bool is_live);

/* When a certificate that we present or trust ends. name: "authentication", "operations", "issuer:NAME". At most 64; unix_s
   0: there is no such certificate any more. Takes a lock: at start and reload only. */
void metrics_certificate_expiry(struct metrics *metrics, const char *name, int64_t unix_s);
