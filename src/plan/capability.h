/* capability.h - capabilities by name (capabilities(7), linux/capability.h). */
#ifndef CL_PLAN_CAPABILITY_H
#define CL_PLAN_CAPABILITY_H

enum { CL_CAPABILITY_COUNT = 41 };

/* "CAP_CHOWN"; NUMBER < CL_CAPABILITY_COUNT. */
const char *cl_capability_name(int number);
/* Its number, or -1; NAME in any case of letters, with or without "CAP_". */
int cl_capability_by_name(const char *name);

#endif
