#include "net/validate.h"

#include "core/admission.h"
#include "net/followup.h"
#include "net/request.h"
#include "wire/admission_review.h"

/* A change under review. */
struct validation {
    struct followup followup;
    struct admission_review asked;
    struct admission_results results; /* of the rules; none where they were not asked */
};

static const struct policy *policy_of(const struct validation *validation) {
    return snapshot_policy(validation->followup.review.runtime->snapshot);
}

/* ---- rules ---- */

/* What the provider said of the token: known only where the token was found good. */
static const struct fact *known_fact(const struct decision *decision) {
    const bool is_known = decision->reason == REASON_OK && decision->fact != NULL && decision->fact->answer == FACT_ACTIVE;
    return is_known ? decision->fact : NULL;
}

/* Where the token itself is refused, rules have nothing to add. */
static void ask_rules(struct validation *validation) {
    struct decision *decision = &validation->followup.recheck.decision;
    const struct admission_token token = {
        .fact = known_fact(decision), .issuer = decision->issuer, .now_unix_s = validation->followup.review.unix_ms / 1000};
    if (decision->verdict != VERDICT_ALLOW)
        return;
    if (admission_evaluate(policy_of(validation), &validation->asked, &token, NULL, &validation->results) != 0)
        decide_unavailable(REASON_INTERNAL, decision);
    else
        admission_apply(&validation->results, decision);
}

static void count_rules(const struct validation *validation) {
    const struct review *review = &validation->followup.review;
    for (size_t i = 0; i < validation->results.n_items; i++) {
        const enum admission_state state = (enum admission_state)validation->results.items[i].state;
        if (state != ADMISSION_NOT_ABOUT)
            metrics_rule_result(review->loop->services->metrics, review->runtime->rule_rows[i], state == ADMISSION_HELD);
    }
}

/* ---- the answer ---- */

static void describe(const struct validation *validation, struct audit_record *ret_record) {
    const struct admission_review *asked = &validation->asked;
    review_describe(&validation->followup.review, &validation->followup.recheck.decision, ret_record);
    ret_record->kind = AUDIT_ADMISSION;
    ret_record->subject = (struct audit_subject){.username = asked->user, .uid = asked->user_uid};
    ret_record->request = (struct audit_request){
        .verb = text_of(admission_operation_word(asked->operation)),
        .group = asked->group,
        .resource = asked->resource,
        .subresource = asked->subresource,
        .namespace_name = asked->namespace_name,
        .name = asked->name,
        .is_dry_run = asked->is_dry_run,
    };
    ret_record->policy = policy_of(validation);
    ret_record->results = &validation->results;
}

static enum admission_outcome outcome_of(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_ALLOW:
        return ADMISSION_ALLOWED;
    case VERDICT_DENY:
        return ADMISSION_DENIED;
    case VERDICT_UNAVAILABLE:
        return ADMISSION_UNKNOWN;
    }
    return ADMISSION_UNKNOWN;
}

/* Needs no memory. */
static void send_answer(struct validation *validation) {
    const struct decision *decision = &validation->followup.recheck.decision;
    struct admission_note notes[LIMIT_ADMISSION_RULES];
    const struct admission_answer answer = {
        .uid = validation->asked.uid,
        .outcome = outcome_of(decision->verdict),
        .sentence = text_of(reason_sentence(decision->reason)),
        .word = text_of(reason_word(decision->reason)),
        .request_id = validation->followup.review.request_id,
        .notes = notes,
        .n_notes = admission_notes(policy_of(validation), &validation->results, notes),
    };
    char memory[LIMIT_ADMISSION_ANSWER_BYTES];
    struct buffer buffer;
    buffer_init_fixed(&buffer, memory, sizeof(memory));
    admission_review_encode(&answer, &buffer);
    review_send(&validation->followup.review, buffer_text(&buffer));
}

static void answer(struct review *review) {
    struct validation *validation = (struct validation *)review;
    struct decision *decision = &validation->followup.recheck.decision;
    struct loop *loop = review->loop;
    ask_rules(validation);
    struct audit_record record;
    describe(validation, &record);
    /* No change is let through that has no audit record. */
    if (audit_write(loop->services->audit, &record) == AUDIT_REFUSED)
        decide_unavailable(REASON_AUDIT_UNWRITABLE, decision);
    metrics_review(loop->services->metrics, METRICS_ADMISSION, decision->verdict, decision->reason, decision->cache,
                   record.duration_us);
    count_rules(validation);
    send_answer(validation);
}

/* ---- what comes in ---- */

static void take(struct loop *loop, h2o_req_t *req, int64_t started_us) {
    struct validation validation;
    struct admission_review *asked = &validation.asked;
    struct error error;
    if (admission_review_decode(req->entity.base, req->entity.len, loop->room, asked, &error) != 0) {
        request_refuse(loop, req, 400, error.text);
        return;
    }
    validation.results = (struct admission_results){0};
    review_begin(&validation.followup.review, &validate_reviews, loop, req, started_us);
    validation.followup.subject = (struct recheck_subject){.username = asked->user,
                                                           .uid = asked->user_uid,
                                                           .handle = asked->extra.handle,
                                                           .n_handles = asked->extra.n_handles};
    followup_begin(&validation.followup);
}

const struct review_kind validate_reviews = {
    .path = TEXT("/validate"),
    .called = "An AdmissionReview",
    .max_bytes = LIMIT_ADMISSION_BYTES,
    .n_bytes = sizeof(struct validation),
    .take = take,
    .settle = followup_settle,
    .answer = answer,
    .deinit = followup_deinit,
};
