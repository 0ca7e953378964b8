#include "net/loop.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "net/connection.h"
#include "net/sweep.h"

#define SLOT_NONE UINT32_MAX
/* How long the loop sleeps at most, so that /livez can tell a sleeping loop from one that hangs. */
#define TURN_MS 250
#define LONG_TURN_MS (2 * TURN_MS)
/* A drained connection is closed when it was idle for this long: a request that is on its way then has arrived. */
#define DRAIN_IDLE_MS 2000

/* ---- requests that wait ---- */

static int grow_slots(struct loop *loop) {
    const uint32_t n = loop->n_slots == 0 ? 256 : loop->n_slots * 2;
    if (n > LIMIT_PARKED_PER_LOOP)
        return -ENOSPC;
    struct loop_slot *slots = realloc(loop->slots, n * sizeof(*slots));
    if (slots == NULL)
        return -ENOMEM;
    for (uint32_t i = loop->n_slots; i < n; i++)
        slots[i] = (struct loop_slot){.next_free = i + 1 < n ? i + 1 : SLOT_NONE};
    loop->first_free = loop->n_slots;
    loop->slots = slots;
    loop->n_slots = n;
    return 0;
}

int loop_park(struct loop *loop, void *request, size_t n_bytes, uint32_t *ret_slot, uint32_t *ret_generation) {
    if (loop->n_parked_bytes + n_bytes > loop->role->max_held_bytes / 100 * LIMIT_PARKED_PERCENT)
        return -ENOSPC;
    if (loop->first_free == SLOT_NONE) {
        const int r = grow_slots(loop);
        if (r != 0)
            return r;
    }
    const uint32_t at = loop->first_free;
    struct loop_slot *slot = &loop->slots[at];
    loop->first_free = slot->next_free;
    slot->parked = request;
    slot->n_bytes = n_bytes;
    loop->n_parked_bytes += n_bytes;
    *ret_slot = at;
    *ret_generation = slot->generation;
    return 0;
}

void *loop_parked(struct loop *loop, uint32_t slot, uint32_t generation) {
    return loop->slots[slot].generation == generation ? loop->slots[slot].parked : NULL;
}

void loop_unpark(struct loop *loop, uint32_t slot) {
    loop->n_parked_bytes -= loop->slots[slot].n_bytes;
    loop->slots[slot].parked = NULL;
    loop->slots[slot].generation++;
    loop->slots[slot].next_free = loop->first_free;
    loop->first_free = slot;
}

/* ---- messages ---- */

static void on_messages(h2o_multithread_receiver_t *inbox, h2o_linklist_t *messages) {
    struct loop *loop = H2O_STRUCT_FROM_MEMBER(struct loop, inbox, inbox);
    while (!h2o_linklist_is_empty(messages)) {
        struct loop_message *message = H2O_STRUCT_FROM_MEMBER(struct loop_message, link.link, messages->next);
        h2o_linklist_unlink(&message->link.link);
        message->handle(loop, message);
    }
}

void loop_send(struct loop *loop, struct loop_message *message) {
    message->link = (h2o_multithread_message_t){{NULL}};
    h2o_multithread_send_message(&loop->inbox, &message->link);
}

/* A connection that comes. */
struct socket_message {
    struct loop_message message;
    int fd;
};

static void handle_socket(struct loop *loop, struct loop_message *message) {
    h2o_linklist_insert(&loop->arrivals, &message->link.link); /* until take_arrivals() */
}

static int next_arrival(struct loop *loop) {
    struct socket_message *message = H2O_STRUCT_FROM_MEMBER(struct socket_message, message.link.link, loop->arrivals.next);
    const int fd = message->fd;
    h2o_linklist_unlink(&message->message.link.link);
    free(message);
    atomic_fetch_sub_explicit(&loop->n_arriving, 1, memory_order_relaxed);
    return fd;
}

/* A few of them: what they ask for first is a handshake, and whoever is served already must not wait for all of those. */
static void take_arrivals(struct loop *loop) {
    for (size_t i = 0; i < LIMIT_ARRIVALS_PER_TURN && !h2o_linklist_is_empty(&loop->arrivals); i++)
        connection_accept(loop, next_arrival(loop));
}

static void close_arrivals(struct loop *loop) {
    while (!h2o_linklist_is_empty(&loop->arrivals))
        connection_refuse(loop, next_arrival(loop));
}

int loop_take_socket(struct loop *loop, int fd) {
    struct socket_message *message = calloc(1, sizeof(*message));
    if (message == NULL)
        return -ENOMEM;
    message->message.handle = handle_socket;
    message->fd = fd;
    /* Counted here, not on arrival: the acceptor chooses the least loaded loop by this number. */
    atomic_fetch_add_explicit(&loop->n_connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->n_arriving, 1, memory_order_relaxed);
    loop_send(loop, &message->message);
    return 0;
}

/* Takes reference and keys over. New connections handshake by its TLS context, requests are decided by its policy. */
static void use_runtime(struct loop *loop, struct runtime *runtime, struct handle_keys *handle_keys) {
    runtime_unref(loop->runtime);
    handle_keys_free(loop->handle_keys);
    loop->runtime = runtime;
    loop->handle_keys = handle_keys;
    loop->accept.ssl_ctx = loop->role->tls_of(runtime);
}

static int make_handle_keys(const struct loop_role *role, const struct runtime *runtime, struct handle_keys **ret_keys) {
    if (role->knows_handles)
        return runtime_handle_keys(runtime, ret_keys);
    *ret_keys = NULL;
    return 0;
}

struct runtime_message {
    struct loop_message message;
    struct runtime *runtime;
    struct handle_keys *handle_keys; /* made before it is sent: a reload that lacks memory fails before it has begun */
};

static void handle_runtime(struct loop *loop, struct loop_message *message) {
    const struct runtime_message *of_runtime = (const struct runtime_message *)message;
    use_runtime(loop, of_runtime->runtime, of_runtime->handle_keys);
    free(message);
    pthread_mutex_lock(&loop->said_lock);
    loop->used = loop->runtime;
    pthread_cond_signal(&loop->said);
    pthread_mutex_unlock(&loop->said_lock);
}

int loop_use_runtime(struct loop *loop, struct runtime *runtime) {
    struct runtime_message *message = calloc(1, sizeof(*message));
    if (message == NULL)
        return -ENOMEM;
    const int r = make_handle_keys(loop->role, runtime, &message->handle_keys);
    if (r != 0) {
        free(message);
        return r;
    }
    message->message.handle = handle_runtime;
    message->runtime = runtime_ref(runtime);
    loop_send(loop, &message->message);
    return 0;
}

void loop_wait_used(struct loop *loop, const struct runtime *runtime, int64_t deadline_mono_ms) {
    const struct timespec deadline = {.tv_sec = deadline_mono_ms / 1000, .tv_nsec = deadline_mono_ms % 1000 * 1000000};
    pthread_mutex_lock(&loop->said_lock);
    while (loop->used != runtime && pthread_cond_timedwait(&loop->said, &loop->said_lock, &deadline) == 0)
        continue;
    pthread_mutex_unlock(&loop->said_lock);
}

void loop_drain(struct loop *loop) {
    loop->is_draining = true;
}

int64_t loop_resumed_mono_ms(const struct loop *loop) {
    const int64_t now = clock_mono_ms(loop->services->clock);
    return loop_idle_ms(loop, now) >= LONG_TURN_MS ? now : loop->resumed_mono_ms;
}

/* The main thread hears it. */
static void say(struct loop *loop, int error) {
    pthread_mutex_lock(&loop->said_lock);
    loop->started = error;
    loop->has_said = true;
    pthread_cond_signal(&loop->said);
    pthread_mutex_unlock(&loop->said_lock);
}

/* Returns what was said. */
static int wait_for_word(struct loop *loop) {
    pthread_mutex_lock(&loop->said_lock);
    while (!loop->has_said)
        pthread_cond_wait(&loop->said, &loop->said_lock);
    loop->has_said = false;
    const int error = loop->started;
    pthread_mutex_unlock(&loop->said_lock);
    return error;
}

static void handle_stop_asking(struct loop *loop, struct loop_message *message) {
    (void)message; /* the waiting thread's own */
    loop->asks_nobody = true;
    say(loop, 0);
}

void loop_stop_asking(struct loop *loop) {
    struct loop_message message = {.handle = handle_stop_asking};
    loop_send(loop, &message);
    wait_for_word(loop);
}

static void handle_stop(struct loop *loop, struct loop_message *message) {
    (void)message; /* the stopping thread's own */
    loop->is_stopping = true;
}

/* ---- the thread ---- */

static void set_up_h2o(struct loop *loop) {
    h2o_config_init(&loop->config);
    loop->config.server_name = h2o_iovec_init(H2O_STRLIT("kube-introspect"));
    loop->config.max_request_entity_size = loop->role->max_entity_bytes;
    loop->config.handshake_timeout = LIMIT_H2O_TIMER_MS; /* see net/sweep.h */
    loop->config.http1.req_timeout = LIMIT_H2O_TIMER_MS;
    loop->config.http1.upgrade_to_http2 = 0; /* HTTP/1.1 only: h2o 2.2's HTTP/2 can be aborted from outside */
    h2o_hostconf_t *host = h2o_config_register_host(&loop->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    loop->role->register_handler(loop, path);
    h2o_context_init(&loop->context, h2o_evloop_create(), &loop->config);
    h2o_multithread_register_receiver(loop->context.queue, &loop->inbox, on_messages);
    loop->accept.ctx = &loop->context;
    loop->accept.hosts = loop->config.hosts;
}

/* A turn that took longer than the loop sleeps at most is a process that was stopped, or a machine that was. */
static void pass_time(struct loop *loop) {
    const int64_t now = clock_mono_ms(loop->services->clock);
    const int64_t passed = loop_idle_ms(loop, now);
    if (passed >= LONG_TURN_MS)
        loop->resumed_mono_ms = now;
    loop->awake_ms += passed < LONG_TURN_MS ? passed : LONG_TURN_MS;
    atomic_store_explicit(&loop->turned_mono_ms, now, memory_order_relaxed);
}

static void drain(struct loop *loop) {
    if (!loop->context.shutdown_requested) {
        /* Not h2o_context_request_shutdown(): that also starts HTTP/2's timers, which would outlive the context. */
        loop->context.shutdown_requested = 1;
        loop->drain_awake_ms = loop->awake_ms;
    } else if (loop->awake_ms - loop->drain_awake_ms > DRAIN_IDLE_MS) {
        connection_close_idle(loop, loop->awake_ms - DRAIN_IDLE_MS);
    }
}

static void turn(struct loop *loop) {
    h2o_evloop_run(loop->context.loop, h2o_linklist_is_empty(&loop->arrivals) ? TURN_MS : 0);
    take_arrivals(loop);
    pass_time(loop);
    sweep_strangers(loop);
    sweep_make_room(loop);
    if (loop->awake_ms - loop->swept_awake_ms >= LIMIT_SWEEP_INTERVAL_MS) {
        loop->swept_awake_ms = loop->awake_ms;
        sweep(loop);
    }
    if (loop->is_draining)
        drain(loop);
}

/* Takes h2o apart, on the thread that made it. With a connection left it is not touched: 2.2 would abort. */
static void take_down_h2o(struct loop *loop) {
    if (!h2o_linklist_is_empty(&loop->connections))
        return;
    h2o_multithread_unregister_receiver(loop->context.queue, &loop->inbox);
    h2o_evloop_t *evloop = loop->context.loop;
    h2o_context_dispose(&loop->context);
    h2o_config_dispose(&loop->config);
    h2o_evloop_destroy(evloop);
}

/* Ends every connection, with a request under way or not, and turns until h2o has let go of them. */
static void close_all(struct loop *loop) {
    close_arrivals(loop);
    for (h2o_linklist_t *at = loop->connections.next; at != &loop->connections; at = at->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, at);
        shutdown(h2o_socket_get_fd(connection->socket), SHUT_RDWR);
    }
    for (int turns = 0; turns < 40 && !h2o_linklist_is_empty(&loop->connections); turns++)
        h2o_evloop_run(loop->context.loop, 10);
}

static int set_up(struct loop *loop) {
    struct handle_keys *handle_keys;
    int r = digest_new(loop->services->key_secret, &loop->digest);
    if (r == 0 && loop->role->reads_objects) {
        loop->room = malloc(sizeof(*loop->room));
        r = loop->room == NULL ? -ENOMEM : 0;
    }
    if (r == 0)
        r = make_handle_keys(loop->role, loop->first_runtime, &handle_keys);
    if (r != 0)
        return r;
    /* Numbers of different loops and processes should not meet; where there is no randomness they merely start at 0. */
    if (getrandom(&loop->request_ids, sizeof(loop->request_ids), 0) < 0)
        loop->request_ids = 0;
    set_up_h2o(loop);
    use_runtime(loop, runtime_ref(loop->first_runtime), handle_keys);
    return 0;
}

static void *run(void *argument) {
    struct loop *loop = argument;
    pthread_setname_np(pthread_self(), loop->role->name);
    const int r = set_up(loop);
    if (r != 0) {
        say(loop, r);
        return NULL;
    }
    atomic_store(&loop->turned_mono_ms, clock_mono_ms(loop->services->clock));
    say(loop, 0);
    while (!loop->is_stopping)
        turn(loop);
    close_all(loop);
    /* h2o writes to its pipe after the message can be seen: whoever sent the last one must have done so before it is
     * closed. */
    pthread_mutex_lock(&loop->said_lock);
    pthread_mutex_unlock(&loop->said_lock);
    take_down_h2o(loop);
    return NULL;
}

static int start_thread(struct loop *loop) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, LIMIT_THREAD_STACK_BYTES);
    const int r = pthread_create(&loop->thread, &attributes, run, loop);
    pthread_attr_destroy(&attributes);
    if (r != 0)
        return -r;
    const int error = wait_for_word(loop);
    if (error != 0)
        pthread_join(loop->thread, NULL);
    return error;
}

static void loop_free(struct loop *loop) {
    digest_free(loop->digest);
    handle_keys_free(loop->handle_keys);
    buffer_deinit(&loop->scratch);
    free(loop->room);
    runtime_unref(loop->runtime);
    free(loop->slots);
    free(loop);
}

static uint32_t max_strangers(const struct loop_role *role) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur / LIMIT_STRANGERS_SHARE >= role->max_strangers)
        return role->max_strangers;
    return files.rlim_cur < LIMIT_STRANGERS_SHARE ? 1 : (uint32_t)(files.rlim_cur / LIMIT_STRANGERS_SHARE);
}

static void init_said(struct loop *loop) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&loop->said_lock, NULL);
    pthread_cond_init(&loop->said, &attributes);
    pthread_condattr_destroy(&attributes);
}

int loop_start(const struct loop_role *role, const struct services *services, struct runtime *runtime,
               struct loop **ret_loop) {
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return -ENOMEM;
    loop->role = role;
    loop->services = services;
    loop->first_runtime = runtime;
    loop->first_free = SLOT_NONE;
    init_said(loop);
    h2o_linklist_init_anchor(&loop->connections);
    h2o_linklist_init_anchor(&loop->strangers);
    h2o_linklist_init_anchor(&loop->arrivals);
    loop->max_strangers = max_strangers(role);
    loop->reported_awake_ms = INT64_MIN;
    buffer_init(&loop->scratch, LIMIT_METRICS_BYTES);
    const int r = start_thread(loop);
    if (r != 0) {
        loop_free(loop);
        return r;
    }
    *ret_loop = loop;
    return 0;
}

void loop_stop(struct loop *loop) {
    if (loop == NULL)
        return;
    struct loop_message stop = {.handle = handle_stop};
    pthread_mutex_lock(&loop->said_lock);
    loop_send(loop, &stop);
    pthread_mutex_unlock(&loop->said_lock);
    pthread_join(loop->thread, NULL);
    loop_free(loop);
}
