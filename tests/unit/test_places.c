/* test_places.c - which places an image is said to have, of several layers. */
#include <sys/stat.h>
#include <unistd.h>

#include "image/places.h"
#include "room.h"

static const char *const names[] = {"7", "12"};

static void make_layer(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/mnt/layers/%s", name);
    CHECK(mkdir(path, 0755) == 0);
    (void)snprintf(path, sizeof(path), "/mnt/layers/%s/tree", name);
    CHECK(mkdir(path, 0755) == 0);
}

static void make_layers(void)
{
    CHECK(mkdir("/mnt/layers", 0755) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        make_layer(names[i]);
}

static uint64_t find(void)
{
    CL_CLEANUP_FD int dir = open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const struct cl_store store = {.dir = dir, .path = "/mnt"};
    struct cl_plan launch = {.image_layers = {names, CL_ARRAY_SIZE(names)}};

    cl_places_find(&store, &launch);
    CHECK(cl_plan_has(&launch, CL_FIELD_IMAGE_PLACES));
    return launch.image_places;
}

static void places_of_all_layers_are_found(void)
{
    make_layers();
    CHECK(find() == 0);
    CHECK(mkdir("/mnt/layers/7/tree/proc", 0755) == 0);
    CHECK(find() == (CL_PLACE_BIT(CL_PLACE_PROC)));
    CHECK(mkdir("/mnt/layers/12/tree/dev", 0755) == 0 &&
          mkdir("/mnt/layers/12/tree/var", 0755) == 0);
    CHECK(symlink("/var", "/mnt/layers/7/tree/tmp") == 0);
    CHECK(find() == (CL_PLACE_MASK & ~CL_PLACE_BIT(CL_PLACE_HOSTS)));
    CHECK(mknod("/mnt/layers/12/tree/proc", S_IFCHR, 0) == 0);
    CHECK(find() == (CL_PLACE_BIT(CL_PLACE_DEV) | CL_PLACE_BIT(CL_PLACE_TMP)));
}

TEST(finds_the_places_that_all_layers_show)
{
    room_run(places_of_all_layers_are_found);
}

static void links_count_for_hosts_alone(void)
{
    make_layers();
    CHECK(mkdir("/mnt/layers/7/tree/etc", 0755) == 0);
    CHECK(symlink("/nowhere", "/mnt/layers/7/tree/etc/hosts") == 0 &&
          symlink("/nowhere", "/mnt/layers/7/tree/tmp") == 0);
    CHECK(find() == (CL_PLACE_BIT(CL_PLACE_HOSTS)));
    CHECK(mkdir("/mnt/layers/12/tree/etc", 0755) == 0);
    CHECK(mknod("/mnt/layers/12/tree/etc/hosts", S_IFCHR, 0) == 0);
    CHECK(find() == 0);
    CHECK(unlink("/mnt/layers/12/tree/etc/hosts") == 0);
    CHECK(rmdir("/mnt/layers/12/tree/etc") == 0 && room_write("/mnt/layers/12/tree/etc", "") == 0);
    CHECK(find() == 0); /* no directory has a hosts */
}

TEST(counts_a_link_that_leads_nowhere_as_hosts_and_as_nothing_else)
{
    room_run(links_count_for_hosts_alone);
}

TEST(says_nothing_where_it_can_not_look)
{
    const struct cl_store store = {.dir = -1, .path = "/nowhere"};
    struct cl_plan launch = {.image_layers = {names, CL_ARRAY_SIZE(names)}};

    cl_places_find(&store, &launch);
    CHECK(!cl_plan_has(&launch, CL_FIELD_IMAGE_PLACES));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(finds_the_places_that_all_layers_show),
        ROW(counts_a_link_that_leads_nowhere_as_hosts_and_as_nothing_else),
        ROW(says_nothing_where_it_can_not_look),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
