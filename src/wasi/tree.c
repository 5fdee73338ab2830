/* tree.c - names in directories: made, moved, read, removed. */
#include <errno.h>

#include "base/sys.h"
#include "wasi/calls.h"
#include "wasi/path.h"

enum { NEW_DIRECTORY_MODE = 0777 }; /* less the umask */

/* The place of the path at PATH's pointer and length, beneath FD, which has RIGHT. */
static uint32_t find_place(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                           const uint64_t fd_and_path[3], uint64_t right,
                           struct cl_wasi_descriptor **ret_directory)
{
    uint32_t r = cl_wasi_find_directory(wasi, fd_and_path[0], right, ret_directory);

    return r != CL_WASI_SUCCESS ? r : cl_wasi_take_path(wasi, memory, 0, fd_and_path + 1);
}

/* What is done at one place, where a last "." or ".." is no name. */
struct rule {
    uint64_t right;
    uint32_t no_name;
};

static uint32_t reach(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                      const uint64_t fd_and_path[3], const struct rule *rule,
                      struct cl_wasi_place *ret)
{
    struct cl_wasi_descriptor *directory = NULL;
    uint32_t r = find_place(wasi, memory, fd_and_path, rule->right, &directory);

    return r != CL_WASI_SUCCESS
               ? r
               : cl_wasi_place_open(directory->host, wasi->paths[0], rule->no_name, ret);
}

/* path_create_directory(fd, path, path_len) */
CL_WASI_CALL(path_create_directory)
{
    static const struct rule rule = {CL_WASI_RIGHT_PATH_CREATE_DIRECTORY, CL_WASI_EXIST};
    CL_CLEANUP_PLACE struct cl_wasi_place place = CL_WASI_NO_PLACE;
    uint32_t r = reach(wasi, memory, arguments, &rule, &place);

    return r != CL_WASI_SUCCESS
               ? r
               : cl_wasi_errno(cl_sys_mkdirat(place.directory, place.name, NEW_DIRECTORY_MODE));
}

static uint32_t remove_name(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                            const uint64_t fd_and_path[3], const struct rule *rule, int flags)
{
    CL_CLEANUP_PLACE struct cl_wasi_place place = CL_WASI_NO_PLACE;
    uint32_t r = reach(wasi, memory, fd_and_path, rule, &place);

    return r != CL_WASI_SUCCESS
               ? r
               : cl_wasi_errno(cl_sys_unlinkat(place.directory, place.name, flags));
}

/* path_remove_directory(fd, path, path_len) */
CL_WASI_CALL(path_remove_directory)
{
    static const struct rule rule = {CL_WASI_RIGHT_PATH_REMOVE_DIRECTORY, CL_WASI_INVAL};

    return remove_name(wasi, memory, arguments, &rule, AT_REMOVEDIR);
}

/* path_unlink_file(fd, path, path_len) */
CL_WASI_CALL(path_unlink_file)
{
    static const struct rule rule = {CL_WASI_RIGHT_PATH_UNLINK_FILE, CL_WASI_ISDIR};

    return remove_name(wasi, memory, arguments, &rule, 0);
}

/* path_readlink(fd, path, path_len, buf, buf_len, ret_size): what fits of it. */
CL_WASI_CALL(path_readlink)
{
    CL_CLEANUP_PLACE struct cl_wasi_place place = CL_WASI_NO_PLACE;
    struct cl_wasi_descriptor *directory = NULL;
    char *target = wasi->paths[1];
    uint8_t *data = cl_wasi_at(memory, arguments[3], arguments[4]);
    uint8_t *ret = cl_wasi_at(memory, arguments[5], 4);
    uint32_t r = find_place(wasi, memory, arguments, CL_WASI_RIGHT_PATH_READLINK, &directory);

    if (r == CL_WASI_SUCCESS && (data == NULL || ret == NULL))
        r = CL_WASI_FAULT;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_place_open_plain(directory->host, wasi->paths[0], CL_WASI_INVAL, &place);
    if (r != CL_WASI_SUCCESS)
        return r;
    ssize_t size = cl_sys_readlinkat(place.directory, place.name, target, PATH_MAX);
    if (size < 0)
        return cl_wasi_errno(size);
    size = (ssize_t)cl_min_u64((uint64_t)size, arguments[4]);
    memcpy(data, target, (size_t)size);
    cl_wasi_store32(ret, (uint32_t)size);
    return CL_WASI_SUCCESS;
}

/* path_symlink(old_path, old_len, fd, new_path, new_len): a link that can't lead out of any
 * directory is refused at once. One that leads out by ".." may lead to something from another
 * place; it is followed by nobody who shouldn't. */
CL_WASI_CALL(path_symlink)
{
    CL_CLEANUP_PLACE struct cl_wasi_place place = CL_WASI_NO_PLACE;
    struct cl_wasi_descriptor *directory = NULL;
    const char *target = wasi->paths[1];
    uint32_t r = find_place(wasi, memory, arguments + 2, CL_WASI_RIGHT_PATH_SYMLINK, &directory);

    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_take_path(wasi, memory, 1, arguments);
    if (r == CL_WASI_SUCCESS && target[0] == '/')
        r = CL_WASI_NOTCAPABLE;
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_place_open(directory->host, wasi->paths[0], CL_WASI_EXIST, &place);
    if (r != CL_WASI_SUCCESS)
        return r;
    return cl_wasi_errno(cl_sys_symlinkat(target, place.directory, place.name));
}

/* Two places, of which the second is beneath a descriptor of its own. */
struct pair {
    struct cl_wasi_place from, to;
};

static void pair_done(struct pair *pair)
{
    cl_wasi_place_done(&pair->from);
    cl_wasi_place_done(&pair->to);
}

struct pair_rules {
    uint64_t from_right, to_right;
    uint32_t (*open_from)(int, char *, uint32_t, struct cl_wasi_place *);
    uint32_t from_no_name, to_no_name;
};

/* OLD and NEW: a descriptor, and a path's pointer and length. */
static uint32_t find_pair(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                          const uint64_t old_and_new[6], const struct pair_rules *rules,
                          struct pair *ret)
{
    struct cl_wasi_descriptor *from = NULL;
    struct cl_wasi_descriptor *to = NULL;
    uint32_t r = find_place(wasi, memory, old_and_new, rules->from_right, &from);

    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_find_directory(wasi, old_and_new[3], rules->to_right, &to);
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_take_path(wasi, memory, 1, old_and_new + 4);
    if (r == CL_WASI_SUCCESS)
        r = rules->open_from(from->host, wasi->paths[0], rules->from_no_name, &ret->from);
    if (r == CL_WASI_SUCCESS)
        r = cl_wasi_place_open(to->host, wasi->paths[1], rules->to_no_name, &ret->to);
    return r;
}

/* path_link(old_fd, old_flags, old_path, old_len, new_fd, new_path, new_len): of the link
 * itself. To follow one is not offered, as elsewhere: between its resolution and the new name it
 * could be another's. */
CL_WASI_CALL(path_link)
{
    static const struct pair_rules rules = {
        .from_right = CL_WASI_RIGHT_PATH_LINK_SOURCE,
        .to_right = CL_WASI_RIGHT_PATH_LINK_TARGET,
        .open_from = cl_wasi_place_open_plain,
        .from_no_name = CL_WASI_PERM, /* as of any directory */
        .to_no_name = CL_WASI_EXIST,
    };
    CL_CLEANUP(pair_done) struct pair pair = {CL_WASI_NO_PLACE, CL_WASI_NO_PLACE};
    const uint64_t old_and_new[6] = {arguments[0], arguments[2], arguments[3],
                                     arguments[4], arguments[5], arguments[6]};
    uint32_t r = find_pair(wasi, memory, old_and_new, &rules, &pair);

    if (r == CL_WASI_SUCCESS && arguments[1] != 0)
        r = CL_WASI_INVAL;
    if (r != CL_WASI_SUCCESS)
        return r;
    return cl_wasi_errno(
        cl_sys_linkat(pair.from.directory, pair.from.name, pair.to.directory, pair.to.name, 0));
}

/* path_rename(fd, old_path, old_len, new_fd, new_path, new_len) */
CL_WASI_CALL(path_rename)
{
    static const struct pair_rules rules = {
        .from_right = CL_WASI_RIGHT_PATH_RENAME_SOURCE,
        .to_right = CL_WASI_RIGHT_PATH_RENAME_TARGET,
        .open_from = cl_wasi_place_open,
        .from_no_name = CL_WASI_BUSY,
        .to_no_name = CL_WASI_BUSY,
    };
    CL_CLEANUP(pair_done) struct pair pair = {CL_WASI_NO_PLACE, CL_WASI_NO_PLACE};
    uint32_t r = find_pair(wasi, memory, arguments, &rules, &pair);

    if (r != CL_WASI_SUCCESS)
        return r;
    return cl_wasi_errno(
        cl_sys_renameat(pair.from.directory, pair.from.name, pair.to.directory, pair.to.name));
}
