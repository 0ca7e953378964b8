/*
 * A caller's connection, as we keep it beside h2o's own: who is calling, when it last asked, and the TLS context that h2o
 * holds only as a raw pointer until the first bytes.
 */
#pragma once

#include <h2o.h>

#include "net/loop.h"

struct connection {
    h2o_linklist_t link; /* of the loop's connections */
    struct loop *loop;
    h2o_socket_t *socket;
    SSL_CTX *tls; /* counted, or NULL */
    bool is_verified;
    uint32_t n_requests; /* under way */
    int64_t used_mono_ms;
    char caller[256]; /* name of its certificate; "" before the handshake and on plain HTTP */
};

/* Takes a connected socket over and begins to serve it. Closes it where there is no memory. Loop's thread. */
void connection_accept(struct loop *loop, int fd);

/* The connection that a request came by. Loop's thread. */
struct connection *connection_of(h2o_req_t *req);

/* See tls_on_caller. */
void connection_on_caller(SSL *ssl, const char *name);

/* Ends connections that have no request under way and were not used since the time; all of them for INT64_MAX. */
void connection_close_idle(struct loop *loop, int64_t before_mono_ms);
