/* test_stored_images.c - the store's images and their names: what killed processes leave of them,
 * and an image that somebody uses. */
#include "image_scene.h"

#define NAME "docker.io/library/debian:bookworm"
#define OTHER "docker.io/library/debian:12"

static const char *const one_layer[] = {"1"};

/* --- images ----------------------------------------------------------------------------------- */

TEST(an_image_reads_as_it_was_written)
{
    static const char *const layers[] = {"3", "14"};
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_digest digest = digest_of('a');
    struct cl_image_record record = {0};

    scene_init(&scene);
    CHECK(!image_is_there(&scene, 'a'));
    CHECK(cl_image_read(&scene.store, &digest, &scene.arena, &record, &scene.err) < 0);
    CHECK(scene.err.msg[0] != '\0' && record.set == 0);
    CHECK(image_write(&scene, 'a', layers, 2) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(image_is_there(&scene, 'a') && !image_is_there(&scene, 'b'));
    CHECK(cl_image_read(&scene.store, &digest, &scene.arena, &record, &scene.err) == 0);
    CHECK_TEXT(record.digest, digest_text('a'));
    CHECK_TEXT(record.config, digest_text('b'));
    CHECK_TEXT(record.media_type, "application/vnd.oci.image.manifest.v1+json");
    CHECK_TEXT(record.created, "2026-01-02T03:04:05Z");
    CHECK_TEXT(record.platform, "linux/amd64");
    CHECK(record.pulled_s == 1700000000 && record.layers.count == 2);
    CHECK_TEXT(record.layers.items[0], "3");
    CHECK_TEXT(record.layers.items[1], "14");
}

TEST(the_launch_record_is_a_plan)
{
    static const char *const layers[] = {"3", "14"};
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_plan plan = {0};

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', layers, 2) == 0);
    CL_CLEANUP_FD int fd =
        open(scene_path(&scene, "launch/%s", digest_of('a').hex), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && cl_read_all(fd, "launch", &buf, &scene.err) == 0);
    CHECK(cl_plan_read(buf.data, buf.size, &scene.arena, &plan, &scene.err) == 0);
    CHECK(plan.image_kind == CL_IMAGE_STORE && plan.image_layers.count == 2);
    CHECK_TEXT(plan.image_path, scene_path(&scene, "layers"));
    CHECK_TEXT(plan.image_digest, digest_text('a'));
}

TEST(all_images_are_listed)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(count_images(&scene) == 0);
    for (const char *c = "abcde"; *c != '\0'; c++)
        CHECK(image_write(&scene, *c, one_layer, 1) == 0);
    CHECK(count_images(&scene) == 5);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0); /* once more */
    CHECK(count_images(&scene) == 5);
    CHECK(image_remove(&scene, 'c') == 0);
    CHECK(count_images(&scene) == 4 && !image_is_there(&scene, 'c'));
}

TEST(when_it_was_used_is_known)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_digest digest = digest_of('a');
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    const uint64_t now = (uint64_t)time(NULL);
    uint64_t used = 0;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(cl_image_used(&scene.store, &digest, &used, &scene.err) == 0);
    CHECK(used + 2 >= now && used <= now + 60); /* pulled */
    CHECK(utimensat(AT_FDCWD, scene_path(&scene, "launch/%s", digest.hex), times, 0) == 0);
    CHECK(cl_image_used(&scene.store, &digest, &used, &scene.err) == 0);
    CHECK(used == 1000);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK(cl_image_used(&scene.store, &digest, &used, &scene.err) == 0);
    CHECK(used + 2 >= now); /* named */
    const struct cl_digest none = digest_of('b');
    CHECK(cl_image_used(&scene.store, &none, &used, &scene.err) < 0);
    CHECK(scene.err.msg[0] != '\0');
}

/* --- names --------------------------------------------------------------------------------------
 */

TEST(a_name_names_one_image)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
    CHECK(count_names(&scene) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(name_set(&scene, OTHER, 'a') == 0);
    CHECK(named_by(&scene, NAME) == 'a' && named_by(&scene, OTHER) == 'a');
    CHECK(name_set(&scene, NAME, 'a') == 0); /* again */
    CHECK(name_set(&scene, NAME, 'c') == 0); /* another one from now on */
    CHECK(named_by(&scene, NAME) == 'c' && named_by(&scene, OTHER) == 'a');
    CHECK(count_names(&scene) == 2);
    CHECK(name_drop(&scene, NAME) == 0);
    CHECK(named_by(&scene, NAME) == '\0' && named_by(&scene, OTHER) == 'a');
    CHECK(name_drop(&scene, NAME) == -ENOENT);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(image_is_there(&scene, 'a') && image_is_there(&scene, 'c'));
}

TEST(the_reference_is_a_link_to_the_launch_record)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct stat launch;
    struct stat ref;
    struct cl_digest key;
    struct cl_digest expected;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    cl_name_key(NAME, &key);
    cl_digest_of(NAME, strlen(NAME), &expected);
    CHECK_TEXT(key.hex, expected.hex);
    CHECK(lstat(scene_path(&scene, "launch/%s", digest_of('a').hex), &launch) == 0);
    CHECK(lstat(ref_path(&scene, "refs", NAME), &ref) == 0);
    CHECK(ref.st_ino == launch.st_ino && ref.st_dev == launch.st_dev);
    CHECK(scene_shell("[ \"$(cat %s)\" = %s ]", ref_path(&scene, "names", NAME), NAME) == 0);
}

TEST(what_is_not_there_can_not_be_named)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(name_set(&scene, NAME, 'a') < 0);
    CHECK(scene.err.msg[0] != '\0');
    CHECK(named_by(&scene, NAME) == '\0');
    CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'c') == 0);
    CHECK(name_set(&scene, NAME, 'a') < 0); /* and what was there stays */
    CHECK(named_by(&scene, NAME) == 'c');
}

/* An image that is pulled again has new records; its names stay its own and are of the same
 * file, or `run` would hold a lock that removing doesn't see. */
TEST(an_image_that_is_written_again_keeps_its_names)
{
    CL_CLEANUP_SCENE struct scene scene;
    static const char *const layers[] = {"3"};

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK(image_write(&scene, 'a', layers, 1) == 0);
    CHECK(named_by(&scene, NAME) == 'a');
    CHECK(name_set(&scene, OTHER, 'a') == 0);
    CHECK(named_by(&scene, NAME) == 'a' && named_by(&scene, OTHER) == 'a');
    CL_CLEANUP_FD int held = image_hold(&scene, NAME); /* which is a link to the older record */
    CHECK(held >= 0);
    CHECK(image_remove(&scene, 'a') == -EBUSY);
}

/* --- in use -------------------------------------------------------------------------------------
 */

TEST(an_image_that_another_process_uses_is_busy)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    if (other_start(&other)) {
        CL_CLEANUP_FD int held = image_hold(&scene, NAME);

        CHECK(held >= 0);
        other_say(&other, 'x');
        pause_ms(60000);
        other_exit();
    }
    CHECK(other_hear(&other) == 'x');
    CHECK(image_remove(&scene, 'a') == -EBUSY);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(image_is_there(&scene, 'a') && named_by(&scene, NAME) == 'a');
    CL_CLEANUP_FD int second = image_hold(&scene, NAME); /* many may use it */
    CHECK(second >= 0);
    other_kill(&other);
    CHECK(image_remove(&scene, 'a') == -EBUSY);
    cl_fd_close(&second);
    CHECK(image_remove(&scene, 'a') == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(!image_is_there(&scene, 'a') && count_images(&scene) == 0);
    CHECK(named_by(&scene, NAME) == '\0');
    CHECK(image_hold(&scene, NAME) == -ENOENT); /* who comes now finds none */
}

TEST(what_is_not_there_is_removed_again)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    int r = image_remove(&scene, 'a');
    CHECK(r == 0 || (r == -ENOENT && scene.err.msg[0] != '\0'));
}

/* Whoever takes a name away from an image that is in use doesn't end that use. */
TEST(a_name_goes_from_an_image_in_use_and_the_image_stays_busy)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CL_CLEANUP_FD int held = image_hold(&scene, NAME);
    CHECK(held >= 0);
    CHECK(name_set(&scene, NAME, 'c') == 0);
    CHECK(image_remove(&scene, 'a') == -EBUSY);
    CHECK(name_drop(&scene, NAME) == 0);
    CHECK(image_remove(&scene, 'a') == -EBUSY && image_remove(&scene, 'c') == 0);
    cl_fd_close(&held);
    CHECK(image_remove(&scene, 'a') == 0);
}

/* Whoever comes first: the other is told. */
TEST(who_removes_and_who_uses_never_both_succeed)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    for (int i = 0; i < 100; i++) {
        struct other other;

        CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
        CHECK(name_set(&scene, NAME, 'a') == 0);
        if (other_start(&other)) {
            CL_CLEANUP_FD int held = image_hold(&scene, NAME);

            other_say(&other, held >= 0 ? 'u' : '-');
            pause_ms(60000);
            other_exit();
        }
        pause_ms(i % 10 == 0 ? 1 : 0);
        int r = image_remove(&scene, 'a');
        const char word = other_hear(&other);
        CHECK(r == (word == 'u' ? -EBUSY : 0));
        other_kill(&other);
        CHECK(image_remove(&scene, 'a') == 0);
    }
}

/* --- what killed processes leave ------------------------------------------------------- */

/* Killed between a name's two files: the second decides. */
TEST(a_name_without_a_reference_names_nothing)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK(unlink(ref_path(&scene, "refs", NAME)) == 0);
    CHECK(named_by(&scene, NAME) == '\0');
    CHECK(name_drop(&scene, NAME) == -ENOENT);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK(named_by(&scene, NAME) == 'a');
}

TEST(a_reference_without_its_name_can_be_dropped_and_set)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK(unlink(ref_path(&scene, "names", NAME)) == 0);
    CHECK(count_names(&scene) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK(named_by(&scene, NAME) == 'a');
    CHECK(unlink(ref_path(&scene, "names", NAME)) == 0);
    CHECK(name_drop(&scene, NAME) == 0);
    CHECK(image_hold(&scene, NAME) == -ENOENT);
}

/* A removal that was killed after the image's own files went. */
TEST(a_reference_whose_image_is_gone_names_nothing_that_can_be_listed)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    CHECK(name_set(&scene, OTHER, 'c') == 0);
    CHECK(unlink(scene_path(&scene, "launch/%s", digest_of('a').hex)) == 0);
    CHECK(unlink(scene_path(&scene, "images/%s", digest_of('a').hex)) == 0);
    CHECK(!image_is_there(&scene, 'a') && count_images(&scene) == 1);
    CHECK(named_by(&scene, OTHER) == 'c'); /* the others' list is as it was */
    CHECK(name_set(&scene, NAME, 'c') == 0);
    CHECK(named_by(&scene, NAME) == 'c');
}

/* Killed between an image's two files, at writing or removing. */
TEST(half_an_image_is_none)
{
    static const char *const halves[] = {"launch", "images"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(halves); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene);
        CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
        CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
        CHECK(unlink(scene_path(&scene, "%s/%s", halves[i], digest_of('a').hex)) == 0);
        CHECK(!image_is_there(&scene, 'a'));
        CHECK(name_set(&scene, OTHER, 'c') == 0);
        CHECK(named_by(&scene, OTHER) == 'c');
        int r = image_remove(&scene, 'a');
        CHECK(r == 0 || r == -ENOENT);
        CHECK(!scene_has(&scene,
                         "launch/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                         "aaaaa"));
        CHECK(image_write(&scene, 'a', one_layer, 1) == 0); /* and is made whole */
        CHECK(image_is_there(&scene, 'a') && count_images(&scene) == 2);
    }
}

TEST(damaged_files_stop_no_list)
{
    static const char *const damages[] = {
        "echo x >images/aaaa", "echo x >images/%s",      ":>images/%s",
        "echo x >launch/%s",   "ln -s nowhere refs/zzz", "echo x >names/zzz",
        "mkdir names/yyy",     "mkdir refs/yyy",         "head -c 100000 /dev/zero >names/zzz",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(damages); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_digests images = {0};
        char command[256];

        scene_init(&scene);
        CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
        CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
        CHECK(name_set(&scene, OTHER, 'c') == 0);
        (void)snprintf(command, sizeof(command), "cd %s && for f in %s; do %.100s; done",
                       scene.root, digest_of('a').hex, damages[i]);
        char *mark = strstr(command, "%s");
        if (mark != NULL)
            memcpy(mark, "$f", 2);
        CHECK(scene_shell("%s", command) == 0);
        CHECK(cl_images_list(&scene.store, &scene.arena, &images, &scene.err) == 0);
        CHECK(images.count == 2 || images.count == 1);
        CHECK(named_by(&scene, OTHER) == 'c');
    }
}

/* A loss of power may leave any bytes in a file that was not synced. */
TEST(a_reference_that_can_not_be_read_names_nothing)
{
    static const char *const damages[] = {":>", "echo x >", "truncate -s -1",
                                          "head -c 64 /dev/zero >"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(damages); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        char command[256];

        scene_init(&scene);
        CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
        CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
        CHECK(name_set(&scene, NAME, 'a') == 0 && name_set(&scene, OTHER, 'c') == 0);
        (void)snprintf(command, sizeof(command), "r=%s; %s $r", ref_path(&scene, "refs", NAME),
                       damages[i]);
        CHECK(scene_shell("%s", command) == 0);
        CHECK(named_by(&scene, NAME) == '\0' && named_by(&scene, OTHER) == 'c');
        CHECK(name_set(&scene, NAME, 'c') == 0);
        CHECK(named_by(&scene, NAME) == 'c');
    }
}

/* --- what fails ------------------------------------------------------------------------ */

TEST(whatever_fails_of_writing_an_image_it_can_be_written_again)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_digest digest = digest_of('a');

    scene_init(&scene);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        struct cl_image_record record = {0};

        fault_begin(&faults);
        int r = image_write(&scene, 'a', one_layer, 1);
        fault_end(&faults);
        CHECK(r == (faults.struck ? -EIO : 0) && (r == 0 || scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == scene.before + 1);
        CHECK(r < 0 || image_is_there(&scene, 'a'));
        if (image_is_there(&scene, 'a')) /* then it is whole */
            CHECK(cl_image_read(&scene.store, &digest, &scene.arena, &record, &scene.err) == 0);
        (void)image_remove(&scene, 'a');
        CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
    }
#endif
}

TEST(whatever_fails_of_a_name_it_is_the_old_one_or_the_new)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(image_write(&scene, 'c', one_layer, 1) == 0);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        CHECK(name_set(&scene, NAME, 'a') == 0);
        fault_begin(&faults);
        int r = name_set(&scene, NAME, 'c');
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        const char now = named_by(&scene, NAME);
        CHECK(now == 'c' || (r < 0 && now == 'a'));
        CHECK(check_count_fds() == scene.before + 1);
        CHECK(check_count_entries(scene_path(&scene, "refs")) == 1);
        CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
    }
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        CHECK(name_set(&scene, NAME, 'a') == 0);
        fault_begin(&faults);
        int r = name_drop(&scene, NAME);
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK(r < 0 || named_by(&scene, NAME) == '\0');
        CHECK(check_count_fds() == scene.before + 1);
    }
#endif
}

TEST(whatever_fails_of_removing_an_image_it_can_be_removed_again)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
        CHECK(name_set(&scene, NAME, 'a') == 0);
        fault_begin(&faults);
        int r = image_remove(&scene, 'a');
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == scene.before + 1);
        r = image_remove(&scene, 'a');
        CHECK(r == 0 || r == -ENOENT);
        CHECK(!image_is_there(&scene, 'a') && count_images(&scene) == 0);
        CHECK(named_by(&scene, NAME) == '\0');
    }
#endif
}

TEST(whatever_fails_of_looking_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_digest digest = digest_of('a');

    scene_init(&scene);
    CHECK(image_write(&scene, 'a', one_layer, 1) == 0);
    CHECK(name_set(&scene, NAME, 'a') == 0);
    for (int what = 0; what < 4; what++) {
        for (struct faults faults = FAULTS_INIT; faults.struck;) {
            struct cl_image_record record = {0};
            struct cl_image_names names = {0};
            struct cl_digests images = {0};
            uint64_t used = 0;
            int r = 0;

            scene.err = (struct cl_error){0};
            fault_begin(&faults);
            if (what == 0)
                r = cl_image_read(&scene.store, &digest, &scene.arena, &record, &scene.err);
            else if (what == 1)
                r = cl_image_used(&scene.store, &digest, &used, &scene.err);
            else if (what == 2)
                r = cl_images_list(&scene.store, &scene.arena, &images, &scene.err);
            else
                r = cl_names_list(&scene.store, &scene.arena, &names, &scene.err);
            fault_end(&faults);
            CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
            CHECK(r < 0 || what != 2 || images.count == 1);
            CHECK(r < 0 || what != 3 || names.count == 1);
            CHECK(check_count_fds() == scene.before + 1);
        }
    }
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(an_image_reads_as_it_was_written),
        ROW(the_launch_record_is_a_plan),
        ROW(all_images_are_listed),
        ROW(when_it_was_used_is_known),
        ROW(a_name_names_one_image),
        ROW(the_reference_is_a_link_to_the_launch_record),
        ROW(what_is_not_there_can_not_be_named),
        ROW(an_image_that_is_written_again_keeps_its_names),
        ROW(an_image_that_another_process_uses_is_busy),
        ROW(what_is_not_there_is_removed_again),
        ROW(a_name_goes_from_an_image_in_use_and_the_image_stays_busy),
        ROW(who_removes_and_who_uses_never_both_succeed),
        ROW(a_name_without_a_reference_names_nothing),
        ROW(a_reference_without_its_name_can_be_dropped_and_set),
        ROW(a_reference_whose_image_is_gone_names_nothing_that_can_be_listed),
        ROW(half_an_image_is_none),
        ROW(damaged_files_stop_no_list),
        ROW(a_reference_that_can_not_be_read_names_nothing),
        ROW(whatever_fails_of_writing_an_image_it_can_be_written_again),
        ROW(whatever_fails_of_a_name_it_is_the_old_one_or_the_new),
        ROW(whatever_fails_of_removing_an_image_it_can_be_removed_again),
        ROW(whatever_fails_of_looking_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
