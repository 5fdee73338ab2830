/* process.h - for src/runtime only: what /proc says of a process (proc_pid_stat(5)). */
#ifndef CL_RUNTIME_PROCESS_H
#define CL_RUNTIME_PROCESS_H

#include "base/defs.h"

struct cl_process_stat {
    uint64_t start_ticks; /* since boot: with the number it names a process */
};

/* 0, -ENOENT when there is none, or -errno. */
int cl_process_look(int pid, struct cl_process_stat *ret);

#endif
