#include "cmd/cloister/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/progress_bars.h"

enum {
    SHORT_DIGEST = 12,
    SHA256_TEXT = 7,
    EVENT_MAX = 16384,
    FRAME_MAX = 256 << 10,
    COLUMNS = 80, /* of a terminal that doesn't say */
    ROWS = 24,
    COLUMNS_MOST = 1000,
};
/* Frames and events, and what a rate is taken over. */
#define SHOW_EVERY_NS (80 * CL_NS_PER_MS)
#define RATE_EVERY_NS (500 * CL_NS_PER_MS)

static const char *const words[] = {
    [CL_PULL_QUEUED] = "waiting",      [CL_PULL_PRESENT] = "already here",
    [CL_PULL_RUNNING] = "downloading", [CL_PULL_WAITING] = "waiting for another pull",
    [CL_PULL_DONE] = "done",
};
static const char *const event_words[] = {
    [CL_PULL_QUEUED] = "queued",   [CL_PULL_PRESENT] = "present", [CL_PULL_RUNNING] = "running",
    [CL_PULL_WAITING] = "waiting", [CL_PULL_DONE] = "done",
};

void cl_progress_init(struct cl_progress *ret, const char *name, enum cl_progress_how how)
{
    *ret = (struct cl_progress){
        .name = name,
        .how = how,
        .is_terminal = cl_is_screen(STDERR_FILENO),
        .colour = cl_wants_colour(STDERR_FILENO),
        .started_ns = cl_clock_boot_ns(),
    };
}

/* --- a terminal ---------------------------------------------------------------- */

static struct cl_progress_screen screen_of(const struct cl_progress *progress)
{
    struct cl_progress_screen screen = {COLUMNS, ROWS, progress->colour};
    struct winsize size = {0};

    if (cl_sys_ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0)
        return screen;
    if (size.ws_col > 1)
        screen.columns = (size_t)cl_min_u64(size.ws_col, COLUMNS_MOST);
    if (size.ws_row > 1)
        screen.rows = size.ws_row;
    return screen;
}

/* LINES of FRAME over what was drawn last, in one write: nothing flickers. */
static void put_frame(struct cl_progress *progress, const struct cl_buf *frame, int lines)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(FRAME_MAX);
    int r = 0;

    if (lines < 0) /* no memory: then nothing is shown */
        return;
    if (progress->drawn > 0)
        r = cl_buf_printf(&buf, "\r\033[%zuA", progress->drawn);
    if (r == 0)
        r = cl_buf_add(&buf, frame->data, frame->size);
    if (r == 0 && (size_t)lines < progress->drawn)
        r = cl_buf_add_str(&buf, "\033[J"); /* what was below */
    if (r < 0)
        return;
    (void)cl_write_all(STDERR_FILENO, buf.data, buf.size); /* a closed one is the caller's wish */
    progress->drawn = (size_t)lines;
}

static void draw(struct cl_progress *progress, const struct cl_pull_view *view)
{
    CL_CLEANUP_BUF struct cl_buf frame = CL_BUF_INIT(FRAME_MAX);
    const struct cl_progress_screen screen = screen_of(progress);

    put_frame(progress, &frame, cl_progress_add_layers(view, progress->layers, &screen, &frame));
}

void cl_progress_read(void *context, uint64_t bytes, uint64_t size_bytes)
{
    CL_CLEANUP_BUF struct cl_buf frame = CL_BUF_INIT(FRAME_MAX);
    struct cl_progress *progress = context;
    const uint64_t now_ns = cl_clock_boot_ns();

    if (progress->how != CL_PROGRESS_AUTO || !progress->is_terminal ||
        now_ns - progress->shown_ns < SHOW_EVERY_NS)
        return;
    const struct cl_progress_screen screen = screen_of(progress);
    progress->shown_ns = now_ns;
    int r = cl_progress_add_reading(progress->name, bytes, size_bytes, &screen, &frame);
    put_frame(progress, &frame, r < 0 ? r : 1);
}

void cl_progress_asking(void *context, const char *who)
{
    CL_CLEANUP_BUF struct cl_buf frame = CL_BUF_INIT(FRAME_MAX);
    struct cl_progress *progress = context;

    if (progress->how != CL_PROGRESS_AUTO || !progress->is_terminal || progress->drawn > 0)
        return;
    const struct cl_progress_screen screen = screen_of(progress);
    int r = cl_progress_add_asking(who, &screen, &frame);
    put_frame(progress, &frame, r < 0 ? r : 1);
}

/* --- lines and events ------------------------------------------------------------ */

static void put_event(struct cl_json *json, struct cl_buf *buf)
{
    cl_json_close(json, '}');
    if (cl_json_end(json) < 0)
        return;                     /* no memory: this one is left out */
    (void)fputs(buf->data, stdout); /* a closed stdout is the caller's wish */
    (void)fflush(stdout);
}

static void print_layer_event(const struct cl_progress *progress, const struct cl_pull_layer *layer)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(EVENT_MAX);
    struct cl_json json;

    cl_json_begin(&json, &buf, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "event", "layer");
    cl_json_string(&json, "image", progress->name);
    cl_json_string(&json, "layer", layer->digest);
    cl_json_string(&json, "state", event_words[layer->state]);
    cl_json_u64(&json, "size_bytes", layer->size_bytes);
    cl_json_u64(&json, "read_bytes", layer->came_bytes);
    cl_json_u64(&json, "unpacked_bytes", layer->unpacked_bytes);
    put_event(&json, &buf);
}

static void print_line(const struct cl_pull_view *view, const struct cl_pull_layer *layer)
{
    const char *word = words[layer->state];
    const char *digest =
        strlen(layer->digest) > SHA256_TEXT ? layer->digest + SHA256_TEXT : "local";
    char size[CL_SIZE_TEXT];

    if (layer->state == CL_PULL_RUNNING && !view->downloads)
        word = "unpacking";
    (void)fprintf(stderr, "%.*s: %s (%s)\n", SHORT_DIGEST, digest, word,
                  cl_size_about(layer->size_bytes, size));
}

/* --- both -------------------------------------------------------------------------- */

static void take_rate(struct cl_progress_layer *last, const struct cl_pull_layer *layer,
                      uint64_t now_ns)
{
    const uint64_t passed_ns = now_ns - last->taken_ns;

    if (last->taken_ns != 0 && passed_ns < RATE_EVERY_NS)
        return;
    if (last->taken_ns != 0 && layer->came_bytes >= last->came_bytes) {
        const uint64_t rate =
            (layer->came_bytes - last->came_bytes) * 1000 / cl_max_u64(passed_ns / CL_NS_PER_MS, 1);

        last->rate_bytes = last->rate_bytes == 0 ? rate : (2 * last->rate_bytes + rate) / 3;
    }
    last->came_bytes = layer->came_bytes;
    last->taken_ns = now_ns;
}

/* True when a layer is in another state than it was shown in. */
static int note_states(struct cl_progress *progress, const struct cl_pull_view *view,
                       uint64_t now_ns)
{
    int changed = 0;

    for (size_t i = 0; i < view->count; i++) {
        const struct cl_pull_layer *layer = &view->layers[i];
        struct cl_progress_layer *last = &progress->layers[i];

        if (layer->state == CL_PULL_RUNNING)
            take_rate(last, layer, now_ns);
        changed |= last->state != layer->state;
    }
    return changed;
}

static void print_layers(struct cl_progress *progress, const struct cl_pull_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct cl_pull_layer *layer = &view->layers[i];
        const int changed = progress->layers[i].state != layer->state;

        if (progress->how == CL_PROGRESS_JSON && (changed || layer->state == CL_PULL_RUNNING))
            print_layer_event(progress, layer);
        else if (progress->how == CL_PROGRESS_AUTO && changed)
            print_line(view, layer);
    }
}

static void remember(struct cl_progress *progress, const struct cl_pull_view *view)
{
    progress->made = 0;
    progress->made_bytes = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct cl_pull_layer *layer = &view->layers[i];

        progress->layers[i].state = layer->state;
        if (layer->state != CL_PULL_DONE)
            continue;
        progress->made++;
        progress->made_bytes += layer->size_bytes;
    }
}

void cl_progress_show(void *context, const struct cl_pull_view *view)
{
    struct cl_progress *progress = context;
    const uint64_t now_ns = cl_clock_boot_ns();

    CL_ASSERT(view->count <= CL_PROGRESS_LAYERS);
    if (progress->how == CL_PROGRESS_NONE)
        return;
    const int changed = note_states(progress, view, now_ns);
    if (!changed && now_ns - progress->shown_ns < SHOW_EVERY_NS)
        return;
    if (progress->how == CL_PROGRESS_AUTO && progress->is_terminal)
        draw(progress, view);
    else
        print_layers(progress, view);
    progress->shown_ns = now_ns;
    remember(progress, view);
}

static void print_end_event(const struct cl_progress *progress, const struct cl_pulled *pulled)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(EVENT_MAX);
    char digest[CL_DIGEST_TEXT_SIZE];
    struct cl_json json;

    cl_json_begin(&json, &buf, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "event", "image");
    cl_json_string(&json, "image", progress->name);
    cl_json_string(&json, "digest", cl_digest_format(&pulled->digest, digest));
    cl_json_bool(&json, "was_there", pulled->was_there);
    put_event(&json, &buf);
}

static void say_was_there(const struct cl_progress *progress)
{
    static const char *const told[] = {
        [CL_NAME_ITS] = "up to date",
        [CL_NAME_NEW] = "named now; the image was here",
        [CL_NAME_ANOTHERS] = "named now, was another image's",
    };

    if (!progress->only_news || progress->before != CL_NAME_ITS)
        (void)fprintf(stderr, "%s: %s\n", progress->name, told[progress->before]);
}

void cl_progress_end(struct cl_progress *progress, const struct cl_pulled *pulled)
{
    const uint64_t tenths = (cl_clock_boot_ns() - progress->started_ns) / (CL_NS_PER_S / 10);
    char size[CL_SIZE_TEXT];

    if (progress->how == CL_PROGRESS_JSON)
        print_end_event(progress, pulled);
    if (progress->how != CL_PROGRESS_AUTO)
        return;
    if (pulled->was_there)
        say_was_there(progress);
    else if (progress->made == 0)
        (void)fprintf(stderr, "%s: ready, all its layers were here\n", progress->name);
    else
        (void)fprintf(stderr, "%s: ready after %llu.%llu s (%s in %zu layer%s)\n", progress->name,
                      (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10),
                      cl_size_about(progress->made_bytes, size), progress->made,
                      progress->made == 1 ? "" : "s");
}
