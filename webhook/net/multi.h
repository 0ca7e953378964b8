/*
 * What the fetch thread waits for, in one epoll: libcurl's transfers (which only connect, see call.h), the connections that
 * they leave behind, and a bell. Only what is ready, or whose time has come, is touched.
 *
 * The fetch thread's own, but for multi_wake().
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct multi {
    CURLM *curl;
    int epoll, bell; /* bell: rung by multi_wake() */
    int64_t due_us;  /* when libcurl wants to be called next, clock_mono_us(); INT64_MAX: never */
};

/* Returns 0, -ENOMEM, or another negative errno; then there is nothing to deinit. */
int multi_init(struct multi *multi);
/* All transfers must have been removed. A zeroed one is fine. */
void multi_deinit(struct multi *multi);

/* ---- libcurl's transfers ---- */

/* Begins a transfer. Returns 0 or -ENOMEM. */
int multi_add(struct multi *multi, CURL *easy);
/* Ends it, finished or not. One that only connected is closed. */
void multi_remove(struct multi *multi, CURL *easy);

/* The next transfer that has ended, with its result, or NULL. It is still to be removed. */
CURL *multi_ended(struct multi *multi, CURLcode *ret_code);

/* ---- a connection ---- */

/* Whoever wants to hear of a descriptor; part of what it belongs to. */
struct multi_watcher {
    void (*ready)(struct multi_watcher *watcher);
};

/*
 * From now on ready() is called, inside multi_turn(), whenever there is something new to read or room to write again: not
 * for what was there before, so read until nothing is left. A descriptor that is closed is watched no more. The watcher may
 * be freed once its descriptor is closed, in its own ready() too, but not in another's.
 *
 * Returns 0 or a negative errno.
 */
int multi_watch(struct multi *multi, int fd, struct multi_watcher *watcher);

/* ---- waiting ---- */

/* Goes on with what is ready, LIMIT_FETCH_EVENTS_A_TURN at most, and waits for that at most so long. 0: not at all. Returns
 * early when rung. Says whether anything was ready. */
bool multi_turn(struct multi *multi, int64_t wait_ms);

/* Ends the present or the next wait. Any thread. */
void multi_wake(struct multi *multi);
