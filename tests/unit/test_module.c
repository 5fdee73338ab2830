/* test_module.c - modules as code: the cache, who may have written it, and what the helper gets.
 *
 * A shell script stands in cloister-wasmc's place: its "code" is the module as it came. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "asked_scene.h"
#include "base/fault.h"
#include "module/cache.h"
#include "module/module.h"
#include "policy/wasm_version.h"

#define COPIES "cat >&3"

struct scene {
    char dir[32];
    char cache_dir[48];
    struct cl_module module;
    enum cl_module_use use;
    struct cl_error err;
};

static void write_helper(const struct scene *scene, const char *lines)
{
    char path[64];
    char script[512];

    (void)snprintf(path, sizeof(path), "%s/cloister-wasmc", scene->dir);
    int size =
        snprintf(script, sizeof(script), "#!/bin/sh\nPATH=/bin:/usr/bin\necho x >>%s/calls\n%s\n",
                 scene->dir, lines);
    CHECK(size > 0 && (size_t)size < sizeof(script));
    asked_write_file(path, script, (size_t)size, 0755);
}

static void scene_init(struct scene *scene, const char *lines)
{
    *scene = (struct scene){.dir = "/tmp/cl-test-XXXXXX", .module = CL_MODULE_INIT};
    CHECK(mkdtemp(scene->dir) != NULL);
    (void)snprintf(scene->cache_dir, sizeof(scene->cache_dir), "%s/c", scene->dir);
    write_helper(scene, lines);
}

static void scene_done(struct scene *scene)
{
    cl_module_done(&scene->module);
    asked_remove(scene->dir);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static int compile_file(struct scene *scene, const char *tenant, int fd)
{
    const struct cl_module_source source = {.fd = fd,
                                            .name = "a.wasm",
                                            .tenant = tenant,
                                            .use = scene->use,
                                            .helper_dir = scene->dir,
                                            .cache_dir = scene->cache_dir};

    cl_module_done(&scene->module);
    scene->err = (struct cl_error){0};
    return cl_module_compile(&source, &scene->module, &scene->err);
}

static int compile_for(struct scene *scene, const char *tenant, const char *text)
{
    CL_CLEANUP_FD int fd = asked_text_file(text);

    return compile_file(scene, tenant, fd);
}

static int compile_text(struct scene *scene, const char *text)
{
    return compile_for(scene, NULL, text);
}

static long calls(const struct scene *scene)
{
    return asked_calls(scene->dir);
}

/* Whether the code is TEXT, as the script makes it. */
static int is_code(const struct cl_module *module, const char *text)
{
    char got[64] = "";
    ssize_t size = pread(module->fd, got, sizeof(got) - 1, 0);

    return size == (ssize_t)strlen(text) && module->size == (uint64_t)size &&
           strcmp(got, text) == 0;
}

static void directory_of(const struct scene *scene, const char *tenant, char ret[96])
{
    (void)snprintf(ret, 96, "%s/modules/%s", scene->cache_dir, tenant);
}

/* The path of the one entry of who has no tenant. */
static void entry_of(const struct scene *scene, char ret[256])
{
    char directory[96];
    struct dirent *entry;

    directory_of(scene, "_", directory);
    ret[0] = '\0';
    DIR *dir = opendir(directory);
    CHECK(dir != NULL);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            (void)snprintf(ret, 256, "%s/%.100s", directory, entry->d_name);
    }
    if (dir != NULL)
        (void)closedir(dir);
    CHECK(ret[0] != '\0' && check_count_entries(directory) == 1);
}

/* --- hits and misses -------------------------------------------------------- */

TEST(a_hit_starts_no_helper)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, COPIES);
    for (int i = 0; i < 3; i++) {
        CHECK(compile_text(&scene, "one") == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(is_code(&scene.module, "one") && scene.module.from_cache == (i > 0));
        CHECK_TEXT(scene.module.digest.hex,
                   "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
    }
    CHECK(calls(&scene) == 1);
    CHECK(compile_text(&scene, "two") == 0 && is_code(&scene.module, "two"));
    CHECK(calls(&scene) == 2);
}

TEST(tenants_are_apart)
{
    CL_CLEANUP_SCENE struct scene scene;
    static const char *const names[] = {NULL, "a", "b", "a.b-c_d"};

    scene_init(&scene, COPIES);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        char directory[96];

        CHECK(compile_for(&scene, names[i], "one") == 0 && !scene.module.from_cache);
        CHECK(calls(&scene) == (long)i + 1);
        directory_of(&scene, names[i] == NULL ? "_" : names[i], directory);
        CHECK(check_count_entries(directory) == 1);
        CHECK(compile_for(&scene, names[i], "one") == 0 && scene.module.from_cache);
    }
}

TEST(a_tenants_name_is_no_path_and_none_of_ours)
{
    CL_CLEANUP_SCENE struct scene scene;
    static const char *const names[] = {"", ".", "..", "_", "_x", "a/b", "../x", "/x"};

    scene_init(&scene, COPIES);
    CHECK(compile_text(&scene, "one") == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        CHECK(cl_module_cache_open(scene.cache_dir, names[i]) == -EINVAL);
}

TEST(what_is_kept_is_ours_alone)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[256];
    char directory[96];
    struct stat status;
    mode_t mask = umask(0);

    scene_init(&scene, COPIES);
    CHECK(compile_text(&scene, "one") == 0);
    (void)umask(mask);
    entry_of(&scene, path);
    CHECK(lstat(path, &status) == 0 && status.st_mode == (S_IFREG | 0400));
    directory_of(&scene, "_", directory);
    CHECK(lstat(directory, &status) == 0 && status.st_mode == (S_IFDIR | 0700));
    directory_of(&scene, "", directory);
    CHECK(lstat(directory, &status) == 0 && status.st_mode == (S_IFDIR | 0700));
}

/* --- entries that somebody else may have made --------------------------------- */

static void open_mode(const char *path)
{
    CHECK(chmod(path, 0600) == 0);
}

static void readable(const char *path)
{
    CHECK(chmod(path, 0444) == 0);
}

static void second_name(const char *path)
{
    char other[300];

    (void)snprintf(other, sizeof(other), "%.*s/other", (int)(strstr(path, "/modules/") - path),
                   path);
    CHECK(link(path, other) == 0);
}

static void symbolic_link(const char *path)
{
    char other[300];

    (void)snprintf(other, sizeof(other), "%.*s/other", (int)(strstr(path, "/modules/") - path),
                   path);
    CHECK(rename(path, other) == 0 && symlink(other, path) == 0);
}

static void nothing_in_it(const char *path)
{
    CHECK(unlink(path) == 0);
    asked_write_file(path, "", 0, 0400);
}

static void pipe_in_its_place(const char *path)
{
    CHECK(unlink(path) == 0 && mkfifo(path, 0400) == 0);
}

static void strangers(const char *path)
{
    CHECK(chown(path, 65534, 65534) == 0);
}

TEST(an_entry_that_somebody_else_may_have_made_is_made_again)
{
    static void (*const changes[])(const char *path) = {
        open_mode,     readable,          second_name, symbolic_link,
        nothing_in_it, pipe_in_its_place, strangers};

    for (size_t i = 0; i < CL_ARRAY_SIZE(changes); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        char path[256];
        struct stat status;

        if (changes[i] == strangers && geteuid() != 0)
            continue; /* nobody else can give a file away */
        scene_init(&scene, COPIES);
        CHECK(compile_text(&scene, "one") == 0);
        entry_of(&scene, path);
        changes[i](path);
        CHECK(compile_text(&scene, "one") == 0 && !scene.module.from_cache);
        CHECK(is_code(&scene.module, "one") && calls(&scene) == 2);
        CHECK(lstat(path, &status) == 0 && status.st_mode == (S_IFREG | 0400));
        CHECK(compile_text(&scene, "one") == 0 && scene.module.from_cache);
    }
}

TEST(a_directory_that_others_reach_is_done_without)
{
    static const mode_t modes[] = {0770, 0707, 0750, 0705};

    for (size_t i = 0; i < CL_ARRAY_SIZE(modes); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        char directory[96];

        scene_init(&scene, COPIES);
        CHECK(compile_text(&scene, "one") == 0);
        directory_of(&scene, "_", directory);
        CHECK(chmod(directory, modes[i]) == 0);
        CHECK(compile_text(&scene, "one") == 0 && !scene.module.from_cache);
        CHECK(is_code(&scene.module, "one") && calls(&scene) == 2);
    }
}

TEST(a_link_to_a_directory_is_not_followed)
{
    CL_CLEANUP_SCENE struct scene scene;
    char directory[96];
    char other[96];

    scene_init(&scene, COPIES);
    CHECK(compile_for(&scene, "a", "one") == 0);
    directory_of(&scene, "a", directory);
    directory_of(&scene, "b", other);
    CHECK(symlink(directory, other) == 0);
    CHECK(compile_for(&scene, "b", "one") == 0 && !scene.module.from_cache);
    CHECK(calls(&scene) == 2);
}

/* --- the code and the helper --------------------------------------------------- */

TEST(nobody_can_change_the_code)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, COPIES);
    CHECK(compile_text(&scene, "one") == 0);
    CHECK((fcntl(scene.module.fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK((fcntl(scene.module.fd, F_GETFD) & FD_CLOEXEC) != 0);
    scene.cache_dir[0] = '\0';
    CHECK(compile_text(&scene, "one") == 0 && is_code(&scene.module, "one"));
    CHECK(calls(&scene) == 2);
    CHECK((fcntl(scene.module.fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK((fcntl(scene.module.fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_SHRINK)) ==
          (F_SEAL_WRITE | F_SEAL_SHRINK));
}

TEST(what_was_hashed_is_what_is_compiled)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "(echo y >>/proc/$$/fd/0) 2>/dev/null && exit 1\n" COPIES);
    CHECK(compile_text(&scene, "one") == 0 && is_code(&scene.module, "one"));
    CHECK_TEXT(scene.err.msg, "");
}

/* The helper is told the module's name and how many threads; its offset of the file is its own. */
TEST(the_helper_gets_these_arguments)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "[ $# = 3 ] && [ $1 = compile ] && [ $2 = a.wasm ] && [ $3 -ge 1 ] && [ $3 "
                       "-le 4 ] || exit 9\n" COPIES);
    CHECK(compile_text(&scene, "one") == 0);
    CHECK_TEXT(scene.err.msg, "");
}

/* Each worker has its own code, made by its own word. */
TEST(code_for_another_worker_is_other_code)
{
    static const char *const words[] = {"onecompile\n", "onecompile-for-turns\n",
                                        "onecompile-component\n"};
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "cat >&3; echo $1 >&3");
    for (unsigned int i = 0; i < 6; i++) {
        scene.use = (enum cl_module_use)(i % 3);
        CHECK(compile_text(&scene, "one") == 0 && scene.module.from_cache == (i > 2));
        CHECK(is_code(&scene.module, words[i % 3]));
    }
    CHECK(calls(&scene) == 3);
}

static enum cl_module_kind kind_of(const char *bytes, size_t size)
{
    CL_CLEANUP_FD int fd = (int)cl_sys_memfd_create("kind", 1);

    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    const int kind = cl_module_kind_read(fd);
    CHECK(kind >= 0 && lseek(fd, 0, SEEK_CUR) == (off_t)size);
    return (enum cl_module_kind)kind;
}

TEST(a_component_is_told_by_its_first_bytes)
{
    static const struct {
        char bytes[9];
        size_t size;
        enum cl_module_kind kind;
    } rows[] = {
        {"", 0, CL_MODULE_NONE},
        {"\0as", 3, CL_MODULE_NONE},
        {"\0asn\x0d\0\1\0", 8, CL_MODULE_NONE},
        {"\0asm", 4, CL_MODULE_CORE},
        {"\0asm\1\0\0\0", 8, CL_MODULE_CORE},
        {"\0asm\x0d\0\1", 7, CL_MODULE_CORE}, /* cut: its reader tells */
        {"\0asm\x0d\0\1\0", 8, CL_MODULE_COMPONENT},
        {"\0asm\x0e\0\1\0", 8, CL_MODULE_COMPONENT}, /* of another version, as that tells */
        {"\0asm\1\0\0\1", 8, CL_MODULE_CORE},
        {"\0asm\1\0\2\0", 8, CL_MODULE_CORE},
        {"\0asm\x0d\0\1\0x", 9, CL_MODULE_COMPONENT},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        CHECK(kind_of(rows[i].bytes, rows[i].size) == rows[i].kind);
    CHECK(cl_module_kind_read(-1) == -EBADF);
}

TEST(what_the_helper_complains_of_is_the_error)
{
    static const struct {
        const char *lines;
        int r;
        const char *message;
    } rows[] = {
        {"echo 'a.wasm: at 0x8: bad' >&2; exit 1", -EINVAL, "a.wasm: at 0x8: bad"},
        {"printf 'a.wasm: \\033[2J\\nmore' >&2; exit 1", -EINVAL, "a.wasm: ?[2J"},
        {"kill -XCPU $$", -EINVAL, "a.wasm: takes too long to compile"},
        {"kill -SEGV $$", -EIO, "a.wasm: cloister-wasmc was ended by signal 11"},
        {"exit 0", -EBADMSG, "a.wasm: cloister-wasmc has made 0 bytes of it"},
        {"echo half >&3; exit 1", -EIO, "a.wasm: cloister-wasmc ended with status 1"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        char directory[96];

        scene_init(&scene, rows[i].lines);
        CHECK(compile_text(&scene, "one") == rows[i].r && scene.module.fd == -1);
        CHECK_TEXT(scene.err.msg, rows[i].message);
        directory_of(&scene, "_", directory);
        CHECK(asked_entries(directory) == 0);
    }
}

TEST(a_module_that_is_too_large_is_not_read)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FD int fd = cl_sys_memfd_create("large", MFD_CLOEXEC);
    struct cl_module_source source = {.fd = fd, .name = "a.wasm"};

    scene_init(&scene, COPIES);
    source.helper_dir = scene.dir;
    source.cache_dir = scene.cache_dir;
    CHECK(ftruncate(fd, ((off_t)CL_WASM_MODULE_MIB << 20) + 1) == 0);
    CHECK(cl_module_compile(&source, &scene.module, &scene.err) == -EFBIG);
    CHECK_TEXT(scene.err.msg, "a.wasm is larger than 268435456 bytes");
    CHECK(calls(&scene) == 0);
}

/* Nobody is asked, nothing is kept, and what the caller's file becomes is no matter. */
TEST(a_copy_is_the_modules_bytes)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FD int fd = asked_text_file("one");
    const struct cl_module_source source = {.fd = fd, .name = "a.wasm"};
    struct cl_module compiled = CL_MODULE_INIT;

    scene_init(&scene, COPIES);
    CHECK(compile_file(&scene, NULL, fd) == 0);
    compiled = scene.module;
    scene.module = CL_MODULE_INIT;
    CHECK(cl_module_copy(&source, &scene.module, &scene.err) == 0);
    CHECK(is_code(&scene.module, "one") && calls(&scene) == 1 && !scene.module.from_cache);
    CHECK_TEXT(scene.module.digest.hex, compiled.digest.hex);
    CHECK(pwrite(fd, "two", 3, 0) == 3 && is_code(&scene.module, "one"));
    CHECK(write(scene.module.fd, "x", 1) < 0 && ftruncate(scene.module.fd, 0) < 0);
    cl_module_done(&compiled);
    cl_module_done(&scene.module);
    CHECK(ftruncate(fd, ((off_t)CL_WASM_MODULE_MIB << 20) + 1) == 0);
    CHECK(cl_module_copy(&source, &scene.module, &scene.err) == -EFBIG);
}

TEST(two_at_once_both_have_it)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[256];
    char lines[128];
    int status = -1;

    scene_init(&scene, COPIES);
    (void)snprintf(lines, sizeof(lines), "until [ $(wc -l <%s/calls) -ge 2 ]; do :; done; " COPIES,
                   scene.dir);
    write_helper(&scene, lines);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(compile_text(&scene, "one") != 0 || !is_code(&scene.module, "one"));
    CHECK(compile_text(&scene, "one") == 0 && is_code(&scene.module, "one"));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(calls(&scene) == 2);
    entry_of(&scene, path); /* one, and no half of another */
    CHECK(compile_text(&scene, "one") == 0 && scene.module.from_cache);
}

/* --- failures -------------------------------------------------------------------- */

#ifdef CL_FAULTS
/* Whatever fails: an error, or the code, by whichever way; never another file in the cache, and no
 * descriptor left. */
static int survive(const char *kind, int number)
{
    CL_CLEANUP_SCENE struct scene scene;
    char text[32];
    char directory[96];

    scene_init(&scene, COPIES);
    CL_CLEANUP_FD int fd = asked_text_file("one");
    int fds = check_count_fds();
    (void)snprintf(text, sizeof(text), "self:%s:%d", kind, number);
    cl_fault_set(text);
    int r = compile_file(&scene, NULL, fd);
    int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(r == 0 ? is_code(&scene.module, "one") : scene.module.fd == -1);
    CHECK(r == 0 || scene.err.msg[0] != '\0');
    cl_module_done(&scene.module);
    CHECK(check_count_fds() == fds);
    CHECK(compile_text(&scene, "one") == 0 && is_code(&scene.module, "one"));
    CHECK(compile_text(&scene, "one") == 0 && scene.module.from_cache);
    directory_of(&scene, "_", directory);
    CHECK(check_count_entries(directory) == 1);
    return struck;
}

TEST(each_call_may_fail)
{
    static const char *const kinds[] = {"syscall", "alloc"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        int number = 1;

        while (number < 200 && survive(kinds[i], number))
            number++;
        CHECK(number > 1 && number < 200);
    }
}
#endif

TEST(a_missing_helper_is_told_with_its_cure)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[64];

    scene_init(&scene, COPIES);
    (void)snprintf(path, sizeof(path), "%s/cloister-wasmc", scene.dir);
    CHECK(unlink(path) == 0);
    CHECK(compile_text(&scene, "module") == -ENOENT);
    CHECK_HAS(scene.err.msg, "cloister-wasmc is missing");
    CHECK_HAS(scene.err.msg, "make wasm builds it");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_hit_starts_no_helper),
        ROW(tenants_are_apart),
        ROW(code_for_another_worker_is_other_code),
        ROW(a_component_is_told_by_its_first_bytes),
        ROW(a_tenants_name_is_no_path_and_none_of_ours),
        ROW(what_is_kept_is_ours_alone),
        ROW(an_entry_that_somebody_else_may_have_made_is_made_again),
        ROW(a_directory_that_others_reach_is_done_without),
        ROW(a_link_to_a_directory_is_not_followed),
        ROW(nobody_can_change_the_code),
        ROW(what_was_hashed_is_what_is_compiled),
        ROW(the_helper_gets_these_arguments),
        ROW(what_the_helper_complains_of_is_the_error),
        ROW(a_module_that_is_too_large_is_not_read),
        ROW(a_copy_is_the_modules_bytes),
        ROW(two_at_once_both_have_it),
#ifdef CL_FAULTS
        ROW(each_call_may_fail),
        ROW(a_missing_helper_is_told_with_its_cure),
#endif
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
