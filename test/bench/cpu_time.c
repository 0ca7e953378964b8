#include "cpu_time.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/program.h"

/* The first number of its schedstat. */
static uint64_t thread_ns(const char *threads, const char *thread) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s/schedstat", threads, thread);
    FILE *file = fopen(path, "r");
    unsigned long long ns = 0;
    if (file == NULL || fscanf(file, "%llu", &ns) != 1)
        die(path);
    fclose(file);
    return ns;
}

uint64_t cpu_time_ns(int pid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        die(path);
    uint64_t sum = 0;
    for (const struct dirent *entry; (entry = readdir(threads)) != NULL;)
        sum += entry->d_name[0] == '.' ? 0 : thread_ns(path, entry->d_name);
    closedir(threads);
    return sum;
}
