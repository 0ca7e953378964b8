/*
 * A caller's connection, as we keep it beside h2o's own: who is calling, how long it has been at what, how much it brings,
 * and the TLS context that h2o holds only as a raw pointer until the first bytes.
 *
 * A stranger is a connection whose caller has not shown a certificate that is accepted, or never will: the operations
 * listener asks for none. A loop has room for some of them at a time. One more, and the oldest is ended, so that however
 * many knock, a caller with a certificate gets in.
 *
 * All of it belongs to the loop's thread.
 */
#pragma once

#include <h2o.h>

#include "net/loop.h"
#include "net/tls.h"

/* What a connection is at, as far as one can see from outside of h2o. */
enum connection_phase { PHASE_HANDSHAKE, PHASE_IDLE, PHASE_REQUEST, PHASE_WAIT, PHASE_WRITE };

struct connection {
    h2o_linklist_t link;     /* of the loop's connections */
    h2o_linklist_t stranger; /* of the loop's strangers, oldest first; not linked: no stranger */
    struct loop *loop;
    h2o_socket_t *socket;
    SSL_CTX *tls;                /* counted, or NULL */
    bool is_welcome;             /* the TLS handshake is done, or there is none */
    bool is_ended;               /* by us: h2o has yet to notice */
    uint32_t n_requests;         /* under way */
    enum connection_phase phase; /* when it was last looked at */
    int64_t phase_awake_ms;      /* since when */
    int64_t used_awake_ms;       /* when it came, or was last answered */
    size_t n_held_bytes;         /* counted in the loop's */
    char caller[256];            /* name of its certificate; "" before that is seen and on plain HTTP */
};

/* Takes a connected socket over and begins to serve it. Closes it where there is no memory, or nobody who waits for TLS. */
void connection_accept(struct loop *loop, int fd);

/* Closes a socket that was handed to the loop. */
void connection_refuse(struct loop *loop, int fd);

/* The connection that a request came by. */
struct connection *connection_of(h2o_req_t *req);

/* What TLS contexts tell of: who calls, and that the handshake is done. */
extern const struct tls_events connection_tls_events;

/* A request was answered: the connection was of use just now, and what the request held is as good as free. */
void connection_answered(struct connection *connection);

/* What h2o keeps of its input: up to twice of what came, and nothing while there is none. */
size_t connection_input_bytes(const struct connection *connection);

/* From now on it counts as holding so much. */
void connection_hold(struct connection *connection, size_t n_bytes);

/* Ends it: h2o finds the socket shut down and closes it within this turn or the next. Counted once for each connection. */
void connection_end(struct connection *connection, enum connection_end why);

/* Closes connections that have no request under way and were not used since the time. */
void connection_close_idle(struct loop *loop, int64_t before_awake_ms);
