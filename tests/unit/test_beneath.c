/* Paths beneath a directory: what openat2 with RESOLVE_BENEATH answers, name by name. */
#include "wasi/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "asked_scene.h"

#define TREE "/tmp/cl-beneath-XXXXXX"

/* root: dir/sub/file, dir/up -> .., file, and links of all kinds; beside it `secret`. */
struct tree {
    char path[32];
    int top;
    int root;
};

static void link_to(int dir, const char *text, const char *name)
{
    CHECK(symlinkat(text, dir, name) == 0);
}

static void make_file(int dir, const char *name)
{
    CL_CLEANUP_FD int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    CHECK(fd >= 0 && write(fd, name, strlen(name)) > 0);
}

static struct tree make_tree(void)
{
    static const char *const links[][2] = {
        {"file", "to-file"},
        {"dir", "to-dir"},
        {"dir/sub/file", "deep"},
        {"../secret", "out"},
        {"/etc/passwd", "absolute"},
        {"loop-b", "loop-a"},
        {"loop-a", "loop-b"},
        {"new", "dangling"},
        {"dir/sub/../..", "round"},
        {"to-dir/sub/", "slashed"},
        {".", "self"},
        {"dir/up/file", "over-up"},
        {"dir/up/../secret", "out-up"},
    };
    struct tree tree = {.path = TREE};

    CHECK(mkdtemp(tree.path) != NULL);
    tree.top = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_file(tree.top, "secret");
    CHECK(mkdirat(tree.top, "root", 0755) == 0 && mkdirat(tree.top, "root/dir", 0755) == 0);
    CHECK(mkdirat(tree.top, "root/dir/sub", 0755) == 0);
    tree.root = openat(tree.top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    make_file(tree.root, "file");
    make_file(tree.root, "dir/sub/file");
    link_to(tree.root, "..", "dir/up");
    for (size_t i = 0; i < CL_ARRAY_SIZE(links); i++)
        link_to(tree.root, links[i][0], links[i][1]);
    return tree;
}

static void tree_done(struct tree *tree)
{
    cl_fd_close(&tree->root);
    cl_fd_close(&tree->top);
    asked_remove(tree->path);
}

/* What the kernel says to the same. */
static int kernels(int root, const char *path, int flags)
{
    const struct cl_open_how how = {
        .flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) != 0 ? 0644 : 0,
        .resolve = CL_RESOLVE_BENEATH | CL_RESOLVE_NO_MAGICLINKS,
    };

    return cl_sys_openat2(root, path, &how);
}

static int same_file(int a, int b)
{
    struct stat left;
    struct stat right;

    return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_ino == right.st_ino &&
           left.st_dev == right.st_dev;
}

static void compare(const struct tree *tree, const char *path, int flags)
{
    CL_CLEANUP_FD int theirs = kernels(tree->root, path, flags);
    CL_CLEANUP_FD int ours = cl_beneath_open(tree->root, path, flags, 0644);
    const int is_same = theirs < 0 || ours < 0 ? theirs == ours : same_file(theirs, ours);

    if (!is_same)
        fprintf(stderr, "# %s with 0%o: %d, the kernel %d\n", path, (unsigned int)flags, ours,
                theirs);
    CHECK(is_same);
}

static const char *const asked_paths[] = {
    "file",
    "dir",
    "dir/",
    "dir/.",
    "dir/..",
    "dir/../file",
    "dir/sub/../../file",
    "./file",
    ".//file",
    "file/",
    "file/.",
    "file/..",
    "dir//sub///file",
    "to-file",
    "to-file/",
    "to-dir",
    "to-dir/",
    "to-dir/sub/file",
    "to-dir/../file",
    "deep",
    "deep/",
    "deep/x",
    "out",
    "out/",
    "absolute",
    "absolute/x",
    "loop-a",
    "loop-a/",
    "dangling",
    "dangling/",
    "round",
    "round/file",
    "slashed",
    "slashed/file",
    "slashed/../../file",
    "self",
    "self/self/self/file",
    "over-up",
    "out-up",
    "..",
    "../",
    "../secret",
    "dir/../..",
    "dir/../../secret",
    "dir/up/up/secret",
    "dir/up/dir/up/file",
    ".",
    "./",
    "none",
    "none/",
    "none/file",
    "none/..",
    "dir/none",
    "dir/sub/file/x",
    "",
    "/",
    "/file",
    "//",
    "...",
    "dir/...",
};
static const int asked_flags[] = {
    O_RDONLY, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
    O_PATH,   O_PATH | O_NOFOLLOW,   O_PATH | O_DIRECTORY,   O_WRONLY,
};

TEST(answers_are_the_kernels)
{
    struct tree tree = make_tree();

    for (size_t i = 0; i < CL_ARRAY_SIZE(asked_paths); i++) {
        for (size_t j = 0; j < CL_ARRAY_SIZE(asked_flags); j++)
            compare(&tree, asked_paths[i], asked_flags[j]);
    }
    tree_done(&tree);
}

TEST(files_are_made_where_the_kernel_makes_them)
{
    static const char *const paths[] = {
        "new",    "dir/new", "dir/sub/../new", "dangling", "to-file", "to-dir", "to-dir/new",
        "dir/",   "new/",    "none/new",       ".",        "out",     "..",     "dir/up/other",
        "loop-a", "file",    "none/",          "slashed",  "dir//",   "none/x/"};
    static const int flags[] = {O_CREAT | O_WRONLY, O_CREAT | O_EXCL | O_WRONLY,
                                O_CREAT | O_NOFOLLOW | O_WRONLY};

    for (size_t i = 0; i < CL_ARRAY_SIZE(paths); i++) {
        for (size_t j = 0; j < CL_ARRAY_SIZE(flags); j++) {
            struct tree left = make_tree();
            struct tree right = make_tree();
            CL_CLEANUP_FD int theirs = kernels(left.root, paths[i], flags[j]);
            CL_CLEANUP_FD int ours = cl_beneath_open(right.root, paths[i], flags[j], 0644);

            if ((theirs < 0) != (ours < 0) || (theirs < 0 && theirs != ours))
                fprintf(stderr, "# %s with 0%o: %d, the kernel %d\n", paths[i],
                        (unsigned int)flags[j], ours, theirs);
            CHECK(theirs < 0 ? ours == theirs : ours >= 0);
            CHECK((faccessat(left.top, "root/new", F_OK, 0) == 0) ==
                  (faccessat(right.top, "root/new", F_OK, 0) == 0));
            tree_done(&left);
            tree_done(&right);
        }
    }
}

TEST(too_much_is_refused)
{
    struct tree tree = make_tree();
    char path[5000];
    size_t used = 0;

    while (used < 4000)
        used += (size_t)snprintf(path + used, sizeof(path) - used, "self/");
    CHECK(cl_beneath_open(tree.root, path, O_RDONLY, 0) == -ELOOP);
    memset(path, 'a', sizeof(path));
    path[4096] = '\0';
    CHECK(cl_beneath_open(tree.root, path, O_RDONLY, 0) == -ENAMETOOLONG);
    path[300] = '\0';
    CHECK(cl_beneath_open(tree.root, path, O_RDONLY, 0) == -ENAMETOOLONG);
    for (used = 0; used < 4000;)
        used += (size_t)snprintf(path + used, sizeof(path) - used, "dir/up/");
    CHECK(cl_beneath_open(tree.root, path, O_RDONLY, 0) == -ELOOP);
    for (used = 0; used < 4000;)
        used += (size_t)snprintf(path + used, sizeof(path) - used, "dir/../");
    CL_CLEANUP_FD int fd = cl_beneath_open(tree.root, path, O_RDONLY, 0);
    CHECK(fd >= 0);
    tree_done(&tree);
}

/* A way that is longer than what is remembered of it leads on, but not back. */
TEST(a_long_way_leads_on)
{
    struct tree tree = make_tree();
    int here = fcntl(tree.root, F_DUPFD_CLOEXEC, 3);
    char path[3000] = "";

    for (int i = 0; i < 10; i++) {
        char name[150];

        memset(name, 'a' + i, sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        CHECK(mkdirat(here, name, 0755) == 0);
        int next = openat(here, name, O_PATH | O_CLOEXEC);
        close(here);
        here = next;
        strncat(path, name, sizeof(path) - strlen(path) - 1);
        strncat(path, "/", sizeof(path) - strlen(path) - 1);
    }
    close(here);
    CL_CLEANUP_FD int fd = cl_beneath_open(tree.root, path, O_RDONLY, 0);
    CHECK(fd >= 0);
    strncat(path, "..", sizeof(path) - strlen(path) - 1);
    CHECK(cl_beneath_open(tree.root, path, O_RDONLY, 0) == -ENAMETOOLONG);
    tree_done(&tree);
}

TEST(nothing_stays_open)
{
    struct tree tree = make_tree();
    const int before = check_count_fds();
    static const char *const paths[] = {"dir/sub/none", "dir/sub/../../none", "out-up", "loop-a",
                                        "dir/sub/file/x"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(paths); i++)
        CHECK(cl_beneath_open(tree.root, paths[i], O_RDONLY, 0) < 0);
    CHECK(check_count_fds() == before);
    tree_done(&tree);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(answers_are_the_kernels), ROW(files_are_made_where_the_kernel_makes_them),
        ROW(too_much_is_refused),     ROW(a_long_way_leads_on),
        ROW(nothing_stays_open),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
