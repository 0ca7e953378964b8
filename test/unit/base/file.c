#include "base/file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/memory.h"
#include "lib/sentinel.h"

static char folder[] = "/tmp/ki-file-XXXXXX";

static void enter(void) {
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void leave(void) {
    cr_assert_eq(chdir("/"), 0);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(file, .init = enter, .fini = leave);

static void write_file(const char *path, struct text text) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text.data, 1, text.n_bytes, file), text.n_bytes);
    cr_assert_eq(fclose(file), 0);
}

static void assert_holds(const char *path, size_t max_bytes, struct text expected) {
    struct secret *bytes;
    struct error error = {0};
    cr_assert_eq(file_read(path, max_bytes, &bytes, &error), 0, "%s", error.text);
    cr_assert(text_equal(secret_text(bytes), expected));
    secret_free(bytes);
}

static void assert_fails(const char *path, size_t max_bytes, int expected, const char *text) {
    struct secret *bytes = NULL;
    struct error error = {0};
    cr_assert_eq(file_read(path, max_bytes, &bytes, &error), expected, "%s", error.text);
    cr_assert_null(bytes);
    cr_assert_str_eq(error.text, text);
    cr_assert_eq(file_read(path, max_bytes, &bytes, NULL), expected);
}

Test(file, is_read_whole) {
    write_file("file", TEXT("line\nzero\0byte"));
    assert_holds("file", 100, TEXT("line\nzero\0byte"));
    write_file("empty", TEXT(""));
    assert_holds("empty", 0, TEXT(""));
}

Test(file, is_read_through_links_as_kubernetes_mounts_secrets) {
    cr_assert_eq(mkdir("..2026_01", 0700), 0);
    write_file("..2026_01/client-secret", TEXT(SENTINEL_SECRET));
    cr_assert_eq(symlink("..2026_01", "..data"), 0);
    cr_assert_eq(symlink("..data/client-secret", "client-secret"), 0);
    assert_holds("client-secret", 100, TEXT(SENTINEL_SECRET));
}

Test(file, of_just_the_maximum_is_read_and_one_byte_more_is_not) {
    write_file("file", TEXT("12345678"));
    assert_holds("file", 8, TEXT("12345678"));
    assert_fails("file", 7, -EFBIG, "file: larger than the limit of 7 bytes");
}

Test(file, that_says_it_is_empty_is_read_to_its_end) {
    struct secret *bytes;
    cr_assert_eq(file_read("/proc/self/status", 1 << 20, &bytes, NULL), 0);
    cr_assert(text_starts_with(secret_text(bytes), TEXT("Name:")));
    secret_free(bytes);
    assert_fails("/proc/self/status", 10, -EFBIG, "/proc/self/status: larger than the limit of 10 bytes");
}

Test(file, what_is_no_file_is_refused_without_waiting) {
    cr_assert_eq(mkdir("folder", 0700), 0);
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    assert_fails("none", 10, -ENOENT, "none: No such file or directory");
    assert_fails("folder", 10, -EISDIR, "folder: Is a directory");
    assert_fails("fifo", 10, -EINVAL, "fifo: not a regular file");
    assert_fails("/dev/zero", 10, -EINVAL, "/dev/zero: not a regular file");
    assert_fails("folder/none/file", 10, -ENOENT, "folder/none/file: No such file or directory");
}

Test(file, that_may_not_be_read_is_named) {
    write_file("file", TEXT(SENTINEL_SECRET));
    cr_assert_eq(chmod("file", 0), 0);
    cr_assert_eq(chmod(".", 0755), 0);
    if (geteuid() == 0)
        cr_assert_eq(seteuid(65534), 0); /* root may read all */
    assert_fails("file", 100, -EACCES, "file: Permission denied");
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
}

Test(file, that_fails_while_it_is_read_is_named) {
    assert_fails("/proc/self/mem", 10, -EIO, "/proc/self/mem: Input/output error"); /* page 0 is never there */
}

Test(file, survives_each_allocation_that_fails) {
    write_file("file", TEXT("content"));
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct secret *bytes = NULL;
        struct error error = {0};
        memory_fail_at(n);
        const int r = file_read("file", 100, &bytes, &error);
        failed = memory_has_failed();
        memory_fail_at(0);
        cr_assert_eq(r, failed ? -ENOMEM : 0);
        if (failed)
            cr_assert_str_eq(error.text, "file: Cannot allocate memory");
        secret_free(bytes);
    }
}

Test(file, stream_is_read_to_its_end_however_it_comes) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        for (const char *c = "in parts"; *c != '\0'; c++)
            (void)!write(ends[1], c, 1);
        _exit(0);
    }
    close(ends[1]);
    struct secret *bytes;
    cr_assert_eq(file_read_stream(ends[0], "standard input", 8, &bytes, NULL), 0);
    cr_assert(text_equal(secret_text(bytes), TEXT("in parts")));
    secret_free(bytes);
    cr_assert_eq(close(ends[0]), 0, "the descriptor stays the caller's");
    cr_assert_eq(waitpid(child, NULL, 0), child);
}

Test(file, stream_over_the_maximum_is_refused) {
    struct secret *bytes = NULL;
    struct error error = {0};
    write_file("file", TEXT("12345678"));
    const int fd = open("file", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(file_read_stream(fd, "standard input", 7, &bytes, &error), -EFBIG);
    cr_assert_str_eq(error.text, "standard input: larger than the limit of 7 bytes");
    cr_assert_null(bytes);
    close(fd);
}

static bool changed(const struct file_signature *before, const char *path) {
    const struct file_signature now = file_signature(path);
    return !file_signature_equal(before, &now);
}

Test(file, signature_stays_while_nothing_changes) {
    write_file("file", TEXT("content"));
    const struct file_signature there = file_signature("file"), not_there = file_signature("none");
    cr_assert_not(changed(&there, "file"));
    cr_assert_not(changed(&not_there, "none"));
    cr_assert_eq(there.error, 0);
    cr_assert_eq(not_there.error, ENOENT);
}

Test(file, signature_tells_a_file_that_comes_and_one_that_goes) {
    const struct file_signature before = file_signature("file");
    write_file("file", TEXT(""));
    cr_assert(changed(&before, "file"));
    const struct file_signature there = file_signature("file");
    cr_assert_eq(unlink("file"), 0);
    cr_assert(changed(&there, "file"));
}

Test(file, signature_tells_another_size_and_another_time) {
    write_file("file", TEXT("content"));
    const struct timespec old[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    cr_assert_eq(utimensat(AT_FDCWD, "file", old, 0), 0);
    const struct file_signature before = file_signature("file");
    write_file("file", TEXT("CONTENT"));
    cr_assert(changed(&before, "file"));
    const struct file_signature second = file_signature("file");
    cr_assert_eq(truncate("file", 3), 0);
    cr_assert(changed(&second, "file"));
}

Test(file, signature_tells_the_swap_of_a_link_to_a_file_of_the_same_time_and_size) {
    const struct timespec same[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    write_file("one", TEXT("1"));
    write_file("two", TEXT("2"));
    cr_assert_eq(utimensat(AT_FDCWD, "one", same, 0), 0);
    cr_assert_eq(utimensat(AT_FDCWD, "two", same, 0), 0);
    cr_assert_eq(symlink("one", "link"), 0);
    const struct file_signature before = file_signature("link");
    cr_assert_eq(symlink("two", "new"), 0);
    cr_assert_eq(rename("new", "link"), 0);
    cr_assert(changed(&before, "link"));
}
