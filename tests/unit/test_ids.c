/* test_ids.c - uid ranges: nobody gets one twice, and they come back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/ids.h"
#include "check.h"

static const struct cl_ids_range whole = CL_IDS_DEFAULT;
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

        CHECK(cl_ids_take(&state, &whole, &first, &lock, &err) == 0);
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
    struct rlimit files;

    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0); /* a login's 1024 are too few */
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_max < CL_IDS_COUNT + 64)
        SKIP_TEST("needs a descriptor for each range");
    for (uint32_t i = 0; i < CL_IDS_COUNT; i++) {
        int r = cl_ids_take(&state, &whole, &first, &locks[i], &err);
        CHECK(r == 0);
        if (r < 0) {
            printf("# after %u: %s\n", i, err.msg);
            return;
        }
        uint32_t slot = (first - CL_IDS_FIRST) / CL_IDS_SIZE;
        CHECK(!seen[slot]);
        seen[slot] = 1;
    }
    CHECK(cl_ids_take(&state, &whole, &first, &lock, &err) == -EUSERS);
    CHECK_HAS(err.msg, "in use");
    cl_fd_close(&locks[77]);
    CHECK(cl_ids_take(&state, &whole, &first, &lock, &err) == 0);
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

    CHECK(cl_ids_take(&state, &whole, &first, &lock, &err) == 0 && pipe2(pipe_fds, O_CLOEXEC) == 0);
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

        if (cl_ids_take(&state, &whole, &first, &lock, &err) < 0 ||
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
    CHECK(cl_ids_take(&state, &whole, &first, &lock, &err) == -ELOOP && lock == -1);
    replace_files(&state, NULL);
}

/* A small range that isn't the default: all of it is given, and nothing else. */
TEST(a_configured_range_is_kept_to)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    static const struct cl_ids_range range = {300 * CL_IDS_SIZE, 70}; /* a shard or two twice */
    unsigned char seen[70] = {0};
    int locks[70];
    struct cl_error err = {0};
    uint32_t first = 0;
    int lock = -1;

    for (uint32_t i = 0; i < range.count; i++) {
        CHECK(cl_ids_take(&state, &range, &first, &locks[i], &err) == 0);
        uint32_t slot = (first - range.first) / CL_IDS_SIZE;
        CHECK(first % CL_IDS_SIZE == 0 && first >= range.first && slot < range.count);
        CHECK(slot < range.count && !seen[slot]++);
    }
    CHECK(cl_ids_take(&state, &range, &first, &lock, &err) == -EUSERS);
    CHECK_HAS(err.msg, "all 70 uid ranges");
    for (uint32_t i = 0; i < range.count; i++)
        cl_fd_close(&locks[i]);
}

/* The administrator moves the range while sandboxes run: no uid is given twice. */
TEST(what_is_in_use_stays_so_when_the_range_moves)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    static const struct cl_ids_range before = {300 * CL_IDS_SIZE, 3};
    static const struct cl_ids_range after = {301 * CL_IDS_SIZE, 3};
    struct cl_error err = {0};
    int locks[4] = {-1, -1, -1, -1};
    uint32_t first = 0;

    for (int i = 0; i < 3; i++)
        CHECK(cl_ids_take(&state, &before, &first, &locks[i], &err) == 0);
    CHECK(cl_ids_take(&state, &after, &first, &locks[3], &err) == 0);
    CHECK(first == 303 * CL_IDS_SIZE); /* of the three, the one that was not in reach before */
    int lock = -1;
    CHECK(cl_ids_take(&state, &after, &first, &lock, &err) == -EUSERS);
    for (int i = 0; i < 4; i++)
        cl_fd_close(&locks[i]);
}

static int parse(const char *subuid, const char *subgid, struct cl_ids_range *ret,
                 struct cl_error *err)
{
    const char *const texts[2] = {subuid, subgid};

    *err = (struct cl_error){0};
    return cl_ids_range_parse(texts, ret, err);
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
        {"cloisterer:1879048192:1", 1},
    };
    struct cl_ids_range range;
    struct cl_error err;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        for (int side = 0; side < 2; side++) {
            range = (struct cl_ids_range){0};
            int r = side ? parse("", rows[i].text, &range, &err)
                         : parse(rows[i].text, "", &range, &err);
            CHECK(r == (rows[i].overlaps ? -EEXIST : 0));
            CHECK(range.first == (r < 0 ? 0 : CL_IDS_FIRST));
            CHECK(range.count == (r < 0 ? 0 : CL_IDS_COUNT));
            if (r < 0)
                CHECK_HAS(err.msg, side ? "in /etc/subgid overlaps the uids 1879048192 to"
                                        : "in /etc/subuid overlaps the uids 1879048192 to");
        }
    }
    CHECK(parse("a:100000:65536\nb:1879048191:7\nc:1:1", "", &range, &err) == -EEXIST);
    CHECK_HAS(err.msg, "\"b:1879048191:7\" in /etc/subuid overlaps the uids 1879048192 to "
                       "2147352575 of sandboxes; move that range, or theirs by a line "
                       "\"cloister:FIRST:COUNT\"");
}

TEST(a_line_of_cloister_says_where)
{
    static const struct {
        const char *text;
        uint32_t first;
        uint32_t count;
    } rows[] = {
        {"cloister:65536:65536\n", 1, 1},
        {"a:100000:1000\ncloister:655360000:655360\nb:200000:65536", 10000, 10},
        {"cloister:655360001:655360", 10001, 9}, /* whole ones only */
        {"cloister:655359999:65538", 10000, 1},
        {"cloister:4294836224:65536", 65534, 1}, /* the last below that of uid -1 */
        {"a:1879048192:1\ncloister:655360000:655360", 10000, 10}, /* the default is free now */
        {"cloister:655360000:655360\na:655359999:1\nb:656015360:5", 10000, 10},
    };
    struct cl_ids_range range;
    struct cl_error err;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        range = (struct cl_ids_range){0};
        CHECK(parse(rows[i].text, rows[i].text, &range, &err) == 0);
        CHECK_TEXT(err.msg, "");
        CHECK(range.first == rows[i].first * CL_IDS_SIZE && range.count == rows[i].count);
    }
}

TEST(a_line_of_cloister_that_can_not_be_used_is_refused)
{
    static const char *const bad[] = {
        "cloister:65536:65535",
        "cloister:65537:65536",
        "cloister:0:65536", /* the host's own users */
        "cloister:0:131072\ncloister:655360000:65536",
        "cloister:4294901760:65536",
        "cloister:655360000:18446744073709551615",
        "cloister:18446744073709551615:65536",
        "cloister:655360000",
        "cloister:655360000:",
        "cloister::65536",
        "cloister: 655360000:65536",
        "cloister:655360000:65536 ",
        "cloister:655360000:65536:",
        "cloister:-1:65536",
        "cloister:0x10000:65536",
        "cloister:655360000:65536\ncloister:655360000:65536",
    };
    struct cl_ids_range range;
    struct cl_error err;

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(parse(bad[i], bad[i], &range, &err) == -EINVAL);
        CHECK_HAS(err.msg, "cloister");
        CHECK_HAS(err.msg, "; ");
    }
    CHECK(parse("cloister:655360000:65536", "", &range, &err) == -EINVAL);
    CHECK_HAS(err.msg, "say different things of cloister; write the same line");
    CHECK(parse("", "cloister:655360000:65536", &range, &err) == -EINVAL);
    CHECK(parse("cloister:655360000:65536", "cloister:655360000:131072", &range, &err) == -EINVAL);
    CHECK(parse("cloister:655360000:65536\na:655425535:1", "cloister:655360000:65536", &range,
                &err) == -EEXIST);
    CHECK_HAS(err.msg, "\"a:655425535:1\" in /etc/subuid overlaps the uids 655360000 to 655425535");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(ranges_are_whole_and_in_bounds),
        ROW(all_can_be_held_at_once_and_no_more),
        ROW(a_copy_of_the_descriptor_holds_the_range),
        ROW(a_killed_holder_gives_it_back),
        ROW(a_link_in_place_of_the_file_is_refused),
        ROW(a_configured_range_is_kept_to),
        ROW(what_is_in_use_stays_so_when_the_range_moves),
        ROW(overlaps_are_found),
        ROW(a_line_of_cloister_says_where),
        ROW(a_line_of_cloister_that_can_not_be_used_is_refused),
    };

    if (mkdtemp(base) == NULL)
        return 99;
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    CL_CLEANUP_STATE struct cl_state state = open_base();
    replace_files(&state, NULL);
    (void)rmdir(base);
    return failed;
}
