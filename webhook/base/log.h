/*
 * The program's own log: one line an event, to standard error, as JSON or as text for people. It never blocks: a reader
 * that does not keep up loses lines, and the next line that fits says how many.
 *
 * A line never holds a token, a part of one, a secret, or what a provider sent: it is written from words of our own,
 * names from the configuration, numbers, and error texts of libraries.
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

/* Sets level and form for the process. At start and on reload; any thread. Before it: info, text. */
void log_configure(enum log_level level, enum log_format format);

/* Writes one line, cut at LIMIT_LOG_LINE_BYTES. Any thread. component is a word such as "reload" or "provider". */
void log_write(enum log_level level, const char *component, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(component, ...) log_write(LOG_LEVEL_ERROR, component, __VA_ARGS__)
#define log_warning(component, ...) log_write(LOG_LEVEL_WARNING, component, __VA_ARGS__)
#define log_info(component, ...) log_write(LOG_LEVEL_INFO, component, __VA_ARGS__)
#define log_debug(component, ...) log_write(LOG_LEVEL_DEBUG, component, __VA_ARGS__)
