/*
 * A provider's lane: its flights, waiting and calling, the idle handles, and what its calls share. All lanes together
 * share libcurl's multi handle and the table of flights. The fetch thread's own: nothing here locks.
 */
#pragma once

#include "core/breaker.h"
#include "core/retry.h"
#include "net/call.h"
#include "net/discover.h"
#include "net/flight.h"
#include "net/trouble.h"

/* What all lanes share. */
struct lanes {
    struct lane *first;
    struct multi *multi;
    struct cache *cache;
    struct metrics *metrics;
    const struct clock *clock;
    struct flight_table flights;
    struct flight_list landed; /* kept until the next turn */
    int64_t expire_mono_ms;    /* the earliest deadline, or before it */
    int64_t expired_mono_ms;   /* when deadlines were last looked at */
    int64_t swept_mono_ms;     /* and when unused connections were */
    int64_t excused_us;        /* clock_mono_us(): that a call of before then ran out of time is no fault of the provider's */
};

struct lane {
    struct lanes *lanes; /* NULL: not in the list */
    struct lane *next;
    struct provider *provider; /* counted while in the list; otherwise the provider's own pointer to itself */
    bool is_configured;        /* kept, and kept discovered, without flights */

    struct flight_list waiting[N_BUDGET_KINDS], calling, pausing;
    size_t max_calling;
    size_t n_unknown_calling, max_unknown_calling; /* among them, those of unknown tokens */
    struct call *idle;

    struct budget budget;
    struct retry_budget retry_budget;
    struct breaker breaker;
    _Atomic int breaker_state; /* enum breaker_state, for those who are not the fetch thread */

    struct buffer headers[LIMIT_CLIENT_SECRETS]; /* by secret line; the first alone where none is sent in a header */
    size_t n_secrets;                            /* lines to try; 1 for tls_client_auth */
    size_t preferred_secret;

    struct discover discover;
    struct trouble trouble;
};

/* ---- made and freed with the provider, any thread ---- */

/* Returns 0 or -ENOMEM. previous: as for provider_new(). lane_free() it. */
int lane_new(struct provider *provider, struct provider *previous, struct lane **ret_lane);
/* Must not be in a list. Half-built ones and NULL are fine. */
void lane_free(struct lane *lane);

/* ---- fetch thread ---- */

/* Puts the provider's lane into the list, unless it is there: from now on it holds the provider. */
struct lane *lanes_adopt(struct lanes *lanes, struct provider *provider);

/* Exactly these lanes are configured from now on. */
void lanes_configure(struct lanes *lanes, struct provider *const *providers, size_t n_providers);

/* Takes a flight in from fetch_ask(): joins, starts or queues it, or delivers at once. */
void lanes_accept(struct lanes *lanes, struct flight *flight);

/* Begins what is due (discovery, deadlines), closes what is not used, and lets lanes go that nobody needs. */
void lanes_turn(struct lanes *lanes, int64_t now_mono_ms);

/* When lanes_turn() has something to do next. */
int64_t lanes_due(const struct lanes *lanes);

/* Frees what landed before this time. */
void lanes_forget_landed(struct lanes *lanes, int64_t before_mono_ms);

/* Delivers REASON_STOPPING to all and lets all lanes go. */
void lanes_stop(struct lanes *lanes);

/* lanes_turn() has to look at deadlines by then. */
void lanes_expire_by(struct lanes *lanes, int64_t deadline_mono_ms);

/* The flight that is to take off next, of those that wait: about a known token first. NULL: none waits. */
struct flight *lane_first_waiting(const struct lane *lane);

/* Tells the breaker how a call has ended that began in this turn, and everybody else what became of it. */
void lane_breaker_end(struct lane *lane, uint32_t turn, enum breaker_result result, enum reason reason);

/* A call begins. Gives the breaker's turn. */
uint32_t lane_breaker_begin(struct lane *lane);

/* Discovery has ended: flights that waited for the endpoint go on, or fail where it is not known. */
void lane_discovered(struct lane *lane);

/* Logs a trouble of this lane unless the same kind was logged just now. */
void lane_report(struct lane *lane, enum reason kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The issuer's name, as "%.*s" takes it. */
struct text lane_name(const struct lane *lane);
#define LANE_NAME(lane) (int)lane_name(lane).n_bytes, lane_name(lane).data
