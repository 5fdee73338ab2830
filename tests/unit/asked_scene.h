/* asked_scene.h - a directory of our own for what stands in cloister-plan's place: small shell
 * scripts, which do what a helper that was taken over might. */
#ifndef CL_TESTS_UNIT_ASKED_SCENE_H
#define CL_TESTS_UNIT_ASKED_SCENE_H

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

static inline void asked_write_file(const char *path, const void *data, size_t size, mode_t mode)
{
    CL_CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    CHECK(fd >= 0 && cl_write_all(fd, data, size) == 0);
}

/* Puts a script where the helper is looked for. */
static inline void asked_fake_helper(const char *dir, const char *lines)
{
    char path[64];
    char script[512];

    (void)snprintf(path, sizeof(path), "%s/cloister-plan", dir);
    int size = snprintf(script, sizeof(script), "#!/bin/sh\nPATH=/bin:/usr/bin\n%s\n", lines);
    CHECK(size > 0 && (size_t)size < sizeof(script));
    asked_write_file(path, script, (size_t)size, 0755);
}

/* The built helper's directory: that above tests/unit, where we are, or where
 * CLOISTER_PLAN_DIR says. */
static inline const char *asked_real_helper(void)
{
    static char dir[4200];
    const char *given = getenv("CLOISTER_PLAN_DIR");

    if (given != NULL)
        return given;
    ssize_t size = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
    CHECK(size > 0);
    for (int i = 0; i < 3; i++)
        *strrchr(dir, '/') = '\0';
    return dir;
}

/* A file that holds TEXT. */
static inline int asked_text_file(const char *text)
{
    int fd = cl_sys_memfd_create("text", MFD_CLOEXEC);

    CHECK(cl_write_all(fd, text, strlen(text)) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* How many lines of one letter a script added to DIR's file `calls`. */
static inline long asked_calls(const char *dir)
{
    char path[64];
    struct stat status;

    (void)snprintf(path, sizeof(path), "%s/calls", dir);
    return stat(path, &status) < 0 ? 0 : (long)status.st_size / 2;
}

/* What the directory PATH has in it; none as good as empty. */
static inline int asked_entries(const char *path)
{
    return access(path, F_OK) < 0 ? 0 : check_count_entries(path);
}

static inline void asked_remove(const char *dir)
{
    char command[64];

    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    CHECK(system(command) == 0); // NOLINT(cert-env33-c): a directory of our own
}

#endif
