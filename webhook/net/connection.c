#include "net/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

static bool is_stranger(const struct connection *connection) {
    return h2o_linklist_is_linked((h2o_linklist_t *)&connection->stranger);
}

static void leave_strangers(struct connection *connection) {
    if (!is_stranger(connection))
        return;
    h2o_linklist_unlink(&connection->stranger);
    connection->loop->n_strangers--;
}

size_t connection_input_bytes(const struct connection *connection) {
    const h2o_buffer_t *input = connection->socket->input;
    return input->bytes == NULL ? 0 : input->capacity;
}

void connection_hold(struct connection *connection, size_t n_bytes) {
    connection->loop->n_held_bytes += n_bytes - connection->n_held_bytes;
    connection->n_held_bytes = n_bytes;
}

/* ---- begin and end ---- */

static void on_close(void *data) {
    struct connection *connection = data;
    struct loop *loop = connection->loop;
    if (connection->tls != NULL && !connection->is_welcome)
        metrics_handshake(loop->services->metrics, false);
    metrics_connections(loop->services->metrics, -1);
    atomic_fetch_sub_explicit(&loop->n_connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->n_closed, 1, memory_order_relaxed);
    connection_hold(connection, 0);
    leave_strangers(connection);
    h2o_linklist_unlink(&connection->link);
    SSL_CTX_free(connection->tls);
    free(connection);
}

static void join_strangers(struct connection *connection) {
    h2o_linklist_insert(&connection->loop->strangers, &connection->stranger);
    connection->loop->n_strangers++;
}

void connection_refuse(struct loop *loop, int fd) {
    if (loop->accept.ssl_ctx != NULL)
        metrics_handshake(loop->services->metrics, false);
    close(fd);
    atomic_fetch_sub_explicit(&loop->n_connections, 1, memory_order_relaxed);
}

/* Gone, or half-closed, which nobody does who wants a handshake: its signature is not made for them. */
static bool has_left(int fd) {
    struct pollfd socket = {.fd = fd, .events = POLLRDHUP};
    return poll(&socket, 1, 0) > 0;
}

void connection_accept(struct loop *loop, int fd) {
    struct connection *connection = loop->accept.ssl_ctx != NULL && has_left(fd) ? NULL : calloc(1, sizeof(*connection));
    if (connection == NULL) {
        connection_refuse(loop, fd);
        return;
    }
    connection->loop = loop;
    connection->phase_awake_ms = connection->used_awake_ms = loop->awake_ms;
    if (loop->accept.ssl_ctx != NULL) {
        SSL_CTX_up_ref(loop->accept.ssl_ctx); /* h2o keeps a raw pointer; a reload must not free it */
        connection->tls = loop->accept.ssl_ctx;
    }
    connection->is_welcome = connection->tls == NULL;
    join_strangers(connection);
    h2o_linklist_insert(&loop->connections, &connection->link);
    metrics_connections(loop->services->metrics, 1);
    h2o_socket_t *socket = h2o_evloop_socket_create(loop->context.loop, fd, 0);
    connection->socket = socket;
    socket->on_close.cb = on_close;
    socket->on_close.data = connection;
    h2o_accept(&loop->accept, socket);
}

/* Whoever knocks a thousand times a second must not fill the log. */
static void report(struct loop *loop, const char *what) {
    if (loop->reported_awake_ms != INT64_MIN && loop->awake_ms - loop->reported_awake_ms < LIMIT_TROUBLE_INTERVAL_MS)
        return;
    loop->reported_awake_ms = loop->awake_ms;
    log_warning(loop->role->name, "connections are closed: %s; see to it that only those who must can reach the listener",
                what);
}

void connection_end(struct connection *connection, enum connection_end why) {
    if (connection->is_ended)
        return;
    connection->is_ended = true;
    connection_hold(connection, 0);
    leave_strangers(connection);
    metrics_connection_ended(connection->loop->services->metrics, why);
    if (why == END_CROWDED)
        report(connection->loop, "too many have shown no certificate");
    if (why == END_MEMORY)
        report(connection->loop, "the requests that are under way hold too much memory");
    const int fd = h2o_socket_get_fd(connection->socket);
    shutdown(fd, SHUT_RDWR);
    /* What has come before could still be read: a handshake with somebody who is turned away. */
    recv(fd, NULL, INT32_MAX, MSG_TRUNC | MSG_DONTWAIT);
}

/* ---- what happens to it ---- */

struct connection *connection_of(h2o_req_t *req) {
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

void connection_answered(struct connection *connection) {
    connection->used_awake_ms = connection->loop->awake_ms;
    connection_hold(connection, 0);
}

/* The connection that a TLS session is of. h2o 2.2 reads and writes through a BIO of its own, whose data is the socket. */
static struct connection *connection_of_tls(SSL *ssl) {
    const h2o_socket_t *socket = BIO_get_data(SSL_get_rbio(ssl));
    return socket == NULL || socket->on_close.cb != on_close ? NULL : socket->on_close.data;
}

/* A record's header has come: five bytes, the last two of which say how much follows (RFC 8446 section 5.1). */
static void on_record(int is_written, int version, int type, const void *data, size_t n_bytes, SSL *ssl, void *argument) {
    (void)version, (void)ssl;
    struct connection *connection = argument;
    if (is_written || type != SSL3_RT_HEADER || n_bytes != 5 || connection->is_ended)
        return;
    const uint8_t *header = data;
    connection_hold(connection, connection->n_held_bytes + ((size_t)header[3] << 8 | header[4]));
}

static void on_caller(SSL *ssl, const char *name) {
    struct connection *connection = connection_of_tls(ssl);
    if (connection != NULL)
        snprintf(connection->caller, sizeof(connection->caller), "%s", name);
}

static void on_handshake(SSL *ssl) {
    struct connection *connection = connection_of_tls(ssl);
    if (connection == NULL || connection->is_welcome)
        return;
    connection->is_welcome = true;
    metrics_handshake(connection->loop->services->metrics, true);
    if (connection->caller[0] != '\0')
        leave_strangers(connection);
    SSL_set_msg_callback(ssl, on_record);
    SSL_set_msg_callback_arg(ssl, connection);
}

const struct tls_events connection_tls_events = {.on_caller = on_caller, .on_handshake = on_handshake};

void connection_close_idle(struct loop *loop, int64_t before_awake_ms) {
    for (h2o_linklist_t *at = loop->connections.next; at != &loop->connections; at = at->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, at);
        if (connection->n_requests > 0 || connection->socket->input->size > 0) /* the beginning of one is there */
            continue;
        if (connection->used_awake_ms < before_awake_ms)
            shutdown(h2o_socket_get_fd(connection->socket), SHUT_RDWR); /* h2o then sees the end and closes */
    }
}
