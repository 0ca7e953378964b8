#include "unit/net/harness.h"

#include <string.h>
#include <strings.h>

/* ---- the plain way ---- */

static void answer_active(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 200, "application/json", NULL, ACTIVE);
}

static bool has_claims(const struct fact *fact, const char *claims) {
    struct buffer buffer __attribute__((cleanup(buffer_deinit)));
    buffer_init(&buffer, 4096);
    cr_assert_eq(fact_claims(fact, &buffer), 0);
    return text_equal(buffer_text(&buffer), text_of(claims));
}

Test(fetch, an_active_token_becomes_a_fact_in_the_cache) {
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
