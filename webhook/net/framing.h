/*
 * Where an HTTP/1.1 reply begins and ends (RFC 9112), and the few of its fields that matter here. http_parser does the
 * reading; this bounds it. Pure: bytes in, whatever pieces they come in.
 */
#pragma once

#include <http_parser.h>
#include <stdbool.h>

#include "base/buffer.h"

/* Longer values are cut: none that we know of comes near. */
#define FRAMING_FIELD_BYTES 128

enum framing_result {
    FRAMING_DONE = 1,  /* the reply is whole */
    FRAMING_TOO_LARGE, /* its headers, its body or what stands between the body's bytes is over the limit */
    FRAMING_INVALID,   /* these bytes are no HTTP/1 reply, or say two things about its length */
    FRAMING_CUT,       /* the connection ended in the middle of it */
    FRAMING_NO_MEMORY
};

struct framing {
    http_parser parser;
    struct buffer *body; /* borrowed */
    size_t max_body_bytes, n_header_bytes;
    size_t n_bytes; /* fed, of whatever kind */
    bool has_headers; /* those of the reply itself, behind all interim ones */
    bool is_done;
    bool keeps_alive; /* once done: the connection may serve the next request */
    enum framing_result fault;
    char *field; /* where the value that is being read goes, or NULL */
    size_t n_name;
    char name[FRAMING_FIELD_BYTES], content_type[FRAMING_FIELD_BYTES], content_encoding[FRAMING_FIELD_BYTES],
        retry_after[FRAMING_FIELD_BYTES];
};

/* Starts on a reply to a GET or POST. body  takes the content; its own limit counts as well. */
void framing_begin(struct framing *framing, struct buffer *body, size_t max_body_bytes);

/*
 * Goes on with the next bytes. What follows a whole reply was never asked for: then keeps_alive is false.
 * Returns 0 (more is to come) or an enum framing_result, after which it must begin anew.
 */
int framing_feed(struct framing *framing, const char *bytes, size_t n_bytes);

/* The connection has ended, properly: the end of a reply that says nothing of its length. Returns as framing_feed(), not 0.
 */
int framing_end(struct framing *framing);

/* The status; 0 while the reply's headers are not whole. */
int framing_status(const struct framing *framing);

/* The value of Content-Type, of Content-Encoding, of Retry-After; NULL where the reply has none, or an empty one. */
const char *framing_content_type(const struct framing *framing);
const char *framing_content_encoding(const struct framing *framing);
const char *framing_retry_after(const struct framing *framing);
