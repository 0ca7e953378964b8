#include "net/attempt.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/reply.h"

_Static_assert(INTROSPECTION_NO_TIME == FACT_NO_TIME, "a reply's absent time is a fact's absent time");

static const struct config_introspection *config_of(const struct lane *lane) {
    return &lane->provider->snapshot->config->introspection[lane->provider->issuer];
}

static enum client_method method_of(const struct lane *lane) {
    return config_of(lane)->method;
}

/* ---- asking ---- */

static struct text secret_of(const struct lane *lane, const struct flight *flight) {
    const struct snapshot_introspection *const files = &lane->provider->snapshot->introspection[lane->provider->issuer];
    return method_of(lane) == CLIENT_SECRET_POST ? secret_text(files->client_secrets[flight->secret]) : (struct text){0};
}

/* Room is made first, so that no smaller allocation with the token's beginning is left behind. */
static int write_request(const struct lane *lane, const struct flight *flight, struct buffer *request) {
    const struct text token = flight_token(flight);
    const struct text id = method_of(lane) == CLIENT_SECRET_BASIC ? (struct text){0} : text_of(config_of(lane)->client_id);
    const struct text secret = secret_of(lane, flight);
    buffer_clear(request); /* it is empty, but may remember a lack of memory */
    const int r = buffer_reserve(request, introspection_request_bytes(token, id, secret));
    if (r != 0)
        return r;
    introspection_request_encode(token, id, secret, request);
    return request->error;
}

static int put(struct lane *lane, struct flight *flight, struct call *call) {
    const int r = write_request(lane, flight, &call->request);
    if (r != 0)
        return r;
    const struct text headers = buffer_text(&lane->headers[method_of(lane) == CLIENT_SECRET_BASIC ? flight->secret : 0]);
    const char *const endpoint = atomic_load_explicit(&lane->provider->endpoint, memory_order_acquire);
    call->owner = flight;
    flight->tried_secrets |= 1U << flight->secret;
    const int begun = call_begin_post(call, lane->lanes->multi, endpoint, headers, clock_mono_ms(lane->lanes->clock));
    if (begun != 0)
        return begun;
    if (flight->called_us == 0)
        flight->called_us = call->begun_us;
    flight->call = call;
    flight->breaker_turn = lane_breaker_begin(lane);
    lanes_expire_by(lane->lanes, call->deadline_mono_ms);
    return 0;
}

static int ask(struct lane *lane, struct flight *flight, struct call *call) {
    const int r = put(lane, flight, call);
    if (r == 0)
        metrics_call_begin(lane->lanes->metrics, lane->provider->metrics_row);
    return r;
}

/* ---- the end of a flight ---- */

static void keep(struct lane *lane, struct call *call) {
    call->next = lane->idle;
    lane->idle = call;
}

static void leave(struct lane *lane, struct flight *flight) {
    if (flight->state == FLIGHT_PAUSING) {
        flight_list_remove(&lane->pausing, flight);
    } else if (flight->state == FLIGHT_WAITING) {
        flight_list_remove(&lane->waiting[flight->kind], flight);
        metrics_flights_waiting(lane->lanes->metrics, lane->provider->metrics_row, -1);
    } else {
        flight_list_remove(&lane->calling, flight);
        lane->n_unknown_calling -= flight->kind == BUDGET_UNKNOWN;
    }
}

void attempt_fail(struct lane *lane, struct flight *flight, enum reason reason) {
    leave(lane, flight);
    flight_table_remove(&lane->lanes->flights, flight);
    flight_deliver(flight, reason, NULL);
    flight_free(flight);
}

/* The answer is in the cache before anybody hears of it. */
static void land(struct lane *lane, struct flight *flight, struct fact *fact) {
    struct lanes *const lanes = lane->lanes;
    cache_insert(lanes->cache, fact);
    /* Read before anybody is told: who hears of it may run first, and ask again for a newer answer at once. */
    const int64_t landed_mono_ms = clock_mono_ms(lanes->clock);
    leave(lane, flight);
    flight_deliver(flight, REASON_OK, fact);
    flight_land(flight, fact, landed_mono_ms);
    flight_list_append(&lanes->landed, flight);
}

static int fact_of(const struct flight *flight, const struct call *call, const struct reply *reply,
                   struct fact **ret_fact) {
    const struct text claims = buffer_text(&reply->introspection.claims);
    const struct fact_source source = {
        .answer = reply->answer,
        .key = flight->key,
        .asked_mono_ms = call->begun_mono_ms,
        .exp_unix_s = reply->introspection.exp_unix_s,
        .nbf_unix_s = reply->introspection.nbf_unix_s,
        .iat_unix_s = reply->introspection.iat_unix_s,
        .token = flight_token(flight),
        .claims = claims.n_bytes == 0 ? TEXT("{}") : claims,
    };
    return fact_new(&source, ret_fact);
}

/* ---- what to tell the admin ---- */

static void report_rejected(struct lane *lane, const struct flight *flight, long status) {
    const struct config_introspection *const config = config_of(lane);
    if (config->method == CLIENT_TLS)
        lane_report(lane, REASON_CLIENT_CREDENTIALS_REJECTED,
                    "the provider rejects our client certificate (HTTP %ld): check client.id and renew %s", status,
                    config->cert_file);
    else
        lane_report(lane, REASON_CLIENT_CREDENTIALS_REJECTED,
                    "the provider rejects our client credentials (HTTP %ld, %s tried): check client.id and put the "
                    "client's present secret into %s",
                    status, flight->tried_secrets == 1 ? "the one line" : "both lines", config->secret_file);
}

static void report(struct lane *lane, const struct flight *flight, const struct call_result *result,
                   const struct reply *reply) {
    char room[256];
    switch (reply->reason) {
    case REASON_CLIENT_CREDENTIALS_REJECTED:
        report_rejected(lane, flight, result->status);
        return;
    case REASON_PROVIDER_REPLY_INVALID:
        lane_report(lane, reply->reason, "the introspection endpoint's reply is no valid introspection reply (%s)",
                    reply_describe(result, room, sizeof(room)));
        return;
    case REASON_PROVIDER_MISCONFIGURED:
        lane_report(lane, reply->reason,
                    "the introspection endpoint refuses the request itself (%s): check introspection.endpoint and client",
                    reply_describe(result, room, sizeof(room)));
        return;
    default:
        lane_report(lane, reply->reason, "introspection failed: %s", reply_describe(result, room, sizeof(room)));
    }
}

/* ---- the reply ---- */

/* The lowest line that this flight has not tried; SIZE_MAX: none. */
static size_t untried_secret(const struct lane *lane, const struct flight *flight) {
    for (size_t i = 0; i < lane->n_secrets; i++) {
        if ((flight->tried_secrets & (1U << i)) == 0)
            return i;
    }
    return SIZE_MAX;
}

/*
 * What the breaker hears of a call that had no answer in time. It says something of the provider only where that had the
 * most of its time: not if the caller had little left, nor if we stood still meanwhile.
 */
static enum breaker_result time_out_of(const struct lane *lane, const struct call *call) {
    const int64_t ran_ms = clock_mono_ms(lane->lanes->clock) - call->begun_mono_ms;
    const bool had_time = ran_ms >= call->timeout_ms / 2 && call->begun_us >= lane->lanes->excused_us;
    return had_time ? BREAKER_TIMED_OUT : BREAKER_UNKNOWN;
}

/*
 * What the breaker hears of a reply. Only what says that the provider does not work is a failure: a reply that cannot be
 * read may be one token's, and whoever holds that could open the breaker for all.
 */
static enum breaker_result breaker_result_of(const struct lane *lane, const struct call *call, const struct reply *reply) {
    switch (reply->outcome) {
    case CALL_TIMEOUT:
        return time_out_of(lane, call);
    case CALL_UNREACHABLE:
    case CALL_TLS:
    case CALL_THROTTLED:
        return BREAKER_FAILED;
    case CALL_ERROR:
        return reply->reason == REASON_INTERNAL ? BREAKER_UNKNOWN : BREAKER_FAILED;
    default:
        return BREAKER_ANSWERED;
    }
}

/* Whether the provider had closed the connection, and the question has been put again over a fresh one. That is no failure
   of anybody's: it stays one call. Not in another turn of the breaker, which may be open by now. */
static bool put_again(struct lane *lane, struct flight *flight, struct call *call, const struct call_result *result) {
    if (!reply_is_stale_connection(result) || flight->has_retried || flight->breaker_turn != lane->breaker.turn)
        return false;
    flight->has_retried = true;
    return put(lane, flight, call) == 0;
}

/* Whether the reply calls for another question, and it has been put. */
static bool ask_again(struct lane *lane, struct flight *flight, struct call *call, const struct reply *reply) {
    lane_breaker_end(lane, flight->breaker_turn, breaker_result_of(lane, call, reply), reply->reason);
    const size_t secret = untried_secret(lane, flight);
    if (reply->reason == REASON_CLIENT_CREDENTIALS_REJECTED && secret != SIZE_MAX &&
        breaker_admits(&lane->breaker, clock_mono_ms(lane->lanes->clock))) {
        flight->secret = secret;
        return ask(lane, flight, call) == 0;
    }
    return false;
}

/* ---- once more, after a pause ---- */

void attempt_resume(struct lane *lane, struct flight *flight) {
    leave(lane, flight);
    flight->state = FLIGHT_WAITING;
    flight_list_append(&lane->waiting[flight->kind], flight);
    metrics_flights_waiting(lane->lanes->metrics, lane->provider->metrics_row, 1);
}

/* Whether there is a retry for this flight and a call for the provider. */
static bool take_retry(struct lane *lane, const struct flight *flight, int64_t now_mono_ms) {
    const bool is_taken = lane->pausing.n_flights < LIMIT_FLIGHTS_WAITING && retry_take(&lane->retry_budget) &&
                          budget_take(&lane->budget, flight->kind, now_mono_ms);
    metrics_retry(lane->lanes->metrics, lane->provider->metrics_row, is_taken);
    return is_taken;
}

/* Whether the flight will ask once more. Whose time is over before that hears now why there is no answer. */
static bool pause_for_retry(struct lane *lane, struct flight *flight, const struct call_result *result,
                            const struct reply *reply) {
    const int64_t now_mono_ms = clock_mono_ms(lane->lanes->clock);
    int64_t asked_ms;
    if (flight->n_retries >= config_of(lane)->max_retries || !reply_may_pass(result, &asked_ms) ||
        !breaker_admits(&lane->breaker, now_mono_ms))
        return false;
    flight->due_mono_ms = now_mono_ms + retry_pause_ms(flight->n_retries, asked_ms, arc4random());
    flight_expire(flight, flight->due_mono_ms, reply->reason);
    if (flight->n_tickets == 0 || !take_retry(lane, flight, now_mono_ms))
        return false;
    leave(lane, flight);
    flight->n_retries++;
    flight->tried_secrets = 0;
    flight->state = FLIGHT_PAUSING;
    flight_list_append(&lane->pausing, flight);
    lanes_expire_by(lane->lanes, flight->due_mono_ms);
    return true;
}

static void prefer_secret(struct lane *lane, const struct flight *flight) {
    if (lane->preferred_secret == flight->secret)
        return;
    lane_report(lane, REASON_CLIENT_CREDENTIALS_REJECTED, "the provider takes line %zu of %s and rejects line %zu",
                flight->secret + 1, config_of(lane)->secret_file, lane->preferred_secret + 1);
    lane->preferred_secret = flight->secret;
}

static void conclude(struct lane *lane, struct flight *flight, const struct call *call, const struct call_result *result,
                     const struct reply *reply) {
    struct fact *fact;
    if (reply->reason != REASON_OK) {
        report(lane, flight, result, reply);
        if (result->status == 404 || result->status == 405)
            discover_hurry(lane);
        attempt_fail(lane, flight, reply->reason);
    } else if (fact_of(flight, call, reply, &fact) != 0) {
        lane_report(lane, REASON_INTERNAL, "out of memory for an answer");
        attempt_fail(lane, flight, REASON_INTERNAL);
    } else {
        prefer_secret(lane, flight);
        land(lane, flight, fact);
        fact_unref(fact);
    }
}

static void on_done(struct call *call, CURLcode code) {
    struct flight *const flight = call->owner;
    struct lane *const lane = flight->provider->lane;
    flight->call = NULL;
    struct call_result result;
    call_result(call, code, &result);
    if (put_again(lane, flight, call, &result))
        return;
    struct reply reply;
    reply_read(&result, &reply);
    const int64_t took_us = clock_mono_us() - call->begun_us;
    provider_took(lane->provider, took_us);
    metrics_call_end(lane->lanes->metrics, lane->provider->metrics_row, reply.outcome, took_us);
    if (!ask_again(lane, flight, call, &reply)) {
        if (!pause_for_retry(lane, flight, &result, &reply))
            conclude(lane, flight, call, &result, &reply);
        keep(lane, call);
    }
    reply_deinit(&reply);
    attempt_start_waiting(lane);
}

/* ---- places ---- */

static struct call *take_call(struct lane *lane) {
    struct call *call = lane->idle;
    if (call != NULL) {
        lane->idle = call->next;
        return call;
    }
    if (call_new(lane->provider->snapshot, lane->provider->issuer, &call) != 0)
        return NULL;
    call->done = on_done;
    return call;
}

static void start(struct lane *lane, struct flight *flight) {
    leave(lane, flight);
    flight->state = FLIGHT_CALLING;
    flight_list_append(&lane->calling, flight);
    lane->n_unknown_calling += flight->kind == BUDGET_UNKNOWN;
    flight->secret = lane->preferred_secret;
    if (flight->n_retries == 0)
        retry_earn(&lane->retry_budget);
    struct call *const call = take_call(lane);
    if (call != NULL && ask(lane, flight, call) == 0)
        return;
    if (call != NULL)
        keep(lane, call);
    lane_report(lane, REASON_INTERNAL, "out of memory for a call");
    attempt_fail(lane, flight, REASON_INTERNAL);
}

/* Unknown tokens never take all places, or a slow provider would be busy with garbage alone. */
static bool has_place(const struct lane *lane, const struct flight *flight) {
    return lane->calling.n_flights < lane->max_calling &&
           (flight->kind != BUDGET_UNKNOWN || lane->n_unknown_calling < lane->max_unknown_calling);
}

void attempt_start_waiting(struct lane *lane) {
    if (atomic_load_explicit(&lane->provider->endpoint, memory_order_acquire) == NULL)
        return;
    for (struct flight *flight; (flight = lane_first_waiting(lane)) != NULL;) {
        if (!breaker_admits(&lane->breaker, clock_mono_ms(lane->lanes->clock)))
            attempt_fail(lane, flight, REASON_BREAKER_OPEN);
        else if (has_place(lane, flight))
            start(lane, flight);
        else
            return;
    }
}

void attempt_abandon(struct lane *lane, struct flight *flight) {
    struct call *const call = flight->call;
    const enum breaker_result result = time_out_of(lane, call);
    call_abandon(call);
    metrics_call_end(lane->lanes->metrics, lane->provider->metrics_row, CALL_TIMEOUT, clock_mono_us() - call->begun_us);
    lane_breaker_end(lane, flight->breaker_turn, result, REASON_DEADLINE_EXCEEDED);
    keep(lane, call);
    attempt_fail(lane, flight, REASON_DEADLINE_EXCEEDED);
}
