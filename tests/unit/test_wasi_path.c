/* test_wasi_path.c - paths: what they open, what they make and remove, and what they can't leave.
 */
#include <limits.h>

#include "base/fault.h"
#include "wasi_scene.h"

/* path_open of NAME from FD, without following a last link. */
static uint32_t open_plain(struct scene *scene, const char *name, uint32_t oflags)
{
    return CALL(scene, "path_open", ROOT, 0, PATH, scene_text(scene, PATH, name), oflags, READS, 0,
                0, RET);
}

static uint32_t stat_of(struct scene *scene, const char *name, uint32_t lookup)
{
    return CALL(scene, "path_filestat_get", ROOT, lookup, PATH, scene_text(scene, PATH, name),
                DATA);
}

static uint32_t symlink_to(struct scene *scene, const char *target, const char *name)
{
    return CALL(scene, "path_symlink", PATH2, scene_text(scene, PATH2, target), ROOT, PATH,
                scene_text(scene, PATH, name));
}

static uint32_t rename_to(struct scene *scene, const char *from, const char *to)
{
    return CALL(scene, "path_rename", ROOT, PATH, scene_text(scene, PATH, from), ROOT, PATH2,
                scene_text(scene, PATH2, to));
}

static uint32_t link_to(struct scene *scene, const char *from, const char *to)
{
    return CALL(scene, "path_link", ROOT, 0, PATH, scene_text(scene, PATH, from), ROOT, PATH2,
                scene_text(scene, PATH2, to));
}

static uint32_t read_link(struct scene *scene, const char *name, uint32_t size)
{
    memset(scene->memory.base + DATA, 0, 64);
    return CALL(scene, "path_readlink", ROOT, PATH, scene_text(scene, PATH, name), DATA, size, RET);
}

/* --- opening ------------------------------------------------------------------------------- */

TEST(paths_are_opened_as_they_are_written)
{
    static const struct {
        const char *path;
        uint32_t answer;
    } rows[] = {
        {"d/e/f", CL_WASI_SUCCESS},
        {"d/.//e/../../d/e/../e///./f", CL_WASI_SUCCESS},
        {"d/e/f/", CL_WASI_NOTDIR},
        {"d/e/f///", CL_WASI_NOTDIR},
        {"d/e/", CL_WASI_SUCCESS},
        {"d///", CL_WASI_SUCCESS},
        {".", CL_WASI_SUCCESS},
        {"./", CL_WASI_SUCCESS},
        {"d/..", CL_WASI_SUCCESS},
        {"", CL_WASI_NOENT},
        {"none", CL_WASI_NOENT},
        {"none/f", CL_WASI_NOENT},
        {"d/e/f/g", CL_WASI_NOTDIR},
        {"/d/e/f", CL_WASI_NOTCAPABLE},
        {"/", CL_WASI_NOTCAPABLE},
        {"..", CL_WASI_NOTCAPABLE},
        {"../", CL_WASI_NOTCAPABLE},
        {"../in", CL_WASI_NOTCAPABLE},
        {"../secret", CL_WASI_NOTCAPABLE},
        {"d/../../secret", CL_WASI_NOTCAPABLE},
        {"d/../../in/d", CL_WASI_NOTCAPABLE},
    };
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(mkdirat(scene.root, "d", 0755) == 0 && mkdirat(scene.root, "d/e", 0755) == 0);
    scene_file(&scene, "d/e/f", "data");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        uint32_t r = scene_try_open(&scene, ROOT, rows[i].path, 0, READS);

        CHECK_TEXT(r == rows[i].answer ? rows[i].path : "another answer", rows[i].path);
        if (r == CL_WASI_SUCCESS)
            CHECK(CALL(&scene, "fd_close", scene_ret(&scene)) == CL_WASI_SUCCESS);
    }
    /* a NUL ends no path */
    memcpy(scene.memory.base + PATH, "d/e/f\0", 6);
    CHECK(CALL(&scene, "path_open", ROOT, 0, PATH, 6, 0, READS, 0, 0, RET) == CL_WASI_INVAL);
    memset(scene.memory.base + PATH, 'x', PATH_MAX);
    CHECK(CALL(&scene, "path_open", ROOT, 0, PATH, PATH_MAX, 0, READS, 0, 0, RET) ==
          CL_WASI_NAMETOOLONG);
    CHECK(CALL(&scene, "path_open", ROOT, 0, PATH, PATH_MAX - 1, 0, READS, 0, 0, RET) ==
          CL_WASI_NAMETOOLONG); /* one name has 255 */
    CHECK(CALL(&scene, "path_open", ROOT, 2, PATH, 1, 0, READS, 0, 0, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "path_open", 99, 0, PATH, 1, 0, READS, 0, 0, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "path_open", 0, 0, PATH, 1, 0, READS, 0, 0, RET) == CL_WASI_NOTDIR);
}

TEST(flags_of_opening_are_obeyed)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(scene_try_open(&scene, ROOT, "f", CL_WASI_CREAT, READS) == CL_WASI_SUCCESS);
    CHECK(scene_there(&scene, "f"));
    CHECK(scene_try_open(&scene, ROOT, "f", CL_WASI_CREAT, READS) == CL_WASI_SUCCESS);
    CHECK(scene_try_open(&scene, ROOT, "f", CL_WASI_CREAT | CL_WASI_EXCL, READS) == CL_WASI_EXIST);
    CHECK(scene_try_open(&scene, ROOT, "f", CL_WASI_DIRECTORY, READS) == CL_WASI_NOTDIR);
    CHECK(scene_try_open(&scene, ROOT, "d", CL_WASI_CREAT | CL_WASI_DIRECTORY, READS) ==
          CL_WASI_INVAL);
    CHECK(!scene_there(&scene, "d"));
    CHECK(scene_try_open(&scene, ROOT, "f", 0x10, READS) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "path_open", ROOT, 0, PATH, 1, 0, READS, 0, 0x20, RET) == CL_WASI_INVAL);
    scene_file(&scene, "f", "data");
    CHECK(scene_try_open(&scene, ROOT, "f", CL_WASI_TRUNC, 0) == CL_WASI_SUCCESS);
    CHECK(scene_holds(&scene, "f", ""));
    /* a directory can't be written to, and without that right it is opened */
    CHECK(scene_try_open(&scene, ROOT, ".", CL_WASI_DIRECTORY, READS | CL_WASI_RIGHT_FD_WRITE) ==
          CL_WASI_ISDIR);
    CHECK(scene_try_open(&scene, ROOT, ".", 0, CL_WASI_RIGHT_FD_WRITE) == CL_WASI_ISDIR);
    CHECK(scene_try_open(&scene, ROOT, ".", CL_WASI_TRUNC, READS) == CL_WASI_ISDIR);
    CHECK(CALL(&scene, "fd_fdstat_get", ROOT, DATA) == CL_WASI_SUCCESS);
    CHECK(scene_try_open(&scene, ROOT, ".", CL_WASI_DIRECTORY, scene_ret64(&scene, DATA + 8)) ==
          CL_WASI_SUCCESS);
}

/* What is asked for with a file that is read, as Go does, must not be a reason to refuse it. */
TEST(the_right_to_write_decides_about_writing)
{
    const uint64_t others = CL_WASI_RIGHT_FD_ALLOCATE | CL_WASI_RIGHT_FD_FILESTAT_SET_SIZE;
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "f", "data");
    CHECK(mkdirat(scene.root, "d", 0755) == 0);
    CHECK(scene_try_open(&scene, ROOT, "d", 0, READS | others) == CL_WASI_SUCCESS);
    const uint32_t f = scene_open(&scene, "f", 0, READS | others);
    CHECK(CALL(&scene, "fd_fdstat_get", f, DATA) == CL_WASI_SUCCESS);
    CHECK((scene_ret64(&scene, DATA + 8) & others) == 0);
    CHECK(CALL(&scene, "fd_filestat_set_size", f, 0) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_allocate", f, 0, 9) == CL_WASI_NOTCAPABLE);
    const uint32_t both = scene_open(&scene, "f", 0, READS | others | CL_WASI_RIGHT_FD_WRITE);
    CHECK(CALL(&scene, "fd_filestat_set_size", both, 2) == CL_WASI_SUCCESS);
    const uint32_t sets = scene_open(&scene, "f", 0, CL_WASI_RIGHT_FD_FILESTAT_SET_SIZE);
    CHECK(CALL(&scene, "fd_filestat_set_size", sets, 1) == CL_WASI_SUCCESS);
    CHECK(scene_holds(&scene, "f", "d"));
}

/* As Go opens one. */
TEST(where_files_are_made_they_are_cut_short_too)
{
    const uint64_t makes = CL_WASI_RIGHT_PATH_OPEN | CL_WASI_RIGHT_PATH_CREATE_FILE;
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(mkdirat(scene.root, "d", 0755) == 0 && mkdirat(scene.root, "d/e", 0755) == 0);
    scene_file(&scene, "d/f", "data");
    CHECK(CALL(&scene, "path_open", ROOT, 0, PATH, scene_text(&scene, PATH, "d"), CL_WASI_DIRECTORY,
               makes, READS | CL_WASI_RIGHT_FD_WRITE | makes, 0, RET) == CL_WASI_SUCCESS);
    const uint32_t d = scene_ret(&scene);
    CHECK(scene_try_open(&scene, d, "f", CL_WASI_CREAT | CL_WASI_TRUNC, READS) == CL_WASI_SUCCESS);
    CHECK(scene_holds(&scene, "d/f", ""));
    /* not where the one that it was opened from doesn't hand that on */
    CHECK(scene_try_open(&scene, d, "e", CL_WASI_DIRECTORY, makes) == CL_WASI_SUCCESS);
    const uint32_t e = scene_ret(&scene);
    CHECK(scene_try_open(&scene, e, "f", CL_WASI_CREAT, READS) == CL_WASI_SUCCESS);
    CHECK(scene_try_open(&scene, e, "f", CL_WASI_TRUNC, READS) == CL_WASI_NOTCAPABLE);
}

TEST(a_directory_hands_on_what_it_may)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint64_t inheriting = READS | CL_WASI_RIGHT_PATH_OPEN;

    CHECK(mkdirat(scene.root, "d", 0755) == 0);
    scene_file(&scene, "d/f", "data");
    CHECK(CALL(&scene, "path_open", ROOT, 0, PATH, scene_text(&scene, PATH, "d"), 0,
               ALL_RIGHTS & ~(CL_WASI_RIGHT_FD_WRITE | CL_WASI_RIGHT_FD_ALLOCATE |
                              CL_WASI_RIGHT_FD_FILESTAT_SET_SIZE),
               inheriting, 0, RET) == CL_WASI_SUCCESS);
    const uint32_t d = scene_ret(&scene);
    CHECK(scene_try_open(&scene, d, "f", 0, ALL_RIGHTS) == CL_WASI_SUCCESS);
    const uint32_t f = scene_ret(&scene);
    CHECK(CALL(&scene, "fd_fdstat_get", f, DATA) == CL_WASI_SUCCESS);
    CHECK(scene_ret64(&scene, DATA + 8) == (CL_WASI_RIGHT_FD_READ | CL_WASI_RIGHT_FD_SEEK));
    CHECK(scene_write(&scene, f, "x") == CL_WASI_NOTCAPABLE);
    CHECK(scene_read(&scene, f, 9) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "path_open", d, 0, PATH, scene_text(&scene, PATH, "f"), 0, READS, 0,
               CL_WASI_SYNC, RET) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "path_open", d, 0, PATH, scene_text(&scene, PATH, "f"), 0, READS, 0,
               CL_WASI_DSYNC, RET) == CL_WASI_NOTCAPABLE);
    /* and what is beneath it has less yet */
    CHECK(scene_try_open(&scene, d, ".", 0, ALL_RIGHTS) == CL_WASI_SUCCESS);
    const uint32_t again = scene_ret(&scene);
    CHECK(CALL(&scene, "fd_fdstat_get", again, DATA) == CL_WASI_SUCCESS);
    CHECK(scene_ret64(&scene, DATA + 8) == (CL_WASI_RIGHT_FD_READDIR | CL_WASI_RIGHT_PATH_OPEN));
    CHECK(scene_ret64(&scene, DATA + 16) == inheriting);
    CHECK(scene_try_open(&scene, again, "new", CL_WASI_CREAT, READS) == CL_WASI_NOTCAPABLE);
    CHECK(scene_try_open(&scene, again, "f", CL_WASI_TRUNC, READS) == CL_WASI_NOTCAPABLE);
    CHECK(scene_try_open(&scene, again, "../../secret", 0, READS) == CL_WASI_NOTCAPABLE);
    CHECK(scene_try_open(&scene, again, "..", 0, READS) == CL_WASI_NOTCAPABLE);
    CHECK(scene_holds(&scene, "d/f", "data"));
}

TEST(a_read_only_directory_has_no_right_to_write)
{
    CLEANUP_SCENE struct scene scene = scene_make_as(1);

    CHECK(mkdirat(scene.root, "d", 0755) == 0 && symlinkat("f", scene.root, "link") == 0);
    scene_file(&scene, "f", "data");
    CHECK(scene_try_open(&scene, ROOT, "new", CL_WASI_CREAT, READS) == CL_WASI_NOTCAPABLE);
    CHECK(scene_try_open(&scene, ROOT, "f", CL_WASI_TRUNC, READS) == CL_WASI_NOTCAPABLE);
    CHECK(scene_at(&scene, "path_create_directory", "new") == CL_WASI_NOTCAPABLE);
    CHECK(scene_at(&scene, "path_remove_directory", "d") == CL_WASI_NOTCAPABLE);
    CHECK(scene_at(&scene, "path_unlink_file", "f") == CL_WASI_NOTCAPABLE);
    CHECK(rename_to(&scene, "f", "g") == CL_WASI_NOTCAPABLE);
    CHECK(link_to(&scene, "f", "g") == CL_WASI_NOTCAPABLE);
    CHECK(symlink_to(&scene, "f", "g") == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "path_filestat_set_times", ROOT, 0, PATH, 1, 0, 0, 0) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_filestat_set_times", ROOT, 0, 0, 0) == CL_WASI_NOTCAPABLE);
    const uint32_t f = scene_open(&scene, "f", 0, ALL_RIGHTS);
    CHECK(scene_write(&scene, f, "x") == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_allocate", f, 0, 9) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_filestat_set_size", f, 0) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_filestat_set_times", f, 0, 0, 0) == CL_WASI_NOTCAPABLE);
    CHECK(scene_read(&scene, f, 9) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK(read_link(&scene, "link", 9) == CL_WASI_SUCCESS);
    CHECK(stat_of(&scene, "d", 0) == CL_WASI_SUCCESS);
    CHECK(scene_holds(&scene, "f", "data") && scene_there(&scene, "d"));
}

/* --- links --------------------------------------------------------------------------------- */

TEST(links_are_followed_where_that_is_asked)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "f", "data");
    CHECK(mkdirat(scene.root, "d", 0755) == 0);
    CHECK(symlink_to(&scene, "f", "link") == CL_WASI_SUCCESS);
    CHECK(symlink_to(&scene, "d", "dlink") == CL_WASI_SUCCESS);
    CHECK(symlink_to(&scene, "link", "again") == CL_WASI_SUCCESS);
    CHECK(symlink_to(&scene, "loop", "loop") == CL_WASI_SUCCESS);
    CHECK(symlink_to(&scene, "none", "dangling") == CL_WASI_SUCCESS);
    CHECK(scene_try_open(&scene, ROOT, "again", 0, READS) == CL_WASI_SUCCESS);
    CHECK(scene_try_open(&scene, ROOT, "loop", 0, READS) == CL_WASI_LOOP);
    CHECK(scene_try_open(&scene, ROOT, "dangling", 0, READS) == CL_WASI_NOENT);
    CHECK(open_plain(&scene, "link", 0) == CL_WASI_LOOP);
    CHECK(open_plain(&scene, "dangling", 0) == CL_WASI_LOOP);
    CHECK(open_plain(&scene, "dangling", CL_WASI_CREAT) == CL_WASI_LOOP);
    CHECK(open_plain(&scene, "dlink", CL_WASI_DIRECTORY) == CL_WASI_NOTDIR);
    CHECK(open_plain(&scene, "dlink/.", 0) == CL_WASI_SUCCESS); /* only the last one counts */
    CHECK(stat_of(&scene, "link", 0) == CL_WASI_SUCCESS);
    CHECK(scene.memory.base[DATA + 16] == CL_WASI_TYPE_SYMBOLIC_LINK);
    CHECK(stat_of(&scene, "link", CL_WASI_SYMLINK_FOLLOW) == CL_WASI_SUCCESS);
    CHECK(scene.memory.base[DATA + 16] == CL_WASI_TYPE_REGULAR_FILE);
    CHECK(stat_of(&scene, "link", 2) == CL_WASI_INVAL);
    CHECK(scene_try_open(&scene, ROOT, "dangling", CL_WASI_CREAT, READS) == CL_WASI_SUCCESS);
    CHECK(scene_there(&scene, "none"));
}

/* What the host has put there, each way out. */
TEST(no_link_leads_out)
{
    static const struct {
        const char *target, *name;
    } links[] = {
        {"..", "up"},         {"../secret", "file"},
        {"/", "root"},        {"/etc/passwd", "absolute"},
        {"up/secret", "two"}, {"d/../../secret", "dots"},
        {"root", "three"},    {"../in", "back"},
    };
    CLEANUP_SCENE struct scene scene = scene_make();
    char path[64];

    CHECK(mkdirat(scene.root, "d", 0755) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(links); i++) {
        const char *name = links[i].name;

        CHECK(symlinkat(links[i].target, scene.root, name) == 0);
        CHECK(scene_try_open(&scene, ROOT, name, 0, READS) == CL_WASI_NOTCAPABLE);
        CHECK(scene_try_open(&scene, ROOT, name, CL_WASI_CREAT, ALL_RIGHTS) == CL_WASI_NOTCAPABLE);
        CHECK(stat_of(&scene, name, CL_WASI_SYMLINK_FOLLOW) == CL_WASI_NOTCAPABLE);
        CHECK(CALL(&scene, "path_filestat_set_times", ROOT, CL_WASI_SYMLINK_FOLLOW, PATH,
                   strlen(name), 0, 0, CL_WASI_MTIM) == CL_WASI_NOTCAPABLE);
        /* with a slash or a name behind it, it is no last link any more */
        (void)snprintf(path, sizeof(path), "%s/", name);
        CHECK(open_plain(&scene, path, 0) == CL_WASI_NOTCAPABLE);
        CHECK(stat_of(&scene, path, 0) == CL_WASI_NOTCAPABLE);
        CHECK(read_link(&scene, path, 9) == CL_WASI_NOTCAPABLE);
        CHECK(link_to(&scene, path, "new") == CL_WASI_NOTCAPABLE);
        (void)snprintf(path, sizeof(path), "%s/secret", name);
        CHECK(scene_at(&scene, "path_unlink_file", path) == CL_WASI_NOTCAPABLE);
        CHECK(scene_at(&scene, "path_remove_directory", path) == CL_WASI_NOTCAPABLE);
        CHECK(scene_at(&scene, "path_create_directory", path) == CL_WASI_NOTCAPABLE);
        CHECK(rename_to(&scene, path, "new") == CL_WASI_NOTCAPABLE);
        CHECK(rename_to(&scene, "d", path) == CL_WASI_NOTCAPABLE);
        CHECK(link_to(&scene, path, "new") == CL_WASI_NOTCAPABLE);
        CHECK(link_to(&scene, name, path) == CL_WASI_NOTCAPABLE);
        CHECK(symlink_to(&scene, "x", path) == CL_WASI_NOTCAPABLE);
        CHECK(read_link(&scene, path, 9) == CL_WASI_NOTCAPABLE);
    }
    CHECK(scene_holds(&scene, "../secret", "outside") && !scene_there(&scene, "new"));
    CHECK(scene_there(&scene, "d"));
}

TEST(links_are_made_and_read)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(symlink_to(&scene, "/etc", "absolute") == CL_WASI_NOTCAPABLE);
    CHECK(symlink_to(&scene, "", "empty") == CL_WASI_NOENT);
    CHECK(symlink_to(&scene, "../secret", "out") == CL_WASI_SUCCESS); /* and followed by nobody */
    CHECK(scene_try_open(&scene, ROOT, "out", 0, READS) == CL_WASI_NOTCAPABLE);
    CHECK(symlink_to(&scene, "target", "link") == CL_WASI_SUCCESS);
    CHECK(symlink_to(&scene, "target", "link") == CL_WASI_EXIST);
    CHECK(symlink_to(&scene, "target", "new/") == CL_WASI_NOENT);
    CHECK(symlink_to(&scene, "target", ".") == CL_WASI_EXIST);
    CHECK(symlink_to(&scene, "target", "..") == CL_WASI_NOTCAPABLE);
    CHECK(read_link(&scene, "link", 10) == CL_WASI_SUCCESS && scene_ret(&scene) == 6);
    CHECK_TEXT(scene_data(&scene), "target");
    CHECK(read_link(&scene, "link", 4) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK_TEXT(scene_data(&scene), "targ");
    CHECK(read_link(&scene, "link", 0) == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
    CHECK(read_link(&scene, "link/", 9) == CL_WASI_NOENT);
    CHECK(read_link(&scene, ".", 9) == CL_WASI_INVAL);
    CHECK(read_link(&scene, "..", 9) == CL_WASI_NOTCAPABLE);
    CHECK(read_link(&scene, "none", 9) == CL_WASI_NOENT);
    scene_file(&scene, "f", "");
    CHECK(read_link(&scene, "f", 9) == CL_WASI_INVAL);
    CHECK(read_link(&scene, "f/", 9) == CL_WASI_NOTDIR);
    CHECK(scene_at(&scene, "path_unlink_file", "link") == CL_WASI_SUCCESS);
    CHECK(!scene_there(&scene, "link"));
}

/* --- names --------------------------------------------------------------------------------- */

TEST(directories_are_made_and_removed)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "f", "");
    CHECK(scene_at(&scene, "path_create_directory", "d") == CL_WASI_SUCCESS);
    CHECK(scene_at(&scene, "path_create_directory", "d/e/") == CL_WASI_SUCCESS);
    CHECK(scene_at(&scene, "path_create_directory", "d//e//") == CL_WASI_EXIST);
    CHECK(scene_at(&scene, "path_create_directory", "f") == CL_WASI_EXIST);
    CHECK(scene_at(&scene, "path_create_directory", ".") == CL_WASI_EXIST);
    CHECK(scene_at(&scene, "path_create_directory", "d/..") == CL_WASI_EXIST);
    CHECK(scene_at(&scene, "path_create_directory", "..") == CL_WASI_NOTCAPABLE);
    CHECK(scene_at(&scene, "path_create_directory", "../new") == CL_WASI_NOTCAPABLE);
    CHECK(scene_at(&scene, "path_create_directory", "/new") == CL_WASI_NOTCAPABLE);
    CHECK(scene_at(&scene, "path_create_directory", "none/new") == CL_WASI_NOENT);
    CHECK(scene_at(&scene, "path_create_directory", "f/new") == CL_WASI_NOTDIR);
    CHECK(scene_at(&scene, "path_create_directory", "") == CL_WASI_NOENT);
    CHECK(scene_at(&scene, "path_remove_directory", "d") == CL_WASI_NOTEMPTY);
    CHECK(scene_at(&scene, "path_remove_directory", "d/e/.") == CL_WASI_INVAL);
    CHECK(scene_at(&scene, "path_remove_directory", "d/e/..") == CL_WASI_INVAL);
    CHECK(scene_at(&scene, "path_remove_directory", "d/e/") == CL_WASI_SUCCESS);
    CHECK(scene_at(&scene, "path_remove_directory", "d/e") == CL_WASI_NOENT);
    CHECK(scene_at(&scene, "path_remove_directory", "f") == CL_WASI_NOTDIR);
    CHECK(scene_at(&scene, "path_remove_directory", "f/") == CL_WASI_NOTDIR);
    CHECK(scene_at(&scene, "path_unlink_file", "d") == CL_WASI_ISDIR);
    CHECK(scene_at(&scene, "path_unlink_file", "d/") == CL_WASI_ISDIR);
    CHECK(scene_at(&scene, "path_unlink_file", ".") == CL_WASI_ISDIR);
    CHECK(scene_at(&scene, "path_unlink_file", "f/") == CL_WASI_NOTDIR);
    CHECK(scene_at(&scene, "path_unlink_file", "none/.") == CL_WASI_NOENT);
    CHECK(scene_at(&scene, "path_unlink_file", "../secret") == CL_WASI_NOTCAPABLE);
    CHECK(scene_at(&scene, "path_unlink_file", "f") == CL_WASI_SUCCESS);
    CHECK(scene_there(&scene, "../secret") && !scene_there(&scene, "../new"));
}

TEST(names_are_moved)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "f", "data");
    CHECK(mkdirat(scene.root, "d", 0755) == 0 && mkdirat(scene.root, "e", 0755) == 0);
    CHECK(rename_to(&scene, "f", "d/g") == CL_WASI_SUCCESS && scene_holds(&scene, "d/g", "data"));
    CHECK(rename_to(&scene, "f", "d/g") == CL_WASI_NOENT);
    CHECK(rename_to(&scene, "e", "d") == CL_WASI_NOTEMPTY);
    CHECK(rename_to(&scene, "d/g", "e") == CL_WASI_ISDIR);
    CHECK(rename_to(&scene, "e", "d/g") == CL_WASI_NOTDIR);
    CHECK(rename_to(&scene, "e/", "n") == CL_WASI_SUCCESS);
    CHECK(rename_to(&scene, "n", "e/") == CL_WASI_SUCCESS);
    CHECK(rename_to(&scene, "d/g/", "g") == CL_WASI_NOTDIR);
    CHECK(rename_to(&scene, "d", "d/in") == CL_WASI_INVAL);
    CHECK(rename_to(&scene, ".", "n") == CL_WASI_BUSY);
    CHECK(rename_to(&scene, "d", "e/.") == CL_WASI_BUSY);
    CHECK(rename_to(&scene, "d", "..") == CL_WASI_NOTCAPABLE);
    CHECK(rename_to(&scene, "d", "../n") == CL_WASI_NOTCAPABLE);
    CHECK(rename_to(&scene, "../secret", "n") == CL_WASI_NOTCAPABLE);
    CHECK(rename_to(&scene, "d", "/n") == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "path_rename", ROOT, PATH, 1, 99, PATH2, 1) == CL_WASI_BADF);
    CHECK(CALL(&scene, "path_rename", ROOT, PATH, 1, 0, PATH2, 1) == CL_WASI_NOTDIR);
    CHECK(scene_there(&scene, "../secret") && !scene_there(&scene, "../n"));
}

TEST(files_get_more_names)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "f", "data");
    CHECK(mkdirat(scene.root, "d", 0755) == 0 && symlinkat("none", scene.root, "s") == 0);
    CHECK(link_to(&scene, "f", "d/g") == CL_WASI_SUCCESS && scene_holds(&scene, "d/g", "data"));
    CHECK(link_to(&scene, "f", "f") == CL_WASI_EXIST && link_to(&scene, "f", "d") == CL_WASI_EXIST);
    CHECK(link_to(&scene, "f", "s") == CL_WASI_EXIST);
    CHECK(link_to(&scene, "f", "n/") == CL_WASI_NOENT);
    CHECK(link_to(&scene, "f", ".") == CL_WASI_EXIST);
    CHECK(link_to(&scene, "d", "n") == CL_WASI_PERM && link_to(&scene, "d/", "n") == CL_WASI_PERM);
    CHECK(link_to(&scene, ".", "n") == CL_WASI_PERM);
    CHECK(link_to(&scene, "f/", "n") == CL_WASI_NOTDIR);
    CHECK(link_to(&scene, "none", "n") == CL_WASI_NOENT);
    CHECK(link_to(&scene, "../secret", "n") == CL_WASI_NOTCAPABLE);
    CHECK(link_to(&scene, "f", "../n") == CL_WASI_NOTCAPABLE);
    CHECK(link_to(&scene, "s", "n") == CL_WASI_SUCCESS); /* of the link itself */
    CHECK(read_link(&scene, "n", 9) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "path_link", ROOT, CL_WASI_SYMLINK_FOLLOW, PATH,
               scene_text(&scene, PATH, "s"), ROOT, PATH2,
               scene_text(&scene, PATH2, "m")) == CL_WASI_INVAL);
    CHECK(!scene_there(&scene, "m") && !scene_there(&scene, "../n"));
}

/* The directory goes elsewhere, and its parent becomes something else: what is open stays. */
TEST(a_directory_that_is_moved_away_is_still_the_same)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(mkdirat(scene.root, "d", 0755) == 0);
    scene_file(&scene, "d/f", "data");
    const uint32_t d = scene_open(&scene, "d", 0, READS | CL_WASI_RIGHT_PATH_OPEN);
    CHECK(renameat(scene.root, "d", scene.root, "../moved") == 0);
    CHECK(symlinkat("..", scene.root, "d") == 0);
    CHECK(scene_try_open(&scene, d, "f", 0, READS) == CL_WASI_SUCCESS);
    CHECK(scene_try_open(&scene, d, "../secret", 0, READS) == CL_WASI_NOTCAPABLE);
    CHECK(scene_try_open(&scene, ROOT, "d/secret", 0, READS) == CL_WASI_NOTCAPABLE);
}

/* --- what no preopen should have ----------------------------------------------------------- */

TEST(this_process_is_not_reached_by_proc)
{
    CLEANUP_SCENE struct scene scene = scene_bare();
    const struct cl_wasi_preopen preopen = {
        .name = "/", .directory = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const struct cl_wasi_setup setup = {
        .streams = {-1, -1, -1}, .preopens = &preopen, .preopen_count = 1, .max_descriptors = MOST};

    CL_ASSERT(cl_wasi_new(&setup, &scene.wasi, &scene.err) == 0);
    const int before = check_count_fds();
    CHECK(scene_try_open(&scene, ROOT, "proc/self/mem", 0, READS) == CL_WASI_ACCES);
    CHECK(scene_try_open(&scene, ROOT, "proc/self/fd", 0, READS) == CL_WASI_ACCES);
    CHECK(scene_try_open(&scene, ROOT, "proc", 0, READS) == CL_WASI_ACCES);
    CHECK(scene_try_open(&scene, ROOT, "proc/self/root", 0, READS) == CL_WASI_NOTCAPABLE);
    CHECK(check_count_fds() == before);
    CHECK(scene_try_open(&scene, ROOT, "dev/null", 0, READS) == CL_WASI_SUCCESS);
}

/* --- failures ------------------------------------------------------------------------------ */

TEST(each_call_of_opening_can_fail)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const int before = check_count_fds();
    uint32_t r = CL_WASI_IO;
    int n = 0;

    scene_file(&scene, "f", "data");
    while (r != CL_WASI_SUCCESS && ++n < 8) {
        char text[32];

        (void)snprintf(text, sizeof(text), "syscall:%d", n);
        cl_fault_set(text);
        r = scene_try_open(&scene, ROOT, "f", 0, READS);
        CHECK(r == (cl_fault_struck() ? CL_WASI_IO : CL_WASI_SUCCESS));
        cl_fault_set(NULL);
        CHECK(check_count_fds() == before + (r == CL_WASI_SUCCESS));
    }
    CHECK(n == 3); /* to open and to look */
    cl_fault_set("syscall:1:24");
    CHECK(scene_try_open(&scene, ROOT, "f", 0, READS) == CL_WASI_MFILE && cl_fault_struck());
    cl_fault_set("syscall:1:13");
    CHECK(scene_at(&scene, "path_unlink_file", "./f") == CL_WASI_ACCES);
    cl_fault_set(NULL);
}

TEST(a_table_that_can_not_grow_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    cl_fault_set("alloc:1");
    CHECK(scene_try_open(&scene, ROOT, "new", CL_WASI_CREAT, READS) == CL_WASI_NOMEM);
    CHECK(cl_fault_struck() && !scene_there(&scene, "new"));
    cl_fault_set(NULL);
    CHECK(scene_open(&scene, "new", CL_WASI_CREAT, READS) == 4);
}

TEST(rename_and_link_between_file_systems_are_not_capabilities)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "f", "data");
    cl_fault_set("syscall:1:18"); /* EXDEV of the call itself */
    CHECK(rename_to(&scene, "f", "g") == CL_WASI_XDEV && cl_fault_struck());
    cl_fault_set("syscall:1:18");
    CHECK(link_to(&scene, "f", "g") == CL_WASI_XDEV && cl_fault_struck());
    cl_fault_set(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(paths_are_opened_as_they_are_written),
        ROW(flags_of_opening_are_obeyed),
        ROW(the_right_to_write_decides_about_writing),
        ROW(where_files_are_made_they_are_cut_short_too),
        ROW(a_directory_hands_on_what_it_may),
        ROW(a_read_only_directory_has_no_right_to_write),
        ROW(links_are_followed_where_that_is_asked),
        ROW(no_link_leads_out),
        ROW(links_are_made_and_read),
        ROW(directories_are_made_and_removed),
        ROW(names_are_moved),
        ROW(files_get_more_names),
        ROW(a_directory_that_is_moved_away_is_still_the_same),
        ROW(this_process_is_not_reached_by_proc),
        ROW(each_call_of_opening_can_fail),
        ROW(a_table_that_can_not_grow_is_told),
        ROW(rename_and_link_between_file_systems_are_not_capabilities),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
