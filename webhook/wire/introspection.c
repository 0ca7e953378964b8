#include "wire/introspection.h"

#include <errno.h>

#include "base/base64.h"
#include "base/limits.h"
#include "wire/json.h"

/* 9999-12-31T23:59:59Z: no sum with a clock skew can overflow from here. */
#define LAST_TIME_UNIX_S INT64_C(253402300799)

/* ---- the reply ---- */

static void drop_nulls(json_t *object) {
    const char *name;
    void *next;
    json_t *value;
    json_object_foreach_safe(object, next, name, value) {
        if (json_is_null(value))
            json_object_del(object, name);
    }
}

static bool is_strings(const json_t *value) {
    if (!json_is_array(value))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i)))
            return false;
    }
    return true;
}

static bool has_expected_types(const json_t *reply) {
    static const char *const strings[] = {"iss", "sub", "client_id", "azp", "token_type", "jti"};
    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
        const json_t *const value = json_object_get(reply, strings[i]);
        if (value != NULL && !json_is_string(value))
            return false;
    }
    const json_t *const audience = json_object_get(reply, "aud");
    return audience == NULL || json_is_string(audience) || is_strings(audience);
}

/* Takes a time out of the reply. Returns 0 or INTROSPECTION_MALFORMED. */
static int take_time(json_t *reply, const char *name, int64_t *ret_unix_s) {
    const json_t *const value = json_object_get(reply, name);
    if (value == NULL) {
        *ret_unix_s = INTROSPECTION_NO_TIME;
        return 0;
    }
    if (!json_is_integer(value))
        return INTROSPECTION_MALFORMED;
    const json_int_t unix_s = json_integer_value(value);
    if (unix_s < 0 || unix_s > LAST_TIME_UNIX_S)
        return INTROSPECTION_MALFORMED;
    json_object_del(reply, name);
    *ret_unix_s = unix_s;
    return 0;
}

static int append_dumped(const char *bytes, size_t n_bytes, void *context) {
    struct buffer *const buffer = context;
    buffer_append(buffer, (struct text){.data = bytes, .n_bytes = n_bytes});
    return buffer->error == 0 ? 0 : -1;
}

/* Returns 0, INTROSPECTION_MALFORMED (numbers can grow when they are written in full), or -ENOMEM. */
static int dump_claims(const json_t *claims, size_t n_expected_bytes, struct buffer *buffer) {
    const int reserved = buffer_reserve(buffer, n_expected_bytes);
    if (reserved != 0)
        return reserved;
    if (json_dump_callback(claims, append_dumped, buffer, JSON_COMPACT) == 0)
        return 0;
    return buffer->error == -EMSGSIZE ? INTROSPECTION_MALFORMED : -ENOMEM;
}

static int read_active(json_t *reply, size_t n_reply_bytes, struct introspection *introspection) {
    if (!has_expected_types(reply) || take_time(reply, "exp", &introspection->exp_unix_s) != 0 ||
        take_time(reply, "nbf", &introspection->nbf_unix_s) != 0 ||
        take_time(reply, "iat", &introspection->iat_unix_s) != 0)
        return INTROSPECTION_MALFORMED;
    json_object_del(reply, "active");
    introspection->active = true;
    return dump_claims(reply, n_reply_bytes, &introspection->claims);
}

/* A "no" is a "no", whatever else stands beside it. */
static int read_inactive(struct introspection *introspection) {
    introspection->active = false;
    introspection->exp_unix_s = introspection->nbf_unix_s = introspection->iat_unix_s = INTROSPECTION_NO_TIME;
    buffer_append(&introspection->claims, TEXT("{}"));
    return introspection->claims.error;
}

static int read_reply(json_t *reply, size_t n_reply_bytes, struct introspection *introspection) {
    drop_nulls(reply);
    const json_t *const active = json_object_get(reply, "active");
    if (json_is_true(active))
        return read_active(reply, n_reply_bytes, introspection);
    if (json_is_false(active))
        return read_inactive(introspection);
    return INTROSPECTION_MALFORMED;
}

int introspection_decode(struct text reply, struct introspection *ret_introspection) {
    if (reply.n_bytes > LIMIT_INTROSPECTION_REPLY_BYTES)
        return INTROSPECTION_MALFORMED;
    json_t *root;
    const int loaded = json_object_load(reply, LIMIT_REPLY_DEPTH, &root);
    if (loaded != 0)
        return loaded == JSON_MALFORMED ? INTROSPECTION_MALFORMED : loaded;
    struct introspection introspection = {0};
    buffer_init(&introspection.claims, LIMIT_INTROSPECTION_REPLY_BYTES);
    const int result = read_reply(root, reply.n_bytes, &introspection);
    json_decref(root);
    if (result != 0) {
        introspection_deinit(&introspection);
        return result;
    }
    *ret_introspection = introspection;
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
