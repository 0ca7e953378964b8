#include "net/call.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/pem.h"

/* ---- the reply, as it comes ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *context) {
    struct call *const call = context;
    const size_t n_bytes = size * n;
    if (n_bytes > call->max_reply_bytes - call->reply.n_bytes) {
        call->fault = CALL_FAULT_TOO_LARGE;
        return CURL_WRITEFUNC_ERROR;
    }
    buffer_append(&call->reply, (struct text){.data = bytes, .n_bytes = n_bytes});
    if (call->reply.error != 0) {
        call->fault = CALL_FAULT_NO_MEMORY;
        return CURL_WRITEFUNC_ERROR;
    }
    return n_bytes;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context) {
    (void)bytes;
    struct call *const call = context;
    const size_t n_bytes = size * n;
    if (n_bytes > LIMIT_REPLY_HEADER_BYTES - call->n_header_bytes) {
        call->fault = CALL_FAULT_TOO_LARGE;
        return CURL_WRITEFUNC_ERROR;
    }
    call->n_header_bytes += n_bytes;
    return n_bytes;
}

/* ---- the handle ---- */

/* The first failure is kept: a handle that lacks one of its settings must never be used. */
#define SET(option, value)                                                                                                 \
    do {                                                                                                                   \
        if (code == CURLE_OK)                                                                                              \
            code = curl_easy_setopt(easy, option, value);                                                                  \
    } while (0)

static CURLcode set_transport(CURL *easy, long timeout_ms) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_NOSIGNAL, 1L);
    /* A name server that does not answer must not hold up the thread when the call is given up. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PROXY, ""); /* whatever the environment says */
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TIMEOUT_MS, timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    SET(CURLOPT_USERAGENT, "kube-introspect");
    return code;
}

static struct curl_blob blob_of(const struct secret *secret) {
    const struct text text = secret_text(secret);
    return (struct curl_blob){.data = (void *)(uintptr_t)text.data, .len = text.n_bytes, .flags = CURL_BLOB_NOCOPY};
}

static CURLcode set_tls(CURL *easy, const struct snapshot_introspection *files, enum client_method method) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (files->ca_pem != NULL) {
        struct curl_blob ca = blob_of(files->ca_pem);
        SET(CURLOPT_CAINFO_BLOB, &ca);
        /* The blob replaces the system's file of CAs only: its folder would go on being trusted. */
        SET(CURLOPT_CAINFO, NULL);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (method == CLIENT_TLS) {
        struct curl_blob cert = blob_of(files->client_cert_pem), key = blob_of(files->client_key_pem);
        SET(CURLOPT_SSLCERT_BLOB, &cert);
        SET(CURLOPT_SSLKEY_BLOB, &key);
    }
    return code;
}

static CURLcode set_callbacks(CURL *easy, struct call *call) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_ERRORBUFFER, call->message);
    return code;
}

int call_new(const struct snapshot *snapshot, size_t issuer, struct call **ret_call) {
    struct call *const call = calloc(1, sizeof(*call));
    if (call == NULL)
        return -ENOMEM;
    buffer_init(&call->request, LIMIT_INTROSPECTION_REQUEST_BYTES);
    buffer_init(&call->reply, LIMIT_DISCOVERY_BYTES);
    call->easy = curl_easy_init();
    const struct config_introspection *const config = &snapshot->config->introspection[issuer];
    if (call->easy == NULL || set_transport(call->easy, (long)config->timeout_ms) != CURLE_OK ||
        set_tls(call->easy, &snapshot->introspection[issuer], config->method) != CURLE_OK ||
        set_callbacks(call->easy, call) != CURLE_OK) {
        call_free(call);
        return -ENOMEM;
    }
    *ret_call = call;
    return 0;
}

void call_free(struct call *call) {
    if (call == NULL)
        return;
    curl_easy_cleanup(call->easy);
    buffer_deinit_secret(&call->request);
    buffer_deinit_secret(&call->reply);
    free(call);
}

/* ---- an exchange ---- */

/* A large body once is no reason to keep its memory beside every idle connection. */
static void wipe(struct buffer *buffer) {
    if (buffer->capacity_bytes > LIMIT_IDLE_BUFFER_BYTES) {
        buffer_deinit_secret(buffer);
        return;
    }
    secret_wipe(buffer->data, buffer->n_bytes);
    buffer_clear(buffer);
}

static int begin(struct call *call, struct multi *multi, int64_t now_mono_ms) {
    wipe(&call->reply);
    call->n_header_bytes = 0;
    call->fault = CALL_FAULT_NONE;
    call->message[0] = '\0';
    call->begun_mono_ms = now_mono_ms;
    call->begun_us = clock_mono_us();
    return multi_add(multi, call->easy);
}

int call_begin_post(struct call *call, struct multi *multi, const char *url, struct curl_slist *headers,
                    int64_t now_mono_ms) {
    CURL *const easy = call->easy;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_POSTFIELDSIZE, (long)call->request.n_bytes);
    SET(CURLOPT_POSTFIELDS, call->request.data);
    if (code != CURLE_OK)
        return -ENOMEM;
    call->max_reply_bytes = LIMIT_INTROSPECTION_REPLY_BYTES;
    return begin(call, multi, now_mono_ms);
}

int call_begin_get(struct call *call, struct multi *multi, const char *url, struct curl_slist *headers, int64_t timeout_ms,
                   int64_t now_mono_ms) {
    CURL *const easy = call->easy;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    if (code != CURLE_OK)
        return -ENOMEM;
    call->max_reply_bytes = LIMIT_DISCOVERY_BYTES;
    return begin(call, multi, now_mono_ms);
}

void call_use_fresh_connection(struct call *call) {
    curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L);
}

static void end(struct call *call, struct multi *multi) {
    multi_remove(multi, call->easy);
    curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 0L);
    wipe(&call->request);
}

void call_finish(struct multi *multi, CURL *easy, CURLcode code) {
    char *context = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &context);
    struct call *const call = (void *)context;
    end(call, multi);
    call->done(call, code);
}

void call_abandon(struct call *call, struct multi *multi) {
    end(call, multi);
}

/* ---- what came of it ---- */

static const char *header_value(CURL *easy, const char *name) {
    struct curl_header *header;
    return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

/* With TLS 1.3 a server refuses our certificate after the handshake, as libcurl sees it; only its message tells. */
static bool is_alert(const char *message) {
    return strstr(message, " alert ") != NULL && strstr(message, "SSL") != NULL;
}

/* One header line over libcurl's own limit (100 kB) never comes to on_header(): libcurl calls it a lack of memory. */
static enum call_fault fault_of(const struct call *call, CURLcode code) {
    const bool is_in_headers = call->n_header_bytes > 0 && call->reply.n_bytes == 0;
    return code == CURLE_OUT_OF_MEMORY && is_in_headers ? CALL_FAULT_TOO_LARGE : call->fault;
}

void call_result(struct call *call, CURLcode code, struct call_result *ret_result) {
    long n_connects = 0, status = 0, verify_result = 0;
    const char *content_type = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &n_connects);
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &content_type);
    *ret_result = (struct call_result){
        .code = code,
        .fault = fault_of(call, code),
        .is_reused = n_connects == 0,
        .is_alert = is_alert(call->message),
        .status = status,
        .content_type = content_type,
        .content_encoding = header_value(call->easy, "Content-Encoding"),
        .verify_text = code == CURLE_OK ? NULL : pem_verify_text(verify_result),
        .body = buffer_text(&call->reply),
    };
}
