/* obtain_options.h - the options that `pull` and `import` share. Their contexts begin with a struct
 * cl_obtain.
 */
#ifndef CL_CMD_CLOISTER_OBTAIN_OPTIONS_H
#define CL_CMD_CLOISTER_OBTAIN_OPTIONS_H

#include "base/options.h"
#include "cmd/cloister/obtain.h"

typedef int cl_obtain_setter(void *context, const struct cl_option *option, const char *value,
                             struct cl_error *err);
cl_obtain_setter cl_obtain_set_quiet;
cl_obtain_setter cl_obtain_set_format;
cl_obtain_setter cl_obtain_set_platform;
cl_obtain_setter cl_obtain_set_max_size;
cl_obtain_setter cl_obtain_set_max_files;

#define CL_OBTAIN_OPTIONS                                                                          \
    {"quiet", 'q', NULL, "no progress, only the digest", cl_obtain_set_quiet, 0, NULL},            \
        {"format",                                                                                 \
         0,                                                                                        \
         "FORMAT",                                                                                 \
         "json: events, a line each, on standard output",                                          \
         cl_obtain_set_format,                                                                     \
         0,                                                                                        \
         "json"},                                                                                  \
        {"platform",                                                                               \
         0,                                                                                        \
         "PLATFORM",                                                                               \
         "which of an index's images (this machine's)",                                            \
         cl_obtain_set_platform,                                                                   \
         0,                                                                                        \
         "linux/amd64 linux/arm64"},                                                               \
        {"max-size",                                                                               \
         0,                                                                                        \
         "SIZE",                                                                                   \
         "the most that the image's files may hold (32GiB)",                                       \
         cl_obtain_set_max_size,                                                                   \
         0,                                                                                        \
         NULL},                                                                                    \
    {                                                                                              \
        "max-files", 0, "NUMBER", "the most files that a layer may have (500000)",                 \
            cl_obtain_set_max_files, 0, NULL                                                       \
    }

#endif
