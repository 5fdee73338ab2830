/* A program of the engine's that takes a container's output: "binary:///path?word=value". It gets
 * the streams on descriptors 3 and 4, and on 5 what it closes when it is ready, which nobody waits
 * for: pipes keep what is written before.
 * Source: containerd, core/runtime/v2/README.md, "Logging".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"

enum { WORDS_MOST = 32, URI_MOST = 4096, READY = 5 };

struct words {
    char text[URI_MOST]; /* the URI behind its scheme, taken apart */
    char *argv[WORDS_MOST + 1];
    size_t count;
};

static int digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    const int value = at == NULL ? -1 : (int)(at - digits);

    return value < 16 ? value : value - 6;
}

/* What "%2F" at AT stands for; -EINVAL, also for NUL. */
static int unescape(const char *at)
{
    const int high = digit(at[1]);
    const int low = high < 0 ? -1 : digit(at[2]);
    const int value = 16 * high + low;

    return low < 0 || value == 0 ? -EINVAL : value;
}

/* Puts what escapes and "+" stand for in their place (RFC 3986; a query as HTML forms have it). */
static int decode(char *text, int is_query)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        int value = (unsigned char)*from;

        if (value == '%') {
            value = unescape(from);
            from += 2;
        } else if (value == '+' && is_query) {
            value = ' ';
        }
        if (value == -EINVAL)
            return value;
        *to++ = (char)value;
    }
    *to = '\0';
    return 0;
}

static int add_word(struct words *words, char *text)
{
    if (words->count == WORDS_MOST)
        return -E2BIG;
    words->argv[words->count++] = text;
    return decode(text, words->count > 1);
}

/* "path?word=value&word" are the words path, word, value, word. */
static int take_apart(struct words *words)
{
    char *at = strchr(words->text, '?');

    if (at != NULL)
        *at++ = '\0';
    int r = add_word(words, words->text);
    while (r == 0 && at != NULL && *at != '\0') {
        char *word = at;
        char *value;

        at = strchr(word, '&');
        if (at != NULL)
            *at++ = '\0';
        value = strchr(word, '=');
        if (value != NULL)
            *value++ = '\0';
        r = add_word(words, word);
        if (r == 0 && value != NULL && *value != '\0')
            r = add_word(words, value);
    }
    return r;
}

static int read_uri(const char *uri, struct words *ret, struct cl_error *err)
{
    int r =
        snprintf(ret->text, sizeof(ret->text), "%s", uri) >= (int)sizeof(ret->text) ? -E2BIG : 0;

    if (r == 0)
        r = take_apart(ret);
    if (r == 0 && ret->text[0] != '/')
        r = -EINVAL;
    return r < 0 ? cl_refuse(err, -r, "binary://%.100s is no program's path with words", uri) : 0;
}

static int start(const struct words *words, const struct cl_shim_process *process,
                 const int fds[READY + 1], struct cl_error *err)
{
    char id[CL_SHIM_ID_MOST + 16];
    char space[CL_SHIM_ID_MOST + 32];
    char *const environment[] = {id, space, NULL};
    struct cl_child child = CL_CHILD_INIT;
    const struct cl_child_start how = {.path = words->argv[0],
                                       .argv = words->argv,
                                       .envp = environment,
                                       .fds = fds,
                                       .fd_count = READY + 1,
                                       .cwd = -1};

    (void)snprintf(id, sizeof(id), "CONTAINER_ID=%s", process->task->id);
    (void)snprintf(space, sizeof(space), "CONTAINER_NAMESPACE=%s",
                   process->task->shim->options->space);
    int r = cl_child_start(&how, &child, err);
    if (r < 0)
        return r;
    cl_fd_close(&child.pidfd); /* SIGCHLD tells of its end */
    return child.pid;
}

/* The end that is ours is the second: it may be full, and doesn't block. */
static int make_pipe(int ret[2], struct cl_error *err)
{
    int r = cl_sys_pipe2(ret, 0);

    if (r == 0)
        r = cl_sys_fcntl(ret[1], F_SETFL, O_NONBLOCK);
    return r < 0 ? cl_fail(err, r, "make a pipe for a logger") : 0;
}

int cl_shim_logger_start(struct cl_shim_process *process, const char *uri, struct cl_error *err)
{
    struct cl_shim_streams *streams = &process->streams;
    static struct words words; /* large */
    int ends[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    int r;

    words = (struct words){.count = 0};
    r = read_uri(uri, &words, err);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(ends); i++)
        r = make_pipe(ends[i], err);
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    if (r == 0 && null < 0)
        r = cl_fail(err, null, "open /dev/null");
    if (r == 0) {
        const int fds[] = {null, null, null, ends[0][0], ends[1][0], ends[2][1]};

        r = start(&words, process, fds, err);
    }
    if (r > 0) {
        streams->logger = r;
        streams->outer[CL_SHIM_OUT] = CL_TAKE_FD(ends[0][1]);
        streams->outer[CL_SHIM_ERR] = CL_TAKE_FD(ends[1][1]);
        streams->ready = CL_TAKE_FD(ends[2][0]);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(ends); i++) {
        cl_fd_close(&ends[i][0]);
        cl_fd_close(&ends[i][1]);
    }
    return r < 0 ? r : 0;
}
