/* What is removed is locked exclusively first (images.h), and its launch record goes before its
 * names do, which may even stay: who has the shared lock and finds the record in its place has
 * the image. A name may also lead to an older record of the image, when a pull was interrupted. */
#include "image/launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "image/images.h"
#include "image/layer_name.h"
#include "plan/format.h"

#define BIT(field) (1ULL << CL_FIELD_##field)

/* When an image was used last is told to a minute (cl_image_used): to write costs more than to
 * read. */
enum { USED_S = 60, MAX_TURNS = 8 };

/* What a record must set, and what it may. */
static const uint64_t needed =
    BIT(IMAGE_KIND) | BIT(IMAGE_PATH) | BIT(IMAGE_LAYERS) | BIT(IMAGE_DIGEST);
static const uint64_t allowed = BIT(ENTRYPOINT) | BIT(COMMAND) | BIT(ENV) | BIT(WORKDIR) |
                                BIT(USER) | BIT(UID) | BIT(GID) | BIT(HOME) | BIT(STOP_SIGNAL) |
                                BIT(IMAGE_PLACES) | BIT(IMAGE_MODULE);

/* A module is one layer, and no directory of others. */
static int is_kind(const struct cl_plan *plan)
{
    return plan->image_kind == CL_IMAGE_STORE ||
           (plan->image_kind == CL_IMAGE_MODULE && plan->image_layers.count == 1);
}

static int check(const struct cl_plan *plan, struct cl_digest *ret, struct cl_error *err)
{
    int are_layers = plan->image_layers.count > 0;

    for (size_t i = 0; i < plan->image_layers.count; i++)
        are_layers &= cl_layer_name_is_valid(plan->image_layers.items[i]);
    if ((plan->set & needed) != needed || (plan->set & ~(needed | allowed)) != 0 ||
        !is_kind(plan) || !are_layers)
        return cl_refuse(err, EBADMSG, "it doesn't say what an image is");
    return cl_digest_parse(plan->image_digest, ret, err) < 0
               ? cl_refuse(err, EBADMSG, "its digest is none")
               : 0;
}

static int open_locked(int store, const char *name, struct stat *ret, struct cl_error *err)
{
    struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    /* O_NONBLOCK: what is no regular file doesn't hold us up. */
    CL_CLEANUP_FD int fd = cl_sys_openat(store, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0)
        return fd == -ENOENT ? fd : cl_fail(err, fd, "open it");
    int r = cl_sys_fcntl_lock(fd, F_OFD_SETLK, &all);
    if (r == -EAGAIN || r == -EACCES)
        return -ENOENT; /* in this moment */
    if (r == 0)
        r = cl_sys_fstat(fd, ret);
    if (r < 0)
        return cl_fail(err, r, "lock it");
    if (!S_ISREG(ret->st_mode) || ret->st_size > CL_PLAN_MAX_SIZE)
        return cl_refuse(err, EBADMSG, "it is no record");
    return CL_TAKE_FD(fd);
}

static int read_record(int fd, size_t size, struct cl_arena *arena, struct cl_plan *ret,
                       struct cl_error *err)
{
    char *data = cl_arena_alloc(arena, size + 1);

    if (data == NULL)
        return cl_fail_memory(err);
    ssize_t got = cl_sys_pread(fd, data, size, 0);
    return got < 0 ? cl_fail(err, (int)got, "read it")
                   : cl_plan_read(data, (size_t)got, arena, ret, err);
}

static void note_use(int fd, const struct stat *st)
{
    const time_t now = (time_t)(cl_clock_wall_ns() / CL_NS_PER_S);

    if (st->st_mtim.tv_sec > now - USED_S && st->st_mtim.tv_sec <= now)
        return;
    (void)cl_sys_futimens_now(fd); /* a store that can't be written is used all the same */
}

/* The record NAME, which becomes that of the image where it is another. -EAGAIN: look again. */
static int find_at(int store, char name[CL_STORE_NAME_SIZE], struct cl_arena *arena,
                   struct cl_plan *ret, struct cl_error *err)
{
    struct cl_digest digest;
    struct stat st = {0};
    struct stat current;
    CL_CLEANUP_FD int fd = open_locked(store, name, &st, err);

    if (fd < 0)
        return fd;
    int r = read_record(fd, (size_t)st.st_size, arena, ret, err);
    if (r == 0)
        r = check(ret, &digest, err);
    if (r < 0)
        return r;
    cl_store_name("launch", &digest, name);
    r = cl_sys_fstatat(store, name, &current, AT_SYMLINK_NOFOLLOW);
    if (r < 0)
        return r == -ENOENT ? r : cl_fail(err, r, "look at %s", name);
    if (current.st_ino != st.st_ino || current.st_dev != st.st_dev)
        return -EAGAIN;
    note_use(fd, &st);
    return CL_TAKE_FD(fd);
}

/* NAME as in find_at. */
static int find(int store, char name[CL_STORE_NAME_SIZE], struct cl_arena *arena,
                struct cl_plan *ret, struct cl_error *err)
{
    struct cl_plan plan;
    int fd = -EAGAIN;

    for (int turn = 0; fd == -EAGAIN && turn < MAX_TURNS; turn++) {
        plan = (struct cl_plan){0};
        fd = find_at(store, name, arena, &plan, err);
    }
    if (fd == -EAGAIN)
        return -ENOENT; /* it changes as fast as we look */
    if (fd == -ENOENT)
        return fd;
    if (fd < 0)
        return cl_prefix(err, "the store's %s", name);
    *ret = plan;
    return fd;
}

int cl_launch_find(int store, const struct cl_reference *reference, struct cl_arena *arena,
                   struct cl_plan *ret, struct cl_error *err)
{
    const char *text = cl_reference_text(reference, arena);
    char name[CL_STORE_NAME_SIZE];
    struct cl_digest key;

    if (text == NULL)
        return cl_fail_memory(err);
    cl_name_key(text, &key);
    cl_store_name("refs", &key, name);
    return find(store, name, arena, ret, err);
}

int cl_launch_find_digest(int store, const struct cl_digest *digest, struct cl_arena *arena,
                          struct cl_plan *ret, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];

    cl_store_name("launch", digest, name);
    return find(store, name, arena, ret, err);
}
