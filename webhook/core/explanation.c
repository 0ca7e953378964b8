#include "core/explanation.h"

#include <stdarg.h>
#include <stdio.h>

#define RULE_BYTES 64
#define SEEN_BYTES 1024
#define VALUE_BYTES 200

int explanation_precision(struct text text) {
    return text.n_bytes > VALUE_BYTES ? VALUE_BYTES : (int)text.n_bytes;
}

/* One byte becomes one byte: a control character is shown as "?", and C1 ones, which UTF-8 writes as 0xC2 0x80 to 0x9F,
 * too. */
static void replace_controls(char *line) {
    for (unsigned char *c = (unsigned char *)line; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7F)
            *c = '?';
        else if (c[0] == 0xC2 && c[1] >= 0x80 && c[1] <= 0x9F)
            c[0] = c[1] = '?';
    }
}

static void tell(struct explanation *explanation, const char *rule, bool held, const char *format, va_list arguments)
    __attribute__((format(printf, 4, 0)));
static void tell(struct explanation *explanation, const char *rule, bool held, const char *format, va_list arguments) {
    char seen[SEEN_BYTES];
    vsnprintf(seen, sizeof(seen), format, arguments);
    replace_controls(seen);
    explanation->line(explanation, rule, held, seen);
}

bool explanation_rule(struct explanation *explanation, const char *rule, bool held, const char *format, ...) {
    if (explanation == NULL)
        return held;
    va_list arguments;
    va_start(arguments, format);
    tell(explanation, rule, held, format, arguments);
    va_end(arguments);
    return held;
}

bool explanation_rule_at(struct explanation *explanation, const char *list, size_t index, bool held, const char *format,
                         ...) {
    if (explanation == NULL)
        return held;
    char rule[RULE_BYTES];
    snprintf(rule, sizeof(rule), "%s[%zu]", list, index);
    va_list arguments;
    va_start(arguments, format);
    tell(explanation, rule, held, format, arguments);
    va_end(arguments);
    return held;
}
