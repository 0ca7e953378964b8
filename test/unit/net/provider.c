#include "unit/net/harness.h"

#include "lib/memory.h"
#include "net/lane.h"

/* A world without a server: only what provider_new() needs. */
static void world_without_server(struct world *world) {
    world_init(world);
    snprintf(world->issuer_url, sizeof(world->issuer_url), "https://id.example.com");
    snprintf(world->endpoint, sizeof(world->endpoint), "https://id.example.com/introspect");
    world->policy.url = text_of(world->issuer_url);
    cr_assert_eq(metrics_new(&world->metrics), 0);
}

static void use_client_certificate(struct world *world, const char *cert, const char *key) {
    world->introspection.method = CLIENT_TLS;
    world->introspection.cert_file = (char *)"tls/client.crt";
    world->introspection.key_file = (char *)"tls/client.key";
    world->files.client_cert_pem = secret_of(cert);
    world->files.client_key_pem = secret_of(key);
}

Test(provider, a_configured_endpoint_is_known_at_once) {
    struct world world;
    world_without_server(&world);
    world_make_provider(&world, NULL);
    const struct decide_issuer key = provider_key(world.provider);
    cr_assert(text_equal(key.endpoint, TEXT("https://id.example.com/introspect")));
    cr_assert(text_equal(key.client, TEXT("webhook:1")));
    world_deinit(&world);
}

Test(provider, an_endpoint_to_be_discovered_is_empty) {
    struct world world;
    world_without_server(&world);
    world.introspection.endpoint = NULL;
    world_make_provider(&world, NULL);
    cr_assert_eq(provider_key(world.provider).endpoint.n_bytes, 0);
    world_deinit(&world);
}

Test(provider, without_metrics_nobody_is_told) {
    struct world world;
    world_without_server(&world);
    struct provider *provider;
    cr_assert_eq(provider_new(&world.snapshot, 0, NULL, NULL, &provider, NULL), 0);
    provider_unref(provider);
    world_deinit(&world);
}

static void expect_invalid(struct world *world, const char *field, const char *file) {
    struct provider *provider = NULL;
    struct error error = {.text = ""};
    cr_expect_eq(provider_new(&world->snapshot, 0, world->metrics, NULL, &provider, &error), PROVIDER_INVALID);
    cr_expect_null(provider);
    cr_expect_not_null(strstr(error.text, field), "%s", error.text);
    cr_expect_not_null(strstr(error.text, file), "%s", error.text);
    cr_expect_eq(world->snapshot.n_refs, 1);
    world_deinit(world);
}

Test(provider, a_ca_file_without_a_certificate_is_named) {
    struct world world;
    world_without_server(&world);
    secret_free(world.files.ca_pem);
    world.files.ca_pem = secret_of("no certificate\n");
    expect_invalid(&world, "issuers[0].issuer.certificateAuthorityFile", "ca.crt");
}

Test(provider, a_key_that_is_not_the_certificates_is_named) {
    struct world world;
    world_without_server(&world);
    use_client_certificate(&world, world.certificate.cert_pem, world.ca.key_pem);
    expect_invalid(&world, "issuers[0].introspection.client.keyFile", "tls/client.key");
}

Test(provider, a_client_certificate_that_is_none_is_named) {
    struct world world;
    world_without_server(&world);
    use_client_certificate(&world, "garbage", world.certificate.key_pem);
    expect_invalid(&world, "issuers[0].introspection.client.certFile", "tls/client.crt");
}

/* The CA of the world ends in an hour. */
static int64_t expiry_of(struct world *world) {
    struct buffer text __attribute__((cleanup(buffer_deinit)));
    buffer_init(&text, LIMIT_METRICS_BYTES);
    metrics_render(world->metrics, NULL, NULL, "test", &text);
    buffer_append_char(&text, '\0');
    cr_assert_eq(text.error, 0);
    const char *const name = strstr(text.data, "issuer:corp");
    cr_assert_not_null(name);
    const char *const value = strchr(name, ' ');
    cr_assert_not_null(value);
    return (int64_t)strtod(value, NULL) - clock_unix_ms(&clock_system) / 1000;
}

Test(provider, the_certificate_that_ends_first_is_counted) {
    struct world world;
    world_without_server(&world);
    struct certificate soon =
        certificate_new(&world.ca, &(struct certificate_wish){.common_name = "client", .ends_in_s = 1000});
    use_client_certificate(&world, soon.cert_pem, soon.key_pem);
    world_make_provider(&world, NULL);
    cr_assert_eq(world.provider->lane->n_secrets, 1);
    const int64_t left_s = expiry_of(&world);
    cr_assert(left_s > 900 && left_s <= 1000, "%lld s", (long long)left_s);
    certificate_deinit(&soon);
    world_deinit(&world);
}

Test(provider, without_a_client_certificate_the_ca_counts) {
    struct world world;
    world_without_server(&world);
    world_make_provider(&world, NULL);
    const int64_t left_s = expiry_of(&world);
    cr_assert(left_s > 3500 && left_s <= 3600, "%lld s", (long long)left_s);
    world_deinit(&world);
}

Test(provider, an_endpoint_discovered_for_the_same_issuer_is_taken_over) {
    struct world world;
    world_without_server(&world);
    world.introspection.endpoint = NULL;
    world_make_provider(&world, NULL);
    struct provider *const previous = world.provider;
    /* as the fetch thread does it */
    previous->lane->discover.endpoints[previous->lane->discover.n_endpoints++] = strdup("https://id.example.com/found");
    previous->endpoint = previous->lane->discover.endpoints[0];
    world_make_provider(&world, previous);
    const char *const endpoint = world.provider->endpoint;
    cr_assert_str_eq(endpoint, "https://id.example.com/found");
    cr_assert_neq(endpoint, previous->endpoint, "it must not die with the provider before");
    provider_unref(world.provider);

    world.policy.url = TEXT("https://other.example.com");
    world_make_provider(&world, previous);
    cr_assert_null(world.provider->endpoint, "another issuer's endpoint");
    provider_unref(previous);
    world_deinit(&world);
}

Test(provider, an_endpoint_that_was_configured_is_not_taken_for_a_discovered_one) {
    struct world world;
    world_without_server(&world);
    world_make_provider(&world, NULL);
    struct provider *const previous = world.provider;
    world.introspection.endpoint = NULL;
    world_make_provider(&world, previous);
    cr_assert_null(world.provider->endpoint);
    provider_unref(previous);
    world_deinit(&world);
}

Test(provider, it_is_quick_until_its_calls_take_long_and_quick_again_when_they_do_not) {
    struct world world;
    world_init(&world);
    world_make_provider(&world, NULL);
    struct provider *const provider = world.provider;
    cr_assert(provider_is_quick(provider), "nothing is known of it");
    provider_took(provider, 10 * LIMIT_PROVIDER_QUICK_US);
    cr_assert(provider_is_quick(provider), "one slow call says little");
    for (unsigned i = 0; i < 12; i++)
        provider_took(provider, 2 * LIMIT_PROVIDER_QUICK_US);
    cr_assert_not(provider_is_quick(provider));
    for (unsigned i = 0; i < 100; i++)
        provider_took(provider, 2 * LIMIT_PROVIDER_QUICK_US);
    cr_assert_not(provider_is_quick(provider));
    for (unsigned i = 0; i < 12; i++)
        provider_took(provider, LIMIT_PROVIDER_QUICK_US / 20);
    cr_assert(provider_is_quick(provider));
    world_deinit(&world);
}

Test(provider, each_failed_allocation_is_survived) {
    struct world world;
    world_without_server(&world);
    world.files.client_secrets[1] = secret_of("another");
    world.files.n_client_secrets = 2;
    int r = -ENOMEM;
    for (size_t n = 1; r != 0; n++) {
        struct provider *provider = NULL;
        memory_fail_at(n);
        r = provider_new(&world.snapshot, 0, NULL, NULL, &provider, NULL);
        const bool has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(r == 0, provider != NULL);
        cr_assert(r == 0 || (r == -ENOMEM && has_failed), "%d at allocation %zu", r, n);
        provider_unref(provider);
        cr_assert_eq(world.snapshot.n_refs, 1);
    }
    world_deinit(&world);
}
