#include "wire/review_head.h"

bool review_head_is_of(const struct review_form *form, const struct review_head *head, struct error *error) {
    if (!head->has_kind)
        error_set(error, "kind: %.*s is expected", (int)form->kind.n_bytes, form->kind.data);
    else if (!head->has_version)
        error_set(error, "apiVersion: %.*s%s%.*s is expected", (int)form->v1.n_bytes, form->v1.data,
                  form->v1beta1.n_bytes > 0 ? " or " : "", (int)form->v1beta1.n_bytes, form->v1beta1.data);
    return head->has_kind && head->has_version;
}
