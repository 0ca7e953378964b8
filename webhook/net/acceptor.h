/*
 * The acceptor thread: waits on the listening sockets and hands each connection to the least loaded loop. One thread with
 * a blocking wait: h2o's own accept loop spins when descriptors run out, and SO_REUSEPORT leaves loops idle.
 *
 * Callers together get at most half of the descriptors that the process may have, whatever they do before their
 * certificate is seen: the other half is for calls to providers, files and logs.
 */
#pragma once

#include "base/error.h"
#include "net/loop.h"

struct acceptor;

struct acceptor_listener {
    const char *name; /* "listeners.authentication", for messages */
    const char *host, *port;
    struct loop *const *loops; /* borrowed until acceptor_stop() */
    size_t n_loops;
    uint32_t max_connections; /* of each loop */
};

/*
 * Binds, listens, and starts the thread.
 *
 * Returns 0, or a negative errno with error set ("listeners.authentication.address: 0.0.0.0:8443: ...").
 */
int acceptor_start(const struct acceptor_listener *listeners, size_t n_listeners, struct acceptor **ret_acceptor,
                   struct error *error);

/* Closes the listening sockets, joins the thread, frees. NULL is fine. */
void acceptor_stop(struct acceptor *acceptor);
