/* verbs.h - what cloister-image can be started for: one row a verb (main.c), one function
 * each (the parsers have one together), which looks at its arguments, enters its jail, and only
 * then reads.
 */
#ifndef CL_HELPERS_IMAGE_VERBS_H
#define CL_HELPERS_IMAGE_VERBS_H

#include "base/error.h"

struct cl_verb {
    const char *name;
    const char *usage; /* the arguments */
    int args;          /* their number */
    int more;          /* how many may follow; args[] ends with NULL */
    int (*run)(const struct cl_verb *verb, char *const args[], struct cl_error *err);
};

/* The parsers (verbs_parse.c): a document on descriptor 0, which messages call args[0]; a record of
 * oci/records.h on 1. Where an argument is "-" it is not known. */
int cl_verb_parse(const struct cl_verb *verb, char *const args[], struct cl_error *err);

/* Streams (verbs_stream.c): descriptor 0 to 1, a report on 3. */
int cl_verb_verify(const struct cl_verb *verb, char *const args[], struct cl_error *err);
int cl_verb_verify_stream(const struct cl_verb *verb, char *const args[], struct cl_error *err);
int cl_verb_inflate(const struct cl_verb *verb, char *const args[], struct cl_error *err);

/* Trees (verbs_tree.c): the working directory is the tree, or it comes over the channel, the
 * last descriptor. */
int cl_verb_unpack(const struct cl_verb *verb, char *const args[], struct cl_error *err);
int cl_verb_remove(const struct cl_verb *verb, char *const args[], struct cl_error *err);

#endif
