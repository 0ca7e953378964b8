#include "net/authenticate.h"

#include "net/request.h"
#include "wire/token_review.h"

#define CREDENTIAL_KEY TEXT("kube-introspect.io/credential")

/* A login: one review under way. */
struct login {
    struct review review;
    struct token_review asked;
    struct decision decision;
};

static void login_deinit(struct review *review) {
    decision_deinit(&((struct login *)review)->decision);
}

/* ---- 7: the answer ---- */

static struct text user_of(const struct login *login) {
    return login->decision.verdict == VERDICT_ALLOW ? identity_user(login->decision.identity) : TEXT("");
}

static void describe(const struct login *login, struct audit_record *ret_record) {
    review_describe(&login->review, &login->decision, ret_record);
    if (login->decision.identity != NULL)
        ret_record->user = identity_user(login->decision.identity);
}

static void encode(const struct login *login, struct buffer *buffer) {
    const struct decision *decision = &login->decision;
    const bool is_allowed = decision->verdict == VERDICT_ALLOW;
    char memory[2 * DECISION_CREDENTIAL_BYTES + 1];
    struct buffer credential;
    buffer_init_fixed(&credential, memory, sizeof(memory));
    buffer_append_hex(&credential, decision->key, DECISION_CREDENTIAL_BYTES);
    /* What the API server writes into its own audit log is found again in ours. */
    const struct review_extra extra[] = {{.key = CREDENTIAL_KEY, .value = buffer_text(&credential)}};
    const struct token_review_answer answer = {
        .version = login->asked.version,
        .user = user_of(login),
        .extra = extra,
        .n_extra = decision->has_key ? sizeof(extra) / sizeof(extra[0]) : 0,
        .audiences = decision->audiences,
        .n_audiences = is_allowed && decision->has_audiences ? decision->n_audiences : 0,
        .error = decision->verdict == VERDICT_UNAVAILABLE ? text_of(reason_sentence(decision->reason)) : TEXT(""),
    };
    buffer_clear(buffer);
    token_review_encode(&answer, buffer);
}

static void answer(struct review *review) {
    struct login *login = (struct login *)review;
    struct loop *loop = review->loop;
    struct audit_record record;
    describe(login, &record);
    /* No identity leaves that has no audit record. */
    if (audit_write(loop->services->audit, &record) == AUDIT_REFUSED)
        decide_unavailable(REASON_AUDIT_UNWRITABLE, &login->decision);
    encode(login, &loop->scratch);
    if (loop->scratch.error != 0) {
        decide_unavailable(REASON_INTERNAL, &login->decision);
        encode(login, &loop->scratch);
    }
    metrics_review(loop->services->metrics, login->decision.verdict, login->decision.reason, login->decision.cache,
                   record.duration_us);
    review_send(review, buffer_text(&loop->scratch));
}

/* ---- 4: what the provider said ---- */

static void settle(struct review *review, enum reason reason, struct fact *fact) {
    struct login *login = (struct login *)review;
    const struct decide with = review_decide_with(review);
    if (fact != NULL)
        decide_fact(&with, fact, login->asked.audiences, login->asked.n_audiences, &login->decision);
    else
        decide_unavailable(reason, &login->decision);
}

/* ---- 1 to 3 ---- */

static void begin(struct login *login) {
    const struct decide with = review_decide_with(&login->review);
    struct decision *decision = &login->decision;
    const enum decide_step step = decide_begin(&with, review_issuer_of, login->review.runtime, login->asked.token,
                                               login->asked.audiences, login->asked.n_audiences, decision);
    if (step == DECIDE_ASK)
        review_ask(&login->review, decision->issuer, decision->key, login->asked.token);
    else
        review_done(&login->review);
}

static void take(struct loop *loop, h2o_req_t *req, int64_t started_us) {
    struct login login;
    struct error error;
    if (token_review_decode(req->entity.base, req->entity.len, &login.asked, &error) != 0) {
        request_refuse(loop, req, 400, error.text);
        return;
    }
    review_begin(&login.review, &authenticate_reviews, loop, req, started_us);
    begin(&login);
}

const struct review_kind authenticate_reviews = {
    .path = TEXT("/authenticate"),
    .called = "A TokenReview",
    .max_bytes = LIMIT_REVIEW_BYTES,
    .n_bytes = sizeof(struct login),
    .take = take,
    .settle = settle,
    .answer = answer,
    .deinit = login_deinit,
};
