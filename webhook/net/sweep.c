#include "net/sweep.h"

static enum connection_phase phase_of(const struct connection *connection) {
    const h2o_socket_t *socket = connection->socket;
    if (socket->_cb.write != NULL) /* something is on its way to the caller */
        return PHASE_WRITE;
    if (!connection->is_welcome)
        return PHASE_HANDSHAKE;
    if (connection->n_requests > 0)
        return PHASE_WAIT;
    return socket->input->size > 0 ? PHASE_REQUEST : PHASE_IDLE;
}

/* How long a connection may be in a phase; INT64_MAX: something else ends that. */
static int64_t patience_ms(const struct loop_role *role, enum connection_phase phase) {
    switch (phase) {
    case PHASE_HANDSHAKE:
        return LIMIT_TLS_HANDSHAKE_MS;
    case PHASE_REQUEST:
        return role->idle_ms < LIMIT_REQUEST_MS ? role->idle_ms : LIMIT_REQUEST_MS;
    case PHASE_WRITE:
        return LIMIT_WRITE_MS;
    case PHASE_IDLE:
        return role->idle_ms;
    case PHASE_WAIT: /* its deadline */
    default:
        return INT64_MAX;
    }
}

static enum connection_end end_of(enum connection_phase phase) {
    switch (phase) {
    case PHASE_HANDSHAKE:
        return END_HANDSHAKE_TIMEOUT;
    case PHASE_REQUEST:
        return END_REQUEST_TIMEOUT;
    case PHASE_WRITE:
        return END_WRITE_TIMEOUT;
    default:
        return END_IDLE_TIMEOUT;
    }
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static void judge(struct connection *connection) {
    const struct loop *loop = connection->loop;
    const enum connection_phase phase = phase_of(connection);
    if (phase != connection->phase) {
        connection->phase = phase;
        connection->phase_awake_ms = loop->awake_ms;
        return;
    }
    /* Seen at the same thing twice, but an answer lies between: it is at it anew since then. */
    const int64_t since = later(connection->phase_awake_ms, connection->used_awake_ms);
    if (loop->awake_ms - since > patience_ms(loop->role, phase))
        connection_end(connection, end_of(phase));
}

void sweep(struct loop *loop) {
    for (h2o_linklist_t *at = loop->connections.next; at != &loop->connections; at = at->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, at);
        if (connection->is_ended)
            continue;
        connection_hold(connection, connection_input_bytes(connection));
        judge(connection);
    }
}

void sweep_strangers(struct loop *loop) {
    while (loop->n_strangers > loop->max_strangers)
        connection_end(H2O_STRUCT_FROM_MEMBER(struct connection, stranger, loop->strangers.next), END_CROWDED);
}

/* Until there is room, the oldest first. Requests that wait for a provider stay. */
static void end_larger_than(struct loop *loop, size_t n_bytes) {
    for (h2o_linklist_t *at = loop->connections.next; at != &loop->connections; at = at->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, at);
        if (loop->n_held_bytes <= loop->role->max_held_bytes)
            return;
        if (connection->n_requests == 0 && connection->n_held_bytes > n_bytes)
            connection_end(connection, END_MEMORY);
    }
}

void sweep_make_room(struct loop *loop) {
    if (loop->n_held_bytes <= loop->role->max_held_bytes)
        return;
    end_larger_than(loop, loop->role->usual_bytes);
    end_larger_than(loop, 0);
}
