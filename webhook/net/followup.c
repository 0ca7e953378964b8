#include "net/followup.h"

static struct recheck_with recheck_with(struct followup *followup) {
    return (struct recheck_with){
        .decide = review_decide_with(&followup->review),
        .keys = followup->review.loop->handle_keys,
    };
}

void followup_begin(struct followup *followup) {
    struct review *review = &followup->review;
    struct recheck *recheck = &followup->recheck;
    const struct recheck_with with = recheck_with(followup);
    const enum recheck_step step = recheck_begin(&with, review_issuer_of, review->runtime, &followup->subject, recheck);
    if (step == RECHECK_ASK)
        review_ask(review, recheck->decision.issuer, recheck->decision.key, recheck_token(recheck));
    else
        review_done(review);
}

void followup_settle(struct review *review, enum reason reason, struct fact *fact) {
    struct followup *followup = (struct followup *)review;
    const struct recheck_with with = recheck_with(followup);
    if (fact != NULL)
        recheck_fact(&with, fact, &followup->subject, &followup->recheck);
    else
        recheck_unavailable(&with, reason, &followup->subject, &followup->recheck);
}

void followup_deinit(struct review *review) {
    recheck_deinit(&((struct followup *)review)->recheck);
}
