#include "cmd/cloister/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/num.h"

enum { BAR_WIDTH = 24, SHORT_DIGEST = 12, SHA256_TEXT = 7, EVENT_MAX = 4096 };

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
        .is_terminal = isatty(STDERR_FILENO),
        .started_ns = cl_clock_boot_ns(),
    };
}

/* "sha256:0123..." as people know it. */
static const char *short_digest(const char *digest)
{
    return strlen(digest) > SHA256_TEXT ? digest + SHA256_TEXT : "local";
}

static void format_size(uint64_t bytes, char ret[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    uint64_t tenths = bytes * 10;
    size_t unit = 0;

    while (tenths >= 10240 && unit + 1 < CL_ARRAY_SIZE(units)) {
        tenths /= 1024;
        unit++;
    }
    (void)snprintf(ret, 32, "%llu.%llu %s", (unsigned long long)(tenths / 10),
                   (unsigned long long)(tenths % 10), units[unit]);
}

/* --- a terminal ---------------------------------------------------------------- */

static const char *phase(const struct cl_pull_layer *layer)
{
    if (layer->state == CL_PULL_RUNNING && layer->came_bytes == layer->size_bytes)
        return "unpacking";
    return words[layer->state];
}

static void draw_bar(const struct cl_pull_layer *layer)
{
    char came[32];
    char size[32];
    char bar[BAR_WIDTH + 1];
    const uint64_t whole = cl_max_u64(layer->size_bytes, 1);
    const size_t filled = (size_t)(cl_min_u64(layer->came_bytes, whole) * BAR_WIDTH / whole);

    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '=', filled);
    bar[BAR_WIDTH] = '\0';
    format_size(layer->came_bytes, came);
    format_size(layer->size_bytes, size);
    (void)fprintf(stderr, "\r\033[K%.*s [%s] %s / %s %s\n", SHORT_DIGEST,
                  short_digest(layer->digest), bar, came, size, phase(layer));
}

static void draw(struct cl_progress *progress, const struct cl_pull_view *view)
{
    if (progress->drawn > 0)
        (void)fprintf(stderr, "\033[%zuA", progress->drawn);
    for (size_t i = 0; i < view->count; i++) {
        if (view->layers[i].state == CL_PULL_RUNNING)
            draw_bar(&view->layers[i]);
        else
            (void)fprintf(stderr, "\r\033[K%.*s %s\n", SHORT_DIGEST,
                          short_digest(view->layers[i].digest), words[view->layers[i].state]);
    }
    progress->drawn = view->count;
}

/* --- lines and events ------------------------------------------------------------ */

static void print_event(const struct cl_progress *progress, const struct cl_pull_layer *layer)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(EVENT_MAX);
    struct cl_json json;

    cl_json_begin(&json, &buf, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "image", progress->name);
    cl_json_string(&json, "layer", layer->digest);
    cl_json_string(&json, "state", event_words[layer->state]);
    cl_json_u64(&json, "size_bytes", layer->size_bytes);
    cl_json_u64(&json, "downloaded_bytes", layer->came_bytes);
    cl_json_u64(&json, "unpacked_bytes", layer->unpacked_bytes);
    cl_json_close(&json, '}');
    if (cl_json_end(&json) == 0) {
        (void)fputs(buf.data, stdout); /* a closed stdout is the caller's wish */
        (void)fflush(stdout);
    }
}

static void print_change(const struct cl_progress *progress, const struct cl_pull_layer *layer)
{
    char size[32];

    if (progress->how == CL_PROGRESS_JSON) {
        print_event(progress, layer);
        return;
    }
    format_size(layer->size_bytes, size);
    (void)fprintf(stderr, "%.*s: %s (%s)\n", SHORT_DIGEST, short_digest(layer->digest),
                  words[layer->state], size);
}

void cl_progress_show(void *context, const struct cl_pull_view *view)
{
    struct cl_progress *progress = context;

    if (progress->how == CL_PROGRESS_NONE)
        return;
    if (progress->how == CL_PROGRESS_AUTO && progress->is_terminal) {
        draw(progress, view);
        return;
    }
    for (size_t i = 0; i < view->count && i < CL_PROGRESS_LAYERS; i++) {
        const struct cl_pull_layer *layer = &view->layers[i];
        const int moves = progress->how == CL_PROGRESS_JSON && layer->state == CL_PULL_RUNNING;

        if (progress->states[i] != layer->state || moves)
            print_change(progress, layer);
        progress->states[i] = layer->state;
    }
}

void cl_progress_end(struct cl_progress *progress, const struct cl_pulled *pulled)
{
    const uint64_t tenths = (cl_clock_boot_ns() - progress->started_ns) / (CL_NS_PER_S / 10);

    if (progress->how != CL_PROGRESS_AUTO)
        return;
    if (pulled->was_there)
        (void)fprintf(stderr, "%s: up to date\n", progress->name);
    else
        (void)fprintf(stderr, "%s: ready after %llu.%llu s\n", progress->name,
                      (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10));
}
