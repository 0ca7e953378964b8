#include "net/reply.h"

#include <stdio.h>
#include <strings.h>

/* ---- no reply came ---- */

static void fail(enum reason reason, enum call_outcome outcome, struct reply *reply) {
    reply->reason = reason;
    reply->outcome = outcome;
}

static bool is_tls(const struct call_result *result) {
    switch (result->code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
        return true;
    default:
        return result->is_alert;
    }
}

static void read_failure(const struct call_result *result, struct reply *reply) {
    if (result->fault == CALL_FAULT_TOO_LARGE)
        return fail(REASON_PROVIDER_REPLY_TOO_LARGE, CALL_INVALID_REPLY, reply);
    if (result->fault == CALL_FAULT_NO_MEMORY || result->code == CURLE_OUT_OF_MEMORY)
        return fail(REASON_INTERNAL, CALL_ERROR, reply);
    if (is_tls(result))
        return fail(REASON_PROVIDER_TLS, CALL_TLS, reply);
    switch (result->code) {
    case CURLE_OPERATION_TIMEDOUT:
        return fail(REASON_PROVIDER_TIMEOUT, CALL_TIMEOUT, reply);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return fail(REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, reply);
    case CURLE_WEIRD_SERVER_REPLY:
        return fail(REASON_PROVIDER_REPLY_INVALID, CALL_INVALID_REPLY, reply);
    default:
        return fail(REASON_PROVIDER_UNREACHABLE, CALL_UNREACHABLE, reply);
    }
}

/* ---- a reply came ---- */

bool reply_is_json(const char *content_type) {
    static const struct text json = TEXT("application/json");
    if (content_type == NULL || strncasecmp(content_type, json.data, json.n_bytes) != 0)
        return false;
    const char next = content_type[json.n_bytes];
    return next == '\0' || next == ';' || next == ' ' || next == '\t';
}

static void read_answer(const struct call_result *result, struct reply *reply) {
    const bool is_plain = result->content_encoding == NULL || strcasecmp(result->content_encoding, "identity") == 0;
    if (!is_plain || !reply_is_json(result->content_type))
        return fail(REASON_PROVIDER_REPLY_INVALID, CALL_INVALID_REPLY, reply);
    const int r = introspection_decode(result->body, &reply->introspection);
    if (r < 0)
        return fail(REASON_INTERNAL, CALL_ERROR, reply);
    if (r != 0)
        return fail(REASON_PROVIDER_REPLY_INVALID, CALL_INVALID_REPLY, reply);
    reply->reason = REASON_OK;
    reply->answer = reply->introspection.active ? FACT_ACTIVE : FACT_INACTIVE;
    reply->outcome = reply->introspection.active ? CALL_ACTIVE : CALL_INACTIVE;
}

static void read_bad_request(const struct call_result *result, struct reply *reply) {
    if (!introspection_error_is_unsupported_token(result->body))
        return fail(REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, reply);
    reply->reason = REASON_OK;
    reply->answer = FACT_UNSUPPORTED_TOKEN_TYPE;
    reply->outcome = CALL_UNSUPPORTED;
}

static void read_status(const struct call_result *result, struct reply *reply) {
    switch (result->status) {
    case 200:
        return read_answer(result, reply);
    case 400:
        return read_bad_request(result, reply);
    case 401:
    case 403:
        return fail(REASON_CLIENT_CREDENTIALS_REJECTED, CALL_REJECTED, reply);
    case 429:
        return fail(REASON_PROVIDER_THROTTLED, CALL_THROTTLED, reply);
    default:
        if (result->status >= 300 && result->status < 500)
            return fail(REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, reply);
        return fail(REASON_PROVIDER_ERROR, CALL_ERROR, reply);
    }
}

void reply_read(const struct call_result *result, struct reply *ret_reply) {
    struct reply reply = {
        .introspection = {.exp_unix_s = INTROSPECTION_NO_TIME,
                          .nbf_unix_s = INTROSPECTION_NO_TIME,
                          .iat_unix_s = INTROSPECTION_NO_TIME},
    };
    if (result->code == CURLE_OK)
        read_status(result, &reply);
    else
        read_failure(result, &reply);
    *ret_reply = reply;
}

void reply_deinit(struct reply *reply) {
    introspection_deinit(&reply->introspection);
}

bool reply_is_stale_connection(const struct call_result *result) {
    return result->is_reused && result->fault == CALL_FAULT_NONE &&
           (result->code == CURLE_SEND_ERROR || result->code == CURLE_RECV_ERROR || result->code == CURLE_GOT_NOTHING);
}

const char *reply_describe(const struct call_result *result, char *room, size_t n_room) {
    if (result->fault == CALL_FAULT_TOO_LARGE)
        return "the reply is larger than the limit";
    if (result->fault == CALL_FAULT_NO_MEMORY)
        return "out of memory";
    if (result->code == CURLE_OK)
        snprintf(room, n_room, "HTTP %ld", result->status);
    else if (result->verify_text != NULL)
        snprintf(room, n_room, "%s (%s)", curl_easy_strerror(result->code), result->verify_text);
    else if (result->code == CURLE_PEER_FAILED_VERIFICATION)
        snprintf(room, n_room, "%s (it is not for this host name)", curl_easy_strerror(result->code));
    else if (result->is_alert)
        snprintf(room, n_room, "%s (TLS alert: is our client certificate accepted?)", curl_easy_strerror(result->code));
    else
        return curl_easy_strerror(result->code);
    return room;
}
