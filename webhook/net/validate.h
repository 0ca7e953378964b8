/*
 * POST /validate: a change that a user wants to make (AdmissionReview). The change is refused once the user's token is no
 * longer good, or where a rule for changes says so.
 */
#pragma once

#include "net/review.h"

extern const struct review_kind validate_reviews;
