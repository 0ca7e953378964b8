#include "net/flight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"

int flight_new(struct provider *provider, const uint8_t key[DIGEST_BYTES], struct text token, struct ticket *ticket,
               int64_t now_mono_ms, struct flight **ret_flight) {
    struct flight *const flight = malloc(sizeof(*flight) + token.n_bytes);
    if (flight == NULL)
        return -ENOMEM;
    *flight = (struct flight){
        .provider = provider_ref(provider),
        .kind = ticket->kind,
        .first = ticket,
        .last = &ticket->next,
        .n_tickets = 1,
        .earliest_mono_ms = ticket->deadline_mono_ms,
        .asked_mono_ms = ticket->looked_mono_ms == 0 ? now_mono_ms : ticket->looked_mono_ms,
        .n_token_bytes = token.n_bytes,
    };
    ticket->next = NULL;
    memcpy(flight->key, key, DIGEST_BYTES);
    if (token.n_bytes > 0)
        memcpy(flight->token, token.data, token.n_bytes);
    *ret_flight = flight;
    return 0;
}

static void wipe_token(struct flight *flight) {
    secret_wipe(flight->token, flight->n_token_bytes);
    flight->n_token_bytes = 0;
}

void flight_free(struct flight *flight) {
    wipe_token(flight);
    fact_unref(flight->fact);
    provider_unref(flight->provider);
    free(flight);
}

struct text flight_token(const struct flight *flight) {
    return (struct text){.data = flight->token, .n_bytes = flight->n_token_bytes};
}

/* ---- tickets ---- */

static void forget_tickets(struct flight *flight) {
    flight->first = NULL;
    flight->last = &flight->first;
    flight->n_tickets = 0;
    flight->earliest_mono_ms = INT64_MAX;
}

void flight_join(struct flight *flight, struct flight *other) {
    if (other->n_tickets == 0)
        return;
    *flight->last = other->first;
    flight->last = other->last;
    flight->n_tickets += other->n_tickets;
    if (other->earliest_mono_ms < flight->earliest_mono_ms)
        flight->earliest_mono_ms = other->earliest_mono_ms;
    forget_tickets(other);
}

static int64_t provider_us(const struct flight *flight) {
    return flight->called_us == 0 ? -1 : clock_mono_us() - flight->called_us;
}

/* The ticket is the receiver's from here on: it may be gone when this returns. */
static void deliver(struct ticket *ticket, enum reason reason, struct fact *fact, int64_t took_us) {
    ticket->next = NULL;
    ticket->reason = reason;
    ticket->fact = fact == NULL ? NULL : fact_ref(fact);
    ticket->provider_us = took_us;
    ticket->deliver(ticket);
}

void flight_deliver(struct flight *flight, enum reason reason, struct fact *fact) {
    const int64_t took_us = provider_us(flight);
    struct ticket *ticket = flight->first;
    forget_tickets(flight);
    while (ticket != NULL) {
        struct ticket *const next = ticket->next;
        deliver(ticket, reason, fact, took_us);
        ticket = next;
    }
}

void flight_expire(struct flight *flight, int64_t now_mono_ms, enum reason reason) {
    if (now_mono_ms < flight->earliest_mono_ms)
        return;
    const int64_t took_us = provider_us(flight);
    struct ticket *ticket = flight->first;
    forget_tickets(flight);
    while (ticket != NULL) {
        struct ticket *const next = ticket->next;
        if (ticket->deadline_mono_ms <= now_mono_ms) {
            deliver(ticket, reason, NULL, took_us);
        } else {
            ticket->next = NULL;
            *flight->last = ticket;
            flight->last = &ticket->next;
            flight->n_tickets++;
            if (ticket->deadline_mono_ms < flight->earliest_mono_ms)
                flight->earliest_mono_ms = ticket->deadline_mono_ms;
        }
        ticket = next;
    }
}

void flight_land(struct flight *flight, struct fact *fact, int64_t now_mono_ms) {
    wipe_token(flight);
    flight->state = FLIGHT_LANDED;
    flight->fact = fact_ref(fact);
    flight->landed_mono_ms = now_mono_ms;
}

/* ---- lists ---- */

void flight_list_append(struct flight_list *list, struct flight *flight) {
    flight->previous = list->last;
    flight->next = NULL;
    *(list->last == NULL ? &list->first : &list->last->next) = flight;
    list->last = flight;
    list->n_flights++;
}

void flight_list_remove(struct flight_list *list, struct flight *flight) {
    *(flight->previous == NULL ? &list->first : &flight->previous->next) = flight->next;
    *(flight->next == NULL ? &list->last : &flight->next->previous) = flight->previous;
    flight->previous = flight->next = NULL;
    list->n_flights--;
}

/* ---- the table ---- */

/* The key is an HMAC under a secret of this process: nobody outside can choose keys that meet in one bucket. */
static size_t bucket_of(const uint8_t key[DIGEST_BYTES]) {
    uint64_t hash;
    memcpy(&hash, key, sizeof(hash));
    return hash % FLIGHT_BUCKETS;
}

struct flight *flight_table_lookup(const struct flight_table *table, const struct flight *like) {
    struct flight *flight = table->buckets[bucket_of(like->key)];
    while (flight != NULL && (memcmp(flight->key, like->key, DIGEST_BYTES) != 0 || flight->provider != like->provider))
        flight = flight->bucket_next;
    return flight;
}

void flight_table_insert(struct flight_table *table, struct flight *flight) {
    struct flight **const bucket = &table->buckets[bucket_of(flight->key)];
    flight->bucket_next = *bucket;
    *bucket = flight;
}

void flight_table_remove(struct flight_table *table, struct flight *flight) {
    struct flight **link = &table->buckets[bucket_of(flight->key)];
    while (*link != flight)
        link = &(*link)->bucket_next;
    *link = flight->bucket_next;
}
