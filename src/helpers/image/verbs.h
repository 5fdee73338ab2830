/* verbs.h - what cloister-image can be started for: one row a verb (main.c), one function
 * each, which looks at its arguments, enters its jail, and only then reads.
 */
#ifndef CL_HELPERS_IMAGE_VERBS_H
#define CL_HELPERS_IMAGE_VERBS_H

#include "base/error.h"

struct cl_verb {
    const char *name;
    const char *usage; /* the arguments */
    int args;          /* their number */
    int more;          /* how many may follow; args[] ends with NULL */
    int (*run)(char *const args[], struct cl_error *err);
};

/* Parsers (verbs_parse.c): a document on descriptor 0, which messages call args[0]; a record of
 * oci/records.h on 1. Where an argument is "-" it is not known. */
int cl_verb_manifest(char *const args[], struct cl_error *err);
int cl_verb_config(char *const args[], struct cl_error *err);
int cl_verb_archive(char *const args[], struct cl_error *err);
int cl_verb_saved(char *const args[], struct cl_error *err);
int cl_verb_oci_index(char *const args[], struct cl_error *err);
int cl_verb_auth(char *const args[], struct cl_error *err);
int cl_verb_credential(char *const args[], struct cl_error *err);
int cl_verb_auth_edit(char *const args[], struct cl_error *err);

/* Streams (verbs_stream.c): descriptor 0 to 1, a report on 3. */
int cl_verb_verify(char *const args[], struct cl_error *err);
int cl_verb_verify_stream(char *const args[], struct cl_error *err);
int cl_verb_inflate(char *const args[], struct cl_error *err);

/* Trees (verbs_tree.c): the working directory is the tree, or it comes over the channel, the
 * last descriptor. */
int cl_verb_unpack(char *const args[], struct cl_error *err);
int cl_verb_remove(char *const args[], struct cl_error *err);

#endif
