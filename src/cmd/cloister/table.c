#include "cmd/cloister/table.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"

enum { GAP = 3 };

/* Characters, not bytes: continuation bytes don't count. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Room for one more row: the array doubles when the rows are a power of two. */
static int make_room(struct cl_table *table)
{
    const size_t rows = table->count / table->columns;

    if ((rows & (rows - 1)) != 0)
        return 0;
    char **cells =
        cl_arena_array(table->arena, (rows == 0 ? 1 : 2 * rows) * table->columns, sizeof(*cells));
    if (cells == NULL)
        return -ENOMEM;
    if (table->count > 0)
        memcpy(cells, table->cells, table->count * sizeof(*cells));
    table->cells = cells;
    return 0;
}

int cl_table_add(struct cl_table *table, const char *const cells[])
{
    CL_ASSERT(table->columns <= CL_TABLE_COLUMNS);
    if (make_room(table) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < table->columns; i++) {
        char *cell = cl_arena_strdup(table->arena, cells[i]);

        if (cell == NULL)
            return -ENOMEM;
        cl_utf8_make_printable(cell);
        table->cells[table->count + i] = cell;
    }
    table->count += table->columns;
    return 0;
}

static int write_row(const struct cl_table *table, const size_t widths[], char *const row[],
                     struct cl_buf *buf)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < table->columns; i++) {
        r = cl_buf_add_str(buf, row[i]);
        if (r == 0 && i + 1 < table->columns)
            r = cl_buf_printf(buf, "%*s", (int)(widths[i] - width_of(row[i]) + GAP), "");
    }
    return r < 0 ? r : cl_buf_add(buf, "\n", 1);
}

int cl_table_write(const struct cl_table *table, struct cl_buf *buf)
{
    size_t widths[CL_TABLE_COLUMNS] = {0};
    int r = 0;

    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        size_t width = width_of(table->cells[i]);

        if (width > widths[column])
            widths[column] = width;
    }
    for (size_t i = 0; r == 0 && i < table->count; i += table->columns)
        r = write_row(table, widths, table->cells + i, buf);
    return r;
}
