/* login, logout: a registry's credentials, tried and kept where Docker keeps them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/secret.h"
#include "image/config.h"
#include "image/credentials.h"
#include "image/endpoints.h"
#include "image/registry.h"

enum { ARENA_MAX = 16 << 20, SECRET_MAX = 65536, USER_MAX = 256 };

struct context {
    const char *user;
    int from_stdin;
    int without_landlock;
};

static int set_user(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                    struct cl_error *err)
{
    struct context *context = data;

    if (value[0] == '\0' || strchr(value, ':') != NULL || strlen(value) > USER_MAX)
        return cl_refuse(err, EINVAL, "a user's name has 1 to %d bytes, and no colon", USER_MAX);
    context->user = value;
    return 0;
}

static int set_without(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                       struct cl_error *err)
{
    struct context *context = data;

    if (strcmp(value, "landlock") != 0)
        return cl_refuse(err, EINVAL, "expected landlock, got \"%.32s\"", value);
    context->without_landlock = 1;
    return 0;
}

static const struct cl_option login_options[] = {
    {"username", 'u', "USER", "whom to log in as", set_user, 0, NULL},
    {"password-stdin", 0, NULL, "read the password, or token, from standard input", cl_set_flag,
     (int)offsetof(struct context, from_stdin), NULL},
    {"without", 0, "LAYER", "accept that a layer is missing: landlock", set_without, 0, "landlock"},
    CL_OPTION_HELP,
};

static const struct cl_refused_option login_refused[] = {
    {"password", 'p',
     "other users would see it in the list of processes; use --password-stdin, or leave it out "
     "and be asked"},
    {NULL, 0, NULL},
};

/* --- which registry --------------------------------------------------------------- */

/* The domain that the operand, or the configuration, names. */
static int find_domain(int argc, char *const argv[], const struct cl_registries_record *config,
                       const char **ret, struct cl_error *err)
{
    const char *fallback = cl_image_config_default(config);

    if (argc > 1)
        return cl_refuse(err, EINVAL, "expected one registry, got %d", argc);
    *ret = fallback == NULL ? CL_DOCKER_DOMAIN : fallback;
    if (argc == 0)
        return 0;
    const char *text = argv[0];
    if (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0)
        return cl_refuse(err, EINVAL, "a registry is named without \"%.*s\"",
                         (int)(strchr(text, '/') - text) + 2, text);
    int r = cl_domain_check(text, strlen(text), err);
    if (r < 0)
        return cl_prefix(err, "registry \"%.100s\"", text);
    *ret = strcmp(text, "index.docker.io") == 0 ? CL_DOCKER_DOMAIN : text;
    return 0;
}

/* --- login ------------------------------------------------------------------------- */

static int ask(const char *prompt, int hidden, struct cl_buf *ret, struct cl_error *err)
{
    int r = cl_secret_ask(prompt, hidden, ret, err);

    if (r == -ENXIO)
        return cl_refuse(err, ENXIO,
                         "there is no terminal to ask at: say --username USER and "
                         "--password-stdin");
    if (r == 0 && ret->size == 0)
        return cl_refuse(err, EINVAL, "nothing was typed");
    return r;
}

static int get_secret(const struct context *context, struct cl_buf *ret, struct cl_error *err)
{
    if (!context->from_stdin)
        return ask("Password: ", 1, ret, err);
    int r = cl_read_all(STDIN_FILENO, "standard input", ret, err);
    if (r < 0)
        return r;
    while (ret->size > 0 && (ret->data[ret->size - 1] == '\n' || ret->data[ret->size - 1] == '\r'))
        ret->data[--ret->size] = '\0';
    return ret->size == 0 ? cl_refuse(err, EINVAL, "standard input holds no password") : 0;
}

/* A NUL would end it for all who get it from us. */
static int check_secret(const struct cl_buf *secret, struct cl_error *err)
{
    if (strlen(cl_buf_text(secret)) == secret->size)
        return 0;
    return cl_refuse(err, EINVAL, "a password can't hold a NUL byte; is it text in UTF-16?");
}

/* Do they open it? With them alone: what is kept already must not answer in their place. */
static int try_them(const struct cl_parser *parser, const struct cl_registries_record *config,
                    const struct cl_login_as *login, int without_landlock, struct cl_error *err)
{
    const struct cl_reference reference = {.domain = login->domain, .repository = "", .tag = ""};
    CL_CLEANUP(cl_registry_done) struct cl_registry_origin registry = {.fetcher = CL_FETCHER_INIT};
    struct cl_fetch_endpoints endpoints = {0};
    int r = cl_endpoints_for_login(parser, config, login, &endpoints, err);

    if (r == 0)
        r = cl_registry_open(&reference, &endpoints, without_landlock, &registry, err);
    return r < 0 ? r : cl_registry_login(&registry, err);
}

static int login(const struct context *context, const char *domain,
                 const struct cl_registries_record *config, struct cl_arena *arena,
                 struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf user = CL_BUF_INIT(USER_MAX);
    CL_CLEANUP_BUF struct cl_buf secret = CL_BUF_INIT(SECRET_MAX);
    struct cl_auth_record record = {.set = CL_RECORD_BIT(CL_AUTH_KIND) |
                                           CL_RECORD_BIT(CL_AUTH_USER) |
                                           CL_RECORD_BIT(CL_AUTH_SECRET),
                                    .kind = CL_AUTH_BASIC};
    const char *where = NULL;
    struct cl_parser parser;
    int r = cl_parser_init(arena, &parser, err);

    if (r == 0 && context->user == NULL && context->from_stdin)
        r = cl_refuse(err, EINVAL, "--password-stdin needs --username");
    if (r == 0 && context->user == NULL)
        r = ask("Username: ", 0, &user, err);
    if (r == 0)
        r = get_secret(context, &secret, err);
    if (r == 0)
        r = check_secret(&secret, err);
    if (r < 0)
        return r;
    record.user = context->user != NULL ? context->user : cl_buf_text(&user);
    record.secret = cl_buf_text(&secret);
    const struct cl_login_as as = {domain, &record};
    r = try_them(&parser, config, &as, context->without_landlock, err);
    if (r == 0)
        r = cl_credentials_keep(&parser, domain, &record, &where, err);
    if (r < 0)
        return cl_prefix(err, "login %.200s", domain);
    (void)printf("Logged in to %s; kept in %s\n", domain, where); /* a closed stdout is a wish */
    return 0;
}

static int run_login(const struct cl_command *self, int argc, char *const argv[],
                     struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct context context = {0};
    struct cl_registries_record config = {0};
    const char *domain = NULL;
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    int r = cl_image_config_load(&arena, &config, err);
    if (r == 0)
        r = find_domain(argc - first, argv + first, &config, &domain, err);
    return r < 0 ? r : login(&context, domain, &config, &arena, err);
}

/* --- logout ------------------------------------------------------------------------ */

static const struct cl_option logout_options[] = {CL_OPTION_HELP};

static int run_logout(const struct cl_command *self, int argc, char *const argv[],
                      struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_registries_record config = {0};
    struct cl_parser parser;
    const char *domain = NULL;
    int first = cl_command_parse(self, argc, argv, NULL, err);

    if (first < 0)
        return first;
    int r = cl_image_config_load(&arena, &config, err);
    if (r == 0)
        r = find_domain(argc - first, argv + first, &config, &domain, err);
    if (r == 0)
        r = cl_parser_init(&arena, &parser, err);
    if (r == 0)
        r = cl_credentials_forget(&parser, domain, err);
    if (r == -ENOENT && err->code == 0) {
        (void)printf("Not logged in to %s\n", domain); /* as above */
        return 0;
    }
    if (r < 0)
        return cl_prefix(err, "logout %.200s", domain);
    (void)printf("Logged out of %s\n", domain); /* as above */
    return 0;
}

const struct cl_command cl_command_login = {
    .name = "login",
    .usage = "[OPTIONS] [REGISTRY]",
    .help = "Keep the credentials of a registry",
    .run = run_login,
    .options = login_options,
    .option_count = CL_ARRAY_SIZE(login_options),
    .refused = login_refused,
};

const struct cl_command cl_command_logout = {
    .name = "logout",
    .usage = "[REGISTRY]",
    .help = "Forget the credentials of a registry",
    .run = run_logout,
    .options = logout_options,
    .option_count = CL_ARRAY_SIZE(logout_options),
};
