/*
 * What every fuzz target has: the function that libFuzzer calls, and a way to say that something does not hold.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Says what does not hold and ends the process, so that the fuzzer keeps the input. */
#define CHECK(condition)                                                                                                   \
    do {                                                                                                                   \
        if (!(condition)) {                                                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                                 \
            abort();                                                                                                       \
        }                                                                                                                  \
    } while (0)
