/* test_images.c - the commands about what is in the store: images, inspect --image, rmi. */
#include "command_scene.h"
#include "images_scene.h"

#define WEEKS(n) ((n)*7ULL * 86400 + 3600)

static struct cl_digest debian; /* of the images of scene_some */
static struct cl_digest other;
static struct cl_digest bare;

static char created[CL_RFC3339_SIZE];

static void make_some(void)
{
    command_own_state();
    scene_open();
    cl_clock_rfc3339(cl_clock_wall_ns() - WEEKS(3) * CL_NS_PER_S, created);
    scene_image(&(struct scene_image){.text = "debian",
                                      .layers = {"base", "b"},
                                      .layer_bytes = 10 << 20,
                                      .names = {"docker.io/library/debian:bookworm",
                                                "docker.io/library/debian:12"},
                                      .created = created,
                                      .used_ago_s = 3 * 3600},
                &debian);
    scene_image(&(struct scene_image){.text = "other",
                                      .layers = {"base"},
                                      .layer_bytes = 10 << 20,
                                      .names = {"quay.io/some/other:latest"},
                                      .created = "0001-01-01T00:00:00Z",
                                      .used_ago_s = 5 * 86400},
                &other);
    scene_image(&(struct scene_image){
                    .text = "bare", .layers = {"c"}, .layer_bytes = 512, .used_ago_s = 86400 * 40},
                &bare);
}

static const char *short_id(const struct cl_digest *digest)
{
    static char ids[4][13];
    static int turn;
    char *id = ids[turn++ % 4];

    (void)snprintf(id, 13, "%.12s", digest->hex);
    return id;
}

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
    (void)snprintf(expected, sizeof(expected),
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

    command_own_state();
    scene_open();
    cl_digest_of("x", 1, &digest);
    (void)snprintf(name, sizeof(name), "docker.io/library/x:1@sha256:%s", digest.hex);
    scene_image(&(struct scene_image){.text = "x", .layers = {"x"}, .names = {name}}, &digest);
    CHECK(RUN(&cl_command_images, NULL) == 0);
    CHECK_HAS(said.out, "\nx            <none>   "); /* which tag has it now nobody knows */
    CHECK(RUN(&cl_command_images, "x", NULL) == 0);
    CHECK_HAS(said.out, "\nx            <none>   ");
}

TEST(a_name_with_a_digest_has_no_tag)
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
    CHECK_HAS(said.out, created);
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

static void find_twins(void)
{
    struct cl_digest digest;
    struct cl_digest twin;
    struct cl_digest named;
    char text[32];

    /* the first two texts of numbers whose digests begin alike, by six digits */
    command_own_state();
    scene_open();
    scene_image(&(struct scene_image){.text = "1", .layers = {"x"}}, &digest);
    (void)snprintf(text, sizeof(text), "%.6s", digest.hex);
    scene_image(&(struct scene_image){.text = "named", .layers = {"x"}}, &named);
    CHECK(RUN(&cl_command_rmi, text, NULL) == 0);
    CHECK_HAS(said.out, digest.hex);
    /* a name that looks like the digits comes first */
    scene_image(&(struct scene_image){.text = "1", .layers = {"x"}}, &digest);
    (void)snprintf(text, sizeof(text), "docker.io/library/%.6s:latest", digest.hex);
    scene_image(&(struct scene_image){.text = "twin", .layers = {"x"}, .names = {text}}, &twin);
    (void)snprintf(text, sizeof(text), "%.6s", digest.hex);
    CHECK(RUN(&cl_command_rmi, text, NULL) == 0);
    CHECK_HAS(said.out, twin.hex);
}

TEST(names_come_before_digits)
{
    room_run(find_twins);
}

/* --- rmi -------------------------------------------------------------------------- */

static void remove_names(void)
{
    char expected[256];

    make_some();
    CHECK(scene_count("layers") == 3);
    CHECK(RUN(&cl_command_rmi, "debian:12", NULL) == 0);
    CHECK_TEXT(said.out, "Untagged: debian:12\n");
    CHECK(scene_count("layers") == 3 && scene_count("launch") == 3);
    CHECK(RUN(&cl_command_rmi, "debian:12", NULL) == -ENOENT);
    CHECK(RUN(&cl_command_rmi, "debian:bookworm", NULL) == 0);
    (void)snprintf(expected, sizeof(expected), "Untagged: debian:bookworm\nDeleted: sha256:%s\n",
                   debian.hex);
    CHECK_TEXT(said.out, expected);
    CHECK(scene_count("layers") == 2 && scene_count("trash") == 0); /* "base" is other's too */
    CHECK(scene_count("launch") == 2 && scene_count("images") == 2);
    CHECK(scene_count("refs") == 1 && scene_count("names") == 1);
    CHECK(RUN(&cl_command_rmi, "quay.io/some/other", short_id(&bare), NULL) == 0);
    CHECK_HAS(said.out, "Untagged: quay.io/some/other:latest\nDeleted: ");
    CHECK(scene_count("layers") == 0 && scene_count("names") == 0 && scene_count("chains") == 0);
    CHECK(RUN(&cl_command_images, "-q", NULL) == 0);
    CHECK_TEXT(said.out, "");
}

TEST(the_last_name_takes_the_image_with_it)
{
    room_run(remove_names);
}

static void remove_by_digest(void)
{
    char text[128];

    make_some();
    CHECK(RUN(&cl_command_rmi, short_id(&debian), NULL) == -EINVAL);
    CHECK_HAS(said.err.msg, " has 2 names (debian:12, debian:bookworm): remove them by name, or all "
                            "with -f");
    CHECK_TEXT(said.out, "");
    (void)snprintf(text, sizeof(text), "debian@sha256:%s", debian.hex);
    CHECK(RUN(&cl_command_rmi, text, NULL) == -EINVAL);
    CHECK(scene_count("launch") == 3);
    CHECK(RUN(&cl_command_rmi, "-f", short_id(&debian), NULL) == 0);
    CHECK_HAS(said.out, "Untagged: debian:12\nUntagged: debian:bookworm\nDeleted: sha256:");
    CHECK(scene_count("launch") == 2);
    CHECK(RUN(&cl_command_rmi, short_id(&bare), NULL) == 0);
    CHECK(strncmp(said.out, "Deleted: ", 9) == 0);
    CHECK(scene_count("layers") == 1);
}

TEST(several_names_go_by_force_alone)
{
    room_run(remove_by_digest);
}

static void remove_most(void)
{
    make_some();
    CHECK(RUN(&cl_command_rmi, NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "rmi: no image named; see cloister images");
    CHECK(RUN(&cl_command_rmi, "no-such", "debian:12", "debian:bookwor", "debian:bookworm", NULL) ==
          -ENOENT);
    CHECK_TEXT(said.err.msg, "no image no-such here; cloister images lists them");
    CHECK_HAS(said.out, "Untagged: debian:12\nUntagged: debian:bookworm\nDeleted: ");
    CHECK(scene_count("layers") == 2);
    CHECK(setenv("CLOISTER_STORE", "/mnt/none", 1) == 0);
    CHECK(RUN(&cl_command_rmi, "debian", NULL) == -ENOENT);
    CHECK_TEXT(said.err.msg, "no image debian here; cloister images lists them");
    CHECK(access("/mnt/none", F_OK) < 0);
}

TEST(all_are_tried_and_the_first_failure_is_told)
{
    room_run(remove_most);
}

static void use(const struct cl_digest *digest, const char *id, const char *name,
                struct cl_state *state, struct cl_entry *ret)
{
    char text[CL_DIGEST_TEXT_SIZE];
    struct cl_plan plan = {.name = name, .image_digest = cl_digest_format(digest, text)};

    if (name != NULL)
        cl_plan_mark(&plan, CL_FIELD_NAME);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_DIGEST);
    command_make_sandbox(state, id, &plan, 1, ret);
}

static void remove_used(void)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_ENTRY struct cl_entry one = CL_ENTRY_INIT;
    CL_CLEANUP_ENTRY struct cl_entry two = CL_ENTRY_INIT;

    make_some();
    CL_CLEANUP_FD int held = scene_hold(&other);
    CL_CLEANUP_FD int held_bare = scene_hold(&bare);
    CHECK(RUN(&cl_command_rmi, "quay.io/some/other", NULL) == -EBUSY);
    CHECK_HAS(said.err.msg, "quay.io/some/other:latest is in use by somebody: end it first, or");
    CHECK(cl_state_open(&state, &said.err) == 0);
    use(&other, "00112233445566aa", "web", &state, &one);
    CHECK(RUN(&cl_command_rmi, "quay.io/some/other", NULL) == -EBUSY);
    CHECK_HAS(said.err.msg, " is in use by the sandbox web: end it first");
    use(&other, "00112233445566bb", NULL, &state, &two);
    CHECK(RUN(&cl_command_rmi, short_id(&other), NULL) == -EBUSY);
    CHECK_HAS(said.err.msg, "by the sandboxes web, 00112233445566bb: end it first");
    CHECK(scene_count("launch") == 3 && scene_count("refs") == 3);
    CHECK_TEXT(said.out, "");
    /* the name goes by force, the layers stay */
    CHECK(RUN(&cl_command_rmi, "-f", "quay.io/some/other", NULL) == 0);
    CHECK_TEXT(said.out, "Untagged: quay.io/some/other:latest\n");
    CHECK_HAS(said.err_out, "has no name any more and is in use by the sandboxes web, ");
    CHECK(scene_count("launch") == 3 && scene_count("refs") == 2 && scene_count("layers") == 3);
    CHECK(RUN(&cl_command_rmi, "-f", short_id(&other), NULL) == -EBUSY);
    CHECK_HAS(said.err.msg, short_id(&other));
    CHECK(RUN(&cl_command_rmi, "-f", short_id(&bare), NULL) == -EBUSY);
    CHECK_HAS(said.err.msg, " is in use by somebody: end it first");
    cl_fd_close(&held_bare);
    CHECK(RUN(&cl_command_rmi, short_id(&bare), NULL) == 0);
    /* one of several names goes all the same */
    CL_CLEANUP_FD int held_debian = scene_hold(&debian);
    CHECK(RUN(&cl_command_rmi, "debian:12", NULL) == 0);
    CHECK_TEXT(said.out, "Untagged: debian:12\n");
}

TEST(what_is_in_use_stays_and_its_users_are_told)
{
    room_run(remove_used);
}

/* Each system call of a removal fails once: whatever happens, what is left is a store of which a
 * second try makes an end. */
static void fail_to_remove(void)
{
    int failures = 0;

    make_some();
    for (int n = 1, struck = 1; struck && n < 400; n++) {
        char fault[32];
        struct cl_digest digest;

        scene_image(&(struct scene_image){.text = "victim",
                                          .layers = {"base", "v"},
                                          .layer_bytes = 1000,
                                          .names = {"docker.io/library/victim:latest"}},
                    &digest);
        (void)snprintf(fault, sizeof(fault), "self:syscall:%d:5", n);
        cl_fault_set(fault);
        int r = RUN(&cl_command_rmi, "victim", NULL);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(r == 0 || (said.err.msg[0] != '\0' && strchr(said.err.msg, '\n') == NULL));
        CHECK(r == 0 || strlen(said.err.msg) > strlen("I/O error"));
        failures += r < 0;
        CHECK(RUN(&cl_command_prune, "--images", NULL) == 0 || said.err.msg[0] == '\0');
        r = RUN(&cl_command_rmi, "victim", NULL);
        CHECK(r == 0 || r == -ENOENT);
        CHECK(scene_count("trash") == 0 && scene_count("launch") <= 3);
        CHECK(RUN(&cl_command_images, "-q", NULL) == 0);
        CHECK(strstr(said.out, short_id(&digest)) == NULL);
        if (check_failures > 0)
            printf("# at call %d\n", n);
        if (check_failures > 0)
            return;
    }
    CHECK(failures > 10);
}

TEST(a_removal_that_fails_can_be_done_again)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(fail_to_remove);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(no_store_is_an_empty_list),
        ROW(each_name_has_its_row_and_each_image_its_id),
        ROW(a_name_leaves_what_it_means),
        ROW(a_name_with_a_digest_has_no_tag),
        ROW(programs_get_bytes_and_whole_names),
        ROW(a_damaged_image_is_told_and_can_be_removed),
        ROW(no_list_is_half_a_list),
        ROW(all_that_is_known_of_images_is_shown),
        ROW(images_and_sandboxes_are_not_mixed_up),
        ROW(words_are_names_or_the_beginning_of_digests),
        ROW(names_come_before_digits),
        ROW(the_last_name_takes_the_image_with_it),
        ROW(several_names_go_by_force_alone),
        ROW(all_are_tried_and_the_first_failure_is_told),
        ROW(what_is_in_use_stays_and_its_users_are_told),
        ROW(a_removal_that_fails_can_be_done_again),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
