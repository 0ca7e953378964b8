/*
 * What an exchange with an introspection endpoint means: an answer about the token, or the reason why there is none. A
 * provider's fault never becomes a "no", and a "no" never becomes a fault.
 */
#pragma once

#include "core/fact.h"
#include "core/reason.h"
#include "net/call.h"
#include "ops/metrics.h"
#include "wire/introspection.h"

struct reply {
    enum reason reason; /* REASON_OK: the provider answered. Otherwise a reason of verdict UNAVAILABLE. */
    enum call_outcome outcome;
    enum fact_answer answer;            /* with REASON_OK */
    struct introspection introspection; /* with REASON_OK; empty claims where the answer has none */
};

/* Reads the result. Never fails: our own lack of memory is REASON_INTERNAL. reply_deinit() what it gives. */
void reply_read(const struct call_result *result, struct reply *ret_reply);
void reply_deinit(struct reply *reply);

/* Whether asking once more, over a new connection, may help: the connection was an old one, and the provider has closed it.
 */
bool reply_is_stale_connection(const struct call_result *result);

/*
 * Whether the failure may pass by itself, so that the same question may be put once more after a moment: the provider
 * refuses the connection or ends it before a reply, or says that it cannot answer now (502, 503, 504, and 429 where it says
 * when). A time-out is none: whoever was slow is not made faster by more work.
 *
 * ret_asked_ms  the patience that the provider asks for (Retry-After in seconds), or 0; written where it may
 */
bool reply_may_pass(const struct call_result *result, int64_t *ret_asked_ms);

/* Whether a media type, parameters or not, is application/json. NULL is not. */
bool reply_is_json(const char *content_type);

/* A few words on what went wrong, for logs, from libcurl, OpenSSL and ourselves only. room holds them where needed. */
const char *reply_describe(const struct call_result *result, char *room, size_t n_room);
