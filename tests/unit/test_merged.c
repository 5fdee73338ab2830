/* test_merged.c - what lies at a path of several layers together. What the walk finds is held
 * against what overlayfs itself shows of the same layers. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/merged.h"
#include "room.h"

static const char *const names[] = {"1", "2", "30", "4"};
static const struct cl_strlist layers = {names, CL_ARRAY_SIZE(names)};

/* PATH of layer NAME: a directory where TEXT is NULL, else a file with that text. */
static void put(const char *name, const char *path, const char *text)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "/mnt/layers/%s/tree%s", name, path);
    CHECK((text == NULL ? mkdir(whole, 0755) : room_write(whole, text)) == 0);
}

static void hide(const char *name, const char *path)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "/mnt/layers/%s/tree%s", name, path);
    CHECK(mknod(whole, S_IFCHR | 0444, 0) == 0);
}

static void make_opaque(const char *name, const char *path)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "/mnt/layers/%s/tree%s", name, path);
    CHECK(setxattr(whole, "user.overlay.opaque", "y", 1, 0) == 0);
}

static void lead(const char *name, const char *path, const char *target)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "/mnt/layers/%s/tree%s", name, path);
    CHECK(symlink(target, whole) == 0);
}

static void make_lowest(void)
{
    put("1", "/etc", NULL);
    put("1", "/etc/passwd", "lowest");
    put("1", "/etc/group", "lowest");
    put("1", "/usr", NULL);
    put("1", "/usr/lib", NULL);
    put("1", "/usr/lib/low", "low");
    put("1", "/usr/lib/deep", NULL);
    put("1", "/usr/lib/deep/low", "low");
    put("1", "/gone", NULL);
    put("1", "/gone/file", "x");
    put("1", "/removed", "x");
    put("1", "/was-dir", NULL);
    put("1", "/was-dir/file", "x");
    put("1", "/was-file", "x");
    put("1", "/split", NULL);
    put("1", "/split/low", "low");
    lead("1", "/lib", "usr/lib");
    lead("1", "/bad", "/nowhere");
    lead("1", "/loop", "loop");
    lead("1", "/etc/up", "../usr/../usr/lib/deep/..");
    lead("1", "/root", "/");
    lead("1", "/out", "../../../../../../../../../../../etc/passwd");
}

static void make_higher(void)
{
    put("2", "/usr", NULL);
    put("2", "/usr/lib", NULL);
    put("2", "/usr/lib/middle", "middle");
    put("2", "/usr/lib/deep", NULL);
    put("2", "/usr/lib/deep/middle", "middle");
    make_opaque("2", "/usr/lib/deep");
    put("2", "/split", "a file between");
    lead("2", "/etc-link", "/etc");
    hide("30", "/gone");
    hide("30", "/removed");
    put("30", "/was-dir", "a file");
    put("30", "/was-file", NULL);
    put("30", "/was-file/file", "y");
    put("30", "/etc", NULL);
    hide("30", "/etc/group");
    lead("30", "/etc/link", "passwd");
    put("4", "/etc", NULL);
    put("4", "/etc/group", "highest");
    put("4", "/split", NULL);
    put("4", "/split/high", "high");
    put("4", "/usr", NULL);
    put("4", "/usr/lib", NULL);
    put("4", "/usr/lib/deep", NULL);
    hide("4", "/usr/lib/middle");
    put("4", "/gone", NULL);
    put("4", "/gone/new", "z");
    make_opaque("4", ""); /* a root is merged all the same */
}

static void make_layers(void)
{
    CHECK(mkdir("/mnt/layers", 0755) == 0 && mkdir("/mnt/merged", 0755) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/mnt/layers/%s", names[i]);
        CHECK(mkdir(path, 0755) == 0);
        put(names[i], "", NULL);
    }
    make_lowest();
    make_higher();
    CHECK(chdir("/mnt/layers") == 0);
    CHECK(cl_sys_mount("overlay", "/mnt/merged", "overlay", MS_RDONLY,
                       "lowerdir=4/tree:30/tree:2/tree:1/tree,userxattr") == 0);
}

/* What FD, O_PATH of a directory or a file, holds: its text, or "/". */
static void read_it(int fd, char ret[64])
{
    char link[32];
    struct stat st;

    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (fd < 0 || S_ISDIR(st.st_mode))
        (void)snprintf(ret, 64, "/");
    else
        CHECK(room_read(AT_FDCWD, link, ret, 64) == 0);
}

static void compare(int store, int merged, const char *path, const char *expected)
{
    char ours[64] = "";
    char theirs[64] = "";
    CL_CLEANUP_FD int found = cl_merged_open(store, &layers, path);
    CL_CLEANUP_FD int shown = cl_open_in_root(merged, path, O_PATH);

    if (expected == NULL) {
        if (found != shown || found >= 0)
            printf("# %s: %d, overlay has %d\n", path, found, shown);
        CHECK(found == shown && found < 0);
        return;
    }
    read_it(found, ours);
    read_it(shown, theirs);
    CHECK_TEXT(theirs, expected);
    CHECK_TEXT(ours, expected);
}

static void find_as_overlay_does(void)
{
    static const struct {
        const char *path;
        const char *expected; /* "/": a directory; NULL: the same error */
    } rows[] = {
        {"/", "/"},
        {"", NULL},
        {".", "/"},
        {"/..", "/"},
        {"/etc/passwd", "lowest"},
        {"etc/passwd", "lowest"},
        {"//etc/.//passwd", "lowest"},
        {"/etc/group", "highest"},
        {"/etc/none", NULL},
        {"/none", NULL},
        {"/none/none", NULL},
        {"/etc/passwd/none", NULL},
        {"/usr/lib/low", "low"},
        {"/usr/lib/middle", NULL},
        {"/usr/lib/deep", "/"},
        {"/usr/lib/deep/middle", "middle"},
        {"/usr/lib/deep/low", NULL},
        {"/usr/lib/deep/.", "/"},
        {"/usr/lib/deep/..", "/"},
        {"/usr/lib/deep/../low", "low"},
        {"/lib/low", "low"},
        {"/lib/deep/low", NULL},
        {"/lib", "/"},
        {"/gone", "/"},
        {"/gone/new", "z"},
        {"/gone/file", NULL},
        {"/removed", NULL},
        {"/removed/x", NULL},
        {"/was-dir", "a file"},
        {"/was-dir/file", NULL},
        {"/was-file", "/"},
        {"/was-file/file", "y"},
        {"/split/high", "high"},
        {"/split/low", NULL},
        {"/etc-link/link", "lowest"},
        {"/etc-link/group", "highest"},
        {"/etc/up/low", "low"},
        {"/bad", NULL},
        {"/bad/x", NULL},
        {"/loop", NULL},
        {"/loop/x", NULL},
        {"/root", "/"},
        {"/root/etc/passwd", "lowest"},
        {"/out", "lowest"},
    };

    make_layers();
    CL_CLEANUP_FD int store = open("/mnt/layers", O_PATH | O_CLOEXEC);
    CL_CLEANUP_FD int merged = open("/mnt/merged", O_PATH | O_CLOEXEC);
    const int before = check_count_fds();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        compare(store, merged, rows[i].path, rows[i].expected);
    CHECK(check_count_fds() == before);
}

TEST(paths_are_what_overlay_shows)
{
    room_run(find_as_overlay_does);
}

static mode_t type_of(int store, const char *path)
{
    struct stat st;
    int r = cl_merged_lstat(store, &layers, path, &st);

    return r < 0 ? 0 : st.st_mode & S_IFMT;
}

static void look_at_links(void)
{
    make_layers();
    CL_CLEANUP_FD int store = open("/mnt/layers", O_PATH | O_DIRECTORY | O_CLOEXEC);

    CHECK(type_of(store, "/bad") == S_IFLNK && type_of(store, "/loop") == S_IFLNK);
    CHECK(type_of(store, "/lib") == S_IFLNK && type_of(store, "/usr/lib/deep") == S_IFDIR);
    CHECK(type_of(store, "/lib/low") == S_IFREG && type_of(store, "/loop/file") == 0);
    CHECK(type_of(store, "/") == S_IFDIR && type_of(store, "/nowhere") == 0);
}

TEST(a_link_at_the_end_is_looked_at_itself)
{
    room_run(look_at_links);
}

static void bound_the_walk(void)
{
    static char path[4096];
    CL_CLEANUP_FD int store = -1;

    make_layers();
    store = open("/mnt/layers", O_PATH | O_CLOEXEC);
    for (size_t i = 0; i < 41; i++) /* each is one turn; the kernel has no bound for these */
        memcpy(path + i * 7, "etc/../", 7);
    CHECK(cl_merged_open(store, &layers, path) == -ELOOP);
    path[280] = '\0';
    CL_CLEANUP_FD int fd = cl_merged_open(store, &layers, path);
    CHECK(fd >= 0);
    memset(path, 'a', sizeof(path) - 1);
    CHECK(cl_merged_open(store, &layers, path) == -ENAMETOOLONG);
    path[2040] = '\0';
    CHECK(cl_merged_open(store, &layers, path) == -ENAMETOOLONG); /* a name ends at 255 */
    for (size_t i = 0; i < 1000; i++)
        memcpy(path + i * 2, "a/", 2);
    path[2000] = '\0';
    CHECK(cl_merged_open(store, &layers, path) == -ENOENT);
    lead("4", "/grows", "grows/a");
    CHECK(cl_merged_open(store, &layers, "/grows") == -ELOOP);
}

TEST(a_walk_has_an_end)
{
    room_run(bound_the_walk);
}

TEST(layers_have_short_numbers_for_names)
{
    char tree[CL_LAYER_TREE_SIZE];

    CHECK(cl_layer_name_is_valid("0") && cl_layer_name_is_valid("12345678901234567890"));
    CHECK(!cl_layer_name_is_valid("123456789012345678901") && !cl_layer_name_is_valid(""));
    CHECK(!cl_layer_name_is_valid("-1") && !cl_layer_name_is_valid("1/..") &&
          !cl_layer_name_is_valid("a") && !cl_layer_name_is_valid("1:2") &&
          !cl_layer_name_is_valid("1 "));
    CHECK_TEXT(cl_layer_tree("12345678901234567890", tree), "12345678901234567890/tree");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(paths_are_what_overlay_shows),
        ROW(a_link_at_the_end_is_looked_at_itself),
        ROW(a_walk_has_an_end),
        ROW(layers_have_short_numbers_for_names),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
