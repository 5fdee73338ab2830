/* options_scene.h - a line of options to `cloister run`, parsed. */
#ifndef CL_TESTS_UNIT_OPTIONS_SCENE_H
#define CL_TESTS_UNIT_OPTIONS_SCENE_H

#include "cmd/cloister/command.h"
#include "cmd/cloister/run_options.h"
#include "check.h"

enum { ARENA_MAX = 4 << 20, WORDS = 32 };

struct scene {
    struct cl_arena arena;
    struct cl_run_request request;
    struct cl_error err;
};

/* Parses LINE, whose words are separated by "|"; needs scene_done. */
static inline int parse(struct scene *scene, const char *line)
{
    char text[1024];
    char *argv[WORDS + 1] = {NULL};
    int argc = 0;

    *scene = (struct scene){.arena = CL_ARENA_INIT(ARENA_MAX)};
    scene->request = CL_RUN_REQUEST_INIT(&scene->arena);
    (void)snprintf(text, sizeof(text), "run|%s", line);
    for (char *word = text; word != NULL && argc < WORDS;) {
        char *bar = strchr(word, '|');

        if (bar != NULL)
            *bar++ = '\0';
        argv[argc++] = cl_arena_strdup(&scene->arena, word);
        word = bar;
    }
    int first = cl_options_parse(cl_command_table(&cl_command_run), argc, argv, &scene->request,
                                 &scene->err);
    if (first < 0)
        return first;
    return cl_run_request_finish(&scene->request, argc - first, argv + first, &scene->err);
}

static inline void scene_done(struct scene *scene)
{
    cl_arena_done(&scene->arena);
}

#endif
