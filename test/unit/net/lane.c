#include "unit/net/harness.h"

#define JSON "application/json"

static void answer_at_the_gate(void *context, const struct https_request *request) {
    gate_pass(context);
    https_reply(request, 200, JSON, NULL, ACTIVE);
}

static void start_at_the_gate(struct world *world, uint32_t max_concurrent) {
    world_init(world);
    world->introspection.max_concurrent = max_concurrent;
    gate_close(world);
    world_start(world, answer_at_the_gate);
}

static void release(struct caller *callers, size_t n_callers, enum reason reason) {
    for (size_t i = 0; i < n_callers; i++) {
        caller_wait(&callers[i]);
        cr_expect_eq(callers[i].ticket.reason, reason, "caller %zu: %s", i, reason_word(callers[i].ticket.reason));
        fact_unref(callers[i].ticket.fact);
    }
}

/* ---- one flight a token ---- */

struct crowd {
    struct world *world;
    struct caller callers[63];
};

static void *ask_in_a_crowd(void *context) {
    struct crowd *const crowd = context;
    for (size_t i = 0; i < sizeof(crowd->callers) / sizeof(*crowd->callers); i++)
        cr_assert_eq(call_of(crowd->world, &crowd->callers[i], SENTINEL_TOKEN, LONG_MS), 0);
    return NULL;
}

Test(lane, five_hundred_callers_with_one_token_make_one_call) {
    struct world world;
    start_at_the_gate(&world, 8);
    struct crowd *const crowds = calloc(8, sizeof(*crowds));
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        crowds[i].world = &world;
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_in_a_crowd, &crowds[i]), 0);
    }
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    wait_for(&world, &world.n_at_gate, 1);
    gate_open(&world);
    const struct fact *fact = NULL;
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 63; j++) {
            caller_wait(&crowds[i].callers[j]);
            cr_assert_eq(crowds[i].callers[j].ticket.reason, REASON_OK);
            fact = fact == NULL ? crowds[i].callers[j].ticket.fact : fact;
            cr_assert_eq(crowds[i].callers[j].ticket.fact, fact, "all get the same fact");
        }
    }
    cr_assert_eq(https_server_n_requests(world.server), 1);
    for (size_t i = 0; i < 8; i++)
        release(crowds[i].callers, 63, REASON_OK);
    free(crowds);
    world_deinit(&world);
}

Test(lane, asking_again_after_the_answer_makes_a_new_call) {
    struct world world;
    start_at_the_gate(&world, 8);
    gate_open(&world);
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK);
    poll(NULL, 0, 2); /* the next millisecond: the caller has seen the answer, and it is too old for it */
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 2);
    world_deinit(&world);
}

Test(lane, a_flight_takes_so_many_tickets_and_no_more) {
    struct world world;
    start_at_the_gate(&world, 8);
    struct caller *const callers = calloc(LIMIT_TICKETS_PER_FLIGHT + 1, sizeof(*callers));
    for (size_t i = 0; i < LIMIT_TICKETS_PER_FLIGHT + 1; i++)
        cr_assert_eq(call_of(&world, &callers[i], SENTINEL_TOKEN, LONG_MS), 0);
    release(&callers[LIMIT_TICKETS_PER_FLIGHT], 1, REASON_OVERLOADED);
    gate_open(&world);
    release(callers, LIMIT_TICKETS_PER_FLIGHT, REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 1);
    free(callers);
    world_deinit(&world);
}

/* ---- places ---- */

static void ask_for_many(struct world *world, struct caller *callers, size_t n_callers) {
    for (size_t i = 0; i < n_callers; i++) {
        char token[32];
        snprintf(token, sizeof(token), "token-%zu", i);
        cr_assert_eq(call_of(world, &callers[i], token, 5 * LONG_MS), 0);
    }
}

Test(lane, no_more_calls_than_allowed_are_under_way_and_the_others_wait) {
    struct world world;
    start_at_the_gate(&world, 2);
    struct caller callers[20];
    ask_for_many(&world, callers, 20);
    wait_for(&world, &world.n_at_gate, 2);
    cr_assert_eq(https_server_n_requests(world.server), 2);
    gate_open(&world);
    release(callers, 20, REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 20);
    cr_assert_eq(https_server_n_connections(world.server), 2, "connections are kept and used again");
    world_deinit(&world);
}

Test(lane, so_many_flights_wait_and_no_more) {
    struct world world;
    start_at_the_gate(&world, 2);
    const size_t n_taken = LIMIT_FLIGHTS_WAITING + 2;
    struct caller *const callers = calloc(n_taken + 3, sizeof(*callers));
    ask_for_many(&world, callers, n_taken + 3);
    release(&callers[n_taken], 3, REASON_OVERLOADED);
    gate_open(&world);
    release(callers, n_taken, REASON_OK);
    free(callers);
    world_deinit(&world);
}

Test(lane, a_flight_that_waits_is_joined_too) {
    struct world world;
    start_at_the_gate(&world, 1);
    struct caller callers[3];
    cr_assert_eq(call_of(&world, &callers[0], "a", LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 1);
    cr_assert_eq(call_of(&world, &callers[1], "b", LONG_MS), 0);
    cr_assert_eq(call_of(&world, &callers[2], "b", LONG_MS), 0);
    gate_open(&world);
    release(callers, 3, REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 2);
    world_deinit(&world);
}

/* ---- deadlines ---- */

Test(lane, a_ticket_expires_while_its_flight_goes_on_for_others) {
    struct world world;
    start_at_the_gate(&world, 2);
    struct caller patient, hasty, late;
    cr_assert_eq(call_of(&world, &patient, SENTINEL_TOKEN, LONG_MS), 0);
    cr_assert_eq(call_of(&world, &hasty, SENTINEL_TOKEN, LONG_MS / 2), 0);
    cr_assert_eq(call_of(&world, &late, "late", 0), 0);
    release(&late, 1, REASON_DEADLINE_EXCEEDED); /* so those before it have been taken */
    world.ahead_ms += LONG_MS / 2;
    release(&hasty, 1, REASON_DEADLINE_EXCEEDED);
    cr_assert_geq(hasty.ticket.provider_us, 0);
    gate_open(&world);
    release(&patient, 1, REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 1);
    world_deinit(&world);
}

Test(lane, a_call_that_nobody_waits_for_any_more_is_given_up) {
    struct world world;
    start_at_the_gate(&world, 1);
    struct caller hasty;
    cr_assert_eq(call_of(&world, &hasty, "a", LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 1);
    world.ahead_ms += LONG_MS;
    release(&hasty, 1, REASON_DEADLINE_EXCEEDED);
    struct caller next; /* its place is free, though the provider has not answered */
    cr_assert_eq(call_of(&world, &next, "b", LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 2);
    gate_open(&world);
    release(&next, 1, REASON_OK);
    cr_assert_not(is_cached(&world, "a"));
    world_deinit(&world);
}

Test(lane, a_ticket_expires_while_its_flight_waits_for_a_place) {
    struct world world;
    start_at_the_gate(&world, 1);
    struct caller first, hasty;
    cr_assert_eq(call_of(&world, &first, "a", LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 1);
    const int64_t begun_us = clock_mono_us();
    cr_assert_eq(call_of(&world, &hasty, "b", 100), 0);
    release(&hasty, 1, REASON_DEADLINE_EXCEEDED);
    cr_assert_geq(hasty.delivered_us - begun_us, 100 * 1000 - 1000, "not before its deadline");
    cr_assert_lt(hasty.delivered_us - begun_us, LONG_MS * 1000, "and not with its flight");
    cr_assert_eq(hasty.ticket.provider_us, -1, "it was never asked");
    gate_open(&world);
    release(&first, 1, REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 1);
    world_deinit(&world);
}

Test(lane, a_ticket_that_comes_too_late_is_not_asked_for) {
    struct world world;
    start_at_the_gate(&world, 1);
    struct caller late;
    cr_assert_eq(call_of(&world, &late, SENTINEL_TOKEN, 0), 0);
    release(&late, 1, REASON_DEADLINE_EXCEEDED);
    cr_assert_eq(https_server_n_requests(world.server), 0);
    world_deinit(&world);
}

/* ---- the breaker ---- */

static _Atomic int status;

static void answer_with_the_status(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, status, JSON, NULL, ACTIVE);
}

static void start_with_a_breaker(struct world *world, https_script *script) {
    world_init(world);
    world->introspection.breaker =
        (struct breaker_policy){.failure_permille = 500, .minimum_calls = 4, .window_ms = 10000, .open_for_ms = LONG_MS};
    status = 200;
    world_start(world, script);
}

static void open_breaker(struct world *world) {
    status = 503;
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(ask(world, "a"), REASON_PROVIDER_ERROR);
}

static bool describes(struct world *world, const char *words) {
    struct buffer buffer __attribute__((cleanup(buffer_deinit)));
    buffer_init(&buffer, 4096);
    fetch_describe(world->fetch, &buffer);
    buffer_append_char(&buffer, '\0');
    return strstr(buffer.data, words) != NULL;
}

Test(lane, an_open_breaker_answers_at_once_and_stores_nothing) {
    struct world world;
    start_with_a_breaker(&world, answer_with_the_status);
    cr_assert(describes(&world, "[+]corp endpoint known\n"));
    open_breaker(&world);
    cr_assert_eq(ask(&world, "b"), REASON_BREAKER_OPEN);
    cr_assert_eq(ask(&world, "a"), REASON_BREAKER_OPEN);
    cr_assert_eq(https_server_n_requests(world.server), 4);
    cr_assert_not(is_cached(&world, "a") || is_cached(&world, "b"));
    cr_assert(describes(&world, "[-]corp endpoint known; breaker open\n"));
    world_deinit(&world);
}

Test(lane, after_its_time_one_call_goes_through_and_its_answer_closes_the_breaker) {
    struct world world;
    start_with_a_breaker(&world, answer_with_the_status);
    open_breaker(&world);
    world.ahead_ms += LONG_MS;
    cr_assert_eq(ask(&world, "b"), REASON_PROVIDER_ERROR);
    cr_assert_eq(ask(&world, "b"), REASON_BREAKER_OPEN);
    status = 200;
    world.ahead_ms += LONG_MS;
    cr_assert_eq(ask(&world, "b"), REASON_OK);
    cr_assert_eq(ask(&world, "c"), REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 7);
    cr_assert(describes(&world, "[+]corp endpoint known\n"));
    world_deinit(&world);
}

static void fail_at_the_gate(void *context, const struct https_request *request) {
    if (status == 200)
        gate_pass(context);
    https_reply(request, status, JSON, NULL, ACTIVE);
}

Test(lane, while_the_probe_is_under_way_nobody_else_asks) {
    struct world world;
    start_with_a_breaker(&world, fail_at_the_gate);
    open_breaker(&world);
    status = 200;
    gate_close(&world);
    world.ahead_ms += LONG_MS;
    struct caller probe, joined;
    cr_assert_eq(call_of(&world, &probe, "a", LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 1);
    cr_assert_eq(ask(&world, "b"), REASON_BREAKER_OPEN);
    cr_assert_eq(call_of(&world, &joined, "a", LONG_MS), 0);
    cr_assert(describes(&world, "; breaker half-open\n"));
    gate_open(&world);
    release(&probe, 1, REASON_OK);
    release(&joined, 1, REASON_OK);
    cr_assert_eq(ask(&world, "b"), REASON_OK);
    world_deinit(&world);
}

Test(lane, whoever_waits_for_a_place_hears_at_once_that_the_breaker_has_opened) {
    struct world world;
    world_init(&world);
    world.introspection.breaker =
        (struct breaker_policy){.failure_permille = 500, .minimum_calls = 1, .window_ms = 10000, .open_for_ms = LONG_MS};
    world.introspection.max_concurrent = 1;
    status = 200;
    gate_close(&world);
    world_start(&world, fail_at_the_gate);
    struct caller callers[10];
    ask_for_many(&world, callers, 10);
    wait_for(&world, &world.n_at_gate, 1);
    EVENTUALLY(metrics_has(&world, "kube_introspect_flights_waiting{issuer=\"corp\"} 9"));
    status = 500;
    gate_open(&world);
    release(callers, 1, REASON_PROVIDER_ERROR);
    release(&callers[1], 9, REASON_BREAKER_OPEN);
    cr_assert_eq(https_server_n_requests(world.server), 1);
    world_deinit(&world);
}

Test(lane, a_reply_that_is_one_tokens_fault_opens_nothing) {
    struct world world;
    start_with_a_breaker(&world, answer_with_the_status);
    static const struct {
        int status;
        enum reason reason;
    } cases[] = {{401, REASON_CLIENT_CREDENTIALS_REJECTED}, {404, REASON_PROVIDER_MISCONFIGURED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        status = cases[i].status;
        for (unsigned j = 0; j < 10; j++)
            cr_assert_eq(ask(&world, "a"), cases[i].reason);
    }
    world_deinit(&world);
}

Test(lane, five_calls_in_a_row_without_an_answer_open_the_breaker) {
    struct world world;
    world_init(&world);
    world.introspection.breaker = (struct breaker_policy){
        .failure_permille = 1000, .minimum_calls = 1000, .window_ms = 10000, .open_for_ms = LONG_MS};
    world.introspection.timeout_ms = 50;
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    for (unsigned i = 0; i < LIMIT_BREAKER_TIMEOUTS; i++)
        cr_assert_eq(ask(&world, "a"), REASON_PROVIDER_TIMEOUT);
    cr_assert_eq(ask(&world, "a"), REASON_BREAKER_OPEN);
    world_deinit(&world);
}

Test(lane, callers_who_give_up_before_the_answer_count_as_time_outs) {
    struct world world;
    world_init(&world);
    world.introspection.breaker = (struct breaker_policy){
        .failure_permille = 1000, .minimum_calls = 1000, .window_ms = 10000, .open_for_ms = LONG_MS};
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    for (unsigned i = 0; i < LIMIT_BREAKER_TIMEOUTS; i++) {
        struct caller caller;
        cr_assert_eq(call_of(&world, &caller, "a", LONG_MS), 0);
        wait_for(&world, &world.n_at_gate, i + 1);
        world.ahead_ms += LONG_MS;
        release(&caller, 1, REASON_DEADLINE_EXCEEDED);
    }
    cr_assert_eq(ask(&world, "a"), REASON_BREAKER_OPEN);
    world_deinit(&world);
}

/* They opened the breaker for everybody, of a provider that answers in time. */
Test(lane, callers_who_had_little_time_left_say_nothing_of_the_provider) {
    struct world world;
    world_init(&world);
    world.introspection.breaker = (struct breaker_policy){
        .failure_permille = 1000, .minimum_calls = 1000, .window_ms = 10000, .open_for_ms = 100 * LONG_MS};
    world.introspection.timeout_ms = LONG_MS;
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    for (unsigned i = 0; i < 2 * LIMIT_BREAKER_TIMEOUTS; i++) {
        struct caller caller;
        cr_assert_eq(call_of(&world, &caller, "a", LONG_MS / 4), 0);
        wait_for(&world, &world.n_at_gate, i + 1);
        world.ahead_ms += LONG_MS / 4;
        release(&caller, 1, REASON_DEADLINE_EXCEEDED);
    }
    gate_open(&world);
    cr_assert_eq(ask(&world, "a"), REASON_OK);
    world_deinit(&world);
}

Test(lane, a_reload_keeps_the_breaker_open) {
    struct world world;
    start_with_a_breaker(&world, answer_with_the_status);
    open_breaker(&world);
    struct provider *const previous = world.provider;
    world_make_provider(&world, previous);
    cr_assert_eq(fetch_configure(world.fetch, &world.provider, 1), 0);
    cr_assert_eq(ask(&world, "a"), REASON_BREAKER_OPEN);
    status = 200;
    world.ahead_ms += LONG_MS;
    cr_assert_eq(ask(&world, "a"), REASON_OK);
    cr_assert_eq(https_server_n_requests(world.server), 5);
    provider_unref(previous);
    world_deinit(&world);
}

/* ---- the budget ---- */

/* Asks without waiting, about a token that was good before. */
static void call_of_known(struct world *world, struct caller *caller, const char *token) {
    *caller = (struct caller){.world = world};
    caller->ticket.deadline_mono_ms = clock_mono_ms(&world->clock) + LONG_MS;
    caller->ticket.kind = BUDGET_KNOWN;
    caller->ticket.deliver = on_delivery;
    uint8_t key[DIGEST_BYTES];
    key_of(text_of(token), key);
    cr_assert_eq(fetch_ask(world->fetch, world->provider, key, text_of(token), &caller->ticket), 0);
}

static void start_with_a_budget(struct world *world, uint32_t per_second, uint32_t burst) {
    world_init(world);
    world->introspection.budget = (struct budget_policy){.per_second = per_second, .burst = burst, .unknown_permille = 50};
    status = 200;
    world_start(world, answer_with_the_status);
}

Test(lane, over_budget_the_answer_comes_at_once_and_is_not_stored) {
    struct world world;
    start_with_a_budget(&world, 1, 40);
    cr_assert_eq(ask(&world, "first"), REASON_OK);
    cr_assert_eq(ask(&world, "second"), REASON_OK);
    cr_assert_eq(ask(&world, "b"), REASON_OVER_BUDGET);
    cr_assert_not(is_cached(&world, "b"));
    cr_assert_eq(https_server_n_requests(world.server), 2);
    cr_assert(metrics_has(&world, "kube_introspect_budget_refusals_total{issuer=\"corp\",tokens=\"unknown\"} 1"));
    world.ahead_ms += LONG_MS; /* unknown ones get one in this time */
    cr_assert_eq(ask(&world, "b"), REASON_OK);
    world_deinit(&world);
}

Test(lane, a_flood_of_unknown_tokens_leaves_known_ones_their_part) {
    struct world world;
    start_with_a_budget(&world, 1, 80);
    struct caller flood[100], known[4];
    ask_for_many(&world, flood, 100);
    unsigned n_refused = 0;
    for (size_t i = 0; i < 100; i++) {
        caller_wait(&flood[i]);
        n_refused += flood[i].ticket.reason == REASON_OVER_BUDGET;
        fact_unref(flood[i].ticket.fact);
    }
    cr_assert_eq(n_refused, 96);
    for (size_t i = 0; i < 4; i++) {
        char token[16];
        snprintf(token, sizeof(token), "known-%zu", i);
        call_of_known(&world, &known[i], token);
    }
    release(known, 4, REASON_OK);
    world_deinit(&world);
}

Test(lane, joining_a_flight_costs_no_budget) {
    struct world world;
    world_init(&world);
    world.introspection.budget = (struct budget_policy){.per_second = 1, .burst = 1, .unknown_permille = 1000};
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    struct caller callers[50];
    for (size_t i = 0; i < 50; i++)
        cr_assert_eq(call_of(&world, &callers[i], "a", LONG_MS), 0);
    wait_for(&world, &world.n_at_gate, 1);
    gate_open(&world);
    release(callers, 50, REASON_OK);
    world_deinit(&world);
}

Test(lane, unknown_tokens_get_a_part_of_the_places_and_known_ones_go_first) {
    struct world world;
    world_init(&world);
    world.introspection.budget.unknown_permille = 500;
    world.introspection.max_concurrent = 4;
    gate_close(&world);
    world_start(&world, answer_at_the_gate);
    struct caller unknown[10], known[2];
    ask_for_many(&world, unknown, 10);
    wait_for(&world, &world.n_at_gate, 2);
    EVENTUALLY(metrics_has(&world, "kube_introspect_flights_waiting{issuer=\"corp\"} 8"));
    call_of_known(&world, &known[0], "known-0");
    call_of_known(&world, &known[1], "known-1");
    wait_for(&world, &world.n_at_gate, 4);
    cr_assert_eq(https_server_n_requests(world.server), 4);
    gate_open(&world);
    release(known, 2, REASON_OK);
    release(unknown, 10, REASON_OK);
    world_deinit(&world);
}

Test(lane, a_reload_gives_no_new_burst) {
    struct world world;
    start_with_a_budget(&world, 1, 40);
    cr_assert_eq(ask(&world, "first"), REASON_OK);
    cr_assert_eq(ask(&world, "second"), REASON_OK);
    struct provider *const previous = world.provider;
    world_make_provider(&world, previous);
    cr_assert_eq(fetch_configure(world.fetch, &world.provider, 1), 0);
    cr_assert_eq(ask(&world, "a"), REASON_OVER_BUDGET);
    provider_unref(previous);
    world_deinit(&world);
}
