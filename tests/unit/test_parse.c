/* test_parse.c - documents of images as records: what a cloister-image that was taken over may
 * answer. Its own parsers have tests of their own. */
#include <errno.h>

#include "base/clock.h"
#include "image/parse.h"
#include "programs_scene.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *const args[CL_HELPER_MAX_ARGS] = {"manifest", "the manifest", "linux/amd64"};

struct scene {
    struct cl_arena arena;
    struct cl_parser parser;
    struct cl_buf document;
    struct cl_manifest_record record;
    struct cl_error err;
    int before;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.arena = CL_ARENA_INIT(16 << 20), .document = CL_BUF_INIT(1 << 20)};
    scene->before = check_count_fds();
    CHECK(cl_parser_init(&scene->arena, &scene->parser, &scene->err) == 0);
    CHECK(cl_buf_add_str(&scene->document, "{}") == 0);
}

static void scene_done(struct scene *scene)
{
    cl_arena_done(&scene->arena);
    cl_buf_done(&scene->document);
    CHECK(check_count_fds() == scene->before);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static int parse(struct scene *scene)
{
    scene->err = (struct cl_error){0};
    scene->record = (struct cl_manifest_record){0};
    return cl_parse(&scene->parser, args, &scene->document,
                    CL_INTO(&cl_manifest_shape, &scene->record), &scene->err);
}

static void offer_record(void)
{
    const struct cl_manifest_record record = {
        .set = CL_RECORD_BIT(CL_MANIFEST_KIND) | CL_RECORD_BIT(CL_MANIFEST_TARGET),
        .kind = CL_MANIFEST_CHOICE,
        .target = DIGEST_A,
    };
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    struct cl_error err = {0};

    CHECK(cl_flat_write(&cl_manifest_shape, &record, &buf, &err) == 0);
    program_offer("record", buf.data, buf.size);
}

TEST(the_program_is_found_or_told_to_be_missing)
{
    struct cl_arena arena = CL_ARENA_INIT(4096);
    struct cl_parser parser;
    struct cl_error err = {0};

    (void)unlink(program_path("cloister-image"));
    CHECK(cl_parser_init(&arena, &parser, &err) == -ENOENT);
    CHECK_HAS(err.msg, "cloister-image is missing");
    CHECK_HAS(err.msg, programs_dir);
    program_fake("cloister-image", "*", "cat $dir/record");
    CHECK(cl_parser_init(&arena, &parser, &err) == 0);
    CHECK_TEXT(parser.helper.path, program_path("cloister-image"));
}

TEST(a_document_becomes_a_record)
{
    CL_CLEANUP_SCENE struct scene scene;

    offer_record();
    program_fake("cloister-image", "*",
                 "[ \"$1|$2|$3|$4\" = 'manifest|the manifest|linux/amd64|' ] || exit 1\n"
                 "[ \"$(cat)\" = {} ] || exit 1\ncat $dir/record");
    scene_init(&scene);
    CHECK(parse(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.kind == CL_MANIFEST_CHOICE);
    CHECK_TEXT(scene.record.target, DIGEST_A);
}

/* However large it is: the program gets it, and reads from its start. */
TEST(a_file_becomes_a_record)
{
    CL_CLEANUP_SCENE struct scene scene;

    offer_record();
    program_fake("cloister-image", "*", "[ \"$(head -c 5)\" = hello ] || exit 1\ncat $dir/record");
    scene_init(&scene);
    CL_CLEANUP_FD int file = cl_sys_memfd_create("file", 1);
    CHECK(write(file, "hello", 5) == 5 && ftruncate(file, 1L << 33) == 0);
    CHECK(lseek(file, 3, SEEK_SET) == 3);
    CHECK(cl_parse_file(&scene.parser, args, file, CL_INTO(&cl_manifest_shape, &scene.record),
                        &scene.err) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK_TEXT(scene.record.target, DIGEST_A);
    CHECK(lseek(file, 0, SEEK_CUR) == 3); /* the caller's place in it is its own */
    cl_fd_close(&file);
}

static const struct {
    const char *lines;
    int code;
    const char *message;
} answers[] = {
    {"exit 0", EBADMSG, "not a manifest's record"},
    {"echo hello", EBADMSG, "not a manifest's record"},
    {"head -c 100 $dir/record", EBADMSG, "not a manifest's record"},
    {"cat $dir/record $dir/record", EBADMSG, "not a manifest's record"},
    {"cat $dir/record; exit 1", EIO, "the manifest"},
    {"echo 'the manifest: layers[0].size: expected integer' >&2; exit 1", EINVAL,
     "the manifest: layers[0].size: expected integer"},
    {"printf 'bad\\033[31m\\377 bytes\\nmore\\n' >&2; exit 1", EINVAL, "bad?[31m? bytes"},
    {"kill -SEGV $$", EIO, "signal 11"},
    {"exec cat /dev/zero", EFBIG, "larger than"},
    {"[ ! -e /proc/self/fd/3 ] && [ -z \"$HOME$USER\" ] || echo leak >&2; exit 1", EIO,
     "ended with status 1"},
};

TEST(what_the_program_does_wrong_is_an_error)
{
    offer_record();
    for (size_t i = 0; i < CL_ARRAY_SIZE(answers); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        program_fake("cloister-image", "*", answers[i].lines);
        scene_init(&scene);
        CHECK(parse(&scene) == -answers[i].code);
        CHECK_HAS(scene.err.msg, answers[i].message);
        CHECK(scene.record.set == 0);
    }
}

TEST(a_record_that_does_not_fit_is_told)
{
    struct scene scene;
    struct cl_arena none = CL_ARENA_INIT(16);

    offer_record();
    program_fake("cloister-image", "*", "cat $dir/record");
    scene_init(&scene);
    scene.parser.arena = &none;
    CHECK(parse(&scene) == -ENOMEM);
    scene_done(&scene);
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(the_program_is_found_or_told_to_be_missing),
        ROW(a_document_becomes_a_record),
        ROW(a_file_becomes_a_record),
        ROW(what_the_program_does_wrong_is_an_error),
        ROW(a_record_that_does_not_fit_is_told),
    };

    programs_enter(argc, argv);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
