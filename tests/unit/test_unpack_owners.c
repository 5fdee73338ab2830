/* test_unpack_owners.c - owners and extended attributes, in user namespaces with one id and
 * with many. */
#include <linux/capability.h>

#include "base/fault.h"
#include "base/userns.h"
#include "unpack_scene.h"

enum { BASE = 1000000, REFUSED = 77, NOBODY = 65534 };

/* Runs BODY on a layer's directory that is its own, as root of a namespace whose ids 0 to 65,535
 * are BASE and on outside. */
static void with_range(void (*body)(struct scene *scene))
{
    CLEANUP_SCENE struct scene scene = scene_make();
    int to_child[2] = {-1, -1};
    int to_parent[2] = {-1, -1};
    struct cl_error err = {0};
    char byte = 0;
    int status = -1;

    CHECK(cl_sys_pipe2(to_child, 0) == 0 && cl_sys_pipe2(to_parent, 0) == 0);
    CHECK(fchownat(AT_FDCWD, scene.path, BASE, BASE, 0) == 0);
    char *outer = strdup(scene.path);
    outer[strlen(outer) - 6] = '\0';
    CHECK(chmod(outer, 0755) == 0);
    free(outer);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (cl_sys_unshare(CLONE_NEWUSER) < 0)
            _exit(REFUSED);
        CHECK(write(to_parent[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 1);
        CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
        body(&scene);
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    cl_fd_close(&to_parent[1]);
    if (read(to_parent[0], &byte, 1) == 1) {
        CL_CLEANUP_FD int proc = cl_userns_open_proc(pid, &err);

        CHECK(proc >= 0 && cl_userns_map_range(proc, BASE, &err) == 0);
        CHECK(write(to_child[1], &byte, 1) == 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    cl_fd_close(&to_parent[0]);
    cl_fd_close(&to_child[0]);
    cl_fd_close(&to_child[1]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
        SKIP_TEST("this host lets us make no user namespace");
    CHECK(status == 0);
}

/* The same with the one id that everybody has. */
static void with_one(void (*body)(struct scene *scene))
{
    int status = -1;

    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        scene_enter();
        if (!scene_is_root)
            _exit(REFUSED);
        CLEANUP_SCENE struct scene scene = scene_make();
        body(&scene);
        scene_done(&scene);
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
        SKIP_TEST("this host lets us make no user namespace");
    CHECK(status == 0);
}

#define NEEDS_ROOT()                                                                               \
    do {                                                                                           \
        if (geteuid() != 0)                                                                        \
            SKIP_TEST("only root may map ids that are not its own");                               \
    } while (0)

/* --- owners ----------------------------------------------------------------------------------- */

static int belongs(const struct scene *scene, const char *name, uid_t uid, gid_t gid)
{
    const struct stat status = scene_stat(scene, name);

    return status.st_nlink > 0 && status.st_uid == uid && status.st_gid == gid;
}

static void keep_owners(struct scene *scene)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    TAR(&tar, .name = "d", .type = '5', .uid = 10, .gid = 20, .mode = 02770, .mtime = 4);
    tar_file(&tar, "d/of-root", "x"); /* not of the group 20 */
    tar_directory(&tar, "d/dir-of-root");
    tar_symlink(&tar, "d/link-of-root", "x");
    TAR(&tar, .name = "d/fifo-of-root", .type = '6', .mode = 0600);
    tar_file(&tar, "d/forgotten/file", "x");
    TAR(&tar, .name = "setuid", .mode = 06711, .uid = 1, .gid = 65535, .content = "x", .mtime = 5);
    TAR(&tar, .name = "empty", .mode = 06711, .uid = 1, .gid = 65535); /* nothing is written */
    TAR(&tar, .name = "link", .type = '2', .link = "x", .uid = 65535, .gid = 3, .mtime = 6);
    TAR(&tar, .name = "fifo", .type = '6', .mode = 04644, .uid = 5, .gid = 6, .mtime = 7);
    TAR(&tar, .name = ".", .type = '5', .uid = 8, .gid = 9);
    tar_hard_link(&tar, "hard", "setuid"); /* says 0:0, which is nobody's business */
    scene_ok(scene, &tar);
    CHECK(belongs(scene, "d", 10, 20) && scene_mode(scene, "d") == 02770);
    CHECK(belongs(scene, "d/of-root", 0, 0) && belongs(scene, "d/dir-of-root", 0, 0));
    CHECK(scene_mode(scene, "d/dir-of-root") == 0755);
    CHECK(belongs(scene, "d/link-of-root", 0, 0) && belongs(scene, "d/fifo-of-root", 0, 0));
    CHECK(belongs(scene, "d/forgotten", 0, 0) && scene_mode(scene, "d/forgotten") == 0755);
    CHECK(belongs(scene, "setuid", 1, 65535) && scene_mode(scene, "setuid") == 06711);
    CHECK(belongs(scene, "empty", 1, 65535) && scene_mode(scene, "empty") == 06711);
    CHECK(belongs(scene, "link", 65535, 3) && scene_stat(scene, "link").st_mtim.tv_sec == 6);
    CHECK(belongs(scene, "fifo", 5, 6) && scene_mode(scene, "fifo") == 04644);
    CHECK(belongs(scene, ".", 8, 9));
    CHECK(scene_stat(scene, "d").st_mtim.tv_sec == 4);
}

TEST(owners_are_kept)
{
    NEEDS_ROOT();
    with_range(keep_owners);
}

static void fail_owners(struct scene *scene)
{
    static const struct {
        long call;
        char kind;
        const char *needle;
    } rows[] = {
        {SYS_fchown, '0', "give \"d/it\" to user 5 and group 6: Input/output error"},
        {SYS_fchown, '5', "give \"d/it\" to user 5 and group 6: Input/output error"},
        {SYS_fchmod, '0', "set the mode of \"d/it\": Input/output error"},
        {SYS_fchownat, '2', "give \"d/it\" to user 5 and group 6: Input/output error"},
        {SYS_fchownat, '6', "give \"d/it\" to user 5 and group 6: Input/output error"},
        {SYS_fchmodat, '6', "set the mode of \"d/it\": Input/output error"},
    };
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const int fds = check_count_fds();
        char fault[64];

        TAR(&tar, .name = "d/it", .type = rows[i].kind, .uid = 5, .gid = 6, .link = "x",
            .mode = 04755);
        (void)snprintf(fault, sizeof(fault), "lacks:%ld=%d", rows[i].call, EIO);
        cl_fault_set(fault);
        scene_refused(scene, &tar, EIO, rows[i].needle);
        cl_fault_set(NULL);
        CHECK(check_count_fds() == fds);
    }
}

TEST(owners_that_can_not_be_set_are_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    NEEDS_ROOT();
    with_range(fail_owners);
}

static void refuse_owners(struct scene *scene)
{
    static const char kinds[] = {'0', '2', '5', '6'};
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    for (size_t i = 0; i < sizeof(kinds); i++) {
        TAR(&tar, .name = "d/it", .type = kinds[i], .uid = 70000, .gid = 5, .link = "x");
        scene_refused(scene, &tar, EOVERFLOW,
                      "give \"d/it\" to user 70000 and group 5: Invalid argument");
        TAR(&tar, .name = "d/it", .type = kinds[i], .gid = 70000, .link = "x");
        scene_refused(scene, &tar, EOVERFLOW, "give \"d/it\" to user 0 and group 70000: ");
    }
    tar_pax_one(&tar, "uid", "4294967295", 10); /* chown(2): leave it */
    tar_file(&tar, "a", "x");
    scene_refused(scene, &tar, EINVAL,
                  "\"a\" belongs to user 4294967295 and group 0: Linux has no such ids");
    tar_pax_one(&tar, "gid", "4294967296", 10);
    tar_file(&tar, "a", "x");
    scene_refused(scene, &tar, EINVAL, "Linux has no such ids");
}

TEST(owners_that_there_are_not_are_refused)
{
    with_one(refuse_owners);
}

/* --- extended attributes -------------------------------------------------------------------------
 */

static void keep_xattrs(struct scene *scene)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;
    char value[64];
    static const char kinds[] = {'0', '5', '2', '6', '1'};
    static const char *const dropped[] = {
        "SCHILY.xattr.security.selinux",
        "SCHILY.xattr.security.ima",
        "SCHILY.xattr.security.evm",
        "SCHILY.xattr.trusted.x",
        "SCHILY.xattr.system.posix_acl_access",
        "SCHILY.xattr.os2.x",
        "SCHILY.xattr.user",
        "SCHILY.acl.access",
        "SCHILY.acl.default",
        "RHT.security.selinux",
    };

    tar_file(&tar, "it-0", "replaced");
    for (size_t i = 0; i < sizeof(kinds); i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "it-%c", kinds[i]);
        tar_record(&body, "SCHILY.xattr.user.note", "first");
        tar_record(&body, "SCHILY.xattr.user.note", "a note");
        tar_record(&body, "SCHILY.xattr.user.empty", "");
        tar_record_bytes(&body, "SCHILY.xattr.user.bytes", "\0\n=", 3);
        tar_pax(&tar, &body);
        TAR(&tar, .name = name, .type = kinds[i], .link = "it-0", .mtime = 9);
    }
    scene_ok(scene, &tar);
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "it-0" : "it-5";

        CHECK(scene_xattr(scene, name, "user.note", value, sizeof(value)) == 6);
        CHECK_TEXT(value, "a note");
        CHECK(scene_xattr(scene, name, "user.empty", value, sizeof(value)) == 0);
        CHECK(scene_xattr(scene, name, "user.bytes", value, sizeof(value)) == 3);
        CHECK(memcmp(value, "\0\n=", 3) == 0);
        CHECK(scene_stat(scene, name).st_mtim.tv_sec == 9);
    }
    CHECK(scene->report.xattrs_dropped == 8); /* the link's and the FIFO's */
    for (size_t i = 0; i < CL_ARRAY_SIZE(dropped); i++)
        tar_record(&body, dropped[i], "x");
    tar_pax(&tar, &body);
    tar_directory(&tar, "d");
    scene_ok(scene, &tar);
    CHECK(scene->report.xattrs_dropped == CL_ARRAY_SIZE(dropped));
    CL_CLEANUP_FD int fd = openat(scene->root, "d", O_RDONLY | O_CLOEXEC);
    CHECK(flistxattr(fd, value, sizeof(value)) == 0);
}

TEST(extended_attributes_are_kept_or_counted)
{
    with_one(keep_xattrs);
}

/* cap_net_raw=ep, in each version that the kernel had. */
static void put_capability(struct cl_buf *tar, const char *name, char type, uint32_t version)
{
    struct vfs_ns_cap_data data = {.magic_etc = version | VFS_CAP_FLAGS_EFFECTIVE, .rootid = 0};
    const size_t size = version == VFS_CAP_REVISION_1   ? XATTR_CAPS_SZ_1
                        : version == VFS_CAP_REVISION_2 ? XATTR_CAPS_SZ_2
                                                        : XATTR_CAPS_SZ_3;

    data.data[0].permitted = 1U << 13;
    tar_pax_one(tar, "SCHILY.xattr.security.capability", &data, size);
    TAR(tar, .name = name, .type = type, .mode = 0755, .uid = 0,
        .content = type == '0' ? "x" : NULL);
}

static void put_capabilities(struct cl_buf *tar)
{
    put_capability(tar, "v1", '0', VFS_CAP_REVISION_1);
    put_capability(tar, "v2", '0', VFS_CAP_REVISION_2);
    put_capability(tar, "v3", '0', VFS_CAP_REVISION_3);
    put_capability(tar, "d", '5', VFS_CAP_REVISION_2);
    put_capability(tar, "v4", '0', 0x04000000);
    tar_pax_one(tar, "SCHILY.xattr.security.capability", "short", 5);
    tar_file(tar, "short", "x");
}

/* The value as whoever looks from here sees it. */
static struct vfs_ns_cap_data capability_of(const struct scene *scene, const char *name)
{
    struct vfs_ns_cap_data data = {0};
    char value[64];
    ssize_t size = scene_xattr(scene, name, "security.capability", value, sizeof(value));

    CHECK(size == XATTR_CAPS_SZ_3 || size == XATTR_CAPS_SZ_2);
    memcpy(&data, value, sizeof(data));
    return data;
}

static void check_capabilities(const struct scene *scene, uint32_t root)
{
    static const char *const names[] = {"v1", "v2", "v3"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        const struct vfs_ns_cap_data data = capability_of(scene, names[i]);

        CHECK(data.magic_etc == (VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE));
        CHECK(data.data[0].permitted == 1U << 13 && data.rootid == root);
    }
}

static void keep_capabilities(struct scene *scene)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    put_capabilities(&tar);
    scene_ok(scene, &tar);
    CHECK(scene->report.xattrs_dropped == 3);
    check_capabilities(scene, NOBODY);
}

TEST(capabilities_are_nobodys)
{
    NEEDS_ROOT();
    with_range(keep_capabilities);
}

/* With one id nobody is nobody: they are of this namespace's root, who is an ordinary user of
 * the host's, which that host sees in them. */
static void keep_capabilities_of_one(struct scene *scene)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    put_capabilities(&tar);
    scene_ok(scene, &tar);
    CHECK(scene->report.xattrs_dropped == 3);
    /* the kernel shows a namespace's own as version 2 */
    CHECK(capability_of(scene, "v2").magic_etc == (VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE));
    CHECK(capability_of(scene, "v1").data[0].permitted == 1U << 13);
}

TEST(capabilities_of_one_id_are_its_own)
{
    with_one(keep_capabilities_of_one);
}

/* --- file systems that keep none -----------------------------------------------------------------
 */

static void drop_all(struct scene *scene)
{
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    char fault[64];

    tar_pax_one(&tar, "SCHILY.xattr.user.x", "y", 1);
    tar_file(&tar, "a", "x");
    put_capability(&tar, "b", '0', VFS_CAP_REVISION_2);
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", (int)SYS_fsetxattr, EOPNOTSUPP);
    cl_fault_set(fault);
    scene_ok(scene, &tar);
    CHECK(scene->report.xattrs_dropped == 2);
    tar_file(&tar, "d/.wh..wh..opq", "");
    scene_refused(scene, &tar, EOPNOTSUPP,
                  "hide what lies below the directory \"d\": Operation not supported; the store's "
                  "file system keeps no user extended attributes");
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", (int)SYS_fsetxattr, ENOSPC);
    cl_fault_set(fault);
    tar_pax_one(&tar, "SCHILY.xattr.user.x", "y", 1);
    tar_file(&tar, "a", "x");
    scene_refused(scene, &tar, E2BIG,
                  "the file system has no room for the extended attribute \"user.x\" (1 bytes) of "
                  "\"a\"");
    cl_fault_set(NULL);
}

TEST(file_systems_without_attributes_lose_them)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    with_one(drop_all);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(owners_are_kept),
        ROW(owners_that_can_not_be_set_are_told),
        ROW(owners_that_there_are_not_are_refused),
        ROW(extended_attributes_are_kept_or_counted),
        ROW(capabilities_are_nobodys),
        ROW(capabilities_of_one_id_are_its_own),
        ROW(file_systems_without_attributes_lose_them),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
