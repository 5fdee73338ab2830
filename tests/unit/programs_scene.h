/* programs_scene.h - the helper programs as the core finds them from a test: in a directory of
 * the test's own, where each is the built one or a shell script that does what it is told.
 *
 * The core looks for helpers beside its own executable, and takes the first argument for that
 * when it runs from memory (src/cmd/cloister/seal.h). So does a test here: main() begins with
 * programs_enter, which starts the test again from a copy in memory.
 */
#ifndef CL_TESTS_UNIT_PROGRAMS_SCENE_H
#define CL_TESTS_UNIT_PROGRAMS_SCENE_H

#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

static char programs_dir[] = "/tmp/cl-test-programs-XXXXXX";
static char programs_self[PATH_MAX];  /* the test's own file */
static char programs_built[PATH_MAX]; /* where the built helpers are */

static inline void programs_remember(const char *self)
{
    const char *given = getenv("CLOISTER_PLAN_DIR"); /* as asked_scene.h has it */

    (void)snprintf(programs_self, sizeof(programs_self), "%s", self);
    (void)snprintf(programs_built, sizeof(programs_built), "%s", given != NULL ? given : self);
    for (int i = 0; given == NULL && i < 3; i++)
        *strrchr(programs_built, '/') = '\0';
}

static inline void programs_start_again(void)
{
    char self[PATH_MAX] = "";
    char first[PATH_MAX];
    char path[32];
    int program = cl_sys_memfd_create("test", MFD_CLOEXEC);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || mkdtemp(programs_dir) == NULL ||
        program < 0 || file < 0 || fstat(file, &status) < 0)
        _exit(1);
    for (off_t left = status.st_size; left > 0;) {
        ssize_t put = cl_sys_sendfile(program, file, (size_t)left);

        if (put <= 0)
            _exit(1);
        left -= put;
    }
    (void)snprintf(first, sizeof(first), "%s/test", programs_dir);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
    (void)execl(path, first, "from-memory", self, (char *)NULL);
    _exit(1);
}

static inline void programs_leave(void)
{
    char command[64];

    (void)snprintf(command, sizeof(command), "rm -rf %s", programs_dir);
    (void)!system(command); // NOLINT(cert-env33-c): a directory of our own
}

/* The first thing in main(). */
static inline void programs_enter(int argc, char *argv[])
{
    if (argc != 3 || strcmp(argv[1], "from-memory") != 0)
        programs_start_again();
    programs_remember(argv[2]);
    (void)snprintf(programs_dir, sizeof(programs_dir), "%.*s", (int)sizeof(programs_dir) - 1,
                   argv[0]);
    (void)cl_sys_close_range(3, ~0U, 0); /* what the caller left open is not what tests count */
}

static inline const char *program_path(const char *name)
{
    static char path[sizeof(programs_dir) + 64];

    (void)snprintf(path, sizeof(path), "%s/%s", programs_dir, name);
    return path;
}

/* NAME is the built program from now on. */
static inline void program_real(const char *name)
{
    char built[PATH_MAX + 64];

    (void)snprintf(built, sizeof(built), "%s/%s", programs_built, name);
    (void)unlink(program_path(name));
    CHECK(access(built, X_OK) == 0 && symlink(built, program_path(name)) == 0);
}

/* NAME is a script from now on: LINES for those of VERBS (a pattern of `case`), and the built
 * program for the others. $real is that one, $dir the programs' directory. */
static inline void program_fake(const char *name, const char *verbs, const char *lines)
{
    char script[4096];
    int size = snprintf(script, sizeof(script),
                        "#!/bin/sh\nPATH=/bin:/usr/bin\ndir=%s\nreal=%s/%s\nself=%s\n"
                        "case $1 in %s) ;; *) exec $real \"$@\";; esac\n%s\n",
                        programs_dir, programs_built, name, programs_self, verbs, lines);

    CHECK(size > 0 && (size_t)size < sizeof(script));
    (void)unlink(program_path(name));
    CL_CLEANUP_FD int fd = open(program_path(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    CHECK(fd >= 0 && cl_write_all(fd, script, (size_t)size) == 0);
}

/* A file beside the programs, for scripts to take. */
static inline void program_offer(const char *name, const void *data, size_t size)
{
    CL_CLEANUP_FD int fd = open(program_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    CHECK(fd >= 0 && cl_write_all(fd, data, size) == 0);
}

#endif
