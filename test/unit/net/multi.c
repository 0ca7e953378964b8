#include "net/multi.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/https_server.h"

#define LONG_MS 20000 /* no test waits that long unless it fails */

struct world {
    struct certificate ca, certificate;
    struct https_server *server;
    char url[64];
    struct multi multi;
    CURL *easy;
};

static void answer(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 200, "application/json", NULL, "{}");
}

static CURL *make_easy(struct world *world) {
    CURL *const easy = curl_easy_init();
    struct curl_blob ca = {.data = world->ca.cert_pem, .len = strlen(world->ca.cert_pem), .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy, CURLOPT_URL, world->url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)LONG_MS);
    return easy;
}

static void world_init(struct world *world) {
    memset(world, 0, sizeof(*world));
    world->ca = certificate_new(NULL, &(struct certificate_wish){.common_name = "Test CA", .is_ca = 1});
    world->certificate =
        certificate_new(&world->ca, &(struct certificate_wish){.common_name = "localhost", .san = "DNS:localhost"});
    world->server = https_server_start(
        &(struct https_settings){.certificate = &world->certificate, .script = answer, .context = world});
    snprintf(world->url, sizeof(world->url), "https://localhost:%u/", (unsigned)https_server_port(world->server));
    cr_assert_eq(multi_init(&world->multi), 0);
    world->easy = make_easy(world);
}

static void world_deinit(struct world *world) {
    curl_easy_cleanup(world->easy);
    multi_deinit(&world->multi);
    https_server_stop(world->server);
    certificate_deinit(&world->certificate);
    certificate_deinit(&world->ca);
}

/* One transfer to its end. */
static CURLcode transfer(struct world *world) {
    cr_assert_eq(multi_add(&world->multi, world->easy), 0);
    const int64_t give_up_us = clock_mono_us() + (int64_t)LONG_MS * 1000;
    CURLcode code = CURLE_FAILED_INIT;
    const CURL *ended = NULL;
    while (ended == NULL && clock_mono_us() < give_up_us) {
        multi_turn(&world->multi, LONG_MS);
        ended = multi_ended(&world->multi, &code);
    }
    cr_assert_eq(ended, world->easy);
    return code;
}

/* ---- connections ---- */

struct listener {
    struct multi_watcher watcher;
    CURL *easy;
    char bytes[4096];
    size_t n_bytes;
    bool is_closed;
    unsigned n_calls;
};

static void listen_on(struct multi_watcher *watcher) {
    struct listener *const listener = (struct listener *)watcher;
    listener->n_calls++;
    CURLcode code = CURLE_OK;
    while (code == CURLE_OK && !listener->is_closed) {
        size_t n_bytes = 0;
        code = curl_easy_recv(listener->easy, listener->bytes + listener->n_bytes,
                              sizeof(listener->bytes) - listener->n_bytes, &n_bytes);
        listener->n_bytes += n_bytes;
        listener->is_closed = code == CURLE_OK ? n_bytes == 0 : code != CURLE_AGAIN;
    }
}

static void listen_to(struct world *world, struct listener *listener) {
    *listener = (struct listener){.watcher.ready = listen_on, .easy = world->easy};
    curl_socket_t fd = CURL_SOCKET_BAD;
    cr_assert_eq(curl_easy_getinfo(world->easy, CURLINFO_ACTIVESOCKET, &fd), CURLE_OK);
    cr_assert_eq(multi_watch(&world->multi, fd, &listener->watcher), 0);
}

static void ask(struct world *world) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t n_bytes = 0;
    cr_assert_eq(curl_easy_send(world->easy, request, strlen(request), &n_bytes), CURLE_OK);
    cr_assert_eq(n_bytes, strlen(request));
}

static void turn_until(struct world *world, const struct listener *listener, size_t n_bytes) {
    const int64_t give_up_us = clock_mono_us() + (int64_t)LONG_MS * 1000;
    while (listener->n_bytes < n_bytes && !listener->is_closed && clock_mono_us() < give_up_us)
        multi_turn(&world->multi, LONG_MS);
}

Test(multi, a_connection_says_when_there_is_something_to_read) {
    struct world world;
    world_init(&world);
    cr_assert_eq(transfer(&world), CURLE_OK);
    struct listener listener;
    listen_to(&world, &listener);
    for (unsigned i = 1; i <= 20; i++) {
        listener.n_bytes = 0;
        ask(&world);
        turn_until(&world, &listener, 1);
        cr_assert_gt(listener.n_bytes, 0);
        cr_assert_eq(https_server_n_requests(world.server), i);
    }
    cr_assert_eq(https_server_n_connections(world.server), 1);
    multi_remove(&world.multi, world.easy);
    world_deinit(&world);
}

Test(multi, a_connection_that_is_closed_says_so_once) {
    struct world world;
    world_init(&world);
    cr_assert_eq(transfer(&world), CURLE_OK);
    struct listener listener;
    listen_to(&world, &listener);
    ask(&world); /* the server knows of it once it has answered */
    turn_until(&world, &listener, 1);
    https_server_close_connections(world.server);
    turn_until(&world, &listener, SIZE_MAX);
    cr_assert(listener.is_closed);
    const unsigned n_calls = listener.n_calls;
    const int64_t end_us = clock_mono_us() + 100 * 1000;
    while (clock_mono_us() < end_us)
        multi_turn(&world.multi, 50);
    cr_assert_leq(listener.n_calls, n_calls + 1, "the closed socket is reported again and again");
    multi_remove(&world.multi, world.easy);
    world_deinit(&world);
}

/* The descriptor of the connection is the next one's as well: it must be watched anew. */
Test(multi, connections_follow_each_other_on_one_descriptor) {
    struct world world;
    world_init(&world);
    for (unsigned i = 1; i <= 5; i++) {
        cr_assert_eq(transfer(&world), CURLE_OK);
        struct listener listener;
        listen_to(&world, &listener);
        ask(&world);
        turn_until(&world, &listener, 1);
        cr_assert_gt(listener.n_bytes, 0);
        cr_assert_eq(https_server_n_connections(world.server), i);
        multi_remove(&world.multi, world.easy);
    }
    world_deinit(&world);
}

/* ---- transfers, waiting ---- */

Test(multi, a_transfer_that_ends_as_it_begins_is_not_waited_for) {
    struct world world;
    world_init(&world);
    curl_easy_setopt(world.easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(world.easy, CURLOPT_URL, "ftp://localhost/");
    const int64_t begun_us = clock_mono_us();
    cr_assert_eq(transfer(&world), CURLE_UNSUPPORTED_PROTOCOL);
    cr_assert_lt(clock_mono_us() - begun_us, (int64_t)LONG_MS * 1000 / 2);
    multi_remove(&world.multi, world.easy);
    world_deinit(&world);
}

static void *ring(void *context) {
    multi_wake(context);
    return NULL;
}

Test(multi, a_bell_ends_the_wait_whether_it_rings_before_or_during_it) {
    struct world world;
    world_init(&world);
    const int64_t begun_us = clock_mono_us();
    multi_wake(&world.multi);
    multi_turn(&world.multi, LONG_MS);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, ring, &world.multi), 0);
    multi_turn(&world.multi, LONG_MS);
    pthread_join(thread, NULL);
    cr_assert_lt(clock_mono_us() - begun_us, (int64_t)LONG_MS * 1000);
    world_deinit(&world);
}

Test(multi, without_anything_to_do_it_waits_as_long_as_it_may_and_no_longer) {
    struct world world;
    world_init(&world);
    const int64_t begun_us = clock_mono_us();
    multi_turn(&world.multi, 30);
    cr_assert_geq(clock_mono_us() - begun_us, 29 * 1000);
    world_deinit(&world);
}
