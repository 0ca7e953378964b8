/*
 * The whole of a serving process below its commands: cache, audit log, fetch thread, loops, acceptor; put together, given
 * a new configuration, drained, taken apart. Used from the main thread.
 */
#pragma once

#include "base/error.h"
#include "net/runtime.h"

struct server;

/*
 * Starts to serve a snapshot. Returns 0, or a negative errno or RUNTIME_INVALID with error set: then nothing is left
 * behind.
 */
int server_start(struct snapshot *snapshot, struct server **ret_server, struct error *error);

/* Gives memory of closed connections back to the system, when it is worth it. Main thread, now and then. */
void server_give_back(struct server *server);

/*
 * Goes on with another snapshot: when this returns, the next request on each connection is decided by it, the next
 * connection handshakes by it, and no request fails. What cannot change while running (addresses, threads) is refused with
 * error set, and like every other refusal leaves all as it was.
 *
 * Returns 0, a negative errno, or RUNTIME_INVALID with error set.
 */
int server_reload(struct server *server, struct snapshot *snapshot, struct error *error);

/* A reload failed before it came to us: counted. */
void server_reload_failed(struct server *server);

/* Opens the audit log's path again. */
void server_reopen_logs(struct server *server);

/* From now on: not ready, each answer says Connection: close, idle connections are closed. */
void server_drain(struct server *server);

/* Whether the drain is over: no caller is connected any more. */
bool server_is_drained(const struct server *server);

/* Stops all threads and frees. NULL is fine. */
void server_stop(struct server *server);
