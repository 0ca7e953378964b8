#include "net/request.h"

#include <ctype.h>
#include <strings.h>

#include "net/connection.h"
#include "wire/status.h"

static struct text text_of_iovec(h2o_iovec_t bytes) {
    return (struct text){.data = bytes.base, .n_bytes = bytes.len};
}

bool request_path_is(const h2o_req_t *req, struct text path) {
    const struct text whole = text_of_iovec(req->path);
    const size_t n = req->query_at == SIZE_MAX ? whole.n_bytes : req->query_at;
    return text_equal((struct text){.data = whole.data, .n_bytes = n}, path);
}

bool request_method_is(const h2o_req_t *req, struct text method) {
    return text_equal(text_of_iovec(req->method), method);
}

static bool is_media_type_json(struct text value) {
    const struct text json = TEXT("application/json");
    if (value.n_bytes < json.n_bytes || strncasecmp(value.data, json.data, json.n_bytes) != 0)
        return false;
    if (value.n_bytes == json.n_bytes)
        return true;
    const char next = value.data[json.n_bytes];
    return next == ';' || next == ' ' || next == '\t';
}

bool request_is_json(const h2o_req_t *req) {
    const ssize_t type = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_TYPE, -1);
    if (type < 0 || !is_media_type_json(text_of_iovec(req->headers.entries[type].value)))
        return false;
    const ssize_t encoding = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_ENCODING, -1);
    return encoding < 0 || text_equal(text_of_iovec(req->headers.entries[encoding].value), TEXT("identity"));
}

struct text request_query(const h2o_req_t *req) {
    if (req->query_at == SIZE_MAX || req->query_at + 1 >= req->path.len)
        return TEXT("");
    return (struct text){.data = req->path.base + req->query_at + 1, .n_bytes = req->path.len - req->query_at - 1};
}

static struct text skip(struct text text, size_t n_bytes) {
    return (struct text){.data = text.data + n_bytes, .n_bytes = text.n_bytes - n_bytes};
}

/* The text up to the first of these, or to its end. */
static struct text up_to(struct text text, char c) {
    const char *end = text.n_bytes == 0 ? NULL : memchr(text.data, c, text.n_bytes);
    return end == NULL ? text : (struct text){.data = text.data, .n_bytes = (size_t)(end - text.data)};
}

bool request_parameter(struct text query, struct text name, struct text *ret_value) {
    while (query.n_bytes > 0) {
        const struct text parameter = up_to(query, '&'), its_name = up_to(parameter, '=');
        if (text_equal(its_name, name)) {
            const size_t n_before = its_name.n_bytes + (its_name.n_bytes < parameter.n_bytes);
            if (ret_value != NULL)
                *ret_value = skip(parameter, n_before);
            return true;
        }
        query = skip(query, parameter.n_bytes + (parameter.n_bytes < query.n_bytes));
    }
    return false;
}

/* ---- ?timeout= ---- */

/* Milliseconds of a unit of Go's durations; 0: there is no such unit. */
static double unit_ms(struct text unit) {
    static const struct {
        struct text name;
        double ms;
    } units[] = {{TEXT("ns"), 1e-6}, {TEXT("us"), 1e-3}, {TEXT("ms"), 1},
                 {TEXT("s"), 1e3},   {TEXT("m"), 6e4},   {TEXT("h"), 3.6e6}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text_equal(units[i].name, unit))
            return units[i].ms;
    }
    return 0;
}

/* "30", "1.5", ".5" at the start of a text. Returns how many bytes it takes; 0 where there is no digit. */
static size_t read_number(struct text text, double *ret_number) {
    double number = 0, scale = 0; /* scale: 0 before the point, then what the next digit is worth */
    bool has_digit = false;
    size_t n = 0;
    for (; n < text.n_bytes; n++) {
        const char c = text.data[n];
        if (c == '.' && scale == 0) {
            scale = 1;
        } else if (isdigit((unsigned char)c)) {
            has_digit = true;
            scale /= 10;
            number = scale == 0 ? number * 10 + (c - '0') : number + scale * (c - '0');
        } else {
            break;
        }
    }
    *ret_number = number;
    return has_digit ? n : 0;
}

/* "1m30.5s" -> milliseconds; -1 where it is no duration. A value above the limit stays finite, or becomes infinite. */
static double duration_ms(struct text text) {
    double sum = text.n_bytes == 0 ? -1 : 0;
    while (text.n_bytes > 0) {
        double number;
        const size_t n_number = read_number(text, &number);
        text = skip(text, n_number);
        size_t n_unit = 0;
        while (n_unit < text.n_bytes && isalpha((unsigned char)text.data[n_unit]))
            n_unit++;
        const double unit = unit_ms((struct text){.data = text.data, .n_bytes = n_unit});
        if (n_number == 0 || unit == 0)
            return -1;
        sum += number * unit;
        text = skip(text, n_unit);
    }
    return sum;
}

int64_t request_timeout_ms(struct text query) {
    struct text timeout_text = TEXT("");
    request_parameter(query, TEXT("timeout"), &timeout_text);
    const double asked = duration_ms(timeout_text);
    if (!(asked >= 0)) /* also no number */
        return LIMIT_DEADLINE_DEFAULT_MS;
    const int64_t timeout = asked > LIMIT_DEADLINE_MS ? LIMIT_DEADLINE_MS : (int64_t)asked;
    const int64_t margin = timeout / 10 < LIMIT_DEADLINE_MARGIN_MS ? timeout / 10 : LIMIT_DEADLINE_MARGIN_MS;
    return timeout - margin < 1 ? 1 : timeout - margin;
}

/* ---- answers ---- */

static const char *reason_phrase(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "Payload Too Large";
    case 415:
        return "Unsupported Media Type";
    case 429:
        return "Too Many Requests";
    case 500:
        return "Internal Server Error";
    default:
        return "Service Unavailable";
    }
}

struct reply {
    h2o_generator_t super;
    struct text body;
};

static h2o_send_state_t give_body(h2o_generator_t *generator, h2o_req_t *req, h2o_iovec_t *ret_room) {
    (void)req;
    const struct text body = ((struct reply *)generator)->body;
    memcpy(ret_room->base, body.data, body.n_bytes);
    ret_room->len = body.n_bytes;
    return H2O_SEND_STATE_FINAL;
}

/* As h2o_send_inline(), but into one buffer: header and body in two would be two TLS records, and the second costs a tenth
   of a cached login. h2o pulls before this returns, and has room for all that content_length announced. */
static void send_in_one_piece(h2o_req_t *req, struct text body) {
    struct reply reply = {.body = body};
    h2o_start_response(req, &reply.super);
    req->_ostr_top->start_pull(req->_ostr_top, give_body);
}

static bool fits_one_piece(const h2o_req_t *req, struct text body) {
    return body.n_bytes > 0 && body.n_bytes <= LIMIT_REPLY_PIECE_BYTES && !request_method_is(req, TEXT("HEAD"));
}

void request_send(h2o_req_t *req, int status, const char *content_type, struct text body) {
    req->res.status = status;
    req->res.reason = reason_phrase(status);
    req->res.content_length = body.n_bytes; /* h2o 2.2 would answer in chunks otherwise */
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, content_type, strlen(content_type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL, H2O_STRLIT("no-store"));
    connection_answered(connection_of(req));
    if (fits_one_piece(req, body))
        send_in_one_piece(req, body);
    else
        h2o_send_inline(req, body.data, body.n_bytes);
}

void request_refuse(struct loop *loop, h2o_req_t *req, int status, const char *message) {
    buffer_clear(&loop->scratch);
    status_encode(status, text_of(message), &loop->scratch);
    metrics_bad_request(loop->services->metrics, status);
    request_send(req, status, "application/json", loop->scratch.error == 0 ? buffer_text(&loop->scratch) : TEXT("{}"));
}
