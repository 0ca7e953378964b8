#include "net/call.h"
#include "lib/memory.h"
#include "unit/net/harness.h"

#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* libcurl's clock too: so a test need not wait for what libcurl does to connections that are old. */
static _Atomic int64_t later_s;

int clock_gettime(clockid_t id, struct timespec *ret_now) {
    const int r = (int)syscall(SYS_clock_gettime, id, ret_now);
    ret_now->tv_sec += later_s;
    return r;
}

static void answer_active(void *context, const struct https_request *request) {
    (void)context;
    https_reply(request, 200, "application/json", NULL, ACTIVE);
}

/* ---- requests ---- */

/* Answers "active" only to a request that is exactly as it should be. */
static void answer_basic_request(void *context, const struct https_request *request) {
    (void)context;
    const bool is_right =
        strcmp(request->method, "POST") == 0 && strcmp(request->path, "/introspect") == 0 &&
        https_has_header(request, "Authorization",
                         "Basic d2ViaG9vayUzQTE6S0lDbGllbnRTZWNyZXRWNG5SOC11RTJvWGE3TWk5QnczJTJG") &&
        https_has_header(request, "Accept", "application/json") &&
        https_has_header(request, "User-Agent", "kube-introspect") &&
        https_has_header(request, "Content-Type", "application/x-www-form-urlencoded") &&
        strcasestr(request->head, "\r\nExpect") == NULL && strcasestr(request->head, "\r\nAccept-Encoding") == NULL &&
        strcasestr(request->head, "\r\nCookie") == NULL && strstr(request->head, " HTTP/1.1\r\n") != NULL &&
        strcmp(request->body, "token=" SENTINEL_TOKEN "&token_type_hint=access_token") == 0;
    https_reply(request, is_right ? 200 : 500, "application/json", "Set-Cookie: a=b; Path=/\r\n", ACTIVE);
}

Test(call, a_basic_request_is_form_encoded_first_and_has_no_more_than_it_needs) {
    setenv("https_proxy", "http://127.0.0.1:1", 1); /* must not be asked */
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct world world;
    world_init(&world);
    secret_free(world.files.client_secrets[0]);
    world.files.client_secrets[0] = secret_of(SENTINEL_SECRET "/");
    world_start(&world, answer_basic_request);
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK);
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK, "the same once more, over the same connection");
    cr_assert_eq(https_server_n_connections(world.server), 1);
    world_deinit(&world);
}

static void answer_post_request(void *context, const struct https_request *request) {
    (void)context;
    const bool is_right =
        strcasestr(request->head, "\r\nAuthorization") == NULL &&
        strcmp(request->body, "token=" SENTINEL_TOKEN
                              "&token_type_hint=access_token&client_id=webhook%3A1&client_secret=" SENTINEL_SECRET) == 0;
    https_reply(request, is_right ? 200 : 500, "application/json", NULL, ACTIVE);
}

Test(call, client_secret_post_sends_id_and_secret_in_the_body) {
    struct world world;
    world_init(&world);
    world.introspection.method = CLIENT_SECRET_POST;
    world_start(&world, answer_post_request);
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK);
    world_deinit(&world);
}

static void answer_certificate_request(void *context, const struct https_request *request) {
    (void)context;
    const bool is_right =
        strcasestr(request->head, "\r\nAuthorization") == NULL &&
        strcmp(request->body, "token=" SENTINEL_TOKEN "&token_type_hint=access_token&client_id=webhook%3A1") == 0;
    https_reply(request, is_right ? 200 : 500, "application/json", NULL, ACTIVE);
}

/* The provider requires a certificate of the test's CA; ours is signed by ca. */
static void start_with_client_certificate(struct world *world, const struct certificate *ca) {
    struct certificate client = certificate_new(ca, &(struct certificate_wish){.common_name = "webhook"});
    world->introspection.method = CLIENT_TLS;
    world->introspection.cert_file = (char *)"tls/client.crt";
    world->introspection.key_file = (char *)"tls/client.key";
    world->files.client_cert_pem = secret_of(client.cert_pem);
    world->files.client_key_pem = secret_of(client.key_pem);
    certificate_deinit(&client);
    world_serve(world, &(struct https_settings){.script = answer_certificate_request, .client_ca = &world->ca});
    world_fetch(world);
}

Test(call, tls_client_auth_presents_the_certificate_and_names_the_client) {
    struct world world;
    world_init(&world);
    start_with_client_certificate(&world, &world.ca);
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK);
    world_deinit(&world);
}

Test(call, a_refused_client_certificate_is_a_trouble_of_tls) {
    struct world world;
    world_init(&world);
    struct certificate stranger =
        certificate_new(NULL, &(struct certificate_wish){.common_name = "Stranger CA", .is_ca = 1});
    start_with_client_certificate(&world, &stranger);
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_PROVIDER_TLS);
    cr_assert_eq(https_server_n_requests(world.server), 0);
    certificate_deinit(&stranger);
    world_deinit(&world);
}

/* Whatever fails of what it takes to begin: a connection's memory, the request's. */
Test(call, a_request_that_could_not_begin_is_wiped) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    struct multi multi;
    cr_assert_eq(multi_init(&multi), 0);
    struct call *call;
    cr_assert_eq(call_new(&world.snapshot, 0, &call), 0);
    size_t n_failed = 0;
    for (int r = -ENOMEM; r != 0;) {
        buffer_clear(&call->request);
        buffer_append(&call->request, TEXT("token=" SENTINEL_TOKEN));
        const char *const memory = call->request.data;
        memory_fail_at(n_failed + 1);
        r = call_begin_post(call, &multi, world.endpoint, TEXT(""), clock_mono_ms(&world.clock));
        memory_fail_at(0);
        if (r == 0)
            break;
        n_failed++;
        cr_assert_eq(r, -ENOMEM);
        cr_assert_eq(call->request.n_bytes + call->sent.n_bytes, 0);
        cr_assert_neq(strncmp(memory, "token=", 6), 0, "after allocation %zu failed", n_failed);
    }
    cr_assert_gt(n_failed, 0);
    call_free(call);
    multi_deinit(&multi);
    world_deinit(&world);
}

/* ---- a request that does not go out at once ---- */

#define LARGE_BYTES ((size_t)400 * 1024)

static size_t n_got;

static void answer_with_what_was_got(void *context, const struct https_request *request) {
    (void)context;
    n_got = strspn(request->body, "x");
    https_reply(request, 200, "application/json", NULL, INACTIVE);
}

static CURLcode ended = CURLE_AGAIN;

static void note_end(struct call *call, CURLcode code) {
    (void)call;
    ended = code;
}

/* A call on its own, to a provider that counts what it gets. call_free(), multi_deinit() and world_deinit(). */
static struct call *start_call(struct world *world, struct multi *multi) {
    world_init(world);
    world_serve(world, &(struct https_settings){.script = answer_with_what_was_got});
    cr_assert_eq(multi_init(multi), 0);
    struct call *call;
    cr_assert_eq(call_new(&world->snapshot, 0, &call), 0);
    call->done = note_end;
    return call;
}

static void post(struct call *call, struct multi *multi, const char *url, size_t n_bytes) {
    cr_assert_eq(buffer_reserve(&call->request, n_bytes), 0);
    for (size_t i = 0; i < n_bytes; i++)
        buffer_append_char(&call->request, 'x');
    ended = CURLE_AGAIN;
    cr_assert_eq(call_begin_post(call, multi, url, TEXT(""), 0), 0);
    while (ended == CURLE_AGAIN && !call_expire(call)) {
        CURL *easy;
        CURLcode code;
        multi_turn(multi, 100);
        while ((easy = multi_ended(multi, &code)) != NULL)
            call_connected(easy, code);
    }
}

/* It was aimed nowhere for as long as the provider's connections were kept. */
Test(call, that_could_not_read_its_url_for_lack_of_memory_reads_it_again) {
    struct world world;
    struct multi multi;
    struct call *const call = start_call(&world, &multi);
    memory_fail_at(1);
    cr_assert_eq(call_begin_post(call, &multi, world.endpoint, TEXT(""), 0), -ENOMEM);
    memory_fail_at(0);
    for (int i = 0; i < 2; i++) {
        post(call, &multi, world.endpoint, 10);
        cr_assert_eq(ended, CURLE_OK);
    }
    call_free(call);
    multi_deinit(&multi);
    world_deinit(&world);
}

Test(call, a_request_that_does_not_fit_into_the_sockets_buffer_goes_out_in_parts) {
    struct world world;
    struct multi multi;
    struct call *const call = start_call(&world, &multi);
    post(call, &multi, world.endpoint, 10);
    cr_assert_eq(ended, CURLE_OK);
    cr_assert_eq(n_got, 10);
    curl_socket_t fd;
    const int small = 4096;
    cr_assert_eq(curl_easy_getinfo(call->easy, CURLINFO_ACTIVESOCKET, &fd), CURLE_OK);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    post(call, &multi, world.endpoint, LARGE_BYTES);
    cr_assert_eq(ended, CURLE_OK);
    cr_assert_eq(n_got, LARGE_BYTES);
    cr_assert_eq(https_server_n_connections(world.server), 1);
    call_free(call);
    multi_deinit(&multi);
    world_deinit(&world);
}

/* ---- connections beside each other ---- */

static void answer_behind_gate(void *context, const struct https_request *request) {
    gate_pass(context);
    https_reply(request, 200, "application/json", NULL, INACTIVE);
}

static void note_own_end(struct call *call, CURLcode code) {
    *(CURLcode *)call->owner = code;
}

static void begin(struct call *call, struct multi *multi, const char *url, CURLcode *ret_code) {
    *ret_code = CURLE_AGAIN;
    call->done = note_own_end;
    call->owner = ret_code;
    cr_assert_eq(buffer_reserve(&call->request, 1), 0);
    buffer_append_char(&call->request, 'x');
    cr_assert_eq(call_begin_post(call, multi, url, TEXT(""), 0), 0);
}

static void turn(struct multi *multi) {
    CURL *easy;
    CURLcode code;
    multi_turn(multi, 10);
    while ((easy = multi_ended(multi, &code)) != NULL)
        call_connected(easy, code);
}

static bool is_at_gate(struct world *world, unsigned n) {
    pthread_mutex_lock(&world->lock);
    const bool is = world->n_at_gate >= n;
    pthread_mutex_unlock(&world->lock);
    return is;
}

/* libcurl looks through its idle connections when it makes one, and for libcurl all of ours are idle. */
Test(call, an_exchange_goes_on_whatever_libcurl_thinks_of_its_connection_when_another_is_made) {
    struct world world;
    world_init(&world);
    world.introspection.timeout_ms = 1000 * 1000; /* of which the clock's leap takes a part */
    world_serve(&world, &(struct https_settings){.script = answer_behind_gate});
    struct multi multi;
    struct call *first, *second;
    CURLcode first_code, second_code;
    gate_close(&world);
    cr_assert_eq(multi_init(&multi), 0);
    cr_assert_eq(call_new(&world.snapshot, 0, &first), 0);
    cr_assert_eq(call_new(&world.snapshot, 0, &second), 0);
    begin(first, &multi, world.endpoint, &first_code);
    while (!is_at_gate(&world, 1))
        turn(&multi);
    later_s = 300; /* libcurl takes what is 118 s old for dead */
    begin(second, &multi, world.endpoint, &second_code);
    while (!is_at_gate(&world, 2))
        turn(&multi);
    gate_open(&world);
    const int64_t end_us = clock_mono_us() + LONG_MS * 1000;
    while ((first_code == CURLE_AGAIN || second_code == CURLE_AGAIN) && clock_mono_us() < end_us)
        turn(&multi);
    cr_assert_eq(second_code, CURLE_OK);
    cr_assert_eq(first_code, CURLE_OK, "%d: its connection was closed behind its back", (int)first_code);
    call_free(first);
    call_free(second);
    multi_deinit(&multi);
    world_deinit(&world);
}

/* ---- what a provider may do wrong ---- */

static void write_text(const struct https_request *request, const char *text) {
    https_write(request, text, strlen(text));
}

static void write_many(const struct https_request *request, const char *text, size_t n_times) {
    for (size_t i = 0; i < n_times; i++) {
        if (!https_write(request, text, strlen(text)))
            return;
    }
}

#define FILLER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void write_large_body(const struct https_request *request) {
    write_text(
        request,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n{\"active\":true,\"x\":\"");
    write_many(request, FILLER, 10000000 / 64);
}

static void write_large_chunks(const struct https_request *request) {
    write_text(request, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    write_many(request, "40\r\n" FILLER "\r\n", 4000);
}

static void write_many_headers(const struct https_request *request) {
    write_text(request, "HTTP/1.1 200 OK\r\n");
    write_many(request, "X-Filler: " FILLER "\r\n", 1000);
    write_text(request, "Content-Type: application/json\r\nContent-Length: 16\r\n\r\n" INACTIVE);
}

static void write_long_header(const struct https_request *request) {
    write_text(request, "HTTP/1.1 200 OK\r\nX-Filler: ");
    write_many(request, FILLER, 5000);
    write_text(request, "\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" INACTIVE);
}

static void write_many_interim(const struct https_request *request) {
    write_many(request, "HTTP/1.1 103 Early Hints\r\nX-Filler: " FILLER "\r\n\r\n", 1000);
    write_text(request, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" INACTIVE);
}

static void write_half(const struct https_request *request) {
    write_text(request, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" INACTIVE);
    https_close(request);
}

static void reset_half(const struct https_request *request) {
    write_text(request, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" INACTIVE);
    https_reset(request);
}

static void write_half_chunk(const struct https_request *request) {
    write_text(request,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" INACTIVE);
    https_close(request);
}

static void write_nothing(const struct https_request *request) {
    https_close(request);
}

static void write_garbage(const struct https_request *request) {
    write_text(request, "SSH-2.0-OpenSSH_9.2p1\r\n" INACTIVE "\r\n\r\n");
    https_close(request);
}

static void write_bad_length(const struct https_request *request) {
    write_text(request, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: x\r\n\r\n" INACTIVE);
    https_close(request);
}

struct fault {
    int status; /* with write: 0 */
    const char *content_type, *extra, *body;
    void (*write)(const struct https_request *request);
    enum reason reason;
};

#define JSON "application/json"

static const struct fault faults[] = {
    {200, JSON, NULL, "", NULL, REASON_PROVIDER_REPLY_INVALID},
    {200, JSON, NULL, "{\"active\":\"true\"}", NULL, REASON_PROVIDER_REPLY_INVALID},
    {200, JSON, NULL, "{\"active\":true,\"active\":true}", NULL, REASON_PROVIDER_REPLY_INVALID},
    {200, NULL, NULL, ACTIVE, NULL, REASON_PROVIDER_REPLY_INVALID},
    {200, "text/html", NULL, ACTIVE, NULL, REASON_PROVIDER_REPLY_INVALID},
    {200, JSON, "Content-Encoding: gzip\r\n", ACTIVE, NULL, REASON_PROVIDER_REPLY_INVALID},
    {200, JSON, "Content-Encoding: deflate\r\n", INACTIVE, NULL, REASON_PROVIDER_REPLY_INVALID},
    {201, JSON, NULL, INACTIVE, NULL, REASON_PROVIDER_ERROR},
    {301, JSON, "Location: /elsewhere\r\n", INACTIVE, NULL, REASON_PROVIDER_MISCONFIGURED},
    {302, JSON, "Location: /elsewhere\r\n", INACTIVE, NULL, REASON_PROVIDER_MISCONFIGURED},
    {307, JSON, "Location: http://127.0.0.1:1/\r\n", INACTIVE, NULL, REASON_PROVIDER_MISCONFIGURED},
    {400, JSON, NULL, "{\"error\":\"invalid_request\"}", NULL, REASON_PROVIDER_MISCONFIGURED},
    {401, JSON, "WWW-Authenticate: Basic realm=\"x\"\r\n", INACTIVE, NULL, REASON_CLIENT_CREDENTIALS_REJECTED},
    {403, "text/plain", NULL, "no", NULL, REASON_CLIENT_CREDENTIALS_REJECTED},
    {404, "text/plain", NULL, "Not Found", NULL, REASON_PROVIDER_MISCONFIGURED},
    {405, NULL, NULL, "", NULL, REASON_PROVIDER_MISCONFIGURED},
    {429, JSON, "Retry-After: 1\r\n", "{}", NULL, REASON_PROVIDER_THROTTLED},
    {500, JSON, NULL, INACTIVE, NULL, REASON_PROVIDER_ERROR},
    {503, NULL, NULL, "", NULL, REASON_PROVIDER_ERROR},
    {.write = write_large_body, .reason = REASON_PROVIDER_REPLY_TOO_LARGE},
    {.write = write_large_chunks, .reason = REASON_PROVIDER_REPLY_TOO_LARGE},
    {.write = write_many_headers, .reason = REASON_PROVIDER_REPLY_TOO_LARGE},
    {.write = write_long_header, .reason = REASON_PROVIDER_REPLY_TOO_LARGE},
    {.write = write_many_interim, .reason = REASON_PROVIDER_REPLY_TOO_LARGE},
    {.write = write_half, .reason = REASON_PROVIDER_UNREACHABLE},
    {.write = reset_half, .reason = REASON_PROVIDER_UNREACHABLE},
    {.write = write_half_chunk, .reason = REASON_PROVIDER_UNREACHABLE},
    {.write = write_nothing, .reason = REASON_PROVIDER_UNREACHABLE},
    {.write = write_garbage, .reason = REASON_PROVIDER_REPLY_INVALID},
    {.write = write_bad_length, .reason = REASON_PROVIDER_REPLY_INVALID},
};

/* The token says which fault. */
static void answer_with_fault(void *context, const struct https_request *request) {
    (void)context;
    size_t i = 0;
    if (sscanf(request->body, "token=fault-%zu", &i) != 1 || i >= sizeof(faults) / sizeof(*faults))
        return https_reply(request, 200, JSON, NULL, ACTIVE);
    if (faults[i].write != NULL)
        faults[i].write(request);
    else
        https_reply(request, faults[i].status, faults[i].content_type, faults[i].extra, faults[i].body);
}

Test(call, a_providers_fault_has_its_reason_and_is_never_stored) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_with_fault);
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        char token[32];
        snprintf(token, sizeof(token), "fault-%zu-", i);
        const enum reason reason = ask(&world, token);
        cr_expect_eq(reason, faults[i].reason, "fault %zu: %s", i, reason_word(reason));
        cr_expect_not(is_cached(&world, token), "fault %zu", i);
        cr_expect_eq(ask(&world, SENTINEL_TOKEN), REASON_OK, "after fault %zu", i);
    }
    world_deinit(&world);
}

/* ---- a reply too many ---- */

#define REPLY(body) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" body

static atomic_bool has_written;

/* To the first question two replies, of which the second would log the next token in. */
static void answer_twice(void *context, const struct https_request *request) {
    const bool *const is_in_one = context;
    if (strstr(request->body, "token=first") == NULL)
        return https_reply(request, 200, JSON, NULL, INACTIVE);
    if (*is_in_one) {
        write_text(request, REPLY(INACTIVE) REPLY("{\"active\":true }"));
    } else {
        write_text(request, REPLY(INACTIVE));
        write_text(request, REPLY("{\"active\":true }"));
    }
    atomic_store(&has_written, true);
}

static void expect_no_reply_too_many(bool is_in_one) {
    struct world world;
    world_init(&world);
    atomic_store(&has_written, false);
    world_serve(&world, &(struct https_settings){.script = answer_twice, .context = &is_in_one});
    world_fetch(&world);
    cr_assert_eq(ask(&world, "first"), REASON_OK);
    while (!atomic_load(&has_written))
        poll(NULL, 0, 1);
    struct caller caller;
    cr_assert_eq(call_of(&world, &caller, "second", LONG_MS), 0);
    caller_wait(&caller);
    cr_assert_eq(caller.ticket.reason, REASON_OK);
    cr_assert_eq(caller.ticket.fact->answer, FACT_INACTIVE, "the answer to another question");
    cr_assert_eq(https_server_n_connections(world.server), 2);
    fact_unref(caller.ticket.fact);
    world_deinit(&world);
}

Test(call, a_second_reply_in_one_piece_with_the_first_is_no_answer_to_the_next_question) {
    expect_no_reply_too_many(true);
}

Test(call, a_second_reply_behind_the_first_is_no_answer_to_the_next_question) {
    expect_no_reply_too_many(false);
}

/* ---- too slow ---- */

static void answer_drop_by_drop(void *context, const struct https_request *request) {
    write_text(request, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n");
    while (!gate_is_open(context) && https_write(request, " ", 1))
        poll(NULL, 0, 20);
    https_close(request);
}

static void answer_never(void *context, const struct https_request *request) {
    gate_pass(context);
    https_close(request);
}

static void expect_timeout(https_script *script) {
    struct world world;
    world_init(&world);
    world.introspection.timeout_ms = 150;
    gate_close(&world);
    world_start(&world, script);
    const int64_t begun_us = clock_mono_us();
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_PROVIDER_TIMEOUT);
    cr_assert_geq(clock_mono_us() - begun_us, 140000);
    cr_assert_not(is_cached(&world, SENTINEL_TOKEN));
    world_deinit(&world);
}

Test(call, a_provider_that_never_answers_is_left_after_its_timeout) {
    expect_timeout(answer_never);
}

Test(call, a_provider_that_answers_drop_by_drop_is_left_after_its_timeout) {
    expect_timeout(answer_drop_by_drop);
}

Test(call, a_provider_that_is_not_there_is_unreachable) {
    struct world world;
    world_init(&world);
    world_start(&world, answer_active);
    https_server_stop(world.server);
    world.server = NULL;
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_PROVIDER_UNREACHABLE);
    world_deinit(&world);
}

/* ---- TLS ---- */

static void expect_tls_trouble(struct world *world, const struct https_settings *settings) {
    struct https_settings mine = *settings;
    mine.script = answer_active;
    world_serve(world, &mine);
    world_fetch(world);
    cr_assert_eq(ask(world, SENTINEL_TOKEN), REASON_PROVIDER_TLS);
    cr_assert_eq(https_server_n_requests(world->server), 0, "the token was sent");
    world_deinit(world);
}

static void expect_certificate_refused(const struct certificate_wish *wish, bool by_ca) {
    struct world world;
    world_init(&world);
    struct certificate certificate = certificate_new(by_ca ? &world.ca : NULL, wish);
    expect_tls_trouble(&world, &(struct https_settings){.certificate = &certificate});
    certificate_deinit(&certificate);
}

Test(call, a_certificate_for_another_host_is_refused) {
    expect_certificate_refused(&(struct certificate_wish){.common_name = "127.0.0.1", .san = "DNS:id.example.com"}, true);
}

Test(call, a_certificate_of_an_unknown_ca_is_refused) {
    expect_certificate_refused(&(struct certificate_wish){.common_name = "provider", .san = "IP:127.0.0.1"}, false);
}

Test(call, an_expired_certificate_is_refused) {
    expect_certificate_refused(
        &(struct certificate_wish){
            .common_name = "provider", .san = "IP:127.0.0.1", .starts_in_s = -7200, .ends_in_s = -3600},
        true);
}

Test(call, tls_1_1_is_refused) {
    struct world world;
    world_init(&world);
    expect_tls_trouble(&world, &(struct https_settings){.min_tls = TLS1_1_VERSION, .max_tls = TLS1_1_VERSION});
}

Test(call, tls_1_2_is_accepted) {
    struct world world;
    world_init(&world);
    world_serve(&world, &(struct https_settings){.script = answer_active, .max_tls = TLS1_2_VERSION});
    world_fetch(&world);
    cr_assert_eq(ask(&world, SENTINEL_TOKEN), REASON_OK);
    world_deinit(&world);
}
