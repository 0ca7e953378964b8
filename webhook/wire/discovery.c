#include "wire/discovery.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "wire/json.h"

/* The characters of a URL without a fragment (RFC 3986 section 2); a backslash, which some parsers take for a slash, is
 * none. */
static bool is_url_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~:/?[]@!$&'()*+,;=%", c) != NULL);
}

static bool is_https_url(struct text url) {
    static const struct text scheme = TEXT("https://");
    if (url.n_bytes > LIMIT_ENDPOINT_BYTES || url.n_bytes <= scheme.n_bytes ||
        strncasecmp(url.data, scheme.data, scheme.n_bytes) != 0)
        return false;
    for (size_t i = 0; i < url.n_bytes; i++) {
        if (!is_url_char(url.data[i]))
            return false;
    }
    const char *const authority = url.data + scheme.n_bytes; /* a JSON string: a zero byte ends it */
    const size_t n_authority = strcspn(authority, "/?");
    return n_authority > 0 && *authority != ':' && memchr(authority, '@', n_authority) == NULL;
}

static struct text string_member(const json_t *object, const char *name) {
    const json_t *const value = json_object_get(object, name);
    return (struct text){.data = json_string_value(value), .n_bytes = json_string_length(value)};
}

static int read_document(const json_t *document, struct text issuer, struct discovery *ret_discovery, struct error *error) {
    if (!json_is_string(json_object_get(document, "issuer"))) {
        error_set(error, "the discovery document has no issuer: check that issuer.url is an OpenID provider");
        return DISCOVERY_MALFORMED;
    }
    if (!text_equal(string_member(document, "issuer"), issuer)) {
        error_set(error,
                  "the discovery document is another issuer's: issuer.url must equal its issuer to the byte, a slash at "
                  "the end included");
        return DISCOVERY_WRONG_ISSUER;
    }
    const json_t *const endpoint = json_object_get(document, "introspection_endpoint");
    if (endpoint == NULL || json_is_null(endpoint)) {
        error_set(error,
                  "the discovery document names no introspection_endpoint: set introspection.endpoint, if the provider "
                  "has one");
        return DISCOVERY_NO_ENDPOINT;
    }
    const struct text url = string_member(document, "introspection_endpoint");
    if (!is_https_url(url)) {
        error_set(error, "the discovery document's introspection_endpoint is no https URL that can be used: set "
                         "introspection.endpoint");
        return DISCOVERY_MALFORMED;
    }
    char *const copy = strndup(url.data, url.n_bytes);
    if (copy == NULL)
        return -ENOMEM;
    ret_discovery->introspection_endpoint = copy;
    return 0;
}

int discovery_decode(struct text document, struct text issuer, struct discovery *ret_discovery, struct error *error) {
    json_t *root;
    const int loaded =
        document.n_bytes > LIMIT_DISCOVERY_BYTES ? JSON_MALFORMED : json_object_load(document, LIMIT_REPLY_DEPTH, &root);
    if (loaded == JSON_MALFORMED) {
        error_set(error, "the discovery document is no valid JSON object: check that issuer.url is an OpenID provider");
        return DISCOVERY_MALFORMED;
    }
    if (loaded != 0)
        return loaded;
    const int result = read_document(root, issuer, ret_discovery, error);
    json_decref(root);
    return result;
}

void discovery_deinit(struct discovery *discovery) {
    free(discovery->introspection_endpoint);
    discovery->introspection_endpoint = NULL;
}

void discovery_url(struct text issuer, struct buffer *buffer) {
    if (issuer.n_bytes > 0 && issuer.data[issuer.n_bytes - 1] == '/')
        issuer.n_bytes--;
    buffer_append(buffer, issuer);
    buffer_append(buffer, TEXT("/.well-known/openid-configuration"));
}
