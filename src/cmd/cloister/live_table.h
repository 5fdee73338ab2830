/* live_table.h - a table on a terminal that is drawn again and again in its place. */
#ifndef CL_CMD_CLOISTER_LIVE_TABLE_H
#define CL_CMD_CLOISTER_LIVE_TABLE_H

#include "base/buf.h"
#include "base/error.h"

struct cl_live_table {
    size_t drawn; /* lines; the cursor is below them */
};

struct cl_live_screen {
    size_t columns;
    size_t rows;
};

/* The size of standard output's terminal. */
struct cl_live_screen cl_live_screen(void);

/* Adds to FRAME what draws the lines of TEXT, which has nothing but printable characters, over
 * those that are there: no longer than SCREEN is wide, and no more than it has room for. */
int cl_live_table_frame(struct cl_live_table *table, const struct cl_live_screen *screen,
                        const char *text, struct cl_buf *frame);

/* The same, and writes that to standard output. */
int cl_live_table_draw(struct cl_live_table *table, const char *text, struct cl_error *err);

#endif
