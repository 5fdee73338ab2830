/* What a module's digest was: only of the same file, unchanged, and by our own hand. */
#include "module/memo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "module/cache.h"
#include "asked_scene.h"

#define NOW (1000 * CL_NS_PER_S)

struct scene {
    char dir[32];
    int cache;
    struct stat file;
    struct cl_digest digest;
};

static struct scene make_scene(void)
{
    struct scene scene = {.dir = "/tmp/cl-test-XXXXXX"};

    CHECK(mkdtemp(scene.dir) != NULL);
    scene.cache = open(scene.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scene.file = (struct stat){.st_dev = 7, .st_ino = 70, .st_size = 700};
    scene.file.st_mtim = (struct timespec){500, 5};
    scene.file.st_ctim = (struct timespec){600, 6};
    memset(scene.digest.hex, 'a', sizeof(scene.digest.hex) - 1);
    return scene;
}

static void scene_done(struct scene *scene)
{
    cl_fd_close(&scene->cache);
    asked_remove(scene->dir);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static int finds(const struct scene *scene)
{
    struct cl_digest found = {0};

    return cl_module_memo_find(scene->cache, &scene->file, &found) == 0 &&
           strcmp(found.hex, scene->digest.hex) == 0;
}

static void keep(const struct scene *scene)
{
    cl_module_memo_keep(scene->cache, &scene->file, &scene->digest, NOW);
}

TEST(the_same_file_is_found)
{
    CL_CLEANUP_SCENE struct scene scene = make_scene();

    CHECK(!finds(&scene));
    keep(&scene);
    CHECK(finds(&scene));
    keep(&scene); /* again */
    CHECK(finds(&scene));
}

TEST(another_file_is_not)
{
    CL_CLEANUP_SCENE struct scene scene = make_scene();
    const struct stat file = scene.file;

    keep(&scene);
    scene.file.st_dev++;
    CHECK(!finds(&scene) && !cl_module_memo_is_same(&file, &scene.file));
    scene.file = file;
    scene.file.st_ino++;
    CHECK(!finds(&scene) && !cl_module_memo_is_same(&file, &scene.file));
    scene.file = file;
    scene.file.st_size++;
    CHECK(!finds(&scene) && !cl_module_memo_is_same(&file, &scene.file));
    scene.file = file;
    scene.file.st_mtim.tv_sec++;
    CHECK(!finds(&scene) && !cl_module_memo_is_same(&file, &scene.file));
    scene.file = file;
    scene.file.st_mtim.tv_nsec++;
    CHECK(!finds(&scene) && !cl_module_memo_is_same(&file, &scene.file));
    scene.file = file;
    scene.file.st_ctim.tv_sec++;
    CHECK(!finds(&scene) && !cl_module_memo_is_same(&file, &scene.file));
    scene.file = file;
    scene.file.st_ctim.tv_nsec++;
    CHECK(!finds(&scene) && !cl_module_memo_is_same(&file, &scene.file));
    scene.file = file;
    scene.file.st_atim.tv_sec++; /* whoever reads it changes nothing */
    CHECK(finds(&scene) && cl_module_memo_is_same(&file, &scene.file));
}

TEST(what_changed_just_now_is_not_remembered)
{
    CL_CLEANUP_SCENE struct scene scene = make_scene();

    for (long ago = 0; ago <= 2; ago++) {
        scene.file.st_ctim.tv_sec = 1000 - ago;
        keep(&scene);
        CHECK(!finds(&scene));
    }
    scene.file.st_ctim.tv_sec = 1001; /* a clock that was set back */
    keep(&scene);
    CHECK(!finds(&scene));
    scene.file.st_ctim.tv_sec = 997;
    keep(&scene);
    CHECK(finds(&scene));
}

/* Puts TEXT in the place of what is remembered, with MODE. */
static void forge(const struct scene *scene, const char *text, mode_t mode)
{
    DIR *dir = opendir(scene->dir);
    struct dirent *entry;

    keep(scene);
    CL_ASSERT(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        CHECK(unlinkat(scene->cache, entry->d_name, 0) == 0);
        CL_CLEANUP_FD int fd =
            openat(scene->cache, entry->d_name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
        CHECK(fd >= 0 && cl_write_all(fd, text, strlen(text)) == 0);
    }
    (void)closedir(dir);
}

TEST(what_is_no_digest_is_not_believed)
{
    CL_CLEANUP_SCENE struct scene scene = make_scene();
    char text[80];

    forge(&scene, "", 0400);
    CHECK(!finds(&scene));
    forge(&scene, "aaaa", 0400);
    CHECK(!finds(&scene));
    memset(text, 'a', sizeof(text));
    text[65] = '\0';
    forge(&scene, text, 0400);
    CHECK(!finds(&scene));
    text[64] = '\0';
    forge(&scene, text, 0400);
    CHECK(finds(&scene)); /* so it was that */
    text[10] = 'A';
    forge(&scene, text, 0400);
    CHECK(!finds(&scene));
}

TEST(what_could_have_been_written_since_is_not_believed)
{
    CL_CLEANUP_SCENE struct scene scene = make_scene();

    forge(&scene, scene.digest.hex, 0400);
    CHECK(finds(&scene));
    forge(&scene, scene.digest.hex, 0600);
    CHECK(!finds(&scene));
    forge(&scene, scene.digest.hex, 0440);
    CHECK(!finds(&scene));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_same_file_is_found),
        ROW(another_file_is_not),
        ROW(what_changed_just_now_is_not_remembered),
        ROW(what_is_no_digest_is_not_believed),
        ROW(what_could_have_been_written_since_is_not_believed),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
