#include "module/library.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/helper.h"

enum { ANSWER_MAX = 64 << 10, WAIT_SECONDS = 20, FILES_MOST = 128 };

const char *cl_library_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* --- the answer ---------------------------------------------------------------------------- */

static int fail_answer(struct cl_error *err)
{
    return cl_refuse(err, EPROTO,
                     CL_LIBRARY_WORKER " has told nothing of its library that could be so");
}

/* In the worker's root they lie side by side. */
static int is_new(const struct cl_strlist *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(cl_library_name(files->items[i]), cl_library_name(path)) == 0)
            return 0;
    }
    return cl_library_name(path)[0] != '\0';
}

static int take_line(const char *line, const char **files, struct cl_library *ret)
{
    static const char version[] = "version ";
    static const char loader[] = "loader /";
    static const char file[] = "file /";

    if (strncmp(line, version, strlen(version)) == 0)
        ret->version = line + strlen(version);
    else if (strncmp(line, loader, strlen(loader)) == 0)
        ret->loader = line + strlen(loader) - 1;
    else if (strncmp(line, file, strlen(file)) == 0 && ret->files.count < FILES_MOST &&
             is_new(&ret->files, line + strlen(file) - 1))
        files[ret->files.count++] = line + strlen(file) - 1;
    else
        return -EPROTO;
    return 0;
}

static int read_answer(char *text, struct cl_arena *arena, struct cl_library *ret,
                       struct cl_error *err)
{
    const char **files = cl_arena_array(arena, FILES_MOST, sizeof(*files));
    struct cl_library library = {.files = {files, 0}};

    if (files == NULL)
        return cl_fail_memory(err);
    while (*text != '\0') {
        char *end = text + strcspn(text, "\n");

        if (*end == '\0')
            return fail_answer(err);
        *end = '\0';
        if (take_line(text, files, &library) < 0)
            return fail_answer(err);
        text = end + 1;
    }
    if (library.version == NULL || library.loader == NULL || library.files.count == 0)
        return fail_answer(err);
    *ret = library;
    return 0;
}

/* --- asking -------------------------------------------------------------------------------- */

/* Where the caller has it where no system looks: his variable says so, as to any program. */
static int make_environment(struct cl_arena *arena, char *ret[2], struct cl_error *err)
{
    const char *path = getenv("LD_LIBRARY_PATH");

    ret[0] = ret[1] = NULL;
    if (path == NULL)
        return 0;
    ret[0] = cl_arena_printf(arena, "LD_LIBRARY_PATH=%s", path);
    return ret[0] == NULL ? cl_fail_memory(err) : 0;
}

static int ask(const struct cl_helper *helper, struct cl_arena *arena, struct cl_buf *answer,
               struct cl_error *err)
{
    char *environment[2];
    const struct cl_helper_call call = {
        .args = {"--probe"},
        .subject = "WasmEdge",
        .timeout_ns = WAIT_SECONDS * CL_NS_PER_S,
        .environment = environment,
        .work = "load",
    };
    int r = make_environment(arena, environment, err);

    if (r < 0)
        return r;
    r = cl_helper_run(helper, &call, answer, err);
    return r < 0 ? cl_hint(err, "install WasmEdge, whose library is libwasmedge.so.0, where the "
                                "dynamic loader looks (ldconfig, LD_LIBRARY_PATH)")
                 : 0;
}

int cl_library_find(const char *dir, struct cl_arena *arena, struct cl_library *ret,
                    struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(ANSWER_MAX);
    struct cl_helper helper;
    int r = cl_helper_find(dir, CL_LIBRARY_WORKER, &helper, err);

    if (r < 0)
        return cl_hint(err, "make wasm builds it");
    r = ask(&helper, arena, &answer, err);
    if (r < 0)
        return r;
    char *text = cl_arena_printf(arena, "%s", cl_buf_text(&answer));
    return text == NULL ? cl_fail_memory(err) : read_answer(text, arena, ret, err);
}
