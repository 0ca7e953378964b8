#include "net/reply.h"

#include <criterion/criterion.h>

struct reply_case {
    const char *name;
    struct call_result result;
    enum reason reason;
    enum call_outcome outcome;
    enum fact_answer answer;
};

#define BODY(literal) .body = TEXT(literal)
#define JSON .content_type = "application/json"
#define UNSUPPORTED "{\"error\":\"unsupported_token_type\"}"

static const struct reply_case replies[] = {
    {"active", {.status = 200, JSON, BODY("{\"active\":true}")}, REASON_OK, CALL_ACTIVE, FACT_ACTIVE},
    {"inactive", {.status = 200, JSON, BODY("{\"active\":false}")}, REASON_OK, CALL_INACTIVE, FACT_INACTIVE},
    {"type with parameters",
     {.status = 200, .content_type = "Application/JSON; charset=utf-8", BODY("{\"active\":true}")},
     REASON_OK,
     CALL_ACTIVE,
     FACT_ACTIVE},
    {"identity encoding",
     {.status = 200, JSON, .content_encoding = "identity", BODY("{\"active\":true}")},
     REASON_OK,
     CALL_ACTIVE,
     FACT_ACTIVE},
    {"compressed",
     {.status = 200, JSON, .content_encoding = "gzip", BODY("{\"active\":true}")},
     REASON_PROVIDER_REPLY_INVALID,
     CALL_INVALID_REPLY,
     0},
    {"no type", {.status = 200, BODY("{\"active\":true}")}, REASON_PROVIDER_REPLY_INVALID, CALL_INVALID_REPLY, 0},
    {"html",
     {.status = 200, .content_type = "text/html", BODY("{\"active\":true}")},
     REASON_PROVIDER_REPLY_INVALID,
     CALL_INVALID_REPLY,
     0},
    {"a type that begins alike",
     {.status = 200, .content_type = "application/jsonp", BODY("{\"active\":true}")},
     REASON_PROVIDER_REPLY_INVALID,
     CALL_INVALID_REPLY,
     0},
    {"signed reply",
     {.status = 200, .content_type = "application/token-introspection+jwt", BODY("e30.e30.e30")},
     REASON_PROVIDER_REPLY_INVALID,
     CALL_INVALID_REPLY,
     0},
    {"empty body", {.status = 200, JSON}, REASON_PROVIDER_REPLY_INVALID, CALL_INVALID_REPLY, 0},
    {"active as text",
     {.status = 200, JSON, BODY("{\"active\":\"true\"}")},
     REASON_PROVIDER_REPLY_INVALID,
     CALL_INVALID_REPLY,
     0},
    {"unsupported type",
     {.status = 400, JSON, BODY(UNSUPPORTED)},
     REASON_OK,
     CALL_UNSUPPORTED,
     FACT_UNSUPPORTED_TOKEN_TYPE},
    {"invalid_request",
     {.status = 400, JSON, BODY("{\"error\":\"invalid_request\"}")},
     REASON_PROVIDER_MISCONFIGURED,
     CALL_MISCONFIGURED,
     0},
    {"empty 400", {.status = 400}, REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, 0},
    {"unsupported type with another status",
     {.status = 404, JSON, BODY(UNSUPPORTED)},
     REASON_PROVIDER_MISCONFIGURED,
     CALL_MISCONFIGURED,
     0},
    {"unsupported type with 200",
     {.status = 200, JSON, BODY(UNSUPPORTED)},
     REASON_PROVIDER_REPLY_INVALID,
     CALL_INVALID_REPLY,
     0},
    {"401", {.status = 401, JSON, BODY("{\"active\":false}")}, REASON_CLIENT_CREDENTIALS_REJECTED, CALL_REJECTED, 0},
    {"403", {.status = 403}, REASON_CLIENT_CREDENTIALS_REJECTED, CALL_REJECTED, 0},
    {"404", {.status = 404}, REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, 0},
    {"405", {.status = 405}, REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, 0},
    {"429", {.status = 429}, REASON_PROVIDER_THROTTLED, CALL_THROTTLED, 0},
    {"302", {.status = 302, JSON, BODY("{\"active\":false}")}, REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, 0},
    {"201 is no answer", {.status = 201, JSON, BODY("{\"active\":true}")}, REASON_PROVIDER_ERROR, CALL_ERROR, 0},
    {"204", {.status = 204}, REASON_PROVIDER_ERROR, CALL_ERROR, 0},
    {"500", {.status = 500, JSON, BODY("{\"active\":false}")}, REASON_PROVIDER_ERROR, CALL_ERROR, 0},
    {"503", {.status = 503}, REASON_PROVIDER_ERROR, CALL_ERROR, 0},
    {"999", {.status = 999}, REASON_PROVIDER_ERROR, CALL_ERROR, 0},
    {"no address", {.code = CURLE_COULDNT_RESOLVE_HOST}, REASON_PROVIDER_UNREACHABLE, CALL_UNREACHABLE, 0},
    {"refused", {.code = CURLE_COULDNT_CONNECT}, REASON_PROVIDER_UNREACHABLE, CALL_UNREACHABLE, 0},
    {"closed half way",
     {.code = CURLE_PARTIAL_FILE, .status = 200, JSON, BODY("{\"active\":true}")},
     REASON_PROVIDER_UNREACHABLE,
     CALL_UNREACHABLE,
     0},
    {"nothing came", {.code = CURLE_GOT_NOTHING}, REASON_PROVIDER_UNREACHABLE, CALL_UNREACHABLE, 0},
    {"too slow", {.code = CURLE_OPERATION_TIMEDOUT, .status = 200}, REASON_PROVIDER_TIMEOUT, CALL_TIMEOUT, 0},
    {"wrong certificate", {.code = CURLE_PEER_FAILED_VERIFICATION}, REASON_PROVIDER_TLS, CALL_TLS, 0},
    {"no TLS", {.code = CURLE_SSL_CONNECT_ERROR}, REASON_PROVIDER_TLS, CALL_TLS, 0},
    {"alert after the handshake", {.code = CURLE_RECV_ERROR, .is_alert = true}, REASON_PROVIDER_TLS, CALL_TLS, 0},
    {"no HTTP", {.code = CURLE_WEIRD_SERVER_REPLY}, REASON_PROVIDER_REPLY_INVALID, CALL_INVALID_REPLY, 0},
    {"no https", {.code = CURLE_UNSUPPORTED_PROTOCOL}, REASON_PROVIDER_MISCONFIGURED, CALL_MISCONFIGURED, 0},
    {"too large",
     {.code = CURLE_WRITE_ERROR, .fault = CALL_FAULT_TOO_LARGE, .status = 200},
     REASON_PROVIDER_REPLY_TOO_LARGE,
     CALL_INVALID_REPLY,
     0},
    {"our memory",
     {.code = CURLE_WRITE_ERROR, .fault = CALL_FAULT_NO_MEMORY, .status = 200},
     REASON_INTERNAL,
     CALL_ERROR,
     0},
    {"libcurl's memory", {.code = CURLE_OUT_OF_MEMORY}, REASON_INTERNAL, CALL_ERROR, 0},
};

Test(reply, each_result_has_its_reason) {
    for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
        struct reply reply;
        reply_read(&replies[i].result, &reply);
        cr_expect_eq(reply.reason, replies[i].reason, "%s: %s", replies[i].name, reason_word(reply.reason));
        cr_expect_eq(reply.outcome, replies[i].outcome, "%s: %s", replies[i].name, call_outcome_word(reply.outcome));
        if (reply.reason == REASON_OK)
            cr_expect_eq(reply.answer, replies[i].answer, "%s", replies[i].name);
        else
            cr_expect_eq(reason_verdict(reply.reason), VERDICT_UNAVAILABLE, "%s", replies[i].name);
        reply_deinit(&reply);
    }
}

/* Whatever libcurl may come to say: without a reply there is never an answer. */
Test(reply, no_error_of_libcurl_is_an_answer) {
    for (int code = 1; code < CURL_LAST; code++) {
        const struct call_result result = {.code = (CURLcode)code, .status = 200, JSON, BODY("{\"active\":false}")};
        struct reply reply;
        reply_read(&result, &reply);
        cr_expect_eq(reason_verdict(reply.reason), VERDICT_UNAVAILABLE, "code %d", code);
        reply_deinit(&reply);
    }
}

Test(reply, no_status_but_200_and_400_is_an_answer) {
    for (long status = 0; status < 1000; status++) {
        const struct call_result result = {.status = status, JSON, BODY("{\"active\":false}")};
        struct reply reply;
        reply_read(&result, &reply);
        cr_expect_eq(reply.reason == REASON_OK, status == 200, "status %ld", status);
        reply_deinit(&reply);
    }
}

Test(reply, only_a_reused_connection_can_be_stale) {
    cr_assert(reply_is_stale_connection(&(struct call_result){.code = CURLE_GOT_NOTHING, .is_reused = true}));
    cr_assert(reply_is_stale_connection(&(struct call_result){.code = CURLE_SEND_ERROR, .is_reused = true}));
    cr_assert(reply_is_stale_connection(&(struct call_result){.code = CURLE_RECV_ERROR, .is_reused = true}));
    cr_assert_not(reply_is_stale_connection(&(struct call_result){.code = CURLE_GOT_NOTHING}));
    cr_assert_not(reply_is_stale_connection(&(struct call_result){.code = CURLE_OPERATION_TIMEDOUT, .is_reused = true}));
    cr_assert_not(reply_is_stale_connection(&(struct call_result){.is_reused = true, .status = 500}));
}

Test(reply, a_description_names_the_cause) {
    char room[256];
    cr_assert_str_eq(reply_describe(&(struct call_result){.status = 503}, room, sizeof(room)), "HTTP 503");
    cr_assert_str_eq(reply_describe(&(struct call_result){.code = CURLE_PEER_FAILED_VERIFICATION,
                                                          .verify_text = "certificate has expired"},
                                    room, sizeof(room)),
                     "SSL peer certificate or SSH remote key was not OK (certificate has expired)");
    cr_assert_str_eq(reply_describe(&(struct call_result){.code = CURLE_COULDNT_CONNECT}, room, sizeof(room)),
                     "Couldn't connect to server");
}
