#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/digest.h"
#include "command/command.h"
#include "net/fetch.h"
#include "net/runtime.h"

/* How long check --online waits for a provider: its discovery and one call. */
#define ONLINE_MS 15000

static void print_findings(const struct snapshot *snapshot) {
    const struct config *config = snapshot->config;
    for (size_t i = 0; i < config->n_warnings; i++)
        printf("warning: %s\n", config->warnings[i]);
    const struct policy *policy = &config->policy;
    for (size_t i = 0; i < policy->n_issuers; i++)
        printf("issuer %.*s: %.*s\n", (int)policy->issuers[i].name.n_bytes, policy->issuers[i].name.data,
               (int)policy->issuers[i].url.n_bytes, policy->issuers[i].url.data);
    if (policy->handle.is_on)
        printf("handle: the first of %zu keys signs; good for %lld s, asked about again after %lld ms\n",
               snapshot->n_handle_keys, (long long)policy->handle.max_age_s, (long long)policy->handle.recheck_after_ms);
}

/* ---- --online: one question to each provider ---- */

/* A question whose answer is waited for here. */
struct probe {
    struct ticket ticket;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_answered;
};

static void on_answer(struct ticket *ticket) {
    struct probe *probe = (struct probe *)ticket;
    pthread_mutex_lock(&probe->lock);
    probe->is_answered = true;
    pthread_cond_signal(&probe->answered);
    pthread_mutex_unlock(&probe->lock);
}

static void await(struct probe *probe) {
    pthread_mutex_lock(&probe->lock);
    while (!probe->is_answered)
        pthread_cond_wait(&probe->answered, &probe->lock);
    pthread_mutex_unlock(&probe->lock);
}

/* A token that nobody ever issued. */
static int random_token(char ret_token[2 * DIGEST_BYTES + 1]) {
    uint8_t bytes[DIGEST_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -EIO;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret_token + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static bool print_answer(const struct issuer_policy *issuer, const struct ticket *ticket) {
    const int n = (int)issuer->name.n_bytes;
    if (ticket->reason != REASON_OK) {
        printf("issuer %.*s: %s: %s\n", n, issuer->name.data, reason_word(ticket->reason), reason_sentence(ticket->reason));
        return false;
    }
    if (ticket->fact->answer == FACT_ACTIVE) {
        printf("issuer %.*s: the provider calls a random token active: its answers cannot be trusted\n", n,
               issuer->name.data);
        return false;
    }
    printf("issuer %.*s: the provider answers, in %lld ms, and accepts our credentials\n", n, issuer->name.data,
           (long long)(ticket->provider_us / 1000));
    return true;
}

static bool ask(struct fetch *fetch, const struct runtime *runtime, size_t issuer) {
    char token[2 * DIGEST_BYTES + 1];
    uint8_t key[DIGEST_BYTES];
    if (random_token(token) != 0 || digest_secret(key) != 0)
        return false;
    struct probe probe = {.ticket.deliver = on_answer, .ticket.deadline_mono_ms = clock_mono_ms(&clock_system) + ONLINE_MS};
    pthread_mutex_init(&probe.lock, NULL);
    pthread_cond_init(&probe.answered, NULL);
    bool is_good = false;
    if (fetch_ask(fetch, runtime->providers[issuer], key, text_of(token), &probe.ticket) == 0) {
        await(&probe);
        is_good = print_answer(&snapshot_policy(runtime->snapshot)->issuers[issuer], &probe.ticket);
        fact_unref(probe.ticket.fact);
    }
    return is_good;
}

static bool ask_all(struct runtime *runtime, struct cache *cache, struct metrics *metrics) {
    struct fetch *fetch;
    if (fetch_start(cache, metrics, &clock_system, &fetch) != 0)
        return false;
    bool is_good = fetch_configure(fetch, runtime->providers, runtime->n_providers) == 0;
    for (size_t i = 0; i < runtime->n_providers; i++)
        is_good &= ask(fetch, runtime, i);
    fetch_stop(fetch);
    return is_good;
}

/* ---- the command ---- */

static int check_snapshot(struct snapshot *snapshot, bool online, struct error *error) {
    struct metrics *metrics = NULL;
    struct cache *cache = NULL;
    struct runtime *runtime = NULL;
    const struct cache_limits limits = {.max_entries = 64, .max_negative_entries = 64, .max_bytes = 1024 * 1024};
    int r = metrics_new(&metrics);
    if (r == 0)
        r = cache_new(&limits, &cache);
    if (r == 0)
        r = runtime_new(snapshot, NULL, metrics, &runtime, error);
    if (r == 0) {
        print_findings(snapshot);
        r = runtime_check_ends(runtime, clock_unix_ms(&clock_system) / 1000, error);
        if (r == 0 && online && !ask_all(runtime, cache, metrics)) {
            error_set(error, "%s: the configuration is valid, but not every provider answered as it should",
                      snapshot->config->path);
            r = RUNTIME_INVALID;
        }
    }
    runtime_unref(runtime);
    cache_free(cache);
    metrics_free(metrics);
    return r;
}

int command_check(const char *config_path, bool online) {
    struct error error = {"out of memory"};
    struct snapshot *snapshot;
    int r = snapshot_load(config_path, 1, &snapshot, &error);
    if (r == 0) {
        r = check_snapshot(snapshot, online, &error);
        snapshot_unref(snapshot);
    }
    if (r != 0) {
        fflush(stdout);
        fprintf(stderr, "%s\n", error.text);
        return EXIT_BAD;
    }
    printf("%s: good\n", config_path);
    return EXIT_GOOD;
}
