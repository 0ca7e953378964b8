#include "core/packing.h"

#include <stdint.h>

#define N_LOW_CODES 0x20 /* 0x00 to 0x1F */
#define FIRST_HIGH_CODE 0xF5

/* Pieces of real replies. Where one begins with another, the longer stands first: the first that fits is taken. The order
   is nobody else's business: nothing packed outlives the process. */
static const struct text pieces[] = {
    TEXT("{\"sub\":\""),
    TEXT("{\"jti\":\""),
    TEXT("\",\"preferred_username\":\""),
    TEXT("\",\"username\":\""),
    TEXT("\",\"email\":\""),
    TEXT("\",\"email_verified\":true,\"name\":\""),
    TEXT("\",\"given_name\":\""),
    TEXT("\",\"family_name\":\""),
    TEXT("\",\"name\":\""),
    TEXT("\",\"groups\":[\""),
    TEXT("\",\"client_id\":\""),
    TEXT("\"],\"client_id\":\""),
    TEXT("\",\"iss\":\"https://"),
    TEXT("\",\"iss\":\""),
    TEXT("\",\"aud\":[\""),
    TEXT("\",\"aud\":\""),
    TEXT("\",\"sub\":\""),
    TEXT("\",\"jti\":\""),
    TEXT("\",\"sid\":\""),
    TEXT("\",\"scope\":\"openid "),
    TEXT("\",\"scope\":\""),
    TEXT("\",\"token_type\":\"Bearer\"}"),
    TEXT("\",\"token_type\":\""),
    TEXT("\",\"typ\":\"Bearer\",\"azp\":\""),
    TEXT("\",\"typ\":\""),
    TEXT("\",\"azp\":\""),
    TEXT("\",\"realm_access\":{\"roles\":[\""),
    TEXT("\",\"acr\":\""),
    TEXT("\",\"uid\":\""),
    TEXT("\"],\"sub\":\""),
    TEXT(
        "\"]},\"resource_access\":{\"account\":{\"roles\":[\"manage-account\",\"manage-account-links\",\"view-profile\"]}},\"scope\":\""),
    TEXT("\",\"groups\":[]"),
    TEXT("\",\"email_verified\":"),
    TEXT("\"],\"preferred_username\":\""),
    TEXT("\"],\"scope\":\""),
    TEXT("\"],\""),
    TEXT("\",\""),
    TEXT("\":[\""),
    TEXT("\":\""),
    TEXT("offline_access"),
    TEXT("uma_authorization"),
    TEXT(",\"name\":\""),
    TEXT(",\"iss\":\"https://"),
};

#define N_PIECES (sizeof(pieces) / sizeof(pieces[0]))
_Static_assert(N_PIECES <= N_LOW_CODES + 0x100 - FIRST_HIGH_CODE, "a piece has no code");

static unsigned char code_of(size_t piece) {
    return (unsigned char)(piece < N_LOW_CODES ? piece : piece - N_LOW_CODES + FIRST_HIGH_CODE);
}

/* The piece that a byte stands for, or NULL: the byte stands for itself. */
static const struct text *piece_of(unsigned char code) {
    if (code >= N_LOW_CODES && code < FIRST_HIGH_CODE)
        return NULL;
    const size_t piece = code < N_LOW_CODES ? code : (size_t)code - FIRST_HIGH_CODE + N_LOW_CODES;
    return piece < N_PIECES ? &pieces[piece] : NULL;
}

bool packing_is_possible(struct text text) {
    for (size_t i = 0; i < text.n_bytes; i++) {
        if (piece_of((unsigned char)text.data[i]) != NULL)
            return false;
    }
    return true;
}

/* Looks at the middle first: most pieces begin with the same three bytes and end with another same three. */
static bool begins_with(struct text text, struct text piece) {
    const size_t middle = piece.n_bytes / 2;
    return text.n_bytes > middle && text.data[middle] == piece.data[middle] && text_starts_with(text, piece);
}

/* Tells most places from the beginning of a piece by two bytes: a quote counts only where it closes a string. */
static bool may_begin_piece(struct text text) {
    if (text.n_bytes < 2)
        return false;
    const char second = text.data[1];
    switch (text.data[0]) {
    case '"':
        return second == ',' || second == ':' || second == ']';
    case '{':
    case ',':
        return second == '"';
    case 'o':
        return second == 'f';
    case 'u':
        return second == 'm';
    default:
        return false;
    }
}

/* The piece that the text begins with, or N_PIECES. */
static size_t piece_at(struct text text) {
    if (!may_begin_piece(text))
        return N_PIECES;
    for (size_t i = 0; i < N_PIECES; i++) {
        if (begins_with(text, pieces[i]))
            return i;
    }
    return N_PIECES;
}

size_t packing_pack(struct text text, char *room) {
    size_t n = 0;
    for (size_t i = 0; i < text.n_bytes; n++) {
        const size_t piece = piece_at((struct text){.data = text.data + i, .n_bytes = text.n_bytes - i});
        room[n] = piece < N_PIECES ? (char)code_of(piece) : text.data[i];
        i += piece < N_PIECES ? pieces[piece].n_bytes : 1;
    }
    return n;
}

size_t packing_unpack(struct text packed, char *room) {
    size_t n = 0;
    for (size_t i = 0; i < packed.n_bytes; i++) {
        const struct text itself = {.data = packed.data + i, .n_bytes = 1};
        const struct text *piece = piece_of((unsigned char)packed.data[i]);
        const struct text piece_or_itself = piece == NULL ? itself : *piece;
        if (room != NULL)
            memcpy(room + n, piece_or_itself.data, piece_or_itself.n_bytes);
        n += piece_or_itself.n_bytes;
    }
    return n;
}
