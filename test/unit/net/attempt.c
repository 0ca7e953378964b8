#include "unit/net/harness.h"

#include <string.h>

#define JSON "application/json"

/* ---- the plain way ---- */

static void answer_active(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 200, "application/json", NULL, ACTIVE);
}

static void answer_inactive(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 200, "application/json; charset=utf-8", NULL, INACTIVE);
}

static bool has_claims(const struct fact *fact, const char *claims) {
    struct buffer buffer __attribute__((cleanup(buffer_deinit)));
    buffer_init(&buffer, 4096);
    cr_assert_eq(fact_claims(fact, &buffer), 0);
    return text_equal(buffer_text(&buffer), text_of(claims));
}

Test(attempt, an_active_token_becomes_a_fact_in_the_cache) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    struct caller caller;
    const int64_t before_ms = clock_mono_ms(&clock_system);
    cr_assert_eq(call_of(&world, &caller, SENTINEL_TOKEN, LONG_MS), 0);
    caller_wait(&caller);
    cr_assert_eq(caller.ticket.reason, REASON_OK);
    const struct fact *const fact = caller.ticket.fact;
    cr_assert_eq(fact->answer, FACT_ACTIVE);
    cr_assert_eq(fact->exp_unix_s, 4102444800);
    cr_assert_eq(fact->nbf_unix_s, FACT_NO_TIME);
    cr_assert(has_claims(fact, "{\"sub\":\"alice\",\"groups\":[\"dev\"]}"));
    cr_assert(text_equal(fact_token(fact), TEXT(SENTINEL_TOKEN)));
    cr_assert_geq(fact->asked_mono_ms, before_ms);
    cr_assert_leq(fact->asked_mono_ms, clock_mono_ms(&clock_system));
    cr_assert_gt(caller.ticket.provider_us, 0);
    cr_assert(is_cached(&world, SENTINEL_TOKEN));
    fact_unref(caller.ticket.fact);
    world_deinit(&world);
}

Test(attempt, an_inactive_token_becomes_a_negative_fact) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_inactive);
    struct caller caller;
    cr_assert_eq(call_of(&world, &caller, SENTINEL_TOKEN, LONG_MS), 0);
    caller_wait(&caller);
    cr_assert_eq(caller.ticket.reason, REASON_OK);
    cr_assert_eq(caller.ticket.fact->answer, FACT_INACTIVE);
    cr_assert(is_cached(&world, SENTINEL_TOKEN));
    fact_unref(caller.ticket.fact);
    world_deinit(&world);
}

static void answer_unsupported(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 400, JSON, NULL, "{\"error\":\"unsupported_token_type\"}");
}

Test(attempt, an_unsupported_token_type_is_an_answer) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_unsupported);
    struct caller caller;
    cr_assert_eq(call_of(&world, &caller, SENTINEL_TOKEN, LONG_MS), 0);
    caller_wait(&caller);
    cr_assert_eq(caller.ticket.reason, REASON_OK);
    cr_assert_eq(caller.ticket.fact->answer, FACT_UNSUPPORTED_TOKEN_TYPE);
    cr_assert(is_cached(&world, SENTINEL_TOKEN));
    fact_unref(caller.ticket.fact);
    world_deinit(&world);
}

/* ---- two lines in the secret file ---- */

#define BASIC_FIRST "Basic d2ViaG9vayUzQTE6Zmlyc3Q="  /* webhook%3A1:first */
#define BASIC_SECOND "Basic d2ViaG9vayUzQTE6c2Vjb25k" /* webhook%3A1:second */

static _Atomic(const char *) right_authorization;
static _Atomic int refusal = 401;

static void answer_to_the_right_secret(void *context, const struct https_request *request) {
    (void)context;
    const bool is_right = https_has_header(request, "Authorization", right_authorization);
    https_reply(request, is_right ? 200 : refusal, JSON, NULL, ACTIVE);
}

static void start_with_two_secrets(struct world *world) {
    world_init(world);
    secret_free(world->files.client_secrets[0]);
    world->files.client_secrets[0] = secret_of("first");
    world->files.client_secrets[1] = secret_of("second");
    world->files.n_client_secrets = 2;
    world_start(world, answer_to_the_right_secret);
}

static unsigned requests_for(struct world *world, const char *token, enum reason reason) {
    const unsigned before = https_server_n_requests(world->server);
    cr_assert_eq(ask(world, token), reason);
    return https_server_n_requests(world->server) - before;
}

Test(attempt, the_second_line_is_tried_on_a_401_and_then_preferred) {
    struct world world;
    right_authorization = BASIC_SECOND;
    start_with_two_secrets(&world);
    cr_assert_eq(requests_for(&world, "a", REASON_OK), 2);
    cr_assert_eq(requests_for(&world, "b", REASON_OK), 1);
    right_authorization = BASIC_FIRST;
    cr_assert_eq(requests_for(&world, "c", REASON_OK), 2, "from the first line again");
    cr_assert_eq(requests_for(&world, "d", REASON_OK), 1);
    world_deinit(&world);
}

Test(attempt, a_403_is_a_rejection_as_well) {
    struct world world;
    right_authorization = BASIC_SECOND;
    refusal = 403;
    start_with_two_secrets(&world);
    cr_assert_eq(requests_for(&world, "a", REASON_OK), 2);
    world_deinit(&world);
}

Test(attempt, each_line_is_tried_once_only) {
    struct world world;
    right_authorization = "Basic bm9uZQ==";
    start_with_two_secrets(&world);
    cr_assert_eq(requests_for(&world, "a", REASON_CLIENT_CREDENTIALS_REJECTED), 2);
    cr_assert_eq(requests_for(&world, "b", REASON_CLIENT_CREDENTIALS_REJECTED), 2);
    cr_assert_not(is_cached(&world, "a"));
    world_deinit(&world);
}

static void answer_to_the_second_in_the_body(void *context, const struct https_request *request) {
    (void)context;
    const bool is_right =
        strcmp(request->body, "token=a&token_type_hint=access_token&client_id=webhook%3A1&client_secret=second") == 0;
    https_reply(request, is_right ? 200 : 401, JSON, NULL, ACTIVE);
}

Test(attempt, the_second_line_is_tried_in_the_body_too) {
    struct world world;
    world_init(&world);
    world.introspection.method = CLIENT_SECRET_POST;
    world.files.client_secrets[1] = secret_of("second");
    world.files.n_client_secrets = 2;
    world_start(&world, answer_to_the_second_in_the_body);
    cr_assert_eq(requests_for(&world, "a", REASON_OK), 2);
    world_deinit(&world);
}

/* ---- connections that the provider closes ---- */

Test(attempt, a_connection_closed_while_idle_costs_nobody_a_login) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    for (unsigned i = 1; i <= 5; i++) {
        cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK, "round %u", i);
        cr_assert_eq(https_server_n_connections(world.server), i);
        https_server_close_connections(world.server);
    }
    world_deinit(&world);
}

/* As an idle timeout that meets the next request: that one is read and never answered. */
static void close_on_the_second(void *context, const struct https_request *request) {
    (void)context;
    if (request->nth == 2)
        https_close(request);
    else
        https_reply(request, 200, JSON, NULL, ACTIVE);
}

static void reset_on_the_second(void *context, const struct https_request *request) {
    (void)context;
    if (request->nth == 2)
        https_reset(request);
    else
        https_reply(request, 200, JSON, NULL, ACTIVE);
}

static void expect_no_login_lost(https_script *script) {
    struct world world;
    world_init(&world);
    world_start(&world, script);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK, "login %u", i);
    world_deinit(&world);
}

Test(attempt, a_request_that_meets_a_closing_connection_goes_over_a_new_one) {
    expect_no_login_lost(close_on_the_second);
}

Test(attempt, a_request_that_meets_a_reset_connection_goes_over_a_new_one) {
    expect_no_login_lost(reset_on_the_second);
}

static void reset_half_way_on_the_second(void *context, const struct https_request *request) {
    (void)context;
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    if (request->nth == 2) {
        https_write(request, half, sizeof(half) - 1);
        https_reset(request);
    } else {
        https_reply(request, 200, JSON, NULL, ACTIVE);
    }
}

/* libcurl tries again by itself as long as nothing has come; here something has, so it is for us to do. */
Test(attempt, a_reply_cut_off_by_a_reset_on_an_old_connection_is_asked_for_again) {
    expect_no_login_lost(reset_half_way_on_the_second);
}

/* Answers the first request of all, and after it closes every connection without a reply. */
static void close_after_the_first(void *context, const struct https_request *request) {
    (void)context;
    static _Atomic bool is_later;
    if (is_later)
        https_close(request);
    else
        https_reply(request, 200, JSON, NULL, ACTIVE);
    is_later = true;
}

Test(attempt, a_provider_that_closes_every_connection_is_not_asked_for_ever) {
    struct world world;
    world_init(&world);
    world_start(&world, close_after_the_first);
    cr_assert_eq(ask(&world, "a"), REASON_OK);
    const unsigned n_requests = requests_for(&world, "b", REASON_PROVIDER_UNREACHABLE);
    cr_assert_leq(n_requests, 3, "%u requests", n_requests);
    world_deinit(&world);
}

static void answer_and_close(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 200, JSON, "Connection: close\r\n", ACTIVE);
    https_close(request);
}

Test(attempt, a_provider_without_keep_alive_is_asked_over_new_connections) {
    expect_no_login_lost(answer_and_close);
}

/* ---- once more, after a pause ---- */

/* Fails with a status so often, and answers then. */
static _Atomic int failing_status, n_failures;
static _Atomic(const char *) more_headers;

static void fail_for_a_while(void *context, const struct https_request *request) {
    (void)context;
    const bool fails = n_failures-- > 0;
    https_reply(request, fails ? failing_status : 200, JSON, fails ? more_headers : NULL, ACTIVE);
}

static void start_with_retries(struct world *world, uint32_t max_retries, int status, int n_times) {
    world_init(world);
    world->introspection.max_retries = max_retries;
    failing_status = status;
    n_failures = n_times;
    more_headers = NULL;
    world_start(world, fail_for_a_while);
}

Test(attempt, a_failure_that_passes_costs_nobody_a_login) {
    static const int statuses[] = {502, 503, 504};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        start_with_retries(&world, 2, statuses[i], 2);
        cr_assert_eq(requests_for(&world, "a", REASON_OK), 3);
        world_deinit(&world);
    }
}

Test(attempt, no_more_retries_than_configured) {
    struct world world;
    start_with_retries(&world, 2, 503, 1000);
    cr_assert_eq(requests_for(&world, "a", REASON_PROVIDER_ERROR), 3);
    cr_assert_not(is_cached(&world, "a"));
    world_deinit(&world);
}

Test(attempt, what_does_not_pass_is_not_tried_again) {
    static const int statuses[] = {500, 501, 429, 404, 401};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        struct world world;
        start_with_retries(&world, 5, statuses[i], 1);
        struct caller caller;
        cr_assert_eq(call_of(&world, &caller, "a", LONG_MS), 0);
        caller_wait(&caller);
        cr_assert_neq(caller.ticket.reason, REASON_OK);
        cr_assert_eq(https_server_n_requests(world.server), 1, "%d", statuses[i]);
        world_deinit(&world);
    }
}

Test(attempt, a_provider_that_names_its_time_is_asked_then_and_whoever_cannot_wait_hears_at_once) {
    struct world world;
    start_with_retries(&world, 1, 429, 1);
    more_headers = "Retry-After: 30\r\n";
    struct caller patient, hasty;
    const int64_t begun_us = clock_mono_us();
    cr_assert_eq(call_of(&world, &hasty, "a", 15000), 0);
    cr_assert_eq(call_of(&world, &patient, "a", 60000), 0);
    caller_wait(&hasty);
    cr_assert_eq(hasty.ticket.reason, REASON_PROVIDER_THROTTLED);
    cr_assert_lt(clock_mono_us() - begun_us, 10000000);
    world.ahead_ms += 31000;
    caller_wait(&patient);
    cr_assert_eq(patient.ticket.reason, REASON_OK, "%s", reason_word(patient.ticket.reason));
    fact_unref(patient.ticket.fact);
    cr_assert_eq(https_server_n_requests(world.server), 2);
    world_deinit(&world);
}

Test(attempt, whoever_asks_during_the_pause_joins_and_leaves_at_his_own_deadline) {
    struct world world;
    start_with_retries(&world, 1, 503, 1);
    more_headers = "Retry-After: 30\r\n";
    struct caller first, joined[100], leaving;
    cr_assert_eq(call_of(&world, &first, "a", 60000), 0);
    EVENTUALLY(metrics_has(&world, "kube_introspect_retries_total{issuer=\"corp\",result=\"made\"} 1"));
    for (size_t i = 0; i < 100; i++)
        cr_assert_eq(call_of(&world, &joined[i], "a", 60000), 0);
    cr_assert_eq(call_of(&world, &leaving, "a", 50), 0);
    caller_wait(&leaving);
    cr_assert_neq(leaving.ticket.reason, REASON_OK);
    world.ahead_ms += 31000;
    caller_wait(&first);
    cr_assert_eq(first.ticket.reason, REASON_OK);
    fact_unref(first.ticket.fact);
    for (size_t i = 0; i < 100; i++) {
        caller_wait(&joined[i]);
        cr_assert_eq(joined[i].ticket.reason, REASON_OK);
        fact_unref(joined[i].ticket.fact);
    }
    cr_assert_eq(https_server_n_requests(world.server), 2);
    world_deinit(&world);
}

Test(attempt, retries_end_with_their_budget) {
    struct world world;
    start_with_retries(&world, 1, 503, 100000);
    unsigned n = 0;
    for (unsigned i = 0; i < 40; i++) {
        char token[16];
        snprintf(token, sizeof(token), "%u", i);
        n += requests_for(&world, token, REASON_PROVIDER_ERROR);
    }
    cr_assert_geq(n, 40 + LIMIT_RETRY_RESERVE);
    cr_assert_leq(n, 40 + LIMIT_RETRY_RESERVE + 4);
    world_deinit(&world);
}

Test(attempt, an_open_breaker_ends_the_retries) {
    struct world world;
    world_init(&world);
    world.introspection.max_retries = 5;
    world.introspection.breaker =
        (struct breaker_policy){.failure_permille = 500, .minimum_calls = 2, .window_ms = 10000, .open_for_ms = LONG_MS};
    failing_status = 503;
    n_failures = 100000;
    more_headers = NULL;
    world_start(&world, fail_for_a_while);
    cr_assert_eq(requests_for(&world, "a", REASON_PROVIDER_ERROR), 2);
    cr_assert_eq(requests_for(&world, "a", REASON_BREAKER_OPEN), 0);
    world_deinit(&world);
}

Test(attempt, stopping_ends_a_pause) {
    struct world world;
    start_with_retries(&world, 1, 503, 1);
    more_headers = "Retry-After: 30\r\n";
    struct caller caller;
    cr_assert_eq(call_of(&world, &caller, "a", 60000), 0);
    EVENTUALLY(https_server_n_requests(world.server) == 1);
    world_stop_fetch(&world);
    caller_wait(&caller);
    cr_assert_eq(caller.ticket.reason, REASON_STOPPING);
    world_deinit(&world);
}
