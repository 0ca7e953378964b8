/*
 * Names that somebody else chose, as they may stand in a line that people and programs read.
 */
#pragma once

#include "base/buffer.h"

/*
 * Appends the text in double quotes, on one line. YAML reads it as this very text. What a terminal or a reader would not
 * show as itself is escaped: control characters, line ends, characters without width, and those that turn the direction of
 * writing. The text must be UTF-8; what is not becomes U+FFFD.
 */
void quote_append(struct buffer *buffer, struct text text);

/* The same, for messages: of a text above max_bytes only the start, with "..." after the quotes. */
void quote_append_cut(struct buffer *buffer, struct text text, size_t max_bytes);
