/*
 * Keeps one provider's introspection endpoint known: fetches the discovery document, again when it ages, and after a
 * failure with a growing pause. A refresh that fails changes nothing: the endpoint known before stays. The fetch thread's
 * own, but for the trouble, which anybody may read.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

struct call;
struct lane;
struct provider;

struct discover {
    struct call *call;                      /* under way, or NULL */
    char *url;                              /* of the document; NULL: the endpoint is configured, nothing is discovered */
    char *endpoints[LIMIT_KNOWN_ENDPOINTS]; /* all that were ever published: readers may still hold one */
    size_t n_endpoints;
    int64_t due_mono_ms;
    int64_t begun_mono_ms;             /* of the last one */
    int64_t pause_ms;                  /* after the last failure; 0: it succeeded, or there was none */
    _Atomic int64_t refreshed_mono_ms; /* the last success; 0: none */
    _Atomic(const char *) trouble;     /* why the last one failed, a static text; NULL: it did not */
};

/*
 * Sets up, and publishes an endpoint if it is configured or known from before.
 * previous  of the same issuer URL, or NULL
 * Returns 0 or -ENOMEM; discover_deinit() in both cases.
 */
int discover_init(struct discover *discover, struct provider *provider, struct provider *previous);
void discover_deinit(struct discover *discover);

/* Begins a fetch if one is due, or ends one that takes too long. */
void discover_turn(struct lane *lane, int64_t now_mono_ms);

/* When discover_turn() has something to do next; INT64_MAX: never, as things are. */
int64_t discover_due(const struct lane *lane);

/* The endpoint seems to have moved: fetches soon, but not more often than LIMIT_DISCOVERY_RETRY_MAX_MS. */
void discover_hurry(struct lane *lane);

/* Whether the endpoint is unknown, the last attempt to learn it failed, and the next one is not due yet. */
bool discover_has_failed(const struct lane *lane, int64_t now_mono_ms);

/* Ends a fetch under way. */
void discover_stop(struct lane *lane);
