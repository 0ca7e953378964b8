#include "lib/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not by Criterion, whose stand-in under sanitizers is for one file of a program. */
static void must(bool is_so, const char *what) {
    if (is_so)
        return;
    fprintf(stderr, "test/lib/body: %s\n", what);
    abort();
}

static void body_append(struct body *body, struct text text) {
    if (body->n_bytes + text.n_bytes > body->n_room) {
        body->n_room = 2 * (body->n_bytes + text.n_bytes);
        body->bytes = realloc(body->bytes, body->n_room);
        must(body->bytes != NULL, "memory");
    }
    if (text.n_bytes != 0)
        memcpy(body->bytes + body->n_bytes, text.data, text.n_bytes);
    body->n_bytes += text.n_bytes;
}

static void body_fit(struct body *body) {
    body->bytes = realloc(body->bytes, body->n_bytes == 0 ? 1 : body->n_bytes);
    must(body->bytes != NULL, "memory");
}

struct body body_of(struct text text) {
    struct body body = {0};
    body_append(&body, text);
    body_fit(&body);
    return body;
}

struct body body_of_file(const char *path) {
    struct body body = {0};
    char bytes[4096];
    FILE *file = fopen(path, "r");
    must(file != NULL, path);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), file)) > 0;)
        body_append(&body, (struct text){.data = bytes, .n_bytes = n});
    fclose(file);
    must(body.n_bytes > 0, path);
    body_fit(&body);
    return body;
}

static void append_base64(struct body *body, const char *encoded) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, n_bits = 0;
    for (; *encoded != '\0' && *encoded != '='; encoded++) {
        const char *found = strchr(alphabet, *encoded);
        must(found != NULL, "a character of base64");
        bits = bits << 6 | (unsigned)(found - alphabet);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            const char byte = (char)(bits >> n_bits);
            body_append(body, (struct text){.data = &byte, .n_bytes = 1});
        }
    }
}

/* One round of a repetition: its "#" replaced by the number, where it is numbered. */
static void append_numbered(struct body *body, const char *pattern, bool is_numbered, json_int_t number) {
    const char *mark = is_numbered ? strchr(pattern, '#') : NULL;
    if (mark == NULL) {
        body_append(body, text_of(pattern));
        return;
    }
    char digits[24];
    snprintf(digits, sizeof(digits), "%lld", (long long)number);
    body_append(body, (struct text){.data = pattern, .n_bytes = (size_t)(mark - pattern)});
    body_append(body, text_of(digits));
    body_append(body, text_of(mark + 1));
}

static void append_part(struct body *body, const json_t *part, const char *file) {
    if (json_is_string(part)) {
        body_append(body, text_of(json_string_value(part)));
    } else if (json_string_value(json_object_get(part, "base64")) != NULL) {
        append_base64(body, json_string_value(json_object_get(part, "base64")));
    } else {
        const json_int_t n = json_integer_value(json_object_get(part, "repeat"));
        const char *pattern = json_string_value(json_object_get(part, "text"));
        must(n > 0 && pattern != NULL, file);
        for (json_int_t i = 0; i < n; i++)
            append_numbered(body, pattern, json_is_true(json_object_get(part, "numbered")), i);
    }
}

struct body body_of_parts(const json_t *parts, const char *file) {
    struct body body = {0};
    for (size_t i = 0; i < json_array_size(parts); i++)
        append_part(&body, json_array_get(parts, i), file);
    body_fit(&body);
    return body;
}
