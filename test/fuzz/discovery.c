/*
 * Whatever discovery_decode() takes is JSON to jansson as well, names the very issuer that was asked for, and gives its
 * introspection_endpoint as it stands there: an https URL with a host, without user information or fragment.
 */
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "fuzz/check.h"
#include "wire/discovery.h"

/* The issuers of the corpus, and one that is empty. */
static const char *const issuers[] = {"https://localhost:9443", "https://id.example.com/realms/demo", ""};

static void check_url(const char *url) {
    CHECK(strncasecmp(url, "https://", 8) == 0 && strlen(url) <= LIMIT_ENDPOINT_BYTES);
    const char *const authority = url + 8;
    const size_t n_authority = strcspn(authority, "/?#");
    CHECK(n_authority > 0 && authority[0] != ':' && memchr(authority, '@', n_authority) == NULL);
    for (const char *c = url; *c != '\0'; c++)
        CHECK(*c > ' ' && *c < 0x7f && *c != '#' && *c != '\\' && *c != '"');
}

static void check_document(struct text document, const char *issuer, const char *endpoint) {
    json_t *const theirs = json_loadb(document.data, document.n_bytes, JSON_REJECT_DUPLICATES, NULL);
    const char *const their_issuer = json_string_value(json_object_get(theirs, "issuer"));
    const char *const their_endpoint = json_string_value(json_object_get(theirs, "introspection_endpoint"));
    CHECK(their_issuer != NULL && strcmp(their_issuer, issuer) == 0);
    CHECK(their_endpoint != NULL && strcmp(their_endpoint, endpoint) == 0);
    json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const struct text document = {.data = (const char *)data, .n_bytes = n_bytes};
    for (size_t i = 0; i < sizeof(issuers) / sizeof(*issuers); i++) {
        struct discovery discovery = {0};
        struct error error = {""};
        const int result = discovery_decode(document, text_of(issuers[i]), &discovery, &error);
        CHECK((result != 0) == (error.text[0] != '\0') && (result == 0) == (discovery.introspection_endpoint != NULL));
        if (result == 0) {
            check_url(discovery.introspection_endpoint);
            check_document(document, issuers[i], discovery.introspection_endpoint);
        }
        discovery_deinit(&discovery);
    }
    return 0;
}
