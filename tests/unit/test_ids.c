/* test_ids.c - uid ranges: nobody gets one twice, and they come back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/ids.h"
#include "check.h"

static char base[] = "/tmp/cloister-test-ids-XXXXXX";

static struct cl_state open_base(void)
{
    return (struct cl_state){open(base, O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

TEST(ranges_are_whole_and_in_bounds)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();

    for (int i = 0; i < 100; i++) {
        CL_CLEANUP_FD int lock = -1;
        struct cl_error err = {0};
        uint32_t first = 0;

        CHECK(cl_ids_take(&state, &first, &lock, &err) == 0);
        CHECK(lock >= 0 && first >= CL_IDS_FIRST && first + CL_IDS_SIZE - 1 <= CL_IDS_LAST);
        CHECK((first - CL_IDS_FIRST) % CL_IDS_SIZE == 0);
        CHECK((fcntl(lock, F_GETFD) & FD_CLOEXEC) != 0);
    }
}

TEST(all_can_be_held_at_once_and_no_more)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    static int locks[CL_IDS_COUNT];
    static unsigned char seen[CL_IDS_COUNT];
    struct cl_error err = {0};
    uint32_t first = 0;
    int lock = -1;

    for (uint32_t i = 0; i < CL_IDS_COUNT; i++) {
        int r = cl_ids_take(&state, &first, &locks[i], &err);
        CHECK(r == 0);
        if (r < 0) {
            printf("# after %u: %s\n", i, err.msg);
            return;
        }
        uint32_t slot = (first - CL_IDS_FIRST) / CL_IDS_SIZE;
        CHECK(!seen[slot]);
        seen[slot] = 1;
    }
    CHECK(cl_ids_take(&state, &first, &lock, &err) == -EUSERS);
    CHECK_HAS(err.msg, "in use");
    cl_fd_close(&locks[77]);
    CHECK(cl_ids_take(&state, &first, &lock, &err) == 0);
    cl_fd_close(&lock);
    for (uint32_t i = 0; i < CL_IDS_COUNT; i++)
        cl_fd_close(&locks[i]);
}

/* Whether SLOT's byte is locked by anybody. */
static int is_held(uint32_t first)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    const uint32_t slot = (first - CL_IDS_FIRST) / CL_IDS_SIZE;
    char name[16];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};

    (void)snprintf(name, sizeof(name), "ids.%u", slot % CL_IDS_SHARDS);
    CL_CLEANUP_FD int fd = openat(state.dir, name, O_RDWR | O_CLOEXEC);

    CHECK(fcntl(fd, F_OFD_GETLK, &lock) == 0);
    return lock.l_type != F_UNLCK;
}

TEST(a_copy_of_the_descriptor_holds_the_range)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    uint32_t first = 0;
    int lock = -1;
    int pipe_fds[2] = {-1, -1};
    char byte;

    CHECK(cl_ids_take(&state, &first, &lock, &err) == 0 && pipe2(pipe_fds, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(pipe_fds[1]);
        _exit(read(pipe_fds[0], &byte, 1) != 0);
    }
    cl_fd_close(&lock);
    CHECK(is_held(first));
    (void)close(pipe_fds[1]);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(!is_held(first));
    (void)close(pipe_fds[0]);
}

TEST(a_killed_holder_gives_it_back)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    int pipe_fds[2] = {-1, -1};
    uint32_t first = 0;

    CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct cl_error err = {0};
        int lock = -1;

        if (cl_ids_take(&state, &first, &lock, &err) < 0 ||
            write(pipe_fds[1], &first, sizeof(first)) != sizeof(first))
            _exit(1);
        (void)pause();
    }
    CHECK(read(pipe_fds[0], &first, sizeof(first)) == sizeof(first));
    CHECK(is_held(first));
    (void)kill(child, SIGKILL);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(!is_held(first));
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

/* Removes the files of ids; LINK (may be NULL) comes in their places. */
static void replace_files(const struct cl_state *state, const char *link)
{
    char name[16];

    for (uint32_t i = 0; i < CL_IDS_SHARDS; i++) {
        (void)snprintf(name, sizeof(name), "ids.%u", i);
        (void)unlinkat(state->dir, name, 0); /* not each of them was needed */
        CHECK(link == NULL || symlinkat(link, state->dir, name) == 0);
    }
}

TEST(a_link_in_place_of_the_file_is_refused)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    uint32_t first = 0;
    int lock = -1;

    replace_files(&state, "elsewhere");
    CHECK(cl_ids_take(&state, &first, &lock, &err) == -ELOOP && lock == -1);
    replace_files(&state, NULL);
}

TEST(overlaps_are_found)
{
    static const struct {
        const char *text;
        int overlaps;
    } rows[] = {
        {"", 0},
        {"a:100000:65536\nb:165536:65536\n", 0},
        {"a:100000:65536\nb:1879048192:1\n", 1},
        {"a:1879048191:1\n", 0},
        {"a:1879048191:2", 1},
        {"a:2147352575:1", 1},
        {"a:2147352576:65536", 0},
        {"a:0:4294967296", 1},
        {"a:1:18446744073709551615", 1},
        {"a:1879048192:0", 0},
        {"rubbish\n::\na:b:c\n\n1879048192\n", 0},
        {"a:99999999999999999999999999999:1", 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        char line[128] = "";

        CHECK(cl_ids_overlap(rows[i].text, line) == rows[i].overlaps);
        CHECK((line[0] != '\0') == rows[i].overlaps);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(ranges_are_whole_and_in_bounds),           ROW(all_can_be_held_at_once_and_no_more),
        ROW(a_copy_of_the_descriptor_holds_the_range), ROW(a_killed_holder_gives_it_back),
        ROW(a_link_in_place_of_the_file_is_refused),   ROW(overlaps_are_found),
    };

    if (mkdtemp(base) == NULL)
        return 99;
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    CL_CLEANUP_STATE struct cl_state state = open_base();
    replace_files(&state, NULL);
    (void)rmdir(base);
    return failed;
}
