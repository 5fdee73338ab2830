/* test_library.c - an engine that is a library: what is believed of who tells its files. */
#include <errno.h>

#include "asked_scene.h"
#include "base/arena.h"
#include "module/library.h"

#define FILES "file /lib/libc.so.6\nfile /opt/lib/libwasmedge.so.0\n"
#define SOUND "version 0.14.1\nloader /lib64/ld.so\n" FILES

struct scene {
    char dir[32];
    struct cl_arena arena;
    struct cl_library library;
    struct cl_error err;
};

/* A script says LINES, by printf; and END is what it does then. */
static int find(struct scene *scene, const char *lines, const char *end)
{
    char path[64];
    char script[1024];

    *scene = (struct scene){.dir = "/tmp/cl-test-XXXXXX", .arena = CL_ARENA_INIT(1 << 20)};
    CHECK(mkdtemp(scene->dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/" CL_LIBRARY_WORKER, scene->dir);
    int size = snprintf(script, sizeof(script),
                        "#!/bin/sh\nPATH=/bin:/usr/bin\n[ \"$*\" = --probe ] || exit 9\n"
                        "cat <<'END'\n%sEND\n%s\n",
                        lines, end);
    CHECK(size > 0 && (size_t)size < sizeof(script));
    asked_write_file(path, script, (size_t)size, 0755);
    return cl_library_find(scene->dir, &scene->arena, &scene->library, &scene->err);
}

static void scene_done(struct scene *scene)
{
    cl_arena_done(&scene->arena);
    asked_remove(scene->dir);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

TEST(its_files_are_what_the_worker_tells)
{
    CL_CLEANUP_SCENE struct scene scene = {.dir = ""};

    CHECK(find(&scene, SOUND, "") == 0);
    CHECK_TEXT(scene.library.version, "0.14.1");
    CHECK_TEXT(scene.library.loader, "/lib64/ld.so");
    CHECK(scene.library.files.count == 2);
    CHECK_TEXT(scene.library.files.items[1], "/opt/lib/libwasmedge.so.0");
    CHECK_TEXT(cl_library_name(scene.library.files.items[1]), "libwasmedge.so.0");
}

TEST(what_could_not_be_so_is_not_believed)
{
    static const char *const answers[] = {
        "",
        "version 1\n" FILES,                /* nothing to start it by */
        "loader /lib64/ld.so\n" FILES,      /* no version */
        "version 1\nloader /lib64/ld.so\n", /* no files */
        SOUND "file relative\n",            /* whose directory? */
        SOUND "file /opt/../\n",            /* no name */
        SOUND "file /usr/lib/libc.so.6\n",  /* two of one name */
        "version 1\nloader ld.so\n" FILES,  /* as a file's */
        SOUND "more\n",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(answers); i++) {
        CL_CLEANUP_SCENE struct scene scene = {.dir = ""};

        CHECK(find(&scene, answers[i], "") == -EPROTO);
        CHECK_HAS(scene.err.msg, "nothing of its library that could be so");
    }
}

TEST(a_line_without_an_end_is_none)
{
    CL_CLEANUP_SCENE struct scene scene = {.dir = ""};

    CHECK(find(&scene, SOUND, "printf 'file /x'") == -EPROTO);
}

TEST(files_without_an_end_are_none)
{
    CL_CLEANUP_SCENE struct scene scene = {.dir = ""};

    CHECK(find(&scene, SOUND, "i=0; while [ $i -lt 200 ]; do echo file /$i; i=$((i+1)); done") ==
          -EPROTO);
}

TEST(what_it_says_of_a_missing_library_comes_with_the_cure)
{
    CL_CLEANUP_SCENE struct scene scene = {.dir = ""};

    CHECK(find(&scene, "", "echo 'WasmEdge: it is not there' >&2; exit 1") == -EINVAL);
    CHECK_HAS(scene.err.msg, "WasmEdge: it is not there; install WasmEdge");
}

TEST(a_worker_that_is_not_built_is_told)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_library library = {0};
    struct cl_error err = {0};

    CHECK(cl_library_find("/nowhere", &arena, &library, &err) < 0);
    CHECK_HAS(err.msg, "make wasm builds it");
}

/* As any program, it is told where the caller has his libraries, and of his variables no other. */
TEST(one_variable_is_passed_on)
{
    CL_CLEANUP_SCENE struct scene scene = {.dir = ""};

    CHECK(setenv("LD_LIBRARY_PATH", "/opt/mine", 1) == 0 && setenv("CL_SECRET", "x", 1) == 0);
    CHECK(find(&scene, SOUND,
               "[ \"$LD_LIBRARY_PATH\" = /opt/mine ] && [ -z \"$CL_SECRET\" ] || exit 8") == 0);
    CHECK(unsetenv("LD_LIBRARY_PATH") == 0 && unsetenv("CL_SECRET") == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(its_files_are_what_the_worker_tells),
        ROW(what_could_not_be_so_is_not_believed),
        ROW(a_line_without_an_end_is_none),
        ROW(files_without_an_end_are_none),
        ROW(what_it_says_of_a_missing_library_comes_with_the_cure),
        ROW(a_worker_that_is_not_built_is_told),
        ROW(one_variable_is_passed_on),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
