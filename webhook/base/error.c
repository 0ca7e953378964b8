#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The text that fits, whole characters only, with "..." at its end. */
static void cut(char text[LIMIT_ERROR_BYTES]) {
    size_t end = LIMIT_ERROR_BYTES - sizeof("...");
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, "...", sizeof("..."));
}

/* Formats aside and then copies: an argument may well be the text that is being replaced. */
__attribute__((format(printf, 3, 0))) static void set(struct error *error, const char *suffix, const char *format,
                                                      va_list arguments) {
    char text[LIMIT_ERROR_BYTES];
    const int n = vsnprintf(text, sizeof(text), format, arguments);
    if (n < 0) /* an encoding error of the C library: say what we tried to say, unfilled */
        (void)snprintf(text, sizeof(text), "%s", format);
    bool fits = n < (int)sizeof(text);
    const size_t n_bytes = strlen(text);
    if (fits && suffix != NULL)
        fits = snprintf(text + n_bytes, sizeof(text) - n_bytes, ": %s", suffix) < (int)(sizeof(text) - n_bytes);
    if (!fits)
        cut(text);
    memcpy(error->text, text, strlen(text) + 1);
}

void error_set(struct error *error, const char *format, ...) {
    if (error == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    set(error, NULL, format, arguments);
    va_end(arguments);
}

void error_prefix(struct error *error, const char *format, ...) {
    if (error == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    set(error, error->text, format, arguments);
    va_end(arguments);
}
