/* test_fetch_blob.c - a blob's bytes land in its file in order, and its ticks never promise more
 * than is there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "check.h"
#include "helpers/fetch/blob.h"

static struct cl_error err;

struct scene {
    struct cl_blob blob;
    int body;
    int pipe;
};

static int scene_init(struct scene *scene, uint64_t offset, uint64_t size)
{
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    scene->pipe = ends[0];
    scene->body = cl_sys_memfd_create("body", 1);
    CHECK(scene->body >= 0 && fcntl(scene->pipe, F_SETFL, O_NONBLOCK) == 0);
    int fds[2] = {fcntl(scene->body, F_DUPFD_CLOEXEC, 0), ends[1]};
    const int r = cl_blob_init(fds, offset, size, &scene->blob, &err);
    CHECK(fds[0] == -1 && fds[1] == -1);
    return r;
}

static void scene_done(struct scene *scene)
{
    cl_blob_done(&scene->blob);
    cl_fd_close(&scene->body);
    cl_fd_close(&scene->pipe);
}

/* The next tick, or UINT64_MAX where there is none. */
static uint64_t next_tick(const struct scene *scene)
{
    uint64_t tick = 0;

    return read(scene->pipe, &tick, sizeof(tick)) == sizeof(tick) ? tick : UINT64_MAX;
}

static const char *content(const struct scene *scene)
{
    static char text[64];
    const ssize_t size = pread(scene->body, text, sizeof(text) - 1, 0);

    text[size < 0 ? 0 : size] = '\0';
    return text;
}

TEST(writes_in_order_and_tells_after_it_is_there)
{
    struct scene scene;

    CHECK(scene_init(&scene, 0, 10) == 0);
    CHECK(next_tick(&scene) == 0);
    cl_blob_begin(&scene.blob, 0);
    CHECK(cl_blob_add(&scene.blob, "abc", 3, &err) == 0);
    CHECK(cl_blob_add(&scene.blob, "de", 2, &err) == 0);
    CHECK(next_tick(&scene) == UINT64_MAX && scene.blob.have == 0);
    CHECK(cl_blob_flush(&scene.blob, &err) == 0);
    CHECK(next_tick(&scene) == 5 && scene.blob.have == 5);
    CHECK_TEXT(content(&scene), "abcde");
    CHECK(cl_blob_flush(&scene.blob, &err) == 0);
    CHECK(next_tick(&scene) == UINT64_MAX);
    CHECK(cl_blob_add(&scene.blob, "fghij", 5, &err) == 0);
    CHECK(cl_blob_flush(&scene.blob, &err) == 0 && next_tick(&scene) == 10);
    CHECK_TEXT(content(&scene), "abcdefghij");
    scene_done(&scene);
}

TEST(goes_on_after_what_is_there)
{
    struct scene scene;

    CHECK(scene_init(&scene, 3, 6) == 0);
    CHECK(pwrite(scene.body, "abc", 3, 0) == 3);
    CHECK(next_tick(&scene) == 3);
    cl_blob_begin(&scene.blob, 3);
    CHECK(cl_blob_add(&scene.blob, "def", 3, &err) == 0);
    CHECK(cl_blob_flush(&scene.blob, &err) == 0 && next_tick(&scene) == 6);
    CHECK_TEXT(content(&scene), "abcdef");
    scene_done(&scene);
}

TEST(passes_over_what_is_there_when_all_comes_again)
{
    struct scene scene;

    CHECK(scene_init(&scene, 3, 6) == 0);
    CHECK(pwrite(scene.body, "abc", 3, 0) == 3);
    cl_blob_begin(&scene.blob, 0);
    CHECK(cl_blob_add(&scene.blob, "XX", 2, &err) == 0); /* not written again */
    CHECK(cl_blob_add(&scene.blob, "Xde", 3, &err) == 0);
    CHECK(cl_blob_flush(&scene.blob, &err) == 0 && scene.blob.have == 5);
    cl_blob_begin(&scene.blob, 0);
    CHECK(cl_blob_add(&scene.blob, "YYYYYf", 6, &err) == 0);
    CHECK(cl_blob_flush(&scene.blob, &err) == 0 && scene.blob.have == 6);
    CHECK_TEXT(content(&scene), "abcdef");
    scene_done(&scene);
}

TEST(takes_no_byte_more_than_the_blob_has)
{
    struct scene scene;

    CHECK(scene_init(&scene, 2, 4) == 0);
    cl_blob_begin(&scene.blob, 0);
    CHECK(cl_blob_add(&scene.blob, "abc", 3, &err) == 0);
    CHECK(cl_blob_add(&scene.blob, "de", 2, &err) == -EFBIG);
    CHECK(cl_blob_flush(&scene.blob, &err) == 0 && scene.blob.have == 3);
    scene_done(&scene);
    CHECK(scene_init(&scene, 5, 4) == -EINVAL);
    cl_fd_close(&scene.body);
    cl_fd_close(&scene.pipe);
}

TEST(gathers_small_pieces_and_holds_no_large_ones)
{
    enum { SIZE = 3 << 20, PIECE = 1000 };
    struct scene scene;
    static char piece[PIECE];
    unsigned int ticks = 0;
    uint64_t last = 0;

    CHECK(scene_init(&scene, 0, SIZE) == 0);
    cl_blob_begin(&scene.blob, 0);
    for (size_t left = SIZE; left > 0;) {
        const size_t size = left < PIECE ? left : PIECE;

        CHECK(cl_blob_add(&scene.blob, piece, size, &err) == 0);
        left -= size;
        CHECK(SIZE - left - scene.blob.have <= 256 << 10);
    }
    CHECK(cl_blob_flush(&scene.blob, &err) == 0 && scene.blob.have == SIZE);
    for (uint64_t tick = next_tick(&scene); tick != UINT64_MAX; tick = next_tick(&scene)) {
        CHECK(tick >= last);
        last = tick;
        ticks++;
    }
    CHECK(last == SIZE && ticks > 8 && ticks < 32);
    scene_done(&scene);
}

/* A reader that is behind misses ticks, but not the last one. */
TEST(sends_the_newest_tick_when_a_full_pipe_is_emptied)
{
    struct scene scene;
    uint64_t last = 0;
    uint64_t have = 0;

    CHECK(scene_init(&scene, 0, 100000) == 0);
    cl_blob_begin(&scene.blob, 0);
    while (!cl_blob_owes_tick(&scene.blob) && have < 100000) {
        CHECK(cl_blob_add(&scene.blob, "x", 1, &err) == 0);
        CHECK(cl_blob_flush(&scene.blob, &err) == 0);
        have++;
    }
    CHECK(have > 1000 && have < 100000);
    CHECK(cl_blob_add(&scene.blob, "yz", 2, &err) == 0);
    CHECK(cl_blob_flush(&scene.blob, &err) == 0 && cl_blob_owes_tick(&scene.blob));
    for (uint64_t tick = next_tick(&scene); tick != UINT64_MAX; tick = next_tick(&scene))
        last = tick;
    CHECK(last < have + 2);
    CHECK(cl_blob_tick(&scene.blob, &err) == 0 && !cl_blob_owes_tick(&scene.blob));
    CHECK(next_tick(&scene) == have + 2);
    scene_done(&scene);
}

TEST(notices_that_nobody_listens_any_more)
{
    struct scene scene;

    CHECK(scene_init(&scene, 0, 10) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    cl_fd_close(&scene.pipe);
    cl_blob_begin(&scene.blob, 0);
    CHECK(cl_blob_add(&scene.blob, "x", 1, &err) == 0);
    CHECK(cl_blob_flush(&scene.blob, &err) == -EPIPE && scene.blob.abandoned);
    (void)signal(SIGPIPE, SIG_DFL);
    scene_done(&scene);
}

TEST(needs_no_listener)
{
    struct cl_blob blob;
    int fds[2] = {cl_sys_memfd_create("body", 1), -1};

    CHECK(cl_blob_init(fds, 0, 3, &blob, &err) == 0 && !cl_blob_owes_tick(&blob));
    cl_blob_begin(&blob, 0);
    CHECK(cl_blob_add(&blob, "abc", 3, &err) == 0 && cl_blob_flush(&blob, &err) == 0);
    CHECK(blob.have == 3 && !cl_blob_owes_tick(&blob));
    cl_blob_done(&blob);
}

TEST(says_that_the_file_can_not_be_written)
{
    struct cl_blob blob;
    int fds[2] = {open("/dev/full", O_WRONLY | O_CLOEXEC), -1};

    CHECK(cl_blob_init(fds, 0, 3, &blob, &err) == 0);
    cl_blob_begin(&blob, 0);
    CHECK(cl_blob_add(&blob, "abc", 3, &err) == 0);
    CHECK(cl_blob_flush(&blob, &err) == -ENOSPC);
    CHECK_HAS(err.msg, "blob");
    CHECK(blob.have == 0);
    cl_blob_done(&blob);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(writes_in_order_and_tells_after_it_is_there),
        ROW(goes_on_after_what_is_there),
        ROW(passes_over_what_is_there_when_all_comes_again),
        ROW(takes_no_byte_more_than_the_blob_has),
        ROW(gathers_small_pieces_and_holds_no_large_ones),
        ROW(sends_the_newest_tick_when_a_full_pipe_is_emptied),
        ROW(notices_that_nobody_listens_any_more),
        ROW(needs_no_listener),
        ROW(says_that_the_file_can_not_be_written),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
