/* test_bundle_paths.c - what a bundle sets, covers, closes and copies below a stranger's root. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "walls/container/bundle.h"
#include "room.h"

static struct cl_spec spec;
static struct cl_bundle bundle;

/* A root at /mnt with the directories and files that WORDS name ("/" at the end: a directory). */
static void set_root(const char *const *words)
{
    spec = (struct cl_spec){.set = 0};
    bundle = (struct cl_bundle){.spec = &spec, .proc = -1, .null = -1};
    bundle.root = open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(bundle.root >= 0);
    for (; *words != NULL; words++) {
        char path[200];

        (void)snprintf(path, sizeof(path), "/mnt/%s", *words);
        if (path[strlen(path) - 1] == '/')
            CHECK(mkdir(path, 0755) == 0);
        else
            CHECK(room_write(path, *words) == 0);
    }
    bundle.null = open("/dev/null", O_PATH | O_CLOEXEC);
}

static int is_read_only(const char *path)
{
    int r = room_write(path, "x");

    return r == -EROFS;
}

/* --- sysctl ----------------------------------------------------------------------------------- */

static void check_sysctl(const char *key, const char *file)
{
    const char *pair[] = {key, "set"};
    char text[16];
    struct cl_error err = {0};

    spec.sysctls = (struct cl_strlist){pair, 2};
    CHECK(room_write(file, "before") == 0);
    CHECK(cl_bundle_write_sysctls(&bundle, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(room_read(AT_FDCWD, file, text, sizeof(text)) == 0);
    CHECK(strncmp(text, "set", 3) == 0);
}

static void set_sysctls(void)
{
    static const char *const words[] = {"sys/", "sys/net/", "sys/net/eth0.7/", "sys/kernel/", NULL};

    set_root(words);
    bundle.proc = bundle.root;
    check_sysctl("kernel.shmmax", "/mnt/sys/kernel/shmmax");
    check_sysctl("kernel/shmmax", "/mnt/sys/kernel/shmmax");
    check_sysctl("net.eth0/7.mtu", "/mnt/sys/net/eth0.7/mtu"); /* as sysctl(8) has it */
    check_sysctl("net/eth0.7/mtu", "/mnt/sys/net/eth0.7/mtu");
}

static void refuse_sysctls(void)
{
    static const char *const words[] = {"secret", "sys/", "sys/net/", NULL};
    static const char *const keys[] = {"net/../../secret", "net.//.//.secret", "net/missing"};
    char lengthy[400];
    char text[16];

    set_root(words);
    bundle.proc = bundle.root;
    memset(lengthy, 'x', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    for (size_t i = 0; i <= CL_ARRAY_SIZE(keys); i++) {
        const char *pair[] = {i < CL_ARRAY_SIZE(keys) ? keys[i] : lengthy, "set"};
        struct cl_error err = {0};

        spec.sysctls = (struct cl_strlist){pair, 2};
        CHECK(cl_bundle_write_sysctls(&bundle, &err) < 0);
        CHECK_HAS(err.msg, "linux.sysctl.");
    }
    CHECK(room_read(AT_FDCWD, "/mnt/secret", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "secret");
}

/* --- covering and closing ------------------------------------------------------------------------
 */

static void mask(void)
{
    static const char *const words[] = {"file", "one/", "one/inner", "two/", "two/inner", NULL};
    const char *paths[] = {"/file", "/one", "/missing/inner", "/file/inner", "/two"};
    struct cl_error err = {0};
    char text[16];

    set_root(words);
    spec.masked = (struct cl_strlist){paths, CL_ARRAY_SIZE(paths)};
    const int fds = check_count_fds();
    CHECK(cl_bundle_mask(&bundle, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(check_count_fds() == fds);
    CHECK(room_read(AT_FDCWD, "/mnt/file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "");
    CHECK(check_count_entries("/mnt/one") == 0 && check_count_entries("/mnt/two") == 0);
    CHECK(is_read_only("/mnt/one/new") && is_read_only("/mnt/two/new"));
}

static void close_paths(void)
{
    static const char *const words[] = {"open", "one/", "one/inner", NULL};
    const char *paths[] = {"/one", "/missing"};
    struct cl_error err = {0};

    set_root(words);
    spec.readonly = (struct cl_strlist){paths, CL_ARRAY_SIZE(paths)};
    CHECK(cl_bundle_make_read_only(&bundle, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(is_read_only("/mnt/one/inner") && is_read_only("/mnt/one/new"));
    CHECK(room_write("/mnt/open", "x") == 0);
}

/* Each failure is one, and names its path by its place in the bundle. */
static void fail_closing(void)
{
    static const char *const words[] = {"one/", NULL};
    const char *paths[] = {"/none", "/one"};
    int struck = 1;
    int n;

    set_root(words);
    spec.masked = spec.readonly = (struct cl_strlist){paths, 2};
    for (int kind = 0; kind < 2; kind++) {
        struck = 1;
        for (n = 1; struck; n++) {
            const int fds = check_count_fds();
            struct cl_error err = {0};
            char text[32];

            (void)snprintf(text, sizeof(text), "syscall:%d:5", n);
            cl_fault_set(text);
            int r =
                kind == 0 ? cl_bundle_mask(&bundle, &err) : cl_bundle_make_read_only(&bundle, &err);
            struck = cl_fault_struck();
            cl_fault_set(NULL);
            CHECK(r == (struck ? -EIO : 0));
            if (struck)
                CHECK_HAS(err.msg, kind == 0 ? "linux.maskedPaths[" : "linux.readonlyPaths[");
            CHECK(check_count_fds() == fds);
        }
        CHECK(n > 3);
    }
}

/* --- places ------------------------------------------------------------------------------------
 */

static int has_mode(const char *path, mode_t kind)
{
    struct stat st = {0};

    return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static void check_target(const char *path, int is_dir, const char *found)
{
    struct stat wanted = {0};
    struct stat got = {0};
    struct cl_error err = {0};
    CL_CLEANUP_FD int fd = cl_bundle_target(&bundle, path, is_dir, &err);

    CHECK(fd >= 0);
    CHECK_TEXT(err.msg, "");
    CHECK(stat(found, &wanted) == 0 && fstat(fd, &got) == 0);
    CHECK(wanted.st_ino == got.st_ino && S_ISDIR(got.st_mode) == is_dir);
}

static void find_targets(void)
{
    static const char *const words[] = {"etc/", "etc/file", "var/", NULL};

    set_root(words);
    check_target("/etc/file", 0, "/mnt/etc/file");
    check_target("/etc/new", 0, "/mnt/etc/new");
    check_target("/a/b/c", 1, "/mnt/a/b/c");
    check_target("/var/x/y", 0, "/mnt/var/x/y");
    CHECK(symlink("/var/made", "/mnt/etc/link") == 0); /* as images' resolv.conf are */
    check_target("/etc/link", 0, "/mnt/var/made");
    CHECK(has_mode("/mnt/etc/link", S_IFLNK));
    CHECK(symlink("../../../../var/up", "/mnt/etc/upwards") == 0);
    check_target("/etc/upwards", 0, "/mnt/var/up");
    CHECK(symlink("/var", "/mnt/vardir") == 0);
    check_target("/vardir/z", 1, "/mnt/var/z");
}

static void refuse_targets(void)
{
    static const char *const words[] = {"file", NULL};
    static const char *const paths[] = {"/file/below", "/loop", "/a", "/proc-link/1"};
    struct cl_error err = {0};

    set_root(words);
    CHECK(symlink("loop", "/mnt/loop") == 0);
    CHECK(symlink("b", "/mnt/a") == 0 && symlink("a", "/mnt/b") == 0);
    CHECK(symlink("/proc/self/fd", "/mnt/proc-link") == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(paths); i++) {
        CHECK(cl_bundle_target(&bundle, paths[i], 0, &err) < 0);
        CHECK_HAS(err.msg, "in the root");
    }
    CHECK(!has_mode("/mnt/proc", S_IFDIR)); /* a link on the way is followed to what is there */
}

/* --- tmpcopyup ---------------------------------------------------------------------------------
 */

static int make_tree(void)
{
    static const char *const options[] = {NULL, NULL};
    struct cl_error err = {0};
    int tree = cl_fs_make("tmpfs", options, 0, &err);

    CHECK(tree >= 0);
    return tree;
}

static void copy_up(void)
{
    static const char *const words[] = {"etc/", "etc/file", "etc/sub/", "etc/sub/deep", NULL};
    struct cl_error err = {0};
    char text[32];
    struct stat st = {0};

    set_root(words);
    CHECK(chmod("/mnt/etc", 0711) == 0 && chmod("/mnt/etc/file", 04640) == 0);
    CHECK(symlink("/away", "/mnt/etc/link") == 0 && mkfifo("/mnt/etc/pipe", 0644) == 0);
    CL_CLEANUP_FD int tree = make_tree();
    CHECK(cl_bundle_copy_up(&bundle, "/etc", tree, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(room_read(tree, "file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "etc/file");
    CHECK(room_read(tree, "sub/deep", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "etc/sub/deep");
    CHECK(fstatat(tree, "file", &st, 0) == 0 && (st.st_mode & 07777) == 04640);
    CHECK(fstat(tree, &st) == 0 && (st.st_mode & 07777) == 0711);
    CHECK(readlinkat(tree, "link", text, sizeof(text)) == 5);
    CHECK(fstatat(tree, "pipe", &st, AT_SYMLINK_NOFOLLOW) < 0); /* what is no content is left out */
    CHECK(cl_bundle_copy_up(&bundle, "/missing", tree, &err) == 0);
    CHECK(cl_bundle_copy_up(&bundle, "/etc/file", tree, &err) == -ENOTDIR);
    CHECK_HAS(err.msg, "tmpcopyup: ");
}

static void copy_too_deep(void)
{
    static const char *const words[] = {"deep/", NULL};
    struct cl_error err = {0};

    set_root(words);
    CHECK(chdir("/mnt/deep") == 0);
    for (int i = 0; i < 200; i++)
        CHECK(mkdir("x", 0755) == 0 && chdir("x") == 0);
    CHECK(chdir("/") == 0);
    CL_CLEANUP_FD int tree = make_tree();
    CHECK(cl_bundle_copy_up(&bundle, "/deep", tree, &err) == -ELOOP);
}

static void fail_copying(void)
{
    static const char *const words[] = {"etc/", "etc/file", "etc/sub/", NULL};
    int struck = 1;
    int n;

    set_root(words);
    CHECK(symlink("/away", "/mnt/etc/link") == 0);
    for (int kind = 0; kind < 2; kind++) {
        struck = 1;
        for (n = 1; struck; n++) {
            const int fds = check_count_fds();
            CL_CLEANUP_FD int tree = make_tree();
            struct cl_error err = {0};
            char text[32];

            (void)snprintf(text, sizeof(text), kind == 0 ? "syscall:%d:5" : "alloc:%d", n);
            cl_fault_set(text);
            int r = cl_bundle_copy_up(&bundle, "/etc", tree, &err);
            struck = cl_fault_struck();
            cl_fault_set(NULL);
            CHECK(r == (!struck ? 0 : kind == 0 ? -EIO : -ENOMEM));
            CHECK((r < 0) == (err.code != 0));
            cl_fd_close(&tree);
            CHECK(check_count_fds() == fds);
        }
        CHECK(n > 2);
    }
}

#define IN_ROOM(name, body)                                                                        \
    TEST(name)                                                                                     \
    {                                                                                              \
        room_run(body);                                                                            \
    }

IN_ROOM(settings_are_written_below_proc, set_sysctls)
IN_ROOM(settings_that_lead_elsewhere_are_refused, refuse_sysctls)
IN_ROOM(masked_paths_are_empty, mask)
IN_ROOM(readonly_paths_are_read_only, close_paths)
IN_ROOM(what_cant_be_closed_is_named, fail_closing)
IN_ROOM(targets_are_found_or_made_in_the_root, find_targets)
IN_ROOM(targets_that_are_none_are_refused, refuse_targets)
IN_ROOM(a_fresh_tmpfs_has_what_the_image_has, copy_up)
IN_ROOM(a_tree_without_a_bottom_is_not_copied, copy_too_deep)
IN_ROOM(a_copy_that_fails_says_so, fail_copying)

int main(void)
{
    static const struct check_test tests[] = {
        ROW(settings_are_written_below_proc),
        ROW(settings_that_lead_elsewhere_are_refused),
        ROW(masked_paths_are_empty),
        ROW(readonly_paths_are_read_only),
        ROW(what_cant_be_closed_is_named),
        ROW(targets_are_found_or_made_in_the_root),
        ROW(targets_that_are_none_are_refused),
        ROW(a_fresh_tmpfs_has_what_the_image_has),
        ROW(a_tree_without_a_bottom_is_not_copied),
        ROW(a_copy_that_fails_says_so),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
