/*
 * A provider's bytes are read the same in whatever pieces they come: same result, status, fields and body. Nothing is ever
 * over its limit, and only a whole reply is called one.
 */
#include <string.h>

#include "fuzz/check.h"
#include "base/limits.h"
#include "net/framing.h"

#define MAX_BODY_BYTES ((size_t)256)

struct reading {
    struct framing framing;
    struct buffer body;
    int result;
};

static void read_in_pieces(struct reading *reading, const char *bytes, size_t n_bytes, size_t n_piece, bool is_ended) {
    buffer_init(&reading->body, 4 * MAX_BODY_BYTES);
    framing_begin(&reading->framing, &reading->body, MAX_BODY_BYTES);
    reading->result = 0;
    for (size_t at = 0; at < n_bytes && reading->result == 0; at += n_piece)
        reading->result = framing_feed(&reading->framing, bytes + at, n_bytes - at < n_piece ? n_bytes - at : n_piece);
    if (reading->result == 0 && is_ended)
        reading->result = framing_end(&reading->framing);
    CHECK(reading->body.n_bytes <= MAX_BODY_BYTES);
    CHECK(reading->framing.n_header_bytes <= LIMIT_REPLY_HEADER_BYTES);
    CHECK(!is_ended || reading->result != 0);
    CHECK(reading->result != FRAMING_DONE || framing_status(&reading->framing) >= 100);
}

static bool is_same(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    if (n_bytes < 1)
        return 0;
    const size_t n_piece = data[0] % 64U + 1;
    const bool is_ended = data[0] >= 128;
    const char *const bytes = (const char *)data + 1;
    struct reading whole, pieces;
    read_in_pieces(&whole, bytes, n_bytes - 1, n_bytes, is_ended);
    read_in_pieces(&pieces, bytes, n_bytes - 1, n_piece, is_ended);
    CHECK(whole.result == pieces.result);
    CHECK(framing_status(&whole.framing) == framing_status(&pieces.framing));
    if (whole.result == 0 || whole.result == FRAMING_DONE) {
        CHECK(text_equal(buffer_text(&whole.body), buffer_text(&pieces.body)));
        CHECK(is_same(framing_content_type(&whole.framing), framing_content_type(&pieces.framing)));
        CHECK(is_same(framing_content_encoding(&whole.framing), framing_content_encoding(&pieces.framing)));
    }
    buffer_deinit(&whole.body);
    buffer_deinit(&pieces.body);
    return 0;
}
