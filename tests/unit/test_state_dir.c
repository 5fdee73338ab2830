/* test_state_dir.c - a state directory that can't be used, and what its user is told. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/ids.h"
#include "sandbox/state.h"
#include "sandbox/table.h"
#include "room.h"

static char foreign[] = "/tmp/cloister-test-foreign-XXXXXX";

/* /run is empty; root's state directory is in it. */
static void make_run(const char *options)
{
    CHECK(mount("tmpfs", "/run", "tmpfs", 0, options) == 0);
}

static void close_run(void)
{
    CHECK(mount(NULL, "/run", NULL, MS_REMOUNT | MS_RDONLY | MS_BIND, NULL) == 0);
}

static void open_without(void)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_error err = {0};

    make_run("mode=0755");
    close_run();
    CHECK(cl_state_open(&state, &err) == -EROFS);
    CHECK_HAS(err.msg, "/run/cloister");
    CHECK_HAS(err.msg, "ReadWritePaths=/run/cloister");
    CHECK_HAS(err.msg, "RuntimeDirectoryMode=0700");
}

/* As ReadOnlyPaths=/run makes it: the directory is there. */
static void open_and_no_more(void)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_status status = {.id = "0123456789abcdef"};
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_plan plan = {0};
    struct cl_error err = {0};
    uint32_t base;
    int lock;

    make_run("mode=0755");
    CHECK(mkdir("/run/cloister", 0700) == 0);
    close_run();
    CHECK(cl_state_open(&state, &err) == 0);
    CHECK(cl_state_create(&state, &status, &plan, &entry, &err) == -EROFS);
    CHECK_HAS(err.msg, "ReadWritePaths=/run/cloister");
    CHECK(cl_ids_take(&state, &CL_IDS_DEFAULT, &base, &lock, &err) == -EROFS);
    CHECK_HAS(err.msg, "ReadWritePaths=/run/cloister");
}

TEST(a_directory_that_is_read_only_is_told_with_the_cure)
{
    room_run(open_without);
    room_run(open_and_no_more);
}

static void open_unmapped(void)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_error err = {0};

    make_run("mode=0755");
    CHECK(mkdir("/run/cloister", 0700) == 0);
    CHECK(mount(foreign, "/run/cloister", NULL, MS_BIND, NULL) == 0);
    CHECK(cl_state_open(&state, &err) == -EPERM);
    CHECK_HAS(err.msg, "user namespace doesn't map");
    CHECK_HAS(err.msg, "unshare -r");
    CHECK(strstr(err.msg, "remove it") == NULL);
}

TEST(who_is_inside_a_user_namespace_is_told_so)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, to give a directory to another");
    CHECK(mkdtemp(foreign) != NULL);
    CHECK(chown(foreign, 4711, 4711) == 0 && chmod(foreign, 0700) == 0);
    room_run(open_unmapped);
    CHECK(rmdir(foreign) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_directory_that_is_read_only_is_told_with_the_cure),
        ROW(who_is_inside_a_user_namespace_is_told_so),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
