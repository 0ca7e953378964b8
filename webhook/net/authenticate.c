#include "net/authenticate.h"

#include <errno.h>

#include "net/connection.h"
#include "net/request.h"
#include "wire/token_review.h"

#define CREDENTIAL_KEY TEXT("kube-introspect.io/credential")

struct handler {
    h2o_handler_t super;
    struct loop *loop;
};

/* A login: one review under way. On the stack while it can be answered at once, in the request's pool while it waits. */
struct login {
    struct loop *loop;
    h2o_req_t *req;
    struct connection *connection;
    struct runtime *runtime; /* counted */
    int64_t started_us;
    int64_t unix_ms, mono_ms; /* when it was last decided about */
    uint64_t request_id;
    int64_t provider_us; /* -1: not asked */
    struct token_review review;
    struct decision decision;
    uint32_t slot, generation; /* while it waits */
    bool is_parked;
};

/* What travels to the fetch thread and back for a login that waits: never the login itself, which may be gone by then. */
struct question {
    struct ticket ticket;
    struct loop_message message;
    struct loop *loop;
    uint32_t slot, generation;
};

/* What a decision is made with now; the login keeps the time for its record. */
static struct decide decide_with(struct login *login) {
    const struct services *services = login->loop->services;
    login->unix_ms = clock_unix_ms(services->clock);
    login->mono_ms = clock_mono_ms(services->clock);
    return (struct decide){
        .policy = snapshot_policy(login->runtime->snapshot),
        .cache = services->cache,
        .digest = login->loop->digest,
        .now_mono_ms = login->mono_ms,
        .now_unix_ms = login->unix_ms,
    };
}

static struct decide_issuer issuer_of(void *context, size_t issuer) {
    const struct runtime *runtime = context;
    return provider_key(runtime->providers[issuer]);
}

static void login_deinit(struct login *login) {
    decision_deinit(&login->decision);
    runtime_unref(login->runtime);
    login->connection->n_requests--;
    login->connection->used_mono_ms = clock_mono_ms(login->loop->services->clock);
}

/* ---- 7: the answer ---- */

static struct text user_of(const struct login *login) {
    return login->decision.verdict == VERDICT_ALLOW ? identity_user(login->decision.identity) : TEXT("");
}

static int write_audit(const struct login *login, int64_t duration_us) {
    const struct decision *decision = &login->decision;
    const struct policy *policy = snapshot_policy(login->runtime->snapshot);
    const bool has_user = decision->identity != NULL;
    const struct audit_record record = {
        .unix_ms = login->unix_ms,
        .cluster = policy->cluster,
        .request_id = login->request_id,
        .issuer = decision->issuer == DECISION_NO_ISSUER ? TEXT("") : policy->issuers[decision->issuer].name,
        .caller = text_of(login->connection->caller),
        .verdict = decision->verdict,
        .reason = decision->reason,
        .cache = decision->cache,
        .user = has_user ? identity_user(decision->identity) : TEXT(""),
        .digest = decision->has_key ? decision->key : NULL,
        .provider_us = login->provider_us,
        .duration_us = duration_us,
        .generation = policy->generation,
    };
    return audit_write(login->loop->services->audit, &record);
}

static void encode(struct login *login, struct buffer *buffer) {
    const struct decision *decision = &login->decision;
    const bool is_allowed = decision->verdict == VERDICT_ALLOW;
    char memory[2 * DECISION_CREDENTIAL_BYTES + 1];
    struct buffer credential;
    buffer_init_fixed(&credential, memory, sizeof(memory));
    buffer_append_hex(&credential, decision->key, DECISION_CREDENTIAL_BYTES);
    /* What the API server writes into its own audit log is found again in ours. */
    const struct review_extra extra[] = {{.key = CREDENTIAL_KEY, .value = buffer_text(&credential)}};
    const struct token_review_answer answer = {
        .version = login->review.version,
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

/* The connection ends when the process does, and when the configuration that accepted its caller is no more: a CA or name
   that was taken away must not call on for as long as it keeps its connection. */
static bool must_close(const struct login *login) {
    return login->loop->is_draining || login->connection->tls != login->loop->accept.ssl_ctx;
}

/* Encodes, audits, counts, sends: the one place where a review is completed, and once for each. */
static void answer(struct login *login) {
    const int64_t duration_us = clock_mono_us() - login->started_us;
    struct loop *loop = login->loop;
    /* No identity leaves that has no audit record. */
    if (write_audit(login, duration_us) == AUDIT_REFUSED)
        decide_unavailable(REASON_AUDIT_UNWRITABLE, &login->decision);
    encode(login, &loop->scratch);
    if (loop->scratch.error != 0) {
        decide_unavailable(REASON_INTERNAL, &login->decision);
        encode(login, &loop->scratch);
    }
    metrics_review(loop->services->metrics, login->decision.verdict, login->decision.reason, login->decision.cache,
                   duration_us);
    if (must_close(login)) /* h2o decided when the request came, which may have been before */
        login->req->http1_is_persistent = 0;
    request_send(login->req, 200, "application/json", buffer_text(&loop->scratch));
}

/* ---- 4: asking ---- */

/* The request is over, answered or not: whoever comes back with its answer finds the slot empty. */
static void on_dispose(void *memory) {
    struct login *login = memory;
    if (login->is_parked)
        loop_unpark(login->loop, login->slot);
    login_deinit(login);
}

/* On the loop's thread: an answer came back. */
static void handle_answer(struct loop *loop, struct loop_message *message) {
    struct question *question = H2O_STRUCT_FROM_MEMBER(struct question, message, message);
    struct login *login = loop_parked(loop, question->slot, question->generation);
    if (login != NULL) {
        loop_unpark(loop, login->slot);
        login->is_parked = false;
        login->provider_us = question->ticket.provider_us;
        const struct decide with = decide_with(login);
        if (question->ticket.reason == REASON_OK)
            decide_fact(&with, question->ticket.fact, login->review.audiences, login->review.n_audiences, &login->decision);
        else
            decide_unavailable(question->ticket.reason, &login->decision);
        answer(login);
    }
    fact_unref(question->ticket.fact);
    free(question);
}

/* On the fetch thread. */
static void deliver(struct ticket *ticket) {
    struct question *question = H2O_STRUCT_FROM_MEMBER(struct question, ticket, ticket);
    loop_send(question->loop, &question->message);
}

/* Sends the question off. Returns 0, or why not as an enum reason of verdict UNAVAILABLE. */
static enum reason ask(struct login *login, int64_t deadline_mono_ms) {
    if (login->loop->asks_nobody)
        return REASON_STOPPING;
    struct question *question = calloc(1, sizeof(*question));
    if (question == NULL)
        return REASON_INTERNAL;
    question->ticket.deadline_mono_ms = deadline_mono_ms;
    question->ticket.looked_mono_ms = login->mono_ms;
    question->ticket.deliver = deliver;
    question->message.handle = handle_answer;
    question->loop = login->loop;
    question->slot = login->slot;
    question->generation = login->generation;
    const int r = fetch_ask(login->loop->services->fetch, login->runtime->providers[login->decision.issuer],
                            login->decision.key, login->review.token, &question->ticket);
    if (r == 0)
        return REASON_OK;
    free(question);
    return r == FETCH_STOPPING ? REASON_STOPPING : REASON_INTERNAL;
}

/* Moves the login from the stack into the request's pool and sends the question off. */
static void park_and_ask(const struct login *on_stack) {
    h2o_req_t *req = on_stack->req;
    struct login *login = h2o_mem_alloc_shared(&req->pool, sizeof(*login), on_dispose);
    *login = *on_stack;
    const int64_t deadline = clock_mono_ms(login->loop->services->clock) + request_timeout_ms(request_query(req));
    enum reason reason = REASON_OVERLOADED;
    if (loop_park(login->loop, login, &login->slot, &login->generation) == 0) {
        login->is_parked = true;
        reason = ask(login, deadline);
        if (reason == REASON_OK)
            return;
        loop_unpark(login->loop, login->slot);
        login->is_parked = false;
    }
    decide_unavailable(reason, &login->decision);
    answer(login);
}

/* ---- 1 to 3 ---- */

/* Whether it is a review at all, as far as the header tells; answers it where it is not. */
static bool is_acceptable(struct loop *loop, h2o_req_t *req) {
    if (!request_path_is(req, TEXT("/authenticate"))) {
        request_refuse(loop, req, 404, "There is nothing here. TokenReviews are answered at /authenticate.");
        return false;
    }
    if (!request_method_is(req, TEXT("POST"))) {
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, H2O_STRLIT("POST"));
        request_refuse(loop, req, 405, "A TokenReview is sent by POST.");
        return false;
    }
    if (!request_is_json(req)) {
        request_refuse(loop, req, 415, "A TokenReview is sent as application/json, not encoded.");
        return false;
    }
    if (req->entity.len > LIMIT_REVIEW_BYTES) {
        request_refuse(loop, req, 413, "The TokenReview is larger than 2 MiB.");
        return false;
    }
    return true;
}

static void begin(struct login *login) {
    const struct decide with = decide_with(login);
    const enum decide_step step = decide_begin(&with, issuer_of, login->runtime, login->review.token,
                                               login->review.audiences, login->review.n_audiences, &login->decision);
    if (step == DECIDE_ASK) {
        park_and_ask(login);
        return;
    }
    answer(login);
    login_deinit(login);
}

static int on_request(h2o_handler_t *self, h2o_req_t *req) {
    struct loop *loop = ((struct handler *)self)->loop;
    const int64_t started_us = clock_mono_us();
    if (!is_acceptable(loop, req))
        return 0;
    struct login login;
    struct error error;
    if (token_review_decode(req->entity.base, req->entity.len, &login.review, &error) != 0) {
        request_refuse(loop, req, 400, error.text);
        return 0;
    }
    login.loop = loop;
    login.req = req;
    login.connection = connection_of(req);
    login.connection->n_requests++;
    login.runtime = runtime_ref(loop->runtime);
    login.started_us = started_us;
    login.request_id = loop->request_ids++;
    login.provider_us = -1;
    login.is_parked = false;
    begin(&login);
    return 0;
}

void authenticate_register(struct loop *loop, h2o_pathconf_t *path) {
    struct handler *handler = (struct handler *)h2o_create_handler(path, sizeof(*handler));
    handler->super.on_req = on_request;
    handler->loop = loop;
}
