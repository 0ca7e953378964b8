/*
 * What this program is: its version, from git when it was built.
 */
#pragma once

/* "v1.2.3", or "v1.2.3-4-gabcdef0" between releases. Static. */
const char *version_string(void);
