/*
 * Who logs in, and what may be answered: streams of tokens whose truth is known, each answer judged, counts by phase.
 *
 * A phase is a part of the run ("before", "outage", "after"). A request belongs to the phase in which it was due.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "token.h"

enum stream {
    STREAM_CACHED,   /* good tokens in use: always the same */
    STREAM_EXPIRING, /* the same, but their exp comes during the run */
    STREAM_REVOKED,  /* the same, revoked at the provider at a moment of the run */
    STREAM_NEW,      /* good tokens, each of which comes once */
    STREAM_GARBAGE,  /* no tokens at all, each of which comes once */
    STREAM_AGAIN,    /* those of STREAM_NEW of the phase before, once more, the latest first */
    N_STREAMS
};

struct crowd_settings {
    unsigned n_cached;              /* tokens of STREAM_CACHED; a twentieth of it each for the next two */
    unsigned per_mille[N_STREAMS];  /* the part of requests of each stream; STREAM_AGAIN takes half of STREAM_NEW's */
    int64_t now_unix_s;             /* when the tokens were issued */
    int64_t expiring_s, lifetime_s; /* after how long STREAM_EXPIRING and all others end */
    int64_t skew_s;                 /* how much longer an expired token may be taken for good */
    int64_t revoked_ms;             /* how long a revoked one may */
};

/* A request under way. */
struct question {
    enum stream stream;
    struct token token;
    unsigned phase;
    int64_t due_ns;
};

/* Settings are kept. */
void crowd_init(const struct crowd_settings *settings);

/* The next phase begins. */
void crowd_phase(const char *name, int64_t now_ns);

/* Whether all that was due before this phase has been answered; next_due_ns: of the schedule. */
bool crowd_has_caught_up(int64_t next_due_ns);

/* The tokens of STREAM_REVOKED are being revoked. */
void crowd_revoke(int64_t now_ns);

/* The next question to ask, which was due then. How late it is says what the machine does to whoever wants to be on time.
 */
void crowd_ask(int64_t due_ns, int64_t now_ns, struct question *ret_question);

/* Whether the tokens of STREAM_CACHED, STREAM_EXPIRING and STREAM_REVOKED have each been asked about once; until then those
   come first. */
bool crowd_is_warm(void);

/* An answer came: the text of a reply. */
void crowd_answered(const struct question *question, const char *reply, int64_t now_ns);

enum loss {
    LOSS_BROKEN,  /* the connection ended before the answer came */
    LOSS_REFUSED, /* there was no connection to be had */
    LOSS_SILENT,  /* nothing came for longer than any caller waits */
    N_LOSSES
};
/* None came. */
void crowd_lost(const struct question *question, enum loss loss, int64_t now_ns);

/* Prints all phases as one line of JSON. No token is in it. */
void crowd_report(int64_t now_ns);
