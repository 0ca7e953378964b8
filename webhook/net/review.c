#include "net/review.h"

#include "net/connection.h"
#include "net/request.h"

/* ---- deciding ---- */

struct decide review_decide_with(struct review *review) {
    const struct services *services = review->loop->services;
    review->unix_ms = clock_unix_ms(services->clock);
    review->mono_ms = clock_mono_ms(services->clock);
    return (struct decide){
        .policy = snapshot_policy(review->runtime->snapshot),
        .cache = services->cache,
        .digest = review->loop->digest,
        .now_mono_ms = review->mono_ms,
        .now_unix_ms = review->unix_ms,
    };
}

struct decide_issuer review_issuer_of(void *context, size_t issuer) {
    const struct runtime *runtime = context;
    return provider_key(runtime->providers[issuer]);
}

/* ---- begin and end ---- */

void review_begin(struct review *review, const struct review_kind *kind, struct loop *loop, h2o_req_t *req,
                  int64_t started_us) {
    review->kind = kind;
    review->loop = loop;
    review->req = req;
    review->connection = connection_of(req);
    review->connection->n_requests++;
    review->runtime = runtime_ref(loop->runtime);
    review->started_us = started_us;
    review->request_id = loop->request_ids++;
    review->provider_us = -1;
    review->is_parked = false;
}

static void deinit(struct review *review) {
    review->kind->deinit(review);
    runtime_unref(review->runtime);
    review->connection->n_requests--;
}

void review_done(struct review *review) {
    review->kind->answer(review);
    deinit(review);
}

/* ---- the answer ---- */

void review_describe(const struct review *review, const struct decision *decision, struct audit_record *ret_record) {
    const struct policy *policy = snapshot_policy(review->runtime->snapshot);
    *ret_record = (struct audit_record){
        .unix_ms = review->unix_ms,
        .cluster = policy->cluster,
        .request_id = review->request_id,
        .issuer = decision->issuer == DECISION_NO_ISSUER ? TEXT("") : policy->issuers[decision->issuer].name,
        .caller = text_of(review->connection->caller),
        .verdict = decision->verdict,
        .reason = decision->reason,
        .because = decision->because,
        .cache = decision->cache,
        .digest = decision->has_key ? decision->key : NULL,
        .provider_us = review->provider_us,
        .duration_us = clock_mono_us() - review->started_us,
        .generation = policy->generation,
    };
}

/* The connection ends when the process does, and when the configuration that accepted its caller is no more: a CA or name
   that was taken away must not call on for as long as it keeps its connection. */
static bool must_close(const struct review *review) {
    return review->loop->is_draining || review->connection->tls != review->loop->accept.ssl_ctx;
}

void review_send(struct review *review, struct text body) {
    if (must_close(review)) /* h2o decided when the request came, which may have been before */
        review->req->http1_is_persistent = 0;
    request_send(review->req, 200, "application/json", body);
}

/* ---- asking ---- */

/* What travels to the fetch thread and back for a review that waits: never the review itself, which may be gone by then. */
struct question {
    struct ticket ticket;
    struct loop_message message;
    struct loop *loop;
    uint32_t slot, generation;
};

static void unpark(struct review *review) {
    loop_unpark(review->loop, review->slot);
    review->is_parked = false;
}

static void settle(struct review *review, enum reason reason, struct fact *fact) {
    review->kind->settle(review, reason, fact);
    review->kind->answer(review);
}

/* The request is over, answered or not: whoever comes back with its answer finds the slot empty. */
static void on_dispose(void *memory) {
    struct review *review = memory;
    if (review->is_parked)
        unpark(review);
    deinit(review);
}

/* On the loop's thread: an answer came back. */
static void handle_answer(struct loop *loop, struct loop_message *message) {
    struct question *question = H2O_STRUCT_FROM_MEMBER(struct question, message, message);
    const struct ticket *ticket = &question->ticket;
    struct review *review = loop_parked(loop, question->slot, question->generation);
    if (review != NULL) {
        unpark(review);
        review->provider_us = ticket->provider_us;
        settle(review, ticket->reason, ticket->reason == REASON_OK ? ticket->fact : NULL);
    }
    fact_unref(ticket->fact);
    free(question);
}

/* On the fetch thread. */
static void deliver(struct ticket *ticket) {
    struct question *question = H2O_STRUCT_FROM_MEMBER(struct question, ticket, ticket);
    loop_send(question->loop, &question->message);
}

static struct question *question_new(const struct review *review) {
    struct question *question = calloc(1, sizeof(*question));
    if (question == NULL)
        return NULL;
    question->ticket.deadline_mono_ms =
        clock_mono_ms(review->loop->services->clock) + request_timeout_ms(request_query(review->req));
    question->ticket.looked_mono_ms = review->mono_ms;
    question->ticket.deliver = deliver;
    question->message.handle = handle_answer;
    question->loop = review->loop;
    question->slot = review->slot;
    question->generation = review->generation;
    return question;
}

/* Sends the question off. Returns 0, or why not as an enum reason of verdict UNAVAILABLE. */
static enum reason send_question(const struct review *review, const struct decision *decision, struct text token) {
    if (review->loop->asks_nobody)
        return REASON_STOPPING;
    struct question *question = question_new(review);
    if (question == NULL)
        return REASON_INTERNAL;
    question->ticket.kind = decision->was_good ? BUDGET_KNOWN : BUDGET_UNKNOWN;
    const int r = fetch_ask(review->loop->services->fetch, review->runtime->providers[decision->issuer], decision->key,
                            token, &question->ticket);
    if (r == 0)
        return REASON_OK;
    free(question);
    return r == FETCH_STOPPING ? REASON_STOPPING : REASON_INTERNAL;
}

void review_ask(struct review *on_stack, const struct decision *decision, struct text token) {
    struct review *review = h2o_mem_alloc_shared(&on_stack->req->pool, on_stack->kind->n_bytes, on_dispose);
    memcpy(review, on_stack, on_stack->kind->n_bytes);
    enum reason reason = REASON_OVERLOADED;
    const size_t n_bytes = connection_input_bytes(review->connection);
    if (loop_park(review->loop, review, n_bytes, &review->slot, &review->generation) == 0) {
        review->is_parked = true;
        reason = send_question(review, decision, token);
        if (reason == REASON_OK)
            return;
        unpark(review);
    }
    settle(review, reason, NULL);
}

/* ---- what comes in ---- */

struct handler {
    h2o_handler_t super;
    struct loop *loop;
    const struct review_kind *const *kinds;
    size_t n_kinds;
    const char *nothing_here;
};

static const struct review_kind *kind_of(const struct handler *handler, const h2o_req_t *req) {
    for (size_t i = 0; i < handler->n_kinds; i++) {
        if (request_path_is(req, handler->kinds[i]->path))
            return handler->kinds[i];
    }
    return NULL;
}

/* Whether it is a review at all, as far as the header tells; answers it where it is not. */
static bool is_acceptable(const struct review_kind *kind, struct loop *loop, h2o_req_t *req) {
    struct error error;
    int status = 0;
    if (!request_method_is(req, TEXT("POST"))) {
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, H2O_STRLIT("POST"));
        error_set(&error, "%s is sent by POST.", kind->called);
        status = 405;
    } else if (!request_is_json(req)) {
        error_set(&error, "%s is sent as application/json, not encoded.", kind->called);
        status = 415;
    } else if (req->entity.len > kind->max_bytes) {
        error_set(&error, "%s has %zu MiB at most.", kind->called, kind->max_bytes / (1024 * 1024));
        status = 413;
    }
    if (status != 0)
        request_refuse(loop, req, status, error.text);
    return status == 0;
}

static int on_request(h2o_handler_t *self, h2o_req_t *req) {
    const struct handler *handler = (struct handler *)self;
    const int64_t started_us = clock_mono_us();
    const struct review_kind *kind = kind_of(handler, req);
    if (kind == NULL)
        request_refuse(handler->loop, req, 404, handler->nothing_here);
    else if (is_acceptable(kind, handler->loop, req))
        kind->take(handler->loop, req, started_us);
    return 0;
}

void review_register(struct loop *loop, h2o_pathconf_t *path, const struct review_kind *const *kinds, size_t n_kinds,
                     const char *nothing_here) {
    struct handler *handler = (struct handler *)h2o_create_handler(path, sizeof(*handler));
    handler->super.on_req = on_request;
    handler->loop = loop;
    handler->kinds = kinds;
    handler->n_kinds = n_kinds;
    handler->nothing_here = nothing_here;
}
