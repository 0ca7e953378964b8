#include "wire/handle_extra.h"

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether the name is that of the handle, in capitals or not. */
static bool is_handle_key(struct scan_string name) {
    char room[6 * sizeof("kube-introspect.io/handle")]; /* all of it as \uXXXX */
    if (name.raw.n_bytes > sizeof(room))
        return false;
    const size_t n = scan_string_unescape(name, room);
    if (n != HANDLE_EXTRA_KEY.n_bytes)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (lower(room[i]) != HANDLE_EXTRA_KEY.data[i])
            return false;
    }
    return true;
}

static void keep(const struct scan *scan, char *body, struct scan_string value, struct handle_extra *extra) {
    if (extra->n_handles++ == 0)
        extra->handle = scan_string_settle(value, body + (value.raw.data - scan->start));
}

/* The values of one key. Returns 0 or a fault. */
static int read_values(struct scan *scan, char *body, bool is_handle, struct handle_extra *extra) {
    struct scan_string value;
    if (scan_null(scan))
        return 0;
    if (scan_array(scan) != 0)
        return HANDLE_EXTRA_NO_STRINGS;
    int fault = 0;
    while (scan_element(scan) == 0) {
        if (scan_string(scan, &value) != 0)
            fault = HANDLE_EXTRA_NO_STRINGS;
        else if (is_handle)
            keep(scan, body, value, extra);
    }
    return fault;
}

int handle_extra_read(struct scan *scan, char *body, struct handle_extra *ret_extra) {
    struct handle_extra extra = {0};
    struct scan_string key;
    size_t n_keys = 0;
    int fault = 0;
    *ret_extra = extra;
    if (scan_null(scan))
        return 0;
    if (scan_object(scan) != 0)
        return HANDLE_EXTRA_NO_OBJECT;
    while (scan_member(scan, &key) == 0) {
        const bool is_handle = is_handle_key(key);
        n_keys += is_handle;
        const int r = read_values(scan, body, is_handle, &extra);
        fault = fault != 0 ? fault : r;
    }
    /* Two spellings of one key: which one an authenticator meant, nobody can say, even where one is empty. */
    if (n_keys > 1 && extra.n_handles < n_keys)
        extra.n_handles = n_keys;
    *ret_extra = extra;
    return fault;
}
