/*
 * What the tests of the fetch thread's parts share: a provider (an HTTPS server whose script is the test's), a snapshot
 * made by hand, a cache, the fetch thread, and callers that wait for their tickets.
 */
#pragma once

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "lib/https_server.h"
#include "lib/sentinel.h"
#include "net/fetch.h"
#include "ops/metrics_render.h"

#define LONG_MS 20000 /* no test waits that long unless it fails */

#define ACTIVE "{\"active\":true,\"sub\":\"alice\",\"groups\":[\"dev\"],\"exp\":4102444800}"
#define INACTIVE "{\"active\":false}"

struct world {
    struct certificate ca, certificate;
    struct https_server *server;
    char issuer_url[64], endpoint[128];

    struct config config;
    struct issuer_policy policy;
    struct config_introspection introspection;
    struct snapshot snapshot;
    struct snapshot_introspection files;

    struct clock clock; /* the system's, ahead by this: */
    _Atomic int64_t ahead_ms;
    struct cache *cache;
    struct metrics *metrics;
    struct provider *provider;
    struct fetch *fetch;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool gate_is_open;
    unsigned n_at_gate, n_delivered;
};

/* ---- the provider's gate: a script that waits there answers when the test says so ---- */

static inline void gate_pass(struct world *world) {
    pthread_mutex_lock(&world->lock);
    world->n_at_gate++;
    pthread_cond_broadcast(&world->changed);
    while (!world->gate_is_open)
        pthread_cond_wait(&world->changed, &world->lock);
    pthread_mutex_unlock(&world->lock);
}

static inline bool gate_is_open(struct world *world) {
    pthread_mutex_lock(&world->lock);
    const bool is_open = world->gate_is_open;
    pthread_mutex_unlock(&world->lock);
    return is_open;
}

static inline bool gate_is_reached(struct world *world) {
    pthread_mutex_lock(&world->lock);
    const bool is_reached = world->n_at_gate > 0;
    pthread_mutex_unlock(&world->lock);
    return is_reached;
}

static inline void gate_open(struct world *world) {
    pthread_mutex_lock(&world->lock);
    world->gate_is_open = true;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
}

static inline void gate_close(struct world *world) {
    pthread_mutex_lock(&world->lock);
    world->gate_is_open = false;
    world->n_at_gate = 0;
    pthread_mutex_unlock(&world->lock);
}

/* Waits until a count that other threads raise under the lock has a value. */
static inline void wait_for(struct world *world, const unsigned *count, unsigned value) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LONG_MS / 1000;
    pthread_mutex_lock(&world->lock);
    int r = 0;
    while (*count < value && r == 0)
        r = pthread_cond_timedwait(&world->changed, &world->lock, &end);
    const unsigned reached = *count;
    pthread_mutex_unlock(&world->lock);
    cr_assert_geq(reached, value, "waited in vain: %u of %u", reached, value);
}

/* Polls a condition with a deadline. */
#define EVENTUALLY(condition)                                                                                              \
    do {                                                                                                                   \
        const int64_t end_us = clock_mono_us() + LONG_MS * 1000;                                                           \
        bool holds; /* kept: what held for a moment need not hold any more when it is looked at again */                   \
        while (!(holds = (condition)) && clock_mono_us() < end_us)                                                         \
            poll(NULL, 0, 2);                                                                                              \
        cr_assert(holds, "never: " #condition);                                                                            \
    } while (0)

/* ---- callers ---- */

struct caller {
    struct ticket ticket;
    struct world *world;
    bool is_delivered;
    int64_t delivered_us;
};

static inline void on_delivery(struct ticket *ticket) {
    struct caller *const caller = (struct caller *)(void *)ticket;
    pthread_mutex_lock(&caller->world->lock);
    cr_assert(!caller->is_delivered, "a ticket was delivered twice");
    caller->is_delivered = true;
    caller->delivered_us = clock_mono_us();
    caller->world->n_delivered++;
    pthread_cond_broadcast(&caller->world->changed);
    pthread_mutex_unlock(&caller->world->lock);
}

static inline void key_of(struct text token, uint8_t ret_key[DIGEST_BYTES]) {
    cr_assert_eq(digest_sha256(token, ret_key), 0);
}

/* Asks without waiting. */
static inline int call_of(struct world *world, struct caller *caller, const char *token, int64_t timeout_ms) {
    *caller = (struct caller){.world = world};
    caller->ticket.deadline_mono_ms = clock_mono_ms(&world->clock) + timeout_ms;
    caller->ticket.deliver = on_delivery;
    uint8_t key[DIGEST_BYTES];
    key_of(text_of(token), key);
    return fetch_ask(world->fetch, world->provider, key, text_of(token), &caller->ticket);
}

static inline void caller_wait(struct caller *caller) {
    struct world *const world = caller->world;
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LONG_MS / 1000;
    pthread_mutex_lock(&world->lock);
    int r = 0;
    while (!caller->is_delivered && r == 0)
        r = pthread_cond_timedwait(&world->changed, &world->lock, &end);
    const bool is_delivered = caller->is_delivered;
    pthread_mutex_unlock(&world->lock);
    cr_assert(is_delivered, "a ticket was never delivered");
}

/* Asks, waits, drops the fact, and gives the reason. */
static inline enum reason ask(struct world *world, const char *token) {
    struct caller caller;
    cr_assert_eq(call_of(world, &caller, token, LONG_MS), 0);
    caller_wait(&caller);
    cr_assert_eq(caller.ticket.reason == REASON_OK, caller.ticket.fact != NULL);
    cr_assert(caller.ticket.reason == REASON_OK || reason_verdict(caller.ticket.reason) == VERDICT_UNAVAILABLE);
    fact_unref(caller.ticket.fact);
    return caller.ticket.reason;
}

static inline bool is_cached(struct world *world, const char *token) {
    uint8_t key[DIGEST_BYTES];
    key_of(text_of(token), key);
    struct fact *fact;
    if (cache_lookup(world->cache, key, text_of(token), &fact, NULL) != 0)
        return false;
    fact_unref(fact);
    return true;
}

static inline bool metrics_has(struct world *world, const char *row) {
    struct buffer buffer __attribute__((cleanup(buffer_deinit)));
    buffer_init(&buffer, LIMIT_METRICS_BYTES);
    metrics_render(world->metrics, NULL, NULL, "v1", &buffer);
    buffer_append_char(&buffer, '\0');
    return strstr(buffer.data, row) != NULL;
}

/* ---- the world ---- */

static inline struct secret *secret_of(const char *string) {
    struct secret *secret;
    cr_assert_eq(secret_new(text_of(string), &secret), 0);
    return secret;
}

static inline int64_t world_mono_ms(void *context) {
    const struct world *const world = context;
    return clock_mono_ms(&clock_system) + world->ahead_ms;
}

static inline int64_t world_unix_ms(void *context) {
    const struct world *const world = context;
    return clock_unix_ms(&clock_system) + world->ahead_ms;
}

/* Everything but the server and the fetch thread: settings may be changed before world_start(). */
static inline void world_init(struct world *world) {
    *world = (struct world){.gate_is_open = true};
    world->clock = (struct clock){.mono_ms = world_mono_ms, .unix_ms = world_unix_ms, .context = world};
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->changed, NULL);
    world->ca = certificate_new(NULL, &(struct certificate_wish){.common_name = "Test CA", .is_ca = 1});
    world->certificate =
        certificate_new(&world->ca, &(struct certificate_wish){.common_name = "provider", .san = "IP:127.0.0.1"});
    world->introspection = (struct config_introspection){.endpoint = world->endpoint,
                                                         .client_id = (char *)"webhook:1",
                                                         .method = CLIENT_SECRET_BASIC,
                                                         .secret_file = (char *)"secrets/client-secret",
                                                         .ca_file = (char *)"ca.crt",
                                                         .timeout_ms = LONG_MS,
                                                         .max_concurrent = 8,
                                                         .budget = {.unknown_permille = 1000}};
    world->files.client_secrets[0] = secret_of(SENTINEL_SECRET);
    world->files.n_client_secrets = 1;
    world->files.ca_pem = secret_of(world->ca.cert_pem);
    world->policy.name = TEXT("corp");
    world->config.policy.issuers = &world->policy;
    world->config.policy.n_issuers = 1;
    world->config.introspection = &world->introspection;
    world->snapshot = (struct snapshot){.n_refs = 1, .config = &world->config, .introspection = &world->files};
}

static inline void world_make_provider(struct world *world, struct provider *previous) {
    struct error error = {.text = ""};
    const int r = provider_new(&world->snapshot, 0, world->metrics, previous, &world->provider, &error);
    cr_assert_eq(r, 0, "provider_new: %d %s", r, error.text);
}

/* context of the script is the world, unless settings->context is set. */
static inline void world_serve(struct world *world, const struct https_settings *settings) {
    struct https_settings mine = *settings;
    if (mine.certificate == NULL)
        mine.certificate = &world->certificate;
    if (mine.context == NULL)
        mine.context = world;
    world->server = https_server_start(&mine);
    snprintf(world->issuer_url, sizeof(world->issuer_url), "https://127.0.0.1:%u", https_server_port(world->server));
    snprintf(world->endpoint, sizeof(world->endpoint), "%s/introspect", world->issuer_url);
    world->policy.url = text_of(world->issuer_url);
}

static inline void world_fetch(struct world *world) {
    cr_assert_eq(cache_new(&(struct cache_limits){.max_entries = 1000, .max_negative_entries = 1000, .max_bytes = 1 << 24},
                           &world->cache),
                 0);
    cr_assert_eq(metrics_new(&world->metrics), 0);
    world_make_provider(world, NULL);
    cr_assert_eq(fetch_start(world->cache, world->metrics, &world->clock, &world->fetch), 0);
    cr_assert_eq(fetch_configure(world->fetch, &world->provider, 1), 0);
}

static inline void world_start(struct world *world, https_script *script) {
    world_serve(world, &(struct https_settings){.script = script});
    world_fetch(world);
}

static inline void world_stop_fetch(struct world *world) {
    fetch_stop(world->fetch);
    world->fetch = NULL;
}

/* Ends all, and checks that nobody kept a reference. */
static inline void world_deinit(struct world *world) {
    gate_open(world);
    world_stop_fetch(world);
    cr_assert(world->provider == NULL || world->provider->n_refs == 1, "references to the provider are left");
    provider_unref(world->provider);
    cr_assert_eq(world->snapshot.n_refs, 1, "references to the snapshot are left");
    https_server_stop(world->server);
    metrics_free(world->metrics);
    cache_free(world->cache);
    for (size_t i = 0; i < LIMIT_CLIENT_SECRETS; i++)
        secret_free(world->files.client_secrets[i]);
    secret_free(world->files.ca_pem);
    secret_free(world->files.client_cert_pem);
    secret_free(world->files.client_key_pem);
    certificate_deinit(&world->ca);
    certificate_deinit(&world->certificate);
    pthread_mutex_destroy(&world->lock);
    pthread_cond_destroy(&world->changed);
}
