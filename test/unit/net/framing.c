#include "net/framing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

#define MAX_BODY 64

struct row {
    const char *name, *bytes;
    bool is_ended; /* the connection ends behind the bytes */
    int result;    /* 0: more is to come */
    int status;
    const char *content_type, *content_encoding, *body;
    bool keeps_alive;
};

#define OK "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define JSON .content_type = "application/json"

static const struct row rows[] = {
    {"a reply", OK "Content-Length: 2\r\n\r\n{}", 0, FRAMING_DONE, 200, JSON, .body = "{}", .keeps_alive = true},
    {"lower case", "HTTP/1.1 200\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", 0, FRAMING_DONE, 200,
     JSON, .body = "{}", .keeps_alive = true},
    {"an encoding", OK "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 0, FRAMING_DONE, 200, JSON,
     .content_encoding = "gzip", .body = "{}", .keeps_alive = true},
    {"a field twice", OK "Content-Type: text/html\r\nContent-Length: 0\r\n\r\n", 0, FRAMING_DONE, 200,
     .content_type = "application/jsontext/html", .body = "", .keeps_alive = true},
    {"a name that only begins like it", "HTTP/1.1 200 OK\r\nContent-Types: text/html\r\nContent-Length: 0\r\n\r\n", 0,
     FRAMING_DONE, 200, .body = "", .keeps_alive = true},
    {"no reason phrase, chunks", "HTTP/1.1 401\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n1;x=y\r\n!\r\n0\r\n\r\n", 0,
     FRAMING_DONE, 401, .body = "no!", .keeps_alive = true},
    {"a trailer", OK "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Type: text/html\r\n\r\n", 0, FRAMING_DONE,
     200, JSON, .body = "{}", .keeps_alive = true},
    {"interim replies",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Type: a/b\r\n\r\n" OK "Content-Length: 2\r\n\r\n{}", 0,
     FRAMING_DONE, 200, JSON, .body = "{}", .keeps_alive = true},
    {"an interim reply with a length", "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\n" OK "Content-Length: 2\r\n\r\n{}",
     0, FRAMING_DONE, 200, JSON, .body = "{}", .keeps_alive = true},
    {"no content", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0, FRAMING_DONE, 204, .body = "",
     .keeps_alive = true},
    {"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0, FRAMING_DONE, 304, .body = "",
     .keeps_alive = true},
    {"told to close", OK "Connection: close\r\nContent-Length: 2\r\n\r\n{}", 0, FRAMING_DONE, 200, JSON, .body = "{}"},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0, FRAMING_DONE, 200, .body = "{}"},
    {"until the connection ends", OK "\r\n{}", 1, FRAMING_DONE, 200, JSON, .body = "{}"},
    {"nothing", "", 1, FRAMING_CUT, .status = 0},
    {"not yet", OK, 0, 0, .status = 0},
    {"not all of the body yet", OK "Content-Length: 3\r\n\r\n{}", 0, 0, 200, JSON, .body = "{}"},
    {"cut in the headers", OK, 1, FRAMING_CUT, .status = 0},
    {"cut behind an interim reply", "HTTP/1.1 100 Continue\r\n\r\n", 1, FRAMING_CUT, .status = 0},
    {"cut in the body", OK "Content-Length: 3\r\n\r\n{}", 1, FRAMING_CUT, 200, JSON, .body = "{}"},
    {"cut in a chunk", OK "Transfer-Encoding: chunked\r\n\r\n9\r\n{}", 1, FRAMING_CUT, 200, JSON, .body = "{}"},
    {"cut before the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 1, FRAMING_CUT, 200, JSON,
     .body = "{}"},
    {"no HTTP", "SSH-2.0-OpenSSH\r\n", 0, FRAMING_INVALID, .status = 0},
    {"a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", 0, FRAMING_INVALID, .status = 0},
    {"HTTP/2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0, FRAMING_INVALID, .status = 0},
    {"another protocol", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0, FRAMING_INVALID,
     .status = 0},
    {"a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0, FRAMING_INVALID, .status = 0},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}", 0, FRAMING_INVALID,
     .status = 0},
    {"a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
     FRAMING_INVALID, .status = 0},
    {"a chunk that is none", OK "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 0, FRAMING_INVALID, 200, JSON, .body = ""},
    {"a body over the limit",
     OK "Content-Length: 65\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123456789", 0,
     FRAMING_TOO_LARGE, 200, JSON},
};

struct reading {
    struct framing framing;
    struct buffer body;
    int result;
};

/* Feeds the bytes in pieces of this size. */
static void read_row(struct reading *reading, const struct row *row, size_t n_piece) {
    buffer_init(&reading->body, 4096);
    framing_begin(&reading->framing, &reading->body, MAX_BODY);
    reading->result = 0;
    const size_t n_bytes = strlen(row->bytes);
    for (size_t at = 0; at < n_bytes && reading->result == 0; at += n_piece)
        reading->result = framing_feed(&reading->framing, row->bytes + at, n_bytes - at < n_piece ? n_bytes - at : n_piece);
    if (reading->result == 0 && row->is_ended)
        reading->result = framing_end(&reading->framing);
}

static bool is_same(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void expect_row(const struct row *row, size_t n_piece) {
    struct reading reading;
    read_row(&reading, row, n_piece);
    const struct framing *const framing = &reading.framing;
    cr_expect_eq(reading.result, row->result, "%s, by %zu: %d", row->name, n_piece, reading.result);
    cr_expect_eq(framing_status(framing), row->status, "%s, by %zu: %d", row->name, n_piece, framing_status(framing));
    if (row->body != NULL)
        cr_expect(text_equal(buffer_text(&reading.body), text_of(row->body)), "%s, by %zu", row->name, n_piece);
    if (reading.result == FRAMING_DONE) {
        cr_expect(is_same(framing_content_type(framing), row->content_type), "%s, by %zu", row->name, n_piece);
        cr_expect(is_same(framing_content_encoding(framing), row->content_encoding), "%s, by %zu", row->name, n_piece);
        cr_expect_eq(framing->keeps_alive, row->keeps_alive, "%s, by %zu", row->name, n_piece);
    }
    buffer_deinit(&reading.body);
}

Test(framing, a_reply_is_the_same_in_whatever_pieces_it_comes) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t n_piece = 1; n_piece <= 9; n_piece++)
            expect_row(&rows[i], n_piece);
        expect_row(&rows[i], SIZE_MAX / 2);
    }
}

Test(framing, a_connection_with_more_on_it_than_was_asked_for_is_not_kept) {
    const struct row row = {.bytes = OK "Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n"};
    struct reading reading;
    read_row(&reading, &row, SIZE_MAX / 2);
    cr_assert_eq(reading.result, FRAMING_DONE);
    cr_assert(text_equal(buffer_text(&reading.body), TEXT("{}")));
    cr_assert_not(reading.framing.keeps_alive);
    buffer_deinit(&reading.body);
}

Test(framing, a_zero_byte_in_a_value_is_refused) {
    static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\0x\r\nContent-Length: 0\r\n\r\n";
    struct buffer body;
    struct framing framing;
    buffer_init(&body, 4096);
    framing_begin(&framing, &body, MAX_BODY);
    cr_assert_eq(framing_feed(&framing, bytes, sizeof(bytes) - 1), FRAMING_INVALID);
    buffer_deinit(&body);
}

/* Feeds the same piece again and again. */
static int flood(const char *start, const char *piece) {
    struct buffer body;
    struct framing framing;
    buffer_init(&body, 4096);
    framing_begin(&framing, &body, MAX_BODY);
    int result = framing_feed(&framing, start, strlen(start));
    for (size_t i = 0; result == 0 && i < 4 * LIMIT_REPLY_HEADER_BYTES; i++)
        result = framing_feed(&framing, piece, strlen(piece));
    buffer_deinit(&body);
    return result;
}

Test(framing, headers_have_an_end) {
    cr_expect_eq(flood(OK, "X-A: b\r\n"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood(OK "X-Value: ", "aaaaaaaaaaaaaaaa"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood(OK "X", "aaaaaaaaaaaaaaaa"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood(OK, "A:\r\n"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood("HTTP/1.1 200 ", "aaaaaaaaaaaaaaaa"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood("", "HTTP/1.1 100\r\n\r\n"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood("", "\r\n\r\n\r\n\r\n"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood(OK "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", "X-A: b\r\n"), FRAMING_TOO_LARGE);
    cr_expect_eq(flood(OK "Transfer-Encoding: chunked\r\n\r\n1;", "aaaaaaaaaaaaaaaa"), FRAMING_TOO_LARGE);
}

/* Feeds chunks of one byte, each with an extension of so many, until it is refused. Returns the bytes that were taken. */
static size_t feed_chunks(size_t n_extension, size_t n_chunks, int *ret_result) {
    static char chunk[16384];
    const int n = snprintf(chunk, sizeof(chunk), "1;%0*d\r\n{\r\n", (int)n_extension, 0);
    struct buffer body;
    struct framing framing;
    size_t n_taken = 0;
    buffer_init(&body, 4096);
    framing_begin(&framing, &body, MAX_BODY);
    *ret_result = framing_feed(&framing, OK "Transfer-Encoding: chunked\r\n\r\n", strlen(OK) + 30);
    for (size_t i = 0; *ret_result == 0 && i < n_chunks; i++) {
        *ret_result = framing_feed(&framing, chunk, (size_t)n);
        n_taken += (size_t)n;
    }
    buffer_deinit(&body);
    return n_taken;
}

/* Otherwise a body of 128 kB could be 10 GB on the wire, and the thread that reads it would do nothing else. */
Test(framing, what_stands_between_the_bytes_of_a_body_has_an_end) {
    int result;
    const size_t n_taken = feed_chunks(8000, MAX_BODY, &result);
    cr_expect_eq(result, FRAMING_TOO_LARGE);
    cr_expect_leq(n_taken, 3 * LIMIT_REPLY_HEADER_BYTES);
    feed_chunks(1, MAX_BODY, &result);
    cr_expect_eq(result, 0, "the smallest of chunks are taken, up to the limit of the body");
}

Test(framing, a_long_value_is_cut_and_a_long_name_is_no_name_of_ours) {
    char bytes[1024];
    snprintf(bytes, sizeof(bytes),
             "HTTP/1.1 200 OK\r\nContent-Type%0300d: a\r\nContent-Type: text/%0300d\r\nContent-Length: 0\r\n\r\n", 0, 0);
    const struct row row = {.bytes = bytes};
    for (size_t n_piece = 1; n_piece <= 400; n_piece += 7) {
        struct reading reading;
        read_row(&reading, &row, n_piece);
        cr_assert_eq(reading.result, FRAMING_DONE);
        cr_assert_eq(strlen(framing_content_type(&reading.framing)), FRAMING_FIELD_BYTES - 1);
        cr_assert_eq(memcmp(framing_content_type(&reading.framing), "text/0", 6), 0);
        buffer_deinit(&reading.body);
    }
}

Test(framing, it_begins_anew) {
    struct reading reading;
    read_row(&reading, &rows[2], 3);
    framing_begin(&reading.framing, &reading.body, MAX_BODY);
    cr_assert_eq(framing_status(&reading.framing), 0);
    cr_assert_null(framing_content_encoding(&reading.framing));
    buffer_clear(&reading.body);
    static const char bytes[] = "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n";
    cr_assert_eq(framing_feed(&reading.framing, bytes, strlen(bytes)), FRAMING_DONE);
    cr_assert_eq(framing_status(&reading.framing), 500);
    cr_assert_null(framing_content_type(&reading.framing));
    buffer_deinit(&reading.body);
}
