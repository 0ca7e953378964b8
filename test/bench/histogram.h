/*
 * Times of any number of requests, in little memory: exact to the microsecond below 256 us, to 0.4 % above.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BUCKETS (25 * 256)

struct histogram {
    uint64_t n, max_us;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, int64_t us);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The time in milliseconds that the part q of all did not exceed; 0 where there are none. */
double histogram_quantile_ms(const struct histogram *histogram, double q);
