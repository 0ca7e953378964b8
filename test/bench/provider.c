/*
 * An introspection endpoint for the benchmark, on h2o: every token is active, every answer takes as long as asked for.
 *
 *   provider PORT CERT KEY DELAY_MS      (0: at once)
 *
 * Loopback only; ends when its standard input does.
 */
#include <arpa/inet.h>
#include <h2o.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context;
static int delay_ms;
static char reply[1024];
static size_t n_reply;

static void send_reply(h2o_req_t *req) {
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = n_reply; /* as real providers send it: in chunks it would be four TLS records instead of one */
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("application/json; charset=utf-8"));
    h2o_send_inline(req, reply, n_reply);
}

/* All wait equally long, so the first that came is the first to be answered. h2o's own timers tick in whole milliseconds: a
   webhook that is quick would then wait for the next tick, and one that is slow would not. */
struct waiting {
    h2o_linklist_t link;
    h2o_req_t *req;
    int64_t due_us;
};
static h2o_linklist_t queue;
static int timer;

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void set_timer(int64_t due_us) {
    const struct itimerspec at = {.it_value = {.tv_sec = due_us / 1000000, .tv_nsec = due_us % 1000000 * 1000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void on_timer(h2o_socket_t *socket, const char *error) {
    (void)error;
    h2o_buffer_consume(&socket->input, socket->input->size);
    while (!h2o_linklist_is_empty(&queue)) {
        struct waiting *const first = H2O_STRUCT_FROM_MEMBER(struct waiting, link, queue.next);
        if (first->due_us > now_us())
            return set_timer(first->due_us);
        h2o_linklist_unlink(&first->link);
        send_reply(first->req);
    }
}

static void on_dispose(void *memory) {
    struct waiting *waiting = memory;
    if (h2o_linklist_is_linked(&waiting->link))
        h2o_linklist_unlink(&waiting->link);
}

static int on_request(h2o_handler_t *self, h2o_req_t *req) {
    (void)self;
    if (delay_ms == 0) {
        send_reply(req);
        return 0;
    }
    struct waiting *waiting = h2o_mem_alloc_shared(&req->pool, sizeof(*waiting), on_dispose);
    *waiting = (struct waiting){.req = req, .due_us = now_us() + delay_ms * 1000};
    if (h2o_linklist_is_empty(&queue))
        set_timer(waiting->due_us);
    h2o_linklist_insert(&queue, &waiting->link);
    return 0;
}

static void on_accept(h2o_socket_t *listener, const char *error) {
    h2o_socket_t *socket;
    if (error == NULL && (socket = h2o_evloop_socket_accept(listener)) != NULL)
        h2o_accept(&accept_context, socket);
}

static int listen_on(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0)
        return -1;
    return fd;
}

static bool is_orphan(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char byte;
    return poll(&input, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "provider PORT CERT KEY DELAY_MS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a caller that goes must not take it along */
    const int port = (int)strtol(argv[1], NULL, 10);
    delay_ms = (int)strtol(argv[4], NULL, 10);
    n_reply = (size_t)snprintf(
        reply, sizeof(reply),
        "{\"active\":true,\"sub\":\"user-2bd806c97f0e00af\",\"preferred_username\":\"alice\",\"username\":\"alice\","
        "\"email\":\"alice@example.test\",\"email_verified\":true,\"name\":\"Alice Adams\",\"groups\":[\"developers\",\"team-a\"],"
        "\"client_id\":\"app\",\"exp\":4102444800,\"iat\":1795375691,\"iss\":\"https://localhost:%d\","
        "\"aud\":\"kubernetes\",\"scope\":\"openid email groups\",\"token_type\":\"Bearer\"}",
        port);
    h2o_config_init(&config);
    config.http1.req_timeout = 120000;
    h2o_hostconf_t *host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req = on_request;
    h2o_context_init(&context, h2o_evloop_create(), &config);
    h2o_linklist_init_anchor(&queue);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    h2o_socket_read_start(h2o_evloop_socket_create(context.loop, timer, 0), on_timer);
    accept_context.ctx = &context;
    accept_context.hosts = config.hosts;
    accept_context.ssl_ctx = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(accept_context.ssl_ctx, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(accept_context.ssl_ctx, argv[3], SSL_FILETYPE_PEM) != 1)
        return 1;
    const int fd = listen_on(port);
    if (fd < 0)
        return 1;
    h2o_socket_read_start(h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ), on_accept);
    puts("ready");
    fflush(stdout);
    while (!is_orphan()) {
        for (int turns = 0; turns < 1000; turns++)
            h2o_evloop_run(context.loop, 1000);
    }
    return 0;
}
