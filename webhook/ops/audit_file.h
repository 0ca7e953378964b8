/*
 * The file that the audit log goes to: a regular file, a FIFO, a device, or standard output. The writer thread's only.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"

struct audit_file {
    int fd; /* -1: none */
    bool is_stdout, is_regular;
    bool must_break_line; /* the file ends in the middle of somebody's line: ours must not go on with it */
    dev_t device;
    ino_t inode;
    char path[PATH_MAX];
};

/* A file that is not open. */
#define AUDIT_FILE_CLOSED                                                                                                  \
    { .fd = -1 }

/*
 * Opens the path for appending, and makes the file (mode 0640) where there is none. "-" is standard output.
 * Returns 0, or a negative errno. The caller owns what ret_file holds: audit_file_close() it.
 */
int audit_file_open(const char *path, struct audit_file *ret_file);

/* Closes it. A closed one is fine. */
void audit_file_close(struct audit_file *file);

/* Whether both are the same file on disk. */
bool audit_file_is_same(const struct audit_file *a, const struct audit_file *b);

/*
 * Where the open file is: still at its path, or the path names another file or none (it was renamed), or it has no name any
 * more (it was removed: what is written to it is lost). What is no regular file is always at its path.
 */
enum audit_place { AUDIT_PLACE_SAME, AUDIT_PLACE_MOVED, AUDIT_PLACE_REMOVED };
enum audit_place audit_file_place(const struct audit_file *file);

/*
 * Writes some of the bytes. Waits for a FIFO or terminal, but at most 100 ms.
 *
 * Returns how many, at least 1; -EAGAIN when the reader of a FIFO takes nothing at present; or another negative errno.
 */
ssize_t audit_file_write(struct audit_file *file, const char *bytes, size_t n_bytes);
