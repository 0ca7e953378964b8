#include "lib/https_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

struct https_connection {
    struct https_connection *next;
    struct https_server *server;
    pthread_t thread;
    int fd;
    SSL *ssl;
    enum { GO_ON, CLOSE, RESET } after;
};

struct https_server {
    struct https_settings settings;
    SSL_CTX *context;
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic unsigned n_connections, n_open, n_requests;
    _Atomic bool is_stopping, closes_idle;
    pthread_mutex_t lock;
    struct https_connection *connections;
};

static void die(const char *what) {
    perror(what);
    ERR_print_errors_fp(stderr);
    abort();
}

/* Not malloc() and its kin: a test that makes those fail (memory.h) means its own program, not this server. */
static void *allocate(void *memory, size_t n_bytes) {
    void *const room = reallocarray(memory, n_bytes, 1);
    if (room == NULL)
        die("reallocarray");
    return room;
}

static char *copy_of(const char *bytes, size_t n_bytes) {
    char *const copy = allocate(NULL, n_bytes + 1);
    memcpy(copy, bytes, n_bytes);
    copy[n_bytes] = '\0';
    return copy;
}

/* ---- requests ---- */

struct input {
    char *bytes;
    size_t n_bytes, capacity;
};

static bool wants_close(struct https_connection *connection) {
    return connection->server->is_stopping || connection->server->closes_idle;
}

/* Reads more into the input, polling so that closing can be asked for. Returns false at the end. */
static bool read_more(struct https_connection *connection, struct input *input) {
    if (input->capacity - input->n_bytes < 65536) {
        input->capacity = input->capacity * 2 + 131072;
        input->bytes = allocate(input->bytes, input->capacity);
    }
    struct pollfd readable = {.fd = connection->fd, .events = POLLIN};
    while (SSL_pending(connection->ssl) == 0 && poll(&readable, 1, 20) == 0) {
        if (wants_close(connection))
            return false;
    }
    const int n = SSL_read(connection->ssl, input->bytes + input->n_bytes, (int)(input->capacity - input->n_bytes - 1));
    if (n <= 0)
        return false;
    input->n_bytes += (size_t)n;
    input->bytes[input->n_bytes] = '\0';
    return true;
}

static size_t content_length(const char *head) {
    const char *const line = strcasestr(head, "\r\nContent-Length:");
    return line == NULL ? 0 : strtoul(line + strlen("\r\nContent-Length:"), NULL, 10);
}

/* Returns false where the connection is to end. */
static bool serve_one(struct https_connection *connection, struct input *input, unsigned nth) {
    const char *end;
    while (input->n_bytes == 0 || (end = strstr(input->bytes, "\r\n\r\n")) == NULL) {
        if (!read_more(connection, input))
            return false;
    }
    const size_t n_head = (size_t)(end - input->bytes) + 4;
    char *const head = copy_of(input->bytes, n_head);
    const size_t n_body = content_length(head);
    bool is_whole = true;
    while (is_whole && input->n_bytes < n_head + n_body)
        is_whole = read_more(connection, input);
    char method[16] = "", path[1024] = "";
    if (is_whole && sscanf(head, "%15s %1023s", method, path) == 2) {
        char *const body = copy_of(input->bytes + n_head, n_body);
        const struct https_request request = {.connection = connection,
                                              .nth = nth,
                                              .method = method,
                                              .path = path,
                                              .head = head,
                                              .body = body,
                                              .n_body_bytes = n_body};
        connection->server->n_requests++;
        connection->server->settings.script(connection->server->settings.context, &request);
        memmove(input->bytes, input->bytes + n_head + n_body, input->n_bytes - n_head - n_body + 1);
        input->n_bytes -= n_head + n_body;
        free(body);
    } else {
        is_whole = false;
    }
    free(head);
    return is_whole && connection->after == GO_ON;
}

static void close_connection(struct https_connection *connection) {
    if (connection->after == RESET) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    } else {
        SSL_shutdown(connection->ssl);
    }
    /* Closed when the server stops, unless now: a script's descriptor must not become somebody else's. */
    if (connection->after == RESET) {
        close(connection->fd);
        connection->fd = -1;
    } else {
        shutdown(connection->fd, SHUT_RDWR);
    }
}

static void *serve_connection(void *context) {
    struct https_connection *const connection = context;
    struct input input = {0};
    const int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    SSL_set_fd(connection->ssl, connection->fd);
    if (SSL_accept(connection->ssl) == 1) {
        connection->server->n_connections++;
        connection->server->n_open++;
        for (unsigned nth = 1; serve_one(connection, &input, nth); nth++)
            ;
        connection->server->n_open--;
    }
    close_connection(connection);
    free(input.bytes);
    return NULL;
}

/* ---- the server ---- */

static void add_connection(struct https_server *server, int fd) {
    struct https_connection *const connection = allocate(NULL, sizeof(*connection));
    *connection = (struct https_connection){.server = server, .fd = fd, .ssl = SSL_new(server->context)};
    if (connection->ssl == NULL)
        die("https_server: a connection");
    pthread_mutex_lock(&server->lock);
    connection->next = server->connections;
    server->connections = connection;
    pthread_mutex_unlock(&server->lock);
    if (pthread_create(&connection->thread, NULL, serve_connection, connection) != 0)
        die("https_server: a thread");
}

static void *accept_connections(void *context) {
    struct https_server *const server = context;
    struct pollfd readable = {.fd = server->listener, .events = POLLIN};
    while (!server->is_stopping) {
        if (poll(&readable, 1, 20) <= 0)
            continue;
        const int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            add_connection(server, fd);
    }
    return NULL;
}

static X509 *certificate_of(const char *pem) {
    BIO *const bio = BIO_new_mem_buf(pem, -1);
    X509 *const certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (certificate == NULL)
        die("https_server: the certificate");
    return certificate;
}

static void use_certificate(SSL_CTX *context, const struct certificate *pair) {
    X509 *const certificate = certificate_of(pair->cert_pem);
    BIO *const bio = BIO_new_mem_buf(pair->key_pem, -1);
    EVP_PKEY *const key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (SSL_CTX_use_certificate(context, certificate) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1)
        die("https_server: the certificate and its key");
    BIO_free(bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static SSL_CTX *context_new(const struct https_settings *settings) {
    SSL_CTX *const context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        die("SSL_CTX_new");
    use_certificate(context, settings->certificate);
    if (settings->client_ca != NULL) {
        X509 *const ca = certificate_of(settings->client_ca->cert_pem);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
        X509_free(ca);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    }
    SSL_CTX_set_min_proto_version(context, settings->min_tls);
    SSL_CTX_set_max_proto_version(context, settings->max_tls);
    if (settings->max_tls != 0 && settings->max_tls < TLS1_2_VERSION)
        SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0"); /* OpenSSL 3 refuses TLS 1.1 above it */
    return context;
}

static void listen_at_any_port(struct https_server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n_bytes = sizeof(address);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, n_bytes) != 0 ||
        listen(server->listener, 1024) != 0 || getsockname(server->listener, (struct sockaddr *)&address, &n_bytes) != 0)
        die("https_server: listen");
    server->port = ntohs(address.sin_port);
}

struct https_server *https_server_start(const struct https_settings *settings) {
    struct https_server *const server = allocate(NULL, sizeof(*server));
    *server = (struct https_server){.settings = *settings, .context = context_new(settings)};
    pthread_mutex_init(&server->lock, NULL);
    listen_at_any_port(server);
    sigset_t pipe_signal, before; /* a peer that is gone must not end the test */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    if (pthread_create(&server->thread, NULL, accept_connections, server) != 0)
        die("https_server: a thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return server;
}

void https_server_stop(struct https_server *server) {
    if (server == NULL)
        return;
    server->is_stopping = true;
    pthread_join(server->thread, NULL);
    for (struct https_connection *connection = server->connections, *next; connection != NULL; connection = next) {
        next = connection->next;
        pthread_join(connection->thread, NULL);
        SSL_free(connection->ssl);
        if (connection->fd >= 0)
            close(connection->fd);
        free(connection);
    }
    close(server->listener);
    SSL_CTX_free(server->context);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void https_server_close_connections(struct https_server *server) {
    server->closes_idle = true;
    while (server->n_open > 0)
        poll(NULL, 0, 5);
    server->closes_idle = false;
}

uint16_t https_server_port(const struct https_server *server) {
    return server->port;
}

unsigned https_server_n_connections(struct https_server *server) {
    return server->n_connections;
}

unsigned https_server_n_open(struct https_server *server) {
    return server->n_open;
}

unsigned https_server_n_requests(struct https_server *server) {
    return server->n_requests;
}

/* ---- replies ---- */

bool https_write(const struct https_request *request, const char *bytes, size_t n_bytes) {
    return n_bytes == 0 || SSL_write(request->connection->ssl, bytes, (int)n_bytes) > 0;
}

void https_reply(const struct https_request *request, int status, const char *content_type, const char *extra,
                 const char *body) {
    char *bytes;
    const int n = asprintf(&bytes, "HTTP/1.1 %d Whatever\r\n%s%s%sContent-Length: %zu\r\n%s\r\n%s", status,
                           content_type == NULL ? "" : "Content-Type: ", content_type == NULL ? "" : content_type,
                           content_type == NULL ? "" : "\r\n", strlen(body), extra == NULL ? "" : extra, body);
    if (n < 0)
        die("asprintf");
    https_write(request, bytes, (size_t)n);
    free(bytes);
}

void https_close(const struct https_request *request) {
    request->connection->after = CLOSE;
}

void https_reset(const struct https_request *request) {
    request->connection->after = RESET;
}

bool https_has_header(const struct https_request *request, const char *name, const char *value) {
    for (const char *line = strstr(request->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2;
        if (strncasecmp(at, name, strlen(name)) != 0 || at[strlen(name)] != ':')
            continue;
        at += strlen(name) + 1;
        at += strspn(at, " ");
        if (strncmp(at, value, strlen(value)) == 0 && strncmp(at + strlen(value), "\r\n", 2) == 0)
            return true;
    }
    return false;
}
