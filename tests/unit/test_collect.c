/* test_collect.c - what nobody needs leaves the store, and what somebody needs stays, whatever
 * fails and whoever is killed. */
#include "collect_scene.h"

TEST(what_images_need_stays)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();

    make_three(&scene);
    collect_well(&scene, &how);
    check_layers(&scene, "12345");
    CHECK(collected.images == 0 && collected.layers == 0 && collected.bytes == 0);
    CHECK(collected.busy == 0);
    CHECK(count_images(&scene) == 3 && count_names(&scene) == 2);
    CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 6);
}

TEST(an_empty_store_is_collected)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    uint64_t bytes = 1;

    scene_init(&scene);
    how.all = 1;
    how.unnamed = 1;
    how.downloads = 1;
    how.budget_bytes = 0;
    collect_well(&scene, &how);
    CHECK(cl_store_usage(&scene.store, &bytes, &scene.err) == 0 && bytes == 0);
}

TEST(a_layer_that_no_image_needs_goes)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    make_three(&scene);
    layer_make(&scene, '6', name);
    layer_make(&scene, '7', name);
    collect_well(&scene, &how);
    check_layers(&scene, "12345");
    CHECK(collected.images == 0 && collected.layers == 2 && collected.bytes == 2UL * 4096);
}

TEST(what_the_layers_take_is_added_up)
{
    CL_CLEANUP_SCENE struct scene scene;
    uint64_t bytes = 0;

    make_three(&scene);
    CHECK(cl_store_usage(&scene.store, &bytes, &scene.err) == 0);
    CHECK(bytes == 5UL * 4096);
}

TEST(images_without_a_name_go_when_that_is_asked)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();

    make_three(&scene);
    how.unnamed = 1;
    collect_well(&scene, &how);
    check_layers(&scene, "123");
    CHECK(collected.images == 1 && collected.layers == 2);
    CHECK(image_is_there(&scene, 'a') && image_is_there(&scene, 'c') &&
          !image_is_there(&scene, 'e'));
    CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 4);
    CHECK(name_drop(&scene, NAME) == 0);
    collect_well(&scene, &how);
    check_layers(&scene, "13"); /* the shared one is needed by the other */
    CHECK(collected.images == 1 && collected.layers == 1);
}

TEST(all_images_go_but_those_in_use)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();

    make_three(&scene);
    how.all = 1;
    CL_CLEANUP_FD int held = image_hold(&scene, OTHER);
    CHECK(held >= 0);
    collect_well(&scene, &how);
    check_layers(&scene, "13");
    CHECK(collected.images == 2 && collected.layers == 3 && collected.busy == 1);
    CHECK(named_by(&scene, OTHER) == 'c' && named_by(&scene, NAME) == '\0');
    cl_fd_close(&held);
    collect_well(&scene, &how);
    check_layers(&scene, "");
    CHECK(collected.images == 1 && collected.layers == 2 && collected.busy == 0);
    CHECK(count_names(&scene) == 0 && count_images(&scene) == 0);
    CHECK(check_count_entries(scene_path(&scene, "refs")) == 0);
    CHECK(check_count_entries(scene_path(&scene, "names")) == 0);
    CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 0);
}

TEST(what_a_pull_is_about_to_use_stays)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    struct cl_lease lease = CL_LEASE_INIT;
    const struct cl_digest chains[] = {digest_of('4'), digest_of('8')};

    make_three(&scene);
    how.all = 1;
    how.downloads = 1;
    CHECK(cl_lease_take(&scene.store, chains, 2, &lease, &scene.err) == 0);
    collect_well(&scene, &how);
    check_layers(&scene, "4");
    cl_lease_done(&lease);
    collect_well(&scene, &how);
    check_layers(&scene, "");
}

TEST(what_a_killed_pull_was_about_to_use_goes)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    struct other other;

    scene_init(&scene);
    if (other_start(&other)) {
        struct cl_lease lease = CL_LEASE_INIT;
        struct cl_layer_work work = CL_LAYER_WORK_INIT;
        const struct cl_digest chains[] = {digest_of('1'), digest_of('2')};
        char name[CL_LAYER_NAME_SIZE];

        CHECK(cl_lease_take(&scene.store, chains, 2, &lease, &scene.err) == 0);
        layer_make(&scene, '1', name);
        CHECK(layer_begin(&scene, '2', 0, &work) == 0);
        layer_fill(&work, '2');
        scene_write(&scene, "blobs/sha256/of_the_pull", "{}", 2);
        other_say(&other, 'x');
        pause_ms(60000);
        other_exit();
    }
    CHECK(other_hear(&other) == 'x');
    how.all = 1;
    collect_well(&scene, &how);
    check_layers(&scene, "1");
    CHECK(check_count_entries(scene_path(&scene, "work")) == 1);
    other_kill(&other);
    collect_well(&scene, &how);
    check_layers(&scene, "");
    CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
    CHECK(check_count_entries(scene_path(&scene, "leases")) == 0);
    CHECK(!scene_has(&scene, "blobs/sha256/of_the_pull"));
}

TEST(downloads_are_kept_to_go_on_from_or_removed)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    const struct cl_digest held = digest_of('b');
    char path[SCENE_PATH_SIZE];

    scene_init(&scene);
    (void)snprintf(path, sizeof(path), "downloads/%s", digest_of('a').hex);
    scene_write(&scene, path, "half", 4);
    (void)snprintf(path, sizeof(path), "downloads/%s", held.hex);
    scene_write(&scene, path, "half", 4);
    scene_write(&scene, "downloads/not-a-digest", "x", 1);
    CL_CLEANUP_FD int lock = cl_store_lock(&scene.store, CL_STORE_BLOB, &held, CL_LOCK_EXCLUSIVE);
    CHECK(lock >= 0);
    collect_well(&scene, &how);
    CHECK(check_count_entries(scene_path(&scene, "downloads")) == 3);
    how.downloads = 1;
    collect_well(&scene, &how);
    CHECK(check_count_entries(scene_path(&scene, "downloads")) == 1 && scene_has(&scene, path));
    cl_fd_close(&lock);
    collect_well(&scene, &how);
    CHECK(check_count_entries(scene_path(&scene, "downloads")) == 0);
}

TEST(the_least_recently_used_go_until_the_budget_is_kept)
{
    static const struct {
        uint64_t layers; /* that the budget allows, of 4096 bytes each */
        const char *images;
        const char *chains;
    } rows[] = {
        {5, "cea", "12345"}, {4, "ea", "1245"}, {3, "a", "12"},
        {2, "a", "12"},      {1, "", ""},       {0, "", ""},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_collect_how how = plain_how();

        make_used(&scene);
        how.budget_bytes = rows[i].layers * 4096;
        collect_well(&scene, &how);
        check_layers(&scene, rows[i].chains);
        CHECK(count_images(&scene) == strlen(rows[i].images));
        for (const char *c = rows[i].images; *c != '\0'; c++)
            CHECK(image_is_there(&scene, *c));
        CHECK(collected.images == 3 - strlen(rows[i].images));
        CHECK(collected.layers == 5 - strlen(rows[i].chains));
        CHECK(collected.bytes == collected.layers * 4096);
    }
}

TEST(what_nobody_needs_goes_before_an_image_does)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    make_used(&scene);
    layer_make(&scene, '6', name);
    how.budget_bytes = 5UL * 4096;
    collect_well(&scene, &how);
    check_layers(&scene, "12345");
    CHECK(collected.images == 0 && collected.layers == 1);
}

TEST(the_budget_spares_the_kept_and_the_used)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();

    make_used(&scene);
    how.budget_bytes = 0;
    how.keep_digest = digest_text('c');
    CL_CLEANUP_FD int held = image_hold(&scene, THIRD);
    CHECK(held >= 0);
    collect_well(&scene, &how);
    check_layers(&scene, "1345");
    CHECK(collected.images == 1 && collected.busy == 1);
    CHECK(image_is_there(&scene, 'c') && image_is_there(&scene, 'e'));
}

TEST(what_leads_nowhere_goes)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();

    make_three(&scene);
    CHECK(symlink("../layers/77", scene_path(&scene, "chains/%s", digest_of('9').hex)) == 0);
    scene_write(&scene, "names/of_nothing", "x", 1);
    scene_write(&scene, "blobs/sha256/of_nothing", "x", 1);
    collect_well(&scene, &how);
    check_layers(&scene, "12345");
    CHECK(check_count_entries(scene_path(&scene, "names")) == 2);
    CHECK(check_count_entries(scene_path(&scene, "blobs/sha256")) == 6);
}

/* Killed between an image's record and its names, of which it has one, or several. */
TEST(a_reference_whose_image_is_gone_goes)
{
    for (int names = 1; names <= 3; names++) {
        CL_CLEANUP_SCENE struct scene scene;
        const struct cl_collect_how how = plain_how();

        make_three(&scene);
        CHECK(names < 2 || name_set(&scene, THIRD, 'a') == 0);
        CHECK(names < 3 || name_set(&scene, "docker.io/library/x:y", 'a') == 0);
        CHECK(image_remove(&scene, 'a') == 0);
        collect_well(&scene, &how);
        check_layers(&scene, "1345");
        CHECK(check_count_entries(scene_path(&scene, "refs")) == 1);
        CHECK(check_count_entries(scene_path(&scene, "names")) == 1);
        CHECK(named_by(&scene, OTHER) == 'c');
    }
}

/* A pull that was killed between an image's record, written again, and its name: the name leads
 * to an older record, which leads to the newer one (launch.h). */
TEST(a_name_of_an_older_record_stays)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();

    make_three(&scene);
    image_make(&scene, 'a', '1', '2'); /* NAME is a link to what was there before */
    how.unnamed = 1;
    collect_well(&scene, &how);
    CHECK(named_by(&scene, NAME) == 'a' && image_is_there(&scene, 'a'));
    CL_CLEANUP_FD int held = image_hold(&scene, NAME);
    CHECK(held >= 0);
    check_layers(&scene, "123");
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(what_images_need_stays),
        ROW(an_empty_store_is_collected),
        ROW(a_layer_that_no_image_needs_goes),
        ROW(what_the_layers_take_is_added_up),
        ROW(images_without_a_name_go_when_that_is_asked),
        ROW(all_images_go_but_those_in_use),
        ROW(what_a_pull_is_about_to_use_stays),
        ROW(what_a_killed_pull_was_about_to_use_goes),
        ROW(downloads_are_kept_to_go_on_from_or_removed),
        ROW(the_least_recently_used_go_until_the_budget_is_kept),
        ROW(what_nobody_needs_goes_before_an_image_does),
        ROW(the_budget_spares_the_kept_and_the_used),
        ROW(what_leads_nowhere_goes),
        ROW(a_reference_whose_image_is_gone_goes),
        ROW(a_name_of_an_older_record_stays),
    };

    programs_enter(argc, argv);
    program_real("cloister-image");
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
