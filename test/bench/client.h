/*
 * One connection as kube-apiserver's client has them: HTTP/1.1 over mutual TLS, kept alive, one request at a time. It is
 * made when it is needed and never waited for; whatever becomes of it is an event.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_REPLY_BYTES 65536

/* Where to. */
struct endpoint {
    SSL_CTX *context;
    int port; /* on loopback; the server's name is localhost */
    int epoll;
};

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_SHAKING, CLIENT_OPEN };

struct client {
    const struct endpoint *endpoint;
    enum client_state state;
    SSL *ssl;
    int fd;
    bool is_busy; /* a request is under way */
    bool is_last; /* the server has said that it ends the connection behind this reply */
    const char *request;
    size_t n_request, n_written, n_read;
    void *question; /* the owner's */
    int64_t due_ns; /* the owner's: when the request should have been sent */
    char reply[CLIENT_REPLY_BYTES];
};

enum client_event {
    CLIENT_PENDING,
    CLIENT_OPENED,  /* it can be sent to */
    CLIENT_REPLIED, /* reply holds the whole of it, with an end; the request is done */
    CLIENT_BROKEN,  /* the connection ended before the reply did; the request is done */
    CLIENT_REFUSED  /* there is none to be had */
};

/* A context for a client with a certificate of its own. Exits where the files are not good. */
SSL_CTX *client_context(const char *ca, const char *cert, const char *key);

/* Begins a connection where there is none. */
enum client_event client_open(struct client *client);

/* Sends a request, which is borrowed until it is done, over an open connection. */
enum client_event client_send(struct client *client, const char *request, size_t n_request);

/* Goes on as far as it can: call it when the connection's descriptor is ready. */
enum client_event client_go_on(struct client *client);

/* Ends the connection, and the request with it. */
void client_close(struct client *client);
