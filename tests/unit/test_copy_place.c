/* test_copy_place.c - where a copy goes: Docker's rules, and what is no place. */
#include "copy/place.h"

#include "copy_scene.h"

/* --- the name of the source ---------------------------------------------------------------- */

TEST(the_last_name_is_that_of_the_copy)
{
    static const char *const rows[][2] = {
        {"a", "a"},        {"/a", "a"},    {"/a/b", "b"}, {"a/b/", "b"},
        {"a/b///", "b"},   {"a/.", ""},    {"a/./", ""},  {"..", ""},
        {".", ""},         {"/", ""},      {"///", ""},   {"a/..", ""},
        {"/a/...", "..."}, {"a/.b", ".b"}, {"./a", "a"},  {"a\n", "a\n"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_error err = {0};
        char name[CL_COPY_NAME_MAX + 1] = "untouched";

        CHECK(cl_copy_name(rows[i][0], name, &err) == 0);
        CHECK_TEXT(name, rows[i][1]);
    }
}

TEST(a_name_that_is_none_is_refused)
{
    struct cl_error err = {0};
    char name[CL_COPY_NAME_MAX + 1] = "untouched";
    char path[CL_COPY_NAME_MAX + 8] = "a/";

    CHECK(cl_copy_name("", name, &err) == -EINVAL);
    CHECK_TEXT(err.msg, "copy: an empty path");
    memset(path + 2, 'x', CL_COPY_NAME_MAX + 1);
    CHECK(cl_copy_name(path, name, &err) == -ENAMETOOLONG);
    CHECK_HAS(err.msg, "copy: the name at the end of a/xxx");
    CHECK_TEXT(name, "untouched");
    path[2 + CL_COPY_NAME_MAX] = '/';
    CHECK(cl_copy_name(path, name, &err) == 0 && strlen(name) == CL_COPY_NAME_MAX);
}

TEST(an_entry_is_one_name)
{
    char name[CL_COPY_NAME_MAX + 2] = "";

    CHECK(cl_copy_is_name("a") && cl_copy_is_name("...") && cl_copy_is_name(".a"));
    CHECK(cl_copy_is_name("\n") && cl_copy_is_name("\xff") && cl_copy_is_name(" "));
    CHECK(!cl_copy_is_name("") && !cl_copy_is_name(".") && !cl_copy_is_name(".."));
    CHECK(!cl_copy_is_name("a/b") && !cl_copy_is_name("/") && !cl_copy_is_name("a/"));
    memset(name, 'x', CL_COPY_NAME_MAX);
    CHECK(cl_copy_is_name(name));
    name[CL_COPY_NAME_MAX] = 'x';
    CHECK(!cl_copy_is_name(name));
}

/* --- rules --------------------------------------------------------------------------------- */

/* A source that is a file, or a directory with a file in it. */
static struct scene make(void)
{
    struct scene scene = scene_make();

    scene_file(&scene, "from/f", "of f");
    scene_dir(&scene, "from/d", 0755);
    scene_file(&scene, "from/d/in", "of in");
    scene_dir(&scene, "to/there", 0755);
    scene_file(&scene, "to/file", "old");
    return scene;
}

TEST(a_file_goes_where_docker_puts_it)
{
    CLEANUP_SCENE struct scene scene = make();

    scene_ok(&scene, "from/f", "to/new");
    scene_holds(&scene, "to/new", "of f");
    scene_ok(&scene, "from/f", "to/file");
    scene_holds(&scene, "to/file", "of f");
    scene_ok(&scene, "from/f", "to/there");
    scene_holds(&scene, "to/there/f", "of f");
    scene_ok(&scene, "from/f", "to/there/");
    scene_ok(&scene, "from/f", "to/there/.");
    CHECK(check_count_entries(scene_path(&scene, "to/there")) == 1);
}

TEST(a_file_goes_nowhere_else)
{
    CLEANUP_SCENE struct scene scene = make();

    CHECK(scene_copy(&scene, "from/f", "to/none/") == -ENOENT);
    CHECK_HAS(scene.err.msg, "/to/none/: there is no such directory");
    CHECK(scene_copy(&scene, "from/f", "to/none/f") == -ENOENT);
    CHECK_HAS(scene.err.msg, "/to/none/: No such file or directory");
    CHECK(scene_copy(&scene, "from/f", "to/file/") == -ENOENT);
    CHECK_HAS(scene.err.msg, "/to/file/: there is no such directory");
    CHECK(scene_copy(&scene, "from/f", "to/file/x") == -ENOTDIR);
    CHECK_HAS(scene.err.msg, "/to/file/: Not a directory");
    CHECK(scene_copy(&scene, "from/f", "to/none/.") == -ENOENT);
    CHECK(scene_copy(&scene, "from/f/.", "to/there") == -ENOTDIR);
    CHECK(check_count_entries(scene_path(&scene, "to")) == 2);
    CHECK(check_count_entries(scene_path(&scene, "to/there")) == 0);
}

TEST(a_directory_goes_where_docker_puts_it)
{
    CLEANUP_SCENE struct scene scene = make();

    scene_ok(&scene, "from/d", "to/new");
    scene_holds(&scene, "to/new/in", "of in");
    scene_ok(&scene, "from/d", "to/slash/");
    scene_holds(&scene, "to/slash/in", "of in");
    scene_ok(&scene, "from/d", "to/there");
    scene_holds(&scene, "to/there/d/in", "of in");
    scene_ok(&scene, "from/d/", "to/there"); /* a second time: filled */
    CHECK(check_count_entries(scene_path(&scene, "to/there")) == 1);
    scene_ok(&scene, "from/d/.", "to/there");
    scene_holds(&scene, "to/there/in", "of in");
    scene_ok(&scene, "from/d/.", "to/again");
    scene_holds(&scene, "to/again/in", "of in");
}

TEST(a_directory_goes_nowhere_else)
{
    CLEANUP_SCENE struct scene scene = make();

    CHECK(scene_copy(&scene, "from/d", "to/file") == -ENOTDIR);
    CHECK_HAS(scene.err.msg, "/to/file: something else is there");
    scene_holds(&scene, "to/file", "old");
    CHECK(scene_copy(&scene, "from/d", "to/none/d") == -ENOENT);
    scene_file(&scene, "to/there/d", "old");
    CHECK(scene_copy(&scene, "from/d", "to/there") == -ENOTDIR);
    scene_holds(&scene, "to/there/d", "old");
}

/* The place itself is the caller's word, and links in it are followed as by cp(1); what is made
 * there is never reached by one. */
TEST(links_are_followed_to_the_place_and_not_in_it)
{
    CLEANUP_SCENE struct scene scene = make();

    scene_dir(&scene, "from/victim", 0755);
    scene_link(&scene, "to/link", "there");
    scene_ok(&scene, "from/f", "to/link");
    scene_holds(&scene, "to/there/f", "of f");
    scene_link(&scene, "to/gone", "../from/made");
    scene_ok(&scene, "from/f", "to/gone");
    scene_holds(&scene, "to/gone", "of f");
    CHECK(S_ISREG(scene_stat(&scene, "to/gone").st_mode) && !scene_has(&scene, "from/made"));
    scene_link(&scene, "to/there/d", "../../from/victim");
    CHECK(scene_copy(&scene, "from/d", "to/there") == -ENOTDIR);
    scene_dir(&scene, "to/n", 0755);
    scene_link(&scene, "to/n/in", "../../from/victim/x");
    scene_ok(&scene, "from/d/.", "to/n");
    scene_holds(&scene, "to/n/in", "of in");
    CHECK(check_count_entries(scene_path(&scene, "from/victim")) == 0);
}

TEST(a_file_replaces_no_directory)
{
    CLEANUP_SCENE struct scene scene = make();

    scene_dir(&scene, "to/there/f", 0755);
    CHECK(scene_copy(&scene, "from/f", "to/there") == -EISDIR);
    CHECK_HAS(scene.err.msg, "replace ");
    CHECK_HAS(scene.err.msg, "/to/there/f: Is a directory");
}

/* Who has the old file open, or under another name, keeps it as it is. */
TEST(a_file_that_is_replaced_is_a_new_one)
{
    CLEANUP_SCENE struct scene scene = make();

    CHECK(linkat(scene.root, "to/file", scene.root, "to/other", 0) == 0);
    scene_ok(&scene, "from/f", "to/file");
    scene_holds(&scene, "to/file", "of f");
    scene_holds(&scene, "to/other", "old");
}

/* --- what is no place ------------------------------------------------------------------------ */

TEST(words_that_are_no_place_are_refused)
{
    CLEANUP_SCENE struct scene scene = make();
    struct cl_copy_place place = CL_COPY_PLACE_INIT;
    struct cl_error err = {0};
    static char deep[8192];
    static const char *const names[] = {".", "..", "a/b", "/"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        CHECK(cl_copy_place_open(scene.path, names[i], &place, &err) == -EINVAL);
        CHECK_HAS(err.msg, "is no name of a file");
    }
    CHECK(cl_copy_place_open("", "a", &place, &err) == -EINVAL);
    memset(deep, 'x', sizeof(deep) - 1);
    CHECK(cl_copy_place_open(deep, "a", &place, &err) == -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(deep) - 1; i += 2)
        deep[i] = '/';
    CHECK(cl_copy_place_open(deep, "a", &place, &err) == -ENAMETOOLONG);
    CHECK(cl_copy_place_open("/nonexistent/..", "a", &place, &err) == -ENOENT);
    CHECK_TEXT(err.msg, "copy to /nonexistent/..: there is no such directory");
    CHECK(place.dir == -1);
}

TEST(places_are_told_whole)
{
    CLEANUP_SCENE struct scene scene = make();
    CL_CLEANUP(cl_copy_place_done) struct cl_copy_place place = CL_COPY_PLACE_INIT;
    struct cl_error err = {0};

    CHECK(cl_copy_place_open(scene_path(&scene, "to/there"), "n", &place, &err) == 0);
    CHECK_TEXT(place.shown.text, scene_path(&scene, "to/there/n"));
    CHECK_TEXT(place.name, "n");
    CHECK(!place.only_dir);
    cl_copy_place_done(&place);
    CHECK(place.dir == -1);
    CHECK(cl_copy_place_open(scene_path(&scene, "to/x/"), "n", &place, &err) == 0);
    CHECK_TEXT(place.shown.text, scene_path(&scene, "to/x/"));
    CHECK_TEXT(place.name, "x");
    CHECK(place.only_dir);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_last_name_is_that_of_the_copy),
        ROW(a_name_that_is_none_is_refused),
        ROW(an_entry_is_one_name),
        ROW(a_file_goes_where_docker_puts_it),
        ROW(a_file_goes_nowhere_else),
        ROW(a_directory_goes_where_docker_puts_it),
        ROW(a_directory_goes_nowhere_else),
        ROW(links_are_followed_to_the_place_and_not_in_it),
        ROW(a_file_replaces_no_directory),
        ROW(a_file_that_is_replaced_is_a_new_one),
        ROW(words_that_are_no_place_are_refused),
        ROW(places_are_told_whole),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
