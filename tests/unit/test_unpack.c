/* test_unpack.c - layers become directories: files, links, attributes, replacing. */
#include "unpack_scene.h"

/* --- kinds of entries --------------------------------------------------------------- */

TEST(every_kind_is_made)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_directory(&tar, "d/");
    TAR(&tar, .name = "d/file", .content = "content", .mode = 0640, .mtime = 1234567890);
    tar_file(&tar, "d/empty", "");
    tar_symlink(&tar, "d/link", "../else/where");
    tar_hard_link(&tar, "hard", "d/file");
    TAR(&tar, .name = "fifo", .type = '6', .mode = 0622);
    tar_file(&tar, "contiguous", "c");
    scene_ok(&scene, &tar);
    CHECK(scene_type(&scene, "d") == S_IFDIR && scene_mode(&scene, "d") == 0755);
    scene_holds(&scene, "d/file", "content");
    CHECK(scene_mode(&scene, "d/file") == 0640);
    CHECK(scene_stat(&scene, "d/file").st_mtim.tv_sec == 1234567890);
    CHECK(scene_type(&scene, "d/empty") == S_IFREG && scene_stat(&scene, "d/empty").st_size == 0);
    scene_links(&scene, "d/link", "../else/where");
    CHECK(scene_stat(&scene, "hard").st_ino == scene_stat(&scene, "d/file").st_ino);
    CHECK(scene_stat(&scene, "hard").st_nlink == 2);
    CHECK(scene_type(&scene, "fifo") == S_IFIFO && scene_mode(&scene, "fifo") == 0622);
    CHECK(scene.report.entries == 7);
    CHECK(scene.report.bytes == 8);
}

TEST(what_the_layer_takes_is_told)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    static char content[100000];
    uint64_t blocks = 0;

    memset(content, 'x', sizeof(content));
    tar_directory(&tar, "d");
    for (int i = 0; i < 300; i++) { /* a directory that grows */
        char name[100];

        (void)snprintf(name, sizeof(name), "d/%090d", i);
        tar_symlink(&tar, name, "a-target-that-is-too-long-to-lie-in-the-inode-itself-of-ext4");
    }
    TAR(&tar, .name = "file", .content = content, .size = sizeof(content));
    tar_hard_link(&tar, "hard", "file");
    scene_ok(&scene, &tar);
    CHECK(scene.report.bytes == sizeof(content));
    blocks += (uint64_t)scene_stat(&scene, ".").st_blocks;
    blocks += (uint64_t)scene_stat(&scene, "d").st_blocks;
    blocks += (uint64_t)scene_stat(&scene, "file").st_blocks;
    for (int i = 0; i < 300; i++) {
        char name[100];

        (void)snprintf(name, sizeof(name), "d/%090d", i);
        blocks += (uint64_t)scene_stat(&scene, name).st_blocks;
    }
    CHECK(scene.report.disk_bytes == blocks * 512);
    CHECK(scene.report.disk_bytes >= sizeof(content));
}

TEST(an_empty_layer_is_a_layer)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    scene_ok(&scene, &tar);
    CHECK(scene.report.entries == 0 && scene.report.bytes == 0);
    CHECK(scene_unpack_raw(&scene, &tar) == 0); /* not even an end */
    CHECK(check_count_entries(scene.path) == 0);
}

TEST(devices_are_nothing)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    TAR(&tar, .name = "dev/null", .type = '3');
    TAR(&tar, .name = "dev/sda", .type = '4');
    tar_hard_link(&tar, "dev/hda", "dev/sda");
    tar_file(&tar, "file", "x");
    scene_ok(&scene, &tar);
    CHECK(scene.report.devices_skipped == 3);
    CHECK(!scene_has(&scene, "dev/null") && !scene_has(&scene, "dev/sda"));
    CHECK(!scene_has(&scene, "dev/hda") && scene_has(&scene, "file"));
}

/* --- attributes ------------------------------------------------------------------------ */

TEST(modes_are_kept_with_all_their_bits)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    static const struct {
        const char *name;
        unsigned int mode;
    } rows[] = {{"none", 0100000}, {"setuid", 04755}, {"setgid", 02755},
                {"sticky", 01644}, {"all", 07777},    {"write", 0222}};

    (void)umask(077);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        char name[32];

        TAR(&tar, .name = rows[i].name, .mode = rows[i].mode, .content = "content");
        (void)snprintf(name, sizeof(name), "d-%s", rows[i].name);
        TAR(&tar, .name = name, .mode = rows[i].mode, .type = '5');
        (void)snprintf(name, sizeof(name), "d-%s/in", rows[i].name);
        tar_file(&tar, name, "a setgid directory gives its group");
    }
    scene_ok(&scene, &tar);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        char name[32];

        CHECK(scene_mode(&scene, rows[i].name) == (rows[i].mode & 07777));
        (void)snprintf(name, sizeof(name), "d-%s", rows[i].name);
        CHECK(scene_mode(&scene, name) == (rows[i].mode & 07777));
        (void)snprintf(name, sizeof(name), "d-%s/in", rows[i].name);
        CHECK(scene_mode(&scene, name) == 0644);
    }
    CHECK(umask(022) == 077); /* it was put back */
}

/* A directory of a setgid one would be one as well. */
TEST(directories_inherit_nothing)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    TAR(&tar, .name = "top", .mode = 02775, .type = '5');
    tar_directory(&tar, "top/said");
    tar_file(&tar, "top/forgotten/file", "x");
    scene_ok(&scene, &tar);
    CHECK(scene_mode(&scene, "top") == 02775);
    CHECK(scene_mode(&scene, "top/said") == 0755);
    CHECK(scene_mode(&scene, "top/forgotten") == 0755);
}

static void check_time(const struct scene *scene, const char *name, long seconds, long ns)
{
    const struct timespec time = scene_stat(scene, name).st_mtim;

    CHECK(time.tv_sec == seconds && time.tv_nsec == ns);
}

TEST(times_have_nanoseconds)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_pax_one(&tar, "mtime", "1500000000.123456789", 20);
    tar_file(&tar, "file", "x");
    tar_pax_one(&tar, "mtime", "1500000001.1234567899", 21);
    tar_directory(&tar, "d");
    tar_pax_one(&tar, "mtime", "-1.25", 5);
    tar_symlink(&tar, "link", "x");
    tar_pax_one(&tar, "mtime", "7.5", 3);
    TAR(&tar, .name = "d/fifo", .type = '6');
    scene_ok(&scene, &tar);
    check_time(&scene, "file", 1500000000, 123456789);
    check_time(&scene, "d", 1500000001, 123456789); /* its content came later */
    check_time(&scene, "link", -2, 750000000);
    check_time(&scene, "d/fifo", 7, 500000000);
}

/* More directories than are kept open, gone back to again and again, by two names. */
TEST(directories_have_their_times_at_the_end)
{
    enum { DIRECTORIES = 60, ROUNDS = 3 };
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    char name[64];

    TAR(&tar, .name = "./", .type = '5', .mode = 0711, .mtime = 99);
    tar_symlink(&tar, "alias", "d1");
    for (int i = 0; i < DIRECTORIES; i++) {
        (void)snprintf(name, sizeof(name), "d%d", i);
        TAR(&tar, .name = name, .type = '5', .mtime = 1000 + i);
    }
    for (int i = 0; i < DIRECTORIES * ROUNDS; i++) {
        (void)snprintf(name, sizeof(name), "d%d/f%d", i % DIRECTORIES, i);
        tar_file(&tar, name, "x");
        (void)snprintf(name, sizeof(name), "alias/g%d", i);
        tar_file(&tar, name, "x");
    }
    tar_file(&tar, "d0/sub/file", "x"); /* a directory that was forgotten */
    tar_file(&tar, "late/file", "x");
    TAR(&tar, .name = "late", .type = '5', .mtime = 77, .mode = 0700); /* after its content */
    scene_ok(&scene, &tar);
    for (int i = 0; i < DIRECTORIES; i++) {
        (void)snprintf(name, sizeof(name), "d%d", i);
        check_time(&scene, name, 1000 + i, 0);
    }
    check_time(&scene, ".", 99, 0);
    check_time(&scene, "d0/sub", 0, 0);
    check_time(&scene, "late", 77, 0);
    CHECK(scene_mode(&scene, "late") == 0700 && scene_mode(&scene, ".") == 0711);
}

TEST(the_roots_time_is_kept_where_the_layer_says_none)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6, .tv_nsec = 7}};

    CHECK(utimensat(AT_FDCWD, scene.path, times, 0) == 0);
    tar_file(&tar, "file", "x");
    scene_ok(&scene, &tar);
    check_time(&scene, ".", 6, 7);
}

/* --- names ------------------------------------------------------------------------------ */

TEST(names_are_bytes)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    static const char *const names[] = {
        "caf\xc3\xa9",  /* composed */
        "cafe\xcc\x81", /* the same to a reader, decomposed */
        "latin-\xe9",   /* no UTF-8 */
        "a",
        "A",                    /* not the same file */
        "tag-\xf3\xa0\x81\x81", /* U+E0041, which iconv drops */
        "new\nline",
        "esc\x1b[1m",
        "\x7f",
        " ",
        "back\\slash",
        "...",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        char pax[64];

        tar_file(&tar, names[i], names[i]);
        (void)snprintf(pax, sizeof(pax), "pax-%s", names[i]);
        tar_pax_one(&tar, "path", pax, strlen(pax));
        tar_file(&tar, "another", pax);
        (void)snprintf(pax, sizeof(pax), "link-%s", names[i]);
        tar_pax_one(&tar, "linkpath", names[i], strlen(names[i]));
        tar_symlink(&tar, pax, "another");
    }
    scene_ok(&scene, &tar);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        char pax[64];

        scene_holds(&scene, names[i], names[i]);
        (void)snprintf(pax, sizeof(pax), "pax-%s", names[i]);
        scene_holds(&scene, pax, pax);
        (void)snprintf(pax, sizeof(pax), "link-%s", names[i]);
        scene_links(&scene, pax, names[i]);
    }
    CHECK(check_count_entries(scene.path) == 3 * CL_ARRAY_SIZE(names));
}

TEST(dots_and_slashes_are_passed_over)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "/absolute", "a");
    tar_file(&tar, "./dot", "b");
    tar_file(&tar, "//two//slashes", "c");
    tar_file(&tar, "./././d/./e", "d");
    tar_hard_link(&tar, "hard", "/./absolute");
    tar_directory(&tar, "d/e2///");
    tar_symlink(&tar, "slash/", "x");
    scene_ok(&scene, &tar);
    scene_holds(&scene, "absolute", "a");
    scene_holds(&scene, "dot", "b");
    scene_holds(&scene, "two/slashes", "c");
    scene_holds(&scene, "d/e", "d");
    scene_holds(&scene, "hard", "a");
    CHECK(scene_type(&scene, "d/e2") == S_IFDIR);
    scene_links(&scene, "slash", "x");
}

/* --- replacing --------------------------------------------------------------------------- */

TEST(what_comes_later_replaces_what_is_there)
{
    static const struct {
        char first, then;
        int opaque;
    } rows[] = {{'0', '0', 0}, {'0', '5', 1}, {'0', '2', 0}, {'0', '6', 0}, {'0', '1', 0},
                {'5', '0', 0}, {'5', '2', 0}, {'5', '6', 0}, {'5', '1', 0}, {'2', '0', 0},
                {'2', '5', 1}, {'2', '2', 0}, {'2', '1', 0}, {'6', '0', 0}, {'6', '5', 1}};
    static const mode_t kinds[] = {
        ['0'] = S_IFREG, ['1'] = S_IFREG, ['2'] = S_IFLNK, ['5'] = S_IFDIR, ['6'] = S_IFIFO};

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

        tar_file(&tar, "target", "target");
        TAR(&tar, .name = "d", .type = '5', .mtime = 5);
        TAR(&tar, .name = "d/x", .type = rows[i].first, .link = "../target");
        if (rows[i].first == '5') {
            tar_file(&tar, "d/x/file", "x");
            tar_file(&tar, "d/x/deep/er/file", "x");
            tar_symlink(&tar, "d/x/out", "../../target");
        }
        TAR(&tar, .name = "d/x", .type = rows[i].then, .link = "target");
        scene_ok(&scene, &tar);
        CHECK(scene_type(&scene, "d/x") == kinds[(size_t)rows[i].then]);
        CHECK(scene_is_opaque(&scene, "d/x") == rows[i].opaque);
        scene_holds(&scene, "target", "target"); /* no link was followed */
        check_time(&scene, "d", 5, 0);
    }
}

TEST(a_directory_over_a_directory_keeps_its_content)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    TAR(&tar, .name = "d", .type = '5', .mode = 0700, .mtime = 1);
    tar_file(&tar, "d/file", "x");
    TAR(&tar, .name = "d", .type = '5', .mode = 0751, .mtime = 2);
    tar_file(&tar, "d/more", "y");
    scene_ok(&scene, &tar);
    scene_holds(&scene, "d/file", "x");
    scene_holds(&scene, "d/more", "y");
    CHECK(scene_mode(&scene, "d") == 0751 && !scene_is_opaque(&scene, "d"));
    check_time(&scene, "d", 2, 0);
}

/* What was replaced takes no room any more. */
TEST(what_is_gone_is_not_counted_on_disk)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    static char content[50000];

    memset(content, 'x', sizeof(content));
    TAR(&tar, .name = "a", .content = content, .size = sizeof(content));
    tar_hard_link(&tar, "b", "a");
    tar_file(&tar, "a", "short"); /* b stays */
    TAR(&tar, .name = "d/x/y/z", .content = content, .size = sizeof(content));
    tar_file(&tar, "d", "short");
    scene_ok(&scene, &tar);
    CHECK(scene.report.disk_bytes ==
          512 * (uint64_t)(scene_stat(&scene, ".").st_blocks + scene_stat(&scene, "a").st_blocks +
                           scene_stat(&scene, "b").st_blocks + scene_stat(&scene, "d").st_blocks));
}

/* Paths that led through what is replaced lead elsewhere, or nowhere. */
TEST(nothing_is_made_where_a_path_led_before)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_directory(&tar, "one");
    tar_directory(&tar, "two");
    tar_symlink(&tar, "link", "one");
    tar_file(&tar, "link/first", "1");
    tar_symlink(&tar, "link", "two");
    tar_file(&tar, "link/second", "2");
    tar_symlink(&tar, "one/self", ".");
    tar_file(&tar, "one/self/third", "3");
    tar_file(&tar, "one/self/self", "a file where the link was that the path went through");
    tar_file(&tar, "d/e/f", "x");
    tar_file(&tar, "d", "a file where the directory was");
    scene_ok(&scene, &tar);
    scene_holds(&scene, "one/first", "1");
    scene_holds(&scene, "two/second", "2");
    scene_holds(&scene, "one/third", "3");
    CHECK(scene_type(&scene, "one/self") == S_IFREG);
    CHECK(scene_type(&scene, "d") == S_IFREG);
    tar_file(&tar, "new/e/f", "x");
    tar_file(&tar, "new/e", "a file");
    tar_file(&tar, "new/e/f", "x");
    scene_refused(&scene, &tar, EINVAL, "\"new/e\" is no directory");
}

TEST(a_link_to_itself_stays)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "a", "x");
    tar_hard_link(&tar, "b", "a");
    tar_hard_link(&tar, "a", "b");
    tar_hard_link(&tar, "a", "a");
    tar_symlink(&tar, "s", "a");
    tar_hard_link(&tar, "t", "s"); /* of the link, not of what it leads to */
    scene_ok(&scene, &tar);
    CHECK(scene_stat(&scene, "a").st_nlink == 2);
    scene_holds(&scene, "b", "x");
    scene_links(&scene, "t", "a");
}

/* Of more directories than are kept open, so that each link closes and opens some. */
TEST(hard_links_reach_from_any_directory_to_any_other)
{
    enum { DIRECTORIES = 40 };
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    char name[64];
    char target[64];

    for (int i = 0; i < DIRECTORIES; i++) {
        (void)snprintf(name, sizeof(name), "d%d/file", i);
        tar_file(&tar, name, name);
    }
    for (int i = 0; i < DIRECTORIES; i++) {
        (void)snprintf(name, sizeof(name), "d%d/new/link", i);
        (void)snprintf(target, sizeof(target), "d%d/file", i * 7 % DIRECTORIES);
        tar_hard_link(&tar, name, target);
        (void)snprintf(name, sizeof(name), "d%d/link", i * 3 % DIRECTORIES);
        tar_hard_link(&tar, name, target);
    }
    scene_ok(&scene, &tar);
    for (int i = 0; i < DIRECTORIES; i++) {
        (void)snprintf(target, sizeof(target), "d%d/file", i * 7 % DIRECTORIES);
        (void)snprintf(name, sizeof(name), "d%d/new/link", i);
        scene_holds(&scene, name, target);
        (void)snprintf(name, sizeof(name), "d%d/link", i * 3 % DIRECTORIES);
        scene_holds(&scene, name, target);
        CHECK(scene_stat(&scene, target).st_nlink == 3);
    }
}

/* The target lies below what makes room for the link. */
TEST(a_hard_link_in_the_place_of_a_directory)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "d/x", "x");
    tar_file(&tar, "e/x", "y");
    tar_hard_link(&tar, "d", "e/x");
    scene_ok(&scene, &tar);
    scene_holds(&scene, "d", "y");
    tar_file(&tar, "f/x", "x");
    tar_hard_link(&tar, "f", "f/x");
    scene_refused(&scene, &tar, EINVAL,
                  "\"f\" of the layer is a hard link to \"f/x\", which the layer doesn't have");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(every_kind_is_made),
        ROW(what_the_layer_takes_is_told),
        ROW(an_empty_layer_is_a_layer),
        ROW(devices_are_nothing),
        ROW(modes_are_kept_with_all_their_bits),
        ROW(directories_inherit_nothing),
        ROW(times_have_nanoseconds),
        ROW(directories_have_their_times_at_the_end),
        ROW(the_roots_time_is_kept_where_the_layer_says_none),
        ROW(names_are_bytes),
        ROW(dots_and_slashes_are_passed_over),
        ROW(what_comes_later_replaces_what_is_there),
        ROW(a_directory_over_a_directory_keeps_its_content),
        ROW(what_is_gone_is_not_counted_on_disk),
        ROW(nothing_is_made_where_a_path_led_before),
        ROW(a_link_to_itself_stays),
        ROW(hard_links_reach_from_any_directory_to_any_other),
        ROW(a_hard_link_in_the_place_of_a_directory),
    };

    scene_enter();
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
