#include "net/sweep.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ops/metrics_render.h"

/* A loop of h2o's that nobody but the test turns, plain HTTP, and callers at the other ends of socket pairs. */

#define MAX_CALLERS 8

struct world {
    h2o_globalconf_t config;
    struct loop_role role;
    struct services services;
    struct loop loop;
    int callers[MAX_CALLERS];
    size_t n_callers;
};

/* Whatever is asked for is more than a socket takes at once. */
static int answer_at_length(h2o_handler_t *self, h2o_req_t *req) {
    (void)self;
    static const char answer[4 * 1024 * 1024];
    req->res.status = 200;
    req->res.reason = "OK";
    h2o_send_inline(req, answer, sizeof(answer));
    return 0;
}

static void setup(struct world *world) {
    signal(SIGPIPE, SIG_IGN); /* as serve does */
    *world = (struct world){
        .role = {.name = "test", .idle_ms = 120000, .max_held_bytes = 1024 * 1024, .usual_bytes = 64 * 1024}};
    struct loop *loop = &world->loop;
    cr_assert_eq(metrics_new(&world->services.metrics), 0);
    loop->role = &world->role;
    loop->services = &world->services;
    loop->max_strangers = MAX_CALLERS;
    loop->reported_awake_ms = INT64_MIN;
    h2o_linklist_init_anchor(&loop->connections);
    h2o_linklist_init_anchor(&loop->strangers);
    h2o_config_init(&world->config);
    world->config.http1.req_timeout = LIMIT_H2O_TIMER_MS;
    h2o_hostconf_t *host = h2o_config_register_host(&world->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/large", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = answer_at_length;
    h2o_context_init(&loop->context, h2o_evloop_create(), &world->config);
    loop->accept.ctx = &loop->context;
    loop->accept.hosts = world->config.hosts;
}

static void turn(struct world *world) {
    for (int i = 0; i < 4; i++)
        h2o_evloop_run(world->loop.context.loop, 0);
}

static void teardown(struct world *world) {
    for (size_t i = 0; i < world->n_callers; i++)
        close(world->callers[i]);
    turn(world);
    cr_assert(h2o_linklist_is_empty(&world->loop.connections));
    cr_assert(h2o_linklist_is_empty(&world->loop.strangers));
    cr_assert_eq(world->loop.n_held_bytes, 0);
    h2o_evloop_t *evloop = world->loop.context.loop;
    h2o_context_dispose(&world->loop.context);
    h2o_config_dispose(&world->config);
    h2o_evloop_destroy(evloop);
    metrics_free(world->services.metrics);
}

static struct connection *newest(struct world *world) {
    return H2O_STRUCT_FROM_MEMBER(struct connection, link, world->loop.connections.prev);
}

static struct connection *accept_caller(struct world *world) {
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    world->callers[world->n_callers++] = ends[0];
    world->loop.n_connections++;
    connection_accept(&world->loop, ends[1]);
    return newest(world);
}

static void say(struct world *world, size_t caller, const char *what) {
    cr_assert_eq(write(world->callers[caller], what, strlen(what)), (ssize_t)strlen(what));
    turn(world);
}

/* Two looks, so much time apart, as a loop takes them all the time. */
static void pass(struct world *world, int64_t ms) {
    sweep(&world->loop);
    world->loop.awake_ms += ms;
    sweep(&world->loop);
    turn(world);
}

/* Whether the server has closed; what it said before is dropped. */
static bool is_closed(struct world *world, size_t caller) {
    char bytes[4096];
    ssize_t n;
    while ((n = read(world->callers[caller], bytes, sizeof(bytes))) > 0)
        ;
    return n == 0;
}

static uint64_t n_ended(struct world *world, enum connection_end why) {
    struct buffer text;
    buffer_init(&text, 1024 * 1024);
    metrics_render(world->services.metrics, NULL, NULL, "v1", &text);
    buffer_append_char(&text, (char)0);
    char row[128];
    snprintf(row, sizeof(row), "kube_introspect_connections_closed_total{reason=\"%s\"} ", connection_end_word(why));
    const char *found = strstr(text.data, row);
    cr_assert_not_null(found, "%s", row);
    const uint64_t n = strtoull(found + strlen(row), NULL, 10);
    buffer_deinit(&text);
    return n;
}

Test(sweep, a_connection_that_asks_nothing_is_closed_when_its_time_is_over) {
    struct world world;
    setup(&world);
    accept_caller(&world);
    pass(&world, world.role.idle_ms);
    cr_assert(!is_closed(&world, 0));
    pass(&world, 1);
    cr_assert(is_closed(&world, 0));
    cr_assert_eq(n_ended(&world, END_IDLE_TIMEOUT), 1);
    cr_assert_eq(world.loop.n_connections, 0);
    teardown(&world);
}

Test(sweep, a_request_that_drips_in_is_given_up) {
    struct world world;
    setup(&world);
    accept_caller(&world);
    const char *const drops[] = {"POST /x HTTP/1.1\r\n", "Host: a\r\n", "Content-Length: 10\r\n\r\n", "12345"};
    sweep(&world.loop);
    for (size_t i = 0; i < 4; i++) {
        say(&world, 0, drops[i]);
        pass(&world, LIMIT_REQUEST_MS / 4);
        cr_assert(!is_closed(&world, 0), "after drop %zu", i);
    }
    pass(&world, 1);
    cr_assert(is_closed(&world, 0));
    cr_assert_eq(n_ended(&world, END_REQUEST_TIMEOUT), 1);
    teardown(&world);
}

Test(sweep, a_busy_connection_is_not_taken_for_a_slow_one) {
    struct world world;
    setup(&world);
    struct connection *connection = accept_caller(&world);
    for (int i = 0; i < 20; i++) { /* in the midst of a request at every look, but never of the same */
        say(&world, 0, "GET /x HTTP/1.1\r\nHost: a\r\n");
        pass(&world, LIMIT_REQUEST_MS / 2);
        say(&world, 0, "\r\n");
        connection_answered(connection);
        cr_assert(!is_closed(&world, 0), "request %d", i);
    }
    cr_assert_eq(n_ended(&world, END_REQUEST_TIMEOUT), 0);
    teardown(&world);
}

Test(sweep, a_request_that_waits_for_a_provider_is_left_to_its_deadline) {
    struct world world;
    setup(&world);
    struct connection *connection = accept_caller(&world);
    connection->n_requests = 1;
    pass(&world, 10 * world.role.idle_ms);
    cr_assert(!is_closed(&world, 0));
    connection->n_requests = 0;
    teardown(&world);
}

Test(sweep, an_answer_that_is_not_read_is_given_up) {
    struct world world;
    setup(&world);
    accept_caller(&world);
    say(&world, 0, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    pass(&world, LIMIT_WRITE_MS);
    cr_assert_eq(n_ended(&world, END_WRITE_TIMEOUT), 0);
    pass(&world, 1);
    cr_assert_eq(n_ended(&world, END_WRITE_TIMEOUT), 1);
    cr_assert_eq(world.loop.n_connections, 0);
    teardown(&world);
}

Test(sweep, one_stranger_too_many_costs_the_oldest_its_place) {
    struct world world;
    setup(&world);
    world.loop.max_strangers = 2;
    for (int i = 0; i < 4; i++)
        accept_caller(&world);
    sweep_strangers(&world.loop);
    turn(&world);
    const bool closed[] = {true, true, false, false};
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(is_closed(&world, i), closed[i], "caller %zu", i);
    cr_assert_eq(n_ended(&world, END_CROWDED), 2);
    cr_assert_eq(world.loop.n_strangers, 2);
    teardown(&world);
}

Test(sweep, what_is_large_makes_room_first) {
    struct world world;
    setup(&world);
    struct connection *large = accept_caller(&world);
    struct connection *waiting = accept_caller(&world);
    struct connection *usual = accept_caller(&world);
    connection_hold(large, world.role.max_held_bytes / 2);
    connection_hold(waiting, world.role.max_held_bytes / 2 - 1000);
    waiting->n_requests = 1;
    connection_hold(usual, 2000);
    cr_assert_gt(world.loop.n_held_bytes, world.role.max_held_bytes);
    sweep_make_room(&world.loop);
    turn(&world);
    cr_assert(is_closed(&world, 0));
    cr_assert(!is_closed(&world, 1) && !is_closed(&world, 2));
    cr_assert_eq(n_ended(&world, END_MEMORY), 1);
    waiting->n_requests = 0;
    teardown(&world);
}

Test(sweep, where_nothing_is_large_whoever_is_in_the_midst_of_a_request_is_ended) {
    struct world world;
    setup(&world);
    struct connection *waiting = accept_caller(&world);
    struct connection *usual = accept_caller(&world);
    connection_hold(waiting, world.role.max_held_bytes);
    waiting->n_requests = 1;
    connection_hold(usual, 1);
    sweep_make_room(&world.loop);
    turn(&world);
    cr_assert(!is_closed(&world, 0) && is_closed(&world, 1));
    cr_assert_eq(world.loop.n_held_bytes, world.role.max_held_bytes);
    waiting->n_requests = 0;
    teardown(&world);
}

Test(sweep, what_is_held_is_counted_anew_at_each_look) {
    struct world world;
    setup(&world);
    struct connection *connection = accept_caller(&world);
    connection_hold(connection, 12345678);
    say(&world, 0, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    char *body = calloc(1, 50001);
    memset(body, 'x', 50000);
    say(&world, 0, body);
    free(body);
    sweep(&world.loop);
    cr_assert_geq(world.loop.n_held_bytes, 50000);
    cr_assert_leq(world.loop.n_held_bytes, 2 * 50000 + 8192);
    teardown(&world);
}
