/* test_credentials.c - credentials found, kept and forgotten, with the real cloister-image; and
 * what is left of the file when something fails on the way. */
#include <errno.h>

#include "base/fault.h"
#include "image/credentials.h"
#include "programs_scene.h"

#define OLD_FILE "{\"auths\":{\"https://r.example\":{\"auth\":\"dXNlcjpvbGQ=\"}},\"x\":1}"
#define NEW_FILE                                                                                   \
    "{\n  \"auths\": {\n    \"r.example\": {\n      \"auth\": \"dXNlcjpuZXc=\"\n    }\n  },\n"     \
    "  \"x\": 1\n}\n"
#define EMPTY_FILE "{\n  \"auths\": {},\n  \"x\": 1\n}\n"

static const struct cl_auth_record record = {
    .set =
        CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_USER) | CL_RECORD_BIT(CL_AUTH_SECRET),
    .kind = CL_AUTH_BASIC,
    .user = "user",
    .secret = "new",
};

static const char *const variables[] = {"REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
                                        "DOCKER_CONFIG", "HOME"};

struct scene {
    struct cl_arena arena;
    struct cl_parser parser;
    struct cl_error err;
    char dir[64]; /* DOCKER_CONFIG, and nothing else is named */
    char config[96];
    int before;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.arena = CL_ARENA_INIT(16 << 20)};
    for (size_t i = 0; i < CL_ARRAY_SIZE(variables); i++)
        CHECK(unsetenv(variables[i]) == 0);
    (void)snprintf(scene->dir, sizeof(scene->dir), "/tmp/cl-test-credentials-XXXXXX");
    CHECK(mkdtemp(scene->dir) != NULL && setenv("DOCKER_CONFIG", scene->dir, 1) == 0);
    (void)snprintf(scene->config, sizeof(scene->config), "%s/config.json", scene->dir);
    program_real("cloister-image");
    scene->before = check_count_fds();
    CHECK(cl_parser_init(&scene->arena, &scene->parser, &scene->err) == 0);
}

static void scene_done(struct scene *scene)
{
    char command[96];

    cl_arena_done(&scene->arena);
    CHECK(check_count_fds() == scene->before);
    (void)snprintf(command, sizeof(command), "rm -r %s", scene->dir);
    CHECK(system(command) == 0); // NOLINT(cert-env33-c): a directory of our own
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static void write_text(const char *path, const char *text)
{
    CL_CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && cl_write_all(fd, text, strlen(text)) == 0);
}

static void read_text(const char *path, char ret[512])
{
    CL_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, ret, 511);

    ret[size < 0 ? 0 : size] = '\0';
}

static int keep(struct scene *scene, const char **ret_where)
{
    scene->err = (struct cl_error){0};
    return cl_credentials_keep(&scene->parser, "r.example", &record, ret_where, &scene->err);
}

static int forget(struct scene *scene)
{
    scene->err = (struct cl_error){0};
    return cl_credentials_forget(&scene->parser, "r.example", &scene->err);
}

/* The secret that opens REPOSITORY, or "". */
static const char *find(struct scene *scene, const char *domain, const char *repository)
{
    struct cl_auth_record found = {0};

    scene->err = (struct cl_error){0};
    CHECK(cl_credentials_find(&scene->parser, domain, repository, &found, &scene->err) == 0);
    CHECK_TEXT(scene->err.msg, "");
    CHECK(scene->err.code == 0);
    return found.kind == CL_AUTH_BASIC || found.kind == CL_AUTH_IDENTITY ? found.secret : "";
}

TEST(what_is_kept_is_found_and_forgotten)
{
    CL_CLEANUP_SCENE struct scene scene;
    const char *where = NULL;
    struct stat st;

    scene_init(&scene);
    CHECK_TEXT(find(&scene, "r.example", "a"), "");
    CHECK(forget(&scene) == -ENOENT && scene.err.code == 0);
    CHECK(access(scene.config, F_OK) < 0);
    CHECK(keep(&scene, &where) == 0);
    CHECK_TEXT(where, scene.config);
    CHECK(stat(scene.config, &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK_TEXT(find(&scene, "r.example", "a"), "new");
    CHECK_TEXT(find(&scene, "other.example", "a"), "");
    CHECK(forget(&scene) == 0);
    CHECK_TEXT(find(&scene, "r.example", "a"), "");
    CHECK(forget(&scene) == -ENOENT && scene.err.code == 0);
    CHECK(check_count_entries(scene.dir) == 1);
}

TEST(an_identity_token_is_kept_as_one)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_auth_record identity = {
        .set = CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_SECRET),
        .kind = CL_AUTH_IDENTITY,
        .secret = "t0k",
    };
    struct cl_auth_record found = {0};
    const char *where = NULL;

    scene_init(&scene);
    CHECK(cl_credentials_keep(&scene.parser, "docker.io", &identity, &where, &scene.err) == 0);
    CHECK(cl_credentials_find(&scene.parser, "docker.io", "a", &found, &scene.err) == 0);
    CHECK(found.kind == CL_AUTH_IDENTITY);
    CHECK_TEXT(found.secret, "t0k");
}

TEST(the_first_file_that_knows_decides)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[128];

    scene_init(&scene);
    write_text(scene.config,
               "{\"auths\":{\"r.example\":{\"username\":\"u\",\"password\":\"docker\"},"
               "\"s.example\":{\"username\":\"u\",\"password\":\"s\"}}}");
    CHECK_TEXT(find(&scene, "r.example", "a"), "docker");
    (void)snprintf(path, sizeof(path), "%s/named.json", scene.dir);
    CHECK(setenv("REGISTRY_AUTH_FILE", path, 1) == 0);
    CHECK_TEXT(find(&scene, "r.example", "a"), "docker");
    write_text(path, "{\"auths\":{\"r.example\":{\"username\":\"u\",\"password\":\"named\"}}}");
    CHECK_TEXT(find(&scene, "r.example", "a"), "named");
    CHECK_TEXT(find(&scene, "s.example", "a"), "s");
    CHECK(forget(&scene) == 0);
    CHECK_TEXT(find(&scene, "r.example", "a"), "");
    CHECK_TEXT(find(&scene, "s.example", "a"), "s");
    CHECK(setenv("REGISTRY_AUTH_FILE", "relative.json", 1) == 0); /* names nothing */
    CHECK_TEXT(find(&scene, "s.example", "a"), "s");
}

TEST(a_program_s_words_are_understood)
{
    static const struct {
        const char *lines;
        int code; /* of forgetting */
        const char *message;
    } rows[] = {
        {"echo 'credentials not found in native keychain'; exit 1", ENOENT, ""},
        {"cat >/dev/null", 0, ""},
        {"echo it is locked >&2; exit 1", EINVAL, "docker-credential-t: it is locked"},
        {"exit 7", EIO, "docker-credential-t: its answer: docker-credential-t ended with status 7"},
        {"kill -KILL $$", EIO, "was ended by signal 9"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        scene_init(&scene);
        program_fake("docker-credential-t", "*", rows[i].lines);
        CHECK(setenv("PATH", programs_dir, 1) == 0);
        write_text(scene.config, "{\"credsStore\":\"t\"}");
        CHECK(forget(&scene) == -rows[i].code);
        CHECK_HAS(scene.err.msg, rows[i].message);
        CHECK((scene.err.code != 0) == (rows[i].message[0] != '\0'));
        CHECK(setenv("PATH", "/usr/bin:/bin", 1) == 0);
    }
}

#ifdef CL_FAULTS
/* With each system call, or allocation, failing once: the file is the old one or the new, whole,
 * and nothing else is there. */
static void fail_each(const char *what, int (*act)(struct scene *scene), const char *wanted)
{
    int struck = 1;

    for (int nth = 1; struck; nth++) {
        CL_CLEANUP_SCENE struct scene scene;
        char fault[64];
        char text[512];

        scene_init(&scene);
        write_text(scene.config, OLD_FILE);
        (void)snprintf(fault, sizeof(fault), "self:%s:%d", what, nth);
        cl_fault_set(fault);
        int r = act(&scene);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        read_text(scene.config, text);
        CHECK(r < 0 ? scene.err.code == -r && scene.err.msg[0] != '\0' : scene.err.code == 0);
        CHECK(strcmp(text, wanted) == 0 || (r < 0 && strcmp(text, OLD_FILE) == 0));
        CHECK(check_count_entries(scene.dir) == 1);
        CHECK(struck || r == 0);
    }
}

static int keep_them(struct scene *scene)
{
    const char *where = NULL;

    return keep(scene, &where);
}
#endif

TEST(a_failure_leaves_the_file_whole)
{
#ifdef CL_FAULTS
    fail_each("syscall", keep_them, NEW_FILE);
    fail_each("alloc", keep_them, NEW_FILE);
    fail_each("syscall", forget, EMPTY_FILE);
    fail_each("alloc", forget, EMPTY_FILE);
#else
    SKIP_TEST("needs a build with faults");
#endif
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(what_is_kept_is_found_and_forgotten), ROW(an_identity_token_is_kept_as_one),
        ROW(the_first_file_that_knows_decides),   ROW(a_program_s_words_are_understood),
        ROW(a_failure_leaves_the_file_whole),
    };

    programs_enter(argc, argv);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
