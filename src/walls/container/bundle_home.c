/* The home of a uid, as a container's /etc/passwd has it. A stranger's file, read by a process that
 * may do no more than the command: a line at a time, and given up after a megabyte. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "limits/lines.h"
#include "walls/container/bundle.h"

enum { LINES_MOST = 10000, FIELDS = 7, UID_FIELD = 2, HOME_FIELD = 5 };

/* Field NUMBER of the line "name:password:uid:gid:gecos:home:shell", its size in *RET_SIZE; NULL
 * when there is none. */
static const char *find_field(const char *line, int number, size_t *ret_size)
{
    for (int i = 0; i < number; i++) {
        line = strchr(line, ':');
        if (line == NULL)
            return NULL;
        line++;
    }
    *ret_size = strcspn(line, ":");
    return line;
}

static int is_uid(const char *line, uint32_t uid)
{
    char wanted[16];
    size_t size = 0;
    const char *field = find_field(line, UID_FIELD, &size);

    (void)snprintf(wanted, sizeof(wanted), "%u", uid);
    return field != NULL && size == strlen(wanted) && memcmp(field, wanted, size) == 0;
}

/* What is no file of accounts that may be read is as if it weren't there. */
static int is_none(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EPERM || r == -ELOOP ||
           r == -ENXIO || r == -EBADMSG || r == -EFBIG;
}

int cl_bundle_find_home(uint32_t uid, char *ret, size_t size)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    struct cl_lines lines;
    struct stat st;
    const char *line;
    size_t length = 0;
    int r = fd < 0 ? fd : cl_sys_fstat(fd, &st);

    (void)snprintf(ret, size, "/");
    if (r < 0 || !S_ISREG(st.st_mode))
        return r == 0 || is_none(r) ? 0 : r;
    cl_lines_init(&lines, fd);
    for (int i = 0; i < LINES_MOST && (r = cl_lines_next(&lines, &line)) > 0; i++) {
        if (!is_uid(line, uid))
            continue;
        const char *home = find_field(line, HOME_FIELD, &length);
        if (home != NULL && home[0] == '/')
            (void)snprintf(ret, size, "%.*s", (int)length, home);
        return 0;
    }
    return r >= 0 || is_none(r) ? 0 : r;
}
