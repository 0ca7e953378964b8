/*
 * What libcurl alone can do: so many introspection calls at a time, one after the other, with nothing made of the replies.
 * The floor under an uncached review, as the static reply is the floor under a cached one.
 *
 *   calls URL CA_FILE CONNECTIONS SECONDS
 *
 * Prints {"per_second": N, "errors": N}.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/multi.h"

#define MAX_CONNECTIONS 1024
#define BODY "token=0123456789012345678901234567890123456789012&token_type_hint=access_token"

static size_t ignore(char *bytes, size_t size, size_t n, void *context) {
    (void)bytes;
    (void)context;
    return size * n;
}

/* As webhook/net/call.c sets its own up. */
static CURL *make_easy(const char *url, const char *ca_file, struct curl_slist *headers) {
    CURL *const easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 2000L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "kube-introspect");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, BODY);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    return easy;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "calls URL CA_FILE CONNECTIONS SECONDS\n");
        return 2;
    }
    const unsigned long n_connections = strtoul(argv[3], NULL, 10);
    const int64_t took_us = (int64_t)(strtod(argv[4], NULL) * 1e6);
    static struct multi multi;
    static CURL *easies[MAX_CONNECTIONS];
    if (n_connections == 0 || n_connections > MAX_CONNECTIONS || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        multi_init(&multi) != 0)
        return 1;
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    headers = curl_slist_append(headers, "Expect:");
    headers = curl_slist_append(headers, "Authorization: Basic YmVuY2g6YmVuY2gtc2VjcmV0");
    for (unsigned long i = 0; i < n_connections; i++) {
        easies[i] = make_easy(argv[1], argv[2], headers);
        multi_add(&multi, easies[i]);
    }
    unsigned long n_calls = 0, n_errors = 0;
    const int64_t end_us = clock_mono_us() + took_us;
    bool has_ended = false;
    while (clock_mono_us() < end_us) {
        multi_turn(&multi, has_ended ? 0 : 100);
        CURLcode code;
        has_ended = false;
        for (CURL *easy; (easy = multi_ended(&multi, &code)) != NULL; n_calls++) {
            has_ended = true;
            n_errors += code != CURLE_OK;
            multi_remove(&multi, easy);
            curl_easy_setopt(easy, CURLOPT_URL, argv[1]); /* each call names its own, as the webhook's do */
            multi_add(&multi, easy);
        }
    }
    printf("{\"per_second\": %.0f, \"errors\": %lu}\n", (double)n_calls * 1e6 / (double)took_us, n_errors);
    for (unsigned long i = 0; i < n_connections; i++) {
        multi_remove(&multi, easies[i]);
        curl_easy_cleanup(easies[i]);
    }
    multi_deinit(&multi);
    curl_slist_free_all(headers);
    return 0;
}
