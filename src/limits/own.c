#include "limits/own.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "limits/lines.h"

static const char proc_file[] = "/proc/self/cgroup";

static const char *const controller_names[CL_CONTROLLER_COUNT] = {
    [CL_CONTROLLER_MEMORY] = "memory",
    [CL_CONTROLLER_PIDS] = "pids",
    [CL_CONTROLLER_CPUACCT] = "cpuacct",
    [CL_CONTROLLER_CPU] = "cpu",
};

const char *cl_controller_name(enum cl_controller controller)
{
    CL_ASSERT(controller < CL_CONTROLLER_COUNT);
    return controller_names[controller];
}

static int is_dots(const char *component)
{
    return strncmp(component, "..", 2) == 0 && (component[2] == '/' || component[2] == '\0');
}

int cl_own_path_check(const char *path, struct cl_error *err)
{
    if (path[0] != '/')
        return cl_refuse(err, EBADMSG, "%s has a path that is not absolute", proc_file);
    for (const char *slash = path; slash != NULL; slash = strchr(slash + 1, '/')) {
        if (is_dots(slash + 1))
            return cl_refuse(err, EXDEV,
                             "the cgroup of this process, %.200s, is outside its cgroup namespace",
                             path);
    }
    return 0;
}

/* Keeps a copy of PATH. */
static int keep_path(struct cl_own_cgroups *own, const char *path, const char **ret,
                     struct cl_error *err)
{
    size_t size = strlen(path) + 1;
    int r = cl_own_path_check(path, err);

    if (r < 0)
        return r;
    if (size > sizeof(own->text) - own->used)
        return cl_refuse(err, ENAMETOOLONG, "the cgroup paths in %s are longer than %zu bytes",
                         proc_file, sizeof(own->text));
    memcpy(own->text + own->used, path, size);
    *ret = own->text + own->used;
    own->used += size;
    return 0;
}

/* The bits of our controllers in the comma list LIST of SIZE bytes. */
static unsigned int find_controllers(const char *list, size_t size)
{
    unsigned int found = 0;
    const char *end = list + size;

    while (list <= end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        size_t length = (size_t)((comma != NULL ? comma : end) - list);

        for (size_t i = 0; i < CL_CONTROLLER_COUNT; i++) {
            if (strlen(controller_names[i]) == length &&
                memcmp(controller_names[i], list, length) == 0)
                found |= CL_CONTROLLER_BIT(i);
        }
        list += length + 1;
    }
    return found;
}

static int bad_line(const char *line, struct cl_error *err)
{
    return cl_refuse(err, EBADMSG, "%s has a line that can't be understood: %.200s", proc_file,
                     line);
}

/* A line of a v1 hierarchy that has CONTROLLERS of ours. */
struct v1_line {
    const char *text;
    uint32_t hierarchy;
    unsigned int controllers;
    const char *path;
};

static int take_v1(struct cl_own_cgroups *own, const struct v1_line *line, struct cl_error *err)
{
    const char *kept = NULL;
    int r;

    for (size_t i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if (own->v1[i].path != NULL && ((line->controllers & CL_CONTROLLER_BIT(i)) != 0 ||
                                        own->v1[i].hierarchy == line->hierarchy))
            return bad_line(line->text, err);
    }
    r = keep_path(own, line->path, &kept, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if ((line->controllers & CL_CONTROLLER_BIT(i)) == 0)
            continue;
        own->v1[i].path = kept;
        own->v1[i].hierarchy = line->hierarchy;
    }
    return 0;
}

static int take_v2(struct cl_own_cgroups *own, const char *line, const char *path,
                   struct cl_error *err)
{
    return own->v2 != NULL ? bad_line(line, err) : keep_path(own, path, &own->v2, err);
}

int cl_own_line_parse(const char *line, struct cl_own_line *ret, struct cl_error *err)
{
    char number[12];
    uint64_t hierarchy;
    const char *list = strchr(line, ':');
    const char *path = list != NULL ? strchr(list + 1, ':') : NULL;
    size_t digits = list != NULL ? (size_t)(list - line) : 0;

    if (path == NULL || digits == 0 || digits >= sizeof(number))
        return bad_line(line, err);
    memcpy(number, line, digits);
    number[digits] = '\0';
    if (cl_parse_u64(number, &hierarchy) < 0 || hierarchy > INT32_MAX)
        return bad_line(line, err);
    if (hierarchy == 0 && list + 1 != path) /* v2's has no list */
        return bad_line(line, err);
    *ret = (struct cl_own_line){
        .hierarchy = (uint32_t)hierarchy,
        .list = list + 1,
        .list_size = (size_t)(path - list) - 1,
        .path = path + 1,
    };
    return 0;
}

static int parse_line(struct cl_own_cgroups *own, const char *line, struct cl_error *err)
{
    struct cl_own_line parts;
    int r = cl_own_line_parse(line, &parts, err);

    if (r < 0)
        return r;
    if (parts.hierarchy == 0)
        return take_v2(own, line, parts.path, err);
    struct v1_line v1 = {
        .text = line,
        .hierarchy = parts.hierarchy,
        .controllers = find_controllers(parts.list, parts.list_size),
        .path = parts.path,
    };
    return v1.controllers != 0 ? take_v1(own, &v1, err) : 0;
}

int cl_own_cgroups_parse(int fd, struct cl_own_cgroups *ret, struct cl_error *err)
{
    struct cl_lines lines;
    const char *line;
    int r;

    memset(ret, 0, offsetof(struct cl_own_cgroups, text));
    cl_lines_init(&lines, fd);
    while ((r = cl_lines_next(&lines, &line)) > 0) {
        r = parse_line(ret, line, err);
        if (r < 0)
            return r;
    }
    return r < 0 ? cl_fail(err, r, "read %s", proc_file) : 0;
}

int cl_own_cgroups_open(struct cl_error *err)
{
    const int fd = cl_sys_openat(AT_FDCWD, proc_file, O_RDONLY, 0);

    if (fd == -ENOENT)
        return cl_refuse(err, ENOTSUP,
                         "%s does not exist: this kernel has no cgroups, or /proc is not mounted; "
                         "go without limits on all processes together with --without limits",
                         proc_file);
    if (fd < 0)
        return cl_fail(err, fd, "open %s", proc_file);
    return fd;
}

int cl_own_cgroups_read(struct cl_own_cgroups *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_own_cgroups_open(err);

    return fd < 0 ? fd : cl_own_cgroups_parse(fd, ret, err);
}
