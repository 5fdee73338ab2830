/* table.h - rows of cells for people: columns as wide as their widest cell.
 *
 * Control bytes and bad UTF-8 in a cell become "?", so that a name can't drive the
 * terminal. Owner: whoever holds the struct.
 */
#ifndef CL_CMD_CLOISTER_TABLE_H
#define CL_CMD_CLOISTER_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

enum { CL_TABLE_COLUMNS = 8 };

struct cl_table {
    struct cl_arena *arena; /* holds the cells */
    size_t columns;
    size_t count; /* of cells */
    char **cells;
};

/* Adds a row of table->columns cells; they are copied. -ENOMEM. */
int cl_table_add(struct cl_table *table, const char *const cells[]);
/* Writes all rows. -ENOMEM or -EFBIG. */
int cl_table_write(const struct cl_table *table, struct cl_buf *buf);

#endif
