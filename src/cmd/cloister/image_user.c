#include "cmd/cloister/image_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "cmd/cloister/image_file.h"
#include "plan/compile.h"

enum { USER = 1000, NOBODY = 65534 };

/* --- a tree, or the layers of one ---------------------------------------------- */

/* -1 where there is none. */
static int open_regular(const struct cl_plan *plan, int root, const char *path, int *ret,
                        struct cl_error *err)
{
    CL_CLEANUP_FD int found = cl_image_file_find(plan, root, path);

    if (found == -ENOENT || found == -ENOTDIR) {
        *ret = -1;
        return 0;
    }
    if (found < 0)
        return cl_fail(err, found, "open %s of the image", path);
    int fd = cl_reopen_regular(found, path, CL_COMPILE_MAX_INPUT, err);
    if (fd < 0)
        return cl_hint(err, "it is the image's; a user by numbers needs none");
    *ret = fd;
    return 0;
}

static int find_in_tree(struct cl_arena *arena, const struct cl_plan *plan, struct cl_plan *ret,
                        struct cl_error *err)
{
    CL_CLEANUP_FD int passwd = -1;
    CL_CLEANUP_FD int group = -1;
    CL_CLEANUP_FD int root = cl_image_file_root(plan, err);

    if (root < 0)
        return root;
    int r = open_regular(plan, root, "/etc/passwd", &passwd, err);
    if (r == 0)
        r = open_regular(plan, root, "/etc/group", &group, err);
    if (r < 0)
        return r;
    /* The cache is for what is read again: an image's users are looked up seldom. */
    const struct cl_compile_context context = {.cache_dir = "", .arena = arena};
    const struct cl_compile_input input = {
        .kind = CL_COMPILE_USER, .fd = passwd, .group_fd = group, .name = plan->user};
    return cl_plan_compile(&context, &input, ret, err);
}

/* --- the host image ------------------------------------------------------- */

struct host_name {
    const char *name;
    uint64_t id;
};

/* What the generated files of the host image say (container/host_image.c); "user" is
 * whom the strict profile runs. The host's own users have no business in a sandbox. */
static const struct host_name host_users[] = {{"root", 0}, {"user", USER}, {"nobody", NOBODY}};
static const struct host_name host_groups[] = {{"root", 0}, {"user", USER}, {"nogroup", NOBODY}};

/* NAME is a name or a number, of SIZE bytes; the sets have three rows both. */
static int find_host_name(const struct host_name rows[3], const char *name, size_t size,
                          uint64_t *ret)
{
    char text[32];

    for (size_t i = 0; i < CL_ARRAY_SIZE(host_users); i++) {
        if (strlen(rows[i].name) == size && strncmp(rows[i].name, name, size) == 0) {
            *ret = rows[i].id;
            return 0;
        }
    }
    if (size >= sizeof(text))
        return -ENOENT;
    (void)snprintf(text, sizeof(text), "%.*s", (int)size, name);
    return cl_parse_u64(text, ret) < 0 ? -ENOENT : 0;
}

static int find_on_host(const struct cl_plan *plan, struct cl_plan *ret, struct cl_error *err)
{
    const size_t size = strcspn(plan->user, ":");
    const char *group = plan->user[size] == ':' ? plan->user + size + 1 : NULL;

    if (find_host_name(host_users, plan->user, size, &ret->uid) < 0)
        return cl_refuse(err, ENOENT,
                         "the host image has no user \"%.*s\": there are root, user and nobody in "
                         "it, not the host's own; give numbers, as in 1000:1000",
                         (int)cl_min_u64(size, 64), plan->user);
    ret->gid = ret->uid;
    if (group != NULL && find_host_name(host_groups, group, strlen(group), &ret->gid) < 0)
        return cl_refuse(err, ENOENT,
                         "the host image has no group \"%.64s\": there are root, user and nogroup "
                         "in it, not the host's own; give a number",
                         group);
    cl_plan_mark(ret, CL_FIELD_UID);
    cl_plan_mark(ret, CL_FIELD_GID);
    return 0;
}

/* --- either --------------------------------------------------------------- */

int cl_image_user_find(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                       struct cl_error *err)
{
    if (!cl_plan_has_tree(plan))
        return find_on_host(plan, ret, err);
    return find_in_tree(context, plan, ret, err);
}
