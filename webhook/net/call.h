/*
 * One HTTP exchange with a provider after the other, over a connection that is kept as long as it is good. libcurl makes
 * the connection (names, addresses, TLS, certificates, whose host it is) and carries the bytes; http_parser reads the reply
 * (framing.h). libcurl's own transfers cost 20 microseconds a call, this 7. The fetch thread's own; nothing here knows of
 * tokens, flights or discovery.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "net/framing.h"
#include "net/multi.h"
#include "ops/snapshot.h"

enum call_fault {
    CALL_FAULT_NONE,
    CALL_FAULT_TOO_LARGE, /* the reply's headers or its body are over the limit */
    CALL_FAULT_NO_MEMORY
};

enum call_state {
    CALL_CLOSED, /* no connection */
    CALL_CONNECTING,
    CALL_ASKING, /* the request is being sent, or its reply awaited */
    CALL_OPEN    /* connected and idle */
};

struct call {
    struct call *next; /* in its owner's list of idle calls */
    void (*done)(struct call *call,
                 CURLcode code); /* when the exchange is over; the call is idle again, and may be freed */
    void *owner;

    CURL *easy;
    struct multi *multi; /* that it is in, unless CLOSED */
    struct multi_watcher watcher;
    enum call_state state;
    bool is_reused;                /* this exchange began on a connection that was there already */
    char message[CURL_ERROR_SIZE]; /* libcurl's words: may hold what a provider sent, so it is never printed */

    const char *url;      /* that the connection leads to; borrowed, compared by address */
    struct buffer target; /* of that URL, as a request has it: path, version, Host */

    struct buffer request; /* the body to post; may hold a token and a secret, so it is wiped when the call is over */
    struct buffer sent;    /* the whole request, wiped likewise */
    size_t n_sent;

    struct framing framing;
    struct buffer reply;
    size_t n_received;
    enum call_fault fault;

    int64_t timeout_ms;              /* of a POST */
    int64_t begun_mono_ms, begun_us; /* the present exchange, or the last; in two clocks, of which the first may be a */
    int64_t deadline_mono_ms, deadline_us; /* test's: it says when to look, the second what is over */
};

/* What came of an exchange. Borrowed from the call until it begins again. */
struct call_result {
    CURLcode code;
    enum call_fault fault;
    bool is_reused;               /* it went over a connection that was there already */
    bool is_alert;                /* the peer ended TLS with an alert, after the handshake as it looks from here */
    long status;                  /* 0: no reply came */
    const char *content_type;     /* or NULL */
    const char *content_encoding; /* or NULL */
    const char *retry_after;      /* or NULL */
    const char *verify_text;      /* why the certificate was refused, or NULL; static */
    struct text body;
};

/*
 * A call to one provider: TLS, addresses and timeouts as that issuer has them.
 *
 * snapshot  borrowed: must outlive the call
 *
 * Returns 0, or -ENOMEM (libcurl out of memory, or without a feature that it was built with). call_free() it.
 */
int call_new(const struct snapshot *snapshot, size_t issuer, struct call **ret_call);

/* Closes, wipes and frees; nobody is told of an exchange under way. NULL is fine. */
void call_free(struct call *call);

/*
 * Begins: a POST of call->request, or a GET. Never calls done().
 *
 * url          borrowed as long as the call may use the connection, so for the provider's life
 * headers      lines of the request's head, each with its line break; copied
 * now_mono_ms  noted as the moment that the reply's age counts from
 *
 * Returns 0, or -ENOMEM, and then nothing of the request is left in memory. After success done() is called once, from call_connected(), call_expire() or multi_turn(), unless
 * the call is abandoned.
 */
int call_begin_post(struct call *call, struct multi *multi, const char *url, struct text headers, int64_t now_mono_ms);
int call_begin_get(struct call *call, struct multi *multi, const char *url, struct text headers, int64_t timeout_ms,
                   int64_t now_mono_ms);

/* libcurl says that a transfer, which is a connection, is there or has failed: goes on with the exchange. */
void call_connected(CURL *easy, CURLcode code);

/* Ends an exchange whose time is over, with CURLE_OPERATION_TIMEDOUT. Returns whether it was. */
bool call_expire(struct call *call);

/* Ends an exchange under way: the connection is closed, nobody is told. */
void call_abandon(struct call *call);

/* Closes an idle call's connection: the next exchange opens one. */
void call_close(struct call *call);

/* The same where it was not used for LIMIT_PROVIDER_IDLE_MS. */
void call_close_unused(struct call *call, int64_t now_mono_ms);

/* What came of it; inside done() only. */
void call_result(struct call *call, CURLcode code, struct call_result *ret_result);
