#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/version.h"
#include "command/command.h"
#include "net/server.h"

/* After SIGTERM new connections are answered for this long at least: whoever routes to us needs a moment to hear of it. */
#define DRAIN_LEAST_MS 2000
#define DRAIN_TURN_MS 50

struct serving {
    const char *config_path;
    int signals;
    struct server *server;
    struct watch *watch;
    uint32_t generation;   /* of the last snapshot that was tried */
    int64_t retry_mono_ms; /* when a failed reload is tried again; INT64_MAX: not before something changes */
    struct error failure;  /* of the last reload; "": it did not fail */
};

static void say_warnings(const struct config *config) {
    for (size_t i = 0; i < config->n_warnings; i++)
        log_warning("config", "%s", config->warnings[i]);
}

/* The files of a new configuration are watched from now on, as they were when it was read. */
static void watch_files(struct serving *serving, const struct snapshot *snapshot) {
    struct watch *watch;
    if (watch_new_from(snapshot, &watch) != 0)
        return; /* no memory: the old list goes on */
    watch_free(serving->watch);
    serving->watch = watch;
}

static int start(struct serving *serving) {
    struct error error = {""};
    struct snapshot *snapshot;
    if (snapshot_load(serving->config_path, ++serving->generation, &snapshot, &error) != 0) {
        log_error("config", "%s", error.text);
        return EXIT_BAD;
    }
    const struct config *config = snapshot->config;
    log_configure(config->log_level, config->log_format);
    const int r = server_start(snapshot, &serving->server, &error);
    if (r == 0) {
        say_warnings(config);
        watch_files(serving, snapshot);
        log_info("serve", "kube-introspect %s answers at %s:%s, configuration %s", version_string(),
                 config->authentication.host, config->authentication.port, config->path);
    } else {
        log_error("serve", "%s", error.text);
    }
    snapshot_unref(snapshot);
    return r == 0 ? EXIT_GOOD : EXIT_BAD;
}

/* Loads all anew and hands it to the server. Returns 0, a negative errno, or a positive value where what is there is wrong.
 */
static int try_reload(struct serving *serving, const char *cause, struct error *error) {
    struct snapshot *snapshot;
    int r = snapshot_load(serving->config_path, ++serving->generation, &snapshot, error);
    if (r != 0)
        return r;
    r = server_reload(serving->server, snapshot, error);
    if (r == 0) {
        const struct config *config = snapshot->config;
        log_configure(config->log_level, config->log_format);
        say_warnings(config);
        watch_files(serving, snapshot);
        log_info("reload", "%s: generation %u is in use", cause, serving->generation);
    }
    snapshot_unref(snapshot);
    return r;
}

/* Whatever is wrong leaves everything as it was. What may pass by itself (no memory, no descriptor, a file that is not
   there yet) is tried again later, and said once. */
static void reload(struct serving *serving, const char *cause) {
    struct error error = {""};
    const int r = try_reload(serving, cause, &error);
    serving->retry_mono_ms = r < 0 ? clock_mono_ms(&clock_system) + LIMIT_RELOAD_RETRY_MS : INT64_MAX;
    if (r == 0) {
        serving->failure.text[0] = '\0';
        return;
    }
    server_reload_failed(serving->server);
    if (strcmp(error.text, serving->failure.text) != 0)
        log_error("reload", "%s; the configuration before it stays in use", error.text);
    serving->failure = error;
}

/* ---- signals ---- */

static int block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* h2o writes to sockets whose reader has gone */
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is as a full disk: the write says so */
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The next signal that came, waiting for it at most so long; 0: none. */
static int next_signal(int signals, int timeout_ms) {
    struct pollfd poll_signals = {.fd = signals, .events = POLLIN};
    struct signalfd_siginfo info;
    if (poll(&poll_signals, 1, timeout_ms) <= 0 || read(signals, &info, sizeof(info)) != sizeof(info))
        return 0;
    return (int)info.ssi_signo;
}

static void serve(struct serving *serving) {
    for (;;) {
        const int got = next_signal(serving->signals, LIMIT_WATCH_INTERVAL_MS);
        if (got == SIGTERM || got == SIGINT)
            return;
        server_give_back(serving->server);
        if (got == SIGHUP) {
            server_reopen_logs(serving->server);
            serving->failure.text[0] = '\0'; /* whoever asks is answered, the second time too */
            reload(serving, "SIGHUP");
        } else if (watch_changed(serving->watch)) {
            serving->failure.text[0] = '\0';
            reload(serving, "a file changed");
        } else if (clock_mono_ms(&clock_system) >= serving->retry_mono_ms) {
            reload(serving, "another try");
        }
    }
}

/* Keeps answering until the callers have gone elsewhere; a second signal, or the limit, ends it at once. */
static void drain(const struct serving *serving) {
    const int64_t start_ms = clock_mono_ms(&clock_system);
    log_info("serve", "stopping: not ready any more, answering what still comes");
    server_drain(serving->server);
    for (;;) {
        const int64_t passed_ms = clock_mono_ms(&clock_system) - start_ms;
        if (passed_ms >= LIMIT_DRAIN_MS || (passed_ms >= DRAIN_LEAST_MS && server_is_drained(serving->server)))
            break;
        const int got = next_signal(serving->signals, DRAIN_TURN_MS);
        if (got == SIGTERM || got == SIGINT)
            break;
    }
    log_info("serve", "stopped after %lld ms", (long long)(clock_mono_ms(&clock_system) - start_ms));
}

/* The stop has overrun. The log is tried, and if that hangs too, SIGALRM ends the process. */
static void *end_process(void *nothing) {
    (void)nothing;
    const struct timespec limit = {.tv_sec = LIMIT_STOP_MS / 1000, .tv_nsec = LIMIT_STOP_MS % 1000 * 1000000L};
    nanosleep(&limit, NULL);
    alarm(2);
    log_error("serve", "the stop took longer than %d ms: a thread hangs, and the process ends without it", LIMIT_STOP_MS);
    _exit(EXIT_BAD);
}

/* Whoever restarts us waits for our end, and a thread that does not come back must not keep it from them. */
static void stop(struct server *server) {
    pthread_t watchdog;
    if (pthread_create(&watchdog, NULL, end_process, NULL) == 0)
        pthread_detach(watchdog);
    server_stop(server);
}

/* A core file would hold tokens and client secrets. */
static void forbid_core_files(void) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0); /* the limit does not hold where cores go to a program (core(5)) */
}

/* The soft limit is 1,024 where select() is to be protected, which nothing here calls. */
static void take_all_descriptors(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int command_serve(const char *config_path) {
    forbid_core_files();
    take_all_descriptors();
    struct serving serving = {.config_path = config_path, .signals = block_signals(), .retry_mono_ms = INT64_MAX};
    if (serving.signals < 0) {
        log_error("serve", "signalfd: %s", strerror(errno));
        return EXIT_BAD;
    }
    const int status = start(&serving);
    if (status == EXIT_GOOD) {
        serve(&serving);
        drain(&serving);
        stop(serving.server);
    }
    watch_free(serving.watch);
    close(serving.signals);
    return status;
}
