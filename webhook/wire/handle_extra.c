#include "wire/handle_extra.h"

#include <strings.h>

/* Whether the name is that of the handle, in capitals or not. */
static bool is_handle_key(struct scan_string name) {
    char room[6 * sizeof("kube-introspect.io/handle")]; /* all of it as \uXXXX */
    if (name.raw.n_bytes > sizeof(room))
        return false;
    const struct text key = scan_string_settle(name, room);
    return key.n_bytes == HANDLE_EXTRA_KEY.n_bytes && strncasecmp(key.data, HANDLE_EXTRA_KEY.data, key.n_bytes) == 0;
}

static void keep(const struct scan *scan, char *body, struct scan_string value, struct handle_extra *extra) {
    if (extra->n_handles++ == 0)
        extra->handle = scan_string_settle(value, body + (value.raw.data - scan->start));
}

/* The values of one key. Returns whether they are what they must be. */
static bool read_values(struct scan *scan, char *body, bool is_handle, struct handle_extra *extra) {
    struct scan_string value;
    if (scan_null(scan))
        return true;
    if (scan_array(scan) != 0)
        return false;
    bool are_strings = true;
    while (scan_element(scan) == 0) {
        if (scan_string(scan, &value) != 0)
            are_strings = false;
        else if (is_handle)
            keep(scan, body, value, extra);
    }
    return are_strings;
}

const char *handle_extra_read(struct scan *scan, char *body, struct handle_extra *ret_extra) {
    struct handle_extra extra = {0};
    struct scan_string key;
    size_t n_keys = 0;
    bool are_strings = true;
    *ret_extra = extra;
    if (scan_null(scan))
        return NULL;
    if (scan_object(scan) != 0)
        return "an object is expected";
    while (scan_member(scan, &key) == 0) {
        const bool is_handle = is_handle_key(key);
        n_keys += is_handle;
        are_strings = read_values(scan, body, is_handle, &extra) && are_strings;
    }
    /* Two spellings of one key: which one an authenticator meant, nobody can say, even where one is empty. */
    if (n_keys > 1 && extra.n_handles < n_keys)
        extra.n_handles = n_keys;
    *ret_extra = extra;
    return are_strings ? NULL : "each value must be an array of strings";
}
