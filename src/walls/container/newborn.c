/* A newborn: one more command that init starts in the running sandbox (exec), by the steps of
 * main (main.c), with its own words and streams in the place of the plan's.
 *
 * What it may be is checked here again, whoever decided it before: no more than the sandbox's
 * plan allows its command. Words are read in init, from memory that nobody can change while
 * that lasts, and freed when the newborn has become the command. The sandboxed code, which
 * by now has the uid of init, sees none of it: both are one memory until the exec, and not
 * dumpable. In build the change of user makes that memory what fs.suid_dumpable says, for
 * an instant; the client refuses a host where that is 1.
 */
#include <inttypes.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum {
    NEEDED_SEALS = 0x2 | 0x4 | 0x8, /* F_SEAL_SHRINK, GROW, WRITE */
    GET_SEALS = 1034,               /* F_GET_SEALS */
};

/* What a command to be born is, in init's memory. */
struct words {
    char *data;
    char **vector;
    struct cl_arena arena;
    struct cl_plan plan; /* points into data and arena */
};

static void words_done(struct words *words)
{
    cl_arena_done(&words->arena);
    free(words->vector);
    free(words->data);
}

/* The size of what may be read from FD without anybody changing it. */
static ssize_t look_at(int fd, struct cl_error *err)
{
    struct stat st;
    int seals = cl_sys_fcntl(fd, GET_SEALS, 0);

    if (seals < 0)
        return cl_fail(err, seals, "look at the words of a command");
    if ((seals & NEEDED_SEALS) != NEEDED_SEALS)
        return cl_refuse(err, EPERM, "the words of a command can still be changed");
    int r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return cl_fail(err, r, "look at the words of a command");
    if (st.st_size < 1 || st.st_size > CL_EXEC_WORDS_MAX)
        return cl_refuse(err, E2BIG, "the words of a command are more than %d bytes",
                         CL_EXEC_WORDS_MAX);
    return (ssize_t)st.st_size;
}

static int read_words(int fd, char *data, size_t size, struct cl_error *err)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = cl_sys_pread(fd, data + at, size - at, (off_t)at);

        if (got == -EINTR)
            continue;
        if (got <= 0)
            return cl_fail(err, got < 0 ? (int)got : -EIO, "read the words of a command");
        at += (size_t)got;
    }
    return 0;
}

int cl_newborn_check(const struct cl_plan *base, const struct cl_plan *words, struct cl_error *err)
{
    const uint64_t most = CL_UIDS_PER_RANGE - 1;
    const uint64_t wanted = 1ULL << CL_FIELD_COMMAND | 1ULL << CL_FIELD_ENV |
                            1ULL << CL_FIELD_WORKDIR | 1ULL << CL_FIELD_UID | 1ULL << CL_FIELD_GID;

    if (words->set != wanted || words->command.count == 0 || words->workdir[0] != '/')
        return cl_refuse(err, EPROTO, "these are no words of a command");
    if (words->uid > most || words->gid > most)
        return cl_refuse(err, EINVAL, "user: %" PRIu64 ":%" PRIu64 " are no ids of a sandbox",
                         words->uid, words->gid);
    if (base->profile == CL_PROFILE_STRICT && (words->uid != base->uid || words->gid != base->gid))
        return cl_refuse(err, EPERM,
                         "user: a strict sandbox has one user, this one %" PRIu64 ":%" PRIu64,
                         base->uid, base->gid);
    return 0;
}

static int make_vector(struct words *words, struct cl_error *err)
{
    const struct cl_strlist *command = &words->plan.command;
    const struct cl_strlist *env = &words->plan.env;
    const size_t count = command->count + env->count + 2;

    words->vector = cl_calloc(count, sizeof(*words->vector));
    if (words->vector == NULL)
        return cl_fail_memory(err);
    cl_vector_fill(cl_vector_fill(words->vector, command), env);
    return 0;
}

static int take_words(int fd, const struct cl_plan *base, struct words *words, struct cl_error *err)
{
    ssize_t size = look_at(fd, err);

    if (size < 0)
        return (int)size;
    words->data = cl_calloc(1, (size_t)size);
    if (words->data == NULL)
        return cl_fail_memory(err);
    int r = read_words(fd, words->data, (size_t)size, err);
    if (r == 0)
        r = cl_plan_read(words->data, (size_t)size, &words->arena, &words->plan, err);
    if (r == 0)
        r = cl_newborn_check(base, &words->plan, err);
    return r < 0 ? r : make_vector(words, err);
}

/* The sandbox's plan with the words of this command. */
static struct cl_plan plan_for(const struct cl_plan *base, const struct cl_plan *words)
{
    struct cl_plan plan = *base;

    plan.command = words->command;
    plan.env = words->env;
    plan.workdir = words->workdir;
    plan.uid = words->uid;
    plan.gid = words->gid;
    return plan;
}

/* TERMINAL is the newborn's, or -1. */
static pid_t give_birth(struct cl_container *container, const struct words *words,
                        const struct cl_birth *birth, struct cl_report *report,
                        struct cl_error *err)
{
    struct cl_plan plan = plan_for(container->plan, &words->plan);
    struct cl_wall_start start = *container->start;
    struct cl_container newborn = *container;

    start.plan = &plan;
    for (int fd = 0; fd < 3; fd++)
        start.stdio[fd] = birth->stdio[fd];
    newborn.start = &start;
    newborn.plan = &plan;
    newborn.report = report;
    newborn.argv = words->vector;
    newborn.envp = words->vector + plan.command.count + 1;
    newborn.terminal = birth->terminal;
    newborn.kept = cl_capabilities_kept(container->plan);
    pid_t pid = cl_newborn_start(&newborn, err);
    if (pid == -EAGAIN)
        return cl_hint(err, "the sandbox has as many tasks as it may (--pids-limit)");
    return pid;
}

pid_t cl_newborn_make(struct cl_container *container, const struct cl_birth *birth,
                      struct cl_report *report, struct cl_error *err)
{
    CL_CLEANUP(words_done)
    struct words words = {.arena = CL_ARENA_INIT(2UL * CL_EXEC_WORDS_MAX)};
    int r = take_words(birth->words, container->plan, &words, err);

    return r < 0 ? r : give_birth(container, &words, birth, report, err);
}
