#include "net/discover.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/lane.h"
#include "net/reply.h"
#include "wire/discovery.h"

/* ---- known endpoints ---- */

/* The published form of an endpoint; NULL: no memory, or it had too many. */
static const char *intern(struct discover *discover, const char *endpoint) {
    for (size_t i = 0; i < discover->n_endpoints; i++) {
        if (strcmp(discover->endpoints[i], endpoint) == 0)
            return discover->endpoints[i];
    }
    if (discover->n_endpoints == LIMIT_KNOWN_ENDPOINTS)
        return NULL;
    char *const copy = strdup(endpoint);
    if (copy != NULL)
        discover->endpoints[discover->n_endpoints++] = copy;
    return copy;
}

static int publish(struct discover *discover, struct provider *provider, const char *endpoint) {
    const char *const known = intern(discover, endpoint);
    if (known == NULL)
        return -ENOMEM;
    atomic_store_explicit(&provider->endpoint, known, memory_order_release);
    return 0;
}

static const char *endpoint_of(struct provider *provider) {
    return atomic_load_explicit(&provider->endpoint, memory_order_acquire);
}

/* ---- set-up ---- */

static int64_t between(int64_t low, int64_t high) {
    return low + (int64_t)arc4random_uniform((uint32_t)(high - low) + 1);
}

/* Replicas that were started together must not stay together. */
static int64_t refresh_due(int64_t refreshed_mono_ms) {
    return refreshed_mono_ms + between(LIMIT_DISCOVERY_MAX_AGE_MS / 10 * 9, LIMIT_DISCOVERY_MAX_AGE_MS);
}

static int take_over(struct discover *discover, struct provider *provider, struct provider *previous) {
    const char *const endpoint = previous == NULL ? NULL : endpoint_of(previous);
    if (endpoint == NULL || previous->lane->discover.url == NULL ||
        strcmp(previous->lane->discover.url, discover->url) != 0)
        return 0;
    const int64_t refreshed = atomic_load_explicit(&previous->lane->discover.refreshed_mono_ms, memory_order_acquire);
    discover->due_mono_ms = refresh_due(refreshed);
    atomic_store_explicit(&discover->refreshed_mono_ms, refreshed, memory_order_relaxed);
    return publish(discover, provider, endpoint);
}

static int make_url(struct discover *discover, struct text issuer_url) {
    struct buffer url __attribute__((cleanup(buffer_deinit)));
    buffer_init(&url, issuer_url.n_bytes + 256);
    discovery_url(issuer_url, &url);
    if (url.error != 0)
        return -ENOMEM;
    discover->url = strndup(url.data, url.n_bytes);
    return discover->url == NULL ? -ENOMEM : 0;
}

int discover_init(struct discover *discover, struct provider *provider, struct provider *previous) {
    *discover = (struct discover){.due_mono_ms = INT64_MIN, .begun_mono_ms = INT64_MIN};
    const struct config *const config = provider->snapshot->config;
    const char *const configured = config->introspection[provider->issuer].endpoint;
    if (configured != NULL)
        return publish(discover, provider, configured);
    const int r = make_url(discover, config->policy.issuers[provider->issuer].url);
    return r != 0 ? r : take_over(discover, provider, previous);
}

void discover_deinit(struct discover *discover) {
    for (size_t i = 0; i < discover->n_endpoints; i++)
        free(discover->endpoints[i]);
    free(discover->url);
}

/* ---- what came of a fetch ---- */

static const char *status_trouble(long status) {
    if (status >= 300 && status < 400)
        return "the provider redirects the request for its discovery document, and redirects are not followed";
    if (status == 404)
        return "the provider has no discovery document at issuer.url (HTTP 404)";
    if (status >= 400 && status < 500)
        return "the provider refuses the request for its discovery document (HTTP 4xx)";
    return "the provider answers the request for its discovery document with an error (HTTP 5xx)";
}

static const char *decode_trouble(int r) {
    switch (r) {
    case DISCOVERY_WRONG_ISSUER:
        return "the discovery document is another issuer's";
    case DISCOVERY_NO_ENDPOINT:
        return "the discovery document names no introspection_endpoint";
    case DISCOVERY_MALFORMED:
        return "the discovery document cannot be used";
    default:
        return "out of memory";
    }
}

/* Returns whether there is an endpoint now: this one, or the one before where this one cannot be taken. */
static bool use(struct lane *lane, const char *endpoint) {
    const char *const before = endpoint_of(lane->provider);
    if (publish(&lane->discover, lane->provider, endpoint) != 0) {
        lane_report(lane, REASON_INTERNAL,
                    "no memory for a changed introspection endpoint, or it changes too often: the one before is kept");
        return before != NULL;
    }
    if (before == NULL || strcmp(before, endpoint) != 0)
        log_info("provider", "issuer %.*s: the introspection endpoint is %s", LANE_NAME(lane),
                 before == NULL ? "discovered" : "another one now: the discovery document has changed");
    return true;
}

static void succeed(struct lane *lane, int64_t now_mono_ms) {
    struct discover *const discover = &lane->discover;
    discover->pause_ms = 0;
    discover->due_mono_ms = refresh_due(now_mono_ms);
    atomic_store_explicit(&discover->trouble, NULL, memory_order_release);
}

static void fail(struct lane *lane, const char *trouble, const char *detail, int64_t now_mono_ms) {
    struct discover *const discover = &lane->discover;
    discover->pause_ms = discover->pause_ms == 0 ? LIMIT_DISCOVERY_RETRY_MIN_MS : discover->pause_ms * 2;
    if (discover->pause_ms > LIMIT_DISCOVERY_RETRY_MAX_MS)
        discover->pause_ms = LIMIT_DISCOVERY_RETRY_MAX_MS;
    discover->due_mono_ms = now_mono_ms + between(discover->pause_ms / 2, discover->pause_ms);
    atomic_store_explicit(&discover->trouble, trouble, memory_order_release);
    lane_report(lane, REASON_DISCOVERY_FAILED, "discovery failed: %s%s", detail,
                endpoint_of(lane->provider) == NULL ? "" : "; the endpoint known before is kept");
}

static bool learn(struct lane *lane, const struct call_result *result, int64_t now_mono_ms) {
    if (result->code != CURLE_OK) {
        char room[256];
        const char *const trouble = result->fault == CALL_FAULT_TOO_LARGE ? "the discovery document is too large"
                                                                          : curl_easy_strerror(result->code);
        fail(lane, trouble, reply_describe(result, room, sizeof(room)), now_mono_ms);
        return false;
    }
    if (result->status != 200) {
        fail(lane, status_trouble(result->status), status_trouble(result->status), now_mono_ms);
        return false;
    }
    const struct issuer_policy *const issuer = &lane->provider->snapshot->config->policy.issuers[lane->provider->issuer];
    struct error error = {.text = "out of memory"};
    struct discovery discovery;
    const int r = discovery_decode(result->body, issuer->url, &discovery, &error);
    if (r != 0) {
        fail(lane, decode_trouble(r), error.text, now_mono_ms);
        return false;
    }
    /* Before the endpoint: whoever takes that over in a reload takes its age over too. */
    atomic_store_explicit(&lane->discover.refreshed_mono_ms, now_mono_ms, memory_order_release);
    const bool is_used = use(lane, discovery.introspection_endpoint);
    discovery_deinit(&discovery);
    if (is_used)
        succeed(lane, now_mono_ms);
    else
        fail(lane, "out of memory", "out of memory", now_mono_ms);
    return is_used;
}

static void on_done(struct call *call, CURLcode code) {
    struct lane *const lane = call->owner;
    struct call_result result;
    call_result(call, code, &result);
    const bool succeeded = learn(lane, &result, clock_mono_ms(lane->lanes->clock));
    metrics_discovery(lane->lanes->metrics, lane->provider->metrics_row, succeeded);
    lane->discover.call = NULL;
    call_free(call);
    lane_discovered(lane);
}

/* ---- when ---- */

int64_t discover_due(const struct lane *lane) {
    const struct discover *const discover = &lane->discover;
    const bool is_needed = lane->is_configured || lane->waiting.n_flights > 0;
    if (discover->call != NULL)
        return discover->call->deadline_mono_ms;
    return discover->url != NULL && is_needed ? discover->due_mono_ms : INT64_MAX;
}

void discover_turn(struct lane *lane, int64_t now_mono_ms) {
    struct discover *const discover = &lane->discover;
    if (discover_due(lane) > now_mono_ms)
        return;
    if (discover->call != NULL) {
        call_expire(discover->call);
        return;
    }
    discover->begun_mono_ms = now_mono_ms;
    struct call *call;
    if (call_new(lane->provider->snapshot, lane->provider->issuer, &call) != 0) {
        fail(lane, "out of memory", "out of memory", now_mono_ms);
        return;
    }
    call->done = on_done;
    call->owner = lane;
    if (call_begin_get(call, lane->lanes->multi, discover->url, TEXT("Accept: application/json\r\n"),
                       LIMIT_DISCOVERY_TIMEOUT_MS, now_mono_ms) != 0) {
        call_free(call);
        fail(lane, "out of memory", "out of memory", now_mono_ms);
        return;
    }
    discover->call = call;
}

void discover_hurry(struct lane *lane) {
    struct discover *const discover = &lane->discover;
    const int64_t soonest =
        discover->begun_mono_ms == INT64_MIN
            ? INT64_MIN
            : discover->begun_mono_ms + between(LIMIT_DISCOVERY_RETRY_MAX_MS / 2, LIMIT_DISCOVERY_RETRY_MAX_MS);
    if (soonest < discover->due_mono_ms)
        discover->due_mono_ms = soonest;
}

bool discover_has_failed(const struct lane *lane, int64_t now_mono_ms) {
    const struct discover *const discover = &lane->discover;
    return discover->pause_ms > 0 && discover->call == NULL && now_mono_ms < discover->due_mono_ms &&
           endpoint_of(lane->provider) == NULL;
}

void discover_stop(struct lane *lane) {
    if (lane->discover.call == NULL)
        return;
    call_free(lane->discover.call);
    lane->discover.call = NULL;
}
