/* From a command's first word to a program; and the start of one of ours in its place. */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

enum { PLACE_SIZE = 4096 }; /* of a program in PATH */

static const char *find_path(const struct cl_strlist *env)
{
    const char *path = cl_env_find(env, "PATH");

    return path == NULL ? "" : path;
}

/* The next place in *PATH where NAME may be, put into RET; 0 at its end. */
static int next_place(const char **path, const char *name, char ret[PLACE_SIZE])
{
    while (**path != '\0') {
        size_t size = strcspn(*path, ":");
        int written = snprintf(ret, PLACE_SIZE, "%.*s/%s", (int)size, *path, name);

        *path += size + ((*path)[size] == ':');
        if (size > 0 && written >= 0 && written < PLACE_SIZE)
            return 1; /* an empty entry would be the working directory */
    }
    return 0;
}

/* execvp's rule: the first that can be executed; EACCES is remembered. */
static int execute_in_path(const char *name, const struct cl_strlist *env, char *const argv[],
                           char *const envp[])
{
    const char *path = find_path(env);
    char place[PLACE_SIZE];
    int result = -ENOENT;

    while (next_place(&path, name, place)) {
        int r = cl_sys_execve(place, argv, envp);

        if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
            return r;
        if (r == -EACCES)
            result = r;
    }
    return result;
}

static int is_file(const char *path)
{
    CL_CLEANUP_FD int file = cl_sys_openat(AT_FDCWD, path, O_PATH, 0);

    return file >= 0;
}

int cl_program_is_there(const char *name, const struct cl_strlist *env)
{
    const char *path = find_path(env);
    char place[PLACE_SIZE];

    if (strchr(name, '/') != NULL)
        return is_file(name);
    while (next_place(&path, name, place)) {
        if (is_file(place))
            return 1;
    }
    return 0;
}

/* Whether a file can be executed by somebody: what root would find out by doing it. */
static int check_file(const char *path)
{
    struct stat st;
    int r = cl_sys_fstatat(AT_FDCWD, path, &st, 0);

    if (r < 0)
        return r;
    return S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0 ? 0 : -EACCES;
}

int cl_program_check(const char *name, const struct cl_strlist *env)
{
    const char *path = find_path(env);
    char place[PLACE_SIZE];
    int result = -ENOENT;

    if (strchr(name, '/') != NULL)
        return check_file(name);
    while (name[0] != '\0' && next_place(&path, name, place)) {
        int r = check_file(place);

        if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
            return r;
        if (r == -EACCES)
            result = r;
    }
    return result;
}

int cl_program_execute(const char *name, const struct cl_strlist *env, char *const argv[],
                       char *const envp[])
{
    return strchr(name, '/') != NULL ? cl_sys_execve(name, argv, envp)
                                     : execute_in_path(name, env, argv, envp);
}

/* --- of our own ----------------------------------------------------------- */

enum { FIRST = 3 };

static int place_of_file(const struct cl_wall_program *program)
{
    return FIRST + (int)program->fd_count - 1;
}

/* By way of numbers that none is to get: any may have the one of another. They are no higher than
 * they have to be, since few descriptors may be all that the plan allows. */
static int place(const struct cl_wall_program *program)
{
    int lifted[CL_PROGRAM_MOST_FDS];
    const int file = place_of_file(program);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < program->fd_count; i++)
        r = lifted[i] = cl_sys_fcntl(program->fds[i], F_DUPFD_CLOEXEC, file + 1);
    for (int fd = FIRST; r >= 0 && fd <= file; fd++)
        r = cl_sys_dup3(lifted[fd - FIRST], fd, fd == file ? O_CLOEXEC : 0);
    return r;
}

int cl_program_place(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;
    const struct cl_wall_program *program = container->start->program;

    if (program == NULL)
        return 0;
    int r = place(program);
    return r < 0 ? cl_fail(err, r, "place the descriptors of %s", program->name) : 0;
}

int cl_program_first_free(const struct cl_container *container)
{
    return cl_has_program(container) ? place_of_file(container->start->program) + 1 : FIRST;
}

int cl_program_start(const struct cl_wall_program *program, char *const argv[], char *const envp[])
{
    return cl_sys_execveat(place_of_file(program), "", argv, envp, CL_AT_EMPTY_PATH);
}
