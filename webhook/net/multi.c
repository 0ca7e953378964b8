#include "net/multi.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/*
 * libcurl takes its socket off the list at the end of each transfer and puts it on again at the start of the next. Two
 * system calls a call would be spent on that, so a socket of ours stays in epoll meanwhile: whatever it has to say then
 * (the provider closed it) takes it out.
 */
enum watch {
    WATCH_READ = 1,
    WATCH_WRITE = 2,
    WATCH_OURS = 4, /* opened and closed by the functions below, so its number is not another socket's unnoticed */
    WATCH_IDLE = 8  /* in epoll, but libcurl does not wait for it */
};
#define WATCH_BOTH (WATCH_READ | WATCH_WRITE)

/* ---- what libcurl asks of us ---- */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose;
    struct multi *const multi = context;
    const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0 && fd < LIMIT_WATCHED_DESCRIPTORS)
        multi->watched[fd] = WATCH_OURS;
    return fd;
}

static int close_socket(void *context, curl_socket_t fd) {
    struct multi *const multi = context;
    if (fd < LIMIT_WATCHED_DESCRIPTORS)
        multi->watched[fd] = 0;
    return close(fd); /* which takes it out of epoll */
}

static void control(struct multi *multi, int fd, int operation, unsigned watch) {
    struct epoll_event event = {.events = (watch & WATCH_READ ? EPOLLIN : 0U) | (watch & WATCH_WRITE ? EPOLLOUT : 0U),
                                .data.fd = fd};
    /* Whoever is not watched for lack of memory runs into the call's time limit. */
    (void)epoll_ctl(multi->epoll, operation, fd, &event);
}

/* A socket that is not ours, like the resolver's: it is forgotten as soon as libcurl does. */
static void watch_other(struct multi *multi, int fd, unsigned watch) {
    if (watch == 0) {
        control(multi, fd, EPOLL_CTL_DEL, 0);
        return;
    }
    control(multi, fd, EPOLL_CTL_ADD, watch); /* fails where it is there */
    control(multi, fd, EPOLL_CTL_MOD, watch);
}

static void watch_ours(struct multi *multi, int fd, unsigned watch) {
    uint8_t *const watched = &multi->watched[fd];
    const unsigned before = *watched & WATCH_BOTH;
    if (watch == 0) {
        *watched |= WATCH_IDLE;
        return;
    }
    if (before != watch)
        control(multi, fd, before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, watch);
    *watched = (uint8_t)(WATCH_OURS | watch);
}

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *context, void *unused) {
    (void)easy;
    (void)unused;
    struct multi *const multi = context;
    const unsigned watch = what == CURL_POLL_REMOVE ? 0U
                           : what == CURL_POLL_IN   ? WATCH_READ
                           : what == CURL_POLL_OUT  ? WATCH_WRITE
                                                    : WATCH_BOTH;
    if (fd < LIMIT_WATCHED_DESCRIPTORS && (multi->watched[fd] & WATCH_OURS) != 0)
        watch_ours(multi, fd, watch);
    else
        watch_other(multi, fd, watch);
    return 0;
}

static int on_timer(CURLM *curl, long in_ms, void *context) {
    (void)curl;
    struct multi *const multi = context;
    multi->due_us = in_ms < 0 ? INT64_MAX : clock_mono_us() + in_ms * 1000;
    return 0;
}

/* ---- made and freed ---- */

static int watch_bell(struct multi *multi) {
    /* Edge-triggered: it says that it was rung without being read. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = multi->bell};
    return epoll_ctl(multi->epoll, EPOLL_CTL_ADD, multi->bell, &event) == 0 ? 0 : -errno;
}

static int set_up(struct multi *multi) {
    multi->curl = curl_multi_init();
    if (multi->curl == NULL)
        return -ENOMEM;
    if (curl_multi_setopt(multi->curl, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) != CURLM_OK ||
        curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, on_watch) != CURLM_OK ||
        curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi) != CURLM_OK ||
        curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
        curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi) != CURLM_OK)
        return -ENOMEM;
    return watch_bell(multi);
}

int multi_init(struct multi *multi) {
    memset(multi, 0, sizeof(*multi));
    multi->due_us = INT64_MAX;
    multi->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (multi->epoll < 0)
        return -errno;
    multi->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = multi->bell < 0 ? -errno : set_up(multi);
    if (r != 0)
        multi_deinit(multi);
    return r;
}

void multi_deinit(struct multi *multi) {
    if (multi->curl != NULL)
        curl_multi_cleanup(multi->curl);
    if (multi->bell > 0)
        close(multi->bell);
    if (multi->epoll > 0)
        close(multi->epoll);
    memset(multi, 0, sizeof(*multi));
}

void multi_size_pool(struct multi *multi, size_t n_connections) {
    curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, (long)n_connections);
}

/* ---- transfers ---- */

int multi_add(struct multi *multi, CURL *easy) {
    if (curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, multi) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, multi) != CURLE_OK)
        return -ENOMEM;
    return curl_multi_add_handle(multi->curl, easy) == CURLM_OK ? 0 : -ENOMEM;
}

void multi_remove(struct multi *multi, CURL *easy) {
    curl_multi_remove_handle(multi->curl, easy);
}

CURL *multi_ended(struct multi *multi, CURLcode *ret_code) {
    const CURLMsg *message;
    int n_queued;
    while ((message = curl_multi_info_read(multi->curl, &n_queued)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        *ret_code = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}

/* ---- a turn ---- */

/* Returns whether any was due. */
static bool run_timers(struct multi *multi) {
    if (multi->due_us > clock_mono_us())
        return false;
    multi->due_us = INT64_MAX;
    int n_running;
    curl_multi_socket_action(multi->curl, CURL_SOCKET_TIMEOUT, 0, &n_running);
    return true;
}

static void run_socket(struct multi *multi, int fd, unsigned events) {
    const unsigned watch = fd < LIMIT_WATCHED_DESCRIPTORS ? multi->watched[fd] : 0U;
    if ((watch & WATCH_IDLE) != 0) { /* libcurl finds out what there was when it wants to use the connection again */
        control(multi, fd, EPOLL_CTL_DEL, 0);
        multi->watched[fd] = WATCH_OURS;
        return;
    }
    const int ready = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                      (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    int n_running;
    curl_multi_socket_action(multi->curl, fd, ready, &n_running);
}

/* Rounded up: an early call would come in vain. */
static int wait_of(const struct multi *multi, int64_t wait_ms) {
    if (multi->due_us == INT64_MAX)
        return (int)wait_ms;
    const int64_t left_us = multi->due_us - clock_mono_us();
    if (left_us <= 0)
        return 0;
    const int64_t left_ms = (left_us + 999) / 1000;
    return (int)(left_ms < wait_ms ? left_ms : wait_ms);
}

void multi_turn(struct multi *multi, int64_t wait_ms) {
    struct epoll_event events[64];
    /* What was added just now begins here, and may have ended already: its reply can be there before the wait would begin.
     */
    const int wait = run_timers(multi) ? 0 : wait_of(multi, wait_ms);
    const int n = epoll_wait(multi->epoll, events, sizeof(events) / sizeof(events[0]), wait);
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd != multi->bell)
            run_socket(multi, events[i].data.fd, events[i].events);
    }
}

void multi_wake(struct multi *multi) {
    const uint64_t one = 1;
    (void)!write(multi->bell, &one, sizeof(one));
}
