#include "wire/token_review.h"

static const struct review_form form = {
    .kind = TEXT("TokenReview"),
    .v1 = TEXT("authentication.k8s.io/v1"),
    .v1beta1 = TEXT("authentication.k8s.io/v1beta1"),
    .content = TEXT("spec"),
};

/* A review under way: what was found of each part. What is missing is judged at the end, as members come in any order. */
struct decoder {
    struct scan scan;
    char *body;
    struct review_head head;
    struct token_review review;
    bool has_spec;
    enum token_review_error audiences_error; /* 0: none */
    const char *audiences_sentence;
};

/* Unescapes a string where it stands: the scanner lends it const, but the body is ours to change. */
static struct text unescape(const struct decoder *decoder, struct scan_string string) {
    if (!string.has_escapes)
        return string.raw;
    char *place = decoder->body + (string.raw.data - decoder->scan.start);
    return (struct text){.data = place, .n_bytes = scan_string_unescape(string, place)};
}

static void decode_token(struct decoder *decoder) {
    struct scan_string token;
    if (scan_string(&decoder->scan, &token) == 0)
        decoder->review.token = unescape(decoder, token);
}

/* The first fault counts. */
static void refuse_audiences(struct decoder *decoder, enum token_review_error error, const char *sentence) {
    if (decoder->audiences_error != 0)
        return;
    decoder->audiences_error = error;
    decoder->audiences_sentence = sentence;
}

static void decode_audience(struct decoder *decoder) {
    struct token_review *review = &decoder->review;
    struct scan_string string;
    if (scan_string(&decoder->scan, &string) != 0) {
        refuse_audiences(decoder, TOKEN_REVIEW_INVALID, "spec.audiences: each element must be a string");
        return;
    }
    const struct text audience = unescape(decoder, string);
    if (audience.n_bytes > LIMIT_AUDIENCE_BYTES)
        refuse_audiences(decoder, TOKEN_REVIEW_TOO_MANY, "spec.audiences: an audience is too long");
    else if (review->n_audiences == LIMIT_REVIEW_AUDIENCES)
        refuse_audiences(decoder, TOKEN_REVIEW_TOO_MANY, "spec.audiences: there are too many");
    else
        review->audiences[review->n_audiences++] = audience;
}

static void decode_audiences(struct decoder *decoder) {
    /* null is an empty list to whoever writes Go. */
    if (scan_null(&decoder->scan))
        return;
    if (scan_array(&decoder->scan) != 0) {
        refuse_audiences(decoder, TOKEN_REVIEW_INVALID, "spec.audiences: an array of strings is expected");
        return;
    }
    while (scan_element(&decoder->scan) == 0)
        decode_audience(decoder);
}

static void decode_spec(struct decoder *decoder) {
    struct scan *scan = &decoder->scan;
    if (scan_object(scan) != 0)
        return;
    decoder->has_spec = true;
    struct scan_string name;
    while (scan_member(scan, &name) == 0) {
        if (scan_string_equal(name, TEXT("token")))
            decode_token(decoder);
        else if (scan_string_equal(name, TEXT("audiences")))
            decode_audiences(decoder);
        else
            scan_skip(scan);
    }
}

static void decode_document(struct decoder *decoder) {
    if (scan_object(&decoder->scan) != 0)
        return;
    while (review_head_next(&decoder->scan, &form, &decoder->head))
        decode_spec(decoder);
}

/* What is wrong with the spec, the gravest first. Returns 0 or an enum token_review_error. */
static int judge_spec(const struct decoder *decoder, struct error *error) {
    if (!decoder->has_spec) {
        error_set(error, "spec: an object is expected");
        return TOKEN_REVIEW_INVALID;
    }
    if (decoder->review.token.n_bytes == 0) {
        error_set(error, "spec.token: a string that is not empty is expected");
        return TOKEN_REVIEW_INVALID;
    }
    if (decoder->audiences_error != 0)
        error_set(error, "%s", decoder->audiences_sentence);
    return (int)decoder->audiences_error;
}

int token_review_decode(char *body, size_t n_bytes, struct token_review *ret_review, struct error *error) {
    /* Member by member, for the scanner's own 17 kB need no zeroes and every login comes here. */
    struct decoder decoder;
    decoder.body = body;
    decoder.review.token = TEXT("");
    decoder.review.n_audiences = 0;
    decoder.head = (struct review_head){0};
    decoder.has_spec = false;
    decoder.audiences_error = 0;
    scan_begin(&decoder.scan, (struct text){.data = body, .n_bytes = n_bytes});
    decode_document(&decoder);

    if (scan_end_told(&decoder.scan, error) != 0)
        return TOKEN_REVIEW_MALFORMED;
    /* What is no TokenReview needs no advice on its spec. */
    if (!review_head_is_of(&form, &decoder.head, error))
        return TOKEN_REVIEW_WRONG_KIND;
    const int r = judge_spec(&decoder, error);
    if (r != 0)
        return r;
    ret_review->version = decoder.head.version;
    ret_review->token = decoder.review.token;
    ret_review->n_audiences = decoder.review.n_audiences;
    memcpy(ret_review->audiences, decoder.review.audiences, decoder.review.n_audiences * sizeof(struct text));
    return 0;
}

/* ---- the answer ---- */

static void append_extra(const struct review_extra *extra, size_t n_extra, struct buffer *buffer) {
    for (size_t i = 0; i < n_extra; i++) {
        if (i > 0)
            buffer_append_char(buffer, ',');
        buffer_append_json_string(buffer, extra[i].key);
        buffer_append(buffer, TEXT(":["));
        buffer_append_json_string(buffer, extra[i].value);
        buffer_append_char(buffer, ']');
    }
}

/* Of all that a user is made of, only extra is an object: two braces in a row at the end are its end and the user's. */
static bool has_extra(struct text user) {
    return user.n_bytes >= 2 && user.data[user.n_bytes - 2] == '}';
}

/* The user's JSON is kept for as long as its token and serves many answers: what differs from answer to answer is put in
   here, and costs no memory there. */
static void append_user(const struct token_review_answer *answer, struct buffer *buffer) {
    const struct text user = answer->user;
    if (answer->n_extra == 0) {
        buffer_append(buffer, user);
        return;
    }
    const size_t n_closing = has_extra(user) ? 2 : 1;
    buffer_append(buffer, (struct text){.data = user.data, .n_bytes = user.n_bytes - n_closing});
    buffer_append(buffer, n_closing == 2 ? TEXT(",") : TEXT(",\"extra\":{"));
    append_extra(answer->extra, answer->n_extra, buffer);
    buffer_append(buffer, TEXT("}}"));
}

static void append_audiences(const struct token_review_answer *answer, struct buffer *buffer) {
    if (answer->n_audiences == 0)
        return;
    buffer_append(buffer, TEXT(",\"audiences\":["));
    for (size_t i = 0; i < answer->n_audiences; i++) {
        if (i > 0)
            buffer_append_char(buffer, ',');
        buffer_append_json_string(buffer, answer->audiences[i]);
    }
    buffer_append_char(buffer, ']');
}

static void append_refusal(struct text error, struct buffer *buffer) {
    buffer_append(buffer, TEXT("false"));
    if (error.n_bytes == 0)
        return;
    buffer_append(buffer, TEXT(",\"error\":"));
    buffer_append_json_string(buffer, error);
}

void token_review_encode(const struct token_review_answer *answer, struct buffer *buffer) {
    buffer_append(buffer,
                  answer->version == REVIEW_VERSION_V1
                      ? TEXT("{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{},"
                             "\"status\":{\"authenticated\":")
                      : TEXT("{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1beta1\",\"metadata\":{},"
                             "\"status\":{\"authenticated\":"));
    if (answer->user.n_bytes != 0) {
        buffer_append(buffer, TEXT("true,\"user\":"));
        append_user(answer, buffer);
        append_audiences(answer, buffer);
    } else {
        append_refusal(answer->error, buffer);
    }
    buffer_append(buffer, TEXT("}}"));
}
