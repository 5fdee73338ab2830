/* test_prune.c - prune of images: which go, what is counted, what is said. */
#include "command_scene.h"
#include "image/collect.h"
#include "images_scene.h"
#include "module/cache.h"

static struct cl_digest named;
static struct cl_digest bare;

static void put(const char *directory, const char *text, size_t size)
{
    static char bytes[8192];
    struct cl_digest digest;
    struct cl_error err = {0};
    char name[CL_STORE_NAME_SIZE];

    cl_digest_of(text, strlen(text), &digest);
    cl_store_name(directory, &digest, name);
    CHECK(cl_store_put(&scene_store, name, bytes, size, &err) == 0);
}

static void make_some(void)
{
    command_own_state();
    scene_open();
    scene_image(&(struct scene_image){.text = "named",
                                      .layers = {"base", "b"},
                                      .layer_bytes = 1 << 20,
                                      .names = {"docker.io/library/named:latest"}},
                &named);
    scene_image(
        &(struct scene_image){.text = "bare", .layers = {"base", "c"}, .layer_bytes = 1 << 20},
        &bare);
}

/* A layer that nobody came to the end of. */
static void leave_work(void)
{
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    struct cl_error err = {0};
    struct cl_digest chain;

    cl_digest_of("left", 4, &chain);
    CHECK(cl_layer_begin(&scene_store, &chain, 0, &work, &err) == 0);
    cl_layer_work_done(&work);
}

static void prune_sandboxes_alone(void)
{
    make_some();
    put("downloads", "interrupted", 4096);
    CHECK(RUN(&cl_command_prune, NULL) == 0);
    CHECK_TEXT(said.out, "nothing to remove\n");
    CHECK(scene_count("launch") == 2 && scene_count("downloads") == 1);
    CHECK(RUN(&cl_command_prune, "--format", "json", NULL) == 0);
    CHECK_HAS(said.out, "\"sandboxes\": []");
    CHECK_HAS(said.out, "\"images\": 0");
}

TEST(images_go_only_when_they_are_named)
{
    room_run(prune_sandboxes_alone);
}

static void prune_unneeded(void)
{
    char layer[CL_LAYER_NAME_SIZE];

    make_some();
    put("downloads", "interrupted", 4096);
    put("blobs/sha256", "nobody's", 4096);
    leave_work();
    scene_layer("nobody's", 3 << 20, layer);
    command_leave_sandbox("00112233445566cc");
    CHECK(RUN(&cl_command_prune, "--images", NULL) == 0);
    /* a MiB of "c", three of nobody's layer, a page of the download */
    CHECK_TEXT(said.out, "removed 00112233445566cc\n"
                         "Removed 1 image, 2 layers, 2 leftovers, 4.0 MiB\n");
    CHECK(scene_count("launch") == 1 && scene_count("layers") == 2 &&
          scene_count("downloads") == 0);
    CHECK(scene_count("work") == 0 && scene_count("trash") == 0 && scene_count("refs") == 1);
    CHECK(RUN(&cl_command_prune, "--images", NULL) == 0);
    CHECK_TEXT(said.out, "nothing to remove\n");
    CHECK(scene_count("blobs/sha256") == 1); /* the config */
}

TEST(what_nobody_needs_goes_and_is_counted)
{
    room_run(prune_unneeded);
}

static void prune_all(void)
{
    make_some();
    CL_CLEANUP_FD int held = scene_hold(&named);
    CHECK(RUN(&cl_command_prune, "-a", NULL) == 0);
    CHECK_HAS(said.out, "Removed 1 image, 1 layer, 1.0 MiB\n1 image is in use, and stays\n");
    cl_fd_close(&held);
    CHECK(RUN(&cl_command_prune, "--all", "--format", "json", NULL) == 0);
    CHECK_HAS(said.out, "\"images\": 1,");
    CHECK_HAS(said.out, "\"images_in_use\": 0,");
    CHECK_HAS(said.out, "\"layers\": 2,");
    CHECK_HAS(said.out, "\"leftovers\": 0,");
    CHECK_HAS(said.out, "\"freed_bytes\": 2097152");
    CHECK(scene_count("launch") == 0 && scene_count("layers") == 0 && scene_count("names") == 0);
}

TEST(all_goes_that_is_not_in_use)
{
    room_run(prune_all);
}

static void prune_no_store(void)
{
    command_own_state();
    CHECK(setenv("CLOISTER_STORE", "/mnt/none", 1) == 0);
    CHECK(RUN(&cl_command_prune, "--all", NULL) == 0);
    CHECK_TEXT(said.out, "nothing to remove\n");
    CHECK(access("/mnt/none", F_OK) < 0);
    CHECK(mkdir("/mnt/none", 0755) == 0 && chmod("/mnt/none", 0755) == 0);
    command_leave_sandbox("00112233445566cc");
    CHECK(RUN(&cl_command_prune, "--all", NULL) == -EPERM);
    CHECK_HAS(said.err.msg, "the image store /mnt/none is open to others");
    CHECK_TEXT(said.out, "removed 00112233445566cc\n"); /* all the same */
    CHECK(RUN(&cl_command_prune, "--all", NULL) == -EPERM);
    CHECK_TEXT(said.out, "");
}

TEST(no_store_is_nothing_to_remove)
{
    room_run(prune_no_store);
}

/* The budget, which a pull keeps to. */
static void keep_budget(void)
{
    struct cl_digest old;
    struct cl_collected collected = {0};
    struct cl_error err = {0};
    char keep[CL_DIGEST_TEXT_SIZE];
    struct cl_collect_how how = {.budget_bytes = 4 << 20};

    make_some();
    scene_image(
        &(struct scene_image){
            .text = "old", .layers = {"o"}, .layer_bytes = 2 << 20, .used_ago_s = 1000},
        &old);
    how.keep_digest = cl_digest_format(&old, keep);
    CHECK(cl_collect(&scene_store, &how, &collected, &err) == 0);
    CHECK(collected.images == 1 && collected.layers == 1 && collected.bytes >= 1 << 20);
    CHECK(scene_count("launch") == 2);
    how.keep_digest = NULL;
    how.budget_bytes = 3 << 20;
    CHECK(cl_collect(&scene_store, &how, &collected, &err) == 0);
    CHECK(collected.images == 1);
    CHECK(!cl_image_is_there(&scene_store, &old)); /* the one that was used longest ago */
    how.budget_bytes = 0;
    CHECK(cl_collect(&scene_store, &how, &collected, &err) == 0);
    CHECK(scene_count("launch") == 0 && scene_count("layers") == 0);
}

TEST(a_budget_takes_what_was_used_longest_ago)
{
    room_run(keep_budget);
}

static void prune_modules(void)
{
    static const char *const tenants[] = {"alice", NULL};
    struct cl_module_key key = {0};

    make_some();
    CHECK(mount("tmpfs", "/var/cache", "tmpfs", 0, "mode=0755") == 0);
    memset(key.hex, 'a', sizeof(key.hex) - 1);
    for (size_t i = 0; i < CL_ARRAY_SIZE(tenants); i++) {
        CL_CLEANUP_FD int cache = cl_module_cache_open(NULL, tenants[i]);
        CL_CLEANUP_FD int code = memfd_create("code", MFD_CLOEXEC);

        CHECK(cache >= 0 && write(code, said.out, 4096) == 4096);
        CHECK(cl_module_cache_keep(cache, &key, code, 4096) == 0);
    }
    CHECK(RUN(&cl_command_prune, NULL) == 0);
    CHECK_TEXT(said.out, "nothing to remove\n");
    CHECK(RUN(&cl_command_prune, "--modules", "--tenant", "bob", NULL) == 0);
    CHECK_TEXT(said.out, "nothing to remove\n");
    CHECK(RUN(&cl_command_prune, "--modules", "--tenant", "alice", NULL) == 0);
    CHECK_TEXT(said.out, "Removed 1 compiled module, 4.0 KiB\n");
    CHECK(RUN(&cl_command_prune, "--modules", "--format", "json", NULL) == 0);
    CHECK_HAS(said.out, "\"modules\": 1,");
    CHECK_HAS(said.out, "\"freed_bytes\": 4096");
    CHECK(scene_count("launch") == 2);
    CHECK(RUN(&cl_command_prune, "--tenant", "alice", NULL) < 0);
    CHECK_HAS(said.err.msg, "--tenant is for --modules");
    CHECK(RUN(&cl_command_prune, "--modules", "--tenant", "_", NULL) < 0);
}

TEST(compiled_modules_go_when_they_are_named)
{
    room_run(prune_modules);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(images_go_only_when_they_are_named),
        ROW(what_nobody_needs_goes_and_is_counted),
        ROW(all_goes_that_is_not_in_use),
        ROW(no_store_is_nothing_to_remove),
        ROW(a_budget_takes_what_was_used_longest_ago),
        ROW(compiled_modules_go_when_they_are_named),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
