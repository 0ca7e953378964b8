/*
 * What Python is too slow to send: connections and handshakes, as many as one core can. Each thread does one thing after
 * the other, at the highest rate it gets, until the time is over.
 *
 *   flood --port P --do WHAT --threads N --seconds S [--cert F --key F] [--rate PER-SECOND] <REQUEST
 *
 *   connect    a TCP connection, reset at once
 *   hello      a ClientHello that was made once, and the first bytes of the answer: the server has signed for nobody
 *   leave      a ClientHello, and gone, without waiting for anything
 *   handshake  a whole TLS handshake, with the certificate where one is given, until the server ends it or goes on
 *   login      a whole handshake, one review, and gone
 *   renegotiate
 *              TLS 1.2, and then the client asks for another handshake
 *   key-update TLS 1.3, and then new keys, again and again
 *
 * Prints one line of JSON: connections, bytes sent, and how often each end was met.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../lib/program.h"

#define MAX_THREADS 512
#define MAX_ENDS 32
#define PATIENCE_S 5
#define ROOM_BYTES 16384
/* More than OpenSSL follows in a row. */
#define N_KEY_UPDATES 1000

struct end {
    char word[96];
    size_t n;
};

static struct {
    const char *cert, *key;
    int port, n_threads;
    double seconds, rate;
    void (*act)(int fd);
} settings = {.n_threads = 64, .seconds = 5};

static SSL_CTX *context;
static char hello[ROOM_BYTES], login[ROOM_BYTES];
static size_t n_hello, n_login;
static int64_t end_ns;
static _Atomic size_t n_connections, n_bytes;
static struct end ends[MAX_ENDS];
static pthread_mutex_t ends_lock = PTHREAD_MUTEX_INITIALIZER;

static void met(const char *word) {
    pthread_mutex_lock(&ends_lock);
    size_t i = 0;
    while (i < MAX_ENDS - 1 && ends[i].n > 0 && strcmp(ends[i].word, word) != 0)
        i++;
    snprintf(ends[i].word, sizeof(ends[i].word), "%s", ends[i].n > 0 && i == MAX_ENDS - 1 ? "others" : word);
    ends[i].n++;
    pthread_mutex_unlock(&ends_lock);
}

/* ---- TLS ---- */

static SSL *new_ssl(int fd) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        die("TLS");
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Why OpenSSL gave up: the other side's alert, or the end of the connection. */
static void met_error(SSL *ssl, int r) {
    const int saved = errno;
    const unsigned long error = ERR_peek_error();
    if (SSL_get_error(ssl, r) == SSL_ERROR_ZERO_RETURN || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        met("closed");
    else if (error != 0)
        met(ERR_reason_error_string(error));
    else
        met(saved == EAGAIN ? "silence" : saved == ECONNRESET || saved == EPIPE ? "reset" : "closed");
    ERR_clear_error();
}

static void free_ssl(SSL *ssl) {
    atomic_fetch_add(&n_bytes, BIO_number_written(SSL_get_wbio(ssl)));
    SSL_free(ssl);
    ERR_clear_error();
}

/* The first flight of a client, to be sent by many. */
static void record_hello(void) {
    SSL *ssl = SSL_new(context);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    n_hello = (size_t)BIO_read(out, hello, sizeof(hello));
    SSL_free(ssl);
    ERR_clear_error();
}

/* ---- what is done with a connection ---- */

static void do_connect(int fd) {
    (void)fd;
    met("left");
}

static void do_hello(int fd) {
    char room[64];
    const ssize_t n_sent = write(fd, hello, n_hello);
    atomic_fetch_add(&n_bytes, n_sent > 0 ? (size_t)n_sent : 0);
    const ssize_t n = read(fd, room, sizeof(room));
    met(n > 0 ? "answered, left" : n == 0 ? "closed" : errno == EAGAIN ? "silence" : "reset");
}

static void do_leave(int fd) {
    const ssize_t n_sent = write(fd, hello, n_hello);
    atomic_fetch_add(&n_bytes, n_sent > 0 ? (size_t)n_sent : 0);
    met(n_sent > 0 ? "left" : "reset");
}

/* In TLS 1.3 the client's own part is done before the server has seen its certificate: what comes next says what it thinks
 * of it. */
static void do_handshake(int fd) {
    SSL *ssl = new_ssl(fd);
    char room[64];
    int r = SSL_do_handshake(ssl);
    if (r == 1)
        r = SSL_read(ssl, room, sizeof(room));
    met_error(ssl, r);
    free_ssl(ssl);
}

static void do_login(int fd) {
    SSL *ssl = new_ssl(fd);
    char room[ROOM_BYTES];
    int r = SSL_do_handshake(ssl);
    if (r == 1)
        r = SSL_write(ssl, login, (int)n_login);
    if (r > 0)
        r = SSL_read(ssl, room, sizeof(room) - 1);
    if (r > 0) {
        room[r] = '\0';
        met(strncmp(room, "HTTP/1.1 200", 12) == 0 ? "200, left" : "another answer");
    } else {
        met_error(ssl, r);
    }
    free_ssl(ssl);
}

static void do_renegotiate(int fd) {
    SSL *ssl = new_ssl(fd);
    int r = SSL_do_handshake(ssl);
    if (r != 1 || SSL_renegotiate(ssl) != 1)
        met_error(ssl, r);
    else if ((r = SSL_do_handshake(ssl)) == 1)
        met("renegotiated");
    else
        met_error(ssl, r);
    free_ssl(ssl);
}

static void do_key_update(int fd) {
    SSL *ssl = new_ssl(fd);
    char room[64];
    int r = SSL_do_handshake(ssl);
    int n = 0;
    for (; r == 1 && n < N_KEY_UPDATES && now_ns() < end_ns; n++) {
        r = SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
        if (r == 1)
            r = SSL_do_handshake(ssl);
    }
    if (r == 1)
        r = SSL_read(ssl, room, sizeof(room));
    met_error(ssl, r);
    free_ssl(ssl);
}

static const struct {
    const char *name;
    void (*act)(int fd);
    bool leaves; /* gone without a reset: what it sent is still read */
} acts[] = {{"connect", do_connect, false},      {"hello", do_hello, false}, {"leave", do_leave, true},
            {"handshake", do_handshake, false},  {"login", do_login, false}, {"renegotiate", do_renegotiate, false},
            {"key-update", do_key_update, false}};
static bool leaves;

/* ---- threads ---- */

static int open_one(void) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    const struct linger linger = {.l_onoff = 1};
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (!leaves)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)settings.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    const int error = errno;
    close(fd);
    met(error == EINPROGRESS || error == EAGAIN || error == ETIMEDOUT ? "no connection in time" : strerror(error));
    return -1;
}

static void *flood(void *argument) {
    const double interval_ns = settings.rate > 0 ? 1e9 * settings.n_threads / settings.rate : 0;
    int64_t due = now_ns() + (int64_t)(interval_ns * (double)(intptr_t)argument / settings.n_threads);
    for (; now_ns() < end_ns; due += (int64_t)interval_ns) {
        const struct timespec at = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
        if (settings.rate > 0)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        const int fd = open_one();
        if (fd < 0)
            continue;
        atomic_fetch_add(&n_connections, 1);
        settings.act(fd);
        close(fd);
    }
    return NULL;
}

/* ---- start ---- */

static void read_options(int argc, char **argv) {
    static const struct option options[] = {{"port", 1, 0, 'p'},    {"do", 1, 0, 'd'},   {"threads", 1, 0, 't'},
                                            {"seconds", 1, 0, 's'}, {"cert", 1, 0, 'c'}, {"key", 1, 0, 'k'},
                                            {"rate", 1, 0, 'r'},    {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            settings.port = (int)strtol(optarg, NULL, 10);
            break;
        case 'd':
            for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
                if (strcmp(optarg, acts[i].name) == 0) {
                    settings.act = acts[i].act;
                    leaves = acts[i].leaves;
                }
            }
            break;
        case 't':
            settings.n_threads = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            settings.seconds = strtod(optarg, NULL);
            break;
        case 'c':
            settings.cert = optarg;
            break;
        case 'k':
            settings.key = optarg;
            break;
        case 'r':
            settings.rate = strtod(optarg, NULL);
            break;
        default:
            exit(2);
        }
    }
    if (settings.act == NULL || settings.n_threads < 1 || settings.n_threads > MAX_THREADS)
        exit(2);
}

static void make_context(void) {
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (settings.act == do_renegotiate)
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    if (settings.cert != NULL && (SSL_CTX_use_certificate_chain_file(context, settings.cert) != 1 ||
                                  SSL_CTX_use_PrivateKey_file(context, settings.key, SSL_FILETYPE_PEM) != 1))
        die("certificate");
}

static void report(void) {
    printf("{\"connections\": %zu, \"bytes\": %zu, \"ends\": {", (size_t)n_connections, (size_t)n_bytes);
    for (size_t i = 0; i < MAX_ENDS && ends[i].n > 0; i++)
        printf("%s\"%s\": %zu", i == 0 ? "" : ", ", ends[i].word, ends[i].n);
    puts("}}");
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    n_login = fread(login, 1, sizeof(login), stdin);
    make_context();
    record_hello();
    end_ns = now_ns() + (int64_t)(settings.seconds * 1e9);
    pthread_t threads[MAX_THREADS];
    for (intptr_t i = 0; i < settings.n_threads; i++) {
        if (pthread_create(&threads[i], NULL, flood, (void *)i) != 0)
            die("thread");
    }
    for (int i = 0; i < settings.n_threads; i++)
        pthread_join(threads[i], NULL);
    report();
    return 0;
}
