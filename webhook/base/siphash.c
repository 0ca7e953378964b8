#include "base/siphash.h"

#include <endian.h>
#include <string.h>

#define WORD_BYTES sizeof(uint64_t)

static uint64_t read_word(const void *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return le64toh(word);
}

static inline uint64_t rotate(uint64_t word, unsigned n_bits) {
    return word << n_bits | word >> (64 - n_bits);
}

static inline void mix(struct siphash *s) {
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline void take_word(struct siphash *siphash, uint64_t word) {
    siphash->v3 ^= word;
    mix(siphash);
    siphash->v0 ^= word;
}

void siphash_begin(struct siphash *siphash, const uint8_t key[SIPHASH_KEY_BYTES]) {
    const uint64_t k0 = read_word(key), k1 = read_word(key + WORD_BYTES);
    *siphash = (struct siphash){
        .v0 = k0 ^ 0x736f6d6570736575,
        .v1 = k1 ^ 0x646f72616e646f6d,
        .v2 = k0 ^ 0x6c7967656e657261,
        .v3 = k1 ^ 0x7465646279746573,
    };
}

static inline void take_byte(struct siphash *siphash, unsigned char byte) {
    const unsigned place = siphash->n_bytes++ % WORD_BYTES;
    siphash->tail |= (uint64_t)byte << (8 * place);
    if (place < WORD_BYTES - 1)
        return;
    take_word(siphash, siphash->tail);
    siphash->tail = 0;
}

void siphash_update(struct siphash *siphash, struct text bytes) {
    const char *at = bytes.data, *end = at + bytes.n_bytes;
    while (at < end && siphash->n_bytes % WORD_BYTES != 0)
        take_byte(siphash, (unsigned char)*at++);
    for (; (size_t)(end - at) >= WORD_BYTES; at += WORD_BYTES, siphash->n_bytes += WORD_BYTES)
        take_word(siphash, read_word(at));
    while (at < end)
        take_byte(siphash, (unsigned char)*at++);
}

uint64_t siphash_end(struct siphash *siphash) {
    take_word(siphash, siphash->n_bytes << 56 | siphash->tail);
    siphash->v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        mix(siphash);
    return siphash->v0 ^ siphash->v1 ^ siphash->v2 ^ siphash->v3;
}
