#include "net/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define MAX_LISTENERS 4
/* As long as Linux allows by default: who finds the queue full tries again a second later. */
#define BACKLOG 4096
/* A peer that vanished without a word is noticed after this long with data unacknowledged. */
#define USER_TIMEOUT_MS 30000
/* Connections taken from one socket in a row: then the others are looked at, however many more come. */
#define ACCEPTS_IN_A_ROW 64
/* Until crowded loops are looked at again: they take what they have in about that time where it is silent. */
#define CROWDED_US 200
/* Whoever refuses a thousand connections a second must not log each. */
#define REPORT_INTERVAL_MS 10000

struct acceptor {
    pthread_t thread;
    int stop_event;
    int spare; /* given up for a moment when descriptors run out, so that a connection can be taken and closed */
    rlim_t max_connections;   /* of all listeners together */
    int64_t reported_mono_ms; /* INT64_MIN: nothing yet */
    size_t n_listeners;
    struct acceptor_listener listeners[MAX_LISTENERS];
    struct pollfd sockets[MAX_LISTENERS + 1]; /* the last one is stop_event */
};

/* ---- sockets ---- */

static int open_socket(const struct addrinfo *address, int *ret_fd) {
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Each connection has these of its listening socket (tcp(7)): set here, they cost a flood of connections nothing. */
    const unsigned user_timeout_ms = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
    const int receive_bytes = LIMIT_RECEIVE_BUFFER_BYTES, send_bytes = LIMIT_SEND_BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        const int error = errno;
        close(fd);
        return -error;
    }
    *ret_fd = fd;
    return 0;
}

static int listen_on(const struct acceptor_listener *listener, int *ret_fd, struct error *error) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *address;
    const int r = getaddrinfo(listener->host, listener->port, &hints, &address);
    if (r != 0) {
        error_set(error, "%s.address: %s:%s: %s", listener->name, listener->host, listener->port, gai_strerror(r));
        return -EINVAL;
    }
    const int opened = open_socket(address, ret_fd);
    freeaddrinfo(address);
    if (opened != 0)
        error_set(error, "%s.address: %s:%s: %s", listener->name, listener->host, listener->port, strerror(-opened));
    return opened;
}

/* ---- connections ---- */

/* Of those that keep up; NULL: none does. */
static struct loop *least_loaded(const struct acceptor_listener *listener) {
    struct loop *best = NULL;
    for (size_t i = 0; i < listener->n_loops; i++) {
        struct loop *const loop = listener->loops[i];
        if (!loop_is_crowded(loop) && (best == NULL || loop_n_connections(loop) < loop_n_connections(best)))
            best = loop;
    }
    return best;
}

static void report(struct acceptor *acceptor, const char *why) {
    const int64_t now_mono_ms = clock_mono_ms(&clock_system);
    if (acceptor->reported_mono_ms != INT64_MIN && now_mono_ms - acceptor->reported_mono_ms < REPORT_INTERVAL_MS)
        return;
    acceptor->reported_mono_ms = now_mono_ms;
    log_warning("acceptor", "connections are refused: %s", why);
}

static rlim_t n_connections(const struct acceptor *acceptor) {
    rlim_t n = 0;
    for (size_t i = 0; i < acceptor->n_listeners; i++) {
        for (size_t j = 0; j < acceptor->listeners[i].n_loops; j++)
            n += loop_n_connections(acceptor->listeners[i].loops[j]);
    }
    return n;
}

/* Whether there is room for one more on this loop. */
static bool has_room(struct acceptor *acceptor, const struct acceptor_listener *listener, const struct loop *loop) {
    if (loop_n_connections(loop) >= listener->max_connections) {
        report(acceptor, "a listener has as many as it takes; see to it that only those who must can reach it");
        return false;
    }
    if (n_connections(acceptor) < acceptor->max_connections)
        return true;
    report(acceptor, "they have half of the open files that this process may have; raise that limit (ulimit -n)");
    return false;
}

static void hand_over(struct acceptor *acceptor, const struct acceptor_listener *listener, struct loop *loop, int fd) {
    if (!has_room(acceptor, listener, loop) || loop_take_socket(loop, fd) != 0)
        close(fd);
}

static void pause_us(long us) {
    const struct timespec pause = {.tv_nsec = us * 1000};
    nanosleep(&pause, NULL);
}

/* No descriptor is left: takes one connection on the spare one and closes it, or it would wake us for ever. */
static void refuse_one(struct acceptor *acceptor, int socket) {
    close(acceptor->spare);
    const int fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    acceptor->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pause_us(10000);
}

static void accept_all(struct acceptor *acceptor, size_t listener) {
    const int socket = acceptor->sockets[listener].fd;
    for (size_t i = 0; i < ACCEPTS_IN_A_ROW; i++) {
        struct loop *const loop = least_loaded(&acceptor->listeners[listener]);
        if (loop == NULL) {
            pause_us(CROWDED_US); /* poll() goes on to say that somebody waits */
            return;
        }
        const int fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            hand_over(acceptor, &acceptor->listeners[listener], loop, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            report(acceptor, "there is no memory or descriptor for them; raise the limit of open files (ulimit -n)");
            refuse_one(acceptor, socket);
            return;
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return; /* EAGAIN: no more */
    }
}

static void *run(void *argument) {
    struct acceptor *acceptor = argument;
    pthread_setname_np(pthread_self(), "acceptor");
    for (;;) {
        if (poll(acceptor->sockets, (nfds_t)acceptor->n_listeners + 1, -1) < 0)
            continue;
        if (acceptor->sockets[acceptor->n_listeners].revents != 0)
            return NULL;
        for (size_t i = 0; i < acceptor->n_listeners; i++) {
            if (acceptor->sockets[i].revents != 0)
                accept_all(acceptor, i);
        }
    }
}

/* ---- start and stop ---- */

static void acceptor_free(struct acceptor *acceptor) {
    for (size_t i = 0; i < acceptor->n_listeners; i++)
        close(acceptor->sockets[i].fd);
    if (acceptor->stop_event >= 0)
        close(acceptor->stop_event);
    if (acceptor->spare >= 0)
        close(acceptor->spare);
    free(acceptor);
}

static int open_all(struct acceptor *acceptor, const struct acceptor_listener *listeners, size_t n_listeners,
                    struct error *error) {
    acceptor->stop_event = eventfd(0, EFD_CLOEXEC);
    acceptor->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (acceptor->stop_event < 0 || acceptor->spare < 0) {
        error_set(error, "listeners: %s", strerror(errno));
        return -errno;
    }
    for (; acceptor->n_listeners < n_listeners; acceptor->n_listeners++) {
        const size_t i = acceptor->n_listeners;
        acceptor->listeners[i] = listeners[i];
        acceptor->sockets[i].events = POLLIN;
        const int r = listen_on(&listeners[i], &acceptor->sockets[i].fd, error);
        if (r != 0)
            return r;
    }
    acceptor->sockets[n_listeners] = (struct pollfd){.fd = acceptor->stop_event, .events = POLLIN};
    return 0;
}

int acceptor_start(const struct acceptor_listener *listeners, size_t n_listeners, struct acceptor **ret_acceptor,
                   struct error *error) {
    if (n_listeners > MAX_LISTENERS)
        return -EINVAL;
    struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
    if (acceptor == NULL)
        return -ENOMEM;
    acceptor->stop_event = acceptor->spare = -1;
    acceptor->reported_mono_ms = INT64_MIN;
    struct rlimit files;
    acceptor->max_connections = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur / 2 : RLIM_INFINITY;
    int r = open_all(acceptor, listeners, n_listeners, error);
    if (r == 0)
        r = -pthread_create(&acceptor->thread, NULL, run, acceptor);
    if (r != 0) {
        acceptor_free(acceptor);
        return r;
    }
    *ret_acceptor = acceptor;
    return 0;
}

void acceptor_stop(struct acceptor *acceptor) {
    if (acceptor == NULL)
        return;
    const uint64_t one = 1;
    while (write(acceptor->stop_event, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(acceptor->thread, NULL);
    acceptor_free(acceptor);
}
