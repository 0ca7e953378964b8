/*
 * A loop thread: one h2o context, its connections and its requests. Everything of h2o's lives and dies on the thread of
 * its loop; others only send messages.
 */
#pragma once

#include <h2o.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/fetch.h"
#include "net/runtime.h"
#include "ops/audit.h"
#include "wire/scan.h"

struct loop;

/* The questions of /livez and /readyz, answered by whoever knows the whole process. Each appends a line for each check. */
struct health {
    bool (*is_live)(void *context, struct buffer *lines);
    bool (*is_ready)(void *context, struct buffer *lines);
    void *context;
};

/* What the loops of a process share. Borrowed by each loop for its life. */
struct services {
    struct cache *cache;
    struct fetch *fetch;
    struct audit *audit;
    struct metrics *metrics;
    const struct clock *clock;
    const uint8_t *key_secret; /* DIGEST_BYTES: what keys of facts are made with */
    struct health health;
};

/* What kind of loop it is: whom it answers, and how. Static. */
struct loop_role {
    const char *name; /* of the thread */
    size_t max_entity_bytes;
    int64_t idle_ms;
    uint32_t max_strangers;
    size_t max_held_bytes, usual_bytes; /* see LIMIT_HELD_BYTES_PER_LOOP, LIMIT_USUAL_BYTES */
    bool knows_handles; /* gives them out, or reads them */
    bool reads_objects; /* of the cluster: large ones */
    /* Makes the handler of the loop's path. Loop's thread, before h2o's context is made. */
    void (*register_handler)(struct loop *loop, h2o_pathconf_t *path);
    SSL_CTX *(*tls_of)(const struct runtime *runtime); /* NULL: plain HTTP */
};

/* A message to a loop; handle runs on its thread and owns the message. */
struct loop_message {
    h2o_multithread_message_t link;
    void (*handle)(struct loop *loop, struct loop_message *message);
};

/* A place where a request that waits can be found again, or found gone. */
struct loop_slot {
    void *parked; /* NULL: free */
    size_t n_bytes;
    uint32_t generation;
    uint32_t next_free;
};

struct loop {
    const struct loop_role *role;
    const struct services *services;
    pthread_t thread;
    struct runtime *first_runtime; /* borrowed during the start */
    int started;                   /* errno of the start, once it is known: guarded by said_lock */
    bool has_said;                 /* what the main thread waits to hear: that it has started, or that it asks nobody */
    const struct runtime *used;    /* what it says it uses, only to be compared: guarded by said_lock */
    pthread_mutex_t said_lock;
    pthread_cond_t said; /* of the monotonic clock */

    /* any thread */
    _Atomic uint32_t n_connections; /* those that arrive among them */
    _Atomic uint32_t n_arriving;    /* handed over, and not looked at yet */
    _Atomic uint32_t n_closed;      /* since the start */
    _Atomic int64_t turned_mono_ms;
    _Atomic bool is_draining;
    h2o_multithread_receiver_t inbox;

    /* the loop's thread only */
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_linklist_t connections, strangers; /* struct connection; strangers are among the connections */
    h2o_linklist_t arrivals;               /* sockets that wait for their turn to become connections */
    uint32_t n_strangers, max_strangers;
    size_t n_held_bytes, n_parked_bytes;       /* by all connections; by those that wait */
    int64_t awake_ms;                          /* how long the loop has turned: time stands still while it cannot */
    int64_t resumed_mono_ms;                   /* when it last turned after it could not for a while */
    int64_t swept_awake_ms, reported_awake_ms; /* INT64_MIN: nothing was reported yet */
    struct runtime *runtime;                   /* the current one, counted */
    struct digest *digest;
    struct handle_keys *handle_keys; /* of the current runtime; NULL: no handle is configured, or of no use here */
    struct buffer scratch;           /* an answer under construction */
    struct scan_room *room;          /* for reading a large body; NULL unless the role reads objects */
    struct loop_slot *slots;
    uint32_t n_slots, first_free;
    uint64_t request_ids;
    bool asks_nobody, is_stopping;
    int64_t drain_awake_ms; /* since when it drains */
};

/*
 * Starts the thread, with h2o's loop and context made on it.
 *
 * runtime  the first one; a reference is taken
 *
 * Returns 0, or a negative errno. The caller owns *ret_loop: loop_stop() it.
 */
int loop_start(const struct loop_role *role, const struct services *services, struct runtime *runtime,
               struct loop **ret_loop);

/* Ends all connections, joins the thread, frees. NULL is fine. Not from the loop's own thread. */
void loop_stop(struct loop *loop);

/* Sends a message. Any thread. */
void loop_send(struct loop *loop, struct loop_message *message);

/* Gives the loop a connected socket, which it then owns. Returns 0 or -ENOMEM (the socket is still the caller's). */
int loop_take_socket(struct loop *loop, int fd);

/* This runtime is to be used, soon: loop_wait_used() knows when. Returns 0, -ENOMEM, or -EIO (OpenSSL refused the handle
 * keys). */
int loop_use_runtime(struct loop *loop, struct runtime *runtime);

/* Waits until every request that comes from now on finds the runtime that was sent last. A loop that is stuck is waited for
 * until a time of the monotonic clock at most. The thread that sent it. */
void loop_wait_used(struct loop *loop, const struct runtime *runtime, int64_t deadline_mono_ms);

/* From now on each review's answer says Connection: close; a turn later idle connections are closed too. Any thread. */
void loop_drain(struct loop *loop);

/*
 * From now on the loop asks no provider: what it would have to ask about is answered with REASON_STOPPING. Returns when
 * that is so, and then the fetch thread can go.
 */
void loop_stop_asking(struct loop *loop);

/*
 * Parks a request, which holds so many bytes meanwhile. ret_slot, ret_generation name it. Returns 0, -ENOMEM, or -ENOSPC at
 * LIMIT_PARKED_PER_LOOP and where all that wait would hold more than LIMIT_PARKED_PERCENT. Loop's thread.
 */
int loop_park(struct loop *loop, void *request, size_t n_bytes, uint32_t *ret_slot, uint32_t *ret_generation);

/* The parked request, or NULL: it has gone. Loop's thread. */
void *loop_parked(struct loop *loop, uint32_t slot, uint32_t generation);

/* Forgets it: the slot is free. Loop's thread. */
void loop_unpark(struct loop *loop, uint32_t slot);

/* When the loop went on after the process, or the machine, was stopped: now, where this is the turn after it; 0: it never was.
 * Loop's thread. */
int64_t loop_resumed_mono_ms(const struct loop *loop);

static inline uint32_t loop_n_connections(const struct loop *loop) {
    return atomic_load_explicit(&loop->n_connections, memory_order_relaxed);
}

/* Milliseconds since the loop last turned. Any thread. */
static inline int64_t loop_idle_ms(const struct loop *loop, int64_t now_mono_ms) {
    return now_mono_ms - atomic_load_explicit(&loop->turned_mono_ms, memory_order_relaxed);
}

/* Connections that have closed since the start, around 2^32. Any thread. */
static inline uint32_t loop_n_closed(const struct loop *loop) {
    return atomic_load_explicit(&loop->n_closed, memory_order_relaxed);
}

/* Whether it has more connections to look at than it can before its next turn: they wait better in the kernel's queue. */
static inline bool loop_is_crowded(const struct loop *loop) {
    return atomic_load_explicit(&loop->n_arriving, memory_order_relaxed) >= LIMIT_ARRIVALS;
}
