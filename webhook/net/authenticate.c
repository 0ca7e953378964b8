#include "net/authenticate.h"

#include "net/refresh.h"
#include "net/request.h"
#include "wire/handle_extra.h"
#include "wire/token_review.h"

#define CREDENTIAL_KEY TEXT("kube-introspect.io/credential")
#define DEGRADED_KEY TEXT("kube-introspect.io/degraded")
#define MAX_EXTRA 3

/* A login: one review under way. */
struct login {
    struct review review;
    struct token_review asked;
    struct decision decision;
    size_t n_handle_bytes; /* 0: none is given out */
    char handle[LIMIT_HANDLE_BYTES];
};

static void login_deinit(struct review *review) {
    decision_deinit(&((struct login *)review)->decision);
}

/* ---- 7: the answer ---- */

/*
 * What leads later requests of this user back to the token. By the configuration of now and not by the login's, which may
 * have waited meanwhile: whoever verifies it has that one, or a later one. Made for each answer, so it takes no memory of
 * the token's. Returns 0, or -EIO.
 */
static int make_handle(struct login *login) {
    const struct loop *loop = login->review.loop;
    login->n_handle_bytes = 0;
    if (login->decision.verdict != VERDICT_ALLOW || loop->handle_keys == NULL)
        return 0;
    struct identity_names names;
    identity_names(login->decision.identity, &names);
    const struct handle_subject subject = {
        .username = names.username, .uid = names.uid, .cluster = snapshot_policy(loop->runtime->snapshot)->cluster};
    struct buffer handle;
    buffer_init_fixed(&handle, login->handle, sizeof(login->handle));
    const int r = handle_append(loop->handle_keys, &subject, login->decision.key, login->review.unix_ms / 1000, &handle);
    if (r == 0 && handle.error == 0)
        login->n_handle_bytes = handle.n_bytes;
    return r == 0 ? handle.error : r;
}

static struct text user_of(const struct login *login) {
    return login->decision.verdict == VERDICT_ALLOW ? identity_user(login->decision.identity) : TEXT("");
}

static void describe(const struct login *login, struct audit_record *ret_record) {
    review_describe(&login->review, &login->decision, ret_record);
    if (login->decision.identity != NULL)
        ret_record->user = identity_user(login->decision.identity);
}

/* What belongs to this answer and not to the user. What the API server writes into its own audit log is found again in
   ours. Returns how many. */
static size_t collect_extra(const struct login *login, struct buffer *credential,
                            struct review_extra ret_extra[MAX_EXTRA]) {
    const struct decision *decision = &login->decision;
    if (decision->verdict != VERDICT_ALLOW || !decision->has_key)
        return 0;
    buffer_append_hex(credential, decision->key, DECISION_CREDENTIAL_BYTES);
    size_t n = 0;
    ret_extra[n++] = (struct review_extra){.key = CREDENTIAL_KEY, .value = buffer_text(credential)};
    if (login->n_handle_bytes > 0)
        ret_extra[n++] = (struct review_extra){.key = HANDLE_EXTRA_KEY,
                                               .value = {.data = login->handle, .n_bytes = login->n_handle_bytes}};
    if (decision->reason == REASON_DEGRADED)
        ret_extra[n++] = (struct review_extra){.key = DEGRADED_KEY, .value = text_of(reason_word(decision->because))};
    return n;
}

static void encode(const struct login *login, struct buffer *buffer) {
    const struct decision *decision = &login->decision;
    const bool is_allowed = decision->verdict == VERDICT_ALLOW;
    char memory[2 * DECISION_CREDENTIAL_BYTES + 1];
    struct buffer credential;
    buffer_init_fixed(&credential, memory, sizeof(memory));
    struct review_extra extra[MAX_EXTRA];
    const struct token_review_answer answer = {
        .version = login->asked.version,
        .user = user_of(login),
        .extra = extra,
        .n_extra = collect_extra(login, &credential, extra),
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
    if (make_handle(login) != 0)
        decide_unavailable(REASON_INTERNAL, &login->decision);
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
    metrics_review(loop->services->metrics, METRICS_LOGIN, login->decision.verdict, login->decision.reason,
                   login->decision.cache, record.duration_us);
    review_send(review, buffer_text(&loop->scratch));
}

/* ---- 4: what the provider said ---- */

static void settle(struct review *review, enum reason reason, struct fact *fact) {
    struct login *login = (struct login *)review;
    const struct decide with = review_decide_with(review);
    if (fact != NULL)
        decide_fact(&with, fact, login->asked.audiences, login->asked.n_audiences, &login->decision);
    else
        decide_without(&with, reason, login->asked.audiences, login->asked.n_audiences, &login->decision);
}

/* ---- 1 to 3 ---- */

static void refresh(const struct login *login) {
    const struct review *review = &login->review;
    const struct decision *decision = &login->decision;
    if (!review->loop->asks_nobody)
        refresh_ask(review->loop->services->fetch, review->loop->services->metrics,
                    review->runtime->providers[decision->issuer], decision->key, login->asked.token, review->mono_ms);
}

static void begin(struct login *login) {
    const struct decide with = review_decide_with(&login->review);
    struct decision *decision = &login->decision;
    const enum decide_step step = decide_begin(&with, review_issuer_of, login->review.runtime, login->asked.token,
                                               login->asked.audiences, login->asked.n_audiences, decision);
    if (step == DECIDE_ASK) {
        review_ask(&login->review, decision, login->asked.token);
        return;
    }
    if (decision->is_to_refresh)
        refresh(login);
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
