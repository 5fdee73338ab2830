#include "cmd/cloister/left_out.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cloister/safe_text.h"

enum { SAID_MOST = 10, LINE_MAX_SIZE = 8192 };

static const char *reason(int why)
{
    if (why == 0)
        return "it is no file, directory or link";
    if (why == EXDEV)
        return "the link leads out of what is copied";
    return strerror(why); // NOLINT(concurrency-mt-unsafe): one thread
}

/* The path is the sandbox's: it may be anything, and is one line. */
static int add_path(struct cl_buf *line, const char *path)
{
    struct cl_safe_text text = {0};
    int r = 0;

    for (const char *at = path; r == 0;) {
        const size_t size = strcspn(at, "\n\t");

        r = cl_safe_text_add(&text, line, at, size);
        if (r == 0)
            r = cl_safe_text_end(&text, line);
        if (at[size] == '\0')
            break;
        if (r == 0)
            r = cl_buf_add(line, at[size] == '\n' ? "^J" : "^I", 2);
        at += size + 1;
        text = (struct cl_safe_text){0};
    }
    return r;
}

void cl_left_out_say(void *context, const char *path, int why)
{
    struct cl_left_out *left = context;
    CL_CLEANUP_BUF struct cl_buf line = CL_BUF_INIT(LINE_MAX_SIZE);

    left->count++;
    if (left->is_quiet || left->count > SAID_MOST)
        return;
    if (add_path(&line, path) == 0)
        (void)fprintf(stderr, "cloister: left out %.*s: %s\n", (int)line.size, line.data,
                      reason(why));
}

int cl_left_out_end(const struct cl_left_out *left, struct cl_error *err)
{
    if (left->count == 0)
        return 0;
    return cl_refuse(err, EIO, "%u of what is in %s %s not copied", left->count, left->top,
                     left->count == 1 ? "was" : "were");
}
