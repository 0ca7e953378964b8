/*
 * What the tests of reviews share: the world of harness.h, and in it a loop thread as the program has one, over plain HTTP.
 * Its callers are sockets of the test's. Whatever is left at the end, of requests, slots or references, fails the test.
 */
#pragma once

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/memory.h"
#include "net/loop.h"
#include "net/review.h"
#include "unit/core/fixture.h"
#include "unit/net/harness.h"

#define SITE_LINE "handle-key-of-thirty-two-characters-1"
#define SITE_TOKEN SENTINEL_TOKEN
#define SITE_REPLY "{\"active\":true,\"sub\":\"u1\",\"preferred_username\":\"alice\",\"exp\":4102444800}"
#define SITE_OTHER_REPLY "{\"active\":true,\"sub\":\"u2\",\"preferred_username\":\"bob\",\"exp\":4102444800}"

/* A configuration in use: what a reload would have made. */
struct generation {
    struct config config;
    struct snapshot snapshot;
    struct runtime runtime;
};

struct site {
    struct world world;
    struct generation first, second; /* second: see site_reload() */
    struct services services;
    uint8_t key_secret[DIGEST_BYTES];
    char audit_path[64]; /* empty: a temporary file; "/dev/full" takes no record */
    bool has_audit_file;
    struct loop *loop;
    _Atomic int status;        /* of the provider's replies */
    const char *_Atomic reply; /* their body */
    const char *_Atomic held;  /* a question with this in it is not answered; NULL: none */
};

/* In a .fini, where a failed assertion of Criterion's is told and fails nothing. */
#define MUST(condition)                                                                                                    \
    do {                                                                                                                   \
        if (!(condition)) {                                                                                                \
            fprintf(stderr, "%s:%d: does not hold at the end: %s\n", __FILE__, __LINE__, #condition);                      \
            abort();                                                                                                       \
        }                                                                                                                  \
    } while (0)

/* The same for what may take a moment. */
#define MUST_COME(condition)                                                                                               \
    do {                                                                                                                   \
        const int64_t end_us = clock_mono_us() + LONG_MS * 1000;                                                           \
        bool holds;                                                                                                        \
        while (!(holds = (condition)) && clock_mono_us() < end_us)                                                         \
            poll(NULL, 0, 2);                                                                                              \
        MUST(holds && (#condition));                                                                                       \
    } while (0)

static inline bool site_holds(struct site *site, const struct https_request *request) {
    const char *held = site->held;
    return held != NULL && memmem(request->body, request->n_body_bytes, held, strlen(held)) != NULL;
}

static inline void site_answers(void *context, const struct https_request *request) {
    struct site *site = context;
    gate_pass(&site->world);
    while (site_holds(site, request))
        poll(NULL, 0, 1);
    https_reply(request, site->status, "application/json", NULL, site->reply);
}

/* Of a test's one role: it answers one kind of review, with the program's own limits, and waits as long as the test. */
#define SITE_ROLE(kind, ...)                                                                                               \
    static void register_kind(struct loop *loop, h2o_pathconf_t *path) {                                                   \
        static const struct review_kind *const kinds[] = {&(kind)};                                                        \
        review_register(loop, path, kinds, 1, "There is nothing here.");                                                   \
    }                                                                                                                      \
    static const struct loop_role role = {.name = "site",                                                                  \
                                          .idle_ms = LONG_MS,                                                              \
                                          .max_strangers = LIMIT_STRANGERS_PER_LOOP,                                       \
                                          .max_held_bytes = LIMIT_HELD_BYTES_PER_LOOP,                                     \
                                          .usual_bytes = LIMIT_USUAL_BYTES,                                                \
                                          .knows_handles = true,                                                           \
                                          .register_handler = register_kind,                                               \
                                          .tls_of = site_plain,                                                            \
                                          __VA_ARGS__}

static inline SSL_CTX *site_plain(const struct runtime *runtime) {
    (void)runtime;
    return NULL;
}

static inline void generation_of(struct generation *generation, struct world *world, const struct policy *policy,
                                 uint32_t number) {
    generation->config = (struct config){.policy = *policy, .introspection = &world->introspection};
    generation->config.policy.generation = number;
    generation->snapshot = world->snapshot;
    generation->snapshot.n_refs = 1;
    generation->snapshot.config = &generation->config;
    generation->runtime =
        (struct runtime){.n_refs = 1, .snapshot = &generation->snapshot, .providers = &world->provider, .n_providers = 1};
}

/* What an admin might have written: one issuer, and handles that are followed for three minutes. */
static inline struct policy site_policy(struct site *site) {
    return (struct policy){.cluster = TEXT("test"),
                           .issuers = &site->world.policy,
                           .n_issuers = 1,
                           .handle = {.is_on = true,
                                      .max_age_s = 180,
                                      .recheck_after_ms = 5000,
                                      .refuse_unknown_fact = true,
                                      .refuse_without_handle = true}};
}

/* Starts provider, fetch thread, audit log and loop. */
static inline void site_start(struct site *site, const struct loop_role *role, const struct policy *policy) {
    struct error error = {.text = ""};
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    site->status = 200;
    site->reply = SITE_REPLY;
    site->world.snapshot.handle_keys[0] = secret_of(SITE_LINE);
    site->world.snapshot.n_handle_keys = 1;
    world_serve(&site->world, &(struct https_settings){.script = site_answers, .context = site});
    world_fetch(&site->world);
    generation_of(&site->first, &site->world, policy, 1);
    if (site->audit_path[0] == '\0') {
        snprintf(site->audit_path, sizeof(site->audit_path), "/tmp/kube-introspect-unit-audit-XXXXXX");
        close(mkstemp(site->audit_path));
        site->has_audit_file = true;
    }
    const struct audit_settings audit = {.path = site->audit_path, .refuse_when_unwritable = true};
    cr_assert_eq(handle_fact_secret(TEXT(SITE_LINE), site->key_secret), 0);
    site->services = (struct services){.cache = site->world.cache,
                                       .fetch = site->world.fetch,
                                       .metrics = site->world.metrics,
                                       .clock = &site->world.clock,
                                       .key_secret = site->key_secret};
    cr_assert_eq(audit_start(&audit, &site->services.audit, &error), 0, "%s", error.text);
    cr_assert_eq(loop_start(role, &site->services, &site->first.runtime, &site->loop), 0);
}

static inline void site_init(struct site *site) {
    *site = (struct site){0};
    world_init(&site->world);
    site->world.policy = fixture_issuer();
}

/* ---- on the loop's thread ---- */

struct errand {
    struct loop_message message;
    void (*run)(struct loop *loop, void *context);
    void *context;
    _Atomic bool is_done;
};

static inline void errand_handle(struct loop *loop, struct loop_message *message) {
    struct errand *errand = (struct errand *)message;
    errand->run(loop, errand->context);
    errand->is_done = true;
}

static inline void errand_send(struct site *site, struct errand *errand) {
    errand->message.handle = errand_handle;
    loop_send(site->loop, &errand->message);
}

/* Has something done there, and waits for it. */
static inline void on_loop(struct site *site, void (*run)(struct loop *loop, void *context), void *context) {
    struct errand errand = {.run = run, .context = context};
    errand_send(site, &errand);
    EVENTUALLY(errand.is_done);
}

static inline void count_parked(struct loop *loop, void *context) {
    size_t n = 0;
    for (uint32_t i = 0; i < loop->n_slots; i++)
        n += loop->slots[i].parked != NULL;
    *(size_t *)context = n;
}

static inline size_t site_n_parked(struct site *site) {
    size_t n;
    on_loop(site, count_parked, &n);
    return n;
}

/* From the next request on, this policy. */
static inline void site_reload(struct site *site, const struct policy *policy) {
    generation_of(&site->second, &site->world, policy, 2);
    cr_assert_eq(loop_use_runtime(site->loop, &site->second.runtime), 0);
    site_n_parked(site); /* messages come in order */
}

/* ---- callers ---- */

static inline int site_connect(struct site *site) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(loop_take_socket(site->loop, pair[0]), 0);
    site_n_parked(site); /* it has been taken: nothing is allocated for it any more */
    return pair[1];
}

static inline void write_all(int fd, const char *bytes, size_t n_bytes) {
    while (n_bytes > 0) {
        const ssize_t n = send(fd, bytes, n_bytes, MSG_NOSIGNAL);
        cr_assert_gt(n, 0, "the loop does not read: %d", errno);
        bytes += n;
        n_bytes -= (size_t)n;
    }
}

/* head: what stands between the request line and the length: whole lines. */
static inline void send_request(int fd, const char *method, const char *target, const char *head, const char *body) {
    char line[1024];
    const int n = snprintf(line, sizeof(line), "%s %s HTTP/1.1\r\nHost: test\r\n%sContent-Length: %zu\r\n\r\n", method,
                           target, head, strlen(body));
    cr_assert(n > 0 && (size_t)n < sizeof(line));
    write_all(fd, line, (size_t)n);
    write_all(fd, body, strlen(body));
}

#define JSON_HEAD "Content-Type: application/json\r\n"

static inline void post(int fd, const char *target, const char *body) {
    send_request(fd, "POST", target, JSON_HEAD, body);
}

struct response {
    int status; /* 0: the connection has ended without one */
    char bytes[16384];
    const char *body;
};

static inline bool is_whole(struct response *response) {
    const char *body = strstr(response->bytes, "\r\n\r\n"), *length = strcasestr(response->bytes, "\r\ncontent-length:");
    if (body == NULL || length == NULL)
        return false;
    response->body = body + 4;
    response->status = atoi(response->bytes + strlen("HTTP/1.1 "));
    return strlen(response->body) >= strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
}

/* Waits for a response, and reads no further than that. */
static inline struct response receive(int fd) {
    struct response response = {.status = 0};
    size_t n = 0;
    while (!is_whole(&response)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&poll_fd, 1, LONG_MS), 1, "no answer: %s", response.bytes);
        const ssize_t r = recv(fd, response.bytes + n, sizeof(response.bytes) - 1 - n, 0);
        if (r <= 0)
            return (struct response){.status = 0};
        n += (size_t)r;
        response.bytes[n] = '\0';
    }
    return response;
}

/* Whether nothing has come, and the connection is open. */
static inline bool is_silent(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* ---- facts and handles ---- */

static inline void site_key(struct site *site, uint8_t ret_key[DIGEST_BYTES]) {
    struct digest *digest;
    const struct decide_issuer asked = provider_key(site->world.provider);
    cr_assert_eq(digest_new(site->key_secret, &digest), 0);
    cr_assert_eq(fact_key(digest, site->world.policy.url, asked.endpoint, asked.client, TEXT(SITE_TOKEN), ret_key), 0);
    digest_free(digest);
}

/* The provider has said this of the token just now. */
static inline void site_learn(struct site *site, const char *reply) {
    uint8_t key[DIGEST_BYTES];
    site_key(site, key);
    struct fact *fact = fixture_fact_from(text_of(reply), TEXT(SITE_TOKEN), key, clock_mono_ms(&site->world.clock));
    cache_insert(site->world.cache, fact);
    fact_unref(fact);
}

/* What a login of alice's has left in her extra. */
static inline const char *site_handle(struct site *site, char room[LIMIT_HANDLE_BYTES + 1]) {
    const struct text line = TEXT(SITE_LINE);
    const struct handle_subject alice = {TEXT("corp:alice"), TEXT("u1"), TEXT("test")};
    struct handle_keys *keys;
    struct buffer buffer;
    uint8_t key[DIGEST_BYTES];
    site_key(site, key);
    cr_assert_eq(handle_keys_new(&line, 1, &keys), 0);
    buffer_init_fixed(&buffer, room, LIMIT_HANDLE_BYTES + 1);
    cr_assert_eq(handle_append(keys, &alice, key, clock_unix_ms(&site->world.clock) / 1000, &buffer), 0);
    room[buffer.n_bytes] = '\0';
    handle_keys_free(keys);
    return room;
}

/* ---- what is looked at afterwards ---- */

static inline bool site_has_metric(struct site *site, const char *row) {
    struct buffer buffer __attribute__((cleanup(buffer_deinit)));
    buffer_init(&buffer, LIMIT_METRICS_BYTES);
    metrics_render(site->world.metrics, NULL, NULL, "v1", &buffer);
    buffer_append_char(&buffer, '\0');
    return strstr(buffer.data, row) != NULL;
}

/* Whether a record can be written, as far as is known. */
static inline bool site_is_writable(struct site *site) {
    struct audit_stats stats;
    audit_stats(site->services.audit, &stats);
    return stats.writable;
}

/* Whether the audit log says this of any request so far. */
static inline bool site_has_record(struct site *site, const char *part) {
    char line[4096];
    bool has = false;
    FILE *file = fopen(site->audit_path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        has = has || strstr(line, part) != NULL;
    if (file != NULL)
        fclose(file);
    return has;
}

/* Ends all: with the caller's connections closed nothing may be left of any request. */
static inline void site_deinit(struct site *site) {
    site->held = NULL;
    gate_open(&site->world);
    MUST_COME(loop_n_connections(site->loop) == 0);
    MUST_COME(site_n_parked(site) == 0);
    loop_stop_asking(site->loop);
    world_stop_fetch(&site->world); /* all tickets are back */
    site_n_parked(site);
    loop_stop(site->loop);
    MUST(site->first.runtime.n_refs == 1);
    MUST(site->second.runtime.n_refs <= 1);
    MUST(site->world.provider->n_refs == 1 && site->world.snapshot.n_refs == 2); /* the provider's, and the test's */
    if (!site->has_audit_file)                                                   /* or it would be waited for */
        audit_configure(site->services.audit, &(struct audit_settings){.path = "/dev/null"});
    audit_stop(site->services.audit);
    if (site->has_audit_file)
        unlink(site->audit_path);
    secret_free(site->world.snapshot.handle_keys[0]);
    world_deinit(&site->world);
}
