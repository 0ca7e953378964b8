/*
 * libcurl's transfers, driven by epoll. curl_multi_perform() looks at each transfer at every turn, and curl_multi_poll()
 * hands all their sockets to the kernel: with a provider that takes 20 ms that was a third of a call's cost. Here only
 * those whose socket is ready, or whose time has come, are touched.
 *
 * The fetch thread's own, but for multi_wake().
 */
#pragma once

#include <curl/curl.h>
#include <stdint.h>

#include "base/limits.h"

struct multi {
    CURLM *curl;
    int epoll, bell; /* bell: rung by multi_wake() */
    int64_t due_us;  /* when libcurl wants to be called next, clock_mono_us(); INT64_MAX: never */
    /* What epoll watches, by descriptor (enum watch). */
    uint8_t watched[LIMIT_WATCHED_DESCRIPTORS];
};

/* Returns 0, -ENOMEM, or another negative errno; then there is nothing to deinit. */
int multi_init(struct multi *multi);
/* All transfers must have been removed. Closes the connections that are kept. A zeroed one is fine. */
void multi_deinit(struct multi *multi);

/* How many idle connections are kept. */
void multi_size_pool(struct multi *multi, size_t n_connections);

/* Begins a transfer. Returns 0 or -ENOMEM. */
int multi_add(struct multi *multi, CURL *easy);
/* Ends it, finished or not. */
void multi_remove(struct multi *multi, CURL *easy);

/* Goes on with what is ready, and waits for that at most so long. 0: not at all. Returns early when rung. */
void multi_turn(struct multi *multi, int64_t wait_ms);

/* The next transfer that has ended, with its result, or NULL. It is still to be removed. */
CURL *multi_ended(struct multi *multi, CURLcode *ret_code);

/* Ends the present or the next wait. Any thread. */
void multi_wake(struct multi *multi);
