/*
 * An introspection endpoint on h2o that is faster than what is measured with it.
 *
 *   provider PORT CERT KEY DELAY_MS            every token is active; every answer takes so long (0: at once)
 *   provider PORT CERT KEY DELAY_MS ISSUER     a token is what is written in it (token.h), and the provider does what its
 * standard input says, a line each, answered by a line of JSON with what it has counted so far:
 *
 *     count                 nothing else
 *     mode MODE             ok; yes, no (to every token), other (than the token is asked about: its neighbour); 500, 503,
 * 429, html, half (of a reply, then the end), silent delay MS revoke                tokens of the revocable kind are no
 * longer active certificate CERT KEY  for connections from now on close                 ends all connections drop, pass all
 * packets to the provider are lost, those to open its connections too; no longer
 *
 * Loopback only; ends when its standard input does.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <h2o.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../lib/program.h"
#include "token.h"

#define MAX_DESCRIPTORS 8192

enum mode {
    MODE_OK,
    MODE_YES,
    MODE_NO,
    MODE_OTHER,
    MODE_500,
    MODE_503,
    MODE_429,
    MODE_HTML,
    MODE_HALF,
    MODE_SILENT,
    N_MODES
};
static const char *const mode_words[N_MODES] = {"ok", "yes", "no", "other", "500", "503", "429", "html", "half", "silent"};

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context;
static int port, delay_ms;
static char own_issuer[256];
static bool is_truthful; /* or every token is active */
static bool is_revoked;
static enum mode mode;
static unsigned long n_calls, n_active, n_inactive;

/* ---- what it says ---- */

static void send_text(h2o_req_t *req, int status, const char *reason, const char *type, const char *body) {
    req->res.status = status;
    req->res.reason = reason;
    req->res.content_length =
        strlen(body); /* as real providers send it: in chunks it would be four TLS records instead of one */
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_send_inline(req, body, strlen(body));
}

static void send_json(h2o_req_t *req, int status, const char *reason, const char *body) {
    send_text(req, status, reason, "application/json; charset=utf-8", body);
}

static void send_active(h2o_req_t *req, const char *user, const char *groups, long long issued, long long exp) {
    char reply[1024];
    snprintf(reply, sizeof(reply),
             "{\"active\":true,\"sub\":\"user-2bd806c97f0e00af\",\"preferred_username\":\"%s\",\"username\":\"%s\","
             "\"email\":\"alice@example.test\",\"email_verified\":true,\"name\":\"Alice Adams\",\"groups\":[%s],"
             "\"client_id\":\"app\",\"exp\":%lld,\"iat\":%lld,\"iss\":\"%s\","
             "\"aud\":\"kubernetes\",\"scope\":\"openid email groups\",\"token_type\":\"Bearer\"}",
             user, user, groups, exp, issued, own_issuer);
    n_active++;
    send_json(req, 200, "OK", reply);
}

/* What the token's own words say of it. */
static void send_truth(h2o_req_t *req) {
    static const char name[] = "token=";
    struct token token;
    size_t at = 0, n = 0;
    while (at + sizeof(name) - 1 < req->entity.len &&
           (memcmp(req->entity.base + at, name, sizeof(name) - 1) != 0 || (at > 0 && req->entity.base[at - 1] != '&')))
        at++;
    at += sizeof(name) - 1;
    while (at + n < req->entity.len && req->entity.base[at + n] != '&')
        n++;
    const bool is_token = at + n <= req->entity.len && token_read(req->entity.base + at, n, &token);
    const bool is_active = is_token && token.kind != TOKEN_GARBAGE && !(token.kind == TOKEN_REVOKED && is_revoked) &&
                           token.exp_unix_s > time(NULL);
    if (!is_token || mode == MODE_NO || (!is_active && mode != MODE_YES)) {
        n_inactive++;
        return send_json(req, 200, "OK", "{\"active\":false}");
    }
    token.number += mode == MODE_OTHER;
    char user[TOKEN_USER_BYTES + 1];
    token_user(&token, user);
    send_active(req, user, "\"developers\",\"on-call\"", token.issued_unix_s, token.exp_unix_s);
}

/* ---- half a reply ---- */

static void end_connection(h2o_generator_t *self, h2o_req_t *req) {
    (void)self;
    shutdown(h2o_socket_get_fd(req->conn->callbacks->get_socket(req->conn)), SHUT_RDWR);
}

static void send_half(h2o_req_t *req) {
    static h2o_generator_t generator = {.proceed = end_connection};
    h2o_iovec_t half = h2o_iovec_init(H2O_STRLIT("{\"active\":true,\"sub\":\"user-"));
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = 400;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("application/json"));
    h2o_start_response(req, &generator);
    h2o_send(req, &half, 1, H2O_SEND_STATE_IN_PROGRESS);
}

static void send_reply(h2o_req_t *req) {
    switch (mode) {
    case MODE_OK:
    case MODE_YES:
    case MODE_NO:
    case MODE_OTHER:
        if (is_truthful)
            send_truth(req);
        else
            send_active(req, "alice", "\"developers\",\"team-a\"", 1795375691, 4102444800);
        break;
    case MODE_500:
        send_json(req, 500, "Internal Server Error", "{\"error\":\"server_error\"}");
        break;
    case MODE_503:
        send_json(req, 503, "Service Unavailable", "{\"error\":\"temporarily_unavailable\"}");
        break;
    case MODE_429:
        send_json(req, 429, "Too Many Requests", "{\"error\":\"slow_down\"}");
        break;
    case MODE_HTML:
        send_text(req, 200, "OK", "text/html", "<!doctype html><title>Sign in</title><h1>Sign in</h1>");
        break;
    case MODE_HALF:
        send_half(req);
        break;
    default:
        break;
    }
}

/* ---- when it says it ---- */

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
    return now_ns() / 1000;
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

/* Whoever waits is answered now: what comes next may wait less long. */
static void end_waiting(void) {
    while (!h2o_linklist_is_empty(&queue)) {
        struct waiting *const first = H2O_STRUCT_FROM_MEMBER(struct waiting, link, queue.next);
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
    n_calls++;
    if (delay_ms == 0 && mode != MODE_SILENT) {
        send_reply(req);
        return 0;
    }
    struct waiting *waiting = h2o_mem_alloc_shared(&req->pool, sizeof(*waiting), on_dispose);
    *waiting =
        (struct waiting){.req = req, .due_us = now_us() + (mode == MODE_SILENT ? 3600000000 : (int64_t)delay_ms * 1000)};
    if (h2o_linklist_is_empty(&queue))
        set_timer(waiting->due_us);
    h2o_linklist_insert(&queue, &waiting->link);
    return 0;
}

/* ---- connections ---- */

static void on_accept(h2o_socket_t *listener, const char *error) {
    h2o_socket_t *socket;
    if (error == NULL && (socket = h2o_evloop_socket_accept(listener)) != NULL)
        h2o_accept(&accept_context, socket);
}

static int listen_on(void) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0)
        return -1;
    return fd;
}

/* New connections get it; false where the files are not good. */
static bool use_certificate(const char *cert, const char *key) {
    SSL_CTX *fresh = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(fresh, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(fresh, key, SSL_FILETYPE_PEM) != 1)
        return false;
    accept_context.ssl_ctx = fresh; /* connections hold references to the one before, which is not freed: there are few */
    return true;
}

static void end_connections(void) {
    struct sockaddr_in peer;
    for (int fd = 3; fd < MAX_DESCRIPTORS; fd++) {
        socklen_t n_peer = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &n_peer) == 0)
            shutdown(fd, SHUT_RDWR);
    }
}

/* A filter on each socket that lets nothing in, the listener's SYNs included: as if a firewall dropped them. */
static void lose_packets(bool does) {
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &nothing};
    for (int fd = 3; fd < MAX_DESCRIPTORS; fd++) {
        if (does)
            setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
        else
            setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &program, sizeof(program));
    }
}

/* ---- what it is told ---- */

static bool obey(char *line) {
    char *save = NULL;
    const char *const word = strtok_r(line, " ", &save), *const first = strtok_r(NULL, " ", &save);
    const char *const second = strtok_r(NULL, " ", &save);
    if (word == NULL)
        return false;
    if (strcmp(word, "mode") == 0 && first != NULL) {
        for (enum mode each = 0; each < N_MODES; each++) {
            if (strcmp(first, mode_words[each]) != 0)
                continue;
            mode = each;
            end_waiting();
            return true;
        }
        return false;
    }
    if (strcmp(word, "delay") == 0 && first != NULL) {
        delay_ms = (int)strtol(first, NULL, 10);
        end_waiting();
        return true;
    }
    if (strcmp(word, "certificate") == 0 && second != NULL)
        return use_certificate(first, second);
    if (strcmp(word, "revoke") == 0)
        is_revoked = true;
    else if (strcmp(word, "close") == 0)
        end_connections();
    else if (strcmp(word, "drop") == 0 || strcmp(word, "pass") == 0)
        lose_packets(strcmp(word, "drop") == 0);
    else
        return strcmp(word, "count") == 0;
    return true;
}

static bool is_orphan;

static void on_command(h2o_socket_t *socket, const char *error) {
    is_orphan = error != NULL;
    for (;;) {
        char *const line = socket->input->bytes;
        char *const end = socket->input->size == 0 ? NULL : memchr(line, '\n', socket->input->size);
        if (end == NULL)
            return;
        *end = '\0';
        const bool is_done = obey(line);
        printf("{\"done\": %s, \"calls\": %lu, \"active\": %lu, \"inactive\": %lu}\n", is_done ? "true" : "false", n_calls,
               n_active, n_inactive);
        fflush(stdout);
        h2o_buffer_consume(&socket->input, (size_t)(end + 1 - line));
    }
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "provider PORT CERT KEY DELAY_MS [ISSUER]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a caller that goes must not take it along */
    port = (int)strtol(argv[1], NULL, 10);
    delay_ms = (int)strtol(argv[4], NULL, 10);
    is_truthful = argc == 6;
    if (is_truthful)
        snprintf(own_issuer, sizeof(own_issuer), "%s", argv[5]);
    else
        snprintf(own_issuer, sizeof(own_issuer), "https://localhost:%d", port);
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
    if (!use_certificate(argv[2], argv[3]))
        return 1;
    const int fd = listen_on();
    if (fd < 0)
        return 1;
    h2o_socket_read_start(h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ), on_accept);
    puts("ready");
    fflush(stdout);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    h2o_socket_read_start(h2o_evloop_socket_create(context.loop, 0, 0), on_command);
    while (!is_orphan)
        h2o_evloop_run(context.loop, 1000);
    return 0;
}
