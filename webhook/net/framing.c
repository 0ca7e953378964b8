#include "net/framing.h"

#include <string.h>
#include <strings.h>

#include "base/limits.h"

/* A line has two bytes more than its name and value, and one is never empty. */
#define LINE_BYTES 4
/* On the wire each byte of a body may be a chunk of its own: its size, two line breaks, and some zeroes before it. */
#define CHUNK_BYTES 8

static int refuse(struct framing *framing, enum framing_result fault) {
    framing->fault = fault;
    return -1; /* ends http_parser_execute() */
}

static int count(struct framing *framing, size_t n_bytes) {
    if (n_bytes > LIMIT_REPLY_HEADER_BYTES - framing->n_header_bytes)
        return refuse(framing, FRAMING_TOO_LARGE);
    framing->n_header_bytes += n_bytes;
    return 0;
}

/* ---- what http_parser reads ---- */

static void forget_fields(struct framing *framing) {
    framing->n_name = 0;
    framing->field = NULL;
    framing->content_type[0] = framing->content_encoding[0] = framing->retry_after[0] = '\0';
}

static int on_begin(http_parser *parser) {
    struct framing *framing = parser->data;
    forget_fields(framing);
    return count(framing, LINE_BYTES);
}

static int on_status(http_parser *parser, const char *bytes, size_t n_bytes) {
    (void)bytes;
    return count(parser->data, n_bytes);
}

/* A name comes in pieces, and a value has come between where another begins. */
static int on_name(http_parser *parser, const char *bytes, size_t n_bytes) {
    struct framing *framing = parser->data;
    if (framing->field != NULL)
        framing->n_name = 0;
    framing->field = NULL;
    if (framing->n_name + n_bytes <= sizeof(framing->name))
        memcpy(framing->name + framing->n_name, bytes, n_bytes);
    framing->n_name += n_bytes;
    return count(framing, n_bytes);
}

static bool is_name(const struct framing *framing, struct text name) {
    return framing->n_name == name.n_bytes && strncasecmp(framing->name, name.data, name.n_bytes) == 0;
}

/* Where the value of the name that was just read goes; the name itself stands for "nowhere". Of a field that occurs twice
   the values are joined, and then no longer what they should be. */
static char *field_of(struct framing *framing) {
    if (framing->has_headers) /* a trailer says nothing of what came before it */
        return framing->name;
    if (is_name(framing, TEXT("Content-Type")))
        return framing->content_type;
    if (is_name(framing, TEXT("Retry-After")))
        return framing->retry_after;
    return is_name(framing, TEXT("Content-Encoding")) ? framing->content_encoding : framing->name;
}

static int on_value(http_parser *parser, const char *bytes, size_t n_bytes) {
    struct framing *framing = parser->data;
    if (memchr(bytes, '\0', n_bytes) != NULL) /* RFC 9110 section 5.5; http_parser lets it pass */
        return refuse(framing, FRAMING_INVALID);
    if (framing->field == NULL) {
        framing->field = field_of(framing);
        if (count(framing, LINE_BYTES) != 0)
            return -1;
    }
    if (framing->field != framing->name) {
        const size_t n_has = strlen(framing->field), n_room = FRAMING_FIELD_BYTES - 1 - n_has;
        const size_t n_taken = n_bytes < n_room ? n_bytes : n_room;
        memcpy(framing->field + n_has, bytes, n_taken);
        framing->field[n_has + n_taken] = '\0';
    }
    return count(framing, n_bytes);
}

static bool is_interim(const http_parser *parser) {
    return parser->status_code / 100 == 1;
}

/* RFC 9112 section 6.3, whatever its fields say. */
static bool is_without_body(const http_parser *parser) {
    return is_interim(parser) || parser->status_code == 204 || parser->status_code == 304;
}

static int on_headers(http_parser *parser) {
    struct framing *framing = parser->data;
    /* We never ask to change the protocol. A status has three digits, which http_parser does not mind. */
    if (parser->http_major != 1 || parser->status_code == 101 || parser->status_code < 100 || parser->status_code > 999)
        return refuse(framing, FRAMING_INVALID);
    framing->has_headers = !is_interim(parser);
    framing->field = framing->name; /* the next name begins anew */
    return is_without_body(parser) ? 1 : 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t n_bytes) {
    struct framing *framing = parser->data;
    if (n_bytes > framing->max_body_bytes - framing->body->n_bytes)
        return refuse(framing, FRAMING_TOO_LARGE);
    buffer_append(framing->body, (struct text){.data = bytes, .n_bytes = n_bytes});
    return framing->body->error == 0 ? 0 : refuse(framing, FRAMING_NO_MEMORY);
}

static int on_complete(http_parser *parser) {
    struct framing *framing = parser->data;
    if (is_interim(parser))
        return 0;
    framing->is_done = true;
    framing->keeps_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_status = on_status,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- feeding it ---- */

void framing_begin(struct framing *framing, struct buffer *body, size_t max_body_bytes) {
    framing->body = body;
    framing->max_body_bytes = max_body_bytes;
    framing->n_header_bytes = framing->n_bytes = 0;
    framing->has_headers = framing->is_done = framing->keeps_alive = false;
    framing->fault = 0;
    forget_fields(framing);
    http_parser_init(&framing->parser, HTTP_RESPONSE);
    framing->parser.data = framing;
}

/* http_parser's own limit is over ours, but for a line whose end does not come. */
static int fault_of(const struct framing *framing) {
    if (framing->fault != 0)
        return (int)framing->fault;
    return HTTP_PARSER_ERRNO(&framing->parser) == HPE_HEADER_OVERFLOW ? FRAMING_TOO_LARGE : FRAMING_INVALID;
}

/* Whatever is counted on the way: extensions of chunks are not, and of a body there may be many chunks. */
static bool is_too_long(const struct framing *framing) {
    return framing->n_bytes > 2 * LIMIT_REPLY_HEADER_BYTES + CHUNK_BYTES * framing->max_body_bytes;
}

int framing_feed(struct framing *framing, const char *bytes, size_t n_bytes) {
    const size_t n_read = http_parser_execute(&framing->parser, &settings, bytes, n_bytes);
    framing->n_bytes += n_bytes;
    if (framing->is_done) {
        framing->keeps_alive = framing->keeps_alive && n_read == n_bytes;
        return FRAMING_DONE;
    }
    if (HTTP_PARSER_ERRNO(&framing->parser) != HPE_OK)
        return fault_of(framing);
    return is_too_long(framing) ? FRAMING_TOO_LARGE : 0;
}

int framing_end(struct framing *framing) {
    if (framing->has_headers)
        http_parser_execute(&framing->parser, &settings, NULL, 0);
    if (!framing->is_done)
        return FRAMING_CUT;
    framing->keeps_alive = false;
    return FRAMING_DONE;
}

/* ---- what it says ---- */

int framing_status(const struct framing *framing) {
    return framing->has_headers ? framing->parser.status_code : 0;
}

static const char *value_of(const char *field) {
    return field[0] == '\0' ? NULL : field;
}

const char *framing_content_type(const struct framing *framing) {
    return value_of(framing->content_type);
}

const char *framing_content_encoding(const struct framing *framing) {
    return value_of(framing->content_encoding);
}

const char *framing_retry_after(const struct framing *framing) {
    return value_of(framing->retry_after);
}
