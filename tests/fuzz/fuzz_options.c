/* fuzz_options.c - the bytes are the arguments of `cloister run`, separated by NUL, and
 * what they give is decided. The same bytes are an env file's content. No file is opened:
 * --env-file is left out, --policy and --seccomp are read only later. */
#include <stdlib.h>
#include <string.h>

#include "cmd/cloister/command.h"
#include "cmd/cloister/env_file.h"
#include "cmd/cloister/run_options.h"
#include "plan/decide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 4 << 20, WORDS_MAX = 64 };

/* The option that opens a file is taken out of the words. */
static int opens_a_file(const char *word)
{
    return strncmp(word, "--env-file", 10) == 0;
}

static int split(char *text, size_t size, char *argv[WORDS_MAX])
{
    static char name[] = "run";
    char *const end = text + size;
    int argc = 0;

    argv[argc++] = name;
    while (text < end && argc < WORDS_MAX - 1) {
        if (!opens_a_file(text))
            argv[argc++] = text;
        text += strlen(text) + 1;
    }
    argv[argc] = NULL;
    return argc;
}

static void decide(struct cl_run_request *request, struct cl_arena *arena)
{
    const struct cl_plan *const parts[] = {&request->env_files, &request->flags};
    struct cl_decide how = {.parts = parts, .count = CL_ARRAY_SIZE(parts), .arena = arena};
    struct cl_error err = {0};
    struct cl_plan plan;

    if (cl_plan_decide(&how, &plan, &err) < 0) {
        CL_ASSERT(err.code != 0 && err.msg[0] != '\0');
        return;
    }
    CL_ASSERT(plan.workdir[0] == '/' && plan.command.count > 0);
    CL_ASSERT(plan.profile != CL_PROFILE_STRICT || (plan.uid != 0 && plan.gid != 0));
    for (size_t i = 0; i < plan.files.count; i++)
        CL_ASSERT(plan.files.items[i].target[0] == '/' && plan.files.items[i].target[1] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_FREE char *text = malloc(size + 1);
    CL_CLEANUP_FREE char *lines = malloc(size + 1);
    struct cl_run_request request = CL_RUN_REQUEST_INIT(&arena);
    struct cl_error err = {0};
    char *argv[WORDS_MAX];

    if (text == NULL || lines == NULL)
        return 0;
    memcpy(text, data, size);
    memcpy(lines, data, size);
    text[size] = lines[size] = '\0';
    (void)cl_env_file_parse(&request.env_files, lines, size, &arena, &err); /* either is fine */
    int argc = split(text, size, argv);
    int first = cl_options_parse(cl_command_table(&cl_command_run), argc, argv, &request, &err);
    if (first >= 0 && cl_run_request_finish(&request, argc - first, argv + first, &err) == 0)
        decide(&request, &arena);
    return 0;
}
