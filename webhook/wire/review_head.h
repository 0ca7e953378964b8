/*
 * What every review begins with, whatever it is about: kind and apiVersion, and beside them the one member that holds what
 * is asked. As members come in any order, what is missing is judged when the document has been read.
 *
 *     struct review_head head = {0};
 *     if (scan_object(&scan) == 0) {
 *         while (review_head_next(&scan, &form, &head))
 *             decode_spec(...);                             exactly one value is read or skipped
 *     }
 *     if (scan_end_told(&scan, error) != 0)
 *         return MALFORMED;
 *     if (!review_head_is_of(&form, &head, error))
 *         return WRONG_KIND;
 */
#pragma once

#include "wire/scan.h"

enum review_version { REVIEW_VERSION_V1, REVIEW_VERSION_V1BETA1 };

/* What a review of one kind looks like. Static, one for each kind. */
struct review_form {
    struct text kind;        /* "TokenReview" */
    struct text v1, v1beta1; /* "authentication.k8s.io/v1"; v1beta1 is empty where it is not served */
    struct text content;     /* the member that holds what is asked: "spec" */
};

/* A head under way: zeroed at the start. */
struct review_head {
    bool has_kind, has_version; /* the form's */
    enum review_version version;
};

/*
 * Goes on in the document, which is the innermost open object, up to its content. What is of the head is read, what is
 * neither is passed over and checked.
 *
 * Returns whether there is a content, whose value must then be read or skipped; false: the document is closed, or refused,
 * which scan_end() tells. Where the content is there twice the second comes as well, and the document is refused later.
 */
bool review_head_next(struct scan *scan, const struct review_form *form, struct review_head *head);

/* Whether the document was of this form, in a version that it has; says what was expected where it was not. error may be
   NULL. */
bool review_head_is_of(const struct review_form *form, const struct review_head *head, struct error *error);
