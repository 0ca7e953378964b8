#include "unit/net/harness.h"

#include "lib/memory.h"
#include "net/flight.h"

/* A provider that is nothing but counted. */
static struct provider counted = {.n_refs = 1};

static struct flight *flight_of(uint8_t first_key_byte, struct ticket *ticket) {
    uint8_t key[DIGEST_BYTES] = {first_key_byte};
    struct flight *flight;
    cr_assert_eq(flight_new(&counted, key, TEXT(SENTINEL_TOKEN), ticket, 100, &flight), 0);
    return flight;
}

struct received {
    struct ticket ticket;
    unsigned n_times;
};

static void receive(struct ticket *ticket) {
    ((struct received *)(void *)ticket)->n_times++;
}

static struct received due_at(int64_t deadline_mono_ms) {
    return (struct received){.ticket = {.deadline_mono_ms = deadline_mono_ms, .deliver = receive}};
}

Test(flight, tickets_of_a_joined_flight_get_the_same_answer_in_order) {
    struct received received[3] = {due_at(1000), due_at(500), due_at(2000)};
    struct flight *const flight = flight_of(1, &received[0].ticket);
    for (size_t i = 1; i < 3; i++) {
        struct flight *const other = flight_of(1, &received[i].ticket);
        flight_join(flight, other);
        cr_assert_eq(other->n_tickets, 0);
        flight_free(other);
    }
    cr_assert_eq(flight->n_tickets, 3);
    cr_assert_eq(flight->earliest_mono_ms, 500);
    flight_deliver(flight, REASON_PROVIDER_TIMEOUT, NULL);
    cr_assert_eq(flight->n_tickets, 0);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(received[i].n_times, 1);
        cr_assert_eq(received[i].ticket.reason, REASON_PROVIDER_TIMEOUT);
        cr_assert_null(received[i].ticket.fact);
        cr_assert_eq(received[i].ticket.provider_us, -1);
    }
    flight_free(flight);
    cr_assert_eq(counted.n_refs, 1);
}

Test(flight, only_tickets_that_are_due_expire) {
    struct received received[4] = {due_at(1000), due_at(500), due_at(2000), due_at(500)};
    struct flight *const flight = flight_of(1, &received[0].ticket);
    for (size_t i = 1; i < 4; i++) {
        struct flight *const other = flight_of(1, &received[i].ticket);
        flight_join(flight, other);
        flight_free(other);
    }
    flight_expire(flight, 499, REASON_DEADLINE_EXCEEDED);
    cr_assert_eq(flight->n_tickets, 4);
    flight_expire(flight, 500, REASON_DEADLINE_EXCEEDED);
    cr_assert_eq(flight->n_tickets, 2);
    cr_assert_eq(flight->earliest_mono_ms, 1000);
    cr_assert_eq(received[0].n_times, 0);
    cr_assert_eq(received[1].n_times, 1);
    cr_assert_eq(received[2].n_times, 0);
    cr_assert_eq(received[3].n_times, 1);
    struct received late = due_at(700);
    struct flight *const other = flight_of(1, &late.ticket);
    flight_join(flight, other);
    flight_free(other);
    cr_assert_eq(flight->earliest_mono_ms, 700);
    flight_expire(flight, INT64_MAX - 1, REASON_DEADLINE_EXCEEDED);
    cr_assert_eq(flight->n_tickets, 0);
    cr_assert_eq(flight->earliest_mono_ms, INT64_MAX);
    cr_assert_eq(late.n_times, 1);
    flight_free(flight);
}

Test(flight, landing_wipes_the_token_and_keeps_the_fact) {
    struct received received = due_at(1000);
    struct flight *const flight = flight_of(1, &received.ticket);
    struct fact *fact;
    const struct fact_source source = {
        .answer = FACT_INACTIVE, .key = flight->key, .token = flight_token(flight), .claims = TEXT("{}")};
    cr_assert_eq(fact_new(&source, &fact), 0);
    flight_deliver(flight, REASON_OK, fact);
    flight_land(flight, fact, 300);
    cr_assert_eq(flight->token[0], '\0');
    cr_assert_eq(flight_token(flight).n_bytes, 0);
    cr_assert_eq(flight->fact, fact);
    flight_free(flight);
    cr_assert_eq(received.ticket.fact, fact);
    cr_assert_eq(fact->n_refs, 2);
    fact_unref(received.ticket.fact);
    fact_unref(fact);
}

Test(flight, a_table_finds_by_key_and_provider) {
    static struct flight_table table;
    struct received received[3] = {due_at(1), due_at(1), due_at(1)};
    struct flight *const one = flight_of(1, &received[0].ticket), *const two = flight_of(2, &received[1].ticket);
    struct provider newer = {.n_refs = 1};
    struct flight *like;
    cr_assert_eq(flight_new(&newer, one->key, TEXT("x"), &received[2].ticket, 0, &like), 0);
    /* the same bucket, another key */
    memcpy(two->key, one->key, 8);
    two->key[31] = 7;
    flight_table_insert(&table, one);
    flight_table_insert(&table, two);
    cr_assert_eq(flight_table_lookup(&table, one), one);
    cr_assert_eq(flight_table_lookup(&table, two), two);
    cr_assert_null(flight_table_lookup(&table, like), "another generation's flight must not be joined");
    flight_table_remove(&table, one);
    cr_assert_null(flight_table_lookup(&table, one));
    cr_assert_eq(flight_table_lookup(&table, two), two);
    flight_table_remove(&table, two);
    cr_assert_null(flight_table_lookup(&table, two));
    struct flight *const all[] = {one, two, like};
    for (size_t i = 0; i < 3; i++) {
        flight_deliver(all[i], REASON_STOPPING, NULL);
        flight_free(all[i]);
    }
}

Test(flight, a_list_gives_up_any_of_its_flights) {
    struct received received[3] = {due_at(1), due_at(1), due_at(1)};
    struct flight *flights[3];
    for (size_t removed = 0; removed < 3; removed++) {
        struct flight_list list = {0};
        for (size_t i = 0; i < 3; i++) {
            flights[i] = flight_of((uint8_t)i, &received[i].ticket);
            flight_list_append(&list, flights[i]);
        }
        flight_list_remove(&list, flights[removed]);
        cr_assert_eq(list.n_flights, 2);
        cr_assert_eq(list.first, flights[removed == 0 ? 1 : 0]);
        cr_assert_eq(list.last, flights[removed == 2 ? 1 : 2]);
        cr_assert_eq(list.first->next, list.last);
        cr_assert_eq(list.last->previous, list.first);
        for (size_t i = 0; i < 3; i++) {
            flight_deliver(flights[i], REASON_STOPPING, NULL);
            flight_free(flights[i]);
        }
    }
}

Test(flight, without_memory_the_ticket_stays_the_callers) {
    struct received received = due_at(1);
    const uint8_t key[DIGEST_BYTES] = {0};
    struct flight *flight = NULL;
    memory_fail_at(1);
    const int r = flight_new(&counted, key, TEXT(SENTINEL_TOKEN), &received.ticket, 0, &flight);
    memory_fail_at(0);
    cr_assert_eq(r, -ENOMEM);
    cr_assert_null(flight);
    cr_assert_eq(counted.n_refs, 1);
}
