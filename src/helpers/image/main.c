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
#include <string.h>

#include "helpers/common/process.h"
#include "helpers/image/verbs.h"

static const struct cl_verb verbs[] = {
    {"manifest", "NAME PLATFORM [MEDIA_TYPE]", 2, 1, cl_verb_parse},
    {"config", "NAME [MEDIA_TYPE]", 1, 1, cl_verb_parse},
    {"archive", "NAME", 1, 0, cl_verb_parse},
    {"saved", "NAME [TAG]", 1, 1, cl_verb_parse},
    {"oci-index", "NAME PLATFORM [TAG]", 2, 1, cl_verb_parse},
    {"auth", "NAME REGISTRY", 2, 0, cl_verb_parse},
    {"auth-edit", "NAME REGISTRY", 2, 0, cl_verb_parse},
    {"credential", "NAME", 1, 0, cl_verb_parse},
    {"verify", "SIZE OFFSET growing|whole", 3, 0, cl_verb_verify},
    {"verify-stream", "MAX", 1, 0, cl_verb_verify_stream},
    {"inflate", "gzip|zstd", 1, 0, cl_verb_inflate},
    {"unpack", "MAX_BYTES MAX_ENTRIES [CURE]", 2, 1, cl_verb_unpack},
    {"remove", "", 0, 0, cl_verb_remove},
};

static int run(int argc, char *const argv[], struct cl_error *err)
{
    for (size_t i = 0; argc > 1 && i < CL_ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, argv[1]) != 0)
            continue;
        if (argc - 2 < verbs[i].args || argc - 2 > verbs[i].args + verbs[i].more)
            return cl_refuse(err, EINVAL, "cloister-image %s %s", verbs[i].name, verbs[i].usage);
        return verbs[i].run(&verbs[i], argv + 2, err);
    }
    return cl_refuse(err, EINVAL, "this program is cloister's own; see cloister pull");
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};

    cl_process_end(run(argc, argv, &err), &err);
}
