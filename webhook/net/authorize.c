#include "net/authorize.h"

#include "net/followup.h"
#include "net/request.h"
#include "wire/subject_access_review.h"

/* A request of a user that asks to be let through. */
struct authorization {
    struct followup followup;
    struct subject_access_review asked;
};

/* ---- the answer ---- */

static void describe(const struct authorization *authorization, struct audit_record *ret_record) {
    const struct subject_access_review *asked = &authorization->asked;
    review_describe(&authorization->followup.review, &authorization->followup.recheck.decision, ret_record);
    ret_record->kind = AUDIT_AUTHORIZATION;
    ret_record->subject = (struct audit_subject){.username = asked->user, .uid = asked->uid};
    ret_record->request = (struct audit_request){
        .verb = asked->verb,
        .group = asked->group,
        .resource = asked->resource,
        .subresource = asked->subresource,
        .namespace_name = asked->namespace_name,
        .name = asked->name,
        .path = asked->path,
    };
}

/* An ALLOW of the core is no objection, and no more than that. */
static enum subject_access_outcome outcome_of(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_ALLOW:
        return SUBJECT_ACCESS_NO_OPINION;
    case VERDICT_DENY:
        return SUBJECT_ACCESS_DENIED;
    case VERDICT_UNAVAILABLE:
        return SUBJECT_ACCESS_UNKNOWN;
    }
    return SUBJECT_ACCESS_UNKNOWN;
}

/* Needs no memory, so nobody is refused, or worse, for want of it. */
static void send_answer(struct authorization *authorization) {
    const struct decision *decision = &authorization->followup.recheck.decision;
    const struct subject_access_answer answer = {
        .version = authorization->asked.version,
        .outcome = outcome_of(decision->verdict),
        .sentence = text_of(reason_sentence(decision->reason)),
        .word = text_of(reason_word(decision->reason)),
        .request_id = authorization->followup.review.request_id,
    };
    char memory[LIMIT_AUTHORIZATION_ANSWER_BYTES];
    struct buffer buffer;
    buffer_init_fixed(&buffer, memory, sizeof(memory));
    subject_access_review_encode(&answer, &buffer);
    review_send(&authorization->followup.review, buffer_text(&buffer));
}

static void answer(struct review *review) {
    struct authorization *authorization = (struct authorization *)review;
    struct decision *decision = &authorization->followup.recheck.decision;
    struct loop *loop = review->loop;
    struct audit_record record;
    describe(authorization, &record);
    /* Nothing is let through that has no audit record. */
    if (audit_write(loop->services->audit, &record) == AUDIT_REFUSED)
        decide_unavailable(REASON_AUDIT_UNWRITABLE, decision);
    metrics_review(loop->services->metrics, METRICS_AUTHORIZATION, decision->verdict, decision->reason, decision->cache,
                   record.duration_us);
    send_answer(authorization);
}

/* ---- what comes in ---- */

static void take(struct loop *loop, h2o_req_t *req, int64_t started_us) {
    struct authorization authorization;
    struct subject_access_review *asked = &authorization.asked;
    struct error error;
    if (subject_access_review_decode(req->entity.base, req->entity.len, asked, &error) != 0) {
        request_refuse(loop, req, 400, error.text);
        return;
    }
    review_begin(&authorization.followup.review, &authorize_reviews, loop, req, started_us);
    authorization.followup.subject = (struct recheck_subject){
        .username = asked->user, .uid = asked->uid, .handle = asked->extra.handle, .n_handles = asked->extra.n_handles};
    followup_begin(&authorization.followup);
}

const struct review_kind authorize_reviews = {
    .path = TEXT("/authorize"),
    .called = "A SubjectAccessReview",
    .max_bytes = LIMIT_REVIEW_BYTES,
    .n_bytes = sizeof(struct authorization),
    .take = take,
    .settle = followup_settle,
    .answer = answer,
    .deinit = followup_deinit,
};
