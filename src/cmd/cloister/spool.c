#include "cmd/cloister/spool.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

enum { BLOCK_SIZE = 128 << 10 };

/* One block: its size, 0 at the end. */
static ssize_t pass_block(const struct cl_store *store, int file, char *block, struct cl_error *err)
{
    ssize_t got;

    do {
        got = cl_sys_read(STDIN_FILENO, block, BLOCK_SIZE);
    } while (got == -EINTR);
    if (got < 0)
        return cl_fail(err, (int)got, "read standard input");
    int r = cl_write_all(file, block, (size_t)got);
    if (r < 0) {
        (void)cl_fail(err, r, "keep standard input in %s", store->path);
        return cl_store_hint(store, r, err);
    }
    return got;
}

int cl_spool_input(const struct cl_store *store, uint64_t max_bytes,
                   void (*show)(void *context, uint64_t bytes, uint64_t size_bytes), void *context,
                   struct cl_error *err)
{
    static char block[BLOCK_SIZE]; /* large */
    char most[CL_SIZE_TEXT];
    uint64_t bytes = 0;
    ssize_t got = 0;

    if (isatty(STDIN_FILENO))
        return cl_refuse(err, EINVAL, "standard input is a terminal; give it an archive");
    CL_CLEANUP_FD int file = cl_sys_openat(store->dir, "downloads", O_RDWR | O_TMPFILE, 0600);
    if (file < 0) {
        (void)cl_fail(err, file, "make a file in %s/downloads", store->path);
        return cl_store_hint(store, file, err);
    }
    while ((got = pass_block(store, file, block, err)) > 0) {
        bytes += (uint64_t)got;
        if (bytes > max_bytes)
            return cl_refuse(err, EFBIG,
                             "standard input has more than %s; --max-size raises the limit",
                             cl_size_text(max_bytes, most));
        show(context, bytes, 0);
    }
    return got < 0 ? (int)got : CL_TAKE_FD(file);
}
