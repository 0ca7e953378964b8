/*
 * The CPU time of another process, to a nanosecond: what other programs on the machine do changes it less than a rate.
 */
#pragma once

#include <stdint.h>

/* What all of its threads have taken since they began. Exits where there is no such process. */
uint64_t cpu_time_ns(int pid);
