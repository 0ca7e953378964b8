#include "histogram.h"

/* Below 256 a bucket for each microsecond; then 256 for each doubling, of which the lower half is never used. */
static unsigned bucket_of(uint32_t us) {
    if (us < 256)
        return us;
    const unsigned shift = 24 - (unsigned)__builtin_clz(us);
    return (shift << 8) + (us >> shift);
}

static uint64_t value_of(unsigned bucket) {
    return (uint64_t)(bucket & 255) << (bucket >> 8);
}

void histogram_add(struct histogram *histogram, int64_t us) {
    const uint32_t value = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    histogram->buckets[bucket_of(value)]++;
    histogram->n++;
    if (value > histogram->max_us)
        histogram->max_us = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->n += from->n;
    if (from->max_us > into->max_us)
        into->max_us = from->max_us;
}

double histogram_quantile_ms(const struct histogram *histogram, double q) {
    if (histogram->n == 0)
        return 0;
    if (q >= 1)
        return (double)histogram->max_us / 1000;
    uint64_t left = (uint64_t)(q * (double)(histogram->n - 1));
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (left < histogram->buckets[i])
            return (double)value_of(i) / 1000;
        left -= histogram->buckets[i];
    }
    return (double)histogram->max_us / 1000;
}
