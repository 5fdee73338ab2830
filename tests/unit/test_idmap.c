/* test_idmap.c - who the sandbox's users are outside. The host's /etc/subuid and its
 * newuidmap are the test's own in its room. */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "room.h"

static struct room room;

/* A child in a user namespace without maps, as init is before it may go; ends by itself
 * when the test does. */
static pid_t start_unmapped(void)
{
    int ready[2];
    char byte;

    CHECK(cl_sys_pipe2(ready, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (cl_sys_unshare(CLONE_NEWUSER) < 0)
            _exit(1);
        (void)!write(ready[1], "x", 1);
        for (;;)
            (void)pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    cl_fd_close(&ready[0]);
    cl_fd_close(&ready[1]);
    return pid;
}

/* As the maker found it. */
static void take_unmapped(struct cl_container *container)
{
    char path[32];

    container->pid = start_unmapped();
    (void)snprintf(path, sizeof(path), "/proc/%d", (int)container->pid);
    container->pid_dir = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
    CHECK(container->pid_dir >= 0);
}

static void check_map(pid_t pid, const char *name, const unsigned int expected[3])
{
    char path[64];
    char text[128];
    char line[128];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    (void)snprintf(line, sizeof(line), "%10u %10u %10u\n", expected[0], expected[1], expected[2]);
    CHECK(room_read(AT_FDCWD, path, text, sizeof(text)) == 0);
    CHECK_TEXT(text, line);
}

static void map_one(void)
{
    static const unsigned int uids[] = {1000, 0, 1};
    static const unsigned int gids[] = {100, 0, 1};

    room_set_up(&room);
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    room.plan.uid = 1000;
    room.plan.gid = 100;
    take_unmapped(&room.container);
    CHECK(cl_idmap_write(&room.container, &room.err) == 0);
    check_map(room.container.pid, "uid_map", uids);
    check_map(room.container.pid, "gid_map", gids);
    CHECK(cl_idmap_write(&room.container, &room.err) < 0); /* once and for all */
    CHECK_HAS(room.err.msg, "of a user namespace");
    CHECK(kill(room.container.pid, SIGKILL) == 0 && waitpid(room.container.pid, NULL, 0) > 0);
    CHECK(cl_idmap_write(&room.container, &room.err) == -ESRCH); /* nobody else's, ever */
}

TEST(a_strict_sandbox_is_the_caller_alone)
{
    room_run(map_one);
}

TEST(roots_sandbox_has_a_range)
{
    static const unsigned int range[] = {0, 0x70010000, 65536};

    if (geteuid() != 0)
        SKIP_TEST("needs root, whose ranges they are");
    room_set_up(&room);
    room.container.rootless = 0;
    room.start.uid_base = 0x70010000;
    take_unmapped(&room.container);
    CHECK(cl_idmap_write(&room.container, &room.err) == 0);
    check_map(room.container.pid, "uid_map", range);
    check_map(room.container.pid, "gid_map", range);
    CHECK(kill(room.container.pid, SIGKILL) == 0 && waitpid(room.container.pid, NULL, 0) > 0);
    cl_fd_close(&room.container.pid_dir);
    cl_fd_close(&room.container.channel[0]);
    cl_fd_close(&room.container.channel[1]);
}

/* --- sub-ids ----------------------------------------------------------------------------- */

/* Puts TEXT in place of the host's file PATH. */
static void replace(const char *path, const char *name, const char *text)
{
    char ours[64];

    (void)snprintf(ours, sizeof(ours), "/mnt/%s", name);
    CHECK(room_write(ours, text) == 0 && chmod(ours, 0755) == 0);
    CHECK(mount(ours, path, NULL, MS_BIND, NULL) == 0);
}

static const char note_arguments[] = "#!/bin/sh\necho \"${0##*/} $*\" >> /mnt/log\n";

static int map_build(const char *subuid, const char *subgid)
{
    room_set_up(&room);
    room.plan.profile = CL_PROFILE_BUILD;
    room.container.pid = 4321;
    (void)unlink("/mnt/log");
    replace("/etc/subuid", "subuid", subuid);
    replace("/etc/subgid", "subgid", subgid);
    return cl_idmap_write(&room.container, &room.err);
}

static void check_log(const char *expected)
{
    char text[256] = "";

    (void)room_read(AT_FDCWD, "/mnt/log", text, sizeof(text));
    CHECK_TEXT(text, expected);
}

static void use_subids(void)
{
    (void)unsetenv("USER");
    replace("/usr/bin/newuidmap", "uidmap", note_arguments);
    replace("/usr/bin/newgidmap", "gidmap", note_arguments);
    CHECK(map_build("ada:1:2\n0:100000:65536\n", "0:200000:500\n0:7:7\n") == 0);
    check_log("newgidmap 4321 0 0 1 1 200000 500\n"
              "newuidmap 4321 0 0 1 1 100000 65535\n"); /* no more than there are ids inside */
    replace("/etc/passwd", "passwd", "ada:x:0:0::/:/bin/sh\n");
    CHECK(map_build("adam:5:5\nada:300000:9", "ada:400000:8\n") == 0);
    check_log("newgidmap 4321 0 0 1 1 400000 8\nnewuidmap 4321 0 0 1 1 300000 9\n");
}

static void lack_subids(void)
{
    static const char *const bad[] = {
        "",        "\n\n",    "ada:1:2\n", "0\n",      "0:1\n",
        "0:1:0\n", "0:x:1\n", "0:1:1x\n",  "0:-1:5\n", "00:1:1\n",
    };

    (void)unsetenv("USER");
    replace("/usr/bin/newuidmap", "uidmap", note_arguments);
    replace("/usr/bin/newgidmap", "gidmap", note_arguments);
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(map_build(bad[i], "0:1:1\n") == -ENOENT);
        CHECK_HAS(room.err.msg, "/etc/subuid has none for uid 0");
        CHECK_HAS(room.err.msg, "--profile strict");
    }
    CHECK(map_build("0:1:1\n", "") == -ENOENT);
    CHECK_HAS(room.err.msg, "/etc/subgid");
    check_log("");
}

/* A worker's guests: their ids by the helper, the one group by ourselves. */
static int map_guests(const char *subuid)
{
    static const unsigned int gids[] = {100, 0, 1};

    room_set_up(&room);
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    room.plan = (struct cl_plan){.image_kind = CL_IMAGE_MODULES,
                                 .wasm_model = CL_WASM_PROCESS,
                                 .guests = 20,
                                 .uid = 1000,
                                 .gid = 100};
    (void)unlink("/mnt/log");
    replace("/etc/subuid", "subuid", subuid);
    take_unmapped(&room.container);
    int r = cl_idmap_write(&room.container, &room.err);
    if (r == 0)
        check_map(room.container.pid, "gid_map", gids);
    CHECK(kill(room.container.pid, SIGKILL) == 0 && waitpid(room.container.pid, NULL, 0) > 0);
    return r;
}

static void use_guests(void)
{
    (void)unsetenv("USER");
    replace("/usr/bin/newuidmap", "uidmap", "#!/bin/sh\nshift\necho \"$*\" >> /mnt/log\n");
    CHECK(map_guests("0:100000:20\n") == 0);
    check_log("1000 0 1 32768 100000 20\n");
    CHECK(map_guests("0:100000:19\n") == -ENOENT);
    CHECK_HAS(room.err.msg, "needs 20 user ids and /etc/subuid has 19 for uid 0");
    CHECK_HAS(room.err.msg, "or accept it by --without guest-users");
    CHECK(map_guests("ada:1:50\n") == -ENOENT);
    CHECK_HAS(room.err.msg, "/etc/subuid has none for uid 0");
    CHECK_HAS(room.err.msg, "or accept it by --without guest-users");
    check_log("");
    replace("/usr/bin/newuidmap", "uidmap", "#!/bin/sh\nexit 1\n");
    CHECK(map_guests("0:5:20\n") == -EPERM);
    CHECK_HAS(room.err.msg, "newuidmap refused the range");
}

static void fail_to_map(void)
{
    (void)unsetenv("USER");
    replace("/usr/bin/newuidmap", "uidmap", "#!/bin/sh\nexit 1\n");
    replace("/usr/bin/newgidmap", "gidmap", note_arguments);
    CHECK(map_build("0:5:6\n", "0:5:6\n") == -EPERM);
    CHECK_HAS(room.err.msg, "newuidmap refused the range 5+6; it ");
    CHECK_HAS(room.err.msg, "; or use --profile strict");
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0); /* of this room's process */
    CHECK(map_build("0:5:6\n", "0:5:6\n") == -EPERM);
    CHECK_HAS(room.err.msg,
              "newuidmap refused the range 5+6; it gains no privilege where no_new_privs is set");
    replace("/usr/bin/newgidmap", "gidmap", "#!/nowhere\n");
    CHECK(map_build("0:5:6\n", "0:5:6\n") == -ENOENT);
    CHECK_HAS(room.err.msg, "install the package uidmap");
}

static int has_mappers(void)
{
    return access("/usr/bin/newuidmap", F_OK) == 0 && access("/etc/subuid", F_OK) == 0 &&
           access("/etc/subgid", F_OK) == 0;
}

TEST(sub_ids_go_to_the_hosts_helpers)
{
    if (!has_mappers())
        SKIP_TEST("needs the package uidmap");
    room_run(use_subids);
}

TEST(a_workers_guests_have_sub_ids)
{
    if (!has_mappers())
        SKIP_TEST("needs the package uidmap");
    room_run(use_guests);
}

TEST(missing_sub_ids_are_told)
{
    if (!has_mappers())
        SKIP_TEST("needs the package uidmap");
    room_run(lack_subids);
}

TEST(refused_sub_ids_are_told)
{
    if (!has_mappers())
        SKIP_TEST("needs the package uidmap");
    room_run(fail_to_map);
}

/* --- id-mapped mounts ----------------------------------------------------------------------- */

static void map_tree(void)
{
    static const char *const none[] = {NULL, NULL};
    struct cl_error err = {0};
    struct stat st;

    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    int userns = cl_userns_make(1234, 56, 0, 0, &err);
    CHECK(userns >= 0);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); /* nobody is left of it */
    int tree = cl_fs_make("tmpfs", none, 0, &err);
    CHECK(tree >= 0 && fstat(tree, &st) == 0 && st.st_uid == 0);
    CHECK(cl_idmap_tree(tree, userns, "it", &err) == 0);
    CHECK(fstat(tree, &st) == 0 && st.st_uid != 0); /* 0 isn't among the owners it knows */
    CHECK(cl_idmap_tree(tree, userns, "it", &err) < 0);
    CHECK_HAS(err.msg, "id-map the mount of it");
    CHECK_HAS(err.msg, "id-mapped already");
    CHECK(cl_userns_make(0, 0, 4711, 0, &err) < 0); /* nobody of ours */
    CHECK_HAS(err.msg, "uid_map");
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST(a_tree_is_mapped)
{
    room_run(map_tree);
}

/* The child whose namespace it is ends at once, before or after its maps are written. */
static void lose_the_holder(void)
{
    char fault[64];

    (void)snprintf(fault, sizeof(fault), "children:lacks:%d=%d", CL_SYS_POLL, ENOMEM);
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    for (int i = 0; i < 20; i++) {
        struct cl_error err = {0};

        cl_fault_set(fault);
        CL_CLEANUP_FD int userns = cl_userns_make(1234, 56, 0, 0, &err);
        cl_fault_set(NULL);
        CHECK(userns >= 0 || userns == -ENOMEM);
        if (userns < 0)
            CHECK_HAS(err.msg, "hold the user namespace for a volume's id map");
        CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    }
}

TEST(a_namespace_whose_holder_can_not_wait_is_made_or_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(lose_the_holder);
}

/* devpts can't, on any kernel so far; tmpfs on some. */
static void fail_to_map_tree(void)
{
    static const char *const none[] = {NULL, NULL};
    struct cl_error err = {0};
    char fault[64];

    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    CL_CLEANUP_FD int userns = cl_userns_make(1234, 56, 0, 0, &err);
    CL_CLEANUP_FD int devpts = cl_fs_make("devpts", none, 0, &err);
    CHECK(userns >= 0 && devpts >= 0);
    CHECK(cl_idmap_tree(devpts, userns, "it", &err) == -EINVAL);
    CHECK_HAS(err.msg, "its file system, devpts, can't be id-mapped");
    CHECK_HAS(err.msg, ":copy");
    CHECK(mkdir("/mnt/below", 0755) == 0);
    CHECK(mount("devpts", "/mnt/below", "devpts", 0, NULL) == 0);
    CL_CLEANUP_FD int tree = cl_sys_open_tree(
        AT_FDCWD, "/mnt", CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_RECURSIVE);
    CHECK(tree >= 0);
    CHECK(cl_idmap_tree(tree, userns, "it", &err) == -EINVAL);
    CHECK_HAS(err.msg, "mounted below it can't be id-mapped");
    CL_CLEANUP_FD int tmpfs = cl_fs_make("tmpfs", none, 0, &err);
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_mount_setattr, EINVAL);
    cl_fault_set(fault);
    CHECK(cl_idmap_tree(tmpfs, userns, "it", &err) == -EINVAL);
    cl_fault_set(NULL);
    CHECK_HAS(err.msg, "its file system, tmpfs, can't be id-mapped by this kernel (before Linux "
                       "6.3)");
}

TEST(what_can_not_be_mapped_is_named)
{
    room_run(fail_to_map_tree);
}

TEST(refusals_of_the_host_have_hints)
{
    struct cl_error err = {.code = EPERM, .msg = "no"};

    CHECK(cl_userns_hint(-EPERM, &err) == -EPERM);
    CHECK_HAS(err.msg, "no; this host restricts user namespaces");
    err = (struct cl_error){.code = ENOSPC, .msg = "no"};
    CHECK(cl_userns_hint(-ENOSPC, &err) == -ENOSPC);
    CHECK_HAS(err.msg, "max_user_namespaces");
    err = (struct cl_error){.code = ENOMEM, .msg = "no"};
    CHECK(cl_userns_hint(-ENOMEM, &err) == -ENOMEM);
    CHECK_TEXT(err.msg, "no");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_strict_sandbox_is_the_caller_alone),
        ROW(roots_sandbox_has_a_range),
        ROW(sub_ids_go_to_the_hosts_helpers),
        ROW(a_workers_guests_have_sub_ids),
        ROW(missing_sub_ids_are_told),
        ROW(refused_sub_ids_are_told),
        ROW(a_tree_is_mapped),
        ROW(a_namespace_whose_holder_can_not_wait_is_made_or_told),
        ROW(what_can_not_be_mapped_is_named),
        ROW(refusals_of_the_host_have_hints),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
