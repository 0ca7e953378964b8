#include "ops/config_checks.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/limits.h"

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alphanumeric(char c) {
    return is_lower(c) || is_upper(c) || is_digit(c);
}

static bool is_one_of(char c, const char *characters) {
    return c != '\0' && strchr(characters, c) != NULL;
}

static struct text from(struct text text, size_t start) {
    return (struct text){.data = text.data + start, .n_bytes = text.n_bytes - start};
}

static struct text up_to(struct text text, size_t n_bytes) {
    return (struct text){.data = text.data, .n_bytes = n_bytes};
}

/* Where the character stands; n_bytes where it does not. */
static size_t find(struct text text, char c) {
    const char *at = text.n_bytes == 0 ? NULL : memchr(text.data, c, text.n_bytes);
    return at == NULL ? text.n_bytes : (size_t)(at - text.data);
}

/* ---- names ---- */

static bool is_label(struct text text) {
    if (text.n_bytes == 0 || text.n_bytes > 63 || text.data[0] == '-' || text.data[text.n_bytes - 1] == '-')
        return false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (!is_lower(text.data[i]) && !is_digit(text.data[i]) && text.data[i] != '-')
            return false;
    }
    return true;
}

static bool is_domain(struct text text) {
    if (text.n_bytes == 0 || text.n_bytes > 253)
        return false;
    for (;;) {
        const size_t dot = find(text, '.');
        if (!is_label(up_to(text, dot)))
            return false;
        if (dot == text.n_bytes)
            return true;
        text = from(text, dot + 1);
    }
}

const char *config_check_label(struct text text) {
    if (is_label(text))
        return NULL;
    return "this is no DNS label: use at most 63 lower-case letters, digits and \"-\", not at the start or end";
}

const char *config_check_name(struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (!is_alphanumeric(text.data[i]) && !is_one_of(text.data[i], "._-"))
            return "use only letters, digits, \".\", \"_\" and \"-\"";
    }
    return NULL;
}

/* A path segment, as the API server wants it of RBAC's names (ValidatePathSegmentName): it becomes part of a URL. */
const char *config_check_role(struct text text) {
    if (text_equal(text, TEXT(".")) || text_equal(text, TEXT("..")) || find(text, '/') < text.n_bytes ||
        find(text, '%') < text.n_bytes)
        return "no role can be called so: a role's name has neither \"/\" nor \"%\", and is not \".\" or \"..\"";
    return NULL;
}

/* ---- URLs ---- */

static bool is_port(struct text text, bool zero_too) {
    unsigned port = 0;
    if (text.n_bytes == 0 || text.n_bytes > 5)
        return false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (!is_digit(text.data[i]))
            return false;
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    return port <= 65535 && (port > 0 || zero_too);
}

static bool is_ip_address(int family, struct text text) {
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.n_bytes == 0 || text.n_bytes >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.n_bytes);
    copy[text.n_bytes] = '\0';
    return inet_pton(family, copy, &address) == 1;
}

static bool is_host(struct text text) {
    if (text.n_bytes == 0 || text.n_bytes > 253 || text.data[0] == '.' || text.data[0] == '-')
        return false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (!is_alphanumeric(text.data[i]) && !is_one_of(text.data[i], "._-"))
            return false;
        if (text.data[i] == '.' && i > 0 && text.data[i - 1] == '.')
            return false;
    }
    return true;
}

static const char *check_authority(struct text text) {
    if (find(text, '@') < text.n_bytes)
        return "the URL names a user: remove what stands before \"@\", credentials go into introspection.client";
    const bool is_ipv6 = text.n_bytes > 0 && text.data[0] == '[';
    const size_t host_end = is_ipv6 ? find(text, ']') : find(text, ':');
    if (is_ipv6 ? host_end == text.n_bytes || !is_ip_address(AF_INET6, from(up_to(text, host_end), 1))
                : !is_host(up_to(text, host_end)))
        return "the URL has no valid host after https://";
    const struct text rest = from(text, host_end + is_ipv6);
    if (rest.n_bytes > 0 && (rest.data[0] != ':' || !is_port(from(rest, 1), false)))
        return "the port of the URL is not a number from 1 to 65535";
    return NULL;
}

static bool are_url_characters(struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char c = text.data[i];
        if (c == '%' && (i + 2 >= text.n_bytes || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2])))
            return false;
        if (!is_alphanumeric(c) && !is_one_of(c, "-._~:/?#[]@!$&'()*+,;=%"))
            return false;
    }
    return true;
}

static const char *check_url(struct text text) {
    const struct text scheme = TEXT("https://");
    if (!text_starts_with(text, scheme))
        return "this is not an https URL: write https:// in front; tokens and credentials are sent there";
    if (!are_url_characters(text))
        return "the URL has characters that no URL has: percent-encode them";
    if (find(text, '#') < text.n_bytes)
        return "the URL has a fragment: remove \"#\" and what follows";
    const struct text rest = from(text, scheme.n_bytes);
    size_t end = 0;
    while (end < rest.n_bytes && !is_one_of(rest.data[end], "/?"))
        end++;
    return check_authority(up_to(rest, end));
}

const char *config_check_issuer_url(struct text text) {
    const char *wrong = check_url(text);
    if (wrong == NULL && find(text, '?') < text.n_bytes)
        wrong = "an issuer URL has no query: write it exactly as the provider's tokens have it in iss";
    return wrong;
}

const char *config_check_endpoint_url(struct text text) {
    return check_url(text);
}

/* ---- what goes into an identity ---- */

const char *config_check_prefix(struct text text) {
    if (!text_starts_with(text, TEXT("system:")))
        return NULL;
    return "names that start with \"system:\" belong to Kubernetes: choose another prefix, such as \"corp:\"";
}

const char *config_check_token_prefix(struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (!is_alphanumeric(text.data[i]) && !is_one_of(text.data[i], "-._~+/"))
            return "no bearer token starts like this: it has letters, digits and - . _ ~ + / only";
    }
    return NULL;
}

/* The domain itself or one below it. */
static bool is_within(struct text domain, struct text parent) {
    if (domain.n_bytes <= parent.n_bytes)
        return text_equal(domain, parent);
    const size_t n = domain.n_bytes - parent.n_bytes;
    return domain.data[n - 1] == '.' && text_equal(from(domain, n), parent);
}

const char *config_check_extra_key(struct text text) {
    const size_t slash = find(text, '/');
    const struct text domain = up_to(text, slash);
    if (slash + 1 >= text.n_bytes || !is_domain(domain))
        return "this is no key for extra: write a domain of yours and a name, in lower case, such as example.com/tenant";
    for (size_t i = slash + 1; i < text.n_bytes; i++) {
        if (!is_lower(text.data[i]) && !is_digit(text.data[i]) && !is_one_of(text.data[i], "-._~/"))
            return "the name after \"/\" may have lower-case letters, digits and - . _ ~ / only: Kubernetes lower-cases these keys";
    }
    if (is_within(domain, TEXT("k8s.io")) || is_within(domain, TEXT("kubernetes.io")))
        return "this domain belongs to Kubernetes: use one of yours";
    if (is_within(domain, TEXT("kube-introspect.io")))
        return "this domain belongs to kube-introspect: use one of yours";
    return NULL;
}

/* ---- addresses ---- */

static bool is_bracketed_address(struct text text) {
    if (text.n_bytes < 2 || text.data[0] != '[' || text.data[text.n_bytes - 1] != ']')
        return false;
    return is_ip_address(AF_INET6, (struct text){.data = text.data + 1, .n_bytes = text.n_bytes - 2});
}

const char *config_check_address(struct text text, struct text *ret_host, struct text *ret_port) {
    size_t colon = text.n_bytes;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return "the port is missing: write ADDRESS:PORT, such as 0.0.0.0:8443";
    const struct text host = up_to(text, colon - 1), port = from(text, colon);
    if (host.n_bytes == 0)
        return "the address is missing: write 0.0.0.0 or [::] before the port for all of this machine's addresses";
    const bool is_ipv6 = is_bracketed_address(host);
    if (!is_ipv6 && find(host, ':') < host.n_bytes)
        return "this is no IPv6 address and port: put the address in brackets, as in [::]:8443";
    if (!is_ipv6 && !is_ip_address(AF_INET, host))
        return "this is no IP address: names are not looked up here, write 0.0.0.0 or [::] for all addresses";
    if (!is_port(port, true))
        return "the port is not a number from 0 to 65535";
    *ret_host = is_ipv6 ? (struct text){.data = host.data + 1, .n_bytes = host.n_bytes - 2} : host;
    *ret_port = port;
    return NULL;
}
