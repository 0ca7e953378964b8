/*
 * A review of a request that comes after a login: SubjectAccessReview, AdmissionReview. Who asks is told by the API server,
 * and a handle leads back to what the provider said of the token; core/recheck decides, the provider is asked again where
 * that is too old.
 *
 * The structure of such a kind begins with a struct followup. Its kind has followup_settle and followup_deinit, and its
 * answer looks at followup->recheck.decision.
 */
#pragma once

#include "core/recheck.h"
#include "net/review.h"

struct followup {
    struct review review;
    struct recheck_subject subject; /* borrowed from the request's body */
    struct recheck recheck;
};

/* Decides: answers, or asks the provider and answers then. The review has begun and the subject is set; as with
   review_ask(), the caller's own is not to be used any more. */
void followup_begin(struct followup *followup);

void followup_settle(struct review *review, enum reason reason, struct fact *fact);
void followup_deinit(struct review *review);
