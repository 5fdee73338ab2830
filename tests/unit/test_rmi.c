/* test_rmi.c - names of images, and images, out of the store; what is in use stays. */
#include "three_images_scene.h"

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
    CHECK_HAS(said.err.msg,
              " has 2 names (debian:12, debian:bookworm): remove them by name, or all "
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
    CL_CLEANUP_FD CL_UNUSED int held = scene_hold(&other);
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
    CL_CLEANUP_FD CL_UNUSED int held_debian = scene_hold(&debian);
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
        ROW(names_come_before_digits),
        ROW(the_last_name_takes_the_image_with_it),
        ROW(several_names_go_by_force_alone),
        ROW(all_are_tried_and_the_first_failure_is_told),
        ROW(what_is_in_use_stays_and_its_users_are_told),
        ROW(a_removal_that_fails_can_be_done_again),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
