/*
 * POST /authorize: a SubjectAccessReview, answered with "denied" or with no opinion, and never with "allowed": whether a
 * request may be done is for RBAC to say, we only say when its token is no longer good.
 */
#pragma once

#include "net/review.h"

extern const struct review_kind authorize_reviews;
