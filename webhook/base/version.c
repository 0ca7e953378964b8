#include "base/version.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

const char *version_string(void) {
    return VERSION;
}
