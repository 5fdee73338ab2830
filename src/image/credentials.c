#include "image/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/follow.h"
#include "base/json.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "oci/reference.h"

enum { MAX_FILE = 1 << 20, MAX_ANSWER = 256 << 10, PROGRAM_SECONDS = 60, SUBJECT_SIZE = 96 };

/* --- the files ------------------------------------------------------------------- */

/* Where one may be: below what a variable says, or else below a directory of HOME. Root without
 * a session has podman's in /run (podman-login(1)); nobody else could, as /run is root's. */
static const struct place {
    const char *variable;
    const char *below;
    const char *below_home; /* NULL: nowhere there */
    const char *of_root;    /* where the variable isn't set; NULL: as anybody's */
} places[] = {
    {"REGISTRY_AUTH_FILE", "", NULL, NULL},
    {"XDG_RUNTIME_DIR", "/containers/auth.json", NULL, "/run/containers/0/auth.json"},
    {"XDG_CONFIG_HOME", "/containers/auth.json", "/.config/containers/auth.json", NULL},
    {"DOCKER_CONFIG", "/config.json", "/.docker/config.json", NULL},
};

static const char *variable(const char *name)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): one thread

    return value == NULL || value[0] != '/' ? NULL : value;
}

/* *RET is NULL where nothing says where that is. */
static int path_of(const struct place *place, struct cl_arena *arena, const char **ret,
                   struct cl_error *err)
{
    const char *base = variable(place->variable);
    const char *below = place->below;

    *ret = NULL;
    if (base == NULL && place->of_root != NULL && geteuid() == 0) {
        *ret = place->of_root;
        return 0;
    }
    if (base == NULL) {
        base = variable("HOME");
        below = place->below_home;
    }
    if (base == NULL || below == NULL)
        return 0;
    *ret = cl_arena_printf(arena, "%s%s", base, below);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* A variable that came along from somebody else's session (su, sudo -E) leads to what is theirs. */
static int blame_variable(const struct place *place, struct cl_error *err)
{
    if (err->code != EACCES || variable(place->variable) == NULL)
        return -err->code;
    return cl_hint(err, "%s names that place", place->variable);
}

/* What such programs, and Docker's file, call DOMAIN. */
static const char *server_of(const char *domain)
{
    return strcmp(domain, CL_DOCKER_DOMAIN) == 0 ? "https://index.docker.io/v1/" : domain;
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

static int run_program(const char *name, const char *verb, const struct cl_buf *input,
                       struct cl_buf *output, struct cl_error *err)
{
    char program[SUBJECT_SIZE];
    struct cl_helper helper = {.name = program};
    const struct cl_helper_call call = {
        .args = {verb},
        .subject = "its answer",
        .inputs = {input},
        .timeout_ns = PROGRAM_SECONDS * CL_NS_PER_S,
        .environment = environ,
        .is_foreign = 1,
    };

    (void)snprintf(program, sizeof(program), "docker-credential-%s", name);
    if (find_along_path(&helper) < 0)
        return cl_refuse(err, ENOENT,
                         "the program %s, which keeps the credentials, isn't along PATH", program);
    int r = cl_helper_run(&helper, &call, output, err);
    if (r == -ETIMEDOUT)
        r = cl_hint(err, "it may be waiting for its store to be unlocked");
    return r < 0 ? cl_prefix(err, "%s", program) : r;
}

/* A program that knows nothing says so on its output, and fails. */
static int is_unknown(const struct cl_buf *answer)
{
    static const char unknown[] = "credentials not found";

    return strncmp(cl_buf_text(answer), unknown, sizeof(unknown) - 1) == 0;
}

static int ask_program(const struct cl_parser *parser, const char *name, const char *domain,
                       struct cl_auth_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(CL_HELPER_PATH_SIZE);
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(MAX_ANSWER);
    const char *args[CL_HELPER_MAX_ARGS] = {"credential", name};

    if (cl_buf_add_str(&input, server_of(domain)) < 0)
        return cl_fail_memory(err);
    int r = run_program(name, "get", &input, &answer, err);
    if (r < 0 && is_unknown(&answer)) {
        *err = (struct cl_error){0};
        *ret = (struct cl_auth_record){.kind = CL_AUTH_NONE};
        return 0;
    }
    return r < 0 ? r : cl_parse(parser, args, &answer, CL_INTO(&cl_auth_shape, ret), err);
}

/* --- finding --------------------------------------------------------------------- */

/* Adds what the file PATH holds to RET: 1; 0 where there is no such file. */
static int read_if_there(const char *path, struct cl_buf *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = -1;
    int r = cl_follow_regular_if_there(path, MAX_FILE, &fd, err);

    if (r < 0 || fd < 0)
        return r;
    r = cl_read_all(fd, path, ret, err);
    return r < 0 ? r : 1;
}

/* What the file PATH says; kind NONE where there is no such file. */
static int look_into(const struct cl_parser *parser, const char *path, const char *wanted,
                     struct cl_auth_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(MAX_FILE);
    const char *args[CL_HELPER_MAX_ARGS] = {"auth", path, wanted};

    *ret = (struct cl_auth_record){.kind = CL_AUTH_NONE};
    int r = read_if_there(path, &bytes, err);
    return r <= 0 ? r : cl_parse(parser, args, &bytes, CL_INTO(&cl_auth_shape, ret), err);
}

int cl_credentials_find(const struct cl_parser *parser, const char *domain, const char *repository,
                        struct cl_auth_record *ret, struct cl_error *err)
{
    const char *wanted = cl_arena_printf(parser->arena, "%s/%s", domain, repository);

    if (wanted == NULL)
        return cl_fail_memory(err);
    *ret = (struct cl_auth_record){.kind = CL_AUTH_NONE};
    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        const char *path;
        int r = path_of(&places[i], parser->arena, &path, err);

        if (r == 0 && path != NULL)
            r = look_into(parser, path, wanted, ret, err);
        if (r < 0)
            return blame_variable(&places[i], err);
        if (ret->kind == CL_AUTH_HELPER)
            r = ask_program(parser, ret->helper, domain, ret, err);
        if (r < 0 || ret->kind != CL_AUTH_NONE)
            return r;
    }
    return 0;
}

/* --- keeping --------------------------------------------------------------------- */

/* The file that Docker writes, which `login` shares with it. */
static int own_file(struct cl_arena *arena, const char **ret, struct cl_error *err)
{
    int r = path_of(&places[CL_ARRAY_SIZE(places) - 1], arena, ret, err);

    if (r == 0 && *ret == NULL)
        return cl_refuse(err, ENOENT,
                         "there is no place for credentials: set HOME or DOCKER_CONFIG");
    return r;
}

/* The directory of PATH, made where it is missing; *RET_NAME is the rest. */
static int open_directory(const char *path, const char **ret_name, struct cl_error *err)
{
    char directory[CL_HELPER_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    int size = snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);

    if (size < 0 || (size_t)size >= sizeof(directory))
        return cl_refuse(err, ENAMETOOLONG, "the path of the credentials is too long");
    (void)cl_sys_mkdirat(AT_FDCWD, directory, 0700); /* what it lacks shows below */
    int fd = cl_follow_named(directory, geteuid() == 0, "the directory", err);
    if (fd >= 0)
        *ret_name = slash + 1;
    return fd;
}

static int refuse_link(const char *path, const char *name, struct cl_error *err)
{
    if (strcmp(name, "config.json") == 0)
        return cl_refuse(err, ELOOP,
                         "%s is a symbolic link; set DOCKER_CONFIG to the directory of what it "
                         "leads to",
                         path);
    return cl_refuse(err, ELOOP,
                     "%s is a symbolic link; set REGISTRY_AUTH_FILE to what it leads to", path);
}

/* 1 when what NAME is to be replaced by stays sudo's user's; 0; whoever else has it loses it. */
static int look_at_old(int directory, const char *path, const char *name, struct stat *ret,
                       struct cl_error *err)
{
    int r = cl_sys_fstatat(directory, name, ret, AT_SYMLINK_NOFOLLOW);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return cl_fail(err, r, "write %s", path);
    if (S_ISLNK(ret->st_mode))
        return refuse_link(path, name, err);
    return geteuid() == 0 && ret->st_uid != 0 && ret->st_uid == cl_follow_caller();
}

/* Whole or not at all; a link stays a link to what it leads to only by not being written to. */
static int write_file(const char *path, const struct cl_buf *bytes, struct cl_error *err)
{
    const char *name = NULL;
    char temporary[32];
    struct stat old;
    uint64_t random = 0;
    CL_CLEANUP_FD int directory = open_directory(path, &name, err);
    const int is_callers =
        directory < 0 ? directory : look_at_old(directory, path, name, &old, err);

    if (is_callers < 0)
        return is_callers;
    if (cl_sys_getrandom(&random, sizeof(random)) < 0)
        return cl_fail(err, EIO, "getrandom");
    (void)snprintf(temporary, sizeof(temporary), ".new-%016llx", (unsigned long long)random);
    CL_CLEANUP_FD int fd =
        cl_sys_openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    int r = fd < 0 ? fd : cl_write_all(fd, cl_buf_text(bytes), bytes->size);
    if (r == 0 && is_callers)
        r = cl_sys_fchown(fd, old.st_uid, old.st_gid);
    if (r == 0)
        r = cl_sys_fsync(fd);
    if (r == 0)
        r = cl_sys_renameat(directory, temporary, directory, name);
    if (r < 0) {
        (void)cl_sys_unlinkat(directory, temporary, 0); /* it may not be there at all */
        return cl_fail(err, r, "write %s", path);
    }
    return 0;
}

/* Writes the file PATH anew with RECORD for SERVER; kind NONE takes out what it has. 1; 0 where
 * there is nothing to take out. */
static int edit_file(const struct cl_parser *parser, const char *path, const char *server,
                     const struct cl_auth_record *record, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf old = CL_BUF_INIT(MAX_FILE);
    CL_CLEANUP_BUF struct cl_buf flat = CL_BUF_INIT(MAX_FILE);
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(2UL * MAX_FILE);
    const struct cl_helper_call call = {
        .args = {"auth-edit", path, server},
        .subject = path,
        .inputs = {&old, &flat},
        .timeout_ns = PROGRAM_SECONDS * CL_NS_PER_S,
    };
    int r = cl_flat_write(&cl_auth_shape, record, &flat, err);

    if (r == 0)
        r = read_if_there(path, &old, err);
    if (r == 0 && record->kind == CL_AUTH_NONE)
        return 0;
    if (r >= 0)
        r = cl_helper_run(&parser->helper, &call, &output, err);
    if (r < 0 || output.size == 0)
        return r;
    r = write_file(path, &output, err);
    return r < 0 ? r : 1;
}

/* Gives SERVER's credentials to the program NAME. */
static int store_in_program(const char *name, const char *server,
                            const struct cl_auth_record *record, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(MAX_ANSWER);
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(MAX_ANSWER);
    struct cl_json json;

    if (!cl_utf8_is_valid(record->secret) ||
        (record->kind == CL_AUTH_BASIC && !cl_utf8_is_valid(record->user)))
        return cl_refuse(err, EINVAL,
                         "docker-credential-%.64s takes UTF-8 alone, which the credentials aren't",
                         name);
    cl_json_begin(&json, &input, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "ServerURL", server);
    cl_json_string(&json, "Username", record->kind == CL_AUTH_IDENTITY ? "<token>" : record->user);
    cl_json_string(&json, "Secret", record->secret);
    cl_json_close(&json, '}');
    int r = cl_json_end(&json);
    if (r < 0)
        return cl_fail(err, r, "write credentials for a program");
    return run_program(name, "store", &input, &answer, err);
}

/* 1; 0 where it says that it knows none. Most erase what isn't there without a word. */
static int erase_in_program(const char *name, const char *server, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(MAX_ANSWER);
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(MAX_ANSWER);

    if (cl_buf_add_str(&input, server) < 0)
        return cl_fail_memory(err);
    int r = run_program(name, "erase", &input, &answer, err);
    if (r < 0 && is_unknown(&answer)) {
        *err = (struct cl_error){0};
        return 0;
    }
    return r < 0 ? r : 1;
}

/* The first file that knows DOMAIN, and as what: what is in one after it would never be asked.
 * Where none does, Docker's. */
static int find_keeper(const struct cl_parser *parser, const char *domain, const char **ret_path,
                       struct cl_auth_record *ret_found, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        int r = path_of(&places[i], parser->arena, ret_path, err);

        if (r == 0 && *ret_path != NULL)
            r = look_into(parser, *ret_path, domain, ret_found, err);
        if (r < 0)
            return blame_variable(&places[i], err);
        if (ret_found->kind != CL_AUTH_NONE)
            return 0;
    }
    return own_file(parser->arena, ret_path, err);
}

int cl_credentials_keep(const struct cl_parser *parser, const char *domain,
                        const struct cl_auth_record *record, const char **ret_where,
                        struct cl_error *err)
{
    const char *path;
    struct cl_auth_record found = {0};
    int r = find_keeper(parser, domain, &path, &found, err);

    if (r < 0)
        return r;
    if (found.kind == CL_AUTH_HELPER) {
        *ret_where = cl_arena_printf(parser->arena, "docker-credential-%s", found.helper);
        if (*ret_where == NULL)
            return cl_fail_memory(err);
        return store_in_program(found.helper, server_of(domain), record, err);
    }
    *ret_where = path;
    r = edit_file(parser, path, server_of(domain), record, err);
    return r < 0 ? r : 0;
}

/* Out of the file PATH, whatever it holds, and then out of the program that it names: 1; 0 where
 * neither knew any. */
static int forget_in(const struct cl_parser *parser, const char *path, const char *domain,
                     struct cl_error *err)
{
    const struct cl_auth_record none = {.set = CL_RECORD_BIT(CL_AUTH_KIND), .kind = CL_AUTH_NONE};
    struct cl_auth_record found = {0};
    const int edited = edit_file(parser, path, server_of(domain), &none, err);
    int r = edited < 0 ? edited : look_into(parser, path, domain, &found, err);

    if (r < 0 || found.kind != CL_AUTH_HELPER)
        return r < 0 ? r : edited;
    r = erase_in_program(found.helper, server_of(domain), err);
    return r < 0 ? r : r + edited > 0;
}

int cl_credentials_forget(const struct cl_parser *parser, const char *domain, struct cl_error *err)
{
    int forgotten = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        const char *path;
        int r = path_of(&places[i], parser->arena, &path, err);

        if (r == 0 && path != NULL)
            r = forget_in(parser, path, domain, err);
        if (r < 0)
            return blame_variable(&places[i], err);
        forgotten += r;
    }
    return forgotten > 0 ? 0 : -ENOENT;
}
