#include "net/review.h"

#include "net/connection.h"
#include "unit/net/site.h"

/* A kind of review whose every step is counted, and whose steps are the test's. */
struct probe {
    struct review review;
    struct decision decision;
    char answer[64];
};

static _Atomic unsigned n_taken, n_settled, n_answered, n_released;
static _Atomic int last_reason;              /* what the last one was settled with; -1: a fact */
static struct runtime *_Atomic last_runtime; /* that the last one was settled by */
static _Atomic size_t fail_at;               /* of the allocations while it asks; 0: none */

static void probe_settle(struct review *review, enum reason reason, struct fact *fact) {
    struct probe *probe = (struct probe *)review;
    n_settled++;
    last_reason = fact == NULL ? (int)reason : -1;
    last_runtime = review->runtime;
    cr_expect_eq(fact != NULL, reason == REASON_OK);
    cr_expect(fact == NULL || memcmp(fact->key, probe->decision.key, DIGEST_BYTES) == 0, "the fact of another question");
    cr_expect_not(review->is_parked);
    snprintf(probe->answer, sizeof(probe->answer), "{\"settled\":\"%s\"}", reason_word(reason));
}

static void probe_answer(struct review *review) {
    n_answered++;
    review_send(review, text_of(((struct probe *)review)->answer));
}

static void probe_deinit(struct review *review) {
    (void)review;
    n_released++;
}

static void probe_take(struct loop *loop, h2o_req_t *req, int64_t started_us);

static const struct review_kind probe_reviews = {
    .path = TEXT("/probe"),
    .called = "A probe",
    .max_bytes = 1024 * 1024,
    .n_bytes = sizeof(struct probe),
    .take = probe_take,
    .settle = probe_settle,
    .answer = probe_answer,
    .deinit = probe_deinit,
};

/* "done" is answered at once, anything else is a token to ask about. */
static void probe_take(struct loop *loop, h2o_req_t *req, int64_t started_us) {
    const struct text body = {.data = req->entity.base, .n_bytes = req->entity.len};
    struct probe probe = {.answer = "{\"done\":true}"};
    n_taken++;
    review_begin(&probe.review, &probe_reviews, loop, req, started_us);
    review_decide_with(&probe.review);
    if (text_equal(body, TEXT("done"))) {
        review_done(&probe.review);
        return;
    }
    probe.decision.was_good = true;
    key_of(body, probe.decision.key);
    memory_fail_at(fail_at);
    review_ask(&probe.review, &probe.decision, body);
    memory_fail_at(0);
}

SITE_ROLE(probe_reviews, .max_entity_bytes = 4 * 1024 * 1024);

static struct site site;

static void set_up(void) {
    site_init(&site);
    const struct policy policy = site_policy(&site);
    site_start(&site, &role, &policy);
}

/* Each review that was taken has been released, and answered at most once. */
static void tear_down(void) {
    site_deinit(&site);
    MUST(n_released == n_taken);
    MUST(n_answered <= n_taken);
}

TestSuite(review, .init = set_up, .fini = tear_down, .timeout = 60);

static void expect_body(const struct response *response, const char *body) {
    cr_expect_eq(response->status, 200, "%d", response->status);
    cr_expect_str_eq(response->body, body, "%s", response->body);
}

static void expect_answer(int fd, const char *body) {
    const struct response response = receive(fd);
    expect_body(&response, body);
}

/* ---- what comes in ---- */

Test(review, what_is_none_is_refused_before_anybody_looks_at_it) {
    static const struct {
        const char *method, *target, *head;
        size_t n_bytes;
        int status;
        const char *says;
    } rows[] = {
        {"POST", "/", JSON_HEAD, 2, 404, "There is nothing here."},
        {"POST", "/probe/", JSON_HEAD, 2, 404, "There is nothing here."},
        {"POST", "/%70robe", JSON_HEAD, 2, 404, "There is nothing here."},
        {"GET", "/probe", JSON_HEAD, 0, 405, "A probe is sent by POST."},
        {"PUT", "/probe", JSON_HEAD, 2, 405, "A probe is sent by POST."},
        {"POST", "/probe", "", 2, 415, "A probe is sent as application/json, not encoded."},
        {"POST", "/probe", JSON_HEAD "Content-Encoding: gzip\r\n", 2, 415, "application/json, not encoded."},
        {"POST", "/probe", JSON_HEAD, 1024 * 1024 + 1, 413, "A probe has 1 MiB at most."},
    };
    char *body = malloc(1024 * 1024 + 2);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(body, '1', rows[i].n_bytes);
        body[rows[i].n_bytes] = '\0';
        const int fd = site_connect(&site);
        send_request(fd, rows[i].method, rows[i].target, rows[i].head, body);
        const struct response response = receive(fd);
        cr_expect_eq(response.status, rows[i].status, "row %zu: %d", i, response.status);
        cr_expect_not_null(strstr(response.body, rows[i].says), "row %zu: %s", i, response.body);
        cr_expect_eq(strcasestr(response.bytes, "\r\nallow: POST\r\n") != NULL, rows[i].status == 405, "row %zu", i);
        close(fd);
    }
    free(body);
    cr_expect_eq(n_taken, 0);
    cr_expect(site_has_metric(&site, "kube_introspect_bad_requests_total{code=\"404\"} 3"));
    cr_expect(site_has_metric(&site, "kube_introspect_bad_requests_total{code=\"405\"} 2"));
}

Test(review, that_need_not_wait_is_answered_and_released_at_once) {
    const int fd = site_connect(&site);
    for (unsigned i = 1; i <= 3; i++) {
        post(fd, "/probe?timeout=5s", "done");
        expect_answer(fd, "{\"done\":true}");
        cr_expect_eq(n_answered, i);
    }
    cr_expect_eq(n_settled, 0);
    close(fd);
}

/* ---- asking ---- */

Test(review, that_asked_is_settled_with_the_fact_and_answered_once) {
    const int fd = site_connect(&site);
    post(fd, "/probe", SITE_TOKEN);
    expect_answer(fd, "{\"settled\":\"ok\"}");
    cr_expect_eq(last_reason, -1);
    cr_expect_eq(n_settled, 1);
    cr_expect_eq(n_answered, 1);
    cr_expect(is_cached(&site.world, SITE_TOKEN));
    close(fd);
}

Test(review, that_asked_is_settled_with_the_reason_where_there_is_no_fact) {
    site.status = 500;
    const int fd = site_connect(&site);
    post(fd, "/probe", SITE_TOKEN);
    expect_answer(fd, "{\"settled\":\"provider_error\"}");
    cr_expect_eq(n_settled, 1);
    cr_expect_eq(n_answered, 1);
    close(fd);
}

Test(review, all_who_ask_about_one_token_share_a_call_and_each_gets_an_answer) {
    int fds[8];
    gate_close(&site.world);
    for (size_t i = 0; i < 8; i++) {
        fds[i] = site_connect(&site);
        post(fds[i], "/probe", SITE_TOKEN);
    }
    EVENTUALLY(site_n_parked(&site) == 8);
    wait_for(&site.world, &site.world.n_at_gate, 1);
    gate_open(&site.world);
    for (size_t i = 0; i < 8; i++) {
        expect_answer(fds[i], "{\"settled\":\"ok\"}");
        close(fds[i]);
    }
    cr_expect_eq(https_server_n_requests(site.world.server), 1);
    cr_expect_eq(n_answered, 8);
}

Test(review, whose_time_is_over_is_answered_and_the_provider_s_word_comes_too_late_for_it) {
    const int fd = site_connect(&site);
    gate_close(&site.world);
    post(fd, "/probe?timeout=100ms", SITE_TOKEN);
    expect_answer(fd, "{\"settled\":\"deadline_exceeded\"}");
    cr_expect_eq(site_n_parked(&site), 0);
    gate_open(&site.world);
    /* The call went on for nobody, or was given up: neither answers a second time. */
    post(fd, "/probe?timeout=20s", "another-token");
    expect_answer(fd, "{\"settled\":\"ok\"}");
    cr_expect_eq(n_answered, 2);
    cr_expect(is_silent(fd));
    close(fd);
}

/* ---- slots ---- */

static void fill_slots(struct loop *loop, void *context) {
    static int somebody;
    uint32_t slot, generation, n = 0;
    while (loop_park(loop, &somebody, 1, &slot, &generation) == 0)
        n++;
    *(uint32_t *)context = n;
}

static void empty_a_slot(struct loop *loop, void *context) {
    loop_unpark(loop, *(uint32_t *)context);
}

/* But for a range that is empty already. */
struct range {
    uint32_t first, end;
};

static void empty_slots(struct loop *loop, void *context) {
    const struct range *but_for = context;
    for (uint32_t slot = 0; slot < loop->n_slots; slot++) {
        if (slot < but_for->first || slot >= but_for->end)
            loop_unpark(loop, slot);
    }
}

/* ---- callers that go ---- */

/* h2o reads nothing while a request is under way, so it hears of it when it writes. */
Test(review, of_a_caller_who_went_is_settled_and_released_all_the_same) {
    const int fd = site_connect(&site);
    gate_close(&site.world);
    post(fd, "/probe?timeout=20s", SITE_TOKEN);
    wait_for(&site.world, &site.world.n_at_gate, 1);
    close(fd);
    cr_expect_eq(site_n_parked(&site), 1);
    gate_open(&site.world);
    EVENTUALLY(n_released == 1);
    EVENTUALLY(loop_n_connections(site.loop) == 0);
    cr_expect_eq(n_answered, 1);
    EVENTUALLY(site.first.runtime.n_refs == 2); /* the test's and the loop's */
}

/* A request that h2o ends while it waits, as it may end any: its pool is cleared. */
struct ending {
    h2o_req_t req;
    h2o_conn_t conn;
    h2o_socket_t socket;
    h2o_buffer_t input;
    struct connection connection;
    uint32_t slot;
    bool is_slot_taken; /* by whomever */
};

static h2o_socket_t *socket_of_ending(h2o_conn_t *conn) {
    return &H2O_STRUCT_FROM_MEMBER(struct ending, conn, conn)->socket;
}

static const h2o_conn_callbacks_t ending_callbacks = {.get_socket = socket_of_ending};

static void begin_ending(struct loop *loop, void *context) {
    struct ending *ending = context;
    ending->conn.callbacks = &ending_callbacks;
    ending->socket.input = &ending->input;
    ending->socket.on_close.data = &ending->connection;
    ending->connection.loop = loop;
    ending->connection.socket = &ending->socket;
    ending->req.conn = &ending->conn;
    ending->req.query_at = SIZE_MAX;
    ending->req.entity = h2o_iovec_init(H2O_STRLIT(SITE_TOKEN));
    h2o_mem_init_pool(&ending->req.pool);
    ending->slot = loop->first_free;
    probe_take(loop, &ending->req, 0);
}

static void end_ending(struct loop *loop, void *context) {
    struct ending *ending = context;
    (void)loop;
    h2o_mem_clear_pool(&ending->req.pool);
}

static void look_for_review(struct loop *loop, void *context) {
    struct ending *ending = context;
    ending->is_slot_taken = loop->slots[ending->slot].parked != NULL;
}

Test(review, whose_request_ends_while_it_waits_is_released_and_its_slot_is_the_next_ones) {
    struct ending ending = {0};
    uint32_t n;
    on_loop(&site, fill_slots, &n); /* all but two, in no order of theirs */
    for (uint32_t slot = 100; slot < 102; slot++)
        on_loop(&site, empty_a_slot, &slot);
    gate_close(&site.world);
    on_loop(&site, begin_ending, &ending);
    cr_expect_eq(ending.connection.n_requests, 1);
    cr_expect_eq(ending.slot, 101);
    wait_for(&site.world, &site.world.n_at_gate, 1);
    on_loop(&site, end_ending, &ending);
    cr_expect_eq(n_released, 1);
    cr_expect_eq(ending.connection.n_requests, 0);
    cr_expect_eq(site.first.runtime.n_refs, 2);
    const int fd = site_connect(&site);
    post(fd, "/probe?timeout=20s", "another-token"); /* in the same slot: probe_settle() looks whose fact it gets */
    wait_for(&site.world, &site.world.n_at_gate, 2);
    on_loop(&site, look_for_review, &ending);
    cr_expect(ending.is_slot_taken);
    site.held = "another-token";
    gate_open(&site.world);
    EVENTUALLY(is_cached(&site.world, SITE_TOKEN));        /* what was asked for nobody is of use to the next one */
    cr_assert_eq(ask(&site.world, SITE_TOKEN), REASON_OK); /* and its ticket has been given back by now */
    on_loop(&site, look_for_review, &ending);
    cr_expect(ending.is_slot_taken);
    cr_expect_eq(n_settled, 0);
    site.held = NULL;
    expect_answer(fd, "{\"settled\":\"ok\"}");
    cr_expect_eq(n_settled, 1);
    cr_expect_eq(n_answered, 1);
    close(fd);
    on_loop(&site, empty_slots, &(struct range){100, 102});
}

static void wait_at_gate(struct loop *loop, void *context) {
    (void)loop;
    while (!*(_Atomic bool *)context)
        poll(NULL, 0, 1);
}

/* The answer waits in the loop's inbox while the loop is busy, and the caller goes: in whatever order it then sees both. */
Test(review, whose_caller_goes_while_its_answer_is_on_the_way_is_released_once) {
    for (unsigned round = 1; round <= 20; round++) {
        _Atomic bool may_go_on = false;
        struct errand busy = {.run = wait_at_gate, .context = &may_go_on};
        char token[32];
        snprintf(token, sizeof(token), "token-%u", round);
        const int fd = site_connect(&site);
        gate_close(&site.world);
        post(fd, "/probe?timeout=20s", token);
        wait_for(&site.world, &site.world.n_at_gate, 1);
        errand_send(&site, &busy);
        gate_open(&site.world);
        EVENTUALLY(is_cached(&site.world, token));
        close(fd);
        may_go_on = true;
        EVENTUALLY(busy.is_done);
        EVENTUALLY(n_released == round);
        cr_expect_eq(n_answered, round);
    }
}

/* ---- nobody can be asked ---- */

Test(review, once_nobody_may_be_asked_the_answer_says_so) {
    const int fd = site_connect(&site);
    loop_stop_asking(site.loop);
    post(fd, "/probe", SITE_TOKEN);
    expect_answer(fd, "{\"settled\":\"stopping\"}");
    post(fd, "/probe", "done");
    expect_answer(fd, "{\"done\":true}");
    cr_expect_eq(https_server_n_requests(site.world.server), 0);
    close(fd);
}

Test(review, where_as_many_wait_as_may_the_next_is_answered_at_once) {
    uint32_t n_filled, slot = 7;
    on_loop(&site, fill_slots, &n_filled);
    cr_expect_eq(n_filled, LIMIT_PARKED_PER_LOOP);
    const int fd = site_connect(&site);
    post(fd, "/probe", SITE_TOKEN);
    expect_answer(fd, "{\"settled\":\"overloaded\"}");
    cr_expect_eq(https_server_n_requests(site.world.server), 0);
    on_loop(&site, empty_a_slot, &slot);
    post(fd, "/probe", SITE_TOKEN);
    expect_answer(fd, "{\"settled\":\"ok\"}");
    close(fd);
    on_loop(&site, empty_slots, &(struct range){7, 8});
}

/* The first rounds have no slots yet: even to wait takes memory. */
Test(review, without_memory_it_is_our_own_fault_and_answered_at_once) {
    const int fd = site_connect(&site);
    unsigned n = 0;
    gate_close(&site.world);
    for (last_reason = 0; n < 20;) {
        fail_at = ++n;
        post(fd, "/probe?timeout=20s", SITE_TOKEN);
        EVENTUALLY(n_answered == n || gate_is_reached(&site.world));
        if (n_answered < n)
            break;
        const struct response response = receive(fd);
        cr_expect(strstr(response.body, "overloaded") != NULL || strstr(response.body, "internal") != NULL, "%u: %s", n,
                  response.body);
        cr_expect_eq(https_server_n_requests(site.world.server), 0);
    }
    cr_expect_gt(n, 2, "%u", n);
    gate_open(&site.world);
    expect_answer(fd, "{\"settled\":\"ok\"}");
    close(fd);
}

/* ---- while it waits ---- */

Test(review, ends_with_the_configuration_that_it_began_with) {
    const struct policy policy = site_policy(&site);
    const int fd = site_connect(&site);
    gate_close(&site.world);
    post(fd, "/probe?timeout=20s", SITE_TOKEN);
    wait_for(&site.world, &site.world.n_at_gate, 1);
    site_reload(&site, &policy);
    cr_expect_eq(site.first.runtime.n_refs, 2); /* the test's and the review's */
    cr_expect_eq(site.second.runtime.n_refs, 2);
    gate_open(&site.world);
    expect_answer(fd, "{\"settled\":\"ok\"}");
    cr_expect_eq(last_runtime, &site.first.runtime);
    EVENTUALLY(site.first.runtime.n_refs == 1);
    post(fd, "/probe?timeout=20s", "another-token");
    expect_answer(fd, "{\"settled\":\"ok\"}");
    cr_expect_eq(last_runtime, &site.second.runtime);
    close(fd);
}

Test(review, that_waited_when_the_drain_began_is_answered_and_its_connection_ends) {
    const int fd = site_connect(&site);
    gate_close(&site.world);
    post(fd, "/probe?timeout=20s", SITE_TOKEN);
    wait_for(&site.world, &site.world.n_at_gate, 1);
    loop_drain(site.loop);
    gate_open(&site.world);
    const struct response response = receive(fd);
    expect_body(&response, "{\"settled\":\"ok\"}");
    cr_expect_not_null(strcasestr(response.bytes, "\r\nconnection: close\r\n"));
    cr_expect_eq(receive(fd).status, 0);
    close(fd);
}
