#include "wire/introspection.h"

#include <errno.h>

#include "base/base64.h"
#include "base/limits.h"
#include "wire/json.h"
#include "wire/scan.h"

/* 9999-12-31T23:59:59Z: no sum with a clock skew can overflow from here. */
#define LAST_TIME_UNIX_S INT64_C(253402300799)

/* ---- the reply ---- */

/* A reply under way. Members come in any order, so that what is wrong is judged at the end: beside active:false, nothing
 * is. */
struct decoder {
    struct scan scan;
    struct buffer claims;
    struct buffer unescaped; /* a string that is written in another way than it was read */
    int64_t exp_unix_s, nbf_unix_s, iat_unix_s;
    bool has_active, active;
    bool is_wrong; /* a member is of a kind, or a time out of the range, that it may not have */
};

/* As we write strings: one way only, whatever escapes a provider likes. */
static void copy_escaped(struct decoder *decoder, struct scan_string string) {
    buffer_clear(&decoder->unescaped);
    const int reserved = buffer_reserve(&decoder->unescaped, string.raw.n_bytes);
    if (reserved != 0) {
        decoder->claims.error = reserved;
        return;
    }
    decoder->unescaped.n_bytes = scan_string_unescape(string, decoder->unescaped.data);
    buffer_append_json_string(&decoder->claims, buffer_text(&decoder->unescaped));
}

static void copy_string(struct decoder *decoder, struct scan_string string) {
    if (string.has_escapes)
        copy_escaped(decoder, string);
    else
        buffer_append(&decoder->claims, (struct text){.data = string.raw.data - 1, .n_bytes = string.raw.n_bytes + 2});
}

static void copy_name(struct decoder *decoder, struct scan_string name) {
    copy_string(decoder, name);
    buffer_append_char(&decoder->claims, ':');
}

static bool copy_value(struct decoder *decoder, const struct scan_value *value);

static void copy_object(struct decoder *decoder) {
    struct scan_string name;
    struct scan_value value;
    buffer_append_char(&decoder->claims, '{');
    for (bool is_first = true; scan_member(&decoder->scan, &name) == 0; is_first = false) {
        if (scan_value(&decoder->scan, &value) != 0)
            return;
        if (!is_first)
            buffer_append_char(&decoder->claims, ',');
        copy_name(decoder, name);
        copy_value(decoder, &value);
    }
    buffer_append_char(&decoder->claims, '}');
}

/* Returns whether all elements are strings. */
static bool copy_array(struct decoder *decoder) {
    bool is_strings = true;
    struct scan_value value;
    buffer_append_char(&decoder->claims, '[');
    for (bool is_first = true; scan_element(&decoder->scan) == 0; is_first = false) {
        if (scan_value(&decoder->scan, &value) != 0)
            return false;
        if (!is_first)
            buffer_append_char(&decoder->claims, ',');
        copy_value(decoder, &value);
        is_strings = is_strings && value.kind == SCAN_STRING;
    }
    buffer_append_char(&decoder->claims, ']');
    return is_strings;
}

/* Copies a value that was just read, without the white space in it: to LIMIT_REPLY_DEPTH levels, which is all that the scan
   follows. Returns whether it is a string or an array of strings. */
static bool copy_value(struct decoder *decoder, const struct scan_value *value) {
    switch (value->kind) {
    case SCAN_OBJECT:
        copy_object(decoder);
        return false;
    case SCAN_ARRAY:
        return copy_array(decoder);
    case SCAN_STRING:
        copy_string(decoder, value->string);
        return true;
    case SCAN_INTEGER:
    case SCAN_REAL:
        buffer_append(&decoder->claims, value->number);
        return false;
    case SCAN_TRUE:
        buffer_append(&decoder->claims, TEXT("true"));
        return false;
    case SCAN_FALSE:
        buffer_append(&decoder->claims, TEXT("false"));
        return false;
    case SCAN_NULL:
        buffer_append(&decoder->claims, TEXT("null"));
        return false;
    }
    return false;
}

static bool is_string_claim(struct scan_string name) {
    static const struct text names[] = {
        {"iss", 3}, {"sub", 3}, {"client_id", 9}, {"azp", 3}, {"token_type", 10}, {"jti", 3},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (scan_string_equal(name, names[i]))
            return true;
    }
    return false;
}

static void copy_claim(struct decoder *decoder, struct scan_string name, const struct scan_value *value) {
    if (decoder->claims.n_bytes > 1)
        buffer_append_char(&decoder->claims, ',');
    copy_name(decoder, name);
    const bool is_strings = copy_value(decoder, value);
    if (is_string_claim(name) ? value->kind != SCAN_STRING : scan_string_equal(name, TEXT("aud")) && !is_strings)
        decoder->is_wrong = true;
}

/* Where the time of a name goes; NULL where it names none. */
static int64_t *time_of(struct decoder *decoder, struct scan_string name) {
    if (scan_string_equal(name, TEXT("exp")))
        return &decoder->exp_unix_s;
    if (scan_string_equal(name, TEXT("nbf")))
        return &decoder->nbf_unix_s;
    return scan_string_equal(name, TEXT("iat")) ? &decoder->iat_unix_s : NULL;
}

/* Takes active and the times out of the reply. Returns whether the value was taken; one of a wrong kind is not, and passes
   with the claims of a reply that is not going to have any. */
static bool take(struct decoder *decoder, struct scan_string name, const struct scan_value *value) {
    bool is_right;
    int64_t *const time_unix_s = time_of(decoder, name);
    if (time_unix_s != NULL) {
        is_right = value->kind == SCAN_INTEGER && value->integer >= 0 && value->integer <= LAST_TIME_UNIX_S;
        if (is_right)
            *time_unix_s = value->integer;
    } else if (scan_string_equal(name, TEXT("active"))) {
        is_right = decoder->has_active = value->kind == SCAN_TRUE || value->kind == SCAN_FALSE;
        decoder->active = value->kind == SCAN_TRUE;
    } else {
        return false;
    }
    decoder->is_wrong = decoder->is_wrong || !is_right;
    return is_right;
}

static void read_reply(struct decoder *decoder) {
    struct scan_string name;
    struct scan_value value;
    if (scan_object(&decoder->scan) != 0)
        return;
    buffer_append_char(&decoder->claims, '{');
    while (scan_member(&decoder->scan, &name) == 0) {
        const bool has_value = scan_value(&decoder->scan, &value) == 0 && value.kind != SCAN_NULL;
        if (has_value && !take(decoder, name, &value))
            copy_claim(decoder, name, &value);
    }
    buffer_append_char(&decoder->claims, '}');
}

/* A "no" is a "no", whatever else stands beside it. */
static void forget_all_but_no(struct decoder *decoder) {
    decoder->exp_unix_s = decoder->nbf_unix_s = decoder->iat_unix_s = INTROSPECTION_NO_TIME;
    buffer_clear(&decoder->claims);
    buffer_append(&decoder->claims, TEXT("{}"));
}

/* Returns 0, INTROSPECTION_MALFORMED, or -ENOMEM. Nothing is written longer than it was read: the claims always fit. */
static int judge(struct decoder *decoder) {
    if (decoder->claims.error != 0)
        return -ENOMEM;
    if (scan_end(&decoder->scan) != 0 || !decoder->has_active || (decoder->active && decoder->is_wrong))
        return INTROSPECTION_MALFORMED;
    if (!decoder->active)
        forget_all_but_no(decoder);
    return decoder->claims.error == 0 ? 0 : -ENOMEM;
}

/* Member by member, for the scanner's own 17 kB need no zeroes. */
static void decoder_init(struct decoder *decoder, struct text reply) {
    scan_begin(&decoder->scan, reply);
    scan_limit_depth(&decoder->scan, LIMIT_REPLY_DEPTH);
    buffer_init(&decoder->claims, LIMIT_INTROSPECTION_REPLY_BYTES);
    buffer_init(&decoder->unescaped, LIMIT_INTROSPECTION_REPLY_BYTES);
    decoder->exp_unix_s = decoder->nbf_unix_s = decoder->iat_unix_s = INTROSPECTION_NO_TIME;
    decoder->has_active = decoder->active = decoder->is_wrong = false;
}

int introspection_decode(struct text reply, struct introspection *ret_introspection) {
    if (reply.n_bytes > LIMIT_INTROSPECTION_REPLY_BYTES)
        return INTROSPECTION_MALFORMED;
    struct decoder decoder;
    decoder_init(&decoder, reply);
    int r = buffer_reserve(&decoder.claims, reply.n_bytes);
    if (r == 0) {
        read_reply(&decoder);
        r = judge(&decoder);
    }
    buffer_deinit(&decoder.unescaped);
    if (r != 0) {
        buffer_deinit(&decoder.claims);
        return r;
    }
    *ret_introspection = (struct introspection){
        .active = decoder.active,
        .exp_unix_s = decoder.exp_unix_s,
        .nbf_unix_s = decoder.nbf_unix_s,
        .iat_unix_s = decoder.iat_unix_s,
        .claims = decoder.claims,
    };
    return 0;
}

void introspection_deinit(struct introspection *introspection) {
    buffer_deinit(&introspection->claims);
}

bool introspection_error_is_unsupported_token(struct text body) {
    json_t *root;
    if (body.n_bytes > LIMIT_INTROSPECTION_REPLY_BYTES || json_object_load(body, LIMIT_REPLY_DEPTH, &root) != 0)
        return false;
    const json_t *const error = json_object_get(root, "error");
    const struct text word = {.data = json_string_value(error), .n_bytes = json_string_length(error)};
    const bool is_unsupported = text_equal(word, TEXT("unsupported_token_type"));
    json_decref(root);
    return is_unsupported;
}

/* ---- the request ---- */

#define FORM_TOKEN TEXT("token=")
#define FORM_HINT TEXT("&token_type_hint=access_token")
#define FORM_CLIENT_ID TEXT("&client_id=")
#define FORM_CLIENT_SECRET TEXT("&client_secret=")

/* A byte becomes %XX at most. */
static size_t form_encoded_bytes(struct text text) {
    return 3 * text.n_bytes;
}

size_t introspection_request_bytes(struct text token, struct text client_id, struct text client_secret) {
    return FORM_TOKEN.n_bytes + FORM_HINT.n_bytes + FORM_CLIENT_ID.n_bytes + FORM_CLIENT_SECRET.n_bytes +
           form_encoded_bytes(token) + form_encoded_bytes(client_id) + form_encoded_bytes(client_secret);
}

static void append_parameter(struct text name, struct text value, struct buffer *buffer) {
    buffer_append(buffer, name);
    buffer_append_form_encoded(buffer, value);
}

void introspection_request_encode(struct text token, struct text client_id, struct text client_secret,
                                  struct buffer *buffer) {
    append_parameter(FORM_TOKEN, token, buffer);
    buffer_append(buffer, FORM_HINT);
    if (client_id.n_bytes > 0)
        append_parameter(FORM_CLIENT_ID, client_id, buffer);
    if (client_secret.n_bytes > 0)
        append_parameter(FORM_CLIENT_SECRET, client_secret, buffer);
}

/* Everything is reserved before the secret is written: growing would leave a copy of it behind. */
static int append_basic(struct text client_id, struct text client_secret, struct buffer *credentials,
                        struct buffer *buffer) {
    int result = buffer_reserve(credentials, credentials->max_bytes);
    if (result != 0)
        return result;
    append_parameter((struct text){0}, client_id, credentials);
    append_parameter(TEXT(":"), client_secret, credentials);
    result = buffer_reserve(buffer, TEXT("Basic ").n_bytes + (credentials->n_bytes + 2) / 3 * 4);
    if (result != 0)
        return result;
    buffer_append(buffer, TEXT("Basic "));
    base64_encode(buffer_text(credentials), buffer);
    return buffer->error;
}

int introspection_basic_encode(struct text client_id, struct text client_secret, struct buffer *buffer) {
    struct buffer credentials;
    buffer_init(&credentials, form_encoded_bytes(client_id) + 1 + form_encoded_bytes(client_secret));
    const int result = append_basic(client_id, client_secret, &credentials, buffer);
    buffer_deinit_secret(&credentials);
    return result;
}
