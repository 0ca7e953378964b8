#include "wire/review_head.h"

static bool is_word(struct scan *scan, struct text word) {
    struct scan_string string;
    return scan_string(scan, &string) == 0 && scan_string_equal(string, word);
}

static void read_version(struct scan *scan, const struct review_form *form, struct review_head *head) {
    struct scan_string version;
    head->has_version = false;
    if (scan_string(scan, &version) != 0)
        return;
    const bool is_v1 = scan_string_equal(version, form->v1);
    head->has_version = is_v1 || (form->v1beta1.n_bytes > 0 && scan_string_equal(version, form->v1beta1));
    head->version = is_v1 ? REVIEW_VERSION_V1 : REVIEW_VERSION_V1BETA1;
}

bool review_head_next(struct scan *scan, const struct review_form *form, struct review_head *head) {
    struct scan_string name;
    while (scan_member(scan, &name) == 0) {
        if (scan_string_equal(name, form->content))
            return true;
        if (scan_string_equal(name, TEXT("kind")))
            head->has_kind = is_word(scan, form->kind);
        else if (scan_string_equal(name, TEXT("apiVersion")))
            read_version(scan, form, head);
        else
            scan_skip(scan);
    }
    return false;
}

bool review_head_is_of(const struct review_form *form, const struct review_head *head, struct error *error) {
    if (!head->has_kind)
        error_set(error, "kind: %.*s is expected", (int)form->kind.n_bytes, form->kind.data);
    else if (!head->has_version)
        error_set(error, "apiVersion: %.*s%s%.*s is expected", (int)form->v1.n_bytes, form->v1.data,
                  form->v1beta1.n_bytes > 0 ? " or " : "", (int)form->v1beta1.n_bytes, form->v1beta1.data);
    return head->has_kind && head->has_version;
}
