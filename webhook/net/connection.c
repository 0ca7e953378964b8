#include "net/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"

static void on_close(void *data) {
    struct connection *connection = data;
    struct loop *loop = connection->loop;
    if (connection->tls != NULL && !connection->is_verified)
        metrics_handshake(loop->services->metrics, false);
    metrics_connections(loop->services->metrics, -1);
    atomic_fetch_sub_explicit(&loop->n_connections, 1, memory_order_relaxed);
    h2o_linklist_unlink(&connection->link);
    SSL_CTX_free(connection->tls);
    free(connection);
}

void connection_accept(struct loop *loop, int fd) {
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        close(fd);
        atomic_fetch_sub_explicit(&loop->n_connections, 1, memory_order_relaxed);
        return;
    }
    connection->loop = loop;
    connection->used_mono_ms = clock_mono_ms(loop->services->clock);
    if (loop->accept.ssl_ctx != NULL) {
        SSL_CTX_up_ref(loop->accept.ssl_ctx); /* h2o keeps a raw pointer; a reload must not free it */
        connection->tls = loop->accept.ssl_ctx;
    }
    h2o_linklist_insert(&loop->connections, &connection->link);
    metrics_connections(loop->services->metrics, 1);
    h2o_socket_t *socket = h2o_evloop_socket_create(loop->context.loop, fd, 0);
    connection->socket = socket;
    socket->on_close.cb = on_close;
    socket->on_close.data = connection;
    h2o_accept(&loop->accept, socket);
}

struct connection *connection_of(h2o_req_t *req) {
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

void connection_on_caller(SSL *ssl, const char *name) {
    /* h2o 2.2 reads and writes through a BIO of its own, whose data is the socket. */
    const h2o_socket_t *socket = BIO_get_data(SSL_get_rbio(ssl));
    if (socket == NULL || socket->on_close.cb != on_close)
        return;
    struct connection *connection = socket->on_close.data;
    if (!connection->is_verified)
        metrics_handshake(connection->loop->services->metrics, true);
    connection->is_verified = true;
    snprintf(connection->caller, sizeof(connection->caller), "%s", name);
}

void connection_close_idle(struct loop *loop, int64_t before_mono_ms) {
    for (h2o_linklist_t *at = loop->connections.next; at != &loop->connections; at = at->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, at);
        if (connection->n_requests == 0 && connection->used_mono_ms < before_mono_ms)
            shutdown(h2o_socket_get_fd(connection->socket), SHUT_RDWR); /* h2o then sees the end and closes */
    }
}
