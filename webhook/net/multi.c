#include "net/multi.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

/* ---- what an event belongs to: a watcher, or a descriptor of libcurl's or the bell ---- */

#define IS_DESCRIPTOR 1U /* no watcher's address is odd */

static uint64_t tag_of(int fd) {
    return (uint64_t)(unsigned)fd << 1 | IS_DESCRIPTOR;
}

static int add(struct multi *multi, int operation, int fd, uint32_t events, uint64_t tag) {
    struct epoll_event event = {.events = events, .data.u64 = tag};
    return epoll_ctl(multi->epoll, operation, fd, &event) == 0 ? 0 : -errno;
}

int multi_watch(struct multi *multi, int fd, struct multi_watcher *watcher) {
    return add(multi, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, (uint64_t)(uintptr_t)watcher);
}

/* ---- what libcurl asks of us ---- */

/* What cannot be watched for lack of memory runs into the call's time limit. */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *context, void *unused) {
    (void)easy;
    (void)unused;
    struct multi *const multi = context;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(multi->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    const uint32_t events = (what != CURL_POLL_OUT ? EPOLLIN : 0U) | (what != CURL_POLL_IN ? EPOLLOUT : 0U);
    if (add(multi, EPOLL_CTL_ADD, fd, events, tag_of(fd)) == -EEXIST)
        add(multi, EPOLL_CTL_MOD, fd, events, tag_of(fd));
    return 0;
}

static int on_timer(CURLM *curl, long in_ms, void *context) {
    (void)curl;
    struct multi *const multi = context;
    multi->due_us = in_ms < 0 ? INT64_MAX : clock_mono_us() + in_ms * 1000;
    return 0;
}

/* ---- made and freed ---- */

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
    /* Edge-triggered: it says that it was rung without being read. */
    return add(multi, EPOLL_CTL_ADD, multi->bell, EPOLLIN | EPOLLET, tag_of(multi->bell));
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

/* ---- transfers ---- */

int multi_add(struct multi *multi, CURL *easy) {
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

static void run_transfer(struct multi *multi, int fd, uint32_t events) {
    const int ready = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                      (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    int n_running;
    curl_multi_socket_action(multi->curl, fd, ready, &n_running);
}

static void run(struct multi *multi, const struct epoll_event *event) {
    if ((event->data.u64 & IS_DESCRIPTOR) == 0) {
        struct multi_watcher *const watcher = event->data.ptr;
        watcher->ready(watcher);
    } else if (event->data.u64 != tag_of(multi->bell)) {
        run_transfer(multi, (int)(event->data.u64 >> 1), event->events);
    }
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

bool multi_turn(struct multi *multi, int64_t wait_ms) {
    struct epoll_event events[LIMIT_FETCH_EVENTS_A_TURN];
    /* What was added just now begins here, and may have ended already. */
    const int wait = run_timers(multi) ? 0 : wait_of(multi, wait_ms);
    const int n = epoll_wait(multi->epoll, events, LIMIT_FETCH_EVENTS_A_TURN, wait);
    for (int i = 0; i < n; i++)
        run(multi, &events[i]);
    return n > 0;
}

void multi_wake(struct multi *multi) {
    const uint64_t one = 1;
    (void)!write(multi->bell, &one, sizeof(one));
}
