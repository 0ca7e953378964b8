#include "unit/net/harness.h"

#include <string.h>

#include "net/lane.h"

#define JSON "application/json"

/* What the provider says of itself; changed by the test while it runs. */
struct script {
    struct world world; /* first: the harness gives it to the script */
    pthread_mutex_t lock;
    char document[512];
    int document_status, introspection_status;
    const char *path; /* where introspection is answered; elsewhere 404 */
    unsigned n_documents;
    bool waits_at_gate; /* documents are answered at the gate */
};

static void answer(void *context, const struct https_request *request) {
    struct script *const script = context;
    pthread_mutex_lock(&script->lock);
    const bool is_document = strcmp(request->path, "/.well-known/openid-configuration") == 0;
    const bool is_there = strcmp(request->path, script->path) == 0;
    const bool waits = is_document && script->waits_at_gate;
    if (is_document)
        script->n_documents++;
    pthread_mutex_unlock(&script->lock);
    if (waits)
        gate_pass(&script->world);
    pthread_mutex_lock(&script->lock);
    char document[sizeof(script->document)];
    memcpy(document, script->document, sizeof(document));
    const int document_status = script->document_status, introspection_status = script->introspection_status;
    pthread_mutex_unlock(&script->lock);
    if (is_document && strcmp(request->method, "GET") == 0)
        https_reply(request, document_status, JSON, "Location: /elsewhere\r\n", document);
    else if (is_there)
        https_reply(request, introspection_status, JSON, NULL, ACTIVE);
    else
        https_reply(request, 404, "text/plain", NULL, "not here");
}

static void say(struct script *script, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct script *script, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&script->lock);
    script->document_status = status;
    vsnprintf(script->document, sizeof(script->document), format, arguments);
    pthread_mutex_unlock(&script->lock);
    va_end(arguments);
}

static void say_endpoint(struct script *script, const char *path) {
    const char *const url = script->world.issuer_url;
    say(script, 200, "{\"issuer\":\"%s\",\"introspection_endpoint\":\"%s%s\"}", url, url, path);
}

static void move_to(struct script *script, const char *path) {
    pthread_mutex_lock(&script->lock);
    script->path = path;
    pthread_mutex_unlock(&script->lock);
}

static unsigned n_documents(struct script *script) {
    pthread_mutex_lock(&script->lock);
    const unsigned n = script->n_documents;
    pthread_mutex_unlock(&script->lock);
    return n;
}

/* The server runs, and says where introspection is; nothing is discovered yet. */
static struct script *script_new(void) {
    struct script *const script = calloc(1, sizeof(*script));
    cr_assert_not_null(script);
    pthread_mutex_init(&script->lock, NULL);
    script->path = "/introspect";
    script->introspection_status = 200;
    world_init(&script->world);
    script->world.introspection.endpoint = NULL;
    world_serve(&script->world, &(struct https_settings){.script = answer, .context = script});
    say_endpoint(script, "/introspect");
    return script;
}

static void script_free(struct script *script) {
    world_deinit(&script->world);
    pthread_mutex_destroy(&script->lock);
    free(script);
}

static const char *described(struct world *world, char room[256]) {
    struct buffer buffer __attribute__((cleanup(buffer_deinit)));
    buffer_init(&buffer, 4096);
    fetch_describe(world->fetch, &buffer);
    snprintf(room, 256, "%.*s", (int)buffer.n_bytes, buffer.data);
    return room;
}

static bool is_known(struct world *world) {
    return provider_key(world->provider).endpoint.n_bytes > 0;
}

static const char *trouble_of(struct world *world) {
    return atomic_load(&world->provider->lane->discover.trouble);
}

/* The clock goes on, and the thread is woken to see it. */
static void go_on(struct world *world, int64_t ms) {
    world->ahead_ms += ms;
    cr_assert_eq(fetch_configure(world->fetch, &world->provider, 1), 0);
}

/* ---- success ---- */

Test(discover, the_endpoint_is_discovered_without_being_asked_for) {
    struct script *const script = script_new();
    world_fetch(&script->world);
    EVENTUALLY(is_known(&script->world));
    char expected[160], room[256];
    snprintf(expected, sizeof(expected), "%s/introspect", script->world.issuer_url);
    cr_assert(text_equal(provider_key(script->world.provider).endpoint, text_of(expected)));
    cr_assert_str_eq(described(&script->world, room), "[+]corp endpoint known\n");
    cr_assert_eq(ask(&script->world, SENTINEL_TOKEN), REASON_OK);
    cr_assert_eq(n_documents(script), 1);
    script_free(script);
}

Test(discover, a_ticket_waits_for_discovery_under_way) {
    struct script *const script = script_new();
    script->waits_at_gate = true;
    gate_close(&script->world);
    world_fetch(&script->world);
    wait_for(&script->world, &script->world.n_at_gate, 1);
    char room[256];
    cr_assert_str_eq(described(&script->world, room), "[-]corp endpoint not known; discovery is under way\n");
    struct caller patient, hasty, late;
    cr_assert_eq(call_of(&script->world, &patient, "a", LONG_MS), 0);
    cr_assert_eq(call_of(&script->world, &hasty, "b", 5000), 0);
    cr_assert_eq(call_of(&script->world, &late, "c", 0), 0);
    caller_wait(&late); /* so those before it have been taken */
    go_on(&script->world, 5000);
    caller_wait(&hasty);
    cr_assert_eq(hasty.ticket.reason, REASON_DISCOVERY_FAILED, "%s", reason_word(hasty.ticket.reason));
    gate_open(&script->world);
    caller_wait(&patient);
    cr_assert_eq(patient.ticket.reason, REASON_OK);
    fact_unref(patient.ticket.fact);
    script_free(script);
}

Test(discover, a_reload_takes_the_endpoint_over_and_asks_nobody) {
    struct script *const script = script_new();
    struct world *const world = &script->world;
    world_fetch(world);
    EVENTUALLY(is_known(world));
    struct provider *const old = world->provider;
    world_make_provider(world, old);
    cr_assert_eq(fetch_configure(world->fetch, &world->provider, 1), 0);
    provider_unref(old);
    cr_assert_eq(ask(world, SENTINEL_TOKEN), REASON_OK);
    cr_assert_eq(n_documents(script), 1);
    script_free(script);
}

/* ---- failure ---- */

struct bad_document {
    int status;
    const char *document; /* %s: the issuer */
    const char *trouble;  /* a part of it */
};

static const struct bad_document bad_documents[] = {
    {200, "", "cannot be used"},
    {200, "[]", "cannot be used"},
    {200, "{\"issuer\":\"%s\"}", "names no introspection_endpoint"},
    {200, "{\"issuer\":\"%s/\",\"introspection_endpoint\":\"https://127.0.0.1/i\"}", "another issuer's"},
    {200, "{\"issuer\":\"https://evil.example\",\"introspection_endpoint\":\"https://127.0.0.1/i\"}", "another issuer's"},
    {200, "{\"issuer\":\"%s\",\"introspection_endpoint\":\"http://127.0.0.1/i\"}", "cannot be used"},
    {200, "{\"issuer\":\"%s\",\"introspection_endpoint\":\"https://u:p@127.0.0.1/i\"}", "cannot be used"},
    {301, "{\"issuer\":\"%s\",\"introspection_endpoint\":\"https://127.0.0.1/i\"}", "redirects"},
    {404, "", "HTTP 404"},
    {403, "", "HTTP 4xx"},
    {500, "", "HTTP 5xx"},
};

Test(discover, a_document_that_cannot_be_used_leaves_the_endpoint_unknown) {
    for (size_t i = 0; i < sizeof(bad_documents) / sizeof(*bad_documents); i++) {
        struct script *const script = script_new();
        char document[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(document, sizeof(document), bad_documents[i].document, script->world.issuer_url);
#pragma GCC diagnostic pop
        say(script, bad_documents[i].status, "%s", document);
        world_fetch(&script->world);
        EVENTUALLY(trouble_of(&script->world) != NULL);
        cr_expect_not_null(strstr(trouble_of(&script->world), bad_documents[i].trouble), "document %zu: %s", i,
                           trouble_of(&script->world));
        cr_expect_not(is_known(&script->world), "document %zu", i);
        char room[256];
        cr_expect_eq(strncmp(described(&script->world, room), "[-]corp endpoint not known; discovery fails: ", 45), 0, "%s",
                     room);
        script_free(script);
    }
}

Test(discover, a_failure_ends_the_tickets_that_wait_and_refuses_those_that_come_before_the_next_attempt) {
    struct script *const script = script_new();
    struct world *const world = &script->world;
    script->waits_at_gate = true;
    say(script, 500, "no");
    gate_close(world);
    world_fetch(world);
    wait_for(world, &world->n_at_gate, 1);
    struct caller waiting;
    cr_assert_eq(call_of(world, &waiting, "a", LONG_MS), 0);
    gate_open(world);
    caller_wait(&waiting);
    cr_assert_eq(waiting.ticket.reason, REASON_DISCOVERY_FAILED);
    go_on(world, -LIMIT_DISCOVERY_RETRY_MIN_MS); /* time stands still for the pause */
    cr_assert_eq(ask(world, "b"), REASON_DISCOVERY_FAILED);
    script_free(script);
}

Test(discover, it_is_tried_again_until_it_succeeds) {
    struct script *const script = script_new();
    struct world *const world = &script->world;
    say(script, 503, "not yet");
    world_fetch(world);
    EVENTUALLY((go_on(world, LIMIT_DISCOVERY_RETRY_MAX_MS), n_documents(script) >= 5));
    say_endpoint(script, "/introspect");
    EVENTUALLY((go_on(world, LIMIT_DISCOVERY_RETRY_MAX_MS), is_known(world)));
    EVENTUALLY(trouble_of(world) == NULL);
    cr_assert_eq(ask(world, SENTINEL_TOKEN), REASON_OK);
    script_free(script);
}

/* ---- as time passes ---- */

Test(discover, an_old_document_is_fetched_again_and_a_failure_keeps_what_was_known) {
    struct script *const script = script_new();
    struct world *const world = &script->world;
    world_fetch(world);
    EVENTUALLY(is_known(world));
    say(script, 500, "broken");
    EVENTUALLY((go_on(world, LIMIT_DISCOVERY_MAX_AGE_MS), trouble_of(world) != NULL));
    cr_assert_geq(n_documents(script), 2);
    cr_assert(is_known(world));
    char room[256];
    cr_assert_eq(strncmp(described(world, room), "[+]corp endpoint known; discovery fails: ", 41), 0, "%s", room);
    cr_assert_eq(ask(world, SENTINEL_TOKEN), REASON_OK);
    script_free(script);
}

Test(discover, an_endpoint_that_is_gone_is_looked_for_again) {
    struct script *const script = script_new();
    struct world *const world = &script->world;
    world_fetch(world);
    EVENTUALLY(is_known(world));
    cr_assert_eq(ask(world, "a"), REASON_OK);
    const struct text before = provider_key(world->provider).endpoint; /* as a loop may hold it */
    char *const copy = strdup(before.data);
    say_endpoint(script, "/v2/introspect");
    move_to(script, "/v2/introspect");
    go_on(world, LIMIT_DISCOVERY_RETRY_MAX_MS); /* the last fetch is not too near */
    cr_assert_eq(ask(world, "b"), REASON_PROVIDER_MISCONFIGURED);
    EVENTUALLY(strstr(provider_key(world->provider).endpoint.data, "/v2/") != NULL);
    cr_assert_eq(ask(world, "c"), REASON_OK);
    cr_assert_str_eq(before.data, copy, "a published endpoint stays readable");
    free(copy);
    script_free(script);
}

Test(discover, a_404_right_after_discovery_asks_for_no_second_document) {
    struct script *const script = script_new();
    struct world *const world = &script->world;
    world_fetch(world);
    EVENTUALLY(is_known(world));
    move_to(script, "/nowhere");
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(ask(world, "a"), REASON_PROVIDER_MISCONFIGURED);
    cr_assert_eq(n_documents(script), 1);
    script_free(script);
}

Test(discover, an_endpoint_that_moves_all_the_time_is_followed_so_often_and_no_more) {
    struct script *const script = script_new();
    struct world *const world = &script->world;
    world_fetch(world);
    EVENTUALLY(is_known(world));
    for (unsigned i = 1; i <= LIMIT_KNOWN_ENDPOINTS + 2; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/move-%u", i);
        say_endpoint(script, path);
        const unsigned before = n_documents(script);
        EVENTUALLY((go_on(world, LIMIT_DISCOVERY_MAX_AGE_MS), n_documents(script) > before + 1));
    }
    say_endpoint(script, "/introspect"); /* known from before, so it can be gone back to */
    EVENTUALLY((go_on(world, LIMIT_DISCOVERY_MAX_AGE_MS),
                strstr(provider_key(world->provider).endpoint.data, "/introspect") != NULL));
    world_stop_fetch(world);
    cr_assert_eq(world->provider->lane->discover.n_endpoints, LIMIT_KNOWN_ENDPOINTS);
    script_free(script);
}

Test(discover, stopping_while_it_is_under_way_ends_cleanly) {
    struct script *const script = script_new();
    script->waits_at_gate = true;
    gate_close(&script->world);
    world_fetch(&script->world);
    wait_for(&script->world, &script->world.n_at_gate, 1);
    struct caller caller;
    cr_assert_eq(call_of(&script->world, &caller, SENTINEL_TOKEN, LONG_MS), 0);
    world_stop_fetch(&script->world);
    cr_assert_eq(caller.ticket.reason, REASON_STOPPING);
    script_free(script);
}
