/* cloister-image - the parts of the image support that meet foreign bytes, each in a jail that
 * leaves it what it needs; docs/images.md draws how they work together.
 *
 *   cloister-image VERB ARG...
 *
 * Results go to descriptor 1 or into the files that the caller opened; an error is one line on
 * descriptor 2 and exit status 1. Stages: look at the arguments; prepare the little that the
 * jail forbids; enter the jail; only then read. Whatever comes out is checked by whoever
 * started us.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "helpers/image/verbs.h"

#if defined(__SANITIZE_ADDRESS__)
/* As in cloister-plan: the leak check wants what the jail forbids. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

static const struct cl_verb verbs[] = {
    {"verify", "SIZE OFFSET growing|whole", 3, cl_verb_verify},
    {"verify-stream", "MAX", 1, cl_verb_verify_stream},
    {"inflate", "gzip|zstd", 1, cl_verb_inflate},
};

static int run(int argc, char *const argv[], struct cl_error *err)
{
    for (size_t i = 0; argc > 1 && i < CL_ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, argv[1]) != 0)
            continue;
        if (argc - 2 != verbs[i].args)
            return cl_refuse(err, EINVAL, "cloister-image %s %s", verbs[i].name, verbs[i].usage);
        return verbs[i].run(argv + 2, err);
    }
    return cl_refuse(err, EINVAL, "this program is cloister's own; see cloister pull");
}

/* Ends by _exit: what libraries and instrumentation do at exit would need the files that the
 * jail took. */
int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    char line[CL_ERROR_MSG_SIZE + 1];

    if (run(argc, argv, &err) >= 0)
        _exit(0);
    int size = snprintf(line, sizeof(line), "%s\n", err.msg);
    (void)cl_write_all(STDERR_FILENO, line, (size_t)size); /* nobody to tell if that fails */
    _exit(1);
}
