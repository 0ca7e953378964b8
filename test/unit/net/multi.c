#include "net/multi.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
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
    atomic_bool is_silent;
};

static void answer(void *context, const struct https_request *request) {
    struct world *const world = context;
    while (atomic_load(&world->is_silent))
        usleep(1000);
    https_reply(request, 200, "application/json", NULL, "{}");
}

static size_t ignore(char *bytes, size_t size, size_t n, void *context) {
    (void)bytes;
    (void)context;
    return size * n;
}

static CURL *make_easy(struct world *world) {
    CURL *const easy = curl_easy_init();
    struct curl_blob ca = {.data = world->ca.cert_pem, .len = strlen(world->ca.cert_pem), .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy, CURLOPT_URL, world->url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)LONG_MS);
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

/* One exchange from its beginning to its end. */
static CURLcode exchange(struct world *world) {
    cr_assert_eq(multi_add(&world->multi, world->easy), 0);
    const int64_t give_up_us = clock_mono_us() + (int64_t)LONG_MS * 1000;
    CURLcode code = CURLE_FAILED_INIT;
    const CURL *ended = NULL;
    while (ended == NULL && clock_mono_us() < give_up_us) {
        multi_turn(&world->multi, LONG_MS);
        ended = multi_ended(&world->multi, &code);
    }
    cr_assert_eq(ended, world->easy);
    multi_remove(&world->multi, world->easy);
    return code;
}

Test(multi, exchanges_follow_each_other_over_one_connection) {
    struct world world;
    world_init(&world);
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(exchange(&world), CURLE_OK);
    cr_assert_eq(https_server_n_connections(world.server), 1);
    cr_assert_eq(https_server_n_requests(world.server), 20);
    world_deinit(&world);
}

/* The descriptor of the connection is the next one's as well: it must be watched anew. */
Test(multi, a_connection_that_was_closed_meanwhile_is_made_again) {
    struct world world;
    world_init(&world);
    for (unsigned i = 1; i <= 5; i++) {
        cr_assert_eq(exchange(&world), CURLE_OK);
        cr_assert_eq(https_server_n_connections(world.server), i);
        https_server_close_connections(world.server);
    }
    world_deinit(&world);
}

Test(multi, an_idle_connection_that_is_closed_wakes_it_no_more_than_once) {
    struct world world;
    world_init(&world);
    cr_assert_eq(exchange(&world), CURLE_OK);
    https_server_close_connections(world.server);
    unsigned n_turns = 0;
    const int64_t end_us = clock_mono_us() + 100 * 1000;
    for (; clock_mono_us() < end_us; n_turns++)
        multi_turn(&world.multi, 50);
    cr_assert_leq(n_turns, 10, "%u turns in 100 ms: the closed socket is reported again and again", n_turns);
    world_deinit(&world);
}

Test(multi, two_at_a_time_take_two_connections_and_both_end) {
    struct world world;
    world_init(&world);
    CURL *const other = make_easy(&world);
    cr_assert_eq(multi_add(&world.multi, other), 0);
    cr_assert_eq(multi_add(&world.multi, world.easy), 0);
    unsigned n_ended = 0;
    const int64_t give_up_us = clock_mono_us() + (int64_t)LONG_MS * 1000;
    while (n_ended < 2 && clock_mono_us() < give_up_us) {
        CURLcode code;
        multi_turn(&world.multi, LONG_MS);
        for (CURL *easy; (easy = multi_ended(&world.multi, &code)) != NULL; n_ended++) {
            cr_assert_eq(code, CURLE_OK);
            multi_remove(&world.multi, easy);
        }
    }
    cr_assert_eq(n_ended, 2);
    cr_assert_eq(https_server_n_connections(world.server), 2);
    curl_easy_cleanup(other);
    world_deinit(&world);
}

/* So many files are open that the connection's number lies beyond the table. */
Test(multi, descriptors_above_the_table_are_watched_as_well) {
    const struct rlimit enough = {.rlim_cur = LIMIT_WATCHED_DESCRIPTORS + 1000,
                                  .rlim_max = LIMIT_WATCHED_DESCRIPTORS + 1000};
    if (setrlimit(RLIMIT_NOFILE, &enough) != 0)
        cr_skip_test("this user may not open %d files", LIMIT_WATCHED_DESCRIPTORS + 1000);
    struct world world;
    world_init(&world);
    const int null = open("/dev/null", O_RDONLY);
    int last = null;
    while (last >= 0 && last < LIMIT_WATCHED_DESCRIPTORS)
        last = dup(null);
    cr_assert_geq(last, LIMIT_WATCHED_DESCRIPTORS);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(exchange(&world), CURLE_OK);
    cr_assert_eq(https_server_n_connections(world.server), 1);
    for (int fd = null; fd <= last; fd++) {
        char path[64];
        char target[16];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof(target)) == 9 && memcmp(target, "/dev/null", 9) == 0)
            close(fd);
    }
    world_deinit(&world);
}

/* Seen: a reply that was there as soon as the request was sent lay until something else ended the wait. */
Test(multi, a_transfer_that_ends_as_it_begins_is_not_waited_for) {
    struct world world;
    world_init(&world);
    curl_easy_setopt(world.easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(world.easy, CURLOPT_URL, "ftp://localhost/");
    const int64_t begun_us = clock_mono_us();
    cr_assert_eq(exchange(&world), CURLE_UNSUPPORTED_PROTOCOL);
    cr_assert_lt(clock_mono_us() - begun_us, (int64_t)LONG_MS * 1000 / 2);
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

/* libcurl's own time limits ring too, though no socket has anything to say. */
Test(multi, a_transfer_whose_peer_is_silent_ends_at_its_time_limit) {
    struct world world;
    world_init(&world);
    atomic_store(&world.is_silent, true);
    curl_easy_setopt(world.easy, CURLOPT_TIMEOUT_MS, 100L);
    cr_assert_eq(exchange(&world), CURLE_OPERATION_TIMEDOUT);
    atomic_store(&world.is_silent, false);
    world_deinit(&world);
}
