/* wasi.c - a guest's state: made, waited for, ended. */
#include "wasi/wasi.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "wasi/rights.h"
#include "wasi/state.h"

/* Numbers and sizes of strings are 32 bits of the guest's; less than this is more than enough. */
enum { MAX_STRINGS_BYTES = 1 << 26 };

/* --- strings ------------------------------------------------------------------------------- */

static int copy_strings(const char *const *strings, const char *what, struct cl_wasi_strings *ret,
                        struct cl_error *err)
{
    size_t count = 0;
    size_t size = 0;

    for (; strings != NULL && strings[count] != NULL; count++) {
        const size_t length = strlen(strings[count]) + 1;

        if (length > MAX_STRINGS_BYTES - size)
            return cl_refuse(err, E2BIG, "the %s has more than %d bytes", what, MAX_STRINGS_BYTES);
        size += length;
    }
    char *at = cl_calloc(1, size + 1);
    if (at == NULL)
        return cl_fail_memory(err);
    /* each has a byte at least */
    *ret = (struct cl_wasi_strings){.data = at, .size = (uint32_t)size, .count = (uint32_t)count};
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(strings[i]) + 1;

        memcpy(at, strings[i], length);
        at += length;
    }
    return 0;
}

/* One after the other: a descriptor's name lies there. */
static int copy_names(struct cl_wasi *wasi, const struct cl_wasi_setup *setup, struct cl_error *err)
{
    size_t size = 1;

    for (size_t i = 0; i < setup->preopen_count; i++)
        size += strlen(setup->preopens[i].name) + 1;
    char *at = cl_calloc(1, size);
    wasi->names = at;
    if (at == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < setup->preopen_count; i++) {
        const size_t length = strlen(setup->preopens[i].name) + 1;

        memcpy(at, setup->preopens[i].name, length);
        wasi->descriptors[3 + i].preopen = at;
        at += length;
    }
    return 0;
}

/* --- what it begins with ------------------------------------------------------------------- */

/* Reads, writes or both, as the host's description does. Never blocks from now on. */
static int open_stream(struct cl_wasi_descriptor *descriptor, struct cl_error *err)
{
    int r = cl_wasi_describe(descriptor);
    int flags = r < 0 ? r : cl_sys_fcntl(descriptor->host, F_GETFL, 0);

    if (flags >= 0)
        r = cl_sys_fcntl(descriptor->host, F_SETFL, flags | O_NONBLOCK);
    if (flags < 0 || r < 0)
        return cl_fail(err, flags < 0 ? flags : r, "take the guest's stream %d",
                       descriptor->stream);
    if (descriptor->type == CL_WASI_TYPE_DIRECTORY)
        return cl_refuse(err, EISDIR, "the guest's stream %d is a directory", descriptor->stream);
    descriptor->base = cl_wasi_rights_that_apply(descriptor);
    if ((flags & O_ACCMODE) == O_RDONLY)
        descriptor->base &= ~(CL_WASI_RIGHT_FD_WRITE | CL_WASI_RIGHT_FD_ALLOCATE |
                              CL_WASI_RIGHT_FD_FILESTAT_SET_SIZE);
    if ((flags & O_ACCMODE) == O_WRONLY)
        descriptor->base &= ~CL_WASI_RIGHT_FD_READ;
    if ((flags & O_APPEND) != 0)
        descriptor->flags = CL_WASI_APPEND;
    return 0;
}

static void open_null(struct cl_wasi_descriptor *descriptor)
{
    descriptor->type = CL_WASI_TYPE_CHARACTER_DEVICE;
    descriptor->base = cl_wasi_rights_that_apply(descriptor);
}

static int open_preopen(struct cl_wasi_descriptor *descriptor,
                        const struct cl_wasi_preopen *preopen, struct cl_error *err)
{
    int r = cl_wasi_describe(descriptor);
    int flags = r < 0 ? r : cl_sys_fcntl(descriptor->host, F_GETFL, 0);

    if (flags < 0)
        return cl_fail(err, flags, "take the guest's directory %s", preopen->name);
    if (descriptor->type != CL_WASI_TYPE_DIRECTORY)
        return cl_refuse(err, ENOTDIR, "the guest's directory %s is none", preopen->name);
    descriptor->is_path = (flags & O_PATH) != 0;
    descriptor->base = cl_wasi_rights_of_directories;
    descriptor->inheriting = cl_wasi_rights_inherited;
    if (preopen->is_read_only) {
        descriptor->base &= ~cl_wasi_rights_to_write;
        descriptor->inheriting &= ~cl_wasi_rights_to_write;
    }
    return 0;
}

static int open_all(struct cl_wasi *wasi, const struct cl_wasi_setup *setup, struct cl_error *err)
{
    int r = 0;

    for (uint32_t i = 0; i < 3 && r == 0; i++) {
        struct cl_wasi_descriptor *descriptor = &wasi->descriptors[i];

        descriptor->stream = (int)i;
        if (descriptor->host < 0)
            open_null(descriptor);
        else
            r = open_stream(descriptor, err);
    }
    for (size_t i = 0; i < setup->preopen_count && r == 0; i++)
        r = open_preopen(&wasi->descriptors[3 + i], &setup->preopens[i], err);
    return r;
}

static int take_descriptors(struct cl_wasi *wasi, const struct cl_wasi_setup *setup)
{
    const size_t count = 3 + setup->preopen_count;

    wasi->descriptors = cl_calloc(count, sizeof(*wasi->descriptors));
    if (wasi->descriptors == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        wasi->descriptors[i] = (struct cl_wasi_descriptor){
            .is_open = 1,
            .host = i < 3 ? setup->streams[i] : setup->preopens[i - 3].directory,
        };
    wasi->room = (uint32_t)count;
    wasi->lowest_free = (uint32_t)count;
    wasi->max_descriptors = setup->max_descriptors;
    wasi->max_output_bytes = setup->max_output_bytes;
    wasi->max_transfer_bytes = setup->max_transfer_bytes;
    return 0;
}

/* What cl_wasi_new takes goes, where nothing could take it yet. */
static void drop_setup(const struct cl_wasi_setup *setup)
{
    for (size_t i = 0; i < 3; i++) {
        int fd = setup->streams[i];

        cl_fd_close(&fd);
    }
    for (size_t i = 0; i < setup->preopen_count; i++) {
        int fd = setup->preopens[i].directory;

        cl_fd_close(&fd);
    }
}

static int fill(struct cl_wasi *wasi, const struct cl_wasi_setup *setup, struct cl_error *err)
{
    int r = copy_strings(setup->argv, "command line", &wasi->arguments, err);

    if (r == 0)
        r = copy_strings(setup->envp, "environment", &wasi->environment, err);
    if (r == 0)
        r = copy_names(wasi, setup, err);
    return r < 0 ? r : open_all(wasi, setup, err);
}

int cl_wasi_new(const struct cl_wasi_setup *setup, struct cl_wasi **ret_wasi, struct cl_error *err)
{
    if (setup->max_descriptors > INT32_MAX || setup->max_descriptors < 3 ||
        setup->preopen_count > setup->max_descriptors - 3) {
        drop_setup(setup);
        return cl_refuse(err, EINVAL, "%zu directories and 3 streams are not within %u descriptors",
                         setup->preopen_count, setup->max_descriptors);
    }
    struct cl_wasi *wasi = cl_calloc(1, sizeof(*wasi));
    if (wasi == NULL || take_descriptors(wasi, setup) < 0) {
        drop_setup(setup);
        free(wasi);
        return cl_fail_memory(err);
    }
    int r = fill(wasi, setup, err);
    if (r < 0) {
        cl_wasi_free(wasi);
        return r;
    }
    *ret_wasi = wasi;
    return 0;
}

void cl_wasi_free(struct cl_wasi *wasi)
{
    if (wasi == NULL)
        return;
    free(wasi->arguments.data);
    free(wasi->environment.data);
    free(wasi->names);
    free(wasi->polled);
    struct cl_wasi_descriptor *descriptors = wasi->descriptors;
    for (uint32_t i = 0; i < wasi->room; i++)
        cl_wasi_close(&descriptors[i]);
    free(descriptors);
    free(wasi);
}

/* --- what it tells ------------------------------------------------------------------------- */

const struct cl_wasi_wait *cl_wasi_waits_for(const struct cl_wasi *wasi)
{
    return &wasi->wait;
}

uint32_t cl_wasi_exit_code(const struct cl_wasi *wasi)
{
    return wasi->exit_code;
}

uint64_t cl_wasi_written(const struct cl_wasi *wasi, int stream)
{
    CL_ASSERT(stream == 1 || stream == 2);
    return wasi->written[stream];
}

void cl_wasi_say(const struct cl_wasi *wasi, const char *text)
{
    for (uint32_t i = 0; i < wasi->room; i++) {
        const struct cl_wasi_descriptor *descriptor = &wasi->descriptors[i];

        if (!descriptor->is_open || descriptor->stream != STDERR_FILENO || descriptor->host < 0)
            continue;
        (void)cl_sys_write(descriptor->host, text, strlen(text)); /* nobody waits for it */
        return;
    }
}

int cl_wasi_has_walked(const struct cl_wasi *wasi)
{
    return wasi->has_walked;
}

/* --- waiting ------------------------------------------------------------------------------- */

uint32_t cl_wasi_would_block(struct cl_wasi *wasi, const struct cl_wasi_descriptor *descriptor,
                             short events)
{
    if ((descriptor->flags & CL_WASI_NONBLOCK) != 0)
        return CL_WASI_AGAIN;
    wasi->one = (struct pollfd){.fd = descriptor->host, .events = events};
    wasi->wait = (struct cl_wasi_wait){.fds = &wasi->one, .count = 1, .deadline_ns = UINT64_MAX};
    return CL_WASI_WAITS;
}

int cl_wasi_is_again(const struct cl_wasi_continued *continued, const uint64_t *arguments,
                     size_t count)
{
    return continued->is_waiting &&
           memcmp(continued->arguments, arguments, count * sizeof(*arguments)) == 0;
}

void cl_wasi_go_on_later(struct cl_wasi_continued *continued, const uint64_t *arguments,
                         size_t count)
{
    CL_ASSERT(count <= CL_ARRAY_SIZE(continued->arguments));
    continued->is_waiting = 1;
    memcpy(continued->arguments, arguments, count * sizeof(*arguments));
}
