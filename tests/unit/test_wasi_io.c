/* test_wasi_io.c - reading and writing: streams that wait, files, lists of buffers. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>

#include "base/fault.h"
#include "wasi/io.h"
#include "wasi_scene.h"

static int is_ready(const struct cl_wasi_wait *wait)
{
    return poll(wait->fds, wait->count, 0) == 1;
}

/* --- streams ------------------------------------------------------------------------------- */

TEST(a_pipe_without_data_waits_and_with_data_is_read)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(scene_read(&scene, 0, 16) == CL_WASI_WAITS);
    const struct cl_wasi_wait *wait = cl_wasi_waits_for(scene.wasi);
    CHECK(wait->count == 1 && wait->fds[0].events == POLLIN && wait->deadline_ns == UINT64_MAX);
    CHECK(!is_ready(wait));
    CHECK(write(scene.streams[0], "hello", 5) == 5 && is_ready(wait));
    CHECK(CALL(&scene, "fd_read", 0, LIST, 1, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 5);
    CHECK_TEXT(scene_data(&scene), "hello");
    cl_fd_close(&scene.streams[0]);
    CHECK(scene_read(&scene, 0, 16) == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
}

TEST(who_does_not_want_to_wait_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(CALL(&scene, "fd_fdstat_set_flags", 0, CL_WASI_NONBLOCK) == CL_WASI_SUCCESS);
    CHECK(scene_read(&scene, 0, 16) == CL_WASI_AGAIN);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", 0, 0) == CL_WASI_SUCCESS);
    CHECK(scene_read(&scene, 0, 16) == CL_WASI_WAITS);
}

TEST(a_full_pipe_takes_what_it_has_room_for)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    char data[4096];

    CHECK(fcntl(scene.streams[1], F_SETPIPE_SZ, 8192) == 8192);
    scene_list(&scene, 0, DATA, 20000);
    CHECK(CALL(&scene, "fd_write", 1, LIST, 1, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 8192 && cl_wasi_written(scene.wasi, 1) == 8192);
    CHECK(CALL(&scene, "fd_write", 1, LIST, 1, RET) == CL_WASI_WAITS);
    const struct cl_wasi_wait *wait = cl_wasi_waits_for(scene.wasi);
    CHECK(wait->count == 1 && wait->fds[0].events == POLLOUT && !is_ready(wait));
    CHECK(read(scene.streams[1], data, sizeof(data)) == sizeof(data) && is_ready(wait));
    CHECK(CALL(&scene, "fd_write", 1, LIST, 1, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 4096 && cl_wasi_written(scene.wasi, 1) == 12288);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", 1, CL_WASI_NONBLOCK) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_write", 1, LIST, 1, RET) == CL_WASI_AGAIN);
    CHECK(cl_wasi_written(scene.wasi, 2) == 0);
}

static void broken_pipe(void)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    (void)signal(SIGPIPE, SIG_IGN); /* as the worker does: wasi.h */
    cl_fd_close(&scene.streams[1]);
    CHECK(scene_write(&scene, 1, "x") == CL_WASI_PIPE);
    CHECK(cl_wasi_written(scene.wasi, 1) == 0);
}

TEST(a_pipe_that_nobody_reads_is_broken)
{
    check_apart(broken_pipe);
}

TEST(a_stream_that_is_not_given_is_null)
{
    CLEANUP_SCENE struct scene scene = scene_bare();
    const uint8_t *stat = scene.memory.base + RET;

    scene_start(&scene, (const int[3]){-1, -1, -1}, 0);
    CHECK(scene_read(&scene, 0, 16) == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
    CHECK(scene_write(&scene, 1, "swallowed") == CL_WASI_SUCCESS && scene_ret(&scene) == 9);
    CHECK(cl_wasi_written(scene.wasi, 1) == 9);
    CHECK(CALL(&scene, "fd_seek", 0, 5, CL_WASI_WHENCE_SET, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret64(&scene, RET) == 0);
    CHECK(CALL(&scene, "fd_pread", 0, LIST, 1, 0, RET) == CL_WASI_SUCCESS &&
          scene_ret(&scene) == 0);
    CHECK(CALL(&scene, "fd_pwrite", 2, LIST, 1, 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 9 && cl_wasi_written(scene.wasi, 2) == 9);
    CHECK(CALL(&scene, "fd_fdstat_get", 0, RET) == CL_WASI_SUCCESS);
    CHECK(stat[0] == CL_WASI_TYPE_CHARACTER_DEVICE); /* and seeks, so that it is no terminal */
    CHECK((scene_ret64(&scene, RET + 8) & CL_WASI_RIGHT_FD_SEEK) != 0);
    CHECK(CALL(&scene, "fd_filestat_get", 0, RET) == CL_WASI_SUCCESS);
    CHECK(stat[16] == CL_WASI_TYPE_CHARACTER_DEVICE);
    CHECK(CALL(&scene, "fd_sync", 0) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_datasync", 0) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_advise", 0, 0, 0, 0) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_allocate", 1, 0, 1) == CL_WASI_NODEV);
    CHECK(CALL(&scene, "fd_filestat_set_size", 1, 0) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_filestat_set_times", 1, 0, 0, 0) == CL_WASI_PERM);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", 1, CL_WASI_APPEND) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_close", 1) == CL_WASI_SUCCESS);
    CHECK(scene_write(&scene, 1, "x") == CL_WASI_BADF);
}

TEST(a_terminal_is_one_by_what_it_can_not)
{
    CLEANUP_SCENE struct scene scene = scene_bare();
    CL_CLEANUP_FD int host = -1;
    int guest = -1;

    CHECK(openpty(&host, &guest, NULL, NULL, NULL) == 0);
    scene_start(&scene, (const int[3]){guest, -1, -1}, 0);
    CHECK(CALL(&scene, "fd_fdstat_get", 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene.memory.base[RET] == CL_WASI_TYPE_CHARACTER_DEVICE);
    CHECK((scene_ret64(&scene, RET + 8) & (CL_WASI_RIGHT_FD_SEEK | CL_WASI_RIGHT_FD_TELL)) == 0);
    CHECK(CALL(&scene, "fd_seek", 0, 0, CL_WASI_WHENCE_CUR, RET) == CL_WASI_SPIPE);
    CHECK(scene_read(&scene, 0, 4) == CL_WASI_WAITS);
    CHECK(write(host, "ab\n", 3) == 3 && is_ready(cl_wasi_waits_for(scene.wasi)));
    CHECK(scene_read(&scene, 0, 4) == CL_WASI_SUCCESS && scene_ret(&scene) == 3);
    CHECK(scene_write(&scene, 0, "x") == CL_WASI_SUCCESS); /* it was opened for both */
}

TEST(pipes_have_no_place)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_list(&scene, 0, DATA, 1);
    CHECK(CALL(&scene, "fd_seek", 0, 0, CL_WASI_WHENCE_SET, RET) == CL_WASI_SPIPE);
    CHECK(CALL(&scene, "fd_tell", 1, RET) == CL_WASI_SPIPE);
    CHECK(CALL(&scene, "fd_pread", 0, LIST, 1, 0, RET) == CL_WASI_SPIPE);
    CHECK(CALL(&scene, "fd_pwrite", 1, LIST, 1, 0, RET) == CL_WASI_SPIPE);
    CHECK(CALL(&scene, "fd_advise", 0, 0, 1, 0) == CL_WASI_SPIPE);
    CHECK(scene_write(&scene, 0, "x") == CL_WASI_NOTCAPABLE);
    CHECK(scene_read(&scene, 1, 1) == CL_WASI_NOTCAPABLE);
}

TEST(a_fifo_makes_nobody_wait_to_open_it)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(mkfifoat(scene.root, "fifo", 0644) == 0);
    CHECK(scene_try_open(&scene, ROOT, "fifo", 0, CL_WASI_RIGHT_FD_WRITE) == CL_WASI_NXIO);
    const uint32_t out = scene_open(&scene, "fifo", 0, CL_WASI_RIGHT_FD_READ);
    const uint32_t in = scene_open(&scene, "fifo", 0, CL_WASI_RIGHT_FD_WRITE);
    CHECK(scene_read(&scene, out, 4) == CL_WASI_WAITS);
    CHECK(scene_write(&scene, in, "data") == CL_WASI_SUCCESS);
    CHECK(scene_read(&scene, out, 4) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
}

/* --- files --------------------------------------------------------------------------------- */

TEST(files_are_read_and_written)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    CHECK(scene_write(&scene, fd, "0123456789") == CL_WASI_SUCCESS && scene_ret(&scene) == 10);
    CHECK(CALL(&scene, "fd_tell", fd, RET) == CL_WASI_SUCCESS && scene_ret(&scene) == 10);
    CHECK(CALL(&scene, "fd_seek", fd, (uint64_t)-4, CL_WASI_WHENCE_END, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret64(&scene, RET) == 6);
    CHECK(scene_read(&scene, fd, 16) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK_TEXT(scene_data(&scene), "6789");
    CHECK(scene_read(&scene, fd, 16) == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
    CHECK(CALL(&scene, "fd_pread", fd, LIST, 1, 2, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 8);
    scene_list(&scene, 0, DATA, scene_text(&scene, DATA, "AB"));
    CHECK(CALL(&scene, "fd_pwrite", fd, LIST, 1, 1, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 2 && scene_holds(&scene, "f", "0AB3456789"));
    CHECK(CALL(&scene, "fd_tell", fd, RET) == CL_WASI_SUCCESS && scene_ret(&scene) == 10);
    CHECK(CALL(&scene, "fd_seek", fd, (uint64_t)-11, CL_WASI_WHENCE_CUR, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_seek", fd, 0, 3, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_pread", fd, LIST, 1, 1ULL << 63, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_pwrite", fd, LIST, 1, UINT64_MAX, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "fd_read", 99, LIST, 1, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_pread", 99, LIST, 1, 0, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_seek", 99, 0, 0, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "fd_tell", 99, RET) == CL_WASI_BADF);
}

TEST(to_tell_needs_less_than_to_seek)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd =
        scene_open(&scene, "f", CL_WASI_CREAT, CL_WASI_RIGHT_FD_TELL | CL_WASI_RIGHT_FD_READ);

    CHECK(CALL(&scene, "fd_tell", fd, RET) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_seek", fd, 0, CL_WASI_WHENCE_CUR, RET) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_seek", fd, 1, CL_WASI_WHENCE_CUR, RET) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "fd_seek", fd, 0, CL_WASI_WHENCE_SET, RET) == CL_WASI_NOTCAPABLE);
    scene_list(&scene, 0, DATA, 1);
    CHECK(CALL(&scene, "fd_pread", fd, LIST, 1, 0, RET) == CL_WASI_NOTCAPABLE);
    const uint32_t seeks = scene_open(&scene, "f", 0, CL_WASI_RIGHT_FD_SEEK);
    CHECK(CALL(&scene, "fd_tell", seeks, RET) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_pread", seeks, LIST, 1, 0, RET) == CL_WASI_NOTCAPABLE);
}

/* --- lists --------------------------------------------------------------------------------- */

TEST(buffers_are_used_in_their_order)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    (void)scene_text(&scene, DATA, "onetwothree");
    scene_list(&scene, 0, DATA + 6, 5);
    scene_list(&scene, 1, MEMORY, 0); /* nothing, at the end */
    scene_list(&scene, 2, DATA, 3);
    CHECK(CALL(&scene, "fd_write", fd, LIST, 3, RET) == CL_WASI_SUCCESS && scene_ret(&scene) == 8);
    CHECK(scene_holds(&scene, "f", "threeone"));
    scene_list(&scene, 0, DATA, 2);
    scene_list(&scene, 1, DATA, 2); /* the same place: the later bytes stay */
    CHECK(CALL(&scene, "fd_pread", fd, LIST, 2, 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 4 && memcmp(scene_data(&scene), "re", 2) == 0);
    CHECK(CALL(&scene, "fd_read", fd, LIST, 0, RET) == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
    CHECK(CALL(&scene, "fd_read", 0, MEMORY, 0, RET) == CL_WASI_SUCCESS); /* an empty pipe */
}

TEST(a_list_that_is_overwritten_was_read_before)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_list(&scene, 0, LIST, 16); /* onto the list itself */
    scene_list(&scene, 1, DATA, 4);
    CHECK(write(scene.streams[0],
                "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                "more",
                20) == 20);
    CHECK(CALL(&scene, "fd_read", 0, LIST, 2, RET) == CL_WASI_SUCCESS && scene_ret(&scene) == 20);
    CHECK_TEXT(scene_data(&scene), "more");
    CHECK(cl_wasi_load32(scene.memory.base + LIST) == UINT32_MAX);
}

TEST(a_long_list_is_done_in_part)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    for (uint32_t i = 0; i < CL_WASI_MAX_LISTED + 2; i++)
        scene_list(&scene, i, DATA + i, 0);
    CHECK(CALL(&scene, "fd_write", fd, LIST, CL_WASI_MAX_LISTED, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 0);
    /* not 0 bytes, which is the end of a file */
    CHECK(CALL(&scene, "fd_read", fd, LIST, CL_WASI_MAX_LISTED + 1, RET) == CL_WASI_INVAL);
    for (uint32_t i = 0; i < CL_WASI_MAX_LISTED; i++)
        scene_list(&scene, i, DATA + i, i % 2);
    CHECK(CALL(&scene, "fd_write", fd, LIST, CL_WASI_MAX_LISTED, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == CL_WASI_MAX_BUFFERS);
    CHECK(CALL(&scene, "fd_write", fd, LIST, UINT32_MAX, RET) == CL_WASI_FAULT);
    CHECK(CALL(&scene, "fd_write", fd, 0, MEMORY / 8 + 1, RET) == CL_WASI_FAULT);
}

TEST(no_byte_is_lost_for_a_place_that_is_none)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(write(scene.streams[0], "kept", 4) == 4);
    scene_list(&scene, 0, DATA, 4);
    CHECK(CALL(&scene, "fd_read", 0, LIST, 1, MEMORY - 3) == CL_WASI_FAULT);
    scene_list(&scene, 0, MEMORY - 3, 4);
    CHECK(CALL(&scene, "fd_read", 0, LIST, 1, RET) == CL_WASI_FAULT);
    scene_list(&scene, 0, DATA, 2);
    scene_list(&scene, 1, UINT32_MAX, UINT32_MAX);
    CHECK(CALL(&scene, "fd_read", 0, LIST, 2, RET) == CL_WASI_FAULT);
    CHECK(scene_read(&scene, 0, 16) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK_TEXT(scene_data(&scene), "kept");
}

TEST(all_of_the_memory_is_written_at_once)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);
    struct stat st = {0};
    const off_t twice = 2 * (off_t)MEMORY;

    scene_list(&scene, 0, 0, MEMORY);
    scene_list(&scene, 1, 0, MEMORY);
    CHECK(CALL(&scene, "fd_write", fd, LIST, 2, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == twice && fstatat(scene.root, "f", &st, 0) == 0);
    CHECK(st.st_size == twice);
    CHECK(CALL(&scene, "fd_pread", fd, LIST, 2, 0, RET) == CL_WASI_SUCCESS);
}

/* --- bounds of one among many -------------------------------------------------------------- */

TEST(output_ends_at_its_limit)
{
    CLEANUP_SCENE struct scene scene = scene_make_bounded(0, (struct scene_bounds){10, 0});
    char got[32] = "";

    CHECK(scene_write(&scene, 1, "12345") == CL_WASI_SUCCESS && scene_ret(&scene) == 5);
    CHECK(scene_write(&scene, 2, "") == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
    scene_list(&scene, 0, DATA, scene_text(&scene, DATA, "abcdef"));
    scene_list(&scene, 1, DATA, 6);
    CHECK(CALL(&scene, "fd_write", 2, LIST, 2, RET) == CL_WASI_SUCCESS && scene_ret(&scene) == 5);
    CHECK(cl_wasi_written(scene.wasi, 1) == 5 && cl_wasi_written(scene.wasi, 2) == 5);
    CHECK(scene_write(&scene, 1, "") == CL_WASI_SUCCESS); /* nothing is not too much */
    CHECK(scene_write(&scene, 1, "x") == CL_WASI_EXCEEDS);
    CHECK(scene_write(&scene, 2, "x") == CL_WASI_EXCEEDS);
    CHECK(read(scene.streams[1], got, sizeof(got)) == 5 && memcmp(got, "12345", 5) == 0);
    CHECK(read(scene.streams[2], got, sizeof(got)) == 5 && memcmp(got, "abcde", 5) == 0);
    CHECK(fcntl(scene.streams[1], F_SETFL, O_NONBLOCK) == 0);
    CHECK(read(scene.streams[1], got, sizeof(got)) < 0 && errno == EAGAIN);
}

TEST(output_that_is_swallowed_counts)
{
    CLEANUP_SCENE struct scene scene = scene_bare();

    scene_start_bounded(&scene, (const int[3]){-1, -1, -1}, 0, (struct scene_bounds){6, 0});
    CHECK(scene_write(&scene, 1, "1234") == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    scene_list(&scene, 0, DATA, scene_text(&scene, DATA, "1234"));
    CHECK(CALL(&scene, "fd_pwrite", 2, LIST, 1, 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 2);
    CHECK(CALL(&scene, "fd_pwrite", 2, LIST, 1, 0, RET) == CL_WASI_EXCEEDS);
    CHECK(scene_write(&scene, 1, "x") == CL_WASI_EXCEEDS);
}

TEST(files_and_input_are_no_output)
{
    CLEANUP_SCENE struct scene scene = scene_make_bounded(0, (struct scene_bounds){2, 0});
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    CHECK(scene_write(&scene, fd, "more than two") == CL_WASI_SUCCESS && scene_ret(&scene) == 13);
    CHECK(write(scene.streams[0], "more", 4) == 4);
    CHECK(scene_read(&scene, 0, 16) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK(scene_write(&scene, 1, "xx") == CL_WASI_SUCCESS);
    CHECK(scene_write(&scene, fd, "more") == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
}

/* It has another number, and is still what it was. */
TEST(output_by_another_number_counts)
{
    CLEANUP_SCENE struct scene scene = scene_make_bounded(0, (struct scene_bounds){4, 0});
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    CHECK(CALL(&scene, "fd_renumber", 1, fd) == CL_WASI_SUCCESS);
    CHECK(scene_write(&scene, 1, "x") == CL_WASI_BADF);
    CHECK(scene_write(&scene, fd, "12345") == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK(cl_wasi_written(scene.wasi, 1) == 4);
    CHECK(scene_write(&scene, fd, "5") == CL_WASI_EXCEEDS);
}

TEST(a_full_pipe_waits_below_the_limit_only)
{
    CLEANUP_SCENE struct scene scene = scene_make_bounded(0, (struct scene_bounds){4096, 0});

    CHECK(fcntl(scene.streams[1], F_SETPIPE_SZ, 4096) == 4096);
    scene_list(&scene, 0, DATA, 4095);
    CHECK(CALL(&scene, "fd_write", 1, LIST, 1, RET) == CL_WASI_SUCCESS);
    CHECK(scene_write(&scene, 1, "abc") == CL_WASI_SUCCESS && scene_ret(&scene) == 1);
    CHECK(scene_write(&scene, 1, "a") == CL_WASI_EXCEEDS); /* and doesn't wait for room first */
}

TEST(one_transfer_of_a_file_is_bounded)
{
    CLEANUP_SCENE struct scene scene = scene_make_bounded(0, (struct scene_bounds){0, 1000});
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);
    struct stat st = {0};

    scene_list(&scene, 0, DATA, 600);
    scene_list(&scene, 1, DATA, 300);
    scene_list(&scene, 2, DATA, MEMORY - DATA);
    CHECK(CALL(&scene, "fd_write", fd, LIST, 3, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 1000 && fstatat(scene.root, "f", &st, 0) == 0);
    CHECK(st.st_size == 1000);
    CHECK(CALL(&scene, "fd_pwrite", fd, LIST, 3, 1000, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 1000);
    CHECK(CALL(&scene, "fd_pread", fd, LIST, 3, 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 1000);
    CHECK(CALL(&scene, "fd_seek", fd, 500, CL_WASI_WHENCE_SET, RET) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_read", fd, LIST, 3, RET) == CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 1000);
    CHECK(CALL(&scene, "fd_read", fd, LIST, 3, RET) == CL_WASI_SUCCESS && scene_ret(&scene) == 500);
    CHECK(CALL(&scene, "fd_write", 1, LIST, 3, RET) == CL_WASI_SUCCESS); /* pipes have their own */
    CHECK(scene_ret(&scene) > 1000);
}

/* --- what the worker says ------------------------------------------------------------------ */

static int has_nothing(int fd)
{
    char byte;

    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    const ssize_t got = read(fd, &byte, 1);
    return got == 0 || (got < 0 && errno == EAGAIN);
}

TEST(what_is_said_is_on_standard_error)
{
    CLEANUP_SCENE struct scene scene = scene_make_bounded(0, (struct scene_bounds){1, 0});
    char got[32] = "";

    CHECK(scene_write(&scene, 2, "x") == CL_WASI_SUCCESS);
    CHECK(read(scene.streams[2], got, sizeof(got)) == 1);
    cl_wasi_say(scene.wasi, "where it was\n"); /* which is no output of the guest's */
    CHECK(read(scene.streams[2], got, sizeof(got)) == 13);
    CHECK_TEXT(got, "where it was\n");
    CHECK(cl_wasi_written(scene.wasi, 2) == 1 && has_nothing(scene.streams[1]));
}

TEST(what_is_said_finds_standard_error_where_it_is)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);
    char got[32] = "";

    CHECK(CALL(&scene, "fd_renumber", fd, 2) == CL_WASI_SUCCESS); /* 2 is a file now */
    cl_wasi_say(scene.wasi, "not there");
    CHECK(scene_holds(&scene, "f", "") && has_nothing(scene.streams[2]));
    const uint32_t other = scene_open(&scene, "f", 0, ALL_RIGHTS);
    CHECK(CALL(&scene, "fd_renumber", 1, other) == CL_WASI_SUCCESS);
    cl_wasi_say(scene.wasi, "not there");
    CHECK(has_nothing(scene.streams[1]));

    CLEANUP_SCENE struct scene moved = scene_make();
    const uint32_t place = scene_open(&moved, "f", CL_WASI_CREAT, ALL_RIGHTS);
    CHECK(CALL(&moved, "fd_renumber", 2, place) == CL_WASI_SUCCESS);
    cl_wasi_say(moved.wasi, "there");
    CHECK(read(moved.streams[2], got, sizeof(got)) == 5 && memcmp(got, "there", 5) == 0);
}

static void say_to_nobody(void)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CLEANUP_SCENE struct scene bare = scene_bare();

    (void)signal(SIGPIPE, SIG_IGN); /* as the worker does: wasi.h */
    CHECK(fcntl(scene.streams[2], F_SETPIPE_SZ, 4096) == 4096);
    scene_list(&scene, 0, DATA, 4096);
    CHECK(CALL(&scene, "fd_write", 2, LIST, 1, RET) == CL_WASI_SUCCESS);
    cl_wasi_say(scene.wasi, "no room"); /* and nobody waits for some */
    cl_fd_close(&scene.streams[2]);
    cl_wasi_say(scene.wasi, "no reader");
    CHECK(CALL(&scene, "fd_close", 2) == CL_WASI_SUCCESS);
    cl_wasi_say(scene.wasi, "no stream");
    scene_start(&bare, (const int[3]){-1, -1, -1}, 0);
    cl_wasi_say(bare.wasi, "nothing at all");
    CHECK(cl_wasi_written(scene.wasi, 2) == 4096 && cl_wasi_written(bare.wasi, 2) == 0);
}

TEST(what_nobody_hears_is_said_for_nothing)
{
    check_apart(say_to_nobody);
}

/* --- failures ------------------------------------------------------------------------------ */

TEST(what_the_host_refuses_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, ALL_RIGHTS);

    scene_list(&scene, 0, DATA, 1);
    cl_fault_set("syscall:1");
    CHECK(CALL(&scene, "fd_read", fd, LIST, 1, RET) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set("syscall:1:28");
    CHECK(CALL(&scene, "fd_write", fd, LIST, 1, RET) == CL_WASI_NOSPC && cl_fault_struck());
    cl_fault_set("syscall:1:122");
    CHECK(CALL(&scene, "fd_pwrite", fd, LIST, 1, 0, RET) == CL_WASI_DQUOT && cl_fault_struck());
    cl_fault_set("syscall:1:27");
    CHECK(CALL(&scene, "fd_pwrite", fd, LIST, 1, 0, RET) == CL_WASI_FBIG && cl_fault_struck());
    cl_fault_set("syscall:1:4"); /* a signal: once more */
    CHECK(CALL(&scene, "fd_write", fd, LIST, 1, RET) == CL_WASI_SUCCESS && cl_fault_struck());
    cl_fault_set("syscall:1:11"); /* at a place nothing waits */
    CHECK(CALL(&scene, "fd_pread", fd, LIST, 1, 0, RET) == CL_WASI_AGAIN && cl_fault_struck());
    cl_fault_set("syscall:1:4000"); /* a number that nobody knows */
    CHECK(CALL(&scene, "fd_read", fd, LIST, 1, RET) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set("syscall:1:58"); /* one that the specification has none for */
    CHECK(CALL(&scene, "fd_read", fd, LIST, 1, RET) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_pipe_without_data_waits_and_with_data_is_read),
        ROW(who_does_not_want_to_wait_is_told),
        ROW(a_full_pipe_takes_what_it_has_room_for),
        ROW(a_pipe_that_nobody_reads_is_broken),
        ROW(a_stream_that_is_not_given_is_null),
        ROW(a_terminal_is_one_by_what_it_can_not),
        ROW(pipes_have_no_place),
        ROW(a_fifo_makes_nobody_wait_to_open_it),
        ROW(files_are_read_and_written),
        ROW(to_tell_needs_less_than_to_seek),
        ROW(buffers_are_used_in_their_order),
        ROW(a_list_that_is_overwritten_was_read_before),
        ROW(a_long_list_is_done_in_part),
        ROW(no_byte_is_lost_for_a_place_that_is_none),
        ROW(all_of_the_memory_is_written_at_once),
        ROW(output_ends_at_its_limit),
        ROW(output_that_is_swallowed_counts),
        ROW(files_and_input_are_no_output),
        ROW(output_by_another_number_counts),
        ROW(a_full_pipe_waits_below_the_limit_only),
        ROW(one_transfer_of_a_file_is_bounded),
        ROW(what_is_said_is_on_standard_error),
        ROW(what_is_said_finds_standard_error_where_it_is),
        ROW(what_nobody_hears_is_said_for_nothing),
        ROW(what_the_host_refuses_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
