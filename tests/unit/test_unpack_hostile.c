/* test_unpack_hostile.c - layers that want out, or too much. */
#include <sys/resource.h>

#include "unpack_scene.h"

/* --- names --------------------------------------------------------------------------------- */

static char *repeat(const char *part, size_t times, const char *end)
{
    const size_t size = strlen(part);
    char *text = calloc(1, size * times + strlen(end) + 1);

    for (size_t i = 0; i < times; i++)
        tar_text(text + i * size, part);
    tar_text(text + size * times, end);
    return text;
}

static void check_name(const char *name, size_t size, const char *needle)
{
    static const char kinds[] = {'0', '1', '2', '5', '6', 'L'};

    for (size_t i = 0; i < sizeof(kinds); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

        tar_file(&tar, "target", "x");
        tar_pax_one(&tar, kinds[i] == 'L' ? "linkpath" : "path", name, size);
        if (kinds[i] == 'L')
            TAR(&tar, .name = "x", .type = '1', .link = "target");
        else
            TAR(&tar, .name = "x", .type = kinds[i], .link = "target");
        scene_refused(&scene, &tar, EINVAL, needle);
        CHECK(scene_is_contained(&scene));
        CHECK(check_count_entries(scene.path) == 1);
    }
}

TEST(names_that_lead_out_are_refused)
{
    static const char *const names[] = {"..",   "../x",   "/../x",    "a/../../x",
                                        "a/..", "./../x", "a/b/../c", "//..//x"};

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        check_name(names[i], strlen(names[i]), "\"..\" is refused");
    }
}

TEST(names_that_no_file_can_have_are_refused)
{
    CL_CLEANUP_FREE char *part = repeat("p", 256, "");
    CL_CLEANUP_FREE char *deep = repeat("d/", 1024, "e");
    CL_CLEANUP_FREE char *whole = repeat("0123456789/", 372, "abcd");

    NEEDS_ROOM();
    check_name("a\0b", 3, "there is a NUL byte in it");
    check_name("\0", 1, "there is a NUL byte in it");
    check_name(part, strlen(part), "255 bytes are the most between two slashes");
    check_name(deep, strlen(deep), "it is more than 1024 deep");
    CHECK(strlen(whole) == 4096);
    check_name(whole, strlen(whole), "4095 bytes are the most");
}

TEST(the_longest_names_are_made)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_FREE char *part = repeat("p", 255, "");
    CL_CLEANUP_FREE char *deep = repeat("d/", 1023, "e");
    CL_CLEANUP_FREE char *whole = repeat("0123456789/", 372, "abc");

    CHECK(strlen(whole) == 4095);
    tar_long(&tar, 'L', part);
    tar_file(&tar, "x", "part");
    tar_long(&tar, 'L', whole);
    tar_file(&tar, "x", "whole");
    tar_pax_one(&tar, "path", deep, strlen(deep));
    tar_file(&tar, "x", "deep");
    tar_long(&tar, 'K', whole);
    tar_symlink(&tar, "link", "x");
    tar_long(&tar, 'K', whole);
    tar_hard_link(&tar, "hard", "x");
    scene_ok(&scene, &tar);
    scene_holds(&scene, part, "part");
    scene_holds(&scene, whole, "whole");
    scene_holds(&scene, deep, "deep");
    scene_holds(&scene, "hard", "whole");
    CHECK(scene_stat(&scene, "link").st_size == 4095);
    CHECK(scene.report.entries == 5 + 372 + 1023);
}

TEST(names_stand_escaped_in_messages)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_hard_link(&tar, "new\nline\x1b[31m\xff\"", "to\r\n");
    scene_refused(&scene, &tar, EINVAL,
                  "\"new\\x0aline\\x1b[31m\\xff\\x22\" of the layer is a hard link to "
                  "\"to\\x0d\\x0a\", which the layer doesn't have before it");
}

TEST(an_entry_without_a_name_is_refused)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    TAR(&tar, .name = "", .type = '5');
    scene_refused(&scene, &tar, EINVAL, "it is empty");
    TAR(&tar, .name = ".", .content = "x");
    scene_refused(&scene, &tar, EINVAL, "the layer's own directory is an entry of another kind");
    TAR(&tar, .name = "/", .type = '2', .link = "/etc");
    scene_refused(&scene, &tar, EINVAL, "the layer's own directory is an entry of another kind");
    CHECK(S_ISDIR(scene_stat(&scene, ".").st_mode));
}

/* --- links --------------------------------------------------------------------------------- */

/* A parent that is a link is followed below the root alone. */
TEST(links_lead_nowhere_but_into_the_layer)
{
    static const char *const targets[] = {
        "/", "..", "../..", "/..", "../../../../../../..", "./../layer/..", "/proc/../.."};

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(targets); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

        tar_directory(&tar, "proc");
        tar_symlink(&tar, "link", targets[i]);
        tar_file(&tar, "link/file", "within");
        tar_directory(&tar, "link/d");
        tar_file(&tar, "link/d/file", "within");
        tar_hard_link(&tar, "link/hard", "link/file");
        tar_symlink(&tar, "link/sym", "x");
        tar_file(&tar, "link/.wh.gone", "");
        if (scene_unpack(&scene, &tar) == 0) {
            scene_holds(&scene, "file", "within");
            scene_holds(&scene, "d/file", "within");
            CHECK(scene_is_whiteout(&scene, "gone"));
        } else {
            CHECK_HAS(scene.err.msg, "link"); /* "layer" is not there */
        }
        CHECK(scene_is_contained(&scene));
    }
}

TEST(a_parent_that_is_no_directory_is_told)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_symlink(&tar, "nowhere", "is/not/there");
    tar_file(&tar, "nowhere/x", "x");
    scene_refused(&scene, &tar, EINVAL,
                  "\"nowhere\" is a symbolic link to nothing that this layer has");
    tar_symlink(&tar, "one", "two");
    tar_symlink(&tar, "two", "one");
    tar_file(&tar, "one/x", "x");
    scene_refused(&scene, &tar, EINVAL, "\"one\" is a symbolic link in a circle");
    tar_symlink(&tar, "self", "self/self");
    tar_file(&tar, "d/../self/x", "x");
    scene_refused(&scene, &tar, EINVAL, "\"..\" is refused");
    tar_file(&tar, "file", "x");
    tar_file(&tar, "file/x/y", "x");
    scene_refused(&scene, &tar, EINVAL, "\"file\" is no directory");
    tar_symlink(&tar, "to-file", "file");
    tar_file(&tar, "to-file/x", "x");
    scene_refused(&scene, &tar, ENOTDIR, "follow the symbolic link \"to-file\" to a directory");
    TAR(&tar, .name = "fifo", .type = '6');
    tar_file(&tar, "fifo/x", "x");
    scene_refused(&scene, &tar, EINVAL, "\"fifo\" is no directory");
    CHECK(scene_type(&scene, "file") == S_IFREG && scene_type(&scene, "fifo") == S_IFIFO);
}

TEST(links_to_what_can_not_be_are_refused)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_FREE char *whole = repeat("0123456789/", 372, "abcd");

    tar_symlink(&tar, "a", "");
    scene_refused(&scene, &tar, EINVAL, "\"a\" of the layer is a symbolic link to nothing");
    tar_pax_one(&tar, "linkpath", "x\0y", 3);
    tar_symlink(&tar, "a", "x");
    scene_refused(&scene, &tar, EINVAL, "a symbolic link to a name with a NUL byte");
    tar_pax_one(&tar, "linkpath", whole, 4096);
    tar_symlink(&tar, "a", "x");
    scene_refused(&scene, &tar, EINVAL, "a symbolic link to a name of more than 4095 bytes");
    tar_hard_link(&tar, "a", "");
    scene_refused(&scene, &tar, EINVAL, "the hard link \"a\": ");
    tar_hard_link(&tar, "a", "/");
    scene_refused(&scene, &tar, EINVAL, "which the layer doesn't have");
    tar_directory(&tar, "d");
    tar_hard_link(&tar, "a", "d");
    scene_refused(&scene, &tar, EINVAL,
                  "\"a\" of the layer is a hard link to \"d\", which is a directory");
    tar_file(&tar, "f", "x");
    tar_hard_link(&tar, "a", "f/x");
    scene_refused(&scene, &tar, EINVAL, "\"f\" is no directory");
    tar_hard_link(&tar, "a", "later");
    tar_file(&tar, "later", "x");
    scene_refused(&scene, &tar, EINVAL, "which the layer doesn't have before it");
    CHECK(!scene_has(&scene, "a"));
}

/* /proc/self/root and its like are no way out, were there a procfs. */
TEST(magic_links_are_not_followed)
{
    NEEDS_ROOM();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    struct scene scene = {
        .root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), .max_bytes = 100, .max_entries = 100};

    tar_file(&tar, "proc/self/root/tmp/cloister-test-out", "x");
    scene_refused(&scene, &tar, EINVAL, "\"proc/self/root\" is a symbolic link in a circle");
    CHECK(access("/tmp/cloister-test-out", F_OK) < 0);
    cl_fd_close(&scene.root);
}

/* --- bounds --------------------------------------------------------------------------------- */

TEST(content_has_a_bound)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    scene.max_bytes = 2048;
    for (int i = 0; i < 2; i++) {
        tar_file(&tar, "a", "1234");
        tar_file(&tar, "a", "1234"); /* what is replaced counts too */
    }
    scene_ok(&scene, &tar);
    scene.max_bytes = 15;
    for (int i = 0; i < 4; i++)
        tar_file(&tar, "a", "1234");
    scene_refused(&scene, &tar, EFBIG,
                  "the layer's files have more than the 15 bytes that --max-size");
    scene.max_bytes = 1 << 20;
    TAR(&tar, .name = "huge", .said_size = 0777777777777);
    scene_refused(&scene, &tar, EFBIG, "the layer's files have more than the 1MiB that --max-size");
    TAR(&tar, .name = "huge", .size_field = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    scene_refused(&scene, &tar, EINVAL, "a size that no file has");
    CHECK(!scene_has(&scene, "huge"));
}

/* A hole costs nothing, until somebody reads it. */
TEST(holes_count)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;

    tar_record(&body, "GNU.sparse.size", "1152921504606846976"); /* 2^60 */
    tar_record(&body, "GNU.sparse.map", "0,1");
    tar_pax(&tar, &body);
    tar_file(&tar, "hole", "x");
    scene_refused(&scene, &tar, EFBIG, "--max-size");
    CHECK(!scene_has(&scene, "hole"));
}

TEST(what_is_beside_content_counts)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    scene.max_bytes = 100;
    tar_pax_one(&tar, "SCHILY.xattr.user.a", "0123456789", 10);
    tar_directory(&tar, "d");
    tar_symlink(&tar, "l", "0123456789");
    scene_ok(&scene, &tar);
    CHECK(scene.report.bytes == 0);
    scene.max_bytes = 19;
    tar_pax_one(&tar, "SCHILY.xattr.user.a", "0123456789", 10);
    tar_directory(&tar, "d");
    tar_symlink(&tar, "l", "0123456789");
    scene_refused(&scene, &tar, EFBIG, "--max-size");
}

TEST(entries_have_a_bound)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    scene.max_entries = 4;
    tar_file(&tar, "a/b/c/file", "x"); /* and three directories */
    scene_ok(&scene, &tar);
    CHECK(scene.report.entries == 4);
    scene.max_entries = 3;
    tar_file(&tar, "d/e/f/file", "x");
    scene_refused(&scene, &tar, EFBIG,
                  "the layer has more than 3 files and directories; --max-files");
    scene.max_entries = 0;
    tar_file(&tar, "x", "x");
    scene_refused(&scene, &tar, EFBIG, "--max-files");
}

/* ROUNDS times a thousand directories, one below the other: links make trees that are deeper
 * than a name can say. */
static void put_deep(struct cl_buf *tar, const char *deep, int rounds)
{
    char name[2100];
    char link[16];

    for (int i = 0; i < rounds; i++) {
        (void)snprintf(name, sizeof(name), "/%s%d%s", i == 0 ? "top" : "link", i, deep);
        tar_pax_one(tar, "path", name, strlen(name));
        tar_directory(tar, "x");
        (void)snprintf(link, sizeof(link), "link%d", i + 1);
        tar_pax_one(tar, "linkpath", name, strlen(name));
        tar_symlink(tar, link, "x");
    }
}

TEST(deep_trees_are_removed)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_FREE char *deep = repeat("/d", 1000, "");

    put_deep(&tar, deep, 20);
    tar_file(&tar, "top0", "a file in the place of 20000 directories");
    scene_ok(&scene, &tar);
    CHECK(scene_type(&scene, "top0") == S_IFREG);
    CHECK(scene.report.disk_bytes < 100000);
}

/* --- what is cut off ---------------------------------------------------------------------- */

/* At every byte: an end between entries is one, any other is an error. */
TEST(an_end_in_the_middle_is_told)
{
    NEEDS_ROOM();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    size_t ends[8] = {0};
    size_t count = 1;

    tar_directory(&tar, "d");
    ends[count++] = tar.size;
    tar_pax_one(&tar, "mtime", "1.5", 3);
    tar_file(&tar, "d/file", "content");
    ends[count++] = tar.size;
    tar_long(&tar, 'L', "d/other");
    tar_file(&tar, "x", "y");
    ends[count++] = tar.size;
    tar_end(&tar);
    ends[count++] = tar.size - 512; /* one block of zeros is an end */
    ends[count++] = tar.size;
    for (size_t size = 0; size <= tar.size; size += size % 512 == 511 || size % 512 == 0 ? 1 : 85) {
        CLEANUP_SCENE struct scene scene = scene_make();
        struct cl_buf part = tar;
        int is_end = 0;

        part.size = size;
        for (size_t i = 0; i < count; i++)
            is_end |= ends[i] == size;
        int r = scene_unpack_raw(&scene, &part);
        CHECK(is_end ? r == 0 : r == -ENODATA || r == -EINVAL);
        if (!is_end)
            CHECK(strstr(scene.err.msg, "ends in the middle of an entry") != NULL ||
                  strstr(scene.err.msg, "an extended header without its entry") != NULL);
        if (size == 512 * 4 + 3)
            CHECK_HAS(scene.err.msg, "\"d/file\": the tar archive ends in the middle");
    }
}

TEST(what_follows_the_end_is_read_and_means_nothing)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "a", "x");
    tar_end(&tar);
    tar_file(&tar, "after", "x");
    for (int i = 0; i < 100000; i++)
        tar_add(&tar, "garbage", 7);
    CHECK(scene_unpack_raw(&scene, &tar) == 0);
    CHECK(scene_has(&scene, "a") && !scene_has(&scene, "after"));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(names_that_lead_out_are_refused),
        ROW(names_that_no_file_can_have_are_refused),
        ROW(the_longest_names_are_made),
        ROW(names_stand_escaped_in_messages),
        ROW(an_entry_without_a_name_is_refused),
        ROW(links_lead_nowhere_but_into_the_layer),
        ROW(a_parent_that_is_no_directory_is_told),
        ROW(links_to_what_can_not_be_are_refused),
        ROW(magic_links_are_not_followed),
        ROW(content_has_a_bound),
        ROW(holes_count),
        ROW(what_is_beside_content_counts),
        ROW(entries_have_a_bound),
        ROW(deep_trees_are_removed),
        ROW(an_end_in_the_middle_is_told),
        ROW(what_follows_the_end_is_read_and_means_nothing),
    };

    scene_enter();
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
