/* progress_bars.h - the lines of a pull's progress, as wide as a screen.
 *
 * ASCII and as many columns as bytes, but for colours. Only appends to buffers.
 */
#ifndef CL_CMD_CLOISTER_PROGRESS_BARS_H
#define CL_CMD_CLOISTER_PROGRESS_BARS_H

#include "cmd/cloister/progress.h"

struct cl_progress_screen {
    size_t columns;
    size_t rows;
    int colour;
};

/* A line for each layer of VIEW; when the screen has too few, for those at work and one for the
 * others. RATES are their layers' (at least as many). Each line is ended by a newline. Their
 * number, or -ENOMEM or -EFBIG. */
int cl_progress_add_layers(const struct cl_pull_view *view, const struct cl_progress_layer *rates,
                           const struct cl_progress_screen *screen, struct cl_buf *buf);

/* One line for NAME being read. */
int cl_progress_add_reading(const char *name, uint64_t bytes, uint64_t size_bytes,
                            const struct cl_progress_screen *screen, struct cl_buf *buf);

/* One line about WHO hasn't answered yet. */
int cl_progress_add_asking(const char *who, const struct cl_progress_screen *screen,
                           struct cl_buf *buf);

/* "3.2 / 31.2 MiB", both in the unit of SIZE. Returns RET. */
enum { CL_PROGRESS_PAIR_SIZE = 64 };
const char *cl_progress_pair(uint64_t bytes, uint64_t size_bytes, char ret[CL_PROGRESS_PAIR_SIZE]);

#endif
