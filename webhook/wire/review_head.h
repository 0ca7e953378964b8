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

/* What is wrong with the content of a review: where, and what is expected there. Static; NULL: nothing is. */
struct review_fault {
    const char *place, *sentence;
};

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

static inline bool review_head_is_word(struct scan *scan, struct text word) {
    struct scan_string string;
    return scan_string(scan, &string) == 0 && scan_string_equal(string, word);
}

static inline void review_head_read_version(struct scan *scan, const struct review_form *form, struct review_head *head) {
    struct scan_string version;
    head->has_version = false;
    if (scan_string(scan, &version) != 0)
        return;
    const bool is_v1 = scan_string_equal(version, form->v1);
    head->has_version = is_v1 || (form->v1beta1.n_bytes > 0 && scan_string_equal(version, form->v1beta1));
    head->version = is_v1 ? REVIEW_VERSION_V1 : REVIEW_VERSION_V1BETA1;
}

/*
 * Goes on in the document, which is the innermost open object, up to its content. What is of the head is read, what is
 * neither is passed over and checked.
 *
 * Returns whether there is a content, whose value must then be read or skipped; false: the document is closed, or refused,
 * which scan_end() tells. Where the content is there twice the second comes as well, and the document is refused later.
 *
 * Inlined by force: with a form that the compiler sees, a name costs two comparisons, and every login comes here.
 */
__attribute__((always_inline)) static inline bool review_head_next(struct scan *scan, const struct review_form *form,
                                                                   struct review_head *head) {
    struct scan_string name;
    while (scan_member(scan, &name) == 0) {
        if (scan_string_equal(name, form->content))
            return true;
        if (scan_string_equal(name, TEXT("kind")))
            head->has_kind = review_head_is_word(scan, form->kind);
        else if (scan_string_equal(name, TEXT("apiVersion")))
            review_head_read_version(scan, form, head);
        else
            scan_skip(scan);
    }
    return false;
}

/* Whether the document was of this form, in a version that it has; says what was expected where it was not. error may be
   NULL. */
bool review_head_is_of(const struct review_form *form, const struct review_head *head, struct error *error);
