/*
 * SubjectAccessReview (authorization.k8s.io/v1 and v1beta1), the request as kube-apiserver sends it to an authorization
 * webhook and the answer in the same version:
 * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 *
 * We only ever say no, or nothing: no answer of ours allows anything.
 */
#pragma once

#include "base/buffer.h"
#include "wire/handle_extra.h"
#include "wire/review_head.h"

/* A decoded request; every text is borrowed from the body, and empty where the request has none. */
struct subject_access_review {
    enum review_version version;
    struct text user, uid;
    struct handle_extra extra;
    /* What is asked for, for the audit log. */
    bool is_resource; /* resourceAttributes, else nonResourceAttributes */
    struct text verb;
    struct text namespace_name, group, resource, subresource, name; /* of a resource */
    struct text path;                                               /* of what is none */
};

/* Why a body is no SubjectAccessReview that we answer: answered 400. */
enum subject_access_review_error {
    SUBJECT_ACCESS_REVIEW_MALFORMED = 1, /* no JSON (RFC 8259), duplicate member, too deep, not UTF-8 */
    SUBJECT_ACCESS_REVIEW_WRONG_KIND,    /* JSON, but kind or apiVersion is not one that we serve */
    SUBJECT_ACCESS_REVIEW_INVALID        /* its spec is missing or has wrong types, or not just one kind of attributes */
};

/*
 * Decodes a request in one strict pass: the whole body is checked, unknown members are allowed and checked too, duplicate
 * members are refused at every level. null stands for an absent list, map or object, as it does to whoever writes Go.
 *
 * body        changed in place where a string that we read has escapes; must stay alive as long as *ret_review
 * ret_review  written on success only
 * error       what is wrong and where ("byte 17: ..."), without quoting the body; may be NULL
 *
 * Returns 0 or an enum subject_access_review_error. Allocates nothing. Any thread.
 */
int subject_access_review_decode(char *body, size_t n_bytes, struct subject_access_review *ret_review, struct error *error);

enum subject_access_outcome {
    SUBJECT_ACCESS_NO_OPINION, /* the next authorizer decides */
    SUBJECT_ACCESS_DENIED,     /* the request ends here */
    SUBJECT_ACCESS_UNKNOWN     /* it could not be checked: denied as well, and evaluationError says so */
};

/* An answer. All borrowed; sentence and word are not written with NO_OPINION. */
struct subject_access_answer {
    enum review_version version;
    enum subject_access_outcome outcome;
    struct text sentence; /* one sentence for people on why, with its full stop */
    struct text word;     /* the same for machines: a reason's */
    uint64_t request_id;  /* finds the record in the audit log */
};

/* Appends the answer's JSON. */
void subject_access_review_encode(const struct subject_access_answer *answer, struct buffer *buffer);
