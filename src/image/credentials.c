#include "image/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "oci/reference.h"

enum { MAX_FILE = 1 << 20, MAX_ANSWER = 256 << 10, PROGRAM_SECONDS = 60, SUBJECT_SIZE = 96 };

/* --- the files ------------------------------------------------------------------- */

/* Where one may be: below what a variable says, or else below a directory of HOME. */
static const struct place {
    const char *variable;
    const char *below;
    const char *below_home; /* NULL: nowhere else */
} places[] = {
    {"REGISTRY_AUTH_FILE", "", NULL},
    {"XDG_RUNTIME_DIR", "/containers/auth.json", NULL},
    {"XDG_CONFIG_HOME", "/containers/auth.json", "/.config/containers/auth.json"},
    {"DOCKER_CONFIG", "/config.json", "/.docker/config.json"},
};

static const char *variable(const char *name)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): one thread

    return value == NULL || value[0] != '/' ? NULL : value;
}

/* NULL: nowhere. -ENOMEM shows as the arena's. */
static const char *path_of(const struct place *place, struct cl_arena *arena)
{
    const char *base = variable(place->variable);
    const char *home = variable("HOME");

    if (base != NULL)
        return cl_arena_printf(arena, "%s%s", base, place->below);
    if (place->below_home == NULL || home == NULL)
        return NULL;
    return cl_arena_printf(arena, "%s%s", home, place->below_home);
}

const char *cl_credentials_own_file(struct cl_arena *arena, struct cl_error *err)
{
    const char *path = path_of(&places[CL_ARRAY_SIZE(places) - 1], arena);

    if (path == NULL)
        (void)cl_refuse(err, ENOENT,
                        "there is no place for credentials: set HOME or DOCKER_CONFIG");
    return path;
}

/* --- programs -------------------------------------------------------------------- */

static int look_in(const char *directory, size_t size, struct cl_helper *ret)
{
    int used = snprintf(ret->path, sizeof(ret->path), "%.*s/%s", (int)size, directory, ret->name);

    if (used < 0 || (size_t)used >= sizeof(ret->path) || directory[0] != '/')
        return -ENOENT; /* relative ones, too: where somebody stands is not whom they trust */
    return cl_sys_faccessat(AT_FDCWD, ret->path, X_OK);
}

static int find_along_path(struct cl_helper *ret)
{
    const char *path = getenv("PATH"); // NOLINT(concurrency-mt-unsafe)

    while (path != NULL && *path != '\0') {
        const size_t size = strcspn(path, ":");

        if (size > 0 && look_in(path, size, ret) == 0)
            return 0;
        path += size + (path[size] == ':');
    }
    return -ENOENT;
}

int cl_credential_program(const char *name, const char *verb, const struct cl_buf *input,
                          struct cl_buf *output, struct cl_error *err)
{
    char program[SUBJECT_SIZE];
    struct cl_helper helper = {.name = program};
    const struct cl_helper_call call = {
        .args = {verb},
        .subject = "credentials",
        .inputs = {input},
        .timeout_ns = PROGRAM_SECONDS * CL_NS_PER_S,
        .environment = environ,
    };

    (void)snprintf(program, sizeof(program), "docker-credential-%s", name);
    if (find_along_path(&helper) < 0)
        return cl_refuse(err, ENOENT,
                         "the program %s, which keeps the credentials, isn't along PATH", program);
    return cl_helper_run(&helper, &call, output, err);
}

const char *cl_credential_server(const char *domain)
{
    return strcmp(domain, CL_DOCKER_DOMAIN) == 0 ? "https://index.docker.io/v1/" : domain;
}

/* The program's answer; one that knows nothing says so on its output, and fails. */
static int ask_program(const struct cl_parser *parser, const char *name, const char *domain,
                       struct cl_auth_record *ret, struct cl_error *err)
{
    static const char unknown[] = "credentials not found";
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(CL_HELPER_PATH_SIZE);
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(MAX_ANSWER);
    const char *args[CL_HELPER_MAX_ARGS] = {"credential", name};

    if (cl_buf_add_str(&input, cl_credential_server(domain)) < 0)
        return cl_fail_memory(err);
    int r = cl_credential_program(name, "get", &input, &answer, err);
    if (r < 0 && strncmp(cl_buf_text(&answer), unknown, sizeof(unknown) - 1) == 0) {
        *ret = (struct cl_auth_record){.kind = CL_AUTH_NONE};
        return 0;
    }
    return r < 0 ? r : cl_parse(parser, args, &answer, &cl_auth_shape, ret, err);
}

/* --- finding --------------------------------------------------------------------- */

/* What the file PATH says; kind NONE where there is no such file. */
static int look_into(const struct cl_parser *parser, const char *path, const char *wanted,
                     struct cl_auth_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(MAX_FILE);
    const char *args[CL_HELPER_MAX_ARGS] = {"auth", path, wanted};

    *ret = (struct cl_auth_record){.kind = CL_AUTH_NONE};
    if (cl_sys_faccessat(AT_FDCWD, path, F_OK) < 0)
        return 0;
    CL_CLEANUP_FD int fd = cl_follow_regular(path, MAX_FILE, err);
    if (fd < 0)
        return fd;
    int r = cl_read_all(fd, path, &bytes, err);
    return r < 0 ? r : cl_parse(parser, args, &bytes, &cl_auth_shape, ret, err);
}

int cl_credentials_find(const struct cl_parser *parser, const char *domain, const char *repository,
                        struct cl_auth_record *ret, struct cl_error *err)
{
    const char *wanted = cl_arena_printf(parser->arena, "%s/%s", domain, repository);

    if (wanted == NULL)
        return cl_fail_memory(err);
    *ret = (struct cl_auth_record){.kind = CL_AUTH_NONE};
    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        const char *path = path_of(&places[i], parser->arena);
        int r = path == NULL ? 0 : look_into(parser, path, wanted, ret, err);

        if (r == 0 && ret->kind == CL_AUTH_HELPER)
            r = ask_program(parser, ret->helper, domain, ret, err);
        if (r < 0 || ret->kind != CL_AUTH_NONE)
            return r;
    }
    return 0;
}
