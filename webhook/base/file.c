#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct error *error, const char *path, int number) {
    error_set(error, "%s: %s", path, strerrordesc_np(number));
    return -number;
}

static void close_file(const int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
}

/* Refuses what is no file, or would block, before a byte is read. */
static int check_kind(int fd, const char *path, size_t max_bytes, struct error *error) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return fail(error, path, errno);
    if (S_ISDIR(status.st_mode))
        return fail(error, path, EISDIR);
    if (!S_ISREG(status.st_mode)) {
        error_set(error, "%s: not a regular file", path);
        return -EINVAL;
    }
    if (status.st_size > 0 && (uint64_t)status.st_size > max_bytes) {
        error_set(error, "%s: larger than the limit of %zu bytes", path, max_bytes);
        return -EFBIG;
    }
    return 0;
}

/* Reads to the end, or until max_bytes are there. Returns how many bytes, or a negative errno. */
static ssize_t read_up_to(int fd, char *bytes, size_t max_bytes) {
    size_t n_bytes = 0;
    while (n_bytes < max_bytes) {
        const ssize_t n = read(fd, bytes + n_bytes, max_bytes - n_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        n_bytes += (size_t)n;
    }
    return (ssize_t)n_bytes;
}

/* The size that fstat() said is not relied on: the file may grow meanwhile, and files of /proc say 0. */
static int read_whole(int fd, const char *path, size_t max_bytes, struct secret **ret_bytes, struct error *error) {
    char *bytes = malloc(max_bytes + 1); /* pages that are not written cost nothing */
    if (bytes == NULL)
        return fail(error, path, ENOMEM);
    const ssize_t n = read_up_to(fd, bytes, max_bytes + 1);
    int r;
    if (n < 0) {
        r = fail(error, path, (int)-n);
    } else if ((size_t)n > max_bytes) {
        error_set(error, "%s: larger than the limit of %zu bytes", path, max_bytes);
        r = -EFBIG;
    } else {
        r = secret_new((struct text){.data = bytes, .n_bytes = (size_t)n}, ret_bytes);
        if (r != 0)
            fail(error, path, ENOMEM);
    }
    /* After a failed read too: what came before the failure is a part of the secret. */
    secret_wipe(bytes, n < 0 ? max_bytes + 1 : (size_t)n);
    free(bytes);
    return r;
}

int file_read(const char *path, size_t max_bytes, struct secret **ret_bytes, struct error *error) {
    /* Non-blocking: a FIFO in the place of a file must not stop the program. */
    __attribute__((cleanup(close_file))) const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail(error, path, errno);
    const int r = check_kind(fd, path, max_bytes, error);
    return r != 0 ? r : read_whole(fd, path, max_bytes, ret_bytes, error);
}

int file_read_stream(int fd, const char *name, size_t max_bytes, struct secret **ret_bytes, struct error *error) {
    return read_whole(fd, name, max_bytes, ret_bytes, error);
}

static int64_t nanoseconds(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

struct file_signature file_signature(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0)
        return (struct file_signature){.error = errno};
    return (struct file_signature){.device = status.st_dev,
                                   .inode = status.st_ino,
                                   .n_bytes = (uint64_t)status.st_size,
                                   .modified_ns = nanoseconds(status.st_mtim),
                                   .changed_ns = nanoseconds(status.st_ctim)};
}

_Bool file_signature_equal(const struct file_signature *a, const struct file_signature *b) {
    return a->device == b->device && a->inode == b->inode && a->n_bytes == b->n_bytes && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns && a->error == b->error;
}
