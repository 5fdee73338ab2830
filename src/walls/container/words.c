/* The words of a command that is to be born in the running sandbox (exec), or of a copy of files:
 * a flat plan in sealed memory, from a client of the sandbox's owner. Init reads them, and checks
 * again what the client has decided: no more than the sandbox's plan allows its command. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum {
    NEEDED_SEALS = 0x2 | 0x4 | 0x8, /* F_SEAL_SHRINK, GROW, WRITE */
    GET_SEALS = 1034,               /* F_GET_SEALS */
};

void cl_words_done(struct cl_words *words)
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

int cl_words_check(const struct cl_plan *base, const struct cl_plan *words, struct cl_error *err)
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

static int make_vector(struct cl_words *words, struct cl_error *err)
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

int cl_words_take(int fd, const struct cl_plan *base, struct cl_words *words, struct cl_error *err)
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
        r = cl_words_check(base, &words->plan, err);
    return r < 0 ? r : make_vector(words, err);
}
