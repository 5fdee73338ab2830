#include "sandbox/still.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

enum {
    PIDS_MAX = 64 << 20, /* 4 bytes for each */
    CHILDREN_MAX = 64 << 20,
    TEXT_SIZE = 1024, /* of stat; the state is within it, whatever the process's name */
};

struct look {
    struct cl_buf todo; /* int32_t: processes that have not been looked at */
    size_t at;
    struct cl_buf text;
};

static int add(struct look *look, int32_t pid)
{
    return cl_buf_add(&look->todo, &pid, sizeof(pid));
}

/* Those that FILE, a thread's list "12 13 ", has. A thread that is gone has none. */
static int add_children(struct look *look, int task, const char *file)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(task, file, O_RDONLY, 0);
    struct cl_error unused = {0};
    uint64_t pid;

    look->text.size = 0;
    if (fd < 0 || cl_read_all(fd, "children", &look->text, &unused) < 0 || look->text.size == 0)
        return fd == -EMFILE || fd == -ENFILE ? fd : 0;
    for (char *word = look->text.data; *word != '\0';) {
        const size_t size = strcspn(word, " ");

        if (word[size] == '\0')
            break; /* each is followed by a blank */
        word[size] = '\0';
        if (cl_parse_u64(word, &pid) == 0 && pid <= INT32_MAX && add(look, (int32_t)pid) < 0)
            return -ENOMEM;
        word += size + 1;
    }
    return 0;
}

/* "12 (name) S ...", and the name may be anything. One that is gone stands still. */
static int is_still(int task, const char *file)
{
    char text[TEXT_SIZE];
    CL_CLEANUP_FD int fd = cl_sys_openat(task, file, O_RDONLY, 0);
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, text, sizeof(text) - 1);

    if (got < 0)
        return got == -ENOENT || got == -ESRCH ? 1 : (int)got;
    text[got] = '\0';
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL || name_end[1] != ' ' || name_end[2] == '\0')
        return -EBADMSG;
    return strchr("TtXZD", name_end[2]) != NULL;
}

/* All threads of PID: 1, 0 or -errno. Of IS_INIT the children alone count. */
static int look_at(struct look *look, int32_t pid, int is_init)
{
    struct cl_dir entries;
    const char *thread;
    char path[300];
    int r = 1;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid); /* 10 digits fit */
    CL_CLEANUP_FD int task = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (task < 0)
        return is_init || (task != -ENOENT && task != -ESRCH) ? task : 1;
    cl_dir_start(&entries, task);
    while (r == 1 && cl_dir_next(&entries, &thread, NULL) > 0) {
        (void)snprintf(path, sizeof(path), "%.255s/stat", thread);
        if (!is_init)
            r = is_still(task, path);
        (void)snprintf(path, sizeof(path), "%.255s/children", thread);
        if (r == 1 && add_children(look, task, path) < 0)
            r = -ENOMEM;
    }
    return r;
}

static void look_done(struct look *look)
{
    cl_buf_done(&look->todo);
    cl_buf_done(&look->text);
}

int cl_still_look(int32_t init)
{
    CL_CLEANUP(look_done)
    struct look look = {.todo = CL_BUF_INIT(PIDS_MAX), .text = CL_BUF_INIT(CHILDREN_MAX)};
    int r = look_at(&look, init, 1);

    while (r == 1 && look.at < look.todo.size) {
        int32_t pid;

        memcpy(&pid, look.todo.data + look.at, sizeof(pid));
        look.at += sizeof(pid);
        r = look_at(&look, pid, 0);
    }
    return r;
}
