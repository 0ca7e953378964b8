#include "net/call.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "net/pem.h"

/* One TLS record holds 16 kB. */
#define READ_BYTES 16384

/* ---- the handle ---- */

/* The first failure is kept: a handle that lacks one of its settings must never be used. */
#define SET(option, value)                                                                                                 \
    do {                                                                                                                   \
        if (code == CURLE_OK)                                                                                              \
            code = curl_easy_setopt(easy, option, value);                                                                  \
    } while (0)

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode set_transport(CURL *easy) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_NOSIGNAL, 1L);
    /* A name server that does not answer must not hold up the thread when the call is given up. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_CONNECT_ONLY, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PROXY, ""); /* whatever the environment says */
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
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
    SET(CURLOPT_ERRORBUFFER, call->message);
    return code;
}

static void on_ready(struct multi_watcher *watcher);

int call_new(const struct snapshot *snapshot, size_t issuer, struct call **ret_call) {
    struct call *const call = calloc(1, sizeof(*call));
    if (call == NULL)
        return -ENOMEM;
    const struct config_introspection *const config = &snapshot->config->introspection[issuer];
    buffer_init(&call->target, LIMIT_REQUEST_HEAD_BYTES);
    buffer_init(&call->request, LIMIT_INTROSPECTION_REQUEST_BYTES);
    buffer_init(&call->sent, LIMIT_REQUEST_HEAD_BYTES + LIMIT_INTROSPECTION_REQUEST_BYTES);
    buffer_init(&call->reply, LIMIT_DISCOVERY_BYTES);
    call->watcher.ready = on_ready;
    call->timeout_ms = config->timeout_ms;
    call->easy = curl_easy_init();
    if (call->easy == NULL || set_transport(call->easy) != CURLE_OK ||
        set_tls(call->easy, &snapshot->introspection[issuer], config->method) != CURLE_OK ||
        set_callbacks(call->easy, call) != CURLE_OK) {
        call_free(call);
        return -ENOMEM;
    }
    *ret_call = call;
    return 0;
}

static void disconnect(struct call *call) {
    if (call->state != CALL_CLOSED)
        multi_remove(call->multi, call->easy);
    call->state = CALL_CLOSED;
}

void call_free(struct call *call) {
    if (call == NULL)
        return;
    disconnect(call);
    curl_easy_cleanup(call->easy);
    buffer_deinit(&call->target);
    buffer_deinit_secret(&call->request);
    buffer_deinit_secret(&call->sent);
    buffer_deinit_secret(&call->reply);
    free(call);
}

/* ---- the request ---- */

/* A part of a URL that may be absent. False: no memory, or no such URL. */
static bool append_part(CURLU *url, CURLUPart part, CURLUcode absent, const char *before, struct buffer *buffer) {
    char *text = NULL;
    const CURLUcode code = curl_url_get(url, part, &text, part == CURLUPART_HOST ? CURLU_PUNYCODE : 0U);
    if (code == CURLUE_OK) {
        buffer_append(buffer, text_of(before));
        buffer_append(buffer, text_of(text));
    }
    curl_free(text);
    return code == CURLUE_OK || code == absent;
}

/* "/path?query HTTP/1.1", and Host. */
static bool append_target(CURLU *url, struct buffer *target) {
    bool is_good = append_part(url, CURLUPART_PATH, CURLUE_OK, "", target) &&
                   append_part(url, CURLUPART_QUERY, CURLUE_NO_QUERY, "?", target);
    buffer_append(target, TEXT(" HTTP/1.1\r\nHost: "));
    is_good = is_good && append_part(url, CURLUPART_HOST, CURLUE_OK, "", target) &&
              append_part(url, CURLUPART_PORT, CURLUE_NO_PORT, ":", target);
    buffer_append(target, TEXT("\r\nUser-Agent: kube-introspect\r\n"));
    return is_good && target->error == 0;
}

/* An URL that is none, and one for which there was no memory, leaves the target empty, and is read again for the next
 * request: libcurl says that it is none when it is to connect. */
static void aim(struct call *call, const char *url) {
    buffer_clear(&call->target);
    CURLU *const parts = curl_url();
    if (parts == NULL || curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK ||
        !append_target(parts, &call->target))
        buffer_clear(&call->target);
    curl_url_cleanup(parts);
    call->url = call->target.n_bytes > 0 ? url : NULL;
}

/* Room is made first, so that no smaller allocation with a part of a secret is left behind. */
static int write_request(struct call *call, struct text method, struct text headers, struct text content) {
    struct buffer *const sent = &call->sent;
    buffer_clear(sent);
    const int r = buffer_reserve(sent, method.n_bytes + call->target.n_bytes + headers.n_bytes + content.n_bytes + 128);
    if (r != 0)
        return r;
    buffer_append(sent, method);
    buffer_append(sent, buffer_text(&call->target));
    buffer_append(sent, headers);
    if (content.n_bytes > 0) {
        buffer_append(sent, TEXT("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "));
        buffer_append_u64(sent, content.n_bytes);
        buffer_append(sent, TEXT("\r\n"));
    }
    buffer_append(sent, TEXT("\r\n"));
    buffer_append(sent, content);
    return sent->error;
}

/* ---- an exchange begins ---- */

/* A large body once is no reason to keep its memory beside every idle connection. */
static void wipe(struct buffer *buffer) {
    if (buffer->capacity_bytes > LIMIT_IDLE_BUFFER_BYTES) {
        buffer_deinit_secret(buffer);
        return;
    }
    if (buffer->n_bytes > 0)
        secret_wipe(buffer->data, buffer->n_bytes);
    buffer_clear(buffer);
}

/* Returns CURLE_OK when all is sent, CURLE_AGAIN when there was no room for all of it, or why it cannot be. */
static CURLcode send_rest(struct call *call) {
    CURLcode code = CURLE_OK;
    while (code == CURLE_OK && call->n_sent < call->sent.n_bytes) {
        size_t n_bytes = 0;
        code = curl_easy_send(call->easy, call->sent.data + call->n_sent, call->sent.n_bytes - call->n_sent, &n_bytes);
        call->n_sent += n_bytes;
    }
    return code == CURLE_OK || code == CURLE_AGAIN ? code : CURLE_SEND_ERROR;
}

static bool send_first(struct call *call) {
    const CURLcode code = send_rest(call);
    call->state = CALL_ASKING;
    return code == CURLE_OK || code == CURLE_AGAIN;
}

static int connect_to(struct call *call, const char *url, int64_t timeout_ms) {
    CURL *const easy = call->easy;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    if (code != CURLE_OK || multi_add(call->multi, easy) != 0)
        return -ENOMEM;
    call->state = CALL_CONNECTING;
    return 0;
}

/* An idle connection has nothing to say but that it ends: what it says otherwise would be taken for the next reply. */
static void look(struct call *call) {
    char byte;
    size_t n_bytes;
    if (curl_easy_recv(call->easy, &byte, sizeof(byte), &n_bytes) != CURLE_AGAIN)
        disconnect(call);
}

static void start_clocks(struct call *call, int64_t timeout_ms, int64_t now_mono_ms) {
    call->begun_mono_ms = now_mono_ms;
    call->deadline_mono_ms = now_mono_ms + timeout_ms;
    call->begun_us = clock_mono_us();
    call->deadline_us = call->begun_us + timeout_ms * 1000;
}

struct wish {
    struct text method, headers, content;
    size_t max_reply_bytes;
    int64_t timeout_ms;
};

static int begin(struct call *call, struct multi *multi, const char *url, const struct wish *wish, int64_t now_mono_ms) {
    call_close_unused(call, now_mono_ms);
    if (call->url != url) {
        call_close(call);
        aim(call, url);
    }
    const int r = write_request(call, wish->method, wish->headers, wish->content);
    if (r != 0)
        return r;
    wipe(&call->reply);
    framing_begin(&call->framing, &call->reply, wish->max_reply_bytes);
    call->n_sent = call->n_received = 0;
    call->fault = CALL_FAULT_NONE;
    call->message[0] = '\0';
    call->multi = multi;
    start_clocks(call, wish->timeout_ms, now_mono_ms);
    if (call->state == CALL_OPEN)
        look(call);
    call->is_reused = call->state == CALL_OPEN;
    if (call->is_reused && send_first(call))
        return 0;
    /* The provider has closed it meanwhile: nothing of the request was taken. */
    call->is_reused = false;
    call->n_sent = 0;
    disconnect(call);
    return connect_to(call, url, wish->timeout_ms);
}

int call_begin_post(struct call *call, struct multi *multi, const char *url, struct text headers, int64_t now_mono_ms) {
    const struct wish wish = {
        .method = TEXT("POST "),
        .headers = headers,
        .content = buffer_text(&call->request),
        .max_reply_bytes = LIMIT_INTROSPECTION_REPLY_BYTES,
        .timeout_ms = call->timeout_ms,
    };
    const int r = begin(call, multi, url, &wish, now_mono_ms);
    if (r != 0) {
        wipe(&call->request);
        wipe(&call->sent);
    }
    return r;
}

int call_begin_get(struct call *call, struct multi *multi, const char *url, struct text headers, int64_t timeout_ms,
                   int64_t now_mono_ms) {
    const struct wish wish = {
        .method = TEXT("GET "),
        .headers = headers,
        .max_reply_bytes = LIMIT_DISCOVERY_BYTES,
        .timeout_ms = timeout_ms,
    };
    return begin(call, multi, url, &wish, now_mono_ms);
}

/* ---- and ends ---- */

static void end(struct call *call, bool is_kept) {
    wipe(&call->request);
    wipe(&call->sent);
    if (is_kept)
        call->state = CALL_OPEN;
    else
        disconnect(call);
}

/* The call may be gone when this returns. */
static void finish(struct call *call, CURLcode code) {
    end(call, code == CURLE_OK && call->framing.keeps_alive && call->n_sent == call->sent.n_bytes);
    call->done(call, code);
}

void call_connected(CURL *easy, CURLcode code) {
    char *context = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &context);
    struct call *const call = (void *)context;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (code == CURLE_OK && call->target.n_bytes == 0)
        code = CURLE_OUT_OF_MEMORY; /* libcurl could read the URL, so there was none when we did */
    if (code == CURLE_OK && (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD ||
                             multi_watch(call->multi, fd, &call->watcher) != 0))
        code = CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OK && !send_first(call))
        code = CURLE_SEND_ERROR;
    if (code != CURLE_OK)
        finish(call, code);
}

bool call_expire(struct call *call) {
    if (clock_mono_us() < call->deadline_us)
        return false;
    finish(call, CURLE_OPERATION_TIMEDOUT);
    return true;
}

void call_abandon(struct call *call) {
    end(call, false);
}

void call_close(struct call *call) {
    if (call->state == CALL_OPEN)
        disconnect(call);
}

void call_close_unused(struct call *call, int64_t now_mono_ms) {
    if (now_mono_ms - call->begun_mono_ms >= LIMIT_PROVIDER_IDLE_MS)
        call_close(call);
}

/* ---- the reply, as it comes ---- */

static CURLcode code_of(struct call *call, int framed) {
    switch (framed) {
    case FRAMING_DONE:
        return CURLE_OK;
    case FRAMING_TOO_LARGE:
        call->fault = CALL_FAULT_TOO_LARGE;
        return CURLE_WRITE_ERROR;
    case FRAMING_NO_MEMORY:
        call->fault = CALL_FAULT_NO_MEMORY;
        return CURLE_OUT_OF_MEMORY;
    case FRAMING_CUT:
        return call->n_received == 0 ? CURLE_GOT_NOTHING : CURLE_PARTIAL_FILE;
    default:
        return CURLE_WEIRD_SERVER_REPLY;
    }
}

/* Reads what is there. Returns CURLE_AGAIN where more is to come, CURLE_OK when the reply is whole, or what went wrong. */
static CURLcode receive(struct call *call) {
    char bytes[READ_BYTES];
    for (;;) {
        size_t n_bytes = 0;
        const CURLcode code = curl_easy_recv(call->easy, bytes, sizeof(bytes), &n_bytes);
        if (code != CURLE_OK)
            return code == CURLE_AGAIN ? CURLE_AGAIN : CURLE_RECV_ERROR;
        call->n_received += n_bytes;
        const int framed = n_bytes == 0 ? framing_end(&call->framing) : framing_feed(&call->framing, bytes, n_bytes);
        if (framed != 0)
            return code_of(call, framed);
    }
}

/* A reply that is whole before its request was counts: 413, say. */
static void go_on(struct call *call) {
    CURLcode code = receive(call);
    if (code == CURLE_AGAIN)
        code = send_rest(call) == CURLE_SEND_ERROR ? CURLE_SEND_ERROR : CURLE_AGAIN;
    if (code != CURLE_AGAIN)
        finish(call, code);
}

static void on_ready(struct multi_watcher *watcher) {
    struct call *const call = (void *)((char *)watcher - offsetof(struct call, watcher));
    if (call->state == CALL_ASKING)
        go_on(call);
    else if (call->state == CALL_OPEN)
        look(call);
}

/* ---- what came of it ---- */

/* With TLS 1.3 a server refuses our certificate after the handshake, as libcurl sees it; only its message tells. */
static bool is_alert(const char *message) {
    return strstr(message, " alert ") != NULL && strstr(message, "SSL") != NULL;
}

void call_result(struct call *call, CURLcode code, struct call_result *ret_result) {
    long verify_result = 0;
    curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
    *ret_result = (struct call_result){
        .code = code,
        .fault = call->fault,
        .is_reused = call->is_reused,
        .is_alert = is_alert(call->message),
        .status = framing_status(&call->framing),
        .content_type = framing_content_type(&call->framing),
        .content_encoding = framing_content_encoding(&call->framing),
        .retry_after = framing_retry_after(&call->framing),
        .verify_text = code == CURLE_OK ? NULL : pem_verify_text(verify_result),
        .body = buffer_text(&call->reply),
    };
}
