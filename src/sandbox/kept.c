#include "sandbox/kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/hostdir.h"
#include "base/sys.h"

enum {
    PATH_SIZE = 4096,
    NAME_SIZE = 160, /* "name-" and a name, or two ids */
    ENDED_MAX = 65536,
    OLD_S = 60, /* a directory without a record is a killed start's when it is older */
};

static const char name_prefix[] = "name-";

/* --- where it is ------------------------------------------------------------------------ */

static int choose_path(char ret[PATH_SIZE], struct cl_error *err)
{
    const char *base = getenv("XDG_STATE_HOME"); // NOLINT(concurrency-mt-unsafe): one thread
    const char *below = "/cloister/sandboxes";

    if (geteuid() == 0) {
        base = CL_HOSTDIR_PARENT;
    } else if (base == NULL || base[0] != '/') {
        base = getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
        below = "/.local/state/cloister/sandboxes";
    }
    if (base == NULL || base[0] != '/')
        return cl_refuse(err, ENOENT,
                         "there is no place for detached sandboxes: set HOME or XDG_STATE_HOME");
    int size = snprintf(ret, PATH_SIZE, "%s%s", base, below);
    if (size < 0 || size >= PATH_SIZE)
        return cl_refuse(err, ENAMETOOLONG, "the path of the directory of sandboxes is too long");
    return 0;
}

static int check_owner(int dir, const char *path, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(dir, &st);

    if (r < 0)
        return cl_fail(err, r, "look at %s", path);
    if (st.st_uid != geteuid())
        return cl_refuse(err, EPERM,
                         "%s belongs to uid %u; set XDG_STATE_HOME to a directory of "
                         "your own",
                         path, (unsigned int)st.st_uid);
    if ((st.st_mode & 077) != 0)
        return cl_refuse(err, EPERM, "%s is open to others; run chmod 700 on it", path);
    return 0;
}

/* MAKE: where it is missing. Else -ENOENT without a message. */
static int open_base(int make, struct cl_error *err)
{
    const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    char path[PATH_SIZE];
    int r = choose_path(path, err);

    if (r < 0) {
        if (!make && r == -ENOENT) { /* who has no place has put nothing there */
            *err = (struct cl_error){0};
            return -ENOENT;
        }
        return r;
    }
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, path, how, 0);
    if (dir == -ENOENT && !make)
        return -ENOENT;
    if (dir == -ENOENT) {
        r = cl_dir_make_path(path, geteuid() == 0 ? 0711 : 0700, 0700);
        if (r < 0)
            return cl_fail(err, r, "make %s", path);
        dir = cl_sys_openat(AT_FDCWD, path, how, 0);
    }
    if (dir < 0)
        return cl_fail(err, dir, "open %s", path);
    r = check_owner(dir, path, err);
    return r < 0 ? r : CL_TAKE_FD(dir);
}

void cl_kept_done(struct cl_kept *kept)
{
    cl_fd_close(&kept->record);
    cl_fd_close(&kept->dir);
    cl_fd_close(&kept->base);
}

/* --- the supervisor's side ---------------------------------------------------------------- */

static int lock_record(int fd)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return cl_sys_fcntl_lock(fd, F_OFD_SETLK, &all);
}

/* Locked and whole before it has its name: what is found has a holder, or had one. */
static int make_record(const struct cl_kept *kept, const struct cl_buf *bytes, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(kept->dir, "record.new", O_RDWR | O_CREAT | O_EXCL, 0600);
    int r = fd < 0 ? fd : lock_record(fd);

    if (r == 0)
        r = cl_write_all(fd, bytes->data, bytes->size);
    if (r == 0)
        r = cl_sys_renameat(kept->dir, "record.new", kept->dir, "record");
    return r < 0 ? cl_fail(err, r, "write the record of sandbox %s", kept->id) : CL_TAKE_FD(fd);
}

/* A link of that name is one whose sandbox is gone: the name was free a moment ago, and our seat
 * has it (state.c). */
static int make_name(const struct cl_kept *kept, const char *name, struct cl_error *err)
{
    char link[NAME_SIZE];

    (void)snprintf(link, sizeof(link), "%s%.128s", name_prefix, name);
    int r = cl_sys_symlinkat(kept->id, kept->base, link);
    if (r == -EEXIST) {
        r = cl_sys_unlinkat(kept->base, link, 0);
        if (r == 0)
            r = cl_sys_symlinkat(kept->id, kept->base, link);
    }
    return r < 0 ? cl_fail(err, r, "keep the name %s", name) : 0;
}

static int fill(struct cl_kept *kept, const struct cl_status *status, const struct cl_plan *plan,
                struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(CL_RECORD_MAX);
    struct cl_status head = *status;
    int r = cl_sys_mkdirat(kept->base, kept->id, 0700);

    if (r < 0)
        return cl_fail(err, r, "make a directory for sandbox %s", kept->id);
    kept->dir = cl_sys_openat(kept->base, kept->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (kept->dir < 0)
        return cl_fail(err, kept->dir, "open the directory of sandbox %s", kept->id);
    r = cl_record_write(&head, plan, &bytes, err);
    if (r == 0)
        r = make_record(kept, &bytes, err);
    if (r < 0)
        return r;
    kept->record = r;
    return cl_plan_has(plan, CL_FIELD_NAME) ? make_name(kept, plan->name, err) : 0;
}

int cl_kept_create(const struct cl_status *status, const struct cl_plan *plan, struct cl_kept *ret,
                   struct cl_error *err)
{
    CL_CLEANUP_KEPT struct cl_kept kept = CL_KEPT_INIT;

    memcpy(kept.id, status->id, CL_ID_SIZE);
    kept.base = open_base(1, err);
    if (kept.base < 0)
        return kept.base;
    int r = fill(&kept, status, plan, err);
    if (r < 0) {
        if (kept.dir >= 0)
            (void)cl_kept_remove(&kept); /* else a sweep does */
        return r;
    }
    *ret = kept;
    kept = CL_KEPT_INIT;
    return 0;
}

int cl_kept_update(const struct cl_kept *kept, const struct cl_status *status, struct cl_error *err)
{
    ssize_t put = cl_sys_pwrite(kept->record, status, sizeof(*status), 0);

    if (put != (ssize_t)sizeof(*status))
        return cl_fail(err, put < 0 ? (int)put : -EIO, "write the record of sandbox %s", kept->id);
    return 0;
}

/* Behind the plan, whose file nobody else writes to. */
int cl_kept_end(const struct cl_kept *kept, const struct cl_ended *ended, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(ENDED_MAX);
    struct cl_status head;
    int r = cl_flat_write(&cl_ended_shape, ended, &bytes, err);

    if (r < 0)
        return r;
    ssize_t got = cl_sys_pread(kept->record, &head, sizeof(head), 0);
    if (got != (ssize_t)sizeof(head))
        return cl_fail(err, got < 0 ? (int)got : -EIO, "read the record of sandbox %s", kept->id);
    const off_t at = (off_t)sizeof(head) + (off_t)head.plan_size;
    ssize_t put = cl_sys_pwrite(kept->record, bytes.data, bytes.size, at);
    if (put == (ssize_t)bytes.size)
        return 0;
    (void)cl_sys_ftruncate(kept->record, at); /* or it is taken for none */
    return cl_fail(err, put < 0 ? (int)put : -ENOSPC, "write how sandbox %s ended", kept->id);
}

/* --- removing ------------------------------------------------------------------------------ */

static const char record_name[] = "record";

/* Every name in it is a file of ours. */
static int empty_but_record(int dir)
{
    CL_CLEANUP_FD int own = cl_sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    const char *name;
    int first = 0;
    int r;

    if (own < 0)
        return own;
    cl_dir_start(&entries, own);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        int gone = strcmp(name, record_name) == 0 ? 0 : cl_sys_unlinkat(dir, name, 0);
        if (gone < 0 && gone != -ENOENT && first == 0)
            first = gone;
    }
    return first < 0 ? first : r;
}

/* Its name, if it still is its own. */
static void remove_name(const struct cl_kept *kept, const char *name)
{
    char link[NAME_SIZE];
    char id[CL_ID_SIZE + 1];

    (void)snprintf(link, sizeof(link), "%s%.128s", name_prefix, name);
    ssize_t size = cl_sys_readlinkat(kept->base, link, id, sizeof(id));
    if (size == CL_ID_SIZE - 1 && memcmp(id, kept->id, CL_ID_SIZE - 1) == 0)
        (void)cl_sys_unlinkat(kept->base, link, 0); /* one that leads nowhere is taken over */
}

/* The record goes last but for its directory: as long as something is there, it says what. */
int cl_kept_remove(const struct cl_kept *kept)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(CL_KEPT_ROOM);
    struct cl_kept_record record = {0};
    struct cl_error ignored = {0};

    if (cl_kept_read(kept, &arena, &record, &ignored) == 0 &&
        cl_plan_has(&record.plan, CL_FIELD_NAME))
        remove_name(kept, record.plan.name);
    int r = empty_but_record(kept->dir);
    if (r == 0)
        r = cl_sys_unlinkat(kept->dir, record_name, 0);
    if (r == 0 || r == -ENOENT)
        r = cl_sys_unlinkat(kept->base, kept->id, AT_REMOVEDIR);
    return r == -ENOENT ? 0 : r;
}

/* --- reading ------------------------------------------------------------------------------- */

/* Takes KEPT's base. */
static int open_in(int base, const char *id, struct cl_kept *ret)
{
    CL_CLEANUP_KEPT struct cl_kept kept = CL_KEPT_INIT;

    memcpy(kept.id, id, CL_ID_SIZE);
    kept.base = base;
    kept.dir = cl_sys_openat(base, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (kept.dir < 0)
        return kept.dir;
    /* for writing, or F_OFD_GETLK would not ask for a writer's lock */
    kept.record = cl_sys_openat(kept.dir, "record", O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
    *ret = kept;
    kept = CL_KEPT_INIT; // NOLINT(clang-analyzer-deadcode.DeadStores): the cleanup reads it
    return 0;
}

int cl_kept_open(const char *id, struct cl_kept *ret, struct cl_error *err)
{
    int base = open_base(0, err);

    if (base < 0)
        return base;
    int r = open_in(base, id, ret);
    return r == 0 || r == -ENOENT ? r : cl_fail(err, r, "open what is kept of sandbox %s", id);
}

static int is_held(int record)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    /* A file system without locks can't say; nothing is swept then. */
    return cl_sys_fcntl_lock(record, F_OFD_GETLK, &all) < 0 || all.l_type != F_UNLCK;
}

static int fail_read(const struct cl_kept *kept, int r, struct cl_error *err)
{
    if (r == -EBADMSG)
        return cl_refuse(err, EBADMSG,
                         "what is kept of sandbox %s is damaged; remove it by "
                         "cloister rm %s",
                         kept->id, kept->id);
    return cl_fail(err, r, "read what is kept of sandbox %s", kept->id);
}

/* The whole of the file FD, which has MAX bytes at most, into ARENA. */
static int read_file(int fd, size_t max, struct cl_arena *arena, struct cl_bytes *ret)
{
    struct stat st;
    int r = cl_sys_fstat(fd, &st);

    if (r < 0)
        return r;
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
        return -EBADMSG;
    char *data = cl_arena_alloc(arena, (size_t)st.st_size + 1);
    if (data == NULL)
        return -ENOMEM;
    ssize_t got = cl_sys_pread(fd, data, (size_t)st.st_size, 0);
    if (got < 0)
        return (int)got;
    *ret = (struct cl_bytes){data, (size_t)got};
    return 0;
}

/* BYTES is what follows the plan: 1, or 0 where it says no end, or half of one, which a supervisor
 * was killed over. */
static int read_end(const struct cl_bytes *bytes, struct cl_arena *arena, struct cl_ended *ret,
                    struct cl_error *err)
{
    struct cl_error why = {0};

    if (bytes->size == 0)
        return 0;
    int r = cl_flat_read(&cl_ended_shape, bytes, arena, ret, &why);
    if (r == -EBADMSG)
        *ret = (struct cl_ended){0};
    else if (r < 0)
        *err = why;
    return r == -EBADMSG ? 0 : r < 0 ? r : 1;
}

/* The head, the plan, and the end. */
static int read_record(const struct cl_kept *kept, struct cl_arena *arena,
                       struct cl_kept_record *ret, struct cl_error *err)
{
    struct cl_bytes bytes = {0};
    int r = kept->record < 0 ? -EBADMSG
                             : read_file(kept->record, CL_RECORD_MAX + ENDED_MAX, arena, &bytes);

    if (r < 0 || bytes.size < sizeof(ret->status))
        return fail_read(kept, r < 0 ? r : -EBADMSG, err);
    const char *at = (const char *)bytes.data + sizeof(ret->status);
    const size_t left = bytes.size - sizeof(ret->status);
    memcpy(&ret->status, bytes.data, sizeof(ret->status));
    if (!cl_status_is_whole(&ret->status) || strcmp(ret->status.id, kept->id) != 0 ||
        ret->status.plan_size > left)
        return fail_read(kept, -EBADMSG, err);
    r = cl_plan_read(at, ret->status.plan_size, arena, &ret->plan, err);
    if (r < 0)
        return fail_read(kept, r == -ENOMEM ? r : -EBADMSG, err);
    const struct cl_bytes rest = {at + ret->status.plan_size, left - ret->status.plan_size};
    r = read_end(&rest, arena, &ret->ended, err);
    if (r < 0)
        return fail_read(kept, r, err);
    ret->has_ended = r;
    return 0;
}

/* What nobody wrote down: its supervisor was killed, with all of it. */
static struct cl_ended lost_end(const struct cl_kept *kept, const struct cl_status *status)
{
    const struct cl_result result = {
        .status = CL_STATUS_ERROR,
        .exit_code = -1,
        .error = CL_KEPT_LOST,
        .created_wall_ns = status->created_ns,
        .started_wall_ns = status->started_ns,
        .layers = status->layers,
    };
    struct cl_ended ended = cl_ended_of(&result, 125);
    struct stat st;

    /* no later than this */
    if (cl_sys_fstatat(kept->dir, "log", &st, AT_SYMLINK_NOFOLLOW) == 0 ||
        cl_sys_fstat(kept->record, &st) == 0)
        ended.ended_wall_ns =
            (uint64_t)st.st_mtim.tv_sec * CL_NS_PER_S + (uint64_t)st.st_mtim.tv_nsec;
    return ended;
}

/* Who holds it is asked first: what is written after that was a living supervisor's. */
int cl_kept_read(const struct cl_kept *kept, struct cl_arena *arena, struct cl_kept_record *ret,
                 struct cl_error *err)
{
    struct cl_kept_record record = {.is_alive = kept->record >= 0 && is_held(kept->record)};
    int r = read_record(kept, arena, &record, err);

    if (r < 0)
        return r;
    if (!record.has_ended && !record.is_alive) {
        record.ended = lost_end(kept, &record.status);
        record.has_ended = record.is_lost = 1;
    }
    *ret = record;
    return 0;
}

int cl_kept_wait(const struct cl_kept *kept)
{
    struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int r = kept->record < 0 ? 0 : cl_sys_fcntl_lock(kept->record, F_OFD_SETLKW, &all);

    if (r < 0 || kept->record < 0)
        return r;
    all.l_type = F_UNLCK;
    return cl_sys_fcntl_lock(kept->record, F_OFD_SETLK, &all);
}

static int each_id(int base, int (*visit)(void *context, const char *id, struct cl_error *err),
                   void *context, struct cl_error *err)
{
    struct cl_dir entries;
    const char *name;
    int r;

    cl_dir_start(&entries, base);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        r = cl_id_is(name) ? visit(context, name, err) : 0;
        if (r < 0)
            return r;
    }
    return r < 0 ? cl_fail(err, r, "list the sandboxes that are kept") : 0;
}

int cl_kept_ids(int (*visit)(void *context, const char *id, struct cl_error *err), void *context,
                struct cl_error *err)
{
    CL_CLEANUP_FD int base = open_base(0, err);

    if (base < 0)
        return base == -ENOENT ? 0 : base;
    return each_id(base, visit, context, err);
}

struct walk {
    int base;
    int (*visit)(void *context, const struct cl_kept *kept, struct cl_error *err);
    void *context;
};

static int visit_id(void *context, const char *id, struct cl_error *err)
{
    CL_CLEANUP_KEPT struct cl_kept kept = CL_KEPT_INIT;
    const struct walk *walk = context;
    const int own = cl_sys_fcntl(walk->base, F_DUPFD_CLOEXEC, 3);
    int r = own < 0 ? own : open_in(own, id, &kept);

    if (r == -ENOENT)
        return 0; /* removed meanwhile */
    if (r < 0)
        return cl_fail(err, r, "open what is kept of sandbox %.16s", id);
    return walk->visit(walk->context, &kept, err);
}

int cl_kept_walk(int (*visit)(void *context, const struct cl_kept *kept, struct cl_error *err),
                 void *context, struct cl_error *err)
{
    CL_CLEANUP_FD int base = open_base(0, err);
    struct walk walk = {.base = base, .visit = visit, .context = context};

    if (base < 0)
        return base == -ENOENT ? 0 : base;
    return each_id(base, visit_id, &walk, err);
}

int cl_kept_named(const char *name, char ret[CL_ID_SIZE], struct cl_error *err)
{
    CL_CLEANUP_FD int base = open_base(0, err);
    char link[NAME_SIZE];
    char id[CL_ID_SIZE + 1] = "";

    if (base < 0)
        return base == -ENOENT ? 0 : base;
    (void)snprintf(link, sizeof(link), "%s%.128s", name_prefix, name);
    ssize_t size = cl_sys_readlinkat(base, link, id, sizeof(id));
    if (size == -ENOENT)
        return 0;
    if (size < 0)
        return cl_fail(err, (int)size, "read whose the name %s is", name);
    id[size < CL_ID_SIZE ? size : CL_ID_SIZE] = '\0';
    if (!cl_id_is(id) || cl_sys_faccessat(base, id, F_OK) < 0)
        return 0; /* it leads nowhere */
    memcpy(ret, id, CL_ID_SIZE);
    return 1;
}

/* --- sweeping ------------------------------------------------------------------------------- */

static int is_old(const struct cl_kept *kept)
{
    struct stat st;

    return cl_sys_fstat(kept->dir, &st) == 0 &&
           (uint64_t)st.st_mtim.tv_sec + OLD_S <= cl_clock_wall_ns() / CL_NS_PER_S;
}

static int sweep_one(CL_UNUSED void *context, const struct cl_kept *kept,
                     CL_UNUSED struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(CL_KEPT_ROOM);
    struct cl_kept_record record = {0};
    struct cl_error ignored = {0};

    if (kept->record < 0) {
        if (kept->record == -ENOENT && is_old(kept))
            (void)cl_kept_remove(kept); /* the next sweep tries again, here and below */
        return 0;
    }
    /* The lock is ours until KEPT is closed: nobody else sweeps it, and its supervisor is dead. */
    if (lock_record(kept->record) < 0 || cl_kept_read(kept, &arena, &record, &ignored) < 0)
        return 0;
    if (record.plan.remove)
        (void)cl_kept_remove(kept);
    else if (record.is_lost)
        (void)cl_kept_end(kept, &record.ended, &ignored);
    return 0;
}

int cl_kept_sweep(struct cl_error *err)
{
    return cl_kept_walk(sweep_one, NULL, err);
}
