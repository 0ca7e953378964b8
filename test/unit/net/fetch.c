#include "unit/net/harness.h"

#include "lib/memory.h"

#define JSON "application/json"

static void answer_active(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 200, JSON, NULL, ACTIVE);
}

static void answer_at_the_gate(void *context, const struct https_request *request) {
    gate_pass(context);
    https_reply(request, 200, JSON, NULL, ACTIVE);
}

/* ---- start and stop ---- */

Test(fetch, starts_and_stops_without_any_provider) {
    struct world world;
    world_init(&world);
    cr_assert_eq(metrics_new(&world.metrics), 0);
    cr_assert_eq(fetch_start(NULL, world.metrics, &world.clock, &world.fetch), 0);
    cr_assert_leq(fetch_idle_ms(world.fetch), LONG_MS);
    world_deinit(&world);
    fetch_stop(NULL);
}

Test(fetch, stopping_delivers_every_ticket_once) {
    struct world world;
    world_init(&world);
    world.introspection.max_concurrent = 2;
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    struct caller callers[10];
    for (size_t i = 0; i < 10; i++) {
        const char token[] = {(char)('a' + i / 2), '\0'}; /* five flights of two tickets: two call, three wait */
        cr_assert_eq(call_of(&world, &callers[i], token, LONG_MS), 0);
    }
    wait_for(&world, &world.n_at_gate, 2);
    world_stop_fetch(&world);
    cr_assert_eq(world.n_delivered, 10);
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(callers[i].ticket.reason, REASON_STOPPING);
    world_deinit(&world);
}

/* A ticket that comes back while all stops: its receiver asks again, as a loop might. */
struct stubborn {
    struct caller caller;
    int asked_again;
};

static void ask_again(struct ticket *ticket) {
    struct stubborn *const stubborn = (struct stubborn *)(void *)ticket;
    struct caller again;
    const enum reason reason = ticket->reason;
    stubborn->asked_again = call_of(stubborn->caller.world, &again, "again", LONG_MS);
    on_delivery(ticket);
    cr_assert_eq(reason, REASON_STOPPING);
}

Test(fetch, asking_while_it_stops_is_refused) {
    struct world world;
    world_init(&world);
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    struct stubborn stubborn;
    cr_assert_eq(call_of(&world, &stubborn.caller, SENTINEL_TOKEN, LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 1);
    stubborn.caller.ticket.deliver = ask_again;
    struct fetch *const fetch = world.fetch;
    fetch_stop(fetch);
    world.fetch = NULL;
    cr_assert_eq(stubborn.asked_again, FETCH_STOPPING);
    cr_assert_eq(world.n_delivered, 1);
    world_deinit(&world);
}

/* ---- who goes first ---- */

static _Atomic unsigned n_yields;

int sched_yield(void) {
    n_yields++;
    return 0;
}

static void deliver_at_the_gate(struct ticket *ticket) {
    gate_pass(((struct caller *)(void *)ticket)->world);
    on_delivery(ticket);
}

/* Keeps the fetch thread in a delivery while so many are asked, and gives how often their caller let it go first. */
static unsigned yields_of(struct world *world, struct caller *callers, size_t n_callers) {
    struct caller late = {.world = world, .ticket = {.deliver = deliver_at_the_gate}};
    uint8_t key[DIGEST_BYTES];
    key_of(TEXT("late"), key);
    gate_close(world);
    cr_assert_eq(fetch_ask(world->fetch, world->provider, key, TEXT("late"), &late.ticket), 0);
    wait_for(world, &world->n_at_gate, 1);
    n_yields = 0;
    for (size_t i = 0; i < n_callers; i++)
        cr_assert_eq(call_of(world, &callers[i], "next", LONG_MS), 0);
    const unsigned n = n_yields;
    gate_open(world);
    caller_wait(&late);
    for (size_t i = 0; i < n_callers; i++) {
        caller_wait(&callers[i]);
        fact_unref(callers[i].ticket.fact);
    }
    return n;
}

Test(fetch, a_slow_providers_questions_do_not_lie_untaken_while_many_more_are_read) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    struct caller callers[3 * LIMIT_FETCH_INBOX_UNTAKEN - 1];
    const size_t n_callers = sizeof(callers) / sizeof(*callers);
    cr_assert_eq(yields_of(&world, callers, n_callers), 0, "a quick one's do");
    world.provider->usual_us = 20000;
    cr_assert_eq(yields_of(&world, callers, n_callers), 2);
    world.provider->usual_us = 20000;
    cr_assert_eq(yields_of(&world, callers, LIMIT_FETCH_INBOX_UNTAKEN - 1), 0);
    world_deinit(&world);
}

/* ---- looking at it ---- */

Test(fetch, a_thread_that_turns_is_never_idle_for_long) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    for (unsigned i = 0; i < 3; i++) { /* with nothing to do it turns all the same */
        world.ahead_ms += LIMIT_LOOP_STALL_MS;
        EVENTUALLY(fetch_idle_ms(world.fetch) < LIMIT_LOOP_STALL_MS);
    }
    world_deinit(&world);
}

Test(fetch, a_configured_endpoint_is_described_as_known) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    struct buffer buffer __attribute__((cleanup(buffer_deinit)));
    buffer_init(&buffer, 4096);
    fetch_describe(world.fetch, &buffer);
    cr_assert(text_equal(buffer_text(&buffer), TEXT("[+]corp endpoint known\n")));
    world_deinit(&world);
}

/* ---- generations ---- */

Test(fetch, a_flight_of_the_generation_before_ends_with_what_it_began_with) {
    struct world world;
    world_init(&world);
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    struct provider *const old = world.provider;
    struct caller before, after;
    cr_assert_eq(call_of(&world, &before, SENTINEL_TOKEN, LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 1);
    world_make_provider(&world, old);
    cr_assert_eq(fetch_configure(world.fetch, &world.provider, 1), 0);
    provider_unref(old);
    cr_assert_eq(call_of(&world, &after, SENTINEL_TOKEN, LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 2);
    gate_open(&world);
    caller_wait(&before);
    caller_wait(&after);
    cr_assert_eq(before.ticket.reason, REASON_OK);
    cr_assert_eq(after.ticket.reason, REASON_OK);
    fact_unref(before.ticket.fact);
    fact_unref(after.ticket.fact);
    EVENTUALLY(world.snapshot.n_refs == 2); /* the old provider is gone */
    world_deinit(&world);
}

struct busy {
    struct world *world;
    _Atomic bool *is_over;
    unsigned n_asked;
};

static void *ask_busily(void *context) {
    struct busy *const busy = context;
    do {
        char token[32];
        snprintf(token, sizeof(token), "token-%u", busy->n_asked++ % 7);
        struct caller caller = {.world = busy->world};
        pthread_mutex_lock(&busy->world->lock);
        struct provider *const provider = provider_ref(busy->world->provider);
        pthread_mutex_unlock(&busy->world->lock);
        caller.ticket.deadline_mono_ms = clock_mono_ms(&busy->world->clock) + LONG_MS;
        caller.ticket.deliver = on_delivery;
        uint8_t key[DIGEST_BYTES];
        key_of(text_of(token), key);
        cr_assert_eq(fetch_ask(busy->world->fetch, provider, key, text_of(token), &caller.ticket), 0);
        provider_unref(provider);
        caller_wait(&caller);
        cr_assert_eq(caller.ticket.reason, REASON_OK, "%s", reason_word(caller.ticket.reason));
        fact_unref(caller.ticket.fact);
    } while (!*busy->is_over);
    return NULL;
}

Test(fetch, reloads_under_load_fail_nobody) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    _Atomic bool is_over = false;
    struct busy busy[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        busy[i] = (struct busy){.world = &world, .is_over = &is_over};
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_busily, &busy[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        struct provider *provider;
        cr_assert_eq(provider_new(&world.snapshot, 0, world.metrics, world.provider, &provider, NULL), 0);
        cr_assert_eq(fetch_configure(world.fetch, &provider, 1), 0);
        pthread_mutex_lock(&world.lock);
        struct provider *const old = world.provider;
        world.provider = provider;
        pthread_mutex_unlock(&world.lock);
        provider_unref(old);
        struct buffer buffer __attribute__((cleanup(buffer_deinit)));
        buffer_init(&buffer, 4096);
        fetch_describe(world.fetch, &buffer);
        EVENTUALLY(fetch_idle_ms(world.fetch) < LIMIT_LOOP_STALL_MS); /* work must not keep it from turning */
        poll(NULL, 0, 20);
    }
    is_over = true;
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_gt(busy[i].n_asked, 0);
    }
    world_deinit(&world);
}

/* ---- memory ---- */

/* Allocations fail on the caller's thread and on the fetch thread: a ticket always comes back, or was never taken. */
Test(fetch, each_failed_allocation_is_survived) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    uint8_t key[DIGEST_BYTES];
    key_of(TEXT(SENTINEL_TOKEN), key);
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct caller caller = {.world = &world};
        caller.ticket.deadline_mono_ms = clock_mono_ms(&world.clock) + LONG_MS;
        caller.ticket.deliver = on_delivery;
        memory_fail_at(n);
        const int r = fetch_ask(world.fetch, world.provider, key, TEXT(SENTINEL_TOKEN), &caller.ticket);
        if (r == 0)
            caller_wait(&caller);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert(r == 0 || r == -ENOMEM);
        if (r != 0)
            continue;
        cr_assert(caller.ticket.reason == (has_failed ? REASON_INTERNAL : REASON_OK), "%s at allocation %zu",
                  reason_word(caller.ticket.reason), n);
        fact_unref(caller.ticket.fact);
    }
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK);
    world_deinit(&world);
}
