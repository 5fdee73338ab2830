/* arch.h - the architectures that a seccomp profile may name. */
#ifndef CL_HELPERS_PLAN_ARCH_H
#define CL_HELPERS_PLAN_ARCH_H

#include "plan/plan.h"

/* Whether one of NAMES, as Docker's conditions spell it, is this program's own. */
int cl_arch_has_native(const struct cl_strlist *names);

/* These refuse names that nothing has: a slip would drop a rule, or keep one, unseen.
 * Names are the specification's SCMP_ARCH_*, or Docker's; KEY is where NAMES stand. */
int cl_arch_check_scmp_name(const char *name, struct cl_error *err);
int cl_arch_check_scmp(const struct cl_strlist *names, const char *key, struct cl_error *err);
int cl_arch_check_docker(const struct cl_strlist *names, const char *key, struct cl_error *err);

/* libseccomp's token for the specification's NAME, or 0 when it has none. */
uint32_t cl_arch_token(const char *name);

#endif
