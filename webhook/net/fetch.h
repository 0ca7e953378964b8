/*
 * The fetch thread: all outbound calls, over libcurl's multi interface and a pool of kept-alive HTTP/1.1 connections. One
 * flight a token: whoever asks while a call for the same key is under way waits for that call's answer.
 *
 * It knows nothing of h2o: an answer is delivered by a callback of the ticket's, on the fetch thread, which passes it on.
 */
#pragma once

#include "core/budget.h"
#include "core/cache.h"
#include "core/reason.h"
#include "net/provider.h"

struct fetch;

/*
 * One caller that waits. Made by the caller on the heap, and the fetch thread's from a successful fetch_ask() until
 * deliver() gets it back, exactly once, whatever happens. So an answer never needs memory to arrive.
 */
struct ticket {
    struct ticket *next; /* the fetch thread's lists */
    int64_t deadline_mono_ms;
    int64_t
        looked_mono_ms;    /* when the caller found nothing in the cache; 0: now. A call that ended since then answers it */
    enum budget_kind kind; /* whom it is about */
    void (*deliver)(struct ticket *ticket); /* on the fetch thread; must not block */

    /* the answer */
    enum reason reason;  /* REASON_OK: fact is set. Otherwise why there is none (always of verdict UNAVAILABLE). */
    struct fact *fact;   /* counted, the receiver's */
    int64_t provider_us; /* how long the call took; -1: none was made */
};

/* Starts the thread. Returns 0, -ENOMEM, or another negative errno. cache and metrics must outlive it. */
int fetch_start(struct cache *cache, struct metrics *metrics, const struct clock *clock, struct fetch **ret_fetch);

/* Ends all flights (their tickets are delivered with REASON_STOPPING), stops the thread, frees. NULL is fine. */
void fetch_stop(struct fetch *fetch);

/*
 * The providers to keep discovered from now on: each whose endpoint comes from discovery is fetched now and again when it
 * ages or fails. Flights under way keep their own. References are taken. Returns 0 or -ENOMEM. Any thread.
 */
int fetch_configure(struct fetch *fetch, struct provider *const *providers, size_t n_providers);

/*
 * Asks what the provider says of a token. Joins a flight for the same key (or gets its answer, if that came while this was
 * on its way to the thread), or starts one, or waits for a free place among the provider's concurrent calls. A call takes
 * at most the provider's timeout, and never longer than the latest deadline of those who wait for it; a ticket is delivered
 * no later than its own deadline (give or take 50 ms), with REASON_DEADLINE_EXCEEDED where the flight goes on without it.
 *
 * The fact of a successful call is in the cache before the first ticket is delivered.
 *
 * Gives up the core for a moment (sched_yield) where so many questions for a provider that is not quick lie untaken that
 * the fetch thread seems to wait for it: LIMIT_FETCH_INBOX_UNTAKEN.
 *
 * token   copied; wiped when the flight ends
 * ticket  the fetch thread's after success
 *
 * Returns 0; -ENOMEM, or FETCH_STOPPING: then the ticket is still the caller's. Any thread.
 */
enum { FETCH_STOPPING = 1 };
int fetch_ask(struct fetch *fetch, struct provider *provider, const uint8_t key[DIGEST_BYTES], struct text token,
              struct ticket *ticket);

/* A line for each issuer about its endpoint, discovery and breaker, for /readyz?verbose: "[+]NAME endpoint known" where all
   is well, "[-]NAME ..." otherwise. */
void fetch_describe(struct fetch *fetch, struct buffer *buffer);

/* Milliseconds since the thread last turned, for /livez. Any thread. */
int64_t fetch_idle_ms(struct fetch *fetch);
