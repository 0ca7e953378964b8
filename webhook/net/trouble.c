#include "net/trouble.h"

#include "base/limits.h"

bool trouble_is_due(struct trouble *trouble, enum reason kind, int64_t now_mono_ms, uint64_t *ret_n_held_back) {
    if (trouble->of[kind].was_said && now_mono_ms - trouble->of[kind].said_mono_ms < LIMIT_TROUBLE_INTERVAL_MS) {
        trouble->of[kind].n_held_back++;
        return false;
    }
    *ret_n_held_back = trouble->of[kind].n_held_back;
    trouble->of[kind].was_said = true;
    trouble->of[kind].said_mono_ms = now_mono_ms;
    trouble->of[kind].n_held_back = 0;
    return true;
}
