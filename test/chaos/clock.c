/*
 * A wall clock that a test can set, for any program: loaded into it by LD_PRELOAD. The seconds that it is ahead are the
 * 64-bit integer in the file that CHAOS_CLOCK names, and hold from the next look at the clock on.
 *
 * CLOCK_MONOTONIC and all waiting stay as they are. (libfaketime 0.9.10 makes pthread_cond_timedwait() return at once where
 * the condition follows CLOCK_MONOTONIC, whatever it is told: a thread of the program under test then spins.)
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void begin(void) {
    static const int64_t nothing;
    const char *const name = getenv("CHAOS_CLOCK");
    const int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    void *const mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*ahead_s), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    ahead_s = mapped == MAP_FAILED ? &nothing : mapped;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    if (real_clock_gettime == NULL)
        begin();
    const int r = real_clock_gettime(id, now);
    if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead_s;
    return r;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise = {0};
    (void)zone;
    const int r = clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){.tv_sec = precise.tv_sec, .tv_usec = precise.tv_nsec / 1000};
    return r;
}

time_t time(time_t *ret_now) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_now != NULL)
        *ret_now = now.tv_sec;
    return now.tv_sec;
}
