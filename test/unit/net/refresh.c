#include "net/refresh.h"

#include "lib/memory.h"
#include "unit/net/harness.h"

static _Atomic int status;

static void answer_with_the_status(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, status, "application/json", NULL, ACTIVE);
}

static void refresh(struct world *world) {
    uint8_t key[DIGEST_BYTES];
    key_of(TEXT(SENTINEL_TOKEN), key);
    refresh_ask(world->fetch, world->metrics, world->provider, key, TEXT(SENTINEL_TOKEN), clock_mono_ms(&world->clock));
}

Test(refresh, puts_the_answer_into_the_cache_and_counts_it) {
    struct world world;
    world_init(&world);
    status = 200;
    world_start(&world, answer_with_the_status);
    refresh(&world);
    EVENTUALLY(metrics_has(&world, "kube_introspect_refreshes_total{issuer=\"corp\",result=\"success\"} 1"));
    cr_expect(is_cached(&world, SENTINEL_TOKEN));
    world_deinit(&world);
}

Test(refresh, a_failure_is_counted_and_changes_nothing) {
    struct world world;
    world_init(&world);
    status = 500;
    world_start(&world, answer_with_the_status);
    refresh(&world);
    EVENTUALLY(metrics_has(&world, "kube_introspect_refreshes_total{issuer=\"corp\",result=\"failure\"} 1"));
    cr_expect_not(is_cached(&world, SENTINEL_TOKEN));
    world_deinit(&world);
}

Test(refresh, without_memory_nobody_is_asked) {
    struct world world;
    world_init(&world);
    status = 200;
    world_start(&world, answer_with_the_status);
    memory_fail_at(1);
    refresh(&world);
    memory_fail_at(0);
    cr_expect_eq(https_server_n_requests(world.server), 0);
    world_deinit(&world);
}
