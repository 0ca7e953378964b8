/*
 * POST /authenticate: a TokenReview, answered. The road of the design, downhill: decode, triage, facts, ask, decide,
 * answer.
 */
#pragma once

#include "net/review.h"

extern const struct review_kind authenticate_reviews;
