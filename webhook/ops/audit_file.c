#include "ops/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READER_WAIT_MS 100
/* A pipe that is ready takes this many bytes at once without blocking (PIPE_BUF); a large regular write delays a stop. */
#define PIPE_WRITE_BYTES ((size_t)4096)
#define REGULAR_WRITE_BYTES ((size_t)1024 * 1024)

/* A line that a crash or a full disk left half written would swallow the first of ours. */
static bool ends_within_a_line(const char *path, const struct stat *status) {
    if (!S_ISREG(status->st_mode) || status->st_size == 0)
        return false;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    char last = '\n';
    const ssize_t n = pread(fd, &last, 1, status->st_size - 1);
    (void)close(fd);
    return n == 1 && last != '\n';
}

int audit_file_open(const char *path, struct audit_file *ret_file) {
    const size_t n_bytes = strlen(path) + 1;
    if (n_bytes > sizeof(ret_file->path))
        return -ENAMETOOLONG;
    const bool is_stdout = strcmp(path, "-") == 0;
    /* Non-blocking: a FIFO without a reader must be an error, not a wait. Regular files do not know the flag. */
    const int fd = is_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                             : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        const int error = errno;
        if (fd >= 0)
            (void)close(fd);
        return -error;
    }
    *ret_file = (struct audit_file){.fd = fd,
                                    .is_stdout = is_stdout,
                                    .is_regular = S_ISREG(status.st_mode),
                                    .must_break_line = !is_stdout && ends_within_a_line(path, &status),
                                    .device = status.st_dev,
                                    .inode = status.st_ino};
    memcpy(ret_file->path, path, n_bytes);
    return 0;
}

void audit_file_close(struct audit_file *file) {
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = -1;
}

bool audit_file_is_same(const struct audit_file *a, const struct audit_file *b) {
    return a->fd >= 0 && b->fd >= 0 && a->device == b->device && a->inode == b->inode && a->is_stdout == b->is_stdout;
}

enum audit_place audit_file_place(const struct audit_file *file) {
    struct stat there, open;
    if (file->is_stdout || !file->is_regular)
        return AUDIT_PLACE_SAME;
    if (stat(file->path, &there) == 0 && there.st_dev == file->device && there.st_ino == file->inode)
        return AUDIT_PLACE_SAME;
    return fstat(file->fd, &open) == 0 && open.st_nlink == 0 ? AUDIT_PLACE_REMOVED : AUDIT_PLACE_MOVED;
}

/* 0 once there is room for PIPE_WRITE_BYTES. Standard output's own flags are not ours to change: it may be shared. */
static int wait_for_reader(int fd) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    const int n = poll(&ready, 1, READER_WAIT_MS);
    if (n > 0 && (ready.revents & (POLLOUT | POLLERR | POLLNVAL)) != 0)
        return 0; /* of an error, write() knows more */
    return -EAGAIN;
}

static ssize_t write_some(int fd, const char *bytes, size_t n_bytes) {
    for (;;) {
        const ssize_t n = write(fd, bytes, n_bytes);
        if (n > 0)
            return n;
        if (n == 0)
            return -EIO; /* no file does that with bytes to write: to go on would never end */
        if (errno != EINTR)
            return -errno;
    }
}

/* How much to write at once: to a pipe, whole lines, so that a reader that takes over begins with one. */
static size_t portion(const struct audit_file *file, const char *bytes, size_t n_bytes) {
    const size_t max_bytes = file->is_regular ? REGULAR_WRITE_BYTES : PIPE_WRITE_BYTES;
    if (n_bytes <= max_bytes)
        return n_bytes;
    const char *end = file->is_regular ? NULL : memrchr(bytes, '\n', max_bytes);
    return end == NULL ? max_bytes : (size_t)(end + 1 - bytes);
}

ssize_t audit_file_write(struct audit_file *file, const char *bytes, size_t n_bytes) {
    if (!file->is_regular && wait_for_reader(file->fd) != 0)
        return -EAGAIN;
    if (file->must_break_line) {
        const ssize_t n = write_some(file->fd, "\n", 1);
        if (n < 0)
            return n;
        file->must_break_line = false;
    }
    return write_some(file->fd, bytes, portion(file, bytes, n_bytes));
}
