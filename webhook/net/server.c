#include "net/server.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/acceptor.h"
#include "net/authenticate.h"
#include "net/authorize.h"
#include "net/loop.h"
#include "net/operations.h"
#include "net/validate.h"

/* Facts take some 400 bytes and a token; this many a cached entry is what the byte limit allows on the average. */
#define CACHE_BYTES_PER_ENTRY 4096

struct server {
    struct services services;
    uint8_t key_secret[DIGEST_BYTES];
    struct runtime *runtime; /* the one in use; main thread */
    struct loop *authentication[LIMIT_LOOPS];
    size_t n_authentication;
    struct loop *admission;  /* NULL: not served */
    struct loop *operations; /* likewise */
    struct acceptor *acceptor;
    uint32_t n_given_back; /* connections that had closed when memory was last given back; main thread */
    _Atomic bool is_ready, is_draining;
};

/* One for each thread of authentication, and those for admission and operations. */
#define MAX_LOOPS (LIMIT_LOOPS + 2)

static size_t all_loops(const struct server *server, struct loop *ret_loops[MAX_LOOPS]) {
    size_t n = 0;
    for (; n < server->n_authentication; n++)
        ret_loops[n] = server->authentication[n];
    if (server->admission != NULL)
        ret_loops[n++] = server->admission;
    if (server->operations != NULL)
        ret_loops[n++] = server->operations;
    return n;
}

static struct cache_limits cache_limits(const struct config_cache *config) {
    return (struct cache_limits){
        .max_entries = config->max_entries,
        .max_negative_entries = config->max_negative_entries,
        .max_bytes = ((size_t)config->max_entries + config->max_negative_entries) * CACHE_BYTES_PER_ENTRY,
    };
}

static struct audit_settings audit_settings(const struct config_audit *config) {
    return (struct audit_settings){.path = config->path, .refuse_when_unwritable = config->refuse_when_unwritable};
}

/* ---- health ---- */

static bool check(struct buffer *lines, const char *name, bool is_good) {
    buffer_append_format(lines, "[%c]%s %s\n", is_good ? '+' : '-', name, is_good ? "ok" : "failed");
    return is_good;
}

/* The loop for operations asks. Where all were stopped together, each has as long to turn again from when that one did. */
static bool is_live(void *context, struct buffer *lines) {
    struct server *server = context;
    const int64_t now = clock_mono_ms(&clock_system);
    const bool has_resumed = now - loop_resumed_mono_ms(server->operations) < LIMIT_LOOP_STALL_MS;
    const int64_t most_idle_ms = has_resumed ? INT64_MAX : LIMIT_LOOP_STALL_MS;
    bool all_live = true;
    for (size_t i = 0; i < server->n_authentication; i++) {
        char name[48];
        snprintf(name, sizeof(name), "authentication-loop-%zu", i);
        all_live &= check(lines, name, loop_idle_ms(server->authentication[i], now) < most_idle_ms);
    }
    if (server->admission != NULL)
        all_live &= check(lines, "admission-loop", loop_idle_ms(server->admission, now) < most_idle_ms);
    all_live &= check(lines, "fetch-thread", fetch_idle_ms(server->services.fetch) < most_idle_ms);
    return all_live;
}

static bool is_ready(void *context, struct buffer *lines) {
    struct server *server = context;
    struct audit_stats audit;
    audit_stats(server->services.audit, &audit);
    bool all_ready = check(lines, "started", server->is_ready);
    all_ready &= check(lines, "not-stopping", !server->is_draining);
    /* For information: a provider that is away does not make us unready, or a second one's users would lose us too. */
    check(lines, "audit-log", audit.writable);
    fetch_describe(server->services.fetch, lines);
    return all_ready;
}

/* ---- the kinds of loops ---- */

static void register_authentication(struct loop *loop, h2o_pathconf_t *path) {
    static const struct review_kind *const kinds[] = {&authenticate_reviews, &authorize_reviews};
    review_register(
        loop, path, kinds, sizeof(kinds) / sizeof(kinds[0]),
        "There is nothing here. TokenReviews are answered at /authenticate, SubjectAccessReviews at /authorize.");
}

static SSL_CTX *authentication_tls(const struct runtime *runtime) {
    return runtime->authentication_tls;
}

static void register_admission(struct loop *loop, h2o_pathconf_t *path) {
    static const struct review_kind *const kinds[] = {&validate_reviews};
    review_register(loop, path, kinds, sizeof(kinds) / sizeof(kinds[0]),
                    "There is nothing here. AdmissionReviews are answered at /validate.");
}

static SSL_CTX *admission_tls(const struct runtime *runtime) {
    return runtime->admission_tls;
}

static SSL_CTX *operations_tls(const struct runtime *runtime) {
    return runtime->operations_tls;
}

static const struct loop_role authentication_role = {
    .name = "authentication",
    .max_entity_bytes = LIMIT_H2O_ENTITY_BYTES,
    .idle_ms = LIMIT_HTTP_IDLE_MS,
    .max_strangers = LIMIT_STRANGERS_PER_LOOP,
    .max_held_bytes = LIMIT_HELD_BYTES_PER_LOOP,
    .usual_bytes = LIMIT_USUAL_BYTES,
    .knows_handles = true,
    .register_handler = register_authentication,
    .tls_of = authentication_tls,
};

/* A thread of its own: a body of 8 MiB takes as long to read as a thousand logins. */
static const struct loop_role admission_role = {
    .name = "admission",
    .max_entity_bytes = LIMIT_ADMISSION_H2O_ENTITY_BYTES,
    .idle_ms = LIMIT_HTTP_IDLE_MS,
    .max_strangers = LIMIT_STRANGERS_PER_LOOP / 4, /* all its connections are fewer, too */
    .max_held_bytes = LIMIT_ADMISSION_HELD_BYTES,
    .usual_bytes = LIMIT_ADMISSION_USUAL_BYTES,
    .knows_handles = true,
    .reads_objects = true,
    .register_handler = register_admission,
    .tls_of = admission_tls,
};

/* Whoever reaches the operations port needs no certificate: nothing of theirs is kept for long, nor much of it. */
static const struct loop_role operations_role = {
    .name = "operations",
    .max_entity_bytes = LIMIT_OPERATIONS_ENTITY_BYTES,
    .idle_ms = LIMIT_OPERATIONS_IDLE_MS,
    .max_strangers = LIMIT_OPERATIONS_STRANGERS,
    .max_held_bytes = LIMIT_HELD_BYTES_PER_LOOP, /* its strangers cannot hold as much */
    .usual_bytes = LIMIT_USUAL_BYTES,
    .register_handler = operations_register,
    .tls_of = operations_tls,
};

/* ---- start ---- */

/* What facts are named by. With a handle it comes of its key, so that replicas and restarts give the same token the same
   name, and find what another's handle leads to; otherwise it is this process's alone. */
static int make_key_secret(const struct snapshot *snapshot, uint8_t ret_secret[DIGEST_BYTES]) {
    return snapshot->n_handle_keys == 0 ? digest_secret(ret_secret)
                                        : handle_fact_secret(secret_text(snapshot->handle_keys[0]), ret_secret);
}

static int start_services(struct server *server, const struct snapshot *snapshot, struct error *error) {
    const struct config *config = snapshot->config;
    struct services *services = &server->services;
    services->clock = &clock_system;
    services->health = (struct health){.is_live = is_live, .is_ready = is_ready, .context = server};
    services->key_secret = server->key_secret;
    int r = make_key_secret(snapshot, server->key_secret);
    if (r == 0)
        r = metrics_new(&services->metrics);
    const struct cache_limits limits = cache_limits(&config->cache);
    if (r == 0)
        r = cache_new(&limits, &services->cache);
    const struct audit_settings settings = audit_settings(&config->audit);
    if (r == 0)
        r = audit_start(&settings, &services->audit, error);
    if (r == 0)
        r = fetch_start(services->cache, services->metrics, services->clock, &services->fetch);
    return r;
}

static int start_loops(struct server *server, const struct config *config) {
    while (server->n_authentication < config->n_threads) {
        const int r = loop_start(&authentication_role, &server->services, server->runtime,
                                 &server->authentication[server->n_authentication]);
        if (r != 0)
            return r;
        server->n_authentication++;
    }
    int r = 0;
    if (config->admission.is_set)
        r = loop_start(&admission_role, &server->services, server->runtime, &server->admission);
    if (r == 0 && config->operations.is_set)
        r = loop_start(&operations_role, &server->services, server->runtime, &server->operations);
    return r;
}

static struct acceptor_listener listener_of(const char *name, const struct config_listener *config, struct loop **loops,
                                            size_t n_loops, uint32_t max_connections) {
    return (struct acceptor_listener){.name = name,
                                      .host = config->host,
                                      .port = config->port,
                                      .loops = loops,
                                      .n_loops = n_loops,
                                      .max_connections = max_connections};
}

static int start_acceptor(struct server *server, const struct config *config, struct error *error) {
    struct acceptor_listener listeners[3];
    size_t n = 0;
    listeners[n++] = listener_of("listeners.authentication", &config->authentication, server->authentication,
                                 server->n_authentication, LIMIT_CONNECTIONS_PER_LOOP);
    if (config->admission.is_set)
        listeners[n++] =
            listener_of("listeners.admission", &config->admission, &server->admission, 1, LIMIT_ADMISSION_CONNECTIONS);
    if (config->operations.is_set)
        listeners[n++] =
            listener_of("listeners.operations", &config->operations, &server->operations, 1, LIMIT_OPERATIONS_CONNECTIONS);
    return acceptor_start(listeners, n, &server->acceptor, error);
}

static int start(struct server *server, struct snapshot *snapshot, struct error *error) {
    const struct config *config = snapshot->config;
    int r = start_services(server, snapshot, error);
    if (r == 0)
        r = runtime_new(snapshot, NULL, server->services.metrics, &server->runtime, error);
    if (r == 0)
        runtime_tell_ends(server->runtime, server->services.metrics);
    struct error ended;
    if (r == 0 && runtime_check_ends(server->runtime, clock_unix_ms(&clock_system) / 1000, &ended) != 0)
        log_error("start", "%s", ended.text);
    if (r == 0)
        r = fetch_configure(server->services.fetch, server->runtime->providers, server->runtime->n_providers);
    if (r == 0)
        r = start_loops(server, config);
    if (r == 0)
        r = start_acceptor(server, config, error);
    return r;
}

int server_start(struct snapshot *snapshot, struct server **ret_server, struct error *error) {
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return -ENOMEM;
    error_set(error, "start: %s", "a thread, memory or randomness could not be had");
    const int r = start(server, snapshot, error);
    if (r != 0) {
        server_stop(server);
        return r;
    }
    metrics_reload(server->services.metrics, true, snapshot_policy(snapshot)->generation, clock_unix_ms(&clock_system));
    server->is_ready = true;
    *ret_server = server;
    return 0;
}

/* ---- memory ---- */

static uint32_t n_closed(const struct server *server) {
    struct loop *loops[MAX_LOOPS];
    const size_t n_loops = all_loops(server, loops);
    uint32_t n = 0;
    for (size_t i = 0; i < n_loops; i++)
        n += loop_n_closed(loops[i]);
    return n;
}

void server_give_back(struct server *server) {
    const uint32_t n = n_closed(server);
    if (n - server->n_given_back < LIMIT_CLOSED_CONNECTIONS_KEPT)
        return;
    server->n_given_back = n;
    malloc_trim(0);
}

/* ---- reload ---- */

static bool same_address(const struct config_listener *a, const struct config_listener *b) {
    if (a->is_set != b->is_set)
        return false;
    return !a->is_set || (strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0);
}

/* What is fixed for the life of the process: NULL where nothing of it differs. */
static const char *fixed_difference(const struct config *old, const struct config *new) {
    if (!same_address(&old->authentication, &new->authentication))
        return "listeners.authentication.address";
    if (!same_address(&old->admission, &new->admission))
        return old->admission.is_set && new->admission.is_set ? "listeners.admission.address" : "listeners.admission";
    if (!same_address(&old->operations, &new->operations))
        return "listeners.operations.address";
    if (old->operations.tls.is_set != new->operations.tls.is_set)
        return "listeners.operations.tls";
    return old->n_threads != new->n_threads ? "threads" : NULL;
}

/* Hands the runtime to every loop. Without memory for a message a loop keeps the old one, which the caller hears of. */
static int publish(struct server *server, struct runtime *runtime) {
    struct loop *loops[MAX_LOOPS];
    const size_t n_loops = all_loops(server, loops);
    int r = fetch_configure(server->services.fetch, runtime->providers, runtime->n_providers);
    for (size_t i = 0; r == 0 && i < n_loops; i++)
        r = loop_use_runtime(loops[i], runtime);
    return r;
}

/* Until no loop decides by an older one, so that what is said of a reload is so. One that is stuck fails /livez by then. */
static void wait_used(const struct server *server, const struct runtime *runtime) {
    const int64_t deadline_mono_ms = clock_mono_ms(&clock_system) + LIMIT_LOOP_STALL_MS;
    struct loop *loops[MAX_LOOPS];
    const size_t n_loops = all_loops(server, loops);
    for (size_t i = 0; i < n_loops; i++)
        loop_wait_used(loops[i], runtime, deadline_mono_ms);
}

/* An issuer that is gone has no certificate that could end. */
static void forget_expiries(struct metrics *metrics, const struct policy *old, const struct policy *new) {
    for (size_t i = 0; i < old->n_issuers; i++) {
        const struct text name = old->issuers[i].name;
        bool is_kept = false;
        for (size_t j = 0; !is_kept && j < new->n_issuers; j++)
            is_kept = text_equal(new->issuers[j].name, name);
        char row[128];
        snprintf(row, sizeof(row), "issuer:%.*s", (int)name.n_bytes, name.data);
        if (!is_kept)
            metrics_certificate_expiry(metrics, row, 0);
    }
}

int server_reload(struct server *server, struct snapshot *snapshot, struct error *error) {
    const struct config *config = snapshot->config;
    const char *fixed = fixed_difference(server->runtime->snapshot->config, config);
    if (fixed != NULL) {
        error_set(error, "%s: %s cannot change while running: restart the process for it", config->path, fixed);
        return RUNTIME_INVALID;
    }
    struct runtime *runtime;
    error_set(error, "out of memory");
    int r = runtime_new(snapshot, server->runtime, server->services.metrics, &runtime, error);
    if (r != 0)
        return r;
    r = runtime_check_ends(runtime, clock_unix_ms(&clock_system) / 1000, error);
    if (r == 0)
        r = publish(server, runtime);
    if (r != 0) {
        runtime_unref(runtime);
        return r;
    }
    wait_used(server, runtime);
    runtime_tell_ends(runtime, server->services.metrics);
    forget_expiries(server->services.metrics, snapshot_policy(server->runtime->snapshot), &config->policy);
    runtime_unref(server->runtime);
    server->runtime = runtime;
    const struct cache_limits limits = cache_limits(&config->cache);
    cache_resize(server->services.cache, &limits);
    const struct audit_settings settings = audit_settings(&config->audit);
    audit_configure(server->services.audit, &settings);
    metrics_reload(server->services.metrics, true, config->policy.generation, clock_unix_ms(&clock_system));
    return 0;
}

void server_reload_failed(struct server *server) {
    metrics_reload(server->services.metrics, false, snapshot_policy(server->runtime->snapshot)->generation,
                   clock_unix_ms(&clock_system));
}

void server_reopen_logs(struct server *server) {
    audit_reopen(server->services.audit);
}

/* ---- drain and stop ---- */

void server_drain(struct server *server) {
    for (size_t i = 0; i < server->n_authentication; i++)
        loop_drain(server->authentication[i]);
    if (server->admission != NULL)
        loop_drain(server->admission);
    server->is_draining = true; /* last: who sees that we are not ready is told to leave by each answer from then on */
}

bool server_is_drained(const struct server *server) {
    for (size_t i = 0; i < server->n_authentication; i++) {
        if (loop_n_connections(server->authentication[i]) > 0)
            return false;
    }
    return server->admission == NULL || loop_n_connections(server->admission) == 0;
}

void server_stop(struct server *server) {
    if (server == NULL)
        return;
    acceptor_stop(server->acceptor);
    loop_stop(server->operations); /* it looks at all the others */
    for (size_t i = 0; i < server->n_authentication; i++)
        loop_stop_asking(server->authentication[i]);
    if (server->admission != NULL)
        loop_stop_asking(server->admission);
    fetch_stop(server->services.fetch); /* before the loops: it delivers what still waits to them */
    for (size_t i = 0; i < server->n_authentication; i++)
        loop_stop(server->authentication[i]);
    loop_stop(server->admission);
    audit_stop(server->services.audit); /* after the loops: they write to it */
    runtime_unref(server->runtime);
    cache_free(server->services.cache);
    metrics_free(server->services.metrics);
    secret_wipe(server->key_secret, sizeof(server->key_secret));
    free(server);
}
