/* three_images_scene.h - three images in a store of the room's own: one of two names, one that
 * shares a layer with it, and one without a name.
 */
#ifndef CL_TESTS_UNIT_THREE_IMAGES_SCENE_H
#define CL_TESTS_UNIT_THREE_IMAGES_SCENE_H

#include "command_scene.h"
#include "images_scene.h"

#define WEEKS(n) ((n)*7ULL * 86400 + 3600)

static struct cl_digest debian; /* of the images of make_some */
static struct cl_digest other;
static struct cl_digest bare;

static char debian_created[CL_RFC3339_SIZE];

static inline void make_some(void)
{
    command_own_state();
    scene_open();
    cl_clock_rfc3339(cl_clock_wall_ns() - WEEKS(3) * CL_NS_PER_S, debian_created);
    scene_image(&(struct scene_image){.text = "debian",
                                      .layers = {"base", "b"},
                                      .layer_bytes = 10ULL << 20,
                                      .names = {"docker.io/library/debian:bookworm",
                                                "docker.io/library/debian:12"},
                                      .created = debian_created,
                                      .used_ago_s = 3ULL * 3600},
                &debian);
    scene_image(&(struct scene_image){.text = "other",
                                      .layers = {"base"},
                                      .layer_bytes = 10ULL << 20,
                                      .names = {"quay.io/some/other:latest"},
                                      .created = "0001-01-01T00:00:00Z",
                                      .used_ago_s = 5ULL * 86400},
                &other);
    scene_image(
        &(struct scene_image){
            .text = "bare", .layers = {"c"}, .layer_bytes = 512, .used_ago_s = 86400ULL * 40},
        &bare);
}

static inline const char *short_id(const struct cl_digest *digest)
{
    static char ids[4][13];
    static int turn;
    char *id = ids[turn++ % 4];

    (void)snprintf(id, 13, "%.12s", digest->hex);
    return id;
}

#endif
