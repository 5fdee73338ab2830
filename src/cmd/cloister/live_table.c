#include "cmd/cloister/live_table.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/sys.h"
#include "cmd/cloister/command.h"

enum { COLUMNS = 80, ROWS = 24 };

struct cl_live_screen cl_live_screen(void)
{
    struct cl_live_screen screen = {COLUMNS, ROWS};
    struct winsize size = {0};

    if (cl_sys_ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return screen;
    if (size.ws_col > 1)
        screen.columns = size.ws_col;
    if (size.ws_row > 2)
        screen.rows = size.ws_row;
    return screen;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* The bytes of LINE's first WIDTH characters. */
static size_t cut(const char *line, size_t size, size_t width)
{
    size_t at = 0;

    for (size_t characters = 0; at < size; at++) {
        characters += ((unsigned char)line[at] & 0xc0) != 0x80; /* no continuation byte */
        if (characters > width)
            break;
    }
    return at;
}

int cl_live_table_frame(struct cl_live_table *table, const struct cl_live_screen *screen,
                        const char *text, struct cl_buf *frame)
{
    const size_t room = screen->rows - 1; /* the cursor stands in the last row */
    const size_t count = count_lines(text);
    const size_t shown = count <= room ? count : room - 1;
    int r = table->drawn > 0 ? cl_buf_printf(frame, "\r\033[%zuA", table->drawn) : 0;

    for (size_t i = 0; r == 0 && i < shown; i++) {
        const size_t size = strcspn(text, "\n");

        /* the last column can begin a new line */
        r = cl_buf_add(frame, text, cut(text, size, screen->columns - 1));
        if (r == 0)
            r = cl_buf_add_str(frame, "\033[K\n");
        text += size + 1;
    }
    if (r == 0 && shown < count)
        r = cl_buf_printf(frame, "and %zu more\033[K\n", count - shown);
    if (r == 0)
        r = cl_buf_add_str(frame, "\033[J"); /* what was below */
    if (r == 0)
        table->drawn = shown + (shown < count);
    return r;
}

int cl_live_table_draw(struct cl_live_table *table, const char *text, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf frame = CL_BUF_INIT(CL_OUTPUT_MAX);
    const struct cl_live_screen screen = cl_live_screen();

    return cl_live_table_frame(table, &screen, text, &frame) < 0 ? cl_fail_memory(err)
                                                                 : cl_print(&frame, err);
}
