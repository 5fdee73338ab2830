/* test_images.c - the commands that show what is in the store: images, inspect --image. */
#include "three_images_scene.h"

/* --- images ----------------------------------------------------------------------- */

static void list_nothing(void)
{
    command_own_state();
    CHECK(setenv("CLOISTER_STORE", "/mnt/store", 1) == 0);
    CHECK(RUN(&cl_command_images, NULL) == 0);
    CHECK_TEXT(said.out, "REPOSITORY   TAG   ID   CREATED   USED   SIZE   OWN\n");
    CHECK(RUN(&cl_command_images, "-q", NULL) == 0);
    CHECK_TEXT(said.out, "");
    CHECK(RUN(&cl_command_images, "--format", "json", "debian", NULL) == 0);
    CHECK_TEXT(said.out, "[]\n");
    CHECK(access("/mnt/store", F_OK) < 0); /* and made nothing */
    CHECK(unsetenv("CLOISTER_STORE") == 0 && unsetenv("HOME") == 0);
    CHECK(unsetenv("XDG_DATA_HOME") == 0);
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") ==
          0); /* root's own, if there is one */
    CHECK(RUN(&cl_command_images, "-q", NULL) == 0);
    scene_open();
    CHECK(RUN(&cl_command_images, "-q", NULL) == 0);
    CHECK_TEXT(said.out, "");
    CHECK(RUN(&cl_command_images, "a", "b", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "images takes one name, got also \"b\"");
    CHECK(RUN(&cl_command_images, "Debian", NULL) == -EINVAL);
    CHECK_HAS(said.err.msg, "lower case");
    CHECK(RUN(&cl_command_images, "-f", "x", NULL) < 0);
    CHECK_HAS(said.err.msg, "--filter: not built yet");
}

TEST(no_store_is_an_empty_list)
{
    room_run(list_nothing);
}

static void list_some(void)
{
    char expected[4096];

    make_some();
    (void)snprintf(
        expected, sizeof(expected),
        "REPOSITORY           TAG        ID             CREATED       USED          "
        "SIZE       OWN\n"
        "debian               12         %s   3 weeks ago   3 hours ago   20.0 MiB   "
        "10.0 MiB\n"
        "debian               bookworm   %s   3 weeks ago   3 hours ago   20.0 MiB   "
        "10.0 MiB\n"
        "quay.io/some/other   latest     %s   -             5 days ago    10.0 MiB   0 B\n"
        "<none>               <none>     %s   -             5 weeks ago   512 B      "
        "512 B\n",
        short_id(&debian), short_id(&debian), short_id(&other), short_id(&bare));
    CHECK(RUN(&cl_command_images, NULL) == 0);
    CHECK_TEXT(said.out, expected);
    CHECK(RUN(&cl_command_images, "-a", NULL) == 0);
    CHECK_TEXT(said.out, expected);
    CHECK(RUN(&cl_command_images, "-q", NULL) == 0);
    (void)snprintf(expected, sizeof(expected), "%s\n%s\n%s\n", short_id(&debian), short_id(&other),
                   short_id(&bare));
    CHECK_TEXT(said.out, expected);
    CHECK(RUN(&cl_command_images, "-q", "--no-trunc", NULL) == 0);
    (void)snprintf(expected, sizeof(expected), "sha256:%s\nsha256:%s\nsha256:%s\n", debian.hex,
                   other.hex, bare.hex);
    CHECK_TEXT(said.out, expected);
    CHECK(RUN(&cl_command_images, "--names", NULL) == 0);
    CHECK_TEXT(said.out, "debian:12\ndebian:bookworm\nquay.io/some/other:latest\n");
}

TEST(each_name_has_its_row_and_each_image_its_id)
{
    room_run(list_some);
}

static void list_wanted(void)
{
    static const char *const debians[] = {"debian", "docker.io/library/debian", "library/debian"};
    char text[128];

    make_some();
    for (size_t i = 0; i < CL_ARRAY_SIZE(debians); i++) {
        CHECK(RUN(&cl_command_images, debians[i], NULL) == 0);
        CHECK_HAS(said.out, " bookworm ");
        CHECK_HAS(said.out, " 12 ");
        CHECK(strstr(said.out, "other") == NULL && strstr(said.out, "<none>") == NULL);
    }
    CHECK(RUN(&cl_command_images, "debian:12", NULL) == 0);
    CHECK(strstr(said.out, "bookworm") == NULL && strstr(said.out, " 12 ") != NULL);
    CHECK(RUN(&cl_command_images, "-q", "debian:13", NULL) == 0);
    CHECK_TEXT(said.out, "");
    CHECK(RUN(&cl_command_images, "-q", "other", NULL) == 0);
    CHECK_TEXT(said.out, ""); /* of another registry */
    (void)snprintf(text, sizeof(text), "debian@sha256:%s", debian.hex);
    CHECK(RUN(&cl_command_images, "-q", text, NULL) == 0);
    CHECK_HAS(said.out, short_id(&debian));
    (void)snprintf(text, sizeof(text), "debian@sha256:%s", other.hex);
    CHECK(RUN(&cl_command_images, "-q", text, NULL) == 0);
    CHECK_TEXT(said.out, "");
    CHECK(RUN(&cl_command_images, "--digests", "quay.io/some/other", NULL) == 0);
    (void)snprintf(text, sizeof(text), " latest   sha256:%s   ", other.hex);
    CHECK_HAS(said.out, text);
    CHECK_HAS(said.out, "TAG      DIGEST  ");
}

TEST(a_name_leaves_what_it_means)
{
    room_run(list_wanted);
}

static void list_by_digest(void)
{
    struct cl_digest digest;
    char name[160];
    char row[64];

    command_own_state();
    scene_open();
    cl_digest_of("x", 1, &digest);
    (void)snprintf(name, sizeof(name), "docker.io/library/x:1@sha256:%s", digest.hex);
    scene_image(&(struct scene_image){.text = "x", .layers = {"x"}, .names = {name}}, &digest);
    (void)snprintf(row, sizeof(row), "\nx            1@%.12s   ", digest.hex);
    CHECK(RUN(&cl_command_images, NULL) == 0);
    CHECK_HAS(said.out, row); /* which image the tag alone means now nobody knows */
    CHECK(RUN(&cl_command_images, "x", NULL) == 0);
    CHECK_HAS(said.out, row);
}

TEST(a_name_with_a_digest_shows_it)
{
    room_run(list_by_digest);
}

static void list_for_programs(void)
{
    char digest[128];

    make_some();
    CHECK(RUN(&cl_command_images, "--format", "json", "debian", NULL) == 0);
    (void)snprintf(digest, sizeof(digest), "\"digest\": \"sha256:%s\"", debian.hex);
    CHECK_HAS(said.out, digest);
    CHECK_HAS(said.out, "\"docker.io/library/debian:12\",");
    CHECK_HAS(said.out, "\"docker.io/library/debian:bookworm\"");
    CHECK_HAS(said.out, "\"platform\": \"linux/amd64\"");
    CHECK_HAS(said.out, debian_created);
    CHECK_HAS(said.out, "\"pulled_at\": \"2023-11-14T22:13:20.000000000Z\"");
    CHECK_HAS(said.out, "\"size_bytes\": 20971520");
    CHECK_HAS(said.out, "\"own_bytes\": 10485760");
    CHECK(strstr(said.out, other.hex) == NULL);
    CHECK(RUN(&cl_command_images, "--format=json", NULL) == 0);
    CHECK_HAS(said.out, "\"names\": []");
    CHECK_HAS(said.out, "\"created_at\": null");
    CHECK_HAS(said.out, "\"own_bytes\": 0");
}

TEST(programs_get_bytes_and_whole_names)
{
    room_run(list_for_programs);
}

static void list_damaged(void)
{
    struct cl_error err = {0};
    char name[CL_STORE_NAME_SIZE];

    make_some();
    cl_store_name("images", &other, name);
    CHECK(cl_store_put(&scene_store, name, "x", 1, &err) == 0);
    CHECK(RUN(&cl_command_images, NULL) == 0);
    CHECK_HAS(said.out, "   damaged   ");
    CHECK(RUN(&cl_command_images, "--format", "json", NULL) == 0);
    CHECK_HAS(said.out, "\"pulled_at\": null");
    CHECK(RUN(&cl_command_inspect, "--image", "quay.io/some/other", NULL) == -EBADMSG);
    CHECK_HAS(said.err.msg, "is damaged; remove the image and pull it again");
    CHECK(RUN(&cl_command_rmi, "quay.io/some/other", NULL) == 0);
    CHECK_HAS(said.out, "Deleted: ");
    CHECK(RUN(&cl_command_images, "-q", NULL) == 0);
    CHECK(strstr(said.out, short_id(&other)) == NULL);
}

TEST(a_damaged_image_is_told_and_can_be_removed)
{
    room_run(list_damaged);
}

/* Fails each allocation in turn; WORD must be in what is printed when none fails. */
static void fail_to_allocate(const struct cl_command *command, const char *option,
                             const char *operand, const char *word)
{
    int failures = 0;

    for (int n = 1, struck = 1; struck && n < 200; n++) {
        char fault[32];

        (void)snprintf(fault, sizeof(fault), "self:alloc:%d", n);
        cl_fault_set(fault);
        int r = RUN(command, option, operand, NULL);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        if (r < 0)
            CHECK_TEXT(said.err.msg, "out of memory");
        else
            CHECK_HAS(said.out, word);
        failures += r < 0;
    }
    CHECK(failures > 1);
}

static void fail_lists(void)
{
    make_some();
    fail_to_allocate(&cl_command_images, "-a", NULL, short_id(&debian));
    fail_to_allocate(&cl_command_images, "-q", NULL, short_id(&debian));
    fail_to_allocate(&cl_command_images, "--format=json", "debian", debian.hex);
}

TEST(no_list_is_half_a_list)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(fail_lists);
}

/* --- inspect ---------------------------------------------------------------------- */

static void inspect_some(void)
{
    static const char *const chain = "\"chain_id\": \"sha256:";
    char text[128];

    make_some();
    scene_add_helper();
    CHECK(RUN(&cl_command_inspect, "--image", "debian:12", short_id(&bare), NULL) == 0);
    CHECK_TEXT(said.err.msg, "");
    CHECK_HAS(said.out, "\"docker.io/library/debian:12\"");
    CHECK_HAS(said.out, "\"entries\": 3");
    CHECK_HAS(said.out, "\"disk_bytes\": 10485760");
    CHECK_HAS(said.out, "\"size_bytes\": 5242880");
    CHECK_HAS(said.out, "\"entrypoint\": []");
    CHECK_HAS(said.out, "\"sh\",");
    CHECK_HAS(said.out, "\"user\": null");
    CHECK_HAS(said.out, "\"uid\": null");
    CHECK_HAS(said.out, "\"stop_signal\": \"SIGINT\"");
    CHECK_HAS(said.out, "\"a.b\": \"c=d\"");
    const char *first = strstr(said.out, chain);
    CHECK(first != NULL && strstr(first + 1, chain) != NULL);
    (void)snprintf(text, sizeof(text), "\"digest\": \"sha256:%s\"", bare.hex);
    CHECK_HAS(said.out, text);
    CHECK(said.out[0] == '[' && strcmp(said.out + strlen(said.out) - 3, "\n]\n") == 0);
}

TEST(all_that_is_known_of_images_is_shown)
{
    room_run(inspect_some);
}

static void refuse_to_inspect(void)
{
    make_some();
    CHECK(RUN(&cl_command_inspect, "--image", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "inspect: no image named; see cloister images");
    CHECK(RUN(&cl_command_inspect, "--image", "debian:12", "no-such", NULL) < 0);
    CHECK_TEXT(said.out, "");
    CHECK(RUN(&cl_command_inspect, "--image", "no-such", NULL) == -ENOENT);
    CHECK_TEXT(said.err.msg, "no image no-such here; cloister images lists them");
    CHECK(RUN(&cl_command_inspect, "debian:12", NULL) == -ESRCH);
    CHECK_HAS(said.err.msg, "; for the image say cloister inspect --image debian:12");
    CHECK(RUN(&cl_command_inspect, "no-such", NULL) == -ESRCH);
    CHECK(strstr(said.err.msg, "--image") == NULL);
    CHECK(RUN(&cl_command_inspect, "--type", "image", "debian", NULL) < 0);
    CHECK_HAS(said.err.msg, "--type: say --image for images");
}

TEST(images_and_sandboxes_are_not_mixed_up)
{
    room_run(refuse_to_inspect);
}

/* --- which image a word means ----------------------------------------------------- */

static void check_found(const char *word, const struct cl_digest *digest)
{
    char expected[128];

    CHECK(RUN(&cl_command_inspect, "--image", word, NULL) == 0);
    CHECK_TEXT(said.err.msg, "");
    (void)snprintf(expected, sizeof(expected), "    \"digest\": \"sha256:%s\"", digest->hex);
    CHECK_HAS(said.out, expected);
}

static void find_by_words(void)
{
    char text[128];

    make_some();
    scene_add_helper();
    check_found("debian:bookworm", &debian);
    check_found("docker.io/library/debian:12", &debian);
    check_found("quay.io/some/other", &other); /* latest */
    (void)snprintf(text, sizeof(text), "%.6s", bare.hex);
    check_found(text, &bare);
    (void)snprintf(text, sizeof(text), "sha256:%.20s", bare.hex);
    check_found(text, &bare);
    (void)snprintf(text, sizeof(text), "sha256:%s", bare.hex);
    check_found(text, &bare);
    check_found(bare.hex, &bare);
    (void)snprintf(text, sizeof(text), "debian@sha256:%s", debian.hex);
    check_found(text, &debian);
    (void)snprintf(text, sizeof(text), "debian:bookworm@sha256:%s", debian.hex);
    check_found(text, &debian);
    (void)snprintf(text, sizeof(text), "debian:13@sha256:%s", debian.hex);
    CHECK(RUN(&cl_command_inspect, "--image", text, NULL) == -ENOENT);
    (void)snprintf(text, sizeof(text), "debian@sha256:%s", other.hex);
    CHECK(RUN(&cl_command_inspect, "--image", text, NULL) == -ENOENT);
    CHECK(RUN(&cl_command_inspect, "--image", "debian", NULL) == -ENOENT);
    CHECK_TEXT(said.err.msg, "no image debian here; did you mean debian:12?");
    CHECK(RUN(&cl_command_inspect, "--image", "debian:bokworm", NULL) == -ENOENT);
    CHECK_TEXT(said.err.msg, "no image debian:bokworm here; did you mean debian:bookworm?");
    (void)snprintf(text, sizeof(text), "%.5s", bare.hex);
    CHECK(RUN(&cl_command_inspect, "--image", text, NULL) == -ENOENT); /* as a name */
    CHECK(RUN(&cl_command_inspect, "--image", "sha256:abc", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "sha256:abc: expected sha256: and 6 to 64 digits (0-9, a-f)");
    CHECK(RUN(&cl_command_inspect, "--image", "0000000", NULL) == -ENOENT);
    CHECK(RUN(&cl_command_inspect, "--image", "host", NULL) == -ENOENT);
    CHECK_TEXT(said.err.msg, "host is on this machine, and not in the store");
    CHECK(RUN(&cl_command_inspect, "--image", "a b", NULL) == -EINVAL);
}

TEST(words_are_names_or_the_beginning_of_digests)
{
    room_run(find_by_words);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(no_store_is_an_empty_list),
        ROW(each_name_has_its_row_and_each_image_its_id),
        ROW(a_name_leaves_what_it_means),
        ROW(a_name_with_a_digest_shows_it),
        ROW(programs_get_bytes_and_whole_names),
        ROW(a_damaged_image_is_told_and_can_be_removed),
        ROW(no_list_is_half_a_list),
        ROW(all_that_is_known_of_images_is_shown),
        ROW(images_and_sandboxes_are_not_mixed_up),
        ROW(words_are_names_or_the_beginning_of_digests),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
