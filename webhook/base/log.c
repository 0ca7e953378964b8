#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/limits.h"

/* The line that says how many were lost goes out in one write with the line that follows it: together below PIPE_BUF. */
#define NOTICE_BYTES 256
#define WRITE_BYTES (NOTICE_BYTES + LIMIT_LOG_LINE_BYTES)

static _Atomic int current_level = LOG_LEVEL_INFO;
static _Atomic int current_format = LOG_FORMAT_TEXT;

/*
 * Standard error, written to without ever blocking. Its O_NONBLOCK flag must not be set: it is shared with whoever else
 * holds the same terminal or pipe. A pipe or terminal is opened once more, which gives a flag of our own.
 */
static struct {
    pthread_mutex_t lock;
    bool is_open;
    dev_t device;
    ino_t inode; /* what descriptor 2 was when fd was made of it */
    mode_t mode;
    int fd; /* non-blocking, or -1: it could not be opened again (another user's pipe) */
    size_t n_rest;
    char rest[WRITE_BYTES]; /* the end of a line whose beginning is out */
    unsigned long n_lost;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

void log_configure(enum log_level level, enum log_format format) {
    current_level = (int)level;
    current_format = (int)format;
}

/* ---- a line ---- */

static const char *level_word(enum log_level level, enum log_format format) {
    static const char *const words[][4] = {[LOG_FORMAT_JSON] = {"error", "warning", "info", "debug"},
                                           [LOG_FORMAT_TEXT] = {"ERROR  ", "WARNING", "INFO   ", "DEBUG  "}};
    return words[format][level];
}

/* RFC 3339 in UTC, with milliseconds. */
static void append_time(struct buffer *line) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct tm tm;
    if (gmtime_r(&now.tv_sec, &tm) == NULL)
        return;
    buffer_append_format(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                         tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
}

/* For people, but still one line whatever it holds, and no terminal takes orders from it. */
static void append_printable(struct buffer *line, struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char c = text.data[i];
        buffer_append_char(line, ((unsigned char)c < 0x20 || c == 0x7f) ? ' ' : c);
    }
}

static void append_line(struct buffer *line, enum log_level level, enum log_format format, const char *component,
                        struct text message) {
    if (format == LOG_FORMAT_TEXT) {
        append_time(line);
        buffer_append_format(line, " %s %s: ", level_word(level, format), component);
        append_printable(line, message);
        buffer_append_char(line, '\n');
        return;
    }
    buffer_append(line, TEXT("{\"time\":\""));
    append_time(line);
    buffer_append_format(line, "\",\"level\":\"%s\",\"component\":", level_word(level, format));
    buffer_append_json_string(line, text_of(component));
    buffer_append(line, TEXT(",\"message\":"));
    buffer_append_json_string(line, message);
    buffer_append(line, TEXT("}\n"));
}

/* The line in whole; of a message that does not fit (escapes make it longer), as much as does. */
static void make_line(struct buffer *line, enum log_level level, enum log_format format, const char *component,
                      struct text message) {
    append_line(line, level, format, component, message);
    while (line->error != 0 && message.n_bytes > 0) {
        message.n_bytes -= message.n_bytes > 32 ? 32 : message.n_bytes;
        while (message.n_bytes > 0 && ((unsigned char)message.data[message.n_bytes] & 0xc0) == 0x80)
            message.n_bytes--;
        buffer_clear(line);
        append_line(line, level, format, component, message);
    }
}

/* ---- out with it ---- */

/* Makes out.fd fit descriptor 2, which a supervisor or a test may have replaced. */
static void open_out(void) {
    struct stat status;
    if (fstat(STDERR_FILENO, &status) != 0)
        status = (struct stat){0};
    if (out.is_open && status.st_dev == out.device && status.st_ino == out.inode)
        return;
    if (out.fd >= 0)
        (void)close(out.fd);
    const bool can_block = S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
    out.fd = can_block ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1;
    out.device = status.st_dev;
    out.inode = status.st_ino;
    out.mode = status.st_mode;
    out.n_rest = 0;
    out.is_open = true;
}

static ssize_t write_some(const char *data, size_t n_bytes) {
    if (out.fd >= 0)
        return write(out.fd, data, n_bytes);
    if (S_ISSOCK(out.mode))
        return send(STDERR_FILENO, data, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A pipe that says POLLOUT has room for PIPE_BUF bytes, which is more than a line. A file is always ready. */
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(STDERR_FILENO, data, n_bytes);
}

/* Writes what was left of the line before. Returns false when some of it is still left. */
static bool write_rest(void) {
    if (out.n_rest == 0)
        return true;
    const ssize_t n = write_some(out.rest, out.n_rest);
    if (n <= 0)
        return false;
    out.n_rest -= (size_t)n;
    memmove(out.rest, out.rest + n, out.n_rest);
    return out.n_rest == 0;
}

/* True when the line is out, or will be: a terminal or socket may take a part, whose rest goes before the next line. */
static bool write_line(struct text line) {
    const ssize_t n = write_some(line.data, line.n_bytes);
    if (n <= 0)
        return false;
    out.n_rest = line.n_bytes - (size_t)n;
    memcpy(out.rest, line.data + n, out.n_rest);
    return true;
}

static void append_notice(struct buffer *lines, enum log_format format) {
    if (out.n_lost == 0)
        return;
    char message[NOTICE_BYTES / 2];
    (void)snprintf(message, sizeof(message), "%lu log lines were lost because standard error was not read", out.n_lost);
    append_line(lines, LOG_LEVEL_WARNING, format, "log", text_of(message));
}

static void write_or_count(enum log_format format, struct text line) {
    char memory[WRITE_BYTES + 1];
    struct buffer lines;
    buffer_init_fixed(&lines, memory, sizeof(memory));
    append_notice(&lines, format);
    buffer_append(&lines, line);
    if (write_rest() && write_line(buffer_text(&lines)))
        out.n_lost = 0;
    else
        out.n_lost++;
}

void log_write(enum log_level level, const char *component, const char *format, ...) {
    if ((int)level > current_level)
        return;
    const int saved_errno = errno; /* a log line must not change what its caller is about to look at */
    char message[LIMIT_LOG_LINE_BYTES], memory[LIMIT_LOG_LINE_BYTES + 1];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof(message), format, arguments) < 0)
        message[0] = '\0';
    va_end(arguments);
    const enum log_format form = (enum log_format)current_format;
    struct buffer line;
    buffer_init_fixed(&line, memory, sizeof(memory));
    make_line(&line, level, form, component, text_of(message));

    pthread_mutex_lock(&out.lock);
    open_out();
    write_or_count(form, buffer_text(&line));
    pthread_mutex_unlock(&out.lock);
    errno = saved_errno;
}
