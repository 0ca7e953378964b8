#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

SSL_CTX *client_context(const char *ca, const char *cert, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    /* In the order in which Go's client, and so kube-apiserver, offers them (crypto/tls, defaultCipherSuitesTLS13). */
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_read_ahead(context, 1); /* one read for a reply instead of two: the load must not be the limit */
    if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1 || SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "load: certificates: %s, %s, %s\n", ca, cert, key);
        exit(1);
    }
    return context;
}

void client_close(struct client *client) {
    if (client->state != CLIENT_CLOSED) {
        SSL_free(client->ssl);
        close(client->fd);
    }
    client->ssl = NULL;
    client->state = CLIENT_CLOSED;
    client->is_busy = false;
}

/* Closes it; what that means for whoever waits. One that ends without a request is no news: it is seen when it is needed.
 */
static enum client_event end(struct client *client) {
    const bool was_busy = client->is_busy, was_open = client->state == CLIENT_OPEN;
    static unsigned n_said;
    if (was_busy && n_said++ < 20) { /* for whoever wonders: standard error is a log */
        fprintf(stderr, "load: a connection broke, %zu of %zu bytes sent, %zu received: %s\n", client->n_written,
                client->n_request, client->n_read, strerror(errno));
        ERR_print_errors_fp(stderr);
    }
    client_close(client);
    return was_busy ? CLIENT_BROKEN : was_open ? CLIENT_PENDING : CLIENT_REFUSED;
}

enum client_event client_open(struct client *client) {
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)client->endpoint->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        perror("load: socket");
        exit(1);
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    client->ssl = SSL_new(client->endpoint->context);
    client->state = CLIENT_CONNECTING;
    SSL_set_fd(client->ssl, client->fd);
    SSL_set_connect_state(client->ssl);
    SSL_set1_host(client->ssl, "localhost");
    SSL_set_tlsext_host_name(client->ssl, "localhost");
    if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 && errno != EINPROGRESS)
        return end(client);
    /* A large request is written in parts. On edges only: a socket that can be written to is no news. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    epoll_ctl(client->endpoint->epoll, EPOLL_CTL_ADD, client->fd, &event);
    return CLIENT_PENDING;
}

/* Whether the whole reply is there. */
static bool reply_is_whole(struct client *client) {
    client->reply[client->n_read] = '\0';
    const char *body = strstr(client->reply, "\r\n\r\n");
    if (body == NULL)
        return false;
    client->is_last = strcasestr(client->reply, "\r\nconnection: close") != NULL;
    const char *length = strcasestr(client->reply, "content-length:");
    if (length == NULL || length > body) {
        fprintf(stderr, "load: a reply without Content-Length\n");
        exit(1);
    }
    return (size_t)(client->reply + client->n_read - (body + 4)) >= strtoul(length + 15, NULL, 10);
}

static bool wants_more(SSL *ssl, int n) {
    const int error = SSL_get_error(ssl, n);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Connects and shakes hands. */
static enum client_event get_open(struct client *client) {
    int error = 0;
    socklen_t n_error = sizeof(error);
    if (client->state == CLIENT_CONNECTING) {
        struct sockaddr_in peer;
        socklen_t n_peer = sizeof(peer);
        if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &n_error) != 0 || error != 0)
            return end(client);
        if (getpeername(client->fd, (struct sockaddr *)&peer, &n_peer) != 0)
            return CLIENT_PENDING; /* not connected yet */
        client->state = CLIENT_SHAKING;
    }
    const int n = SSL_do_handshake(client->ssl);
    if (n != 1)
        return wants_more(client->ssl, n) ? CLIENT_PENDING : end(client);
    client->state = CLIENT_OPEN;
    client->n_read = 0;
    return CLIENT_OPENED;
}

enum client_event client_go_on(struct client *client) {
    if (client->state == CLIENT_CLOSED)
        return CLIENT_PENDING;
    ERR_clear_error(); /* what another connection left there is not ours */
    if (client->state != CLIENT_OPEN)
        return get_open(client);
    while (client->is_busy && client->n_written < client->n_request) {
        const int n =
            SSL_write(client->ssl, client->request + client->n_written, (int)(client->n_request - client->n_written));
        if (n <= 0 && !wants_more(client->ssl, n))
            return end(client);
        if (n <= 0)
            break; /* the server may be answering already: what has come is read */
        client->n_written += (size_t)n;
    }
    for (;;) {
        const int n = SSL_read(client->ssl, client->reply + client->n_read, (int)(CLIENT_REPLY_BYTES - 1 - client->n_read));
        if (n <= 0)
            return wants_more(client->ssl, n) ? CLIENT_PENDING : end(client);
        client->n_read += (size_t)n;
        if (!client->is_busy)
            return end(client); /* nobody asked for this */
        if (reply_is_whole(client)) {
            client->is_busy = false;
            client->n_read = 0;
            if (client->is_last)
                client_close(client);
            return CLIENT_REPLIED;
        }
    }
}

enum client_event client_send(struct client *client, const char *request, size_t n_request) {
    client->request = request;
    client->n_request = n_request;
    client->n_written = client->n_read = 0;
    client->is_busy = true;
    return client_go_on(client);
}
