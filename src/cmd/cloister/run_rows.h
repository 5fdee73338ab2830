/* run_rows.h - rows of an option table whose context begins with a struct cl_run_request: what
 * `cloister run` takes, and other commands that take some of it. The names are short: this is for
 * files of rows.
 */
#ifndef CL_CMD_CLOISTER_RUN_ROWS_H
#define CL_CMD_CLOISTER_RUN_ROWS_H

#include "cmd/cloister/run_options.h"

#define FIELD(name, letter, value, help, field, choices)                                           \
    {                                                                                              \
        name, letter, value, help, cl_run_set_field, CL_FIELD_##field, choices                     \
    }
#define STRING(name, value, help, member, choices)                                                 \
    {                                                                                              \
        name, 0, value, help, cl_run_set_string, (int)offsetof(struct cl_run_request, member),     \
            choices                                                                                \
    }
#define TRUE(name, letter, help, field)                                                            \
    {                                                                                              \
        name, letter, NULL, help, cl_run_set_true, CL_FIELD_##field, NULL                          \
    }
#define ADD(name, letter, value, help, what, choices)                                              \
    {                                                                                              \
        name, letter, value, help, cl_run_add_##what, 0, choices                                   \
    }
/* Those that can be done without: all of them, for those who test that (CL_WEAK). */
#ifdef CL_WEAK
#define LAYERS NULL
#else
#define LAYERS "landlock apparmor selinux limits disk-limit core-limit guest-users"
#endif

#endif
