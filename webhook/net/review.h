/*
 * A review under way, of whatever kind: what comes in by POST, is decided, may have to wait for a provider, and is answered
 * once with HTTP 200. What a TokenReview, a SubjectAccessReview and an AdmissionReview have in common lives here; what each
 * of them asks and answers is its kind's own.
 *
 * A review is on the stack while it can be answered at once, and in the request's pool while it waits. The structure of a
 * kind begins with a struct review.
 */
#pragma once

#include <h2o.h>

#include "net/loop.h"

struct review;

/* Static, one for each kind. */
struct review_kind {
    struct text path;   /* compared byte for byte with the request's, query excluded */
    const char *called; /* "A TokenReview" */
    size_t max_bytes;   /* of a body, whole MiB */
    size_t n_bytes;     /* of its structure */
    /* Takes a request that is acceptable as far as its header tells: decodes, decides, and either answers (review_done())
       or asks (review_ask()). */
    void (*take)(struct loop *loop, h2o_req_t *req, int64_t started_us);
    /* Decides with the fact that the provider gave just now (borrowed), or without one (NULL), for this reason. */
    void (*settle)(struct review *review, enum reason reason, struct fact *fact);
    /* Encodes, audits, counts, sends: the one place where a review of this kind is completed, and once for each. */
    void (*answer)(struct review *review);
    /* Releases what the kind's own part holds. */
    void (*deinit)(struct review *review);
};

struct review {
    const struct review_kind *kind;
    struct loop *loop;
    h2o_req_t *req;
    struct connection *connection;
    struct runtime *runtime; /* counted: the one it began with */
    int64_t started_us;
    int64_t unix_ms, mono_ms; /* when it was last decided about */
    uint64_t request_id;
    int64_t provider_us;       /* -1: not asked */
    uint32_t slot, generation; /* while it waits */
    bool is_parked;
};

/*
 * Makes the handler of a loop's path: a request for one of the kinds' paths is given to that kind, if it is a POST of JSON
 * of acceptable size; whatever else comes is answered with a Status, and counted.
 *
 * kinds, nothing_here  static; nothing_here: the sentence of a 404
 *
 * Loop's thread, before its context is made.
 */
void review_register(struct loop *loop, h2o_pathconf_t *path, const struct review_kind *const *kinds, size_t n_kinds,
                     const char *nothing_here);

/* Begins: sets every field but the times of deciding. */
void review_begin(struct review *review, const struct review_kind *kind, struct loop *loop, h2o_req_t *req,
                  int64_t started_us);

/* Completes a review that need not wait: answers it and releases what it holds. */
void review_done(struct review *review);

/* What a decision is made with now; the review keeps the time for its record. */
struct decide review_decide_with(struct review *review);

/* As decide_begin() and recheck_begin() want it. context: the review's runtime. */
struct decide_issuer review_issuer_of(void *context, size_t issuer);

/*
 * Asks the provider of a decision's issuer about a token, for at most as long as the caller waits. The review moves from
 * the stack to where it can wait: the caller's own is not to be used any more, nor released. It is settled and answered
 * when the provider has said something, the time is over, or at once where nobody can be asked; and if its request ends
 * before that, it is released and nobody is answered. A caller who merely goes away is answered all the same: h2o 2.2 reads
 * nothing while a request is under way, and hears of it when it writes.
 */
void review_ask(struct review *review, const struct decision *decision, struct text token);

/* What every kind's record has: time, names, verdict, credential, how long it took up to now. The kind adds who and what.
 */
void review_describe(const struct review *review, const struct decision *decision, struct audit_record *ret_record);

/* Sends the answer, which is not empty and is copied. */
void review_send(struct review *review, struct text body);
