/*
 * A load generator as kube-apiserver's client is: HTTP/1.1 over mutual TLS 1.3, kept-alive connections, one request at a
 * time on each. Closed loop (each connection asks again at once) or a fixed arrival rate, where a request's time counts
 * from when it should have been sent, so that a stalled server cannot hide (no coordinated omission).
 *
 *   load --port P --ca F --cert F --key F --path /authenticate --connections N --seconds S [--rate R]
 *        [--tokens N | --fresh] [--token-bytes N] [--warm] [--requests N] [--body FILE --expect TEXT] [--awake] [--pid P]
 *   load --port P --ca F --cert F --key F --connections N [--rate R] --crowd MIX [--tokens N] [--requests N]
 *        [--lifetime S] [--expiring S] [--skew S] [--revoked MS]
 *
 * --body: this body in each request, in place of a TokenReview, whatever its length; a reply with the text is a good one.
 *
 * --warm: the same tokens in every run, each of them asked about at least once before the others repeat. --requests: ends
 * after so many, whatever the time.
 *
 * --awake: looks for answers without ever sleeping, on a core that nobody else needs. To wake a sleeper costs the server some
 * microseconds: a slow server, whose answers are waited for, would pay that more often than a quick one, on top of being
 * slow.
 *
 * --pid: also tells the CPU time that this process (the server) took for each request in the time that was measured.
 *
 * --crowd: tokens whose truth is known, each answer judged (crowd.h), connections that may break and are made anew when
 * they are needed. MIX has six numbers, how many of 1,000 requests come from each stream:
 * cached,expiring,revoked,new,garbage,0. It does what its standard input says, a line each: "phase NAME", "revoke", "catch up", "end".
 * "ready" is printed once every token that is to be cached was asked about, which comes first.
 *
 * Prints one JSON object. One thread, loopback only.
 */
#include <getopt.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "../lib/program.h"
#include "client.h"
#include "cpu_time.h"
#include "crowd.h"
#include "histogram.h"

#define MAX_CONNECTIONS 4096
#define HEAD_BYTES 1024
#define COMMAND_BYTES 256
/* Connections that are being made at one time: a server that was late for a moment is not given a thousand handshakes for
 * it. */
#define MAX_OPENING 8
/* No caller waits longer: kube-apiserver's time limit is 30 s. */
#define PATIENCE_NS 40000000000LL

struct settings {
    const char *ca, *cert, *key, *path, *body, *expect, *crowd;
    int port, n_connections;
    double seconds, rate;
    unsigned n_tokens, token_bytes;
    size_t n_requests; /* 0: as many as fit into the time */
    bool fresh, warm, awake;
    int server_pid; /* 0: not looked at */
};

static struct settings settings = {.path = "/authenticate",
                                   .expect = "\"authenticated\":true",
                                   .n_connections = 64,
                                   .seconds = 5,
                                   .n_tokens = 1000,
                                   .token_bytes = 60};
static struct crowd_settings crowd = {.expiring_s = 3600, .lifetime_s = 8 * 3600, .skew_s = 10, .revoked_ms = 60000};
static struct client *clients;
static struct question *questions; /* what each client asks, of a crowd */
static struct client **idle;       /* a stack: the one used last is used next, as Go's client does */
static struct client **closed;
static size_t n_idle, n_closed, n_opening;
static int64_t start_ns; /* of the schedule */
static uint64_t n_due;   /* requests of the schedule that have been sent */
static struct histogram times;
static size_t n_errors, n_sent, n_warmed;
static uint64_t run_id;
static bool is_ending, is_settling, is_catching_up;

/* ---- requests ---- */

static char *request_text; /* with room for the token */
static size_t n_request_text, token_at;

static char *read_body(void) {
    FILE *file = fopen(settings.body, "r");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(settings.body);
    const size_t n_bytes = (size_t)ftell(file);
    char *body = calloc(1, n_bytes + 1);
    rewind(file);
    if (body == NULL || fread(body, 1, n_bytes, file) != n_bytes)
        die(settings.body);
    fclose(file);
    return body;
}

static char *token_review(const char *token) {
    char *body = NULL;
    if (asprintf(&body,
                 "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{},\"spec\":{"
                 "\"token\":\"%s\",\"audiences\":[\"https://kubernetes.default.svc\"]},\"status\":{\"user\":{}}}\n",
                 token) < 0)
        die("memory");
    return body;
}

/* Everything but the token is the same in each request: written once, so that the load generator is not what is measured.
 */
static void prepare_request(void) {
    char token[16385];
    memset(token, 'x', settings.token_bytes);
    token[settings.token_bytes] = '\0';
    char *body = settings.body != NULL ? read_body() : token_review(token);
    const size_t n_most = HEAD_BYTES + strlen(body);
    request_text = malloc(n_most);
    if (request_text == NULL)
        die("memory");
    n_request_text = (size_t)snprintf(
        request_text, n_most,
        "POST %s?timeout=30s HTTP/1.1\r\nHost: localhost:%d\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %zu\r\n"
        "Accept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n%s",
        settings.path, settings.port, strlen(body), body);
    token_at = settings.body != NULL ? 0 : (size_t)(strstr(request_text, token) - request_text);
    free(body);
}

/* Its own for each client, since each has a token of its own. */
static char *request_of(const struct client *client) {
    static char **requests;
    if (settings.body != NULL)
        return request_text;
    if (requests == NULL && (requests = calloc((size_t)settings.n_connections, sizeof(*requests))) == NULL)
        die("memory");
    char **request = &requests[client - clients];
    if (*request == NULL) {
        if ((*request = malloc(n_request_text)) == NULL)
            die("memory");
        memcpy(*request, request_text, n_request_text);
    }
    return *request;
}

/* A token that this run uses: its number n and the run's, in hexadecimal. */
static void write_token(char *token, uint64_t n) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++)
        token[i] = digits[n >> (60 - 4 * i) & 15];
    for (int i = 0; i < 16; i++)
        token[16 + i] = digits[run_id >> (60 - 4 * i) & 15];
}

static void build_request(const struct client *client, char *request, int64_t due_ns) {
    const uint64_t n = settings.fresh                                  ? n_sent
                       : settings.warm && n_warmed < settings.n_tokens ? n_warmed++
                                                                       : n_sent % settings.n_tokens;
    if (settings.crowd != NULL) {
        struct question *question = &questions[client - clients];
        crowd_ask(due_ns, now_ns(), question);
        token_write(&question->token, request + token_at);
    } else if (settings.body == NULL) {
        write_token(request + token_at, n);
    }
    n_sent++;
}

/* ---- answers ---- */

static void count_answer(const struct client *client) {
    if (strstr(client->reply, settings.expect) == NULL)
        n_errors++;
    histogram_add(&times, (now_ns() - client->due_ns) / 1000);
}

/* When the next request is due. */
static int64_t next_due_ns(int64_t now) {
    return settings.rate > 0 ? start_ns + (int64_t)((double)n_due * (1e9 / settings.rate)) : now;
}

/* There is no connection to be had: whoever would have used it is told so. */
static void refuse_next(void) {
    const int64_t now = now_ns(), due = next_due_ns(now);
    struct question question;
    if (due > now || is_settling)
        return;
    n_due++;
    crowd_ask(due, now, &question);
    crowd_lost(&question, LOSS_REFUSED, now);
}

/* What came of a client's request or connection, if anything did. */
static void take(struct client *client, enum client_event event) {
    if (event != CLIENT_PENDING && event != CLIENT_OPENED && event != CLIENT_REPLIED && settings.crowd == NULL)
        die("no connection");
    switch (event) {
    case CLIENT_PENDING:
        return;
    case CLIENT_OPENED:
        n_opening--;
        break;
    case CLIENT_REPLIED:
        if (settings.crowd != NULL)
            crowd_answered(&questions[client - clients], client->reply, now_ns());
        else
            count_answer(client);
        break;
    case CLIENT_BROKEN:
        crowd_lost(&questions[client - clients], LOSS_BROKEN, now_ns());
        closed[n_closed++] = client;
        return;
    case CLIENT_REFUSED:
        n_opening--;
        closed[n_closed++] = client;
        refuse_next();
        return;
    }
    idle[n_idle++] = client;
}

/* ---- the run ---- */

static void open_one(void) {
    if (n_closed == 0 || n_opening == MAX_OPENING)
        return;
    struct client *client = closed[--n_closed];
    n_opening++;
    take(client, client_open(client));
}

/* One that can be sent to, or NULL. */
static struct client *idle_client(void) {
    while (n_idle > 0) {
        struct client *client = idle[--n_idle];
        if (client->state == CLIENT_OPEN)
            return client;
        closed[n_closed++] = client;
    }
    return NULL;
}

/* Sends what is due by now; returns when the next one is. */
static int64_t send_due(int64_t end_ns) {
    for (;;) {
        const int64_t now = now_ns();
        if (settings.n_requests > 0 && n_sent >= settings.n_requests)
            return now; /* enough: run() sees it */
        const int64_t due = next_due_ns(now);
        if (due > now || now >= end_ns)
            return due;
        struct client *client = idle_client();
        if (client == NULL) {
            const uint64_t n_before = n_due;
            open_one();
            if (n_due == n_before)
                return now + 1000000000; /* an event comes before */
            continue;                    /* it was refused at once */
        }
        char *request = request_of(client);
        n_due++;
        build_request(client, request, due);
        client->due_ns = due;
        take(client, client_send(client, request, n_request_text));
    }
}

static void command(const char *line) {
    if (strncmp(line, "phase ", 6) == 0)
        crowd_phase(line + 6, now_ns());
    else if (strcmp(line, "revoke") == 0)
        crowd_revoke(now_ns());
    else if (strcmp(line, "catch up") == 0)
        is_catching_up = true;
    else
        is_ending = true;
}

/* What the standard input says; its end is the end. */
static void read_commands(void) {
    static char pending[COMMAND_BYTES];
    static size_t n_pending;
    const ssize_t n = read(0, pending + n_pending, sizeof(pending) - 1 - n_pending);
    if (n <= 0) {
        is_ending = true;
        return;
    }
    n_pending += (size_t)n;
    pending[n_pending] = '\0';
    char *end;
    while ((end = strchr(pending, '\n')) != NULL) {
        *end = '\0';
        command(pending);
        n_pending -= (size_t)(end + 1 - pending);
        memmove(pending, end + 1, n_pending + 1);
    }
}

/* Who has waited longer than any caller does. */
static void lose_patience(void) {
    static int64_t looked_ns;
    const int64_t now = now_ns();
    if (settings.crowd == NULL || now - looked_ns < 1000000000)
        return;
    looked_ns = now;
    for (int i = 0; i < settings.n_connections; i++) {
        if (!clients[i].is_busy || now - clients[i].due_ns < PATIENCE_NS)
            continue;
        crowd_lost(&questions[i], LOSS_SILENT, now);
        client_close(&clients[i]);
        closed[n_closed++] = &clients[i];
    }
}

static void wait_for_events(int epoll, int64_t wait_ns) {
    struct epoll_event events[64];
    if (settings.awake)
        wait_ns = 0;
    const struct timespec wait = {.tv_sec = wait_ns > 0 ? wait_ns / 1000000000 : 0,
                                  .tv_nsec = wait_ns > 0 ? wait_ns % 1000000000 : 0};
    const int n = epoll_pwait2(epoll, events, 64, &wait, NULL);
    for (int i = 0; i < n; i++) {
        struct client *client = events[i].data.ptr;
        if (client == NULL)
            read_commands();
        else
            take(client, client_go_on(client));
    }
    lose_patience();
}

static void run(int epoll, double seconds) {
    start_ns = now_ns();
    n_due = 0;
    const int64_t end = start_ns + (int64_t)(seconds * 1e9);
    for (;;) {
        const int64_t next = send_due(end);
        const int64_t now = now_ns();
        if (is_catching_up && crowd_has_caught_up(next_due_ns(now))) {
            is_catching_up = false;
            puts("ready");
            fflush(stdout);
        }
        if (now >= end || is_ending || (settings.n_requests > 0 && n_sent >= settings.n_requests))
            return;
        wait_for_events(epoll, (next < end ? next : end) - now);
    }
}

static bool is_busy(void) {
    for (int i = 0; i < settings.n_connections; i++) {
        if (clients[i].is_busy)
            return true;
    }
    return false;
}

/* Lets what is under way end, so that the next run starts clean. */
static void settle(int epoll, double seconds) {
    const int64_t end = now_ns() + (int64_t)(seconds * 1e9);
    is_settling = true;
    while (is_busy() && now_ns() < end)
        wait_for_events(epoll, 50000000);
    is_settling = false;
}

static void report(double seconds, uint64_t cpu_ns) {
    printf(
        "{\"requests\": %llu, \"errors\": %zu, \"per_second\": %.0f, \"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, "
        "\"p999_ms\": %.3f, \"max_ms\": %.3f, \"server_us\": %.3f}\n",
        (unsigned long long)times.n, n_errors, (double)times.n / seconds, histogram_quantile_ms(&times, 0.5),
        histogram_quantile_ms(&times, 0.9), histogram_quantile_ms(&times, 0.99), histogram_quantile_ms(&times, 0.999),
        histogram_quantile_ms(&times, 1), times.n == 0 ? 0 : (double)cpu_ns / 1000 / (double)times.n);
}

static uint64_t server_ns(void) {
    return settings.server_pid == 0 ? 0 : cpu_time_ns(settings.server_pid);
}

/* All connections, before the clock starts. */
static void connect_all(int epoll) {
    while (n_idle < (size_t)settings.n_connections) {
        open_one();
        wait_for_events(epoll, 50000000);
    }
}

static int measure(int epoll) {
    connect_all(epoll);
    /* a moment unmeasured: caches, branch predictors and connection pools fill */
    if (settings.n_requests == 0) {
        run(epoll, settings.warm ? 1.0 : 0.5);
        settle(epoll, 10);
    }
    times = (struct histogram){0};
    n_errors = 0;
    const uint64_t before_ns = server_ns();
    const int64_t start = now_ns();
    run(epoll, settings.n_requests == 0 ? settings.seconds : 300);
    if (settings.n_requests > 0)
        settle(epoll, 40);
    const double seconds = (double)(now_ns() - start) / 1e9;
    const uint64_t cpu_ns = server_ns() - before_ns;
    const struct histogram in_time = times;
    settle(epoll, 10);
    times = in_time; /* what ended after the end is not counted */
    report(seconds, cpu_ns);
    return n_errors == 0 ? 0 : 1;
}

static int be_a_crowd(int epoll) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
    crowd.now_unix_s = time(NULL);
    crowd.n_cached = settings.n_tokens;
    crowd_init(&crowd);
    crowd_phase("start", now_ns());
    while (!crowd_is_warm() && !is_ending)
        run(epoll, 0.05);
    settle(epoll, 40);
    puts("ready");
    fflush(stdout);
    n_sent = 0;
    run(epoll, 1e9);
    const int64_t ended_ns = now_ns();
    settle(epoll, (double)PATIENCE_NS / 1e9 + 2);
    crowd_report(ended_ns);
    return 0;
}

static void read_mix(const char *text) {
    char *at = (char *)text;
    for (unsigned i = 0; i < N_STREAMS; i++) {
        crowd.per_mille[i] = (unsigned)strtoul(at, &at, 10);
        at += *at == ',';
    }
}

static void read_options(int argc, char **argv) {
    static const struct option options[] = {{"port", 1, 0, 'p'},     {"ca", 1, 0, 'a'},          {"cert", 1, 0, 'c'},
                                            {"key", 1, 0, 'k'},      {"path", 1, 0, 'u'},        {"connections", 1, 0, 'n'},
                                            {"seconds", 1, 0, 's'},  {"rate", 1, 0, 'r'},        {"tokens", 1, 0, 't'},
                                            {"fresh", 0, 0, 'f'},    {"token-bytes", 1, 0, 'b'}, {"warm", 0, 0, 'w'},
                                            {"requests", 1, 0, 'q'}, {"body", 1, 0, 'o'},        {"expect", 1, 0, 'e'},
                                            {"crowd", 1, 0, 'm'},    {"lifetime", 1, 0, 'L'},    {"expiring", 1, 0, 'E'},
                                            {"skew", 1, 0, 'S'},     {"revoked", 1, 0, 'R'},     {"awake", 0, 0, 'v'},
                                            {"pid", 1, 0, 'i'},      {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            settings.port = (int)strtol(optarg, NULL, 10);
            break;
        case 'a':
            settings.ca = optarg;
            break;
        case 'c':
            settings.cert = optarg;
            break;
        case 'k':
            settings.key = optarg;
            break;
        case 'u':
            settings.path = optarg;
            break;
        case 'n':
            settings.n_connections = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            settings.seconds = strtod(optarg, NULL);
            break;
        case 'r':
            settings.rate = strtod(optarg, NULL);
            break;
        case 't':
            settings.n_tokens = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            settings.fresh = true;
            break;
        case 'b':
            settings.token_bytes = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'q':
            settings.n_requests = strtoul(optarg, NULL, 10);
            break;
        case 'o':
            settings.body = optarg;
            break;
        case 'e':
            settings.expect = optarg;
            break;
        case 'w':
            settings.warm = true;
            break;
        case 'v':
            settings.awake = true;
            break;
        case 'i':
            settings.server_pid = (int)strtol(optarg, NULL, 10);
            break;
        case 'm':
            read_mix(settings.crowd = optarg);
            break;
        case 'L':
            crowd.lifetime_s = strtol(optarg, NULL, 10);
            break;
        case 'E':
            crowd.expiring_s = strtol(optarg, NULL, 10);
            break;
        case 'S':
            crowd.skew_s = strtol(optarg, NULL, 10);
            break;
        case 'R':
            crowd.revoked_ms = strtol(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    if (settings.crowd != NULL)
        settings.token_bytes = TOKEN_BYTES;
    if (settings.n_connections < 1 || settings.n_connections > MAX_CONNECTIONS || settings.token_bytes < 32 ||
        settings.token_bytes > 16384)
        exit(2);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    const size_t n = (size_t)settings.n_connections;
    clients = calloc(n, sizeof(*clients));
    questions = calloc(n, sizeof(*questions));
    idle = calloc(n, sizeof(struct client *));
    closed = calloc(n, sizeof(struct client *));
    if (clients == NULL || questions == NULL || idle == NULL || closed == NULL || getrandom(&run_id, sizeof(run_id), 0) < 0)
        die("start");
    if (settings.warm)
        run_id = 1; /* the same tokens in each run: the first one fills the cache */
    prepare_request();
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    const struct endpoint endpoint = {
        .context = client_context(settings.ca, settings.cert, settings.key), .port = settings.port, .epoll = epoll};
    signal(SIGPIPE, SIG_IGN);
    for (int i = settings.n_connections; i-- > 0;) {
        clients[i].endpoint = &endpoint;
        closed[n_closed++] = &clients[i];
    }
    return settings.crowd != NULL ? be_a_crowd(epoll) : measure(epoll);
}
