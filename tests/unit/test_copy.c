/* test_copy.c - trees that go over whole, and the bounds of a copy. */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "copy_scene.h"

enum { DATA_END = 3 << 20, BIG = 2 << 20 };

static char big[BIG];

static void fill_big(void)
{
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof(big); i++) {
        state = state * 1664525 + 1013904223;
        big[i] = (char)(state >> 24);
    }
}

static void set_time(const struct scene *scene, const char *name, time_t seconds, long ns)
{
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = seconds, .tv_nsec = ns}};

    CHECK(utimensat(scene->root, name, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static int same_bytes(const struct scene *scene, const char *name, const char *data, size_t size)
{
    static char got[BIG + 1];
    CL_CLEANUP_FD int fd = openat(scene->root, name, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, got, sizeof(got)) == (ssize_t)size && memcmp(got, data, size) == 0;
}

/* --- what goes over ---------------------------------------------------------------------- */

TEST(a_tree_goes_over_with_modes_and_times)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_dir(&scene, "from/d", 0755);
    scene_dir(&scene, "from/d/empty", 0700);
    scene_dir(&scene, "from/d/readonly", 0755);
    scene_file(&scene, "from/d/readonly/f", "deep");
    scene_file(&scene, "from/d/nothing", "");
    scene_file(&scene, "from/d/run", "#!/bin/sh\n");
    scene_link(&scene, "from/d/link", "readonly/f");
    scene_link(&scene, "from/d/readonly/up", "../run");
    CHECK(fchmodat(scene.root, "from/d/run", 0751, 0) == 0);
    CHECK(fchmodat(scene.root, "from/d/nothing", 0400, 0) == 0);
    set_time(&scene, "from/d/run", 1000000007, 123456789);
    set_time(&scene, "from/d/nothing", -5, 5);
    set_time(&scene, "from/d/readonly", 86400, 0);
    CHECK(fchmodat(scene.root, "from/d/readonly", 0555, 0) == 0);
    scene_ok(&scene, "from/d", "to/d");
    CHECK(scene.left == 0 && scene.entries == 8 && scene.bytes == 14);
    scene_holds(&scene, "to/d/readonly/f", "deep");
    scene_holds(&scene, "to/d/run", "#!/bin/sh\n");
    scene_links(&scene, "to/d/link", "readonly/f");
    scene_links(&scene, "to/d/readonly/up", "../run");
    CHECK(check_count_entries(scene_path(&scene, "to/d/empty")) == 0);
    CHECK(scene_mode(&scene, "to/d/empty") == 0700 && scene_mode(&scene, "to/d") == 0755);
    CHECK(scene_mode(&scene, "to/d/run") == 0751 && scene_mode(&scene, "to/d/nothing") == 0400);
    CHECK(scene_mode(&scene, "to/d/readonly") == 0555);
    CHECK(scene_stat(&scene, "to/d/nothing").st_size == 0);
    CHECK(scene_stat(&scene, "to/d/run").st_mtim.tv_sec == 1000000007);
    CHECK(scene_stat(&scene, "to/d/run").st_mtim.tv_nsec == 123456789);
    CHECK(scene_stat(&scene, "to/d/nothing").st_mtim.tv_sec == -5);
    CHECK(scene_stat(&scene, "to/d/readonly").st_mtim.tv_sec == 86400);
    scene_check(&scene);
    /* so that rm can */
    CHECK(fchmodat(scene.root, "from/d/readonly", 0755, 0) == 0);
    CHECK(fchmodat(scene.root, "to/d/readonly", 0755, 0) == 0);
}

/* Whatever the mask of who copies. */
TEST(modes_are_those_of_the_files)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const mode_t before = umask(0777);

    scene_dir(&scene, "from/d", 0775);
    scene_file(&scene, "from/d/f", "x");
    CHECK(fchmodat(scene.root, "from/d/f", 0666, 0) == 0);
    scene_ok(&scene, "from/d", "to/d");
    (void)umask(before);
    CHECK(scene_mode(&scene, "to/d") == 0775 && scene_mode(&scene, "to/d/f") == 0666);
}

/* What is there keeps what it has. */
TEST(a_directory_that_is_there_keeps_its_mode)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_dir(&scene, "from/d", 0755);
    scene_file(&scene, "from/d/f", "x");
    scene_dir(&scene, "to/d", 0700);
    set_time(&scene, "from/d", 5, 0);
    scene_ok(&scene, "from/d", "to");
    CHECK(scene_mode(&scene, "to/d") == 0700 && scene_stat(&scene, "to/d").st_mtim.tv_sec > 5);
}

TEST(no_set_id_or_sticky_bits_go_over)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_dir(&scene, "from/d", 0755);
    scene_dir(&scene, "from/d/sticky", 0755);
    scene_file(&scene, "from/d/f", "x");
    CHECK(fchmodat(scene.root, "from/d/f", 06755, 0) == 0);
    CHECK(fchmodat(scene.root, "from/d/sticky", 03777, 0) == 0);
    CHECK(scene_mode(&scene, "from/d/f") == 06755);
    scene_ok(&scene, "from/d", "to/d");
    CHECK(scene_mode(&scene, "to/d/f") == 0755 && scene_mode(&scene, "to/d/sticky") == 0777);
}

TEST(any_name_goes_over)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    char path[64];
    char content[16];
    char longest[CL_COPY_NAME_MAX + 8] = "from/d/";

    scene_dir(&scene, "from/d", 0755);
    for (int byte = 1; byte < 256; byte++) {
        if (byte == '/' || byte == '.')
            continue;
        (void)snprintf(path, sizeof(path), "from/d/%c", byte);
        (void)snprintf(content, sizeof(content), "%d", byte);
        scene_file(&scene, path, content);
    }
    scene_file(&scene, "from/d/\n\033[2J\xff \xc3", "many");
    scene_file(&scene, "from/d/-rf", "word");
    memset(longest + 7, 'x', CL_COPY_NAME_MAX);
    scene_file(&scene, longest, "long");
    scene_ok(&scene, "from/d", "to/d");
    for (int byte = 1; byte < 256; byte++) {
        if (byte == '/' || byte == '.')
            continue;
        (void)snprintf(path, sizeof(path), "to/d/%c", byte);
        (void)snprintf(content, sizeof(content), "%d", byte);
        scene_holds(&scene, path, content);
    }
    scene_holds(&scene, "to/d/\n\033[2J\xff \xc3", "many");
    longest[2] = 't';
    longest[3] = 'o';
    scene_holds(&scene, longest + 2, "long");
    CHECK(scene.entries == 1 + 253 + 3);
}

TEST(content_of_any_size_goes_over)
{
    static const size_t sizes[] = {1,
                                   4095,
                                   4096,
                                   CL_COPY_BUFFER - 9,
                                   CL_COPY_BUFFER - 8,
                                   CL_COPY_BUFFER - 1,
                                   CL_COPY_BUFFER,
                                   CL_COPY_BUFFER + 1,
                                   BIG};
    CLEANUP_SCENE struct scene scene = scene_make();
    char name[32];

    scene_dir(&scene, "from/d", 0755);
    for (size_t i = 0; i < CL_ARRAY_SIZE(sizes); i++) {
        (void)snprintf(name, sizeof(name), "from/d/%zu", sizes[i]);
        CL_CLEANUP_FD int fd = openat(scene.root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        CHECK(fd >= 0 && cl_write_all(fd, big, sizes[i]) == 0);
    }
    scene_ok(&scene, "from/d", "to/d");
    for (size_t i = 0; i < CL_ARRAY_SIZE(sizes); i++) {
        (void)snprintf(name, sizeof(name), "to/d/%zu", sizes[i]);
        CHECK(same_bytes(&scene, name, big, sizes[i]));
    }
}

/* Through a pipe, which gives what it has. */
TEST(a_pipe_carries_it)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    int ends[2];
    int status = -1;

    scene_dir(&scene, "from/d", 0755);
    CL_CLEANUP_FD int file = openat(scene.root, "from/d/big", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(file >= 0 && cl_write_all(file, big, sizeof(big)) == 0);
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    CL_CLEANUP_FD int reading = ends[0];
    CL_CLEANUP_FD int writing = ends[1];
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(scene_send(&scene, "from/d", writing) < 0);
    cl_fd_close(&writing);
    CHECK(scene_take(&scene, reading, "to", "d") == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(same_bytes(&scene, "to/d/big", big, sizeof(big)));
}

/* --- sparse files ------------------------------------------------------------------------ */

static void make_sparse(const struct scene *scene, const char *name, off_t data, off_t size)
{
    CL_CLEANUP_FD int fd = openat(scene->root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    CHECK(fd >= 0 && ftruncate(fd, size) == 0);
    CHECK(data < 0 || pwrite(fd, "data", 4, data) == 4);
}

TEST(sparse_files_stay_sparse)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    static const struct {
        const char *name;
        off_t data, size;
    } files[] = {
        {"hole", -1, 1 << 30},
        {"first", 0, 1 << 30},
        {"last", (1 << 30) - 4, 1 << 30},
        {"middle", 5 << 20, 10 << 20},
        {"odd", 12345, (1 << 20) + 1},
        {"short", -1, 1},
    };
    char name[32];

    scene_dir(&scene, "from/d", 0755);
    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        (void)snprintf(name, sizeof(name), "from/d/%s", files[i].name);
        make_sparse(&scene, name, files[i].data, files[i].size);
    }
    CL_CLEANUP_FD int stream = scene_memory("", 0);
    CHECK(scene_send(&scene, "from/d", stream) == 0);
    CHECK(lseek(stream, 0, SEEK_CUR) < 1 << 20); /* holes aren't sent */
    CHECK(lseek(stream, 0, SEEK_SET) == 0);
    CHECK(scene_take(&scene, stream, "to", "d") == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        char got[4] = "";

        (void)snprintf(name, sizeof(name), "to/d/%s", files[i].name);
        const struct stat st = scene_stat(&scene, name);
        CHECK(st.st_size == files[i].size);
        CHECK(st.st_blocks < 256);
        CL_CLEANUP_FD int fd = openat(scene.root, name, O_RDONLY | O_CLOEXEC);
        CHECK(files[i].data < 0 ||
              (pread(fd, got, 4, files[i].data) == 4 && memcmp(got, "data", 4) == 0));
    }
}

/* --- links ------------------------------------------------------------------------------- */

static void make_links(const struct scene *scene)
{
    scene_dir(scene, "from/d", 0755);
    scene_dir(scene, "from/d/e", 0755);
    scene_link(scene, "from/d/e/up", "..");
    scene_link(scene, "from/d/e/out", "../..");
    scene_link(scene, "from/d/absolute", "/etc/passwd");
    scene_link(scene, "from/d/chain", "e/up/e");
    scene_link(scene, "from/d/trick", "e/up/..");
    scene_link(scene, "from/d/loop", "loop");
}

TEST(links_out_of_the_tree_are_left_out)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    make_links(&scene);
    scene_ok(&scene, "from/d", "to/d");
    CHECK(scene.left == 3 && scene.why == EXDEV);
    scene_links(&scene, "to/d/e/up", "..");
    scene_links(&scene, "to/d/chain", "e/up/e");
    scene_links(&scene, "to/d/loop", "loop");
    CHECK(!scene_has(&scene, "to/d/e/out") && !scene_has(&scene, "to/d/absolute"));
    CHECK(!scene_has(&scene, "to/d/trick"));
    scene_check(&scene);
}

TEST(into_a_sandbox_all_links_go)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    static char target[CL_COPY_TARGET_MAX + 1];

    memset(target, 'x', CL_COPY_TARGET_MAX);
    scene.any_links = 1;
    make_links(&scene);
    scene_link(&scene, "from/d/long", target);
    scene_ok(&scene, "from/d", "to/d");
    CHECK(scene.left == 0);
    scene_links(&scene, "to/d/e/out", "../..");
    scene_links(&scene, "to/d/absolute", "/etc/passwd");
    CHECK(scene_stat(&scene, "to/d/long").st_size == CL_COPY_TARGET_MAX);
}

/* At its own place alone. */
TEST(a_link_that_is_named_is_followed)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_dir(&scene, "from/d", 0755);
    scene_file(&scene, "from/d/f", "of f");
    scene_link(&scene, "from/to-d", "d");
    scene_link(&scene, "from/to-f", "d/f");
    scene_link(&scene, "from/gone", "nowhere");
    scene_ok(&scene, "from/to-d", "to");
    scene_holds(&scene, "to/to-d/f", "of f");
    scene_ok(&scene, "from/to-f", "to");
    scene_holds(&scene, "to/to-f", "of f");
    CHECK(scene_copy(&scene, "from/gone", "to") == -ENOENT);
    CHECK_HAS(scene.err.msg, "/from/gone: No such file or directory");
}

/* --- what doesn't go --------------------------------------------------------------------- */

TEST(other_kinds_are_left_out)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    CL_CLEANUP_FD int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    scene_dir(&scene, "from/d", 0755);
    CHECK(mkfifoat(scene.root, "from/d/fifo", 0644) == 0);
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/from/d/socket", scene.path);
    CHECK(bind(socket_fd, (const struct sockaddr *)&name, sizeof(name)) == 0);
    scene_file(&scene, "from/d/f", "of f");
    scene_ok(&scene, "from/d", "to/d");
    CHECK(scene.left == 2 * 2 && scene.why == 0); /* both ends say so */
    CHECK(check_count_entries(scene_path(&scene, "to/d")) == 1);
    CHECK(scene_copy(&scene, "from/d/fifo", "to") == -EINVAL);
    CHECK_HAS(scene.err.msg, "/from/d/fifo: it is neither a file nor a directory");
    CHECK(scene_copy(&scene, "from/d/socket", "to") == -EINVAL);
    CHECK(scene_copy(&scene, "../../../dev/null", "to") == -EINVAL);
}

TEST(what_can_not_be_read_is_left_out)
{
    enum { NOBODY = 65534 };
    CLEANUP_SCENE struct scene scene = scene_make();
    const int is_root = geteuid() == 0;

    scene_dir(&scene, "from/d", 0755);
    scene_dir(&scene, "from/d/closed", 0);
    scene_file(&scene, "from/d/secret", "x");
    CHECK(fchmodat(scene.root, "from/d/secret", 0, 0) == 0);
    scene_file(&scene, "from/d/f", "of f");
    CHECK(fchmodat(scene.root, "to", 0777, 0) == 0 && chmod(scene.path, 0755) == 0);
    CHECK(!is_root || seteuid(NOBODY) == 0); /* who has no capabilities in effect */
    scene_ok(&scene, "from/d", "to/d");
    CHECK(scene.left == 2 * 2 && scene.why == EACCES);
    scene_holds(&scene, "to/d/f", "of f");
    CHECK(check_count_entries(scene_path(&scene, "to/d")) == 1);
    CHECK(scene_copy(&scene, "from/d/secret", "to") == -EACCES);
    CHECK(scene_copy(&scene, "from/d/closed", "to") == -EACCES);
    CHECK(!is_root || seteuid(0) == 0);
    CHECK(fchmodat(scene.root, "from/d/closed", 0755, 0) == 0); /* so that rm can */
}

/* --- bounds ------------------------------------------------------------------------------ */

TEST(depth_has_a_bound)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    char path[CL_COPY_PATH_MAX] = "from/d";
    size_t size = strlen(path);

    scene_dir(&scene, path, 0755);
    for (int level = 1; level < CL_COPY_DEPTH_MAX + 2; level++) {
        memcpy(path + size, "/d", 3);
        size += 2;
        scene_dir(&scene, path, 0755);
    }
    scene_ok(&scene, "from/d", "to/d");
    CHECK(scene.left == 2 && scene.why == ELOOP);
    CHECK(scene.entries == CL_COPY_DEPTH_MAX + 1);
    memcpy(path + 2, "to", 2);
    path[6 + 2 * (CL_COPY_DEPTH_MAX - 1)] = '\0'; /* behind the last level that went */
    CHECK(scene_has(&scene, path + 2));
    CHECK(check_count_entries(scene_path(&scene, path + 2)) == 0);
}

TEST(bytes_have_a_bound)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_dir(&scene, "from/d", 0755);
    scene_file(&scene, "from/d/a", "12345");
    scene_file(&scene, "from/d/b", "12345");
    scene.most_bytes = 10;
    scene_ok(&scene, "from/d", "to/fits");
    scene.most_bytes = 9;
    CHECK(scene_copy(&scene, "from/d", "to/not") == -EMSGSIZE);
    CHECK_TEXT(scene.err.msg, "more than 9 bytes are to be copied");
    CHECK(scene.bytes == 5);
    make_sparse(&scene, "from/hole", -1, 1 << 20);
    scene.most_bytes = (1 << 20) - 1;
    CHECK(scene_copy(&scene, "from/hole", "to/hole") == -EMSGSIZE);
    CHECK(scene_stat(&scene, "to/hole").st_size == 0);
    scene.most_bytes = 0;
    CHECK(scene_copy(&scene, "from/d/a", "to/a") == -EMSGSIZE);
}

TEST(entries_have_a_bound)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_dir(&scene, "from/d", 0755);
    scene_file(&scene, "from/d/a", "");
    scene_link(&scene, "from/d/l", "a");
    CHECK(mkfifoat(scene.root, "from/d/fifo", 0644) == 0);
    scene.most_entries = 4; /* with what is left out, and told */
    scene_ok(&scene, "from/d", "to/fits");
    CHECK(scene.entries == 4);
    scene.most_entries = 3;
    CHECK(scene_copy(&scene, "from/d", "to/not") == -E2BIG);
    CHECK_TEXT(scene.err.msg, "more than 3 files are to be copied");
    scene.most_entries = 0;
    CHECK(scene_copy(&scene, "from/d/a", "to/a") == -E2BIG);
    CHECK(!scene_has(&scene, "to/a"));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_tree_goes_over_with_modes_and_times),
        ROW(modes_are_those_of_the_files),
        ROW(a_directory_that_is_there_keeps_its_mode),
        ROW(no_set_id_or_sticky_bits_go_over),
        ROW(any_name_goes_over),
        ROW(content_of_any_size_goes_over),
        ROW(a_pipe_carries_it),
        ROW(sparse_files_stay_sparse),
        ROW(links_out_of_the_tree_are_left_out),
        ROW(into_a_sandbox_all_links_go),
        ROW(a_link_that_is_named_is_followed),
        ROW(other_kinds_are_left_out),
        ROW(what_can_not_be_read_is_left_out),
        ROW(depth_has_a_bound),
        ROW(bytes_have_a_bound),
        ROW(entries_have_a_bound),
    };

    fill_big();
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
