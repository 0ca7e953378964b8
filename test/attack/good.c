/*
 * The good client of `make attack`: what kube-apiserver is to the webhook, beside an attack. It logs in every few
 * milliseconds over connections that it keeps, now and then over a new one, and asks /livez as a kubelet does, each on a
 * thread of its own, so that one that waits holds no other up.
 *
 *   good --port P --operations-port P --ca F --cert F --key F
 *
 * Standard input: the token's line; then each further line asks for a report of what came since the last one, as one line
 * of JSON; the end of the input ends the program. A login's time counts from when it should have begun, so a stalled server
 * cannot hide. A login that got anything but a yes is a failure, and so is a kept connection that was closed without a
 * word.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../lib/program.h"

/* Of each a login every 40 ms, of all one every 5 ms. HTTP/1.1 has one login at a time on a connection: with only two of
   them those that take 11 ms would queue up in here, where kube-apiserver, which keeps 25, takes another connection. */
#define N_KEPT 8
#define KEPT_INTERVAL_NS 40000000LL
#define N_NEW 20
#define NEW_INTERVAL_NS 1000000000LL /* of each: a new connection every 50 ms, also while others wait for theirs */
#define LIVE_INTERVAL_NS 200000000LL
#define PATIENCE_S 10
#define MAX_SAMPLES 100000
#define ROOM_BYTES 65536

/* What is measured apart. */
enum series { KEPT, NEW, LIVE, N_SERIES };
static const char *const series_names[N_SERIES] = {"kept", "new", "live"};

struct record {
    size_t n_samples, n_failures;
    uint32_t samples_us[MAX_SAMPLES];
    char first_failure[160];
};

static struct record records[N_SERIES];
static pthread_mutex_t records_lock = PTHREAD_MUTEX_INITIALIZER;
static SSL_CTX *context;
static int port, operations_port;
static char request_text[ROOM_BYTES];

/* ---- what came of a try ---- */

/* failure: NULL where it went well. */
static void keep(enum series series, int64_t due_ns, const char *failure) {
    const int64_t us = (now_ns() - due_ns) / 1000;
    struct record *record = &records[series];
    pthread_mutex_lock(&records_lock);
    if (record->n_samples < MAX_SAMPLES)
        record->samples_us[record->n_samples++] = (uint32_t)us;
    if (failure != NULL && record->n_failures++ == 0)
        snprintf(record->first_failure, sizeof(record->first_failure), "%s", failure);
    pthread_mutex_unlock(&records_lock);
}

static int compare(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double quantile_ms(const struct record *record, double q) {
    return record->n_samples == 0 ? 0 : record->samples_us[(size_t)(q * (double)(record->n_samples - 1))] / 1000.0;
}

/* One line; then counting begins anew. */
static void report(void) {
    pthread_mutex_lock(&records_lock);
    for (int i = 0; i < N_SERIES; i++) {
        struct record *record = &records[i];
        qsort(record->samples_us, record->n_samples, sizeof(record->samples_us[0]), compare);
        printf("%s\"%s\": {\"n\": %zu, \"failures\": %zu, \"first_failure\": \"%s\", \"p50_ms\": %.2f, \"p99_ms\": %.2f, "
               "\"worst_ms\": %.2f}",
               i == 0 ? "{" : ", ", series_names[i], record->n_samples, record->n_failures, record->first_failure,
               quantile_ms(record, 0.5), quantile_ms(record, 0.99), quantile_ms(record, 1));
        record->n_samples = record->n_failures = 0;
        record->first_failure[0] = '\0';
    }
    pthread_mutex_unlock(&records_lock);
    puts("}");
    fflush(stdout);
}

/* ---- one try ---- */

struct visit {
    int fd;
    SSL *ssl;     /* NULL: plain */
    bool is_last; /* the server has announced the end of the connection */
};

static const char *visit_begin(struct visit *visit, int to_port, bool is_tls) {
    *visit = (struct visit){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    const int on = 1;
    setsockopt(visit->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(visit->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(visit->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)to_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(visit->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return "connect";
    if (!is_tls)
        return NULL;
    visit->ssl = SSL_new(context);
    SSL_set_fd(visit->ssl, visit->fd);
    SSL_set1_host(visit->ssl, "localhost");
    return SSL_connect(visit->ssl) == 1 ? NULL : "TLS handshake";
}

static void visit_end(struct visit *visit) {
    SSL_free(visit->ssl);
    close(visit->fd);
    ERR_clear_error();
    *visit = (struct visit){.fd = -1};
}

static ssize_t visit_read(const struct visit *visit, char *room, size_t n_room) {
    return visit->ssl != NULL ? SSL_read(visit->ssl, room, (int)n_room) : read(visit->fd, room, n_room);
}

static bool visit_write(const struct visit *visit, const char *data, size_t n) {
    return visit->ssl != NULL ? SSL_write(visit->ssl, data, (int)n) == (int)n : write(visit->fd, data, n) == (ssize_t)n;
}

/* Whether the reply is whole: its header, and as many bytes as that says. */
static bool is_whole(const char *reply, size_t n_read) {
    const char *body = strstr(reply, "\r\n\r\n");
    const char *length = strcasestr(reply, "content-length:");
    return body != NULL && length != NULL && (size_t)(reply + n_read - (body + 4)) >= strtoul(length + 15, NULL, 10);
}

/* Asks, and gives NULL where the reply holds the wanted text. */
static const char *ask(struct visit *visit, const char *request, const char *wanted) {
    static __thread char reply[ROOM_BYTES];
    if (!visit_write(visit, request, strlen(request)))
        return "write";
    size_t n_read = 0;
    do {
        const ssize_t n = visit_read(visit, reply + n_read, sizeof(reply) - 1 - n_read);
        if (n <= 0)
            return errno == EAGAIN ? "no answer in time" : "closed before the answer";
        n_read += (size_t)n;
        reply[n_read] = '\0';
    } while (!is_whole(reply, n_read));
    visit->is_last = strcasestr(reply, "\r\nconnection: close") != NULL;
    return strstr(reply, wanted) == NULL ? "another answer" : NULL;
}

static const char *log_in(struct visit *visit) {
    return ask(visit, request_text, "\"authenticated\":true");
}

/* ---- threads ---- */

/* Waits for the next time that is due. What was missed by more than a second is not made up for, which would be a flood of
   our own, but counts with the time that it would have had to wait. */
static int64_t wait_for(enum series series, int64_t due_ns, int64_t interval_ns) {
    for (; now_ns() - due_ns > 1000000000LL; due_ns += interval_ns)
        keep(series, due_ns, NULL);
    const struct timespec at = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    return due_ns;
}

static void *keep_logging_in(void *argument) {
    int64_t due = now_ns() + (int64_t)(intptr_t)argument * KEPT_INTERVAL_NS / N_KEPT;
    struct visit visit = {.fd = -1};
    for (;; due += KEPT_INTERVAL_NS) {
        due = wait_for(KEPT, due, KEPT_INTERVAL_NS);
        const char *failure = visit.fd < 0 ? visit_begin(&visit, port, true) : NULL;
        if (failure == NULL)
            failure = log_in(&visit);
        keep(KEPT, due, failure);
        if (failure != NULL || visit.is_last)
            visit_end(&visit);
    }
    return NULL;
}

static void *log_in_anew(void *argument) {
    for (int64_t due = now_ns() + (intptr_t)argument * NEW_INTERVAL_NS / N_NEW;; due += NEW_INTERVAL_NS) {
        due = wait_for(NEW, due, NEW_INTERVAL_NS);
        struct visit visit;
        const char *failure = visit_begin(&visit, port, true);
        if (failure == NULL)
            failure = log_in(&visit);
        keep(NEW, due, failure);
        visit_end(&visit);
    }
    return NULL;
}

static void *probe(void *argument) {
    (void)argument;
    for (int64_t due = now_ns();; due += LIVE_INTERVAL_NS) {
        due = wait_for(LIVE, due, LIVE_INTERVAL_NS);
        struct visit visit;
        const char *failure = visit_begin(&visit, operations_port, false);
        if (failure == NULL)
            failure = ask(&visit, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200");
        keep(LIVE, due, failure);
        visit_end(&visit);
    }
    return NULL;
}

/* ---- start ---- */

static void read_options(int argc, char **argv) {
    static const struct option options[] = {{"port", 1, 0, 'p'}, {"operations-port", 1, 0, 'o'},
                                            {"ca", 1, 0, 'a'},   {"cert", 1, 0, 'c'},
                                            {"key", 1, 0, 'k'},  {0, 0, 0, 0}};
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    int option, good = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            port = (int)strtol(optarg, NULL, 10);
            break;
        case 'o':
            operations_port = (int)strtol(optarg, NULL, 10);
            break;
        case 'a':
            good &= SSL_CTX_load_verify_locations(context, optarg, NULL);
            break;
        case 'c':
            good &= SSL_CTX_use_certificate_chain_file(context, optarg);
            break;
        case 'k':
            good &= SSL_CTX_use_PrivateKey_file(context, optarg, SSL_FILETYPE_PEM);
            break;
        default:
            exit(2);
        }
    }
    if (good != 1 || port == 0)
        die("options");
}

static void prepare_request(char *token) {
    token[strcspn(token, "\n")] = '\0';
    char body[ROOM_BYTES / 2];
    const int n =
        snprintf(body, sizeof(body),
                 "{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{},\"spec\":{"
                 "\"token\":\"%s\"},\"status\":{\"user\":{}}}\n",
                 token);
    snprintf(request_text, sizeof(request_text),
             "POST /authenticate?timeout=30s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
             "Content-Type: application/json\r\n\r\n%s",
             n, body);
}

static void start(void *(*run)(void *), intptr_t number) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, (void *)number) != 0)
        die("thread");
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    char line[8192];
    if (fgets(line, sizeof(line), stdin) == NULL)
        die("a token on standard input");
    prepare_request(line);
    for (intptr_t i = 0; i < N_KEPT; i++)
        start(keep_logging_in, i);
    for (intptr_t i = 0; i < N_NEW; i++)
        start(log_in_anew, i);
    if (operations_port != 0)
        start(probe, 0);
    while (fgets(line, sizeof(line), stdin) != NULL)
        report();
    return 0;
}
