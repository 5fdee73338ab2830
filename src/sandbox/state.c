/* The state directory. Each function that is on a run's start path says how many
 * system calls it makes; the whole of open, create, update and remove is 26. */
#include "sandbox/state.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/sys.h"
#include "plan/format.h"

enum {
    STATUS_VERSION = 1,
    RECORD_MAX = (int)sizeof(struct cl_status) + CL_PLAN_MAX_SIZE,
    GATE_TRIES = 2000, /* of a millisecond each */
    MAX_FILES = 4096,
    MAX_DEPTH = 8,
    PREFIX_MIN = 4,
};

static ssize_t sys_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return (ssize_t)CL_SYS4(SYS_pwrite64, fd, data, size, offset);
}

/* --- the directory -------------------------------------------------------- */

static int state_path(char *ret, size_t size, struct cl_error *err)
{
    uid_t uid = geteuid();
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int used;

    if (uid == 0)
        used = snprintf(ret, size, "/run/cloister");
    else if (runtime != NULL && runtime[0] == '/')
        used = snprintf(ret, size, "%s/cloister", runtime);
    else
        used = snprintf(ret, size, "/tmp/cloister-%u", (unsigned int)uid);
    if (used < 0 || (size_t)used >= size)
        return cl_refuse(err, ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
    return 0;
}

/* PATH is a directory of our own: -ENOENT without a message where it is missing. */
static int open_or_make(int dirfd, const char *path, int flags)
{
    const int how = O_DIRECTORY | O_NOFOLLOW | flags;
    int fd = cl_sys_openat(dirfd, path, how, 0);

    if (fd != -ENOENT)
        return fd;
    int r = cl_sys_mkdirat(dirfd, path, 0700);
    if (r < 0 && r != -EEXIST)
        return r;
    return cl_sys_openat(dirfd, path, how, 0);
}

static int check_owner(int dir, const char *path, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(dir, &st);

    if (r < 0)
        return cl_fail(err, r, "look at the state directory %s", path);
    if (st.st_uid != geteuid())
        return cl_refuse(err, EPERM,
                         "the state directory %s belongs to uid %u; remove it or set "
                         "XDG_RUNTIME_DIR to a directory of your own",
                         path, (unsigned int)st.st_uid);
    if ((st.st_mode & 077) != 0)
        return cl_refuse(err, EPERM,
                         "the state directory %s is open to others; run chmod 700 on it", path);
    return 0;
}

/* open, fstat, open */
int cl_state_open(struct cl_state *ret, struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    char path[4096];
    int r = state_path(path, sizeof(path), err);

    if (r < 0)
        return r;
    state.dir = open_or_make(AT_FDCWD, path, O_PATH);
    if (state.dir < 0) {
        r = cl_fail(err, state.dir, "open the state directory %s", path);
        if (geteuid() != 0 && getenv("XDG_RUNTIME_DIR") != NULL)
            (void)cl_hint(err, "XDG_RUNTIME_DIR must name a directory of this user, or be unset");
        return r;
    }
    r = check_owner(state.dir, path, err);
    if (r < 0)
        return r;
    state.sandboxes = open_or_make(state.dir, "sandboxes", O_RDONLY);
    if (state.sandboxes < 0)
        return cl_fail(err, state.sandboxes, "open %s/sandboxes", path);
    *ret = (struct cl_state){CL_TAKE_FD(state.dir), CL_TAKE_FD(state.sandboxes)};
    return 0;
}

void cl_state_done(struct cl_state *state)
{
    cl_fd_close(&state->dir);
    cl_fd_close(&state->sandboxes);
}

int cl_id_make(char ret[CL_ID_SIZE], struct cl_error *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[(CL_ID_SIZE - 1) / 2];
    ssize_t got = cl_sys_getrandom(bytes, sizeof(bytes));

    if (got != (ssize_t)sizeof(bytes))
        return cl_fail(err, got < 0 ? (int)got : EIO, "get random bytes for an id");
    for (size_t i = 0; i < sizeof(bytes); i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[CL_ID_SIZE - 1] = '\0';
    return 0;
}

static int is_id(const char *text)
{
    return strlen(text) == CL_ID_SIZE - 1 && strspn(text, "0123456789abcdef") == CL_ID_SIZE - 1;
}

/* --- the gate ------------------------------------------------------------- */

int cl_state_gate(struct cl_state *state, int operation)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int r = cl_sys_flock(state->sandboxes, operation | LOCK_NB);

    /* A holder may be stopped (SIGSTOP), so waiting has an end. */
    for (int tries = 0; (r == -EWOULDBLOCK || r == -EINTR) && tries < GATE_TRIES; tries++) {
        (void)nanosleep(&pause, NULL); /* cut short by a signal: only a shorter wait */
        r = cl_sys_flock(state->sandboxes, operation | LOCK_NB);
    }
    return r;
}

void cl_state_ungate(struct cl_state *state)
{
    (void)cl_sys_flock(state->sandboxes, LOCK_UN); /* can't fail on an open directory */
}

/* --- one entry ------------------------------------------------------------ */

static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

int cl_entry_lock(struct cl_entry *entry)
{
    struct flock lock = whole_file();

    if (entry->record < 0)
        return 0; /* no supervisor holds what isn't there */
    int r = cl_sys_fcntl_lock(entry->record, F_OFD_SETLK, &lock);
    return r == -EACCES ? -EAGAIN : r; /* fcntl(2) allows either */
}

int cl_entry_alive(const struct cl_entry *entry)
{
    struct flock lock = whole_file();

    if (entry->record < 0)
        return 0;
    /* A file system without locks can't say; nobody is swept then. */
    return cl_sys_fcntl_lock(entry->record, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

void cl_entry_done(struct cl_entry *entry)
{
    cl_fd_close(&entry->dir);
    cl_fd_close(&entry->record);
}

static int read_boot_id(char ret[CL_BOOT_ID_SIZE], struct cl_error *err)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);

    if (fd < 0)
        return cl_fail(err, fd, "open %s", path);
    ssize_t got = cl_sys_read(fd, ret, CL_BOOT_ID_SIZE - 1);
    if (got != CL_BOOT_ID_SIZE - 1)
        return cl_fail(err, got < 0 ? (int)got : EIO, "read %s", path);
    ret[CL_BOOT_ID_SIZE - 1] = '\0';
    return 0;
}

static int write_record(int fd, const struct cl_status *status, const struct cl_plan *plan,
                        struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(RECORD_MAX);

    if (cl_buf_add(&buf, status, sizeof(*status)) < 0)
        return cl_fail_memory(err);
    int r = cl_plan_write(plan, &buf, err);
    if (r < 0)
        return r;
    r = cl_write_all(fd, buf.data, buf.size);
    return r < 0 ? cl_fail(err, r, "write the sandbox's record") : 0;
}

/* mkdir, open, open, fcntl, write */
static int make_entry(struct cl_state *state, const struct cl_status *status,
                      const struct cl_plan *plan, struct cl_entry *entry, struct cl_error *err)
{
    int r = cl_sys_mkdirat(state->sandboxes, entry->id, 0700);

    if (r < 0)
        return cl_fail(err, r, "make the state directory of sandbox %s", entry->id);
    entry->dir = cl_sys_openat(state->sandboxes, entry->id, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    if (entry->dir < 0)
        return cl_fail(err, entry->dir, "open the state directory of sandbox %s", entry->id);
    entry->record =
        cl_sys_openat(entry->dir, "record", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (entry->record < 0)
        return cl_fail(err, entry->record, "make the record of sandbox %s", entry->id);
    r = cl_entry_lock(entry);
    if (r < 0)
        return cl_fail(err, r, "lock the record of sandbox %s", entry->id);
    return write_record(entry->record, status, plan, err);
}

static int visit_name(void *context, struct cl_visit *visit, struct cl_error *err)
{
    const char *name = context;

    if (visit->alive && visit->plan != NULL && cl_plan_has(visit->plan, CL_FIELD_NAME) &&
        strcmp(visit->plan->name, name) == 0)
        return cl_refuse(err, EEXIST, "the name %s belongs to sandbox %s, which is running", name,
                         visit->entry->id);
    return 0;
}

static int make_gated(struct cl_state *state, const struct cl_status *status,
                      const struct cl_plan *plan, struct cl_entry *entry, struct cl_error *err)
{
    if (cl_plan_has(plan, CL_FIELD_NAME)) {
        char *name = (char *)(uintptr_t)plan->name; /* walk's context isn't const */
        int r = cl_state_walk(state, visit_name, name, err);

        if (r < 0)
            return r;
    }
    return make_entry(state, status, plan, entry, err);
}

int cl_state_create(struct cl_state *state, struct cl_status *status, const struct cl_plan *plan,
                    struct cl_entry *ret, struct cl_error *err)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    /* A name must be looked for and taken in one piece. */
    int operation = cl_plan_has(plan, CL_FIELD_NAME) ? LOCK_EX : LOCK_SH;

    CL_ASSERT(is_id(status->id));
    status->version = STATUS_VERSION;
    int r = read_boot_id(status->boot_id, err);
    if (r < 0)
        return r;
    memcpy(entry.id, status->id, sizeof(entry.id));
    r = cl_state_gate(state, operation);
    if (r < 0)
        return cl_fail(err, r, "lock the state directory");
    r = make_gated(state, status, plan, &entry, err);
    if (r < 0 && entry.dir >= 0)
        cl_entry_remove(state, &entry);
    else if (r < 0 && err->code != EEXIST)
        (void)cl_sys_unlinkat(state->sandboxes, entry.id, AT_REMOVEDIR); /* where it was made */
    cl_state_ungate(state);
    if (r < 0)
        return r;
    *ret = entry;
    entry = CL_ENTRY_INIT;
    return 0;
}

/* pwrite */
int cl_entry_update(struct cl_entry *entry, const struct cl_status *status, struct cl_error *err)
{
    ssize_t put = sys_pwrite(entry->record, status, sizeof(*status), 0);

    if (put != (ssize_t)sizeof(*status))
        return cl_fail(err, put < 0 ? (int)put : EIO, "write the record of sandbox %s", entry->id);
    return 0;
}

/* unlink, unlink, rmdir, close, close. The record goes last but the directory: while
 * it is there and unlocked a sweeper knows what this was. */
void cl_entry_remove(struct cl_state *state, struct cl_entry *entry)
{
    if (entry->dir < 0)
        return;
    (void)cl_sys_unlinkat(entry->dir, "control", 0); /* not made yet, when we fail early */
    (void)cl_sys_unlinkat(entry->dir, "record", 0);
    int r = cl_sys_unlinkat(state->sandboxes, entry->id, AT_REMOVEDIR);
    if (r == -ENOTEMPTY || r == -EEXIST) {
        (void)cl_state_empty(entry->dir, MAX_FILES, MAX_DEPTH); /* a sweep tries again */
        (void)cl_sys_unlinkat(state->sandboxes, entry->id, AT_REMOVEDIR);
    }
    cl_entry_done(entry);
}

int cl_entry_read(const struct cl_entry *entry, struct cl_arena *arena,
                  struct cl_status *ret_status, struct cl_plan *ret_plan, struct cl_error *err)
{
    struct cl_status status;
    struct stat st;
    int r = entry->record < 0 ? -ENOENT : cl_sys_fstat(entry->record, &st);

    if (r < 0)
        return cl_fail(err, r, "read the record of sandbox %s", entry->id);
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(status) || st.st_size > RECORD_MAX)
        return cl_refuse(err, EBADMSG, "the record of sandbox %s is damaged", entry->id);
    size_t size = (size_t)st.st_size;
    char *data = cl_arena_alloc(arena, size);
    if (data == NULL)
        return cl_fail_memory(err);
    ssize_t got = cl_sys_pread(entry->record, data, size, 0);
    if (got != (ssize_t)size)
        return cl_fail(err, got < 0 ? (int)got : EIO, "read the record of sandbox %s", entry->id);
    memcpy(&status, data, sizeof(status));
    if (status.version != STATUS_VERSION || status.phase >= CL_PHASE_COUNT ||
        memcmp(status.id, entry->id, CL_ID_SIZE) != 0 ||
        status.boot_id[CL_BOOT_ID_SIZE - 1] != '\0' || (status.layers & ~CL_LAYER_MASK) != 0)
        return cl_refuse(err, EBADMSG, "the record of sandbox %s is damaged", entry->id);
    r = cl_plan_read(data + sizeof(status), size - sizeof(status), arena, ret_plan, err);
    if (r < 0)
        return cl_prefix(err, "the record of sandbox %s", entry->id);
    *ret_status = status;
    return 0;
}

/* --- walking -------------------------------------------------------------- */

struct names {
    struct cl_buf list; /* ids of CL_ID_SIZE bytes each */
};

struct dirent64_head { /* linux/dirent.h: struct linux_dirent64 */
    uint64_t ino;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* Calls SEEN with each name of directory DIR but "." and "..". */
static int for_each_name(int dir, int (*seen)(void *context, int dirfd, const char *name),
                         void *context)
{
    _Alignas(8) char chunk[4096];
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0)
        return fd;
    for (;;) {
        ssize_t got = cl_sys_getdents64(fd, chunk, sizeof(chunk));

        if (got <= 0)
            return (int)got;
        for (ssize_t at = 0; at < got;) {
            const struct dirent64_head *head = (const void *)(chunk + at);

            at += head->size;
            if (strcmp(head->name, ".") == 0 || strcmp(head->name, "..") == 0)
                continue;
            int r = seen(context, fd, head->name);
            if (r < 0)
                return r;
        }
    }
}

static int note_id(void *context, CL_UNUSED int dirfd, const char *name)
{
    struct names *names = context;

    return is_id(name) ? cl_buf_add(&names->list, name, CL_ID_SIZE) : 0;
}

static int open_entry(struct cl_state *state, const char *id, struct cl_entry *ret)
{
    memcpy(ret->id, id, CL_ID_SIZE);
    ret->dir = cl_sys_openat(state->sandboxes, id, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    if (ret->dir < 0)
        return ret->dir;
    /* O_NONBLOCK: a FIFO in its place must not hold us. */
    ret->record = cl_sys_openat(ret->dir, "record", O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
    return 0;
}

static int visit_one(struct cl_state *state, const char *id,
                     int (*visit)(void *context, struct cl_visit *visit, struct cl_error *err),
                     void *context, struct cl_error *err)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(4 * (size_t)RECORD_MAX);
    struct cl_status status = {0};
    struct cl_plan plan = {0};
    struct cl_error ignored = {0};

    if (open_entry(state, id, &entry) < 0)
        return 0; /* removed since it was listed */
    int known = cl_entry_read(&entry, &arena, &status, &plan, &ignored) == 0;
    if (!known) {
        status = (struct cl_status){0};
        memcpy(status.id, id, CL_ID_SIZE);
    }
    struct cl_visit seen = {&entry, &status, known ? &plan : NULL, cl_entry_alive(&entry)};
    return visit(context, &seen, err);
}

/* The names are collected first: visitors remove directories, and a listing that
 * changes below the reader may skip some. */
int cl_state_walk(struct cl_state *state, int (*visit)(void *context, struct cl_visit *visit,
                                                       struct cl_error *err),
                  void *context, struct cl_error *err)
{
    struct names names = {.list = CL_BUF_INIT((size_t)CL_ID_SIZE << 20)};
    CL_CLEANUP_BUF struct cl_buf list = {0};
    int r = for_each_name(state->sandboxes, note_id, &names);

    list = names.list;
    if (r < 0)
        return cl_fail(err, r, "list the sandboxes");
    for (size_t at = 0; at < list.size; at += CL_ID_SIZE) {
        r = visit_one(state, list.data + at, visit, context, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- finding -------------------------------------------------------------- */

enum { MATCH_NONE, MATCH_PREFIX, MATCH_NAME, MATCH_ID };

struct search {
    const char *wanted;
    int best;  /* MATCH_* */
    int count; /* of the best kind */
    struct cl_entry entry;
};

static int match_of(const struct search *search, const struct cl_visit *visit)
{
    size_t size = strlen(search->wanted);

    if (strcmp(visit->entry->id, search->wanted) == 0)
        return MATCH_ID;
    if (cl_plan_has(visit->plan, CL_FIELD_NAME) &&
        strcmp(visit->plan->name, search->wanted) == 0)
        return MATCH_NAME;
    if (size >= PREFIX_MIN && size < CL_ID_SIZE &&
        strncmp(visit->entry->id, search->wanted, size) == 0)
        return MATCH_PREFIX;
    return MATCH_NONE;
}

static int visit_match(void *context, struct cl_visit *visit, CL_UNUSED struct cl_error *err)
{
    struct search *search = context;

    if (!visit->alive || visit->plan == NULL)
        return 0;
    int match = match_of(search, visit);
    if (match == MATCH_NONE || match < search->best)
        return 0;
    if (match == search->best) {
        search->count++;
        return 0;
    }
    cl_entry_done(&search->entry);
    search->entry = *visit->entry;
    visit->entry->dir = visit->entry->record = -1;
    search->best = match;
    search->count = 1;
    return 0;
}

int cl_state_find(struct cl_state *state, const char *id_or_name, struct cl_arena *arena,
                  struct cl_entry *ret_entry, struct cl_status *ret_status,
                  struct cl_plan *ret_plan, struct cl_error *err)
{
    struct search search = {.wanted = id_or_name, .entry = CL_ENTRY_INIT};
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_plan plan = {0};
    int r = cl_state_walk(state, visit_match, &search, err);

    entry = search.entry;
    if (r < 0)
        return r;
    if (search.count == 0)
        return cl_refuse(err, ESRCH, "no running sandbox \"%.128s\"", id_or_name);
    if (search.count > 1)
        return cl_refuse(err, EINVAL, "\"%.128s\" is the start of %d ids; write more of it",
                         id_or_name, search.count);
    r = cl_entry_read(&entry, arena, ret_status, &plan, err);
    if (r < 0)
        return r;
    *ret_plan = plan;
    *ret_entry = entry;
    entry = CL_ENTRY_INIT;
    return 0;
}

/* --- removing ------------------------------------------------------------- */

struct emptying {
    unsigned int left; /* how many entries may still be removed */
    int depth;
    int error;
};

static int remove_name(void *context, int dirfd, const char *name)
{
    struct emptying *emptying = context;
    int r;

    if (emptying->left == 0)
        return -E2BIG;
    emptying->left--;
    r = cl_sys_unlinkat(dirfd, name, 0);
    if (r == -EISDIR) {
        CL_CLEANUP_FD int below =
            cl_sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

        if (below < 0 || emptying->depth == 0)
            return below < 0 ? below : -ELOOP;
        emptying->depth--;
        r = for_each_name(below, remove_name, emptying);
        emptying->depth++;
        if (r == 0)
            r = cl_sys_unlinkat(dirfd, name, AT_REMOVEDIR);
    }
    if (r < 0 && r != -ENOENT)
        emptying->error = r; /* the others go all the same */
    return 0;
}

int cl_state_empty(int dir, unsigned int count, int depth)
{
    struct emptying emptying = {.left = count, .depth = depth};
    int r = for_each_name(dir, remove_name, &emptying);

    return r < 0 ? r : emptying.error;
}
