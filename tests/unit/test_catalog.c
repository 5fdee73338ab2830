/* test_catalog.c - what is in the store: names, order and sizes, true also where layers are shared,
 * and where something is damaged. */
#include "room.h"
#include "images_scene.h"

static struct cl_arena arena = CL_ARENA_INIT(64 << 20);
static struct cl_catalog catalog;
static struct cl_error err;

static void read_catalog(void)
{
    cl_arena_done(&arena);
    catalog = (struct cl_catalog){0};
    err = (struct cl_error){0};
    CHECK(cl_catalog_read(&scene_store, &arena, &catalog, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

static void check_image(size_t i, const struct cl_digest *digest, uint64_t size, uint64_t own)
{
    CHECK(i < catalog.count);
    if (i >= catalog.count)
        return;
    CHECK(cl_digest_equal(&catalog.images[i].digest, digest));
    CHECK(catalog.images[i].size_bytes == size);
    CHECK(catalog.images[i].own_bytes == own);
}

static void list_some(void)
{
    struct cl_digest one;
    struct cl_digest two;
    struct cl_digest three;

    scene_open();
    read_catalog();
    CHECK(catalog.count == 0);
    scene_image(&(struct scene_image){.text = "one",
                                      .layers = {"base", "b", "c"},
                                      .layer_bytes = 1000,
                                      .names = {"docker.io/library/one:latest", "a.example/x:1"},
                                      .used_ago_s = 100},
                &one);
    read_catalog();
    CHECK(catalog.count == 1);
    check_image(0, &one, 3000, 3000);
    scene_image(
        &(struct scene_image){
            .text = "two", .layers = {"base"}, .layer_bytes = 1000, .used_ago_s = 50},
        &two);
    scene_image(&(struct scene_image){.text = "three",
                                      .layers = {"base", "b", "d"},
                                      .layer_bytes = 1000,
                                      .names = {"docker.io/library/three:latest"},
                                      .used_ago_s = 200},
                &three);
    read_catalog();
    CHECK(catalog.count == 3);
    check_image(0, &two, 1000, 0);
    check_image(1, &one, 3000, 1000);
    check_image(2, &three, 3000, 1000);
    CHECK(catalog.images[0].names.count == 0 && catalog.images[2].names.count == 1);
    CHECK(catalog.images[1].names.count == 2);
    CHECK_TEXT(catalog.images[1].names.items[0], "a.example/x:1");
    CHECK_TEXT(catalog.images[1].names.items[1], "docker.io/library/one:latest");
    CHECK(cl_catalog_find(&catalog, &three) == &catalog.images[2]);
    CHECK(cl_name_set(&scene_store, "a.example/x:1", &two, &err) == 0);
    read_catalog();
    CHECK(catalog.images[1].names.count == 1 && catalog.images[0].names.count == 1);
}

TEST(images_come_by_their_last_use_with_what_they_take)
{
    room_run(list_some);
}

static void list_what_is_left(void)
{
    struct cl_digest one;
    struct cl_digest two;
    struct cl_digest other;
    char name[CL_STORE_NAME_SIZE];
    char layer[CL_LAYER_NAME_SIZE];

    scene_open();
    scene_image(&(struct scene_image){.text = "one",
                                      .layers = {"a", "b"},
                                      .layer_bytes = 1000,
                                      .names = {"docker.io/library/one:latest"},
                                      .used_ago_s = 100},
                &one);
    scene_image(&(struct scene_image){.text = "two", .layers = {"a"}, .layer_bytes = 1000}, &two);
    /* a name whose image went is nobody's */
    cl_store_name("launch", &one, name);
    CHECK(unlinkat(scene_store.dir, name, 0) == 0);
    read_catalog();
    CHECK(catalog.count == 1);
    check_image(0, &two, 1000, 1000);
    cl_digest_of("other", 5, &other);
    CHECK(cl_catalog_find(&catalog, &other) == NULL);
    /* a record that is none: the image is there, and can be removed */
    cl_store_name("images", &two, name);
    CHECK(cl_store_put(&scene_store, name, "no record", 9, &err) == 0);
    read_catalog();
    CHECK(catalog.count == 1 && catalog.images[0].record.set == 0);
    check_image(0, &two, 0, 0);
    CHECK(unlinkat(scene_store.dir, name, 0) == 0);
    read_catalog();
    CHECK(catalog.count == 1 && catalog.images[0].record.set == 0);
    /* a layer without its record counts for nothing */
    scene_image(&(struct scene_image){.text = "two", .layers = {"a", "c"}, .layer_bytes = 1000},
                &two);
    scene_layer("c", 1000, layer);
    (void)snprintf(name, sizeof(name), "layers/%s/record", layer);
    CHECK(unlinkat(scene_store.dir, name, 0) == 0);
    read_catalog();
    check_image(0, &two, 1000, 1000);
}

TEST(what_is_damaged_is_listed_all_the_same)
{
    room_run(list_what_is_left);
}

static void fail_to_allocate(void)
{
    struct cl_digest one;
    int failures = 0;
    int r = -1;

    scene_open();
    scene_image(&(struct scene_image){.text = "one",
                                      .layers = {"a", "b"},
                                      .layer_bytes = 1000,
                                      .names = {"docker.io/library/one:latest"}},
                &one);
    for (size_t cap = 16; r < 0 && cap < 1 << 16; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena small = CL_ARENA_INIT(cap);
        struct cl_catalog untouched = {.count = 7};

        err = (struct cl_error){0};
        r = cl_catalog_read(&scene_store, &small, &untouched, &err);
        failures += r < 0;
        CHECK(r == 0 ? untouched.count == 1 : untouched.count == 7);
        if (r < 0)
            CHECK_HAS(err.msg, "out of memory");
    }
    CHECK(r == 0 && failures > 5);
}

TEST(no_memory_is_no_half_of_a_catalog)
{
    room_run(fail_to_allocate);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(images_come_by_their_last_use_with_what_they_take),
        ROW(what_is_damaged_is_listed_all_the_same),
        ROW(no_memory_is_no_half_of_a_catalog),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
