#include "net/lane.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/attempt.h"
#include "wire/introspection.h"

/* ---- made and freed ---- */

/* Appends "Authorization: Basic ..." */
static int append_authorization(struct buffer *headers, struct text client_id, struct text secret) {
    buffer_append(headers, TEXT("Authorization: "));
    const int r = introspection_basic_encode(client_id, secret, headers);
    buffer_append(headers, TEXT("\r\n"));
    return r != 0 ? r : headers->error;
}

/* Made once, so that a call does not. */
static int make_headers(struct lane *lane, const struct config_introspection *config,
                        const struct snapshot_introspection *files) {
    lane->n_secrets = config->method == CLIENT_TLS ? 1 : files->n_client_secrets;
    const size_t n_texts = config->method == CLIENT_SECRET_BASIC ? lane->n_secrets : 1;
    for (size_t i = 0; i < n_texts; i++) {
        struct buffer *const headers = &lane->headers[i];
        const struct text id = text_of(config->client_id);
        const struct text secret = config->method == CLIENT_SECRET_BASIC ? secret_text(files->client_secrets[i]) : TEXT("");
        /* Form-encoding triples at most, base64 adds a third. */
        int r = buffer_reserve(headers, 64 + 4 * (id.n_bytes + secret.n_bytes));
        buffer_append(headers, TEXT("Accept: application/json\r\n"));
        if (r == 0 && config->method == CLIENT_SECRET_BASIC)
            r = append_authorization(headers, id, secret);
        if (r != 0)
            return r;
    }
    return 0;
}

static struct breaker_policy breaker_policy_of(const struct config_introspection *config) {
    struct breaker_policy policy = config->breaker;
    policy.timeouts = LIMIT_BREAKER_TIMEOUTS;
    /* All that may have been under way when the provider went, or restarted, and as many after that as are taken seriously. */
    policy.failures = config->max_concurrent + policy.minimum_calls;
    return policy;
}

int lane_new(struct provider *provider, struct provider *previous, struct lane **ret_lane) {
    struct lane *const lane = calloc(1, sizeof(*lane));
    if (lane == NULL)
        return -ENOMEM;
    const struct config_introspection *const config = &provider->snapshot->config->introspection[provider->issuer];
    for (size_t i = 0; i < LIMIT_CLIENT_SECRETS; i++)
        buffer_init(&lane->headers[i], LIMIT_REQUEST_HEAD_BYTES);
    lane->provider = provider;
    lane->max_calling = config->max_concurrent < LIMIT_CONCURRENT_CALLS ? config->max_concurrent : LIMIT_CONCURRENT_CALLS;
    lane->max_unknown_calling = (lane->max_calling * config->budget.unknown_permille + 999) / 1000;
    const struct breaker_policy breaker = breaker_policy_of(config);
    breaker_init(&lane->breaker, &breaker);
    retry_budget_init(&lane->retry_budget);
    int r = discover_init(&lane->discover, provider, previous);
    if (r == 0)
        r = make_headers(lane, config, &provider->snapshot->introspection[provider->issuer]);
    if (r != 0) {
        lane_free(lane);
        return r;
    }
    *ret_lane = lane;
    return 0;
}

void lane_free(struct lane *lane) {
    if (lane == NULL)
        return;
    for (size_t i = 0; i < LIMIT_CLIENT_SECRETS; i++)
        buffer_deinit_secret(&lane->headers[i]);
    discover_deinit(&lane->discover);
    free(lane);
}

/* ---- reports ---- */

struct text lane_name(const struct lane *lane) {
    return lane->provider->snapshot->config->policy.issuers[lane->provider->issuer].name;
}

void lane_report(struct lane *lane, enum reason kind, const char *format, ...) {
    uint64_t n_held_back;
    if (!trouble_is_due(&lane->trouble, kind, clock_mono_ms(lane->lanes->clock), &n_held_back))
        return;
    char text[LIMIT_ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (n_held_back == 0)
        log_warning("provider", "issuer %.*s: %s", LANE_NAME(lane), text);
    else
        log_warning("provider", "issuer %.*s: %s (and %llu more times since this was last logged)", LANE_NAME(lane), text,
                    (unsigned long long)n_held_back);
}

/* ---- the breaker ---- */

static void publish_breaker(struct lane *lane) {
    atomic_store_explicit(&lane->breaker_state, (int)lane->breaker.state, memory_order_relaxed);
    if (lane->is_configured) /* the row is the issuer's, whose lane of before a reload may still have calls under way */
        metrics_breaker(lane->lanes->metrics, lane->provider->metrics_row, lane->breaker.state);
}

uint32_t lane_breaker_begin(struct lane *lane) {
    const enum breaker_state before = lane->breaker.state;
    const uint32_t turn = breaker_begin(&lane->breaker, clock_mono_ms(lane->lanes->clock));
    if (lane->breaker.state != before)
        publish_breaker(lane);
    return turn;
}

static void report_breaker(struct lane *lane, const struct breaker_count *count, int64_t open_ms, enum reason reason) {
    if (lane->breaker.state == BREAKER_CLOSED)
        log_info("provider", "issuer %.*s: the breaker closes after %lld.%01lld s: the provider answers again",
                 LANE_NAME(lane), (long long)open_ms / 1000, (long long)open_ms % 1000 / 100);
    else
        lane_report(
            lane, REASON_BREAKER_OPEN,
            "the breaker opens: of the last %u calls %u failed, the last one as %s; until one succeeds the provider "
            "is asked once in %lld ms, and what is in the cache is served as ever",
            count->n_calls, count->n_failures, reason_word(reason), (long long)lane->breaker.policy.open_for_ms);
}

void lane_breaker_end(struct lane *lane, uint32_t turn, enum breaker_result result, enum reason reason) {
    const enum breaker_state before = lane->breaker.state;
    const int64_t now_mono_ms = clock_mono_ms(lane->lanes->clock);
    const int64_t open_ms = now_mono_ms - lane->breaker.opened_mono_ms;
    struct breaker_count count;
    if (breaker_end(&lane->breaker, turn, result, now_mono_ms, &count))
        report_breaker(lane, &count, open_ms, reason);
    if (lane->breaker.state != before)
        publish_breaker(lane);
}

/* ---- the list ---- */

struct flight *lane_first_waiting(const struct lane *lane) {
    return lane->waiting[BUDGET_KNOWN].first != NULL ? lane->waiting[BUDGET_KNOWN].first
                                                     : lane->waiting[BUDGET_UNKNOWN].first;
}

static bool is_endpoint_known(const struct lane *lane) {
    return atomic_load_explicit(&lane->provider->endpoint, memory_order_acquire) != NULL;
}

/* A reload must not send a provider that is down all those calls again which it took to learn that it is. */
static void take_over(struct lane *lane) {
    for (const struct lane *other = lane->next; other != NULL; other = other->next) {
        if (!text_equal(lane_name(other), lane_name(lane)))
            continue;
        budget_take_over(&lane->budget, &other->budget);
        lane->retry_budget = other->retry_budget;
        breaker_take_over(&lane->breaker, &other->breaker);
        publish_breaker(lane);
        return;
    }
}

struct lane *lanes_adopt(struct lanes *lanes, struct provider *provider) {
    struct lane *const lane = provider->lane;
    if (lane->lanes != NULL)
        return lane;
    provider_ref(provider);
    lane->lanes = lanes;
    lane->next = lanes->first;
    lanes->first = lane;
    budget_init(&lane->budget, &lane->provider->snapshot->config->introspection[provider->issuer].budget,
                clock_mono_ms(lanes->clock));
    take_over(lane);
    return lane;
}

static bool is_needed(const struct lane *lane) {
    return lane->is_configured || lane_first_waiting(lane) != NULL || lane->calling.first != NULL ||
           lane->pausing.first != NULL || lane->discover.call != NULL;
}

static void let_go(struct lane *lane) {
    while (lane->idle != NULL) {
        struct call *const call = lane->idle;
        lane->idle = call->next;
        call_free(call);
    }
    lane->lanes = NULL;
    lane->next = NULL;
    provider_unref(lane->provider);
}

static void let_unneeded_go(struct lanes *lanes) {
    for (struct lane **link = &lanes->first; *link != NULL;) {
        struct lane *const lane = *link;
        if (is_needed(lane)) {
            link = &lane->next;
            continue;
        }
        *link = lane->next;
        let_go(lane);
    }
}

void lanes_configure(struct lanes *lanes, struct provider *const *providers, size_t n_providers) {
    for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next)
        lane->is_configured = false;
    for (size_t i = 0; i < n_providers; i++) {
        struct lane *const lane = lanes_adopt(lanes, providers[i]);
        lane->is_configured = true;
        publish_breaker(lane);
    }
}

/* ---- flights come in ---- */

void lanes_expire_by(struct lanes *lanes, int64_t deadline_mono_ms) {
    if (deadline_mono_ms < lanes->expire_mono_ms)
        lanes->expire_mono_ms = deadline_mono_ms;
}

static void refuse(struct lane *lane, struct flight *flight, enum reason reason) {
    if (reason == REASON_OVERLOADED)
        lane_report(lane, reason, "too many tokens or callers wait for the provider: it is slower than they come");
    if (reason == REASON_OVER_BUDGET) {
        metrics_over_budget(lane->lanes->metrics, lane->provider->metrics_row, flight->kind);
        lane_report(lane, reason, "the provider's budget is used up (by %s tokens): see introspection.budget",
                    budget_kind_word(flight->kind));
    }
    flight_deliver(flight, reason, NULL);
    flight_free(flight);
}

/* Why the provider cannot be asked now; REASON_OK: it can, and the budget has been charged. */
static enum reason admit(struct lane *lane, const struct flight *flight) {
    const int64_t now_mono_ms = clock_mono_ms(lane->lanes->clock);
    if (discover_has_failed(lane, now_mono_ms))
        return REASON_DISCOVERY_FAILED;
    if (!breaker_admits(&lane->breaker, now_mono_ms))
        return REASON_BREAKER_OPEN;
    if (lane->waiting[flight->kind].n_flights >= LIMIT_FLIGHTS_WAITING)
        return REASON_OVERLOADED;
    return budget_take(&lane->budget, flight->kind, now_mono_ms) ? REASON_OK : REASON_OVER_BUDGET;
}

static void enter(struct lanes *lanes, struct lane *lane, struct flight *flight) {
    const enum reason reason = admit(lane, flight);
    if (reason != REASON_OK)
        return refuse(lane, flight, reason);
    flight->state = FLIGHT_WAITING;
    flight_list_append(&lane->waiting[flight->kind], flight);
    flight_table_insert(&lanes->flights, flight);
    metrics_flights_waiting(lanes->metrics, lane->provider->metrics_row, 1);
    lanes_expire_by(lanes, flight->earliest_mono_ms);
    attempt_start_waiting(lane);
}

static void join(struct lanes *lanes, struct lane *lane, struct flight *under_way, struct flight *flight) {
    if (under_way->n_tickets + flight->n_tickets > LIMIT_TICKETS_PER_FLIGHT)
        return refuse(lane, flight, REASON_OVERLOADED);
    lanes_expire_by(lanes, flight->earliest_mono_ms);
    flight_join(under_way, flight);
    flight_free(flight);
}

static void forget(struct lanes *lanes, struct flight *landed) {
    flight_table_remove(&lanes->flights, landed);
    flight_list_remove(&lanes->landed, landed);
    flight_free(landed);
}

void lanes_accept(struct lanes *lanes, struct flight *flight) {
    struct lane *const lane = lanes_adopt(lanes, flight->provider);
    flight_expire(flight, clock_mono_ms(lanes->clock), REASON_DEADLINE_EXCEEDED);
    if (flight->n_tickets == 0)
        return flight_free(flight);
    struct flight *const other = flight_table_lookup(&lanes->flights, flight);
    if (other == NULL)
        return enter(lanes, lane, flight);
    if (other->state != FLIGHT_LANDED)
        return join(lanes, lane, other, flight);
    /* Asked before the answer came, so it would have joined had it been seen in time. Asked after: it has seen the answer
       in the cache and wants a newer one. */
    if (flight->asked_mono_ms <= other->landed_mono_ms) {
        flight_deliver(flight, REASON_OK, other->fact);
        return flight_free(flight);
    }
    forget(lanes, other);
    enter(lanes, lane, flight);
}

void lanes_forget_landed(struct lanes *lanes, int64_t before_mono_ms) {
    while (lanes->landed.first != NULL && lanes->landed.first->landed_mono_ms < before_mono_ms)
        forget(lanes, lanes->landed.first);
}

/* ---- time passes ---- */

static void expire_list(struct lane *lane, struct flight_list *list, enum reason reason, int64_t now_mono_ms) {
    for (struct flight *flight = list->first, *next; flight != NULL; flight = next) {
        next = flight->next;
        flight_expire(flight, now_mono_ms, reason);
        lanes_expire_by(lane->lanes, flight->earliest_mono_ms);
        if (flight->n_tickets > 0)
            continue;
        if (flight->state == FLIGHT_CALLING)
            attempt_abandon(lane, flight);
        else
            attempt_fail(lane, flight, reason);
    }
}

/* A call that is over leaves the list, or begins anew with a time of its own. */
static void expire_calls(struct lane *lane, int64_t now_mono_ms) {
    for (struct flight *flight = lane->calling.first, *next; flight != NULL; flight = next) {
        next = flight->next;
        if (now_mono_ms < flight->call->deadline_mono_ms)
            lanes_expire_by(lane->lanes, flight->call->deadline_mono_ms);
        else if (!call_expire(flight->call))
            lanes_expire_by(lane->lanes, now_mono_ms + LIMIT_EXPIRY_INTERVAL_MS);
    }
}

/* Those whose pause is over wait for a place again. */
static void resume(struct lane *lane, int64_t now_mono_ms) {
    for (struct flight *flight = lane->pausing.first, *next; flight != NULL; flight = next) {
        next = flight->next;
        if (now_mono_ms < flight->due_mono_ms)
            lanes_expire_by(lane->lanes, flight->due_mono_ms);
        else
            attempt_resume(lane, flight);
    }
}

static void expire(struct lanes *lanes, int64_t now_mono_ms) {
    if (now_mono_ms < lanes->expire_mono_ms || now_mono_ms - lanes->expired_mono_ms < LIMIT_EXPIRY_INTERVAL_MS)
        return;
    lanes->expire_mono_ms = INT64_MAX;
    lanes->expired_mono_ms = now_mono_ms;
    for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next) {
        expire_list(lane, &lane->calling, REASON_DEADLINE_EXCEEDED, now_mono_ms);
        expire_calls(lane, now_mono_ms);
        const enum reason reason = is_endpoint_known(lane) ? REASON_DEADLINE_EXCEEDED : REASON_DISCOVERY_FAILED;
        for (size_t kind = 0; kind < N_BUDGET_KINDS; kind++)
            expire_list(lane, &lane->waiting[kind], reason, now_mono_ms);
        expire_list(lane, &lane->pausing, REASON_DEADLINE_EXCEEDED, now_mono_ms);
        resume(lane, now_mono_ms);
        attempt_start_waiting(lane);
    }
}

static void close_unused(struct lanes *lanes, int64_t now_mono_ms) {
    if (now_mono_ms - lanes->swept_mono_ms < LIMIT_PROVIDER_SWEEP_MS)
        return;
    lanes->swept_mono_ms = now_mono_ms;
    for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next) {
        for (struct call *call = lane->idle; call != NULL; call = call->next)
            call_close_unused(call, now_mono_ms);
    }
}

void lanes_turn(struct lanes *lanes, int64_t now_mono_ms) {
    for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next)
        discover_turn(lane, now_mono_ms);
    expire(lanes, now_mono_ms);
    close_unused(lanes, now_mono_ms);
    let_unneeded_go(lanes);
}

int64_t lanes_due(const struct lanes *lanes) {
    int64_t due = lanes->expire_mono_ms;
    if (due < lanes->expired_mono_ms + LIMIT_EXPIRY_INTERVAL_MS)
        due = lanes->expired_mono_ms + LIMIT_EXPIRY_INTERVAL_MS;
    for (const struct lane *lane = lanes->first; lane != NULL; lane = lane->next) {
        const int64_t discovery_due = discover_due(lane);
        if (discovery_due < due)
            due = discovery_due;
    }
    return due;
}

void lane_discovered(struct lane *lane) {
    attempt_start_waiting(lane);
    while (!is_endpoint_known(lane) && lane_first_waiting(lane) != NULL)
        attempt_fail(lane, lane_first_waiting(lane), REASON_DISCOVERY_FAILED);
}

/* ---- the end ---- */

static void stop(struct lane *lane) {
    discover_stop(lane);
    while (lane->calling.first != NULL) {
        flight_deliver(lane->calling.first, REASON_STOPPING, NULL);
        attempt_abandon(lane, lane->calling.first);
    }
    while (lane_first_waiting(lane) != NULL)
        attempt_fail(lane, lane_first_waiting(lane), REASON_STOPPING);
    while (lane->pausing.first != NULL)
        attempt_fail(lane, lane->pausing.first, REASON_STOPPING);
    lane->is_configured = false;
}

void lanes_stop(struct lanes *lanes) {
    lanes->excused_us = INT64_MAX;
    for (struct lane *lane = lanes->first; lane != NULL; lane = lane->next)
        stop(lane);
    lanes_forget_landed(lanes, INT64_MAX);
    let_unneeded_go(lanes);
}
