#include "limits/resctrl.h"

#include <ctype.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/sys.h"

static const char mount_path[] = "/sys/fs/resctrl";
static const char field[] = "linux.intelRdt";

enum { MAX_NAME = 255, MAX_SCHEMATA = 64 << 10, PATH_SIZE = 600 };

/* --- what is asked -----------------------------------------------------------------------------
 */

static const char *value_of(const struct cl_strlist *pairs, const char *key)
{
    for (size_t i = 0; i + 1 < pairs->count; i += 2) {
        if (strcmp(pairs->items[i], key) == 0)
            return pairs->items[i + 1];
    }
    return NULL;
}

/* A directory directly below the mount, and none of the file system's own. */
static int is_class(const char *name)
{
    static const char *const reserved[] = {".", "..", "info", "mon_groups", "mon_data"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(reserved); i++) {
        if (strcmp(name, reserved[i]) == 0)
            return 0;
    }
    return name[0] != '\0' && strlen(name) <= MAX_NAME && strpbrk(name, "/\n") == NULL;
}

static int is_true(const char *value)
{
    return value != NULL && strcmp(value, "true") == 0;
}

int cl_resctrl_read(int top, const struct cl_spec *spec, const char *id, struct cl_resctrl *ret,
                    struct cl_error *err)
{
    const struct cl_strlist *pairs = &spec->intel_rdt;
    const char *clos = value_of(pairs, "closID");

    *ret = (struct cl_resctrl){
        .top = top,
        .name = clos != NULL ? clos : id,
        .id = id,
        .l3 = value_of(pairs, "l3CacheSchema"),
        .bandwidth = value_of(pairs, "memBwSchema"),
        .is_own = clos == NULL,
        .is_monitored =
            is_true(value_of(pairs, "enableCMT")) || is_true(value_of(pairs, "enableMBM")),
    };
    if (is_class(ret->name))
        return 0;
    return cl_refuse(err, EINVAL, "%s.closID: \"%.100s\" can't be the name of a class", field,
                     ret->name);
}

int cl_resctrl_open(struct cl_error *err)
{
    CL_CLEANUP_FD int top = cl_sys_openat(AT_FDCWD, mount_path, O_PATH | O_DIRECTORY, 0);
    struct statfs about;
    int r = top < 0 ? top : cl_sys_fstatfs(top, &about);

    if (r >= 0 && about.f_type != RDTGROUP_SUPER_MAGIC)
        r = -ENOENT;
    if (r < 0)
        return cl_refuse(err, ENOTSUP,
                         "%s: no resctrl file system is at %s; mount -t resctrl resctrl %s, where "
                         "the processor has it",
                         field, mount_path, mount_path);
    return CL_TAKE_FD(top);
}

void cl_resctrl_close(struct cl_resctrl *resctrl)
{
    cl_fd_close(&resctrl->top);
}

/* --- schemata ----------------------------------------------------------------------------------
 */

/* The kernel writes leading zeros and blanks, and people don't. */
static const char *skip_padding(const char *text, int is_value)
{
    while (*text == ' ' || (is_value && *text == '0' && isxdigit((unsigned char)text[1])))
        text++;
    return text;
}

static int same_line(const char *a, const char *b)
{
    int is_value = 0;

    for (;;) {
        a = skip_padding(a, is_value);
        b = skip_padding(b, is_value);
        const int a_ends = *a == '\0' || *a == '\n';
        if (a_ends || *b == '\0' || *b == '\n')
            return a_ends && (*b == '\0' || *b == '\n');
        if (*a != *b)
            return 0;
        is_value = *a == '=' || *a == ':' || *a == ';';
        a++;
        b++;
    }
}

static int has_line(const char *text, const char *line)
{
    while (text != NULL && *text != '\0') {
        if (same_line(text, line))
            return 1;
        text = strchr(text, '\n');
        if (text != NULL)
            text++;
    }
    return 0;
}

static int check_schema(const char *there, const char *lines, const char *key, const char *name,
                        struct cl_error *err)
{
    for (const char *line = lines; line != NULL && *line != '\0';) {
        if (*line != '\n' && !has_line(there, line))
            return cl_refuse(err, EINVAL, "%s.%s: the class %s is there, and is another: %.*s",
                             field, key, name, (int)strcspn(there, "\n"), there);
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return 0;
}

static int check_there(const struct cl_resctrl *resctrl, int dir, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf there = CL_BUF_INIT(MAX_SCHEMATA);
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, "schemata", O_RDONLY, 0);
    int r = fd < 0 ? cl_fail(err, fd, "%s: open schemata of %s", field, resctrl->name)
                   : cl_read_all(fd, "schemata", &there, err);

    if (r == 0)
        r = cl_buf_add(&there, "", 1) < 0 ? cl_fail_memory(err) : 0;
    if (r == 0)
        r = check_schema(there.data, resctrl->l3, "l3CacheSchema", resctrl->name, err);
    if (r == 0)
        r = check_schema(there.data, resctrl->bandwidth, "memBwSchema", resctrl->name, err);
    return r;
}

static int write_schema(int dir, const char *lines, const char *key, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(MAX_SCHEMATA);

    if (lines == NULL)
        return 0;
    int r = cl_buf_printf(&text, "%s\n", lines);
    if (r == 0)
        r = cl_write_file(dir, "schemata", text.data);
    return r < 0 ? cl_fail(err, r, "%s.%s: write \"%.100s\"", field, key, lines) : 0;
}

/* --- classes and monitors ----------------------------------------------------------------------
 */

static void monitor_path(const struct cl_resctrl *resctrl, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%.255s/mon_groups/%.255s", resctrl->name, resctrl->id);
}

static int make_monitor(const struct cl_resctrl *resctrl, struct cl_error *err)
{
    char path[PATH_SIZE];

    if (!resctrl->is_monitored)
        return 0;
    if (!is_class(resctrl->id))
        return cl_refuse(err, EINVAL, "%s.enableCMT: \"%.100s\" can't be the name of a group",
                         field, resctrl->id);
    monitor_path(resctrl, path);
    int r = cl_sys_mkdirat(resctrl->top, path, 0755);
    return r < 0 ? cl_fail(err, r, "%s.enableCMT: make %s", field, path) : 0;
}

static int fill(const struct cl_resctrl *resctrl, int is_new, struct cl_error *err)
{
    CL_CLEANUP_FD int dir = cl_open_no_links(resctrl->top, resctrl->name, O_PATH | O_DIRECTORY);

    if (dir < 0)
        return cl_fail(err, dir, "%s: open the class %s", field, resctrl->name);
    if (!is_new)
        return check_there(resctrl, dir, err);
    int r = write_schema(dir, resctrl->l3, "l3CacheSchema", err);
    return r < 0 ? r : write_schema(dir, resctrl->bandwidth, "memBwSchema", err);
}

int cl_resctrl_make(const struct cl_resctrl *resctrl, struct cl_error *err)
{
    const int may_make = resctrl->is_own || resctrl->l3 != NULL || resctrl->bandwidth != NULL;

    if (resctrl->top < 0)
        return 0;
    int r = may_make ? cl_sys_mkdirat(resctrl->top, resctrl->name, 0755) : -EEXIST;
    const int is_new = r >= 0;
    if (r == -ENOSPC)
        return cl_fail(err, r, "%s: this processor has no class left for %s", field, resctrl->name);
    if (r < 0 && (r != -EEXIST || resctrl->is_own)) /* one that is there is somebody else's */
        return cl_fail(err, r, "%s: make the class %s", field, resctrl->name);
    r = fill(resctrl, is_new, err);
    if (r == 0)
        r = make_monitor(resctrl, err);
    if (r < 0 && is_new)
        (void)cl_sys_unlinkat(resctrl->top, resctrl->name, AT_REMOVEDIR); /* what failed is said */
    return r;
}

static int join(const struct cl_resctrl *resctrl, const char *group, int pid, struct cl_error *err)
{
    char path[PATH_SIZE + sizeof("/tasks")];
    char text[16];

    (void)snprintf(path, sizeof(path), "%s/tasks", group);
    (void)snprintf(text, sizeof(text), "%d", pid);
    int r = cl_write_file(resctrl->top, path, text);
    return r < 0 ? cl_fail(err, r, "%s: write %s to %s", field, text, path) : 0;
}

int cl_resctrl_join(const struct cl_resctrl *resctrl, int pid, struct cl_error *err)
{
    char path[PATH_SIZE];

    if (resctrl->top < 0)
        return 0;
    int r = join(resctrl, resctrl->name, pid, err);
    if (r < 0 || !resctrl->is_monitored)
        return r;
    monitor_path(resctrl, path);
    return join(resctrl, path, pid, err);
}

int cl_resctrl_remove(const struct cl_resctrl *resctrl, struct cl_error *err)
{
    char path[PATH_SIZE];
    int r = 0;

    if (resctrl->top < 0)
        return 0;
    if (resctrl->is_monitored) {
        monitor_path(resctrl, path);
        r = cl_sys_unlinkat(resctrl->top, path, AT_REMOVEDIR);
    }
    if (resctrl->is_own && (r == 0 || r == -ENOENT))
        r = cl_sys_unlinkat(resctrl->top, resctrl->name, AT_REMOVEDIR);
    return r < 0 && r != -ENOENT ? cl_fail(err, r, "%s: remove the class %s", field, resctrl->name)
                                 : 0;
}
