/* test_unpack_hiding.c - what a layer hides of those below it, as overlay has it. */
#include "unpack_scene.h"

TEST(a_whiteout_is_overlays)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    TAR(&tar, .name = "d", .type = '5', .mtime = 3);
    tar_file(&tar, "d/.wh.gone", "");
    TAR(&tar, .name = "d/.wh.content", .content = "which nobody reads");
    TAR(&tar, .name = "d/.wh.dir/", .type = '5');
    tar_hard_link(&tar, ".wh.aufs", ".wh..wh.aufs"); /* as aufs made them */
    TAR(&tar, .name = ".wh.device", .type = '3');
    tar_file(&tar, ".wh..hidden", "");
    tar_file(&tar, ".wh....", "");
    scene_ok(&scene, &tar);
    CHECK(scene_is_whiteout(&scene, "d/gone") && scene_is_whiteout(&scene, "d/content"));
    CHECK(scene_is_whiteout(&scene, "d/dir") && scene_is_whiteout(&scene, "aufs"));
    CHECK(scene_is_whiteout(&scene, "device") && scene_is_whiteout(&scene, ".hidden"));
    CHECK(scene_is_whiteout(&scene, "..."));
    CHECK(check_count_entries(scene.path) == 5);
    CHECK(scene_stat(&scene, "d").st_mtim.tv_sec == 3);
    CHECK(scene.report.devices_skipped == 0);
}

TEST(an_opaque_directory_is_overlays)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_directory(&tar, "d");
    tar_file(&tar, "d/before", "x");
    tar_file(&tar, "d/.wh..wh..opq", "");
    tar_file(&tar, "d/after", "y");
    tar_file(&tar, "forgotten/.wh..wh..opq", "");
    tar_directory(&tar, "plain");
    scene_ok(&scene, &tar);
    CHECK(scene_is_opaque(&scene, "d") && scene_is_opaque(&scene, "forgotten"));
    CHECK(!scene_is_opaque(&scene, "plain") && !scene_is_opaque(&scene, "."));
    scene_holds(&scene, "d/before", "x");
    scene_holds(&scene, "d/after", "y");
    CHECK(check_count_entries(scene.path) == 3);
    CHECK(scene.report.root_opaque == 0);
}

/* Overlay doesn't look at a layer's root. */
TEST(an_opaque_root_is_told)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "./.wh..wh..opq", "");
    scene_ok(&scene, &tar);
    CHECK(scene.report.root_opaque == 1 && scene_is_opaque(&scene, "."));
    CHECK(check_count_entries(scene.path) == 0);
}

TEST(what_is_aufss_is_passed_over)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_directory(&tar, ".wh..wh.plnk");
    tar_file(&tar, ".wh..wh.plnk/12.34", "x");
    tar_file(&tar, ".wh..wh.aufs", "");
    tar_directory(&tar, "d/.wh..wh.orph");
    tar_file(&tar, ".wh..wh..opqx", "");
    scene_ok(&scene, &tar);
    CHECK(check_count_entries(scene.path) == 0 && scene.report.root_opaque == 0);
}

/* A layer with `.wh.x` and an x of its own hides the x below and has its own, in any order. */
TEST(order_does_not_matter)
{
    static const struct {
        const char *what;
        char kind;       /* of x */
        int via_content; /* only what lies in x is in the archive */
    } rows[] = {{"file", '0', 0}, {"directory", '5', 0}, {"forgotten directory", '5', 1},
                {"link", '2', 0}, {"fifo", '6', 0},      {"hard link", '1', 0}};
    static const mode_t kinds[] = {
        ['0'] = S_IFREG, ['1'] = S_IFREG, ['2'] = S_IFLNK, ['5'] = S_IFDIR, ['6'] = S_IFIFO};

    NEEDS_ROOM();
    for (size_t i = 0; i < 2 * CL_ARRAY_SIZE(rows); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
        const char kind = rows[i / 2].kind;

        tar_file(&tar, "target", "t");
        TAR(&tar, .name = "d", .type = '5', .mtime = 9);
        if (i % 2 == 0)
            tar_file(&tar, "d/.wh.x", "");
        if (!rows[i / 2].via_content)
            TAR(&tar, .name = "d/x", .type = kind, .link = "target");
        if (kind == '5')
            tar_file(&tar, "d/x/in", "x");
        if (i % 2 != 0)
            tar_file(&tar, "d/.wh.x", "");
        scene_ok(&scene, &tar);
        CHECK(scene_type(&scene, "d/x") == kinds[(size_t)kind]);
        CHECK(scene_is_opaque(&scene, "d/x") == (kind == '5'));
        CHECK(scene_stat(&scene, "d").st_mtim.tv_sec == 9);
        if (kind == '5')
            scene_holds(&scene, "d/x/in", "x");
    }
}

/* Deeper than the directory that hides. */
TEST(a_whiteout_in_the_way_becomes_an_opaque_directory)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "a/.wh.b", "");
    tar_file(&tar, "a/b/c/d", "x");
    tar_file(&tar, ".wh.e", "");
    tar_file(&tar, "e/.wh.f", "");
    scene_ok(&scene, &tar);
    scene_holds(&scene, "a/b/c/d", "x");
    CHECK(scene_is_opaque(&scene, "a/b") && !scene_is_opaque(&scene, "a"));
    CHECK(!scene_is_opaque(&scene, "a/b/c"));
    CHECK(scene_is_opaque(&scene, "e") && scene_is_whiteout(&scene, "e/f"));
    CHECK(scene_mode(&scene, "a/b") == 0755);
}

/* A file that hid the directory below, and a directory in its place. */
TEST(a_directory_in_a_files_place_hides_as_the_file_did)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, "x", "a file");
    tar_file(&tar, ".wh.x", "");
    tar_directory(&tar, "x");
    scene_ok(&scene, &tar);
    CHECK(scene_is_opaque(&scene, "x"));
}

/* What only whiteouts are there for can't be linked to. */
TEST(a_whiteout_is_no_target)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    tar_file(&tar, ".wh.x", "");
    tar_hard_link(&tar, "y", "x");
    scene_refused(&scene, &tar, EINVAL,
                  "\"y\" of the layer is a hard link to \"x\", which the layer doesn't have");
    tar_hard_link(&tar, "y", ".wh.x");
    scene_refused(&scene, &tar, EINVAL, "which the layer doesn't have");
    tar_hard_link(&tar, "y", "x/z");
    scene_refused(&scene, &tar, EINVAL, "which the layer doesn't have");
    CHECK(scene_is_whiteout(&scene, "x"));
}

TEST(marks_are_not_to_be_forged)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;

    tar_record(&body, "SCHILY.xattr.user.overlay.opaque", "y");
    tar_record(&body, "SCHILY.xattr.user.overlay.redirect", "/etc");
    tar_record(&body, "SCHILY.xattr.trusted.overlay.opaque", "y");
    tar_pax(&tar, &body);
    tar_directory(&tar, "d");
    tar_record(&body, "SCHILY.xattr.user.overlay.metacopy", "");
    tar_record(&body, "SCHILY.xattr.user.overlay.whiteout", "y");
    tar_pax(&tar, &body);
    tar_file(&tar, "f", "");
    scene_ok(&scene, &tar);
    CHECK(scene.report.xattrs_dropped == 5);
    CHECK(!scene_is_opaque(&scene, "d"));
    CHECK(listxattr(scene.path, NULL, 0) == 0);
}

TEST(a_whiteout_of_nothing_is_refused)
{
    static const char *const names[] = {
        ".wh.",      "d/.wh.",      ".wh..",
        ".wh...",    "d/.wh...",    ".wh./x",
        "d/.wh.x/y", ".wh.x/.wh.y", ".wh.x/.wh..wh..opq",
    };

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

        tar_file(&tar, names[i], "");
        scene_refused(&scene, &tar, EINVAL, ".wh.");
        CHECK_HAS(scene.err.msg, "can't be a name in a layer");
        CHECK(check_count_entries(scene.path) == 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_whiteout_is_overlays),
        ROW(an_opaque_directory_is_overlays),
        ROW(an_opaque_root_is_told),
        ROW(what_is_aufss_is_passed_over),
        ROW(order_does_not_matter),
        ROW(a_whiteout_in_the_way_becomes_an_opaque_directory),
        ROW(a_directory_in_a_files_place_hides_as_the_file_did),
        ROW(a_whiteout_is_no_target),
        ROW(marks_are_not_to_be_forged),
        ROW(a_whiteout_of_nothing_is_refused),
    };

    scene_enter();
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
