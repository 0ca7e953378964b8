#include "wire/discovery.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "base/file.h"
#include "lib/memory.h"
#include "lib/sentinel.h"

#define ISSUER "https://id.example.com"
#define ENDPOINT "https://id.example.com/introspect"
#define WITH_ENDPOINT(url) "{\"issuer\":\"" ISSUER "\",\"introspection_endpoint\":\"" url "\"}"

static const struct {
    const char *document;
    int result;
    const char *endpoint;
} documents[] = {
    {WITH_ENDPOINT(ENDPOINT), 0, ENDPOINT},
    {" {\"introspection_endpoint\" : \"" ENDPOINT "\", \"x\": [1], \"issuer\":\"" ISSUER "\"}\n", 0, ENDPOINT},
    {WITH_ENDPOINT("https:\\/\\/id.example.com\\/introspect"), 0, ENDPOINT},
    {WITH_ENDPOINT("https://id.example.com:8443/a/b?c=d&e=%2F"), 0, "https://id.example.com:8443/a/b?c=d&e=%2F"},
    {WITH_ENDPOINT("HTTPS://id.example.com/introspect"), 0, "HTTPS://id.example.com/introspect"},
    {WITH_ENDPOINT("https://[::1]:8443/x"), 0, "https://[::1]:8443/x"},
    {WITH_ENDPOINT("https://id.example.com"), 0, "https://id.example.com"},
    {WITH_ENDPOINT("https://id.example.com/a@b"), 0, "https://id.example.com/a@b"},
    /* the issuer, to the byte */
    {"{\"issuer\":\"" ISSUER "/\",\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_WRONG_ISSUER, NULL},
    {"{\"issuer\":\"https://id.example.co\",\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_WRONG_ISSUER, NULL},
    {"{\"issuer\":\"https://ID.example.com\",\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_WRONG_ISSUER, NULL},
    {"{\"issuer\":\"https://evil.example\",\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_WRONG_ISSUER, NULL},
    {"{\"issuer\":\"\",\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_WRONG_ISSUER, NULL},
    {"{\"issuer\":[\"" ISSUER "\"],\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_MALFORMED, NULL},
    {"{\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_MALFORMED, NULL},
    {"{\"issuer\":null,\"introspection_endpoint\":\"" ENDPOINT "\"}", DISCOVERY_MALFORMED, NULL},
    /* the endpoint */
    {"{\"issuer\":\"" ISSUER "\"}", DISCOVERY_NO_ENDPOINT, NULL},
    {"{\"issuer\":\"" ISSUER "\",\"introspection_endpoint\":null}", DISCOVERY_NO_ENDPOINT, NULL},
    {"{\"issuer\":\"" ISSUER "\",\"introspection_endpoint\":7}", DISCOVERY_MALFORMED, NULL},
    {"{\"issuer\":\"" ISSUER "\",\"introspection_endpoint\":[\"" ENDPOINT "\"]}", DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT(""), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https:///introspect"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://?x"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://:443/x"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("http://id.example.com/introspect"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("file:///etc/passwd"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("/introspect"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT(" https://id.example.com/"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://id.example.com/#x"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://user:password@id.example.com/"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://id.example.com@evil.example/"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://evil.example\\\\@id.example.com/"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://id.example.com/\\r\\nHost: evil"), DISCOVERY_MALFORMED, NULL},
    {WITH_ENDPOINT("https://id.example.com/\\u00e9"), DISCOVERY_MALFORMED, NULL},
    /* no document at all */
    {"", DISCOVERY_MALFORMED, NULL},
    {"[]", DISCOVERY_MALFORMED, NULL},
    {"<html>", DISCOVERY_MALFORMED, NULL},
    {"{\"issuer\":\"" ISSUER "\",\"issuer\":\"" ISSUER "\",\"introspection_endpoint\":\"" ENDPOINT "\"}",
     DISCOVERY_MALFORMED, NULL},
    {"{\"issuer\":\"" ISSUER "\",\"introspection_endpoint\":\"" ENDPOINT
     "\",\"introspection_endpoint\":\"https://evil.example\"}",
     DISCOVERY_MALFORMED, NULL},
};

Test(discovery, takes_the_endpoint_of_the_very_issuer_and_only_over_https) {
    for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
        struct discovery discovery = {0};
        struct error error = {""};
        const int result = discovery_decode(text_of(documents[i].document), TEXT(ISSUER), &discovery, &error);
        cr_expect_eq(result, documents[i].result, "%s: %d", documents[i].document, result);
        if (result == 0)
            cr_expect_str_eq(discovery.introspection_endpoint, documents[i].endpoint);
        else
            cr_expect(error.text[0] != '\0' && discovery.introspection_endpoint == NULL, "%s", documents[i].document);
        discovery_deinit(&discovery);
    }
}

static struct secret *recorded(const char *path) {
    struct secret *bytes;
    struct error error;
    cr_assert_eq(file_read(path, LIMIT_DISCOVERY_BYTES, &bytes, &error), 0, "%s", error.text);
    return bytes;
}

Test(discovery, reads_what_oidc_provider_really_says) {
    struct secret *const document = recorded("test/data/providers/oidc-provider/discovery.json");
    struct discovery discovery;
    cr_assert_eq(discovery_decode(secret_text(document), TEXT("https://localhost:9443"), &discovery, NULL), 0);
    cr_expect_str_eq(discovery.introspection_endpoint, "https://localhost:9443/token/introspection");
    discovery_deinit(&discovery);
    cr_expect_eq(discovery_decode(secret_text(document), TEXT("https://localhost:9443/"), &discovery, NULL),
                 DISCOVERY_WRONG_ISSUER);
    secret_free(document);
}

Test(discovery, reads_what_keycloak_really_says_and_refuses_its_endpoint_over_http) {
    struct secret *const document = recorded("test/data/providers/keycloak/discovery.json");
    static const struct text issuer = TEXT("http://127.0.0.1:9180/realms/demo");
    struct discovery discovery;
    struct error error;
    cr_expect_eq(discovery_decode(secret_text(document), issuer, &discovery, &error), DISCOVERY_MALFORMED);
    cr_expect(strstr(error.text, "https") != NULL, "%s", error.text);
    cr_expect_eq(discovery_decode(secret_text(document), TEXT(ISSUER), &discovery, NULL), DISCOVERY_WRONG_ISSUER);
    secret_free(document);
}

Test(discovery, a_document_that_is_cut_off_anywhere_is_malformed) {
    static const char document[] = WITH_ENDPOINT(ENDPOINT);
    for (size_t n = 0; n < sizeof(document) - 1; n++) {
        struct discovery discovery;
        cr_expect_eq(discovery_decode((struct text){document, n}, TEXT(ISSUER), &discovery, NULL), DISCOVERY_MALFORMED);
    }
}

Test(discovery, bounds_the_document_and_the_endpoint) {
    static char large[LIMIT_DISCOVERY_BYTES + 1];
    memset(large, ' ', sizeof(large));
    memcpy(large, WITH_ENDPOINT(ENDPOINT), sizeof(WITH_ENDPOINT(ENDPOINT)) - 1);
    struct discovery discovery;
    cr_expect_eq(discovery_decode((struct text){large, sizeof(large)}, TEXT(ISSUER), &discovery, NULL),
                 DISCOVERY_MALFORMED);
    cr_assert_eq(discovery_decode((struct text){large, sizeof(large) - 1}, TEXT(ISSUER), &discovery, NULL), 0);
    discovery_deinit(&discovery);

    struct buffer document;
    for (size_t n_bytes = LIMIT_ENDPOINT_BYTES; n_bytes <= LIMIT_ENDPOINT_BYTES + 1; n_bytes++) {
        buffer_init(&document, LIMIT_DISCOVERY_BYTES);
        buffer_append(&document, TEXT("{\"issuer\":\"" ISSUER "\",\"introspection_endpoint\":\"https://"));
        for (size_t i = sizeof("https://") - 1; i < n_bytes; i++)
            buffer_append_char(&document, 'x');
        buffer_append(&document, TEXT("\"}"));
        const int expected = n_bytes > LIMIT_ENDPOINT_BYTES ? DISCOVERY_MALFORMED : 0;
        cr_expect_eq(discovery_decode(buffer_text(&document), TEXT(ISSUER), &discovery, NULL), expected);
        if (expected == 0)
            discovery_deinit(&discovery);
        buffer_deinit(&document);
    }
}

Test(discovery, error_texts_quote_nothing_of_the_document) {
    static const char *const bad[] = {
        SENTINEL,
        "{\"issuer\":\"" SENTINEL "\"}",
        "{\"issuer\":7,\"x\":\"" SENTINEL "\"}",
        "{\"issuer\":\"" ISSUER "\",\"x\":\"" SENTINEL "\"}",
        WITH_ENDPOINT("http://" SENTINEL "/"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct discovery discovery;
        struct error error = {""};
        cr_expect_neq(discovery_decode(text_of(bad[i]), TEXT(ISSUER), &discovery, &error), 0);
        cr_expect_null(strstr(error.text, SENTINEL), "%s", error.text);
    }
}

Test(discovery, the_address_follows_the_issuer_with_one_slash_between) {
    static const struct {
        const char *issuer, *url;
    } cases[] = {
        {"https://id.example.com", "https://id.example.com/.well-known/openid-configuration"},
        {"https://id.example.com/", "https://id.example.com/.well-known/openid-configuration"},
        {"https://id.example.com/realms/demo", "https://id.example.com/realms/demo/.well-known/openid-configuration"},
        {"https://id.example.com/realms/demo/", "https://id.example.com/realms/demo/.well-known/openid-configuration"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buffer buffer;
        buffer_init(&buffer, 256);
        discovery_url(text_of(cases[i].issuer), &buffer);
        cr_expect(text_equal(buffer_text(&buffer), text_of(cases[i].url)), "%s", cases[i].issuer);
        buffer_deinit(&buffer);
    }
}

Test(discovery, survives_each_failing_allocation) {
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct discovery discovery = {0};
        memory_fail_at(n);
        const int result = discovery_decode(TEXT(WITH_ENDPOINT(ENDPOINT)), TEXT(ISSUER), &discovery, NULL);
        has_failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(result, has_failed ? -ENOMEM : 0, "allocation %zu", n);
        discovery_deinit(&discovery);
    }
}
