#include "net/refresh.h"

#include <stdlib.h>

struct refresh {
    struct ticket ticket; /* first */
    struct metrics *metrics;
    size_t metrics_row;
};

/* On the fetch thread. */
static void deliver(struct ticket *ticket) {
    struct refresh *refresh = (struct refresh *)ticket;
    metrics_refresh(refresh->metrics, refresh->metrics_row, ticket->reason == REASON_OK);
    fact_unref(ticket->fact);
    free(refresh);
}

void refresh_ask(struct fetch *fetch, struct metrics *metrics, struct provider *provider, const uint8_t key[DIGEST_BYTES],
                 struct text token, int64_t now_mono_ms) {
    struct refresh *refresh = calloc(1, sizeof(*refresh));
    if (refresh == NULL)
        return;
    refresh->metrics = metrics;
    refresh->metrics_row = provider->metrics_row;
    refresh->ticket.deadline_mono_ms = now_mono_ms + LIMIT_DEADLINE_DEFAULT_MS;
    refresh->ticket.looked_mono_ms = now_mono_ms;
    refresh->ticket.kind = BUDGET_KNOWN;
    refresh->ticket.deliver = deliver;
    if (fetch_ask(fetch, provider, key, token, &refresh->ticket) != 0)
        free(refresh);
}
