/* sample.h - what stats tells of one sandbox at one moment, as a row or an object.
 */
#ifndef CL_CMD_CLOISTER_SAMPLE_H
#define CL_CMD_CLOISTER_SAMPLE_H

#include "cmd/cloister/table.h"
#include "limits/gauges.h"
#include "sandbox/told.h"

struct cl_sample {
    char id[CL_ID_SIZE];
    const char *name; /* borrowed; NULL: none */
    uint64_t started_ns;
    uint64_t at_ns; /* boot clock: when the readings were taken */
    struct cl_readings readings;
    struct cl_control_asked asked; /* for what its cgroups don't say, */
    struct cl_wall_told told;      /* which the readings have too, */
    int is_told;                   /* when it has been said */
    uint64_t memory_limit;         /* 0: none */
    uint64_t tasks_limit;
    uint64_t cpu_millis; /* thousandths of a percent of one processor */
    int has_share;
};

/* Begins TABLE, whose text is ARENA's. -ENOMEM, as the others. */
int cl_sample_add_head(struct cl_arena *arena, struct cl_table *table);
int cl_sample_add_row(const struct cl_sample *sample, struct cl_table *table);
/* Of the round that began at WALL_NS. */
int cl_sample_add_object(const struct cl_sample *sample, uint64_t wall_ns, struct cl_buf *out);

#endif
