/*
 * A flight: one token that a provider is asked about, and the tickets of all who wait for the answer. And the table that
 * finds the flight of a key. Made by whoever asks; from then on the fetch thread's own.
 */
#pragma once

#include "net/fetch.h"

enum flight_state {
    FLIGHT_NEW,     /* on its way to the fetch thread */
    FLIGHT_WAITING, /* for a free place among the provider's calls, or for its endpoint */
    FLIGHT_CALLING,
    FLIGHT_PAUSING, /* its call failed, and is made once more when it is due */
    FLIGHT_LANDED   /* answered: kept for one turn, for those who asked before they could see the answer in the cache */
};

struct flight {
    struct flight *previous, *next; /* in the one list that it is in */
    struct flight *bucket_next;
    enum flight_state state;
    struct provider *provider; /* counted */

    enum budget_kind kind; /* its first ticket's */
    struct ticket *first, **last;
    size_t n_tickets;
    int64_t earliest_mono_ms; /* deadline among the tickets; INT64_MAX without any */
    int64_t asked_mono_ms;    /* when fetch_ask() was called */

    struct call *call;      /* while CALLING */
    size_t secret;          /* the line that the call under way uses */
    unsigned tried_secrets; /* a bit for each line */
    bool has_retried;       /* over a fresh connection */
    unsigned n_retries;     /* after a pause */
    int64_t due_mono_ms;    /* while PAUSING */
    uint32_t breaker_turn;  /* that the call under way began in */
    int64_t called_us;      /* when the first call began; 0: none yet */

    struct fact *fact; /* once LANDED; counted */
    int64_t landed_mono_ms;

    uint8_t key[DIGEST_BYTES];
    size_t n_token_bytes;
    char token[];
};

/* A new flight with its first ticket. Returns 0, or -ENOMEM: then the ticket is still the caller's. */
int flight_new(struct provider *provider, const uint8_t key[DIGEST_BYTES], struct text token, struct ticket *ticket,
               int64_t now_mono_ms, struct flight **ret_flight);

/* Wipes and frees; it must have no tickets left and be in no list or table. */
void flight_free(struct flight *flight);

struct text flight_token(const struct flight *flight);

/* Takes the tickets of another flight of the same key over. */
void flight_join(struct flight *flight, struct flight *other);

/* Delivers to all tickets: a fact (each gets its own reference), or NULL and the reason. */
void flight_deliver(struct flight *flight, enum reason reason, struct fact *fact);

/* Delivers the reason to the tickets whose deadline has come. */
void flight_expire(struct flight *flight, int64_t now_mono_ms, enum reason reason);

/* The tickets have what they wanted: wipes the token, keeps the fact (a reference is taken). */
void flight_land(struct flight *flight, struct fact *fact, int64_t now_mono_ms);

/* ---- lists ---- */

struct flight_list {
    struct flight *first, *last;
    size_t n_flights;
};

void flight_list_append(struct flight_list *list, struct flight *flight);
void flight_list_remove(struct flight_list *list, struct flight *flight);

/* ---- the table ---- */

/* Bounded by what is in it: LIMIT_FLIGHTS_WAITING and LIMIT_CONCURRENT_CALLS per issuer. */
#define FLIGHT_BUCKETS 8192

struct flight_table {
    struct flight *buckets[FLIGHT_BUCKETS];
};

/* NULL: none. Keys are HMACs, so equal keys mean equal tokens; a provider of another generation flies its own. */
struct flight *flight_table_lookup(const struct flight_table *table, const struct flight *like);
void flight_table_insert(struct flight_table *table, struct flight *flight);
void flight_table_remove(struct flight_table *table, struct flight *flight);
