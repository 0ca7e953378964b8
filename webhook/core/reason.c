#include "core/reason.h"

#include <stddef.h>

static const struct {
    enum verdict verdict;
    const char *word, *sentence;
} reasons[N_REASONS] = {
#define X(name, word, verdict, sentence) [REASON_##name] = {VERDICT_##verdict, word, sentence},
    REASONS(X)
#undef X
};

enum verdict reason_verdict(enum reason reason) {
    return reasons[reason].verdict;
}

const char *reason_word(enum reason reason) {
    return reasons[reason].word;
}

const char *reason_sentence(enum reason reason) {
    return reasons[reason].sentence;
}

const char *verdict_word(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_ALLOW:
        return "allow";
    case VERDICT_DENY:
        return "deny";
    case VERDICT_UNAVAILABLE:
        return "unavailable";
    }
    return "unavailable";
}
