/* test_copy_confine.c - who is shut in with a copy makes files there, or reads them, and nothing
 * elsewhere. */
#include "copy/confine.h"

#include "base/fault.h"
#include "copy_scene.h"

static struct scene shared;

static int has_landlock(void)
{
    return cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION) >= 2;
}

#define NEEDS_LANDLOCK()                                                                           \
    do {                                                                                           \
        if (!has_landlock())                                                                       \
            SKIP_TEST("this kernel has no Landlock");                                              \
    } while (0)

/* All that a copy does, and what it doesn't. */
static void be_shut_in(void)
{
    CL_CLEANUP_BUF struct cl_buf stream = STREAM_INIT;
    CL_CLEANUP_FD int to = openat(shared.root, "to", O_PATH | O_DIRECTORY | O_CLOEXEC);
    CL_CLEANUP_FD int open_before = openat(shared.root, "from/f", O_WRONLY | O_CLOEXEC);
    struct cl_error err = {0};

    stream_dir(&stream, "");
    stream_file(&stream, "f", "old");
    stream_file(&stream, "f", "new");
    stream_link(&stream, "l", "f");
    stream_link(&stream, "l", "d");
    stream_dir(&stream, "d");
    stream_entry(&stream, (struct cl_copy_entry){.kind = CL_COPY_FILE, .mode = 0600}, "hole");
    stream_number(&stream, CL_COPY_HOLE | 4096);
    stream_number(&stream, 0);
    stream_up(&stream);
    stream_up(&stream);
    stream_end(&stream);
    CL_CLEANUP_FD int fd = scene_memory(stream.data, stream.size);
    CHECK(cl_copy_confine(to, &err) == 0);
    CHECK(scene_take(&shared, fd, "to", "it") == 0);
    CHECK(write(open_before, "x", 1) == 1);
    CHECK(openat(shared.root, "from/f", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(openat(shared.root, "from/f", O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(openat(shared.root, "beside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 &&
          errno == EACCES);
    CHECK(openat(to, "it/f", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(mkdirat(shared.root, "beside", 0700) < 0 && errno == EACCES);
    CHECK(symlinkat("x", shared.root, "beside") < 0 && errno == EACCES);
    CHECK(unlinkat(shared.root, "from/f", 0) < 0 && errno == EACCES);
    CHECK(mkfifoat(to, "fifo", 0600) < 0 && errno == EACCES);
    CHECK(renameat(to, "it", shared.root, "beside") < 0 && (errno == EACCES || errno == EXDEV));
    CHECK(execl("/bin/true", "true", (char *)NULL) < 0 && errno == EACCES);
}

TEST(a_copy_works_and_nothing_else)
{
    NEEDS_LANDLOCK();
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "from/f", "y");
    shared = scene;
    check_apart(be_shut_in);
    scene_holds(&scene, "to/it/f", "new");
    scene_links(&scene, "to/it/l", "d");
    CHECK(scene_stat(&scene, "to/it/d/hole").st_size == 4096);
    scene_holds(&scene, "from/f", "x");
    scene_check(&scene);
}

static int open_there(const char *name, int flags)
{
    int fd = openat(shared.root, name, flags | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : close(fd);
}

/* TOP, of the scene, goes out; nothing else is read, and nothing written. */
static void send_shut_in(const char *top)
{
    CL_CLEANUP_FD int place = openat(shared.root, top, O_PATH | O_CLOEXEC);
    CL_CLEANUP_FD int stream = scene_memory("", 0);
    struct cl_error err = {0};

    CHECK(cl_copy_confine_sender(place, &err) == 0);
    CHECK(scene_send(&shared, top, stream) == 0 && shared.left == 0);
    CHECK(open_there("to/beside", O_RDONLY) == -EACCES);
    CHECK(open_there("to", O_RDONLY | O_DIRECTORY) == -EACCES);
    CHECK(open_there("from/d/f", O_RDWR) == -EACCES);
    CHECK(open_there("from/d/new", O_WRONLY | O_CREAT) == -EACCES);
    CHECK(unlinkat(shared.root, "from/d/f", 0) < 0 && errno == EACCES);
    CHECK(execl("/bin/true", "true", (char *)NULL) < 0 && errno == EACCES);
}

static void send_a_tree(void)
{
    send_shut_in("from");
}

static void send_a_file(void)
{
    send_shut_in("from/d/f");
    CHECK(open_there("from/d", O_RDONLY | O_DIRECTORY) == -EACCES);
}

/* Which has a path in /proc alone. */
static void send_memory(void)
{
    CL_CLEANUP_FD int memory = scene_memory("x", 1);
    CL_CLEANUP_FD int stream = scene_memory("", 0);
    static struct cl_copy_out out;
    const struct cl_copy_sender sender = {.out = &out};
    struct cl_error err = {0};
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
    out.fd = stream;
    CHECK(cl_copy_confine_sender(memory, &err) == 0);
    CHECK(cl_copy_send(&sender, path, &err) == 0);
    CHECK(open_there("to/beside", O_RDONLY) == -EACCES);
}

TEST(who_sends_reads_that_alone)
{
    NEEDS_LANDLOCK();
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_dir(&scene, "from/d", 0755);
    scene_file(&scene, "from/d/f", "x");
    scene_file(&scene, "to/beside", "y");
    scene_link(&scene, "from/l", "../to/beside");
    shared = scene;
    check_apart(send_a_tree);
    check_apart(send_a_file);
    check_apart(send_memory);
}

static void fail_each(void)
{
    static const int calls[] = {SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_prctl,
                                SYS_landlock_restrict_self};
    CL_CLEANUP_FD int to = openat(shared.root, "to", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int fds = check_count_fds();

    for (size_t i = 0; i < CL_ARRAY_SIZE(calls); i++) {
        for (int n = 1; n <= (i == 0 ? 2 : 1); n++) {
            struct cl_error err = {0};
            char fault[64];

            (void)snprintf(fault, sizeof(fault), "lacks:%d#%d=%d", calls[i], n, ENOSPC);
            cl_fault_set(fault);
            CHECK(cl_copy_confine(to, &err) == -ENOSPC && cl_fault_struck());
            cl_fault_set(NULL);
            CHECK_HAS(err.msg, ": No space left on device");
            CHECK(check_count_fds() == fds);
        }
    }
}

TEST(what_fails_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    NEEDS_LANDLOCK();
    CLEANUP_SCENE struct scene scene = scene_make();

    shared = scene;
    check_apart(fail_each);
}

TEST(an_older_landlock_is_refused)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    struct cl_error err = {0};
    char fault[64];

    (void)snprintf(fault, sizeof(fault), "answers:%d=1", (int)SYS_landlock_create_ruleset);
    cl_fault_set(fault);
    CHECK(cl_copy_confine(0, &err) == -ENOTSUP);
    cl_fault_set(NULL);
    CHECK_TEXT(err.msg, "this kernel's Landlock is ABI 1 and at least 2 is needed");
    (void)snprintf(fault, sizeof(fault), "lacks:%d", (int)SYS_landlock_create_ruleset);
    cl_fault_set(fault);
    CHECK(cl_copy_confine(0, &err) == -ENOSYS);
    cl_fault_set(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_copy_works_and_nothing_else),
        ROW(who_sends_reads_that_alone),
        ROW(what_fails_is_told),
        ROW(an_older_landlock_is_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
