/*
 * One HTTP exchange with a provider: a libcurl handle that is set up once and used again and again, the request's body and
 * the bounded reply. The fetch thread's own; nothing here knows of tokens, flights or discovery.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "net/multi.h"
#include "ops/snapshot.h"

enum call_fault {
    CALL_FAULT_NONE,
    CALL_FAULT_TOO_LARGE, /* the reply's headers or its body are over the limit */
    CALL_FAULT_NO_MEMORY
};

struct call {
    struct call *next; /* in its owner's list of idle calls */
    CURL *easy;
    void (*done)(struct call *call, CURLcode code); /* when the exchange is over; the call is idle again then */
    void *owner;

    struct buffer request; /* what is posted; may hold a token and a secret, so it is wiped when the call is over */
    struct buffer reply;
    size_t max_reply_bytes, n_header_bytes;
    enum call_fault fault;
    int64_t begun_mono_ms; /* handed to libcurl */
    int64_t begun_us;
    char message[CURL_ERROR_SIZE]; /* libcurl's words: may hold what a provider sent, so it is never printed */
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
    const char *verify_text;      /* why the certificate was refused, or NULL; static */
    struct text body;
};

/*
 * A handle for calls to one provider: TLS, addresses and timeouts as that issuer has them.
 *
 * snapshot  borrowed: must outlive the call
 *
 * Returns 0, or -ENOMEM (libcurl out of memory, or without a feature that it was built with). call_free() it.
 */
int call_new(const struct snapshot *snapshot, size_t issuer, struct call **ret_call);

/* Wipes and frees. Not while the call is under way. NULL is fine. */
void call_free(struct call *call);

/*
 * Begins: a POST of call->request, or a GET.
 *
 * url, headers  borrowed until the call is over
 * now_mono_ms   noted as the moment that the reply's age counts from
 *
 * Returns 0, or -ENOMEM. After success call_finish() is called when libcurl says that the transfer is done, or
 * call_abandon().
 */
int call_begin_post(struct call *call, struct multi *multi, const char *url, struct curl_slist *headers, int64_t now_mono_ms);
int call_begin_get(struct call *call, struct multi *multi, const char *url, struct curl_slist *headers, int64_t timeout_ms,
                   int64_t now_mono_ms);

/* Makes the next exchange, and only that, open a new connection. */
void call_use_fresh_connection(struct call *call);

/* libcurl says that a transfer is done: takes it out, wipes the request, tells the owner. */
void call_finish(struct multi *multi, CURL *easy, CURLcode code);

/* Ends a call under way: the connection is closed, nobody is told. */
void call_abandon(struct call *call, struct multi *multi);

/* What came of it; inside done() only. */
void call_result(struct call *call, CURLcode code, struct call_result *ret_result);
