#include "ops/audit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/limits.h"
#include "base/log.h"
#include "ops/audit_file.h"
#include "ops/audit_line.h"

/* Lines in a row. The memory is mapped in its full size at the start: what is not used is not there. */
struct lines {
    char *bytes;
    size_t n_bytes, n_lines;
};

/* What callers and the writer share, under the lock. Nothing is called with it held. */
struct shared {
    struct lines queued;
    size_t writing_bytes; /* what the writer took and has not written yet: part of the queue's size */
    size_t wake_at_bytes; /* the writer wants to be woken when so many are queued */
    uint64_t n_written, n_lost, n_refused, n_write_errors;
    bool writable, refuse;
    bool path_changed, must_reopen, is_stopping, is_done;
    int64_t stop_by_mono_ms;
    char path[PATH_MAX]; /* as the settings have it */
};

/* What the writer thread alone uses. */
struct writer {
    struct lines lines;
    size_t offset; /* what of them is written */
    struct audit_file file;
    char path[PATH_MAX]; /* where it should write */
    bool wants_open;     /* file is not what it should be */
    bool is_removed;     /* file has no name any more */
    int open_error, write_error;
    int64_t open_at_mono_ms; /* the next attempt */
    int64_t retry_ms;        /* 0: the last write was fine */
    bool stop_seen;
};

struct audit {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the writer */
    pthread_cond_t done; /* audit_stop() */
    pthread_t thread;
    struct shared shared;
    struct writer writer;
};

static int64_t now_ms(void) {
    return clock_mono_ms(&clock_system);
}

/* Waits for the condition until a time. Returns false when that has come. The lock is held. */
static bool wait_until(struct audit *audit, pthread_cond_t *condition, int64_t mono_ms) {
    const struct timespec time = {.tv_sec = mono_ms / 1000, .tv_nsec = mono_ms % 1000 * 1000000};
    return pthread_cond_timedwait(condition, &audit->lock, &time) != ETIMEDOUT;
}

/* ---- callers ---- */

static void append(struct lines *lines, const struct audit_line *line) {
    for (size_t i = 0; i < sizeof(line->pieces) / sizeof(line->pieces[0]); i++) {
        if (line->pieces[i].n_bytes == 0)
            continue;
        memcpy(lines->bytes + lines->n_bytes, line->pieces[i].data, line->pieces[i].n_bytes);
        lines->n_bytes += line->pieces[i].n_bytes;
    }
    lines->n_lines++;
}

/* The lock is held. ret_wakes: the writer waits for this line. */
static int queue_line(struct shared *shared, const struct audit_line *line, bool *ret_wakes) {
    const size_t queued = shared->queued.n_bytes + shared->writing_bytes;
    const bool fits = line->n_bytes <= LIMIT_AUDIT_QUEUE_BYTES && queued <= LIMIT_AUDIT_QUEUE_BYTES - line->n_bytes;
    if (shared->refuse && (!shared->writable || !fits)) {
        shared->n_refused++;
        return AUDIT_REFUSED;
    }
    if (!fits) {
        shared->n_lost++;
        return 0;
    }
    append(&shared->queued, line);
    *ret_wakes = shared->queued.n_bytes >= shared->wake_at_bytes;
    if (*ret_wakes)
        shared->wake_at_bytes = SIZE_MAX; /* once is enough */
    return 0;
}

int audit_write(struct audit *audit, const struct audit_record *record) {
    struct audit_line line;
    audit_line_format(record, &line);
    bool wakes = false;
    pthread_mutex_lock(&audit->lock);
    const int r = queue_line(&audit->shared, &line, &wakes);
    pthread_mutex_unlock(&audit->lock);
    if (wakes)
        pthread_cond_signal(&audit->wake);
    return r;
}

void audit_stats(struct audit *audit, struct audit_stats *ret_stats) {
    const struct shared *shared = &audit->shared;
    pthread_mutex_lock(&audit->lock);
    *ret_stats = (struct audit_stats){.n_written = shared->n_written,
                                      .n_lost = shared->n_lost,
                                      .n_refused = shared->n_refused,
                                      .n_write_errors = shared->n_write_errors,
                                      .queue_bytes = shared->queued.n_bytes + shared->writing_bytes,
                                      .writable = shared->writable};
    pthread_mutex_unlock(&audit->lock);
}

void audit_configure(struct audit *audit, const struct audit_settings *settings) {
    const size_t n_bytes = strlen(settings->path) + 1;
    if (n_bytes > PATH_MAX)
        log_error("audit", "audit.path is longer than %d bytes: the log stays where it is", PATH_MAX - 1);
    pthread_mutex_lock(&audit->lock);
    audit->shared.refuse = settings->refuse_when_unwritable;
    if (n_bytes <= PATH_MAX && strcmp(settings->path, audit->shared.path) != 0) {
        memcpy(audit->shared.path, settings->path, n_bytes);
        audit->shared.path_changed = true;
    }
    pthread_mutex_unlock(&audit->lock);
    pthread_cond_signal(&audit->wake);
}

void audit_reopen(struct audit *audit) {
    pthread_mutex_lock(&audit->lock);
    audit->shared.must_reopen = true;
    pthread_mutex_unlock(&audit->lock);
    pthread_cond_signal(&audit->wake);
}

/* ---- the writer: how it stands with the disk ---- */

static size_t count_lines(const char *bytes, size_t n_bytes) {
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n += bytes[i] == '\n';
    return n;
}

/* Bytes of the line that is written in part. */
static size_t partial_bytes(const struct writer *writer) {
    const char *end = writer->offset == 0 ? NULL : memrchr(writer->lines.bytes, '\n', writer->offset);
    return end == NULL ? writer->offset : writer->offset - (size_t)(end + 1 - writer->lines.bytes);
}

static void became_unwritable(struct audit *audit, int error) {
    struct writer *writer = &audit->writer;
    pthread_mutex_lock(&audit->lock);
    audit->shared.writable = false;
    audit->shared.n_write_errors++;
    const bool refuse = audit->shared.refuse;
    pthread_mutex_unlock(&audit->lock);
    writer->retry_ms = writer->retry_ms == 0 ? LIMIT_AUDIT_RETRY_MIN_MS : writer->retry_ms * 2;
    if (writer->retry_ms > LIMIT_AUDIT_RETRY_MAX_MS)
        writer->retry_ms = LIMIT_AUDIT_RETRY_MAX_MS;
    if (writer->write_error != error)
        log_error("audit", "%s cannot be written: %s; %s", writer->file.path, strerrordesc_np(error),
                  refuse ? "logins are answered with an error until it can be (audit.whenUnwritable: Refuse)"
                         : "records are kept while the queue has room, then lost (audit.whenUnwritable: Continue)");
    writer->write_error = error;
}

static void became_writable(struct audit *audit) {
    struct writer *writer = &audit->writer;
    if (writer->retry_ms == 0)
        return;
    writer->retry_ms = 0;
    writer->write_error = 0;
    pthread_mutex_lock(&audit->lock);
    audit->shared.writable = true;
    const unsigned long long n_lost = audit->shared.n_lost, n_refused = audit->shared.n_refused;
    pthread_mutex_unlock(&audit->lock);
    log_info("audit", "%s can be written again; since the start, %llu records were lost and %llu refused",
             writer->file.path, n_lost, n_refused);
}

static void advance(struct audit *audit, size_t n_bytes) {
    struct writer *writer = &audit->writer;
    struct lines *lines = &writer->lines;
    size_t n_lines = lines->n_lines; /* most writes take all: then nothing is to be counted */
    if (writer->offset + n_bytes < lines->n_bytes)
        n_lines = count_lines(lines->bytes + writer->offset, n_bytes);
    writer->offset += n_bytes;
    lines->n_lines -= n_lines;
    pthread_mutex_lock(&audit->lock);
    audit->shared.writing_bytes -= n_bytes;
    audit->shared.n_written += n_lines;
    pthread_mutex_unlock(&audit->lock);
}

/* The line that was written in part will be written from its start, to another file. */
static void begin_line_again(struct audit *audit) {
    const size_t n_bytes = partial_bytes(&audit->writer);
    audit->writer.offset -= n_bytes;
    pthread_mutex_lock(&audit->lock);
    audit->shared.writing_bytes += n_bytes;
    pthread_mutex_unlock(&audit->lock);
}

static void write_failed(struct audit *audit, int error) {
    struct writer *writer = &audit->writer;
    /* A full disk and a FIFO's reader come back by themselves; of all else the descriptor may be the cause (a lost mount).
     */
    if (error != EPIPE && error != ENOSPC && error != EDQUOT && error != EFBIG && !writer->file.is_stdout)
        writer->wants_open = true;
    became_unwritable(audit, error);
}

/* Writes until all is out or something is in the way. */
static void write_lines(struct audit *audit) {
    struct writer *writer = &audit->writer;
    const struct lines *lines = &writer->lines;
    while (writer->offset < lines->n_bytes) {
        const ssize_t n = audit_file_write(&writer->file, lines->bytes + writer->offset, lines->n_bytes - writer->offset);
        if (n == -EAGAIN)
            return; /* a slow reader is no failure: the queue is there for that */
        if (n < 0) {
            write_failed(audit, (int)-n);
            return;
        }
        advance(audit, (size_t)n);
        became_writable(audit);
    }
}

/* ---- the writer: which file ---- */

/* Ends the line that the old file has a part of, or else begins it anew in the new one: it is whole in one of them. */
static void leave_file(struct audit *audit) {
    struct writer *writer = &audit->writer;
    if (partial_bytes(writer) == 0)
        return;
    const char *rest = writer->lines.bytes + writer->offset;
    const char *feed = memchr(rest, '\n', writer->lines.n_bytes - writer->offset); /* a line always has one */
    const size_t end = (size_t)(feed + 1 - writer->lines.bytes);
    while (!writer->is_removed && writer->offset < end) {
        const ssize_t n = audit_file_write(&writer->file, writer->lines.bytes + writer->offset, end - writer->offset);
        if (n < 0)
            break;
        advance(audit, (size_t)n);
    }
    begin_line_again(audit);
}

static void open_failed(struct audit *audit, int error) {
    struct writer *writer = &audit->writer;
    if (writer->open_error != error && !writer->is_removed)
        log_error("audit", "%s cannot be opened: %s; records go to the file that was open before, %s", writer->path,
                  strerrordesc_np(error), writer->file.path);
    writer->open_error = error;
    writer->open_at_mono_ms = now_ms() + LIMIT_AUDIT_CHECK_MS;
}

static void open_file(struct audit *audit) {
    struct writer *writer = &audit->writer;
    struct audit_file file;
    const int r = audit_file_open(writer->path, &file);
    if (r != 0) {
        open_failed(audit, -r);
        return;
    }
    if (audit_file_is_same(&file, &writer->file))
        file.must_break_line = writer->file.must_break_line; /* what it ends within is the line that we go on with */
    else
        leave_file(audit);
    audit_file_close(&writer->file);
    writer->file = file;
    if (writer->open_error != 0 || writer->is_removed)
        log_info("audit", "%s is open", file.path);
    writer->wants_open = writer->is_removed = false;
    writer->open_error = 0;
}

/* Takes over new settings, and notices a rotation. Leaves the file as it should be, or wants_open set. */
static void follow(struct audit *audit) {
    struct writer *writer = &audit->writer;
    pthread_mutex_lock(&audit->lock);
    const bool asked = audit->shared.path_changed || audit->shared.must_reopen;
    if (audit->shared.path_changed)
        memcpy(writer->path, audit->shared.path, sizeof(writer->path));
    audit->shared.path_changed = audit->shared.must_reopen = false;
    pthread_mutex_unlock(&audit->lock);

    const enum audit_place place = audit_file_place(&writer->file);
    writer->is_removed = place == AUDIT_PLACE_REMOVED;
    if (asked || (place != AUDIT_PLACE_SAME && !writer->wants_open))
        writer->open_at_mono_ms = 0;
    writer->wants_open = writer->wants_open || asked || place != AUDIT_PLACE_SAME;
    if (writer->wants_open && now_ms() >= writer->open_at_mono_ms)
        open_file(audit);
}

/* ---- the writer: its turns ---- */

static bool is_called(const struct audit *audit) {
    const struct shared *shared = &audit->shared;
    return shared->path_changed || shared->must_reopen || (shared->is_stopping && !audit->writer.stop_seen);
}

/* The lock is held. */
static void wait_for_bytes(struct audit *audit, size_t n_bytes, int64_t until_mono_ms) {
    struct shared *shared = &audit->shared;
    shared->wake_at_bytes = n_bytes;
    while (!is_called(audit) && shared->queued.n_bytes < n_bytes && wait_until(audit, &audit->wake, until_mono_ms))
        continue;
    shared->wake_at_bytes = SIZE_MAX;
}

/* Until there is something to do: lines, a call, or the time to look at the file. */
static void wait_for_work(struct audit *audit) {
    struct writer *writer = &audit->writer;
    pthread_mutex_lock(&audit->lock);
    const int64_t now = now_ms();
    if (writer->retry_ms > 0)
        wait_for_bytes(audit, SIZE_MAX, now + writer->retry_ms);
    else if (writer->offset == writer->lines.n_bytes && !writer->stop_seen)
        wait_for_bytes(audit, 1, now + LIMIT_AUDIT_CHECK_MS);
    if (writer->retry_ms == 0 && audit->shared.queued.n_bytes > 0 && !writer->stop_seen)
        wait_for_bytes(audit, LIMIT_AUDIT_GATHER_BYTES, now_ms() + LIMIT_AUDIT_GATHER_MS);
    writer->stop_seen = audit->shared.is_stopping;
    pthread_mutex_unlock(&audit->lock);
}

/* Gives memory back that only an outage needed. */
static void release_memory(const struct lines *lines) {
    if (lines->n_bytes > LIMIT_AUDIT_QUEUE_BYTES / 16)
        (void)madvise(lines->bytes, LIMIT_AUDIT_QUEUE_BYTES, MADV_DONTNEED);
}

/* Swaps the two halves of the double buffer, when the writer's is all written. */
static void take_lines(struct audit *audit) {
    struct writer *writer = &audit->writer;
    if (writer->offset < writer->lines.n_bytes)
        return;
    release_memory(&writer->lines);
    writer->lines.n_bytes = writer->lines.n_lines = writer->offset = 0;
    pthread_mutex_lock(&audit->lock);
    const struct lines empty = writer->lines;
    writer->lines = audit->shared.queued;
    audit->shared.queued = empty;
    audit->shared.writing_bytes = writer->lines.n_bytes;
    pthread_mutex_unlock(&audit->lock);
}

/* Returns false when the thread is to end: asked to, and all is written or the time for it is over. */
static bool goes_on(struct audit *audit) {
    const struct writer *writer = &audit->writer;
    pthread_mutex_lock(&audit->lock);
    const bool is_written = audit->shared.queued.n_bytes + audit->shared.writing_bytes == 0;
    const bool goes_on = !audit->shared.is_stopping || (!is_written && now_ms() < audit->shared.stop_by_mono_ms);
    if (!goes_on)
        audit->shared.n_lost += writer->lines.n_lines + audit->shared.queued.n_lines;
    pthread_mutex_unlock(&audit->lock);
    return goes_on;
}

static void *run(void *context) {
    struct audit *audit = context;
    struct writer *writer = &audit->writer;
    do {
        wait_for_work(audit);
        follow(audit);
        take_lines(audit);
        if (writer->is_removed)
            became_unwritable(audit, writer->open_error);
        else if (writer->offset < writer->lines.n_bytes)
            write_lines(audit);
        else
            became_writable(audit); /* the file that was missing is there, and nothing waits for it */
    } while (goes_on(audit));
    pthread_mutex_lock(&audit->lock);
    audit->shared.is_done = true;
    pthread_cond_signal(&audit->done);
    pthread_mutex_unlock(&audit->lock);
    return NULL;
}

/* ---- start and stop ---- */

static int map_lines(struct lines *lines) {
    void *memory =
        mmap(NULL, LIMIT_AUDIT_QUEUE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    lines->bytes = memory;
    return 0;
}

static void unmap_lines(struct lines *lines) {
    if (lines->bytes != NULL)
        (void)munmap(lines->bytes, LIMIT_AUDIT_QUEUE_BYTES);
}

static void audit_free(struct audit *audit) {
    audit_file_close(&audit->writer.file);
    unmap_lines(&audit->shared.queued);
    unmap_lines(&audit->writer.lines);
    pthread_cond_destroy(&audit->wake);
    pthread_cond_destroy(&audit->done);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}

/* glibc's initialisers of these cannot fail. */
static void init_locks(struct audit *audit) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* a clock that is set must not stop the log */
    pthread_cond_init(&audit->wake, &attributes);
    pthread_cond_init(&audit->done, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&audit->lock, NULL);
}

/* The thread inherits that every signal is blocked: they are the main thread's, and EPIPE is told without SIGPIPE. */
static int start_thread(struct audit *audit) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, LIMIT_THREAD_STACK_BYTES);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int r = pthread_create(&audit->thread, &attributes, run, audit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (r == 0)
        (void)pthread_setname_np(audit->thread, "audit writer");
    return -r;
}

static int audit_new(const struct audit_settings *settings, struct audit **ret_audit) {
    struct audit *audit = calloc(1, sizeof(*audit));
    if (audit == NULL)
        return -ENOMEM;
    audit->shared.refuse = settings->refuse_when_unwritable;
    audit->shared.writable = true;
    audit->shared.wake_at_bytes = SIZE_MAX;
    audit->writer.file = (struct audit_file)AUDIT_FILE_CLOSED;
    init_locks(audit);
    int r = map_lines(&audit->shared.queued);
    if (r == 0)
        r = map_lines(&audit->writer.lines);
    if (r == 0)
        r = audit_file_open(settings->path, &audit->writer.file);
    if (r == 0) {
        memcpy(audit->shared.path, audit->writer.file.path, PATH_MAX);
        memcpy(audit->writer.path, audit->writer.file.path, PATH_MAX);
        r = start_thread(audit);
    }
    if (r != 0) {
        audit_free(audit);
        return r;
    }
    *ret_audit = audit;
    return 0;
}

static const char *way_out(int error) {
    switch (error) {
    case ENOENT:
        return ": make its folder, or correct the path";
    case EACCES:
    case EPERM:
    case EROFS:
        return ": let the user that this program runs as write there";
    case ENXIO:
        return ": start the reader of this FIFO first";
    default:
        return "";
    }
}

int audit_start(const struct audit_settings *settings, struct audit **ret_audit, struct error *error) {
    const int r = audit_new(settings, ret_audit);
    if (r != 0)
        error_set(error, "audit.path: %s cannot be opened for writing: %s%s", settings->path, strerrordesc_np(-r),
                  way_out(-r));
    return r;
}

/* Returns false when the thread does not come back: it hangs in a write() that no signal ends (a dead network mount). */
static bool wait_for_writer(struct audit *audit) {
    pthread_mutex_lock(&audit->lock);
    audit->shared.is_stopping = true;
    audit->shared.stop_by_mono_ms = now_ms() + LIMIT_AUDIT_STOP_MS;
    const int64_t give_up_mono_ms = audit->shared.stop_by_mono_ms + LIMIT_AUDIT_RETRY_MAX_MS;
    pthread_cond_signal(&audit->wake);
    while (!audit->shared.is_done && wait_until(audit, &audit->done, give_up_mono_ms))
        continue;
    const bool is_done = audit->shared.is_done;
    pthread_mutex_unlock(&audit->lock);
    return is_done;
}

void audit_stop(struct audit *audit) {
    if (audit == NULL)
        return;
    if (!wait_for_writer(audit)) {
        log_error("audit", "the disk does not answer: what is queued is given up");
        (void)pthread_detach(audit->thread); /* it may still use all of it */
        return;
    }
    (void)pthread_join(audit->thread, NULL);
    if (audit->shared.n_lost > 0)
        log_error("audit", "%llu records were lost", (unsigned long long)audit->shared.n_lost);
    audit_free(audit);
}
