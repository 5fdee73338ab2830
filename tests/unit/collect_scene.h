/* collect_scene.h - what test_collect.c and test_collect_more.c share. */
#ifndef CL_TESTS_UNIT_COLLECT_SCENE_H
#define CL_TESTS_UNIT_COLLECT_SCENE_H

#include "image/collect.h"
#include "image/lease.h"
#include "image/needed.h"
#include "image_scene.h"
#include "programs_scene.h"

#define NAME "docker.io/library/debian:bookworm"
#define OTHER "docker.io/library/debian:12"
#define THIRD "docker.io/library/alpine:3"

static struct cl_collected collected;

static inline struct cl_collect_how plain_how(void)
{
    return (struct cl_collect_how){.budget_bytes = UINT64_MAX};
}

static inline int collect(struct scene *scene, const struct cl_collect_how *how)
{
    collected = (struct cl_collected){0};
    scene->err = (struct cl_error){0};
    return cl_collect(&scene->store, how, &collected, &scene->err);
}

static inline void collect_well(struct scene *scene, const struct cl_collect_how *how)
{
    CHECK(collect(scene, how) == 0);
    CHECK_TEXT(scene->err.msg, "");
    CHECK(check_count_entries(scene_path(scene, "trash")) == 0);
}

/* Two images that share a layer, and a third. */
static inline void make_three(struct scene *scene)
{
    scene_init(scene);
    image_make(scene, 'a', '1', '2');
    image_make(scene, 'c', '1', '3');
    image_make(scene, 'e', '4', '5');
    CHECK(name_set(scene, NAME, 'a') == 0);
    CHECK(name_set(scene, OTHER, 'c') == 0);
}

static inline void check_layers(struct scene *scene, const char *chains)
{
    for (const char *c = "123456789"; *c != '\0'; c++)
        CHECK(layer_is_there(scene, *c) == (strchr(chains, *c) != NULL));
    CHECK((size_t)check_count_entries(scene_path(scene, "layers")) == strlen(chains));
    CHECK((size_t)check_count_entries(scene_path(scene, "chains")) == strlen(chains));
}

/* --- what is needed ----------------------------------------------------------------------- */

/* --- pulls that are under way -------------------------------------------------------------- */

/* --- the budget ------------------------------------------------------------------------------ */

static inline void use_at(const struct scene *scene, char image, time_t when)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};

    CHECK(utimensat(AT_FDCWD, scene_path(scene, "launch/%s", digest_of(image).hex), times, 0) == 0);
}

/* Three images of two layers each: 'a' and 'c' share one. 'c' was used first. */
static inline void make_used(struct scene *scene)
{
    make_three(scene);
    CHECK(name_set(scene, THIRD, 'e') == 0);
    use_at(scene, 'c', 1000);
    use_at(scene, 'e', 2000);
    use_at(scene, 'a', 3000);
}

/* --- what killed processes leave ------------------------------------------------------------- */

/* --- what fails ----------------------------------------------------------------------------- */

/* The names that can be run, and that what they need is there. */
static inline void check_runnable(struct scene *scene, const char *text, int must)
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

/* --- two processes ---------------------------------------------------------------------------- */

/* As a pull does, and uses what it pulled. */
static inline void pull_and_use(struct scene *scene, char image)
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

/* --- an owner of many ids ------------------------------------------------------------------------
 */

#endif
