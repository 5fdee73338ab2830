/* test_collect.c - what nobody needs leaves the store, and what somebody needs stays, whatever
 * fails and whoever is killed. */
#include "image/collect.h"
#include "image/lease.h"
#include "image/needed.h"
#include "image_scene.h"
#include "programs_scene.h"

#define NAME "docker.io/library/debian:bookworm"
#define OTHER "docker.io/library/debian:12"
#define THIRD "docker.io/library/alpine:3"

static struct cl_collected collected;

static struct cl_collect_how plain_how(void)
{
    return (struct cl_collect_how){.budget_bytes = UINT64_MAX};
}

static int collect(struct scene *scene, const struct cl_collect_how *how)
{
    collected = (struct cl_collected){0};
    scene->err = (struct cl_error){0};
    return cl_collect(&scene->store, how, &collected, &scene->err);
}

static void collect_well(struct scene *scene, const struct cl_collect_how *how)
{
    CHECK(collect(scene, how) == 0);
    CHECK_TEXT(scene->err.msg, "");
    CHECK(check_count_entries(scene_path(scene, "trash")) == 0);
}

/* Two images that share a layer, and a third. */
static void make_three(struct scene *scene)
{
    scene_init(scene);
    image_make(scene, 'a', '1', '2');
    image_make(scene, 'c', '1', '3');
    image_make(scene, 'e', '4', '5');
    CHECK(name_set(scene, NAME, 'a') == 0);
    CHECK(name_set(scene, OTHER, 'c') == 0);
}

static void check_layers(struct scene *scene, const char *chains)
{
    for (const char *c = "123456789"; *c != '\0'; c++)
        CHECK(layer_is_there(scene, *c) == (strchr(chains, *c) != NULL));
    CHECK((size_t)check_count_entries(scene_path(scene, "layers")) == strlen(chains));
    CHECK((size_t)check_count_entries(scene_path(scene, "chains")) == strlen(chains));
}

/* --- what is needed ----------------------------------------------------------------------- */

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

/* --- pulls that are under way -------------------------------------------------------------- */

TEST(what_a_pull_is_about_to_use_stays)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    struct cl_lease lease = CL_LEASE_INIT;
    const struct cl_digest chains[] = {digest_of('4'), digest_of('8')};

    make_three(&scene);
    how.all = 1;
    how.downloads = 1;
    scene_write(&scene, "blobs/sha256/of_the_pull", "{}", 2);
    CHECK(cl_lease_take(&scene.store, chains, 2, &lease, &scene.err) == 0);
    collect_well(&scene, &how);
    check_layers(&scene, "4");
    CHECK(scene_has(&scene, "blobs/sha256/of_the_pull"));
    cl_lease_done(&lease);
    collect_well(&scene, &how);
    check_layers(&scene, "");
    CHECK(!scene_has(&scene, "blobs/sha256/of_the_pull"));
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

/* --- the budget ------------------------------------------------------------------------------ */

static void use_at(const struct scene *scene, char image, time_t when)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};

    CHECK(utimensat(AT_FDCWD, scene_path(scene, "launch/%s", digest_of(image).hex), times, 0) == 0);
}

/* Three images of two layers each: 'a' and 'c' share one. 'c' was used first. */
static void make_used(struct scene *scene)
{
    make_three(scene);
    CHECK(name_set(scene, THIRD, 'e') == 0);
    use_at(scene, 'c', 1000);
    use_at(scene, 'e', 2000);
    use_at(scene, 'a', 3000);
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

/* --- what killed processes leave ------------------------------------------------------------- */

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

TEST(a_trash_that_was_half_emptied_is_emptied)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char names[4][CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    for (size_t i = 0; i < 4; i++) {
        layer_make(&scene, (char)('1' + i), names[i]);
        CHECK(scene_shell("cd %s/layers/%s/tree && mkdir -p a/b/c && touch a/x a/b/y a/b/c/z && "
                          "ln -s / root",
                          scene.root, names[i]) == 0);
        CHECK(cl_layer_discard(&scene.store, names[i], &scene.err) == 0);
    }
    CHECK(scene_shell("cd %s/trash && rm -rf %s/tree && rm %s/record && rm -rf %s/tree/a/b && "
                      "rm -rf %s/* && mkdir 99 && mkdir 98 && mkdir 98/tree",
                      scene.root, names[0], names[1], names[2], names[3]) == 0);
    collect_well(&scene, &how);
}

/* A layer's files are strangers': links out of it, what nobody may enter, names of any bytes. */
TEST(whatever_a_layer_holds_is_removed_and_nothing_else)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, '1', name);
    CHECK(scene_shell("mkdir %s/outside && touch %s/outside/file", scene.dir, scene.dir) == 0);
    CHECK(scene_shell("cd %s/layers/%s/tree && ln -s %s/outside out && ln -s ../../../.. up && "
                      "mkdir locked && touch locked/x && chmod 0 locked && mkfifo fifo && "
                      "touch \"$(printf 'a\\nb\\377')\" -- -rf && "
                      "d=deep && for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
                      "d=$d/$d; [ ${#d} -lt 3000 ] || break; done; mkdir -p $d 2>/dev/null; :",
                      scene.root, name, scene.dir) == 0);
    collect_well(&scene, &how);
    CHECK(scene_shell("[ -e %s/outside/file ]", scene.dir) == 0);
}

/* As an image's own "./" may say: chmod of the tree itself. */
TEST(a_tree_that_its_owner_may_not_enter_is_removed)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, '1', name);
    CHECK(chmod(scene_path(&scene, "layers/%s/tree", name), 0) == 0);
    collect_well(&scene, &how);
}

/* One that can't be removed is no reason to keep the others. */
TEST(the_trash_is_emptied_but_for_what_resists)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char names[3][CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    for (size_t i = 0; i < 3; i++)
        layer_make(&scene, (char)('1' + i), names[i]);
    program_fake("cloister-image", "remove",
                 "case $(pwd) in */trash/2) exit 1;; *) exec $real \"$@\";; esac");
    CHECK(collect(&scene, &how) < 0);
    CHECK(scene.err.msg[0] != '\0');
    CHECK(check_count_entries(scene_path(&scene, "trash")) == 1);
    CHECK(scene_has(&scene, "trash/2"));
    program_real("cloister-image");
    collect_well(&scene, &how);
}

TEST(a_program_that_fails_to_remove_is_told)
{
    static const char *const programs[] = {"exit 1", "kill -9 $$", "exit 0"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(programs); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        const struct cl_collect_how how = plain_how();
        char name[CL_LAYER_NAME_SIZE];

        scene_init(&scene);
        layer_make(&scene, '1', name);
        program_fake("cloister-image", "remove", programs[i]);
        CHECK(collect(&scene, &how) < 0);
        CHECK(scene.err.msg[0] != '\0');
        CHECK(check_count_entries(scene_path(&scene, "trash")) == 1);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        program_real("cloister-image");
        collect_well(&scene, &how);
    }
}

/* A loss of power, which was not preceded by a sync, may have left any bytes. The record is for
 * people; the launch record is what `run` goes by. */
TEST(a_damaged_record_keeps_no_other_image_and_loses_none)
{
    static const char *const damages[] = {":>", "echo x >", "truncate -s -1", "rm"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(damages); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_collect_how how = plain_how();
        char name[CL_LAYER_NAME_SIZE];

        make_three(&scene);
        layer_make(&scene, '6', name);
        CHECK(scene_shell("f=%s/images/%s; %s $f", scene.root, digest_of('a').hex, damages[i]) ==
              0);
        CL_CLEANUP_FD int held = image_hold(&scene, OTHER);
        CHECK(held >= 0);
        collect_well(&scene, &how);
        CHECK(layer_is_there(&scene, '1') && layer_is_there(&scene, '3') &&
              layer_is_there(&scene, '4') && layer_is_there(&scene, '5') &&
              !layer_is_there(&scene, '6'));
        /* whoever finds it by its name can run it, or doesn't find it */
        CL_CLEANUP_FD int damaged = image_hold(&scene, NAME);
        CHECK(damaged < 0 || layer_is_there(&scene, '2'));
        how.all = 1;
        cl_fd_close(&damaged);
        collect_well(&scene, &how); /* and it can be removed */
        CHECK(!image_is_there(&scene, 'a') && layer_is_there(&scene, '3'));
        check_layers(&scene, "13");
    }
}

/* As one of another version might be. */
TEST(a_record_that_lacks_fields_is_read)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    const struct cl_image_record record = {.set = 0};
    char path[SCENE_PATH_SIZE];

    make_three(&scene);
    CHECK(cl_flat_write(&cl_image_shape, &record, &buf, &scene.err) == 0);
    (void)snprintf(path, sizeof(path), "images/%s", digest_of('a').hex);
    scene_write(&scene, path, buf.data, buf.size);
    (void)collect(&scene, &how);
    CHECK(layer_is_there(&scene, '3') && layer_is_there(&scene, '4'));
}

/* --- what fails ----------------------------------------------------------------------------- */

/* The names that can be run, and that what they need is there. */
static void check_runnable(struct scene *scene, const char *text, int must)
{
    struct cl_reference reference;
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(cl_reference_parse(text, NULL, &scene->arena, &reference, &err) == 0);
    CL_CLEANUP_FD int fd = cl_launch_find(scene->store.dir, &reference, &scene->arena, &plan, &err);
    CHECK(fd >= 0 || (fd == -ENOENT && !must));
    for (size_t i = 0; fd >= 0 && i < plan.image_layers.count; i++)
        CHECK(access(scene_path(scene, "layers/%s/tree", plan.image_layers.items[i]), F_OK) == 0);
}

TEST(whatever_fails_no_layer_is_lost_that_is_needed)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    struct cl_lease lease = CL_LEASE_INIT;
    const struct cl_digest leased = digest_of('6');
    char name[CL_LAYER_NAME_SIZE];

    make_three(&scene);
    layer_make(&scene, '6', name);
    CHECK(cl_lease_take(&scene.store, &leased, 1, &lease, &scene.err) == 0);
    how.unnamed = 1;
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;

        image_make(&scene, 'e', '4', '5');
        if (layer_find(&scene, '7', name) < 0)
            layer_make(&scene, '7', name);
        CHECK(layer_begin(&scene, '8', 0, &work) == 0);
        cl_layer_work_done(&work);
        fault_begin(&faults);
        int r = collect(&scene, &how);
        fault_end(&faults);
        CHECK(r == 0 || (r < 0 && scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == scene.before + 3);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        check_runnable(&scene, NAME, 1);
        check_runnable(&scene, OTHER, 1);
        CHECK(layer_is_there(&scene, '6') && layer_is_there(&scene, '1') &&
              layer_is_there(&scene, '2') && layer_is_there(&scene, '3'));
    }
    collect_well(&scene, &how);
    check_layers(&scene, "1236");
    cl_lease_done(&lease);
#endif
}

/* --- two processes ---------------------------------------------------------------------------- */

TEST(a_collection_waits_for_those_who_must_not_be_disturbed)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    make_three(&scene);
    CL_CLEANUP_FD int shared = cl_store_lock(&scene.store, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED);
    CHECK(shared >= 0);
    if (other_start(&other)) {
        struct cl_collect_how how = plain_how();

        cl_fd_close(&shared); /* the parent's stays */
        how.all = 1;
        CHECK(collect(&scene, &how) == 0);
        other_exit();
    }
    CHECK(other_waits_in(&other, SYS_fcntl));
    CHECK(count_images(&scene) == 3);
    cl_fd_close(&shared);
    other_join(&other);
    check_layers(&scene, "");
}

TEST(two_collections_at_once_remove_all_once)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();

    scene_init(&scene);
    how.all = 1;
    for (int round = 0; round < 10; round++) {
        struct other other;

        image_make(&scene, 'a', '1', '2');
        image_make(&scene, 'c', '1', '3');
        CHECK(name_set(&scene, NAME, 'a') == 0);
        if (other_start(&other)) {
            CHECK(collect(&scene, &how) == 0);
            CHECK_TEXT(scene.err.msg, "");
            other_exit();
        }
        CHECK(collect(&scene, &how) == 0);
        CHECK_TEXT(scene.err.msg, "");
        other_join(&other);
        CHECK(check_count_entries(scene_path(&scene, "trash")) == 0); /* one has, or the other */
        check_layers(&scene, "");
    }
}

/* As a pull does, and uses what it pulled. */
static void pull_and_use(struct scene *scene, char image)
{
    const struct cl_digest chains[] = {digest_of('1'), digest_of('2')};
    struct cl_lease lease = CL_LEASE_INIT;

    CHECK(cl_lease_take(&scene->store, chains, 2, &lease, &scene->err) == 0);
    char layers[2][CL_LAYER_NAME_SIZE];
    const char *const names[] = {layers[0], layers[1]};
    for (size_t i = 0; i < 2; i++) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;
        const char chain = chains[i].hex[0];
        int r = layer_find(scene, chain, layers[i]);

        if (r == -ENOENT) {
            CHECK(layer_begin(scene, chain, 1, &work) == 0);
            CHECK_TEXT(scene->err.msg, "");
            layer_fill(&work, chain);
            (void)snprintf(layers[i], sizeof(layers[i]), "%s", work.name);
            r = layer_commit(scene, chain, &work);
        }
        CHECK(r == 0);
        CHECK_TEXT(scene->err.msg, "");
    }
    CL_CLEANUP_FD int settle =
        cl_store_lock(&scene->store, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED | CL_LOCK_WAIT);
    CHECK(settle >= 0);
    CHECK(image_write(scene, image, names, 2) == 0);
    CHECK(name_set(scene, NAME, image) == 0);
    cl_fd_close(&settle);
    cl_lease_done(&lease);
    check_runnable(scene, NAME, 0);
}

TEST(pulls_and_collections_do_not_meet)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    if (other_start(&other)) {
        struct cl_collect_how how = plain_how();

        for (int i = 0; i < 60; i++) {
            how.all = i % 2;
            CHECK(collect(&scene, &how) == 0);
            CHECK_TEXT(scene.err.msg, "");
        }
        other_exit();
    }
    for (int i = 0; i < 60; i++)
        pull_and_use(&scene, 'a');
    other_join(&other);
}

/* --- an owner of many ids ------------------------------------------------------------------------
 */

TEST(roots_trash_is_removed_by_nobody_of_the_host)
{
    if (geteuid() != 0)
        SKIP_TEST("gives files to others");
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    how.uid_base = 0x50000000;
    layer_make(&scene, '1', name);
    CHECK(scene_shell("cd %s/layers/%s/tree && mkdir a && touch a/b a/c && chown 1000:1000 a/b && "
                      "chown 65535:65535 a && chmod 0 a && mknod null c 1 3",
                      scene.root, name) == 0);
    collect_well(&scene, &how);
    check_layers(&scene, "");
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
        ROW(a_trash_that_was_half_emptied_is_emptied),
        ROW(whatever_a_layer_holds_is_removed_and_nothing_else),
        ROW(a_tree_that_its_owner_may_not_enter_is_removed),
        ROW(the_trash_is_emptied_but_for_what_resists),
        ROW(a_program_that_fails_to_remove_is_told),
        ROW(a_damaged_record_keeps_no_other_image_and_loses_none),
        ROW(a_record_that_lacks_fields_is_read),
        ROW(whatever_fails_no_layer_is_lost_that_is_needed),
        ROW(a_collection_waits_for_those_who_must_not_be_disturbed),
        ROW(two_collections_at_once_remove_all_once),
        ROW(pulls_and_collections_do_not_meet),
        ROW(roots_trash_is_removed_by_nobody_of_the_host),
    };

    programs_enter(argc, argv);
    program_real("cloister-image");
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
