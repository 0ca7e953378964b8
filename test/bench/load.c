/*
 * A load generator as kube-apiserver's client is: HTTP/1.1 over mutual TLS 1.3, kept-alive connections, one request at a
 * time on each. Closed loop (each connection asks again at once) or a fixed arrival rate, where a request's time counts from when
 * it should have been sent, so that a stalled server cannot hide (no coordinated omission).
 *
 *   load --port P --ca F --cert F --key F --path /authenticate --connections N --seconds S [--rate R]
 *        [--tokens N | --fresh] [--token-bytes N] [--warm] [--requests N] [--body FILE --expect TEXT] [--awake] [--pid P]
 *
 * --body: this body in each request, in place of a TokenReview, whatever its length; a reply with the text is a good one.
 *
 * --warm: the same tokens in every run, each of them asked about at least once before the others repeat. --requests: ends
 * after so many, whatever the time.
 *
 * --awake: looks for answers without ever sleeping, on a core that nobody else needs. To wake a sleeper costs the server some
 * microseconds: a slow server, whose answers are waited for, would pay that more often than a quick one, on top of being slow.
 *
 * --pid: also tells the CPU time that this process (the server) took for each request in the time that was measured, which
 * other programs on the machine change less than the rate.
 *
 * Prints one JSON object. One thread, loopback only.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024
#define MAX_SAMPLES (8u << 20)
#define HEAD_BYTES 1024
#define REPLY_BYTES 65536

struct settings {
    const char *ca, *cert, *key, *path, *body, *expect;
    int port, n_connections;
    double seconds, rate;
    unsigned n_tokens, token_bytes;
    size_t n_requests; /* 0: as many as fit into the time */
    bool fresh, warm, awake;
    int server_pid; /* 0: not looked at */
};

struct connection {
    SSL *ssl;
    int fd;
    bool is_busy;
    int64_t due_ns; /* when the request should have been sent */
    size_t n_written, n_request, n_read;
    char *request; /* its own only where it has a token of its own */
    char reply[REPLY_BYTES];
};

static struct settings settings = {.path = "/authenticate", .expect = "\"authenticated\":true", .n_connections = 64, .seconds = 5, .n_tokens = 1000, .token_bytes = 60};
static struct connection *connections;
static uint32_t *samples_us;
static size_t n_samples, n_errors, n_sent, n_warmed;
static uint64_t run_id;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

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

/* Everything but the token is the same in each request: written once, so that the load generator is not what is measured. */
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

static void give_request(struct connection *connection) {
    connection->request = settings.body != NULL ? request_text : malloc(n_request_text);
    if (connection->request == NULL)
        die("memory");
    memcpy(connection->request, request_text, settings.body != NULL ? 0 : n_request_text);
}

/* A token that this run uses: its number n and the run's, in hexadecimal. */
static void write_token(char *token, uint64_t n) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++)
        token[i] = digits[n >> (60 - 4 * i) & 15];
    for (int i = 0; i < 16; i++)
        token[16 + i] = digits[run_id >> (60 - 4 * i) & 15];
}

static void build_request(struct connection *connection) {
    const uint64_t n = settings.fresh ? n_sent : settings.warm && n_warmed < settings.n_tokens ? n_warmed++ : n_sent % settings.n_tokens;
    if (settings.body == NULL)
        write_token(connection->request + token_at, n);
    connection->n_request = n_request_text;
    connection->n_written = connection->n_read = 0;
    n_sent++;
}

/* Whether the whole reply is there; *ret_good: it is a yes. */
static bool reply_is_whole(struct connection *connection, bool *ret_good) {
    connection->reply[connection->n_read] = '\0';
    const char *body = strstr(connection->reply, "\r\n\r\n");
    if (body == NULL)
        return false;
    const char *length = strcasestr(connection->reply, "content-length:");
    if (length == NULL)
        {
        fprintf(stderr, "%s\n", connection->reply);
        die("a reply without Content-Length");
    }
    const size_t n_body = strtoul(length + 15, NULL, 10);
    if ((size_t)(connection->reply + connection->n_read - (body + 4)) < n_body)
        return false;
    *ret_good = strstr(body, settings.expect) != NULL;
    return true;
}

/* ---- one connection ---- */

static void finish(struct connection *connection, bool is_good) {
    const int64_t us = (now_ns() - connection->due_ns) / 1000;
    connection->is_busy = false;
    if (!is_good)
        n_errors++;
    if (n_samples < MAX_SAMPLES)
        samples_us[n_samples++] = (uint32_t)(us < 0 ? 0 : us);
}

static void go_on(struct connection *connection) {
    while (connection->n_written < connection->n_request) {
        const int n = SSL_write(connection->ssl, connection->request + connection->n_written,
                                (int)(connection->n_request - connection->n_written));
        if (n <= 0)
            return;
        connection->n_written += (size_t)n;
    }
    for (;;) {
        const int n = SSL_read(connection->ssl, connection->reply + connection->n_read, (int)(REPLY_BYTES - 1 - connection->n_read));
        if (n <= 0) {
            if (SSL_get_error(connection->ssl, n) != SSL_ERROR_WANT_READ)
                die("the server closed a connection");
            return;
        }
        connection->n_read += (size_t)n;
        bool is_good = false;
        if (reply_is_whole(connection, &is_good)) {
            finish(connection, is_good);
            return;
        }
    }
}

static void send_request(struct connection *connection, int64_t due_ns) {
    build_request(connection);
    connection->is_busy = true;
    connection->due_ns = due_ns;
    go_on(connection);
}

static void connect_one(SSL_CTX *context, struct connection *connection, int epoll) {
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)settings.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connection->fd < 0 || connect(connection->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    const int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->ssl = SSL_new(context);
    SSL_set_fd(connection->ssl, connection->fd);
    SSL_set1_host(connection->ssl, "localhost");
    SSL_set_tlsext_host_name(connection->ssl, "localhost");
    if (SSL_connect(connection->ssl) != 1)
        die("TLS handshake");
    fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) | O_NONBLOCK);
    /* A large request is written in parts. On edges only: a socket that can be written to is no news. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

static SSL_CTX *make_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_read_ahead(context, 1); /* one read for a reply instead of two: the load must not be the limit */
    if (SSL_CTX_load_verify_locations(context, settings.ca, NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, settings.cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, settings.key, SSL_FILETYPE_PEM) != 1)
        die("certificates");
    return context;
}

/* ---- the run ---- */

static struct connection *idle_connection(void) {
    static int at;
    for (int i = 0; i < settings.n_connections; i++) {
        at = (at + 1) % settings.n_connections;
        if (!connections[at].is_busy)
            return &connections[at];
    }
    return NULL;
}

/* Sends what is due by now; returns when the next one is. */
static int64_t send_due(int64_t start_ns, int64_t end_ns, uint64_t *n_due) {
    const double interval_ns = settings.rate > 0 ? 1e9 / settings.rate : 0;
    for (;;) {
        const int64_t now = now_ns();
        if (settings.n_requests > 0 && n_sent >= settings.n_requests)
            return now; /* enough: run() sees it */
        const int64_t due = settings.rate > 0 ? start_ns + (int64_t)((double)*n_due * interval_ns) : now;
        if (due > now || now >= end_ns)
            return due;
        struct connection *connection = idle_connection();
        if (connection == NULL)
            return now + 1000000000;
        (*n_due)++;
        send_request(connection, due);
    }
}

static void run(int epoll, double seconds) {
    const int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9);
    uint64_t n_due = 0;
    struct epoll_event events[64];
    for (;;) {
        const int64_t next = send_due(start, end, &n_due);
        const int64_t now = now_ns();
        if (now >= end || (settings.n_requests > 0 && n_sent >= settings.n_requests))
            return;
        const int64_t until = next < end ? next : end;
        const struct timespec wait = {.tv_sec = (until - now) / 1000000000, .tv_nsec = until > now ? (until - now) % 1000000000 : 0};
        const int n = epoll_pwait2(epoll, events, 64, until > now && !settings.awake ? &wait : &(struct timespec){0}, NULL);
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection->is_busy)
                go_on(connection);
        }
    }
}

/* Lets what is under way end, so that the next run starts clean. */
static void settle(int epoll) {
    struct epoll_event events[64];
    for (int turns = 0; turns < 200; turns++) {
        bool is_busy = false;
        for (int i = 0; i < settings.n_connections; i++)
            is_busy |= connections[i].is_busy;
        if (!is_busy)
            return;
        const int n = epoll_wait(epoll, events, 64, 50);
        for (int i = 0; i < n; i++)
            go_on(events[i].data.ptr);
    }
}

/* Nanoseconds that a thread has run: the first number of its schedstat. */
static uint64_t thread_ns(const char *process, const char *thread) {
    char path[sizeof("/proc//task//schedstat") + 2 * NAME_MAX];
    snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", process, thread);
    FILE *file = fopen(path, "r");
    unsigned long long ns = 0;
    if (file == NULL || fscanf(file, "%llu", &ns) != 1)
        die(path);
    fclose(file);
    return ns;
}

static uint64_t server_ns(void) {
    char process[16], path[64];
    if (settings.server_pid == 0)
        return 0;
    snprintf(process, sizeof(process), "%d", settings.server_pid);
    snprintf(path, sizeof(path), "/proc/%s/task", process);
    DIR *threads = opendir(path);
    if (threads == NULL)
        die(path);
    uint64_t sum = 0;
    for (const struct dirent *entry; (entry = readdir(threads)) != NULL;)
        sum += entry->d_name[0] == '.' ? 0 : thread_ns(process, entry->d_name);
    closedir(threads);
    return sum;
}

static int compare(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double quantile_ms(double q) {
    return n_samples == 0 ? 0 : samples_us[(size_t)(q * (double)(n_samples - 1))] / 1000.0;
}

static void report(double seconds, uint64_t cpu_ns) {
    qsort(samples_us, n_samples, sizeof(*samples_us), compare);
    printf("{\"requests\": %zu, \"errors\": %zu, \"per_second\": %.0f, \"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"p999_ms\": %.3f, \"max_ms\": %.3f, \"server_us\": %.3f}\n",
           n_samples, n_errors, (double)n_samples / seconds, quantile_ms(0.5), quantile_ms(0.9), quantile_ms(0.99),
           quantile_ms(0.999), quantile_ms(1), n_samples == 0 ? 0 : (double)cpu_ns / 1000 / (double)n_samples);
}

static void read_options(int argc, char **argv) {
    static const struct option options[] = {
        {"port", 1, 0, 'p'}, {"ca", 1, 0, 'a'}, {"cert", 1, 0, 'c'}, {"key", 1, 0, 'k'}, {"path", 1, 0, 'u'},
        {"connections", 1, 0, 'n'}, {"seconds", 1, 0, 's'}, {"rate", 1, 0, 'r'}, {"tokens", 1, 0, 't'},
        {"fresh", 0, 0, 'f'}, {"token-bytes", 1, 0, 'b'}, {"warm", 0, 0, 'w'}, {"requests", 1, 0, 'q'},
        {"body", 1, 0, 'o'}, {"expect", 1, 0, 'e'}, {"awake", 0, 0, 'v'}, {"pid", 1, 0, 'i'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': settings.port = (int)strtol(optarg, NULL, 10); break;
        case 'a': settings.ca = optarg; break;
        case 'c': settings.cert = optarg; break;
        case 'k': settings.key = optarg; break;
        case 'u': settings.path = optarg; break;
        case 'n': settings.n_connections = (int)strtol(optarg, NULL, 10); break;
        case 's': settings.seconds = strtod(optarg, NULL); break;
        case 'r': settings.rate = strtod(optarg, NULL); break;
        case 't': settings.n_tokens = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'f': settings.fresh = true; break;
        case 'b': settings.token_bytes = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'q': settings.n_requests = strtoul(optarg, NULL, 10); break;
        case 'o': settings.body = optarg; break;
        case 'e': settings.expect = optarg; break;
        case 'w': settings.warm = true; break;
        case 'v': settings.awake = true; break;
        case 'i': settings.server_pid = (int)strtol(optarg, NULL, 10); break;
        default: exit(2);
        }
    }
    if (settings.n_connections < 1 || settings.n_connections > MAX_CONNECTIONS || settings.token_bytes < 32 ||
        settings.token_bytes > 16384)
        exit(2);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    connections = calloc((size_t)settings.n_connections, sizeof(*connections));
    samples_us = malloc(MAX_SAMPLES * sizeof(*samples_us));
    if (connections == NULL || samples_us == NULL || getrandom(&run_id, sizeof(run_id), 0) < 0)
        die("start");
    if (settings.warm)
        run_id = 1; /* the same tokens in each run: the first one fills the cache */
    prepare_request();
    SSL_CTX *context = make_context();
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < settings.n_connections; i++) {
        give_request(&connections[i]);
        connect_one(context, &connections[i], epoll);
    }
    /* a moment unmeasured: caches, branch predictors and connection pools fill */
    if (settings.n_requests == 0) {
        run(epoll, settings.warm ? 1.0 : 0.5);
        settle(epoll);
    }
    n_samples = n_errors = 0;
    const uint64_t cpu_before_ns = server_ns();
    const int64_t start = now_ns();
    run(epoll, settings.n_requests == 0 ? settings.seconds : 300);
    const double seconds = (double)(now_ns() - start) / 1e9;
    const uint64_t cpu_ns = server_ns() - cpu_before_ns;
    const size_t n_late = n_samples;
    settle(epoll);
    n_samples = n_late; /* what ended after the end is not counted */
    report(seconds, cpu_ns);
    return n_errors == 0 ? 0 : 1;
}
