#include "core/budget.h"

/* Fine enough that every rate adds a whole number each millisecond: calls a second times 1,000, or times permille. */
#define CALL ((int64_t)1000000)

const char *budget_kind_word(enum budget_kind kind) {
    return kind == BUDGET_KNOWN ? "known" : "unknown";
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t all_max(const struct budget_policy *policy) {
    return policy->burst * CALL;
}

/* However small the part, one call fits in. */
static int64_t unknown_max(const struct budget_policy *policy) {
    const int64_t max = policy->burst * (CALL / 1000) * policy->unknown_permille;
    return max < CALL ? CALL : max;
}

void budget_init(struct budget *budget, const struct budget_policy *policy, int64_t now_mono_ms) {
    *budget = (struct budget){
        .policy = *policy, .filled_mono_ms = now_mono_ms, .all = all_max(policy), .unknown = unknown_max(policy)};
}

void budget_take_over(struct budget *budget, const struct budget *previous) {
    if (previous->policy.per_second == 0)
        return;
    budget->filled_mono_ms = previous->filled_mono_ms;
    budget->all = smaller(previous->all, all_max(&budget->policy));
    budget->unknown = smaller(previous->unknown, unknown_max(&budget->policy));
}

/* More time than fills an empty bucket is as good as that: years would overflow. */
static void fill(struct budget *budget, int64_t now_mono_ms) {
    const struct budget_policy *policy = &budget->policy;
    const int64_t per_ms = (int64_t)policy->per_second * 1000;
    const int64_t passed_ms = smaller(now_mono_ms - budget->filled_mono_ms, all_max(policy) / per_ms + 1);
    const int64_t for_unknown_ms =
        smaller(now_mono_ms - budget->filled_mono_ms,
                unknown_max(policy) / ((int64_t)policy->per_second * policy->unknown_permille) + 1);
    budget->all = smaller(budget->all + passed_ms * per_ms, all_max(policy));
    budget->unknown =
        smaller(budget->unknown + for_unknown_ms * policy->per_second * policy->unknown_permille, unknown_max(policy));
    budget->filled_mono_ms = now_mono_ms;
}

bool budget_take(struct budget *budget, enum budget_kind kind, int64_t now_mono_ms) {
    if (budget->policy.per_second == 0)
        return true;
    fill(budget, now_mono_ms);
    if (budget->all < CALL || (kind == BUDGET_UNKNOWN && budget->unknown < CALL))
        return false;
    budget->all -= CALL;
    if (kind == BUDGET_UNKNOWN)
        budget->unknown -= CALL;
    return true;
}
