/*
 * The test's clock: preloaded into the real binary, it moves what the program reads of both clocks by what stands in a file
 * that the test maps too (two int64_t, nanoseconds: monotonic, wall). libfaketime moves both together only, and a thread
 * that sleeps notices a step of its when its time is over by the old count; here it looks again within WAKE_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND ((int64_t)1000000000)
#define WAKE_MS 10

struct offsets {
    _Atomic int64_t mono_ns, wall_ns;
};

static const struct offsets *offsets(void) {
    static struct offsets *_Atomic mapped;
    struct offsets *found = atomic_load(&mapped);
    if (found != NULL)
        return found;
    const int fd = open(getenv("TEST_CLOCK"), O_RDONLY | O_CLOEXEC);
    found = mmap(NULL, sizeof(*found), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (found == MAP_FAILED)
        abort();
    atomic_store(&mapped, found);
    return found;
}

static int64_t read_ns(clockid_t id) {
    struct timespec time = {0};
    syscall(SYS_clock_gettime, id, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* ---- what is read ---- */

int clock_gettime(clockid_t id, struct timespec *ret_time) {
    int64_t ns;
    if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
        ns = read_ns(id) + offsets()->mono_ns;
    else if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        ns = read_ns(id) + offsets()->wall_ns;
    else
        return (int)syscall(SYS_clock_gettime, id, ret_time);
    *ret_time = (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
    return 0;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_time) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

/* ---- what is waited for ---- */

static int soon_ms(int timeout_ms) {
    return timeout_ms > WAKE_MS ? WAKE_MS : timeout_ms;
}

int epoll_wait(int epoll, struct epoll_event *events, int n_events, int timeout_ms) {
    return (int)syscall(SYS_epoll_wait, epoll, events, n_events, soon_ms(timeout_ms));
}

int poll(struct pollfd *polled, nfds_t n_polled, int timeout_ms) {
    return (int)syscall(SYS_poll, polled, n_polled, soon_ms(timeout_ms));
}

/* All of the program's conditions are bound to the monotonic clock. One that wakes early has woken for nothing, as any may.
 */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until) {
    const int64_t until_ns = until->tv_sec * SECOND + until->tv_nsec - offsets()->mono_ns;
    const int64_t soon_ns = read_ns(CLOCK_MONOTONIC) + WAKE_MS * SECOND / 1000;
    const int64_t ns = until_ns < soon_ns ? until_ns : soon_ns;
    const struct timespec real = {.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
    const int r = pthread_cond_clockwait(condition, lock, CLOCK_MONOTONIC, &real);
    return r == ETIMEDOUT && ns < until_ns ? 0 : r;
}
