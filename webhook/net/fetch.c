#include "net/fetch.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/lane.h"
#include "net/provider.h"

/* A turn that is so late has replies to read before it looks at time limits, for so long at most. */
#define LATE_US 50000
#define LATE_READING_US 100000
/* Nor is that a busy turn: the process, or the machine, was stopped. */
#define PAUSE_US 1000000

/* Lock order: one lock. With it held nothing waits, and nothing is called that takes another. */
struct fetch {
    struct lanes lanes; /* the thread's own, and so is multi but for its bell */
    struct multi multi;
    pthread_t thread;
    _Atomic int64_t turned_mono_ms;

    pthread_mutex_t lock; /* of all below */
    struct flight *inbox, **inbox_last;
    size_t n_inbox;
    struct provider **configured; /* counted */
    size_t n_configured;
    bool has_configuration; /* that the thread has not taken over yet */
    bool is_stopping;
};

static int64_t now_of(const struct fetch *fetch) {
    return clock_mono_ms(fetch->lanes.clock);
}

/* ---- the thread ---- */

/* Takes all that was asked since the last time, in its order. */
static struct flight *take_inbox(struct fetch *fetch, bool *ret_is_stopping) {
    pthread_mutex_lock(&fetch->lock);
    struct flight *const first = fetch->inbox;
    fetch->inbox = NULL;
    fetch->inbox_last = &fetch->inbox;
    fetch->n_inbox = 0;
    if (fetch->has_configuration) {
        lanes_configure(&fetch->lanes, fetch->configured, fetch->n_configured);
        fetch->has_configuration = false;
    }
    *ret_is_stopping = fetch->is_stopping;
    pthread_mutex_unlock(&fetch->lock);
    return first;
}

static void accept_all(struct lanes *lanes, struct flight *first) {
    while (first != NULL) {
        struct flight *const flight = first;
        first = flight->next;
        lanes_accept(lanes, flight);
    }
    lanes_forget_landed(lanes, clock_mono_ms(lanes->clock) - LIMIT_LANDED_MS);
}

static void go_on_with_connected(struct lanes *lanes) {
    CURL *easy;
    CURLcode code;
    while ((easy = multi_ended(lanes->multi, &code)) != NULL)
        call_connected(easy, code);
}

static int wait_ms(const struct lanes *lanes) {
    const int64_t left = lanes_due(lanes) - clock_mono_ms(lanes->clock);
    if (left <= 0)
        return 0;
    return left < LIMIT_FETCH_TURN_MS ? (int)left : LIMIT_FETCH_TURN_MS;
}

/*
 * After a stop of the whole process (a machine that was moved, a debugger) replies lie in the sockets, past their time
 * limits by no fault of the provider's: they are read before a limit is looked at, or five of them would open the breaker.
 */
static void catch_up(struct lanes *lanes, int64_t late_us) {
    const int64_t now_us = clock_mono_us();
    if (late_us >= PAUSE_US) /* who asks may have stood still, and who answers: on the same machine */
        lanes->excused_us = now_us;
    while (multi_turn(lanes->multi, 0) && clock_mono_us() < now_us + LATE_READING_US)
        continue;
    go_on_with_connected(lanes);
}

static void *run(void *context) {
    struct fetch *const fetch = context;
    struct lanes *const lanes = &fetch->lanes;
    pthread_setname_np(pthread_self(), "fetch");
    int64_t due_us = clock_mono_us(); /* when a turn begins at the latest */
    for (;;) {
        bool is_stopping;
        struct flight *const asked = take_inbox(fetch, &is_stopping);
        accept_all(lanes, asked);
        if (is_stopping)
            break;
        atomic_store_explicit(&fetch->turned_mono_ms, now_of(fetch), memory_order_relaxed);
        const int64_t late_us = clock_mono_us() - due_us;
        if (late_us >= LATE_US)
            catch_up(lanes, late_us);
        lanes_turn(lanes, now_of(fetch));
        const int wait = wait_ms(lanes);
        due_us = clock_mono_us() + (int64_t)wait * 1000;
        multi_turn(lanes->multi, wait);
        go_on_with_connected(lanes);
    }
    lanes_stop(lanes);
    return NULL;
}

/* ---- start and stop ---- */

static int start_thread(struct fetch *fetch) {
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);
    if (r != 0)
        return -r;
    sigset_t all, before;
    sigfillset(&all);
    r = pthread_attr_setstacksize(&attributes, LIMIT_THREAD_STACK_BYTES);
    if (r == 0)
        r = pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it: signals are main's */
    if (r == 0) {
        r = pthread_create(&fetch->thread, &attributes, run, fetch);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return -r;
}

static void fetch_free(struct fetch *fetch) {
    multi_deinit(&fetch->multi);
    for (size_t i = 0; i < fetch->n_configured; i++)
        provider_unref(fetch->configured[i]);
    free(fetch->configured);
    pthread_mutex_destroy(&fetch->lock);
    free(fetch);
    curl_global_cleanup();
}

int fetch_start(struct cache *cache, struct metrics *metrics, const struct clock *clock, struct fetch **ret_fetch) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counted: main's own stays the first */
        return -ENOMEM;
    struct fetch *const fetch = calloc(1, sizeof(*fetch));
    if (fetch == NULL) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    pthread_mutex_init(&fetch->lock, NULL);
    fetch->inbox_last = &fetch->inbox;
    fetch->lanes.cache = cache;
    fetch->lanes.metrics = metrics;
    fetch->lanes.clock = clock;
    fetch->lanes.expire_mono_ms = INT64_MAX;
    fetch->turned_mono_ms = now_of(fetch);
    fetch->lanes.multi = &fetch->multi;
    int r = multi_init(&fetch->multi);
    if (r == 0)
        r = start_thread(fetch);
    if (r != 0) {
        fetch_free(fetch);
        return r;
    }
    *ret_fetch = fetch;
    return 0;
}

void fetch_stop(struct fetch *fetch) {
    if (fetch == NULL)
        return;
    pthread_mutex_lock(&fetch->lock);
    fetch->is_stopping = true;
    pthread_mutex_unlock(&fetch->lock);
    multi_wake(&fetch->multi);
    pthread_join(fetch->thread, NULL);
    fetch_free(fetch);
}

/* ---- asking ---- */

int fetch_configure(struct fetch *fetch, struct provider *const *providers, size_t n_providers) {
    struct provider **const copy = calloc(n_providers + 1, sizeof(*copy));
    if (copy == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n_providers; i++)
        copy[i] = provider_ref(providers[i]);
    pthread_mutex_lock(&fetch->lock);
    struct provider **const old = fetch->configured;
    const size_t n_old = fetch->n_configured;
    fetch->configured = copy;
    fetch->n_configured = n_providers;
    fetch->has_configuration = true;
    pthread_mutex_unlock(&fetch->lock);
    multi_wake(&fetch->multi);
    for (size_t i = 0; i < n_old; i++)
        provider_unref(old[i]);
    free(old);
    return 0;
}

int fetch_ask(struct fetch *fetch, struct provider *provider, const uint8_t key[DIGEST_BYTES], struct text token,
              struct ticket *ticket) {
    const bool is_quick = provider_is_quick(provider);
    struct flight *flight;
    const int r = flight_new(provider, key, token, ticket, now_of(fetch), &flight);
    if (r != 0)
        return r;
    pthread_mutex_lock(&fetch->lock);
    const bool is_stopping = fetch->is_stopping;
    const bool was_empty = fetch->inbox == NULL;
    bool is_untaken = false;
    if (!is_stopping) {
        *fetch->inbox_last = flight;
        fetch->inbox_last = &flight->next;
        is_untaken = ++fetch->n_inbox % LIMIT_FETCH_INBOX_UNTAKEN == 0;
    }
    pthread_mutex_unlock(&fetch->lock);
    if (is_stopping) {
        flight_free(flight);
        return FETCH_STOPPING;
    }
    if (was_empty) /* otherwise the one that came first has woken the thread */
        multi_wake(&fetch->multi);
    if (is_untaken && !is_quick)
        sched_yield();
    return 0;
}

/* ---- looking at it ---- */

static void describe(const struct provider *provider, struct buffer *buffer) {
    const bool is_known = atomic_load_explicit(&provider->endpoint, memory_order_acquire) != NULL;
    const char *const trouble = atomic_load_explicit(&provider->lane->discover.trouble, memory_order_acquire);
    const int breaker = atomic_load_explicit(&provider->lane->breaker_state, memory_order_relaxed);
    buffer_append(buffer, is_known && breaker == BREAKER_CLOSED ? TEXT("[+]") : TEXT("[-]"));
    buffer_append(buffer, provider->snapshot->config->policy.issuers[provider->issuer].name);
    buffer_append(buffer, is_known ? TEXT(" endpoint known") : TEXT(" endpoint not known"));
    if (trouble != NULL) {
        buffer_append(buffer, TEXT("; discovery fails: "));
        buffer_append(buffer, text_of(trouble));
    } else if (!is_known) {
        buffer_append(buffer, TEXT("; discovery is under way"));
    }
    if (breaker != BREAKER_CLOSED)
        buffer_append_format(buffer, "; breaker %s", breaker_state_word((enum breaker_state)breaker));
    buffer_append_char(buffer, '\n');
}

void fetch_describe(struct fetch *fetch, struct buffer *buffer) {
    pthread_mutex_lock(&fetch->lock);
    for (size_t i = 0; i < fetch->n_configured; i++)
        describe(fetch->configured[i], buffer);
    pthread_mutex_unlock(&fetch->lock);
}

int64_t fetch_idle_ms(struct fetch *fetch) {
    return now_of(fetch) - atomic_load_explicit(&fetch->turned_mono_ms, memory_order_relaxed);
}
