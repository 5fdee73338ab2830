#include "cmd/cloister/progress_bars.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

enum {
    SHA256_TEXT = 7, /* "sha256:" */
    ID_WIDTH = 12,
    WORD_WIDTH = 12,
    GAP = 2,
    LEFT_WIDTH = ID_WIDTH + GAP + WORD_WIDTH,
    PAIR_WIDTH = 19, /* "1023.9 / 1023.9 MiB" */
    RATE_WIDTH = 12, /* "1023.9 MiB/s" */
    PERCENT_WIDTH = 4,
    BAR_LEAST = 10,
    BAR_MOST = 42,
    READING_LEAST = 16, /* columns, for a percentage behind it */
    LINE_SIZE = 160,
};

#define CLEAR_REST "\033[K\n"

static const char *const words[] = {
    [CL_PULL_QUEUED] = "waiting",      [CL_PULL_PRESENT] = "already here",
    [CL_PULL_RUNNING] = "downloading", [CL_PULL_WAITING] = "another pull is at it",
    [CL_PULL_DONE] = "done",
};
static const char *const colours[] = {
    [CL_PULL_QUEUED] = "\033[2m",  [CL_PULL_PRESENT] = "\033[32m", [CL_PULL_RUNNING] = "\033[36m",
    [CL_PULL_WAITING] = "\033[2m", [CL_PULL_DONE] = "\033[32m",
};

const char *cl_progress_pair(uint64_t bytes, uint64_t size_bytes, char ret[CL_PROGRESS_PAIR_SIZE])
{
    char size[CL_SIZE_TEXT];
    unsigned int shift = 0;

    (void)cl_size_about(size_bytes, size);
    while (size_bytes >> shift >= 1024)
        shift += 10;
    if (shift == 0)
        (void)snprintf(ret, CL_PROGRESS_PAIR_SIZE, "%" PRIu64 " / %s", bytes, size);
    else
        (void)snprintf(ret, CL_PROGRESS_PAIR_SIZE, "%" PRIu64 ".%" PRIu64 " / %s", bytes >> shift,
                       ((bytes >> (shift - 10)) & 1023) * 10 / 1024, size);
    return ret;
}

/* What stands behind the first two columns, in the room that is left for it. */
struct amounts {
    uint64_t part;
    uint64_t whole;
    const char *size; /* text */
    const char *rate; /* "" for none */
};

/* "[====>    ]" of WIDTH. */
static void format_bar(const struct amounts *amounts, size_t width, char ret[LINE_SIZE])
{
    const size_t inside = width - 2;
    const uint64_t whole = cl_max_u64(amounts->whole, 1);
    const uint64_t part = amounts->whole == 0 ? whole : cl_min_u64(amounts->part, whole);
    /* 2^50 bytes are the most that an image has: no product is too large */
    const size_t filled = (size_t)(part * inside / whole);

    ret[0] = '[';
    memset(ret + 1, '=', filled);
    memset(ret + 1 + filled, ' ', inside - filled);
    if (filled > 0 && filled < inside)
        ret[filled] = '>';
    ret[1 + inside] = ']';
    ret[2 + inside] = '\0';
}

static unsigned int percent_of(const struct amounts *amounts)
{
    if (amounts->part >= amounts->whole)
        return 100;
    return (unsigned int)(amounts->part * 100 / amounts->whole); /* as in format_bar */
}

static int add_amounts(const struct amounts *amounts, size_t room, struct cl_buf *buf)
{
    const size_t least = GAP + BAR_LEAST + GAP + PAIR_WIDTH + GAP + RATE_WIDTH;
    char bar[LINE_SIZE];

    if (room >= least) {
        const size_t width = (size_t)cl_min_u64(room - least + BAR_LEAST, BAR_MOST);

        format_bar(amounts, width, bar);
        return cl_buf_printf(buf, "%*s%s%*s%-*s%*s%*s", GAP, "", bar, GAP, "", PAIR_WIDTH,
                             amounts->size, GAP, "", RATE_WIDTH, amounts->rate);
    }
    if (room >= GAP + PAIR_WIDTH + GAP + RATE_WIDTH)
        return cl_buf_printf(buf, "%*s%-*s%*s%*s", GAP, "", PAIR_WIDTH, amounts->size, GAP, "",
                             RATE_WIDTH, amounts->rate);
    if (room >= GAP + PAIR_WIDTH)
        return cl_buf_printf(buf, "%*s%s", GAP, "", amounts->size);
    return room < GAP + PERCENT_WIDTH
               ? 0
               : cl_buf_printf(buf, "%*s%*u%%", GAP, "", PERCENT_WIDTH - 1, percent_of(amounts));
}

/* --- layers ---------------------------------------------------------------------- */

/* "sha256:0123..." as people know it. */
static const char *short_digest(const char *digest)
{
    return strlen(digest) > SHA256_TEXT ? digest + SHA256_TEXT : "local";
}

static const char *word_of(const struct cl_pull_layer *layer, const struct cl_pull_view *view)
{
    const int all_came = !view->downloads || layer->came_bytes == layer->size_bytes;

    return layer->state == CL_PULL_RUNNING && all_came ? "unpacking" : words[layer->state];
}

static int add_running(const struct cl_pull_layer *layer, const struct cl_progress_layer *rate,
                       size_t room, struct cl_buf *buf)
{
    char size[CL_PROGRESS_PAIR_SIZE];
    char each[CL_SIZE_TEXT];
    char rate_text[CL_SIZE_TEXT + 8] = "";
    const struct amounts amounts = {layer->came_bytes, layer->size_bytes, size, rate_text};

    if (layer->came_bytes == layer->size_bytes && layer->unpacked_bytes > 0)
        (void)cl_size_about(layer->unpacked_bytes, size); /* of content, from now on */
    else
        (void)cl_progress_pair(layer->came_bytes, layer->size_bytes, size);
    if (rate->rate_bytes > 0 && layer->came_bytes < layer->size_bytes)
        (void)snprintf(rate_text, sizeof(rate_text), "%s/s", cl_size_about(rate->rate_bytes, each));
    return add_amounts(&amounts, room, buf);
}

static int add_layer(const struct cl_pull_view *view, size_t i,
                     const struct cl_progress_layer *rate, const struct cl_progress_screen *screen,
                     struct cl_buf *buf)
{
    const struct cl_pull_layer *layer = &view->layers[i];
    const int is_running = layer->state == CL_PULL_RUNNING;
    const size_t usable = screen->columns - 1; /* the last column can begin a new line */
    char left[LINE_SIZE];

    (void)snprintf(left, sizeof(left), "%-*.*s%*s%-*s", ID_WIDTH, ID_WIDTH,
                   short_digest(layer->digest), GAP, "", is_running ? WORD_WIDTH : 0,
                   word_of(layer, view));
    const size_t word = ID_WIDTH + GAP;
    if (is_running && usable < LEFT_WIDTH + GAP + PERCENT_WIDTH && usable >= word + PERCENT_WIDTH) {
        const struct amounts amounts = {layer->came_bytes, layer->size_bytes, "", ""};

        return cl_buf_printf(buf, "%.*s%*u%%" CLEAR_REST, (int)word, left, PERCENT_WIDTH - 1,
                             percent_of(&amounts)); /* it says more than the word */
    }
    if (usable < strlen(left))
        return cl_buf_printf(buf, "%.*s" CLEAR_REST, (int)usable, left);
    int r = screen->colour ? cl_buf_printf(buf, "%.*s%s%s\033[0m", (int)word, left,
                                           colours[layer->state], left + word)
                           : cl_buf_add_str(buf, left);
    if (r == 0 && is_running)
        r = add_running(layer, rate, usable - LEFT_WIDTH, buf);
    return r < 0 ? r : cl_buf_add_str(buf, CLEAR_REST);
}

static int is_at_work(const struct cl_pull_layer *layer)
{
    return layer->state == CL_PULL_RUNNING || layer->state == CL_PULL_WAITING;
}

static int add_others(const struct cl_pull_view *view, const struct cl_progress_screen *screen,
                      struct cl_buf *buf)
{
    char line[LINE_SIZE];
    size_t here = 0;

    for (size_t i = 0; i < view->count; i++)
        here += view->layers[i].state == CL_PULL_PRESENT || view->layers[i].state == CL_PULL_DONE;
    (void)snprintf(line, sizeof(line), "%zu of %zu layers are here", here, view->count);
    return cl_buf_printf(buf, "%.*s" CLEAR_REST, (int)cl_min_u64(screen->columns - 1, LINE_SIZE),
                         line);
}

int cl_progress_add_layers(const struct cl_pull_view *view, const struct cl_progress_layer *rates,
                           const struct cl_progress_screen *screen, struct cl_buf *buf)
{
    const size_t most = screen->rows - 1; /* the cursor has one for itself */
    const int fits = view->count <= most;
    int lines = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < view->count; i++) {
        if (!fits && (!is_at_work(&view->layers[i]) || (size_t)lines + 1 >= most))
            continue;
        r = add_layer(view, i, &rates[i], screen, buf);
        lines++;
    }
    if (r == 0 && !fits) {
        r = add_others(view, screen, buf);
        lines++;
    }
    return r < 0 ? r : lines;
}

int cl_progress_add_asking(const char *who, const struct cl_progress_screen *screen,
                           struct cl_buf *buf)
{
    char line[LINE_SIZE];

    (void)snprintf(line, sizeof(line), "asking %.*s ...", LINE_SIZE - 16, who);
    return cl_buf_printf(buf, "%.*s" CLEAR_REST, (int)cl_min_u64(screen->columns - 1, LINE_SIZE),
                         line);
}

int cl_progress_add_reading(const char *name, uint64_t bytes, uint64_t size_bytes,
                            const struct cl_progress_screen *screen, struct cl_buf *buf)
{
    const size_t usable = screen->columns - 1;
    char size[CL_PROGRESS_PAIR_SIZE];
    char left[LINE_SIZE];
    const struct amounts amounts = {bytes, size_bytes, size, ""};

    if (size_bytes > 0)
        (void)cl_progress_pair(bytes, size_bytes, size);
    else
        (void)cl_size_about(bytes, size);
    (void)snprintf(left, sizeof(left), "reading %.*s", LEFT_WIDTH - 8, name);
    if (size_bytes > 0 && usable < LEFT_WIDTH + GAP + PAIR_WIDTH && usable >= READING_LEAST) {
        const int width = (int)cl_min_u64(usable - GAP - PERCENT_WIDTH, LEFT_WIDTH);

        return cl_buf_printf(buf, "%-*.*s%*s%*u%%" CLEAR_REST, width, width, left, GAP, "",
                             PERCENT_WIDTH - 1, percent_of(&amounts));
    }
    if (usable < strlen(left) + GAP + strlen(size))
        return cl_buf_printf(buf, "%.*s" CLEAR_REST, (int)usable, left);
    int r = size_bytes == 0 || usable < LEFT_WIDTH
                ? cl_buf_printf(buf, "%s%*s%s", left, GAP, "", size)
                : cl_buf_printf(buf, "%-*s", LEFT_WIDTH, left);
    if (r == 0 && size_bytes > 0 && usable >= LEFT_WIDTH)
        r = add_amounts(&amounts, usable - LEFT_WIDTH, buf);
    return r < 0 ? r : cl_buf_add_str(buf, CLEAR_REST);
}
