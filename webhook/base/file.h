/*
 * Small files, read whole; and whether they changed.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"

/*
 * Reads a whole regular file (links followed, as Kubernetes mounts Secrets by links).
 *
 * max_bytes  a larger file is an error
 * ret_bytes  the content, as a secret: secret_free() it
 *
 * Returns 0, or a negative errno with error set to "PATH: why" (-EFBIG, -ENOENT, -EISDIR, -EACCES, -ENOMEM, ...).
 */
int file_read(const char *path, size_t max_bytes, struct secret **ret_bytes, struct error *error);

/*
 * Reads a stream, such as standard input, to its end; waits for it. name is for messages. Otherwise like file_read(), and the
 * descriptor stays the caller's.
 */
int file_read_stream(int fd, const char *name, size_t max_bytes, struct secret **ret_bytes, struct error *error);

/*
 * What tells one version of a file from the next: device, inode, size, both times. Follows links. A file that is not
 * there has a signature of its own.
 */
struct file_signature {
    uint64_t device, inode, n_bytes;
    int64_t modified_ns, changed_ns;
    int error;
};

struct file_signature file_signature(const char *path);

/* True when both describe the same version. */
_Bool file_signature_equal(const struct file_signature *a, const struct file_signature *b);
