/* test_image_name.c - names between people and the store; and those that archives have. */
#include <errno.h>

#include "cmd/cloister/image_name.h"
#include "image/local.h"
#include "check.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(whole_names_are_shown_as_people_say_them)
{
    static const struct {
        const char *whole;
        const char *fallback;
        const char *familiar;
        const char *repository;
        const char *tag;
    } rows[] = {
        {"docker.io/library/debian:12", NULL, "debian:12", "debian", "12"},
        {"docker.io/a/b:latest", NULL, "a/b:latest", "a/b", "latest"},
        {"docker.io/library/debian:12", "quay.io", "docker.io/library/debian:12",
         "docker.io/library/debian", "12"},
        {"quay.io/a/b:1", "quay.io", "a/b:1", "a/b", "1"},
        {"localhost:5000/a:1", NULL, "localhost:5000/a:1", "localhost:5000/a", "1"},
        {"docker.io/library/debian@sha256:" HEX, NULL, "debian@sha256:" HEX, "debian",
         "@0123456789ab"},
        {"docker.io/library/debian:12@sha256:" HEX, NULL, "debian:12@sha256:" HEX, "debian",
         "12@0123456789ab"},
        {"localhost:5000/a@sha256:" HEX, NULL, "localhost:5000/a@sha256:" HEX, "localhost:5000/a",
         "@0123456789ab"},
        {"No name", NULL, "No name", "No name", NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
        struct cl_image_name_parts parts;

        CHECK_TEXT(cl_image_name_familiar(rows[i].whole, rows[i].fallback, &arena),
                   rows[i].familiar);
        CHECK(cl_image_name_split(rows[i].whole, rows[i].fallback, &arena, &parts) == 0);
        CHECK_TEXT(parts.repository, rows[i].repository);
        if (rows[i].tag == NULL)
            CHECK(parts.tag == NULL);
        else
            CHECK_TEXT(parts.tag, rows[i].tag);
    }
}

TEST(a_tag_is_not_a_port)
{
    CHECK(cl_image_name_has_tag("debian:12") && cl_image_name_has_tag("a:1/b:2"));
    CHECK(!cl_image_name_has_tag("debian") && !cl_image_name_has_tag("localhost:5000/a"));
    CHECK(!cl_image_name_has_tag("a@sha256:" HEX) && cl_image_name_has_tag("a:1@sha256:" HEX));
}

static struct cl_arena arena;

static int names_of(const struct cl_local_origin *local, struct cl_strlist *ret,
                    struct cl_error *err)
{
    cl_arena_done(&arena);
    arena = CL_ARENA_INIT(1 << 16);
    return cl_local_names(local, &arena, ret, err);
}

TEST(names_of_docker_save_are_resolved)
{
    static const char *const tags[] = {"debian:12", "a.example/b:1"};
    static const char *const bad[] = {"debian:12", "Debian"};
    struct cl_local_origin local = {.path = "x.tar", .saved = {.config = "c", .tags = {tags, 2}}};
    struct cl_strlist names = {0};
    struct cl_error err = {0};

    CHECK(names_of(&local, &names, &err) == 0 && names.count == 2);
    CHECK_TEXT(names.items[0], "docker.io/library/debian:12");
    CHECK_TEXT(names.items[1], "a.example/b:1");
    local.saved.tags.count = 0;
    CHECK(names_of(&local, &names, &err) == 0 && names.count == 0);
    local.saved.tags = (struct cl_strlist){bad, 2};
    CHECK(names_of(&local, &names, &err) == -EINVAL && names.count == 0);
    CHECK(strncmp(err.msg, "x.tar: ", 7) == 0);
    CHECK_HAS(err.msg, "; give it another after the archive's");
}

TEST(of_a_layout_only_whole_names_are_taken)
{
    static const struct {
        const char *name;
        size_t count;
    } rows[] = {
        {NULL, 0},
        {"latest", 0},
        {"debian:12", 0},
        {"docker.io/library/debian", 0},
        {"docker.io/library/debian:12", 1},
        {"docker.io/debian:12", 0},
        {"localhost/mine:1", 1},
        {"a.example/b@sha256:" HEX, 0},
        {"", 0},
        {"../x", 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_local_origin local = {.path = "dir", .chosen = {.name = rows[i].name}};
        struct cl_strlist names = {.count = 7};
        struct cl_error err = {0};

        CHECK(names_of(&local, &names, &err) == 0);
        CHECK(names.count == rows[i].count);
        if (rows[i].count > 0)
            CHECK_TEXT(names.items[0], rows[i].name);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(whole_names_are_shown_as_people_say_them),
        ROW(a_tag_is_not_a_port),
        ROW(names_of_docker_save_are_resolved),
        ROW(of_a_layout_only_whole_names_are_taken),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
