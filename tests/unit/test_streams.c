/* test_streams.c - the two programs between a download and a layer's tree: verify, which
 * hashes what it hands on, and inflate. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "helpers/image/inflate.h"
#include "helpers/image/verify.h"
#include "check.h"

/* "hello, layer\n" by gzip(1), and its digest. */
static const unsigned char hello_gzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                           0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8,
                                           0x49, 0xac, 0x4c, 0x2d, 0xe2, 0x02, 0x00};
static const char abc_digest[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char empty_digest[] =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static int memory_file(const void *data, size_t size)
{
    int fd = cl_sys_memfd_create("test", 1 /* MFD_CLOEXEC */);

    CHECK(fd >= 0 && cl_write_all(fd, data, size) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static size_t read_back(int fd, char *ret, size_t size)
{
    ssize_t got = pread(fd, ret, size, 0);

    CHECK(got >= 0);
    return (size_t)got;
}

/* --- verify -------------------------------------------------------------------- */

TEST(verify_hands_on_what_it_hashes)
{
    CL_CLEANUP_FD int source = memory_file("abc", 3);
    CL_CLEANUP_FD int sink = memory_file("", 0);
    CL_CLEANUP_FD int report = memory_file("", 0);
    struct cl_stream_report ret = {0};
    struct cl_stream_report told = {0};
    struct cl_error err = {0};
    char text[8];
    const struct cl_verify how = {
        .source = source, .ticks = -1, .sink = sink, .report = report, .max_bytes = 3};

    CHECK(cl_verify_prepare(&err) == 0);
    CHECK(cl_verify_run(&how, &ret, &err) == 0);
    CHECK_TEXT(ret.digest, abc_digest);
    CHECK(ret.bytes == 3 && ret.ended == 1);
    CHECK(read_back(sink, text, sizeof(text)) == 3 && memcmp(text, "abc", 3) == 0);
    CHECK(read_back(report, (char *)&told, sizeof(told)) == sizeof(told));
    CHECK(memcmp(&told, &ret, sizeof(ret)) == 0);
}

TEST(verify_of_nothing_is_the_empty_digest)
{
    CL_CLEANUP_FD int source = memory_file("", 0);
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    const struct cl_verify how = {.source = source, .ticks = -1, .sink = -1, .report = -1};

    CHECK(cl_verify_run(&how, &ret, &err) == 0);
    CHECK_TEXT(ret.digest, empty_digest);
}

TEST(verify_stops_at_its_bound)
{
    CL_CLEANUP_FD int source = memory_file("abc", 3);
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    const struct cl_verify how = {
        .source = source, .ticks = -1, .sink = -1, .report = -1, .max_bytes = 2};

    CHECK(cl_verify_run(&how, &ret, &err) == -EFBIG);
    CHECK_TEXT(err.msg, "there are more than 2 bytes");
    CHECK(ret.ended == 0);
}

/* A pipe that holds TEXT, and has no writer any more. */
static int pipe_with(const char *text)
{
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    CHECK(write(ends[1], text, strlen(text)) == (ssize_t)strlen(text));
    cl_fd_close(&ends[1]);
    return ends[0];
}

TEST(verify_hands_on_from_pipe_to_pipe_what_it_hashes)
{
    CL_CLEANUP_FD int source = pipe_with("abc");
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    char text[8];
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    const struct cl_verify how = {
        .source = source, .ticks = -1, .sink = ends[1], .is_teed = 1, .report = -1, .max_bytes = 3};
    CHECK(cl_verify_run(&how, &ret, &err) == 0);
    CHECK_TEXT(ret.digest, abc_digest);
    CHECK(read(ends[0], text, sizeof(text)) == 3 && memcmp(text, "abc", 3) == 0);
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
}

/* A signal between the two: the sink must not get the bytes once more. */
TEST(verify_from_pipe_to_pipe_hands_on_once)
{
    struct cl_error err = {0};
    char text[8];

    for (unsigned int nth = 1; nth <= 3; nth++) {
        CL_CLEANUP_FD int source = pipe_with("abc");
        struct cl_stream_report ret = {0};
        char fault[32];
        int ends[2];

        CHECK(cl_sys_pipe2(ends, 0) == 0);
        const struct cl_verify how = {.source = source,
                                      .ticks = -1,
                                      .sink = ends[1],
                                      .is_teed = 1,
                                      .report = -1,
                                      .max_bytes = 3};
        (void)snprintf(fault, sizeof(fault), "self:syscall:%u:%d", nth, EINTR);
        cl_fault_set(fault);
        CHECK(cl_verify_run(&how, &ret, &err) == 0);
        CHECK(cl_fault_struck());
        cl_fault_set(NULL);
        CHECK_TEXT(ret.digest, abc_digest);
        CHECK(read(ends[0], text, sizeof(text)) == 3 && memcmp(text, "abc", 3) == 0);
        cl_fd_close(&ends[0]);
        cl_fd_close(&ends[1]);
    }
}

TEST(verify_from_pipe_to_pipe_stops_at_its_bound)
{
    CL_CLEANUP_FD int source = pipe_with("abc");
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    const struct cl_verify how = {
        .source = source, .ticks = -1, .sink = ends[1], .is_teed = 1, .report = -1, .max_bytes = 2};
    CHECK(cl_verify_run(&how, &ret, &err) == -EFBIG);
    CHECK_TEXT(err.msg, "there are more than 2 bytes");
    CHECK(ret.ended == 0);
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
}

/* The file grows as the ticks say; what is there beyond them is not looked at. */
TEST(verify_follows_a_file_that_grows)
{
    CL_CLEANUP_FD int source = memory_file("ab", 2);
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    uint64_t tick = 1;
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    const struct cl_verify how = {
        .source = source, .is_file = 1, .ticks = ends[0], .sink = -1, .report = -1, .max_bytes = 3};
    pid_t writer = fork();
    if (writer == 0) {
        (void)!write(ends[1], &tick, sizeof(tick));
        (void)!pwrite(source, "abcXXX", 6, 0);
        tick = 3;
        (void)!write(ends[1], &tick, sizeof(tick));
        _exit(0);
    }
    cl_fd_close(&ends[1]);
    CHECK(cl_verify_run(&how, &ret, &err) == 0);
    CHECK_TEXT(ret.digest, abc_digest);
    CHECK(waitpid(writer, NULL, 0) == writer);
    cl_fd_close(&ends[0]);
}

TEST(verify_finds_a_file_that_is_shorter_than_its_ticks)
{
    CL_CLEANUP_FD int source = memory_file("ab", 2);
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    const uint64_t tick = 3;
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    CHECK(write(ends[1], &tick, sizeof(tick)) == sizeof(tick));
    cl_fd_close(&ends[1]);
    const struct cl_verify how = {
        .source = source, .is_file = 1, .ticks = ends[0], .sink = -1, .report = -1, .max_bytes = 9};
    CHECK(cl_verify_run(&how, &ret, &err) == -EIO);
    CHECK_TEXT(err.msg, "there are fewer bytes than was said");
    cl_fd_close(&ends[0]);
}

/* A part of an archive; and one that the archive hasn't whole. */
TEST(verify_of_a_part_of_a_file)
{
    CL_CLEANUP_FD int source = memory_file("xxabcyy", 7);
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    struct cl_verify how = {.source = source,
                            .is_file = 1,
                            .ticks = -1,
                            .sink = -1,
                            .report = -1,
                            .offset_bytes = 2,
                            .max_bytes = 3};

    CHECK(cl_verify_run(&how, &ret, &err) == 0);
    CHECK_TEXT(ret.digest, abc_digest);
    how.max_bytes = 6;
    CHECK(cl_verify_run(&how, &ret, &err) == -EIO);
}

TEST(verify_ends_when_nobody_reads)
{
    CL_CLEANUP_FD int source = memory_file("abc", 3);
    struct cl_stream_report ret = {0};
    struct cl_error err = {0};
    int ends[2];

    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    cl_fd_close(&ends[0]);
    const struct cl_verify how = {
        .source = source, .ticks = -1, .sink = ends[1], .report = -1, .max_bytes = 3};
    CHECK(cl_verify_run(&how, &ret, &err) == -EPIPE);
    cl_fd_close(&ends[1]);
}

/* --- inflate ------------------------------------------------------------------- */

/* The whole member: its trailer is the CRC-32 and the size. */
static size_t make_hello(unsigned char ret[64])
{
    static const unsigned char trailer[] = {0x33, 0x31, 0x4d, 0xe6, 0x0d, 0, 0, 0};
    size_t size = sizeof(hello_gzip);

    memcpy(ret, hello_gzip, size);
    memcpy(ret + size, trailer, sizeof(trailer));
    return size + sizeof(trailer);
}

static int inflate(enum cl_compression how, const void *data, size_t size, int sink,
                   struct cl_error *err)
{
    CL_CLEANUP_FD int source = memory_file(data, size);

    return cl_inflate_run(how, source, sink, err);
}

TEST(gzip_members_follow_one_another)
{
    CL_CLEANUP_FD int sink = memory_file("", 0);
    struct cl_error err = {0};
    unsigned char twice[128];
    char text[64];
    size_t size = make_hello(twice);

    memcpy(twice + size, twice, size);
    CHECK(inflate(CL_COMPRESSION_GZIP, twice, 2 * size, sink, &err) == 0);
    CHECK(read_back(sink, text, sizeof(text)) == 26);
    CHECK(memcmp(text, "hello, layer\nhello, layer\n", 26) == 0);
}

TEST(gzip_that_is_cut_or_wrong_is_refused)
{
    CL_CLEANUP_FD int sink = memory_file("", 0);
    struct cl_error err = {0};
    unsigned char whole[64];
    size_t size = make_hello(whole);

    for (size_t cut = 1; cut < size; cut++)
        CHECK(inflate(CL_COMPRESSION_GZIP, whole, cut, sink, &err) == -EBADMSG);
    CHECK(inflate(CL_COMPRESSION_GZIP, whole, 0, sink, &err) == -EBADMSG);
    CHECK_HAS(err.msg, "the gzip stream ends in its middle");
    whole[size - 8] ^= 1;
    CHECK(inflate(CL_COMPRESSION_GZIP, whole, size, sink, &err) == -EBADMSG);
    CHECK_HAS(err.msg, "its checksum is wrong");
    whole[size - 8] ^= 1;
    memcpy(whole + size, "junk, not a member", 18);
    CHECK(inflate(CL_COMPRESSION_GZIP, whole, size + 18, sink, &err) == -EBADMSG);
    CHECK_HAS(err.msg, "not a gzip stream near byte");
}

TEST(zstd_frames_follow_one_another)
{
    CL_CLEANUP_FD int sink = memory_file("", 0);
    struct cl_error err = {0};
    char twice[128];
    char text[16];
    size_t size = ZSTD_compress(twice, sizeof(twice), "layer", 5, 1);

    CHECK(!ZSTD_isError(size));
    memcpy(twice + size, twice, size);
    CHECK(inflate(CL_COMPRESSION_ZSTD, twice, 2 * size, sink, &err) == 0);
    CHECK(read_back(sink, text, sizeof(text)) == 10 && memcmp(text, "layerlayer", 10) == 0);
    CHECK(inflate(CL_COMPRESSION_ZSTD, twice, size - 1, sink, &err) == -EBADMSG);
    CHECK_HAS(err.msg, "the zstd stream ends in its middle");
    CHECK(inflate(CL_COMPRESSION_ZSTD, "nonsense", 8, sink, &err) == -EBADMSG);
    CHECK_HAS(err.msg, "not a zstd stream near byte 0");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(verify_hands_on_what_it_hashes),
        ROW(verify_of_nothing_is_the_empty_digest),
        ROW(verify_stops_at_its_bound),
        ROW(verify_hands_on_from_pipe_to_pipe_what_it_hashes),
        ROW(verify_from_pipe_to_pipe_hands_on_once),
        ROW(verify_from_pipe_to_pipe_stops_at_its_bound),
        ROW(verify_follows_a_file_that_grows),
        ROW(verify_finds_a_file_that_is_shorter_than_its_ticks),
        ROW(verify_of_a_part_of_a_file),
        ROW(verify_ends_when_nobody_reads),
        ROW(gzip_members_follow_one_another),
        ROW(gzip_that_is_cut_or_wrong_is_refused),
        ROW(zstd_frames_follow_one_another),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
