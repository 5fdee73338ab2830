/* spec_scene.h - an OCI runtime configuration that is parsed in place. Its text has ' for ". */
#ifndef CL_TESTS_UNIT_SPEC_SCENE_H
#define CL_TESTS_UNIT_SPEC_SCENE_H

#include "helpers/plan/spec.h"
#include "check.h"

struct spec_scene {
    struct cl_arena arena;
    struct cl_spec spec;
    struct cl_error err;
};

static inline void spec_scene_done(struct spec_scene *scene)
{
    cl_arena_done(&scene->arena);
}
#define CL_CLEANUP_SPEC CL_CLEANUP(spec_scene_done)

static inline char *spec_text(const char *text, struct cl_arena *arena)
{
    char *copy = cl_arena_strdup(arena, text);

    for (char *at = copy; *at != '\0'; at++) {
        if (*at == '\'')
            *at = '"';
    }
    return copy;
}

/* Writes the record and reads it back: nothing is parsed that can't be. */
static inline void spec_check_back(struct spec_scene *scene)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    struct cl_spec back = {.set = 0};

    CHECK(cl_spec_write(&scene->spec, &buf, &scene->err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_spec_read(&bytes, &scene->arena, &back, &scene->err) == 0);
    CHECK(back.set == scene->spec.set);
    CHECK_TEXT(scene->err.msg, "");
}

static inline int spec_parse(struct spec_scene *scene, enum cl_spec_kind kind, const char *text)
{
    *scene = (struct spec_scene){.arena = CL_ARENA_INIT(64 << 20)};
    const char *json = spec_text(text, &scene->arena);
    const struct cl_document document = {"d", json, strlen(json)};
    int r = cl_spec_parse(kind, &document, &scene->arena, &scene->spec, &scene->err);

    if (r == 0)
        spec_check_back(scene);
    return r;
}

/* A configuration with no more than it needs, and REST. */
#define SPEC_CONFIG(rest) "{'ociVersion': '1.2.0', 'root': {'path': 'r'}" rest "}"
#define SPEC_LINUX(rest) SPEC_CONFIG(", 'linux': {" rest "}")
#define SPEC_PROCESS(rest) "{'cwd': '/', 'user': {'uid': 0, 'gid': 0}" rest "}"

struct spec_refusal {
    const char *text;
    const char *message; /* the whole line */
};

static inline void spec_check_refusals(enum cl_spec_kind kind, const struct spec_refusal *rows,
                                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(spec_parse(&scene, kind, rows[i].text) < 0);
        CHECK_TEXT(scene.err.msg, rows[i].message);
        CHECK(scene.spec.set == 0);
    }
}

/* The only warning of TEXT, which is taken; NULL: there is none. */
static inline void spec_check_warning(enum cl_spec_kind kind, const char *text, const char *warning)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(spec_parse(&scene, kind, text) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.spec.warnings.count == (warning != NULL));
    CHECK(cl_spec_has(&scene.spec, CL_SPEC_WARNINGS) == (warning != NULL));
    if (warning != NULL)
        CHECK_TEXT(scene.spec.warnings.count == 0 ? NULL : scene.spec.warnings.items[0], warning);
}

#endif
