#include "core/audience.h"

/* Walks the identity's audiences where they lie: they may be more than a review can ask for. */
static bool is_of_token(const struct identity *identity, struct text audience) {
    const char *next = identity->bytes + identity->n_user_bytes;
    for (size_t i = 0; i < identity->n_audiences; i++) {
        const struct text candidate = text_of(next);
        if (text_equal(candidate, audience))
            return true;
        next += candidate.n_bytes + 1;
    }
    return false;
}

size_t audience_grant(const struct policy *policy, const struct identity *identity, const struct text *asked,
                      size_t n_asked, struct text *ret_audiences) {
    struct text_list granted = {.items = ret_audiences};
    for (size_t i = 0; i < n_asked; i++) {
        if (!text_list_contains(&policy->api_audiences, asked[i]) && !is_of_token(identity, asked[i]))
            continue;
        if (!text_list_contains(&granted, asked[i]))
            granted.items[granted.n_items++] = asked[i];
    }
    return granted.n_items;
}
