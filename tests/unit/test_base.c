/* test_base.c - the small tools of src/base. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/follow.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/num.h"
#include "base/sha256.h"
#include "base/steps.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "check.h"

TEST(buf_keeps_its_cap_and_its_nul)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(8);

    CHECK(strcmp(cl_buf_text(&buf), "") == 0);
    CHECK(cl_buf_add_str(&buf, "1234") == 0);
    CHECK(cl_buf_add_str(&buf, "56789") == -EFBIG);
    CHECK_TEXT(cl_buf_text(&buf), "1234");
    CHECK(cl_buf_printf(&buf, "%d", 5678) == 0);
    CHECK_TEXT(cl_buf_text(&buf), "12345678");
    CHECK(cl_buf_add(&buf, "", 0) == 0);
    CHECK(cl_buf_grow(&buf, 1) == -EFBIG);
    CHECK_TEXT(cl_buf_text(&buf), "12345678");
    CHECK(cl_buf_add(&buf, "x", SIZE_MAX) == -EFBIG);
}

TEST(buf_begins_in_what_was_lent_and_outgrows_it)
{
    char storage[16];
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT_IN(64, storage);

    memset(storage, 'x', sizeof(storage));
    CHECK(strcmp(cl_buf_text(&buf), "") == 0); /* whatever lies there */
    CHECK(cl_buf_add_str(&buf, "123456789012345") == 0);
    CHECK(buf.data == storage);
    CHECK(cl_buf_add_str(&buf, "6") == 0);
    CHECK(buf.data != storage);
    CHECK_TEXT(cl_buf_text(&buf), "1234567890123456");
    CHECK_TEXT(storage, "123456789012345");
    cl_buf_done(&buf);
    CHECK(buf.data == NULL && strcmp(cl_buf_text(&buf), "") == 0);
}

TEST(arena_begins_in_what_was_lent)
{
    struct cl_arena_storage storage;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT_IN(1 << 16, &storage);
    CL_CLEANUP_ARENA struct cl_arena other = CL_ARENA_INIT_IN(1 << 16, &storage);

    memset(&storage, 'x', sizeof(storage));
    const char *object = cl_arena_alloc(&arena, 100);
    CHECK(object > storage.bytes && object < storage.bytes + sizeof(storage));
    CHECK((uintptr_t)object % 16 == 0 && object[0] == 0 && object[99] == 0);
    const char *second = cl_arena_alloc(&arena, sizeof(storage)); /* has no room there */
    CHECK(second != NULL && (second < storage.bytes || second >= storage.bytes + sizeof(storage)));
    cl_arena_done(&arena);
    object = cl_arena_alloc(&other, sizeof(storage)); /* nor as the first */
    CHECK(object != NULL && (object < storage.bytes || object >= storage.bytes + sizeof(storage)));
}

/* Too much is the caller's affair, and no memory is the host's: they are told apart. */
TEST(buf_tells_no_room_from_no_memory)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);

    CHECK(cl_buf_grow(&buf, 3) == 0 && buf.size == 3);
    CHECK(memcmp(buf.data, "\0\0\0", 4) == 0);
    CHECK(cl_buf_grow(&buf, 1 << 20) == -EFBIG && buf.size == 3);
#ifdef CL_FAULTS
    cl_fault_set("self:alloc:1");
    CHECK(cl_buf_grow(&buf, 1 << 19) == -ENOMEM && buf.size == 3);
    cl_fault_set(NULL);
#endif
}

TEST(arena_zeroes_aligns_and_stops_at_its_cap)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
    char *object = cl_arena_alloc(&arena, 3);

    CHECK(object != NULL && object[0] == 0 && object[2] == 0);
    CHECK((uintptr_t)object % 16 == 0);
    CHECK((uintptr_t)cl_arena_alloc(&arena, 1) % 16 == 0);
    CHECK(cl_arena_alloc(&arena, 1 << 17) == NULL);
    CHECK(cl_arena_array(&arena, SIZE_MAX / 2, 3) == NULL);
    CHECK(cl_arena_strndup(&arena, "", SIZE_MAX) == NULL);
    CHECK_TEXT(cl_arena_strndup(&arena, "abcdef", 3), "abc");
    CHECK_TEXT(cl_arena_printf(&arena, "%s-%d", "a", 7), "a-7");
    CHECK(cl_arena_alloc(&arena, 20000) != NULL); /* a block of its own */
    while (cl_arena_alloc(&arena, 100) != NULL)
        ;
    CHECK(arena.used <= arena.cap);
}

TEST(numbers_are_whole_strings)
{
    static const char *const bad[] = {"", " 1", "+1", "-1", "1 ", "0x10", "1e3", "1,0", "1.0"};
    uint64_t value = 7;

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++)
        CHECK(cl_parse_u64(bad[i], &value) == -EINVAL);
    CHECK(value == 7);
    CHECK(cl_parse_u64("18446744073709551615", &value) == 0 && value == UINT64_MAX);
    CHECK(cl_parse_u64("18446744073709551616", &value) == -ERANGE);
}

TEST(sizes_have_units)
{
    uint64_t value = 0;

    CHECK(cl_parse_size("1048576", &value) == 0 && value == 1 << 20);
    CHECK(cl_parse_size("512MiB", &value) == 0 && value == 512ULL << 20);
    CHECK(cl_parse_size("512m", &value) == 0 && value == 512ULL << 20);
    CHECK(cl_parse_size("1.5g", &value) == 0 && value == 3ULL << 29);
    CHECK(cl_parse_size(".5g", &value) == 0 && value == 512ULL << 20);
    CHECK(cl_parse_size("0b", &value) == 0 && value == 0);
    CHECK(cl_parse_size(".g", &value) == -EINVAL);
    CHECK(cl_parse_size("1x", &value) == -EINVAL);
    CHECK(cl_parse_size("1 m", &value) == -EINVAL);
    CHECK(cl_parse_size("1.m", &value) == -EINVAL);
    CHECK(cl_parse_size("18446744073709551615k", &value) == -ERANGE);
}

TEST(durations_have_units)
{
    uint64_t value = 0;

    CHECK(cl_parse_duration("90", &value) == 0 && value == 90 * CL_NS_PER_S);
    CHECK(cl_parse_duration("1h30m", &value) == 0 && value == 5400 * CL_NS_PER_S);
    CHECK(cl_parse_duration("1.5m", &value) == 0 && value == 90 * CL_NS_PER_S);
    CHECK(cl_parse_duration("500ms", &value) == 0 && value == 500 * CL_NS_PER_MS);
    CHECK(cl_parse_duration(".5s", &value) == 0 && value == 500 * CL_NS_PER_MS);
    CHECK(cl_parse_duration("", &value) == -EINVAL);
    CHECK(cl_parse_duration("1s.5s.", &value) == -EINVAL);
    CHECK(cl_parse_duration("5s5", &value) == -EINVAL);
    CHECK(cl_parse_duration("0s5", &value) == -EINVAL);
    CHECK(cl_parse_duration("0s", &value) == 0 && value == 0);
    CHECK(cl_parse_duration("0", &value) == 0 && value == 0);
    CHECK(cl_parse_duration("5y", &value) == -EINVAL);
    CHECK(cl_parse_duration("99999999999999999999s", &value) == -ERANGE);
    CHECK(cl_parse_duration("9999999999999d", &value) == -ERANGE);
}

TEST(cpus_and_modes)
{
    uint64_t cpus = 0;
    uint32_t mode = 0;

    CHECK(cl_parse_millicpus("1.5", &cpus) == 0 && cpus == 1500);
    CHECK(cl_parse_millicpus("0.01", &cpus) == 0 && cpus == 10);
    CHECK(cl_parse_millicpus(".5", &cpus) == 0 && cpus == 500);
    CHECK(cl_parse_millicpus(".", &cpus) == -EINVAL);
    CHECK(cl_parse_millicpus("5.", &cpus) == -EINVAL);
    CHECK(cl_parse_millicpus("-.5", &cpus) == -EINVAL);
    CHECK(cl_parse_millicpus("nan", &cpus) == -EINVAL);
    CHECK(cl_parse_millicpus("1e999", &cpus) == -EINVAL);
    CHECK(cl_parse_octal("1777", &mode) == 0 && mode == 01777);
    CHECK(cl_parse_octal("8", &mode) == -EINVAL);
    CHECK(cl_parse_octal("77777777777777", &mode) == -ERANGE);
}

TEST(json_is_always_valid)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    struct cl_json json;

    cl_json_begin(&json, &buf, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "a\"b", "x\n\x7f\xff\\");
    cl_json_string(&json, "none", NULL);
    cl_json_array(&json, "list");
    cl_json_u64(&json, NULL, UINT64_MAX);
    cl_json_i64(&json, NULL, -5);
    cl_json_decimal(&json, NULL, 1, 50);
    cl_json_bool(&json, NULL, 1);
    cl_json_close(&json, ']');
    cl_json_object(&json, "empty");
    cl_json_close(&json, '}');
    cl_json_close(&json, '}');
    CHECK(cl_json_end(&json) == 0);
    CHECK_TEXT(cl_buf_text(&buf), "{\"a\\\"b\":\"x\\u000a\\u007f\\ufffd\\\\\",\"none\":null,"
                                  "\"list\":[18446744073709551615,-5,1.050,true],\"empty\":{}}\n");
}

TEST(json_has_nothing_that_steers_a_terminal)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    struct cl_json json;

    cl_json_begin(&json, &buf, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json,
                   "\xc2\x9b"
                   "31m",
                   "\x1b[\xc2\x80\xc2\xa0\xe2\x80\xae\xe2\x80\xa8\xe2\x82\xac");
    cl_json_close(&json, '}');
    CHECK(cl_json_end(&json) == 0);
    CHECK_TEXT(cl_buf_text(&buf), "{\"\\u009b31m\":\"\\u001b[\\u0080\xc2\xa0\\u202e\\u2028"
                                  "\xe2\x82\xac\"}\n");
}

TEST(json_reports_a_full_buffer)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4);
    struct cl_json json;

    cl_json_begin(&json, &buf, 1);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "key", "value");
    cl_json_close(&json, '}');
    CHECK(cl_json_end(&json) == -EFBIG);
}

static void check_sha256(const char *text, size_t repeat, const char *expected)
{
    struct cl_sha256 hash;
    char hex[CL_SHA256_HEX_SIZE];

    cl_sha256_init(&hash);
    for (size_t i = 0; i < repeat; i++)
        cl_sha256_add(&hash, text, strlen(text));
    cl_sha256_final_hex(&hash, hex);
    CHECK_TEXT(hex, expected);
}

/* The examples that NIST gives for FIPS 180-4. */
TEST(sha256_is_fips_180_4)
{
    check_sha256("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha256("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sha256("a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(errors_are_one_printable_line)
{
    struct cl_error err = {0};
    char longest[2000];

    CHECK(cl_fail(&err, -ENOENT, "open %s", "a\nb\x1b[1m") == -ENOENT);
    CHECK(err.code == ENOENT);
    CHECK_TEXT(err.msg, "open a?b?[1m: No such file or directory");
    CHECK(cl_prefix(&err, "step %d", 3) == -ENOENT);
    CHECK_HAS(err.msg, "step 3: open a?b");
    CHECK(cl_hint(&err, "try %s", "again") == -ENOENT);
    CHECK_HAS(err.msg, "; try again");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    CHECK(cl_refuse(&err, EINVAL, "%s", longest) == -EINVAL);
    CHECK(strlen(err.msg) == CL_ERROR_MSG_SIZE - 1);
    CHECK(cl_prefix(&err, "%s", longest) == -EINVAL);
    CHECK(cl_hint(&err, "%s", longest) == -EINVAL);
}

/* As a peer that is told of it demands: wherever it is cut. */
TEST(errors_are_utf8)
{
    char accents[CL_ERROR_MSG_SIZE];

    for (size_t i = 0; i + 1 < sizeof(accents); i++)
        accents[i] = (char)(i % 2 == 0 ? 0xc3 : 0xa9);
    accents[sizeof(accents) - 2] = '\0'; /* behind a whole one */
    for (int i = 0; i < 4; i++) {
        struct cl_error err = {0};

        CHECK(cl_refuse(&err, EINVAL, "%s", accents) == -EINVAL);
        CHECK(cl_utf8_is_valid(err.msg));
        CHECK(cl_prefix(&err, "%.*s", i, "xxx") == -EINVAL);
        CHECK(cl_utf8_is_valid(err.msg));
        CHECK(cl_refuse(&err, EINVAL, "%.*s", i, "xxx") == -EINVAL);
        CHECK(cl_hint(&err, "%s", accents) == -EINVAL);
        CHECK(cl_utf8_is_valid(err.msg) && strlen(err.msg) == CL_ERROR_MSG_SIZE - 1);
    }
}

TEST(errors_that_nobody_knows_have_their_number)
{
    struct cl_error err = {0};

    CHECK(cl_fail(&err, -999, "mount %s", "x") == -999);
    CHECK_TEXT(err.msg, "mount x: error 999");
    CHECK(cl_fail(&err, 524, "mount %s", "x") == -524); /* ENOTSUPP, the kernel's own */
    CHECK_TEXT(err.msg, "mount x: error 524");
}

/* --- steps ---------------------------------------------------------------- */

struct trail {
    char text[32];
    int fail_at;
    int step;
};

static int go(void *context, struct cl_error *err)
{
    struct trail *trail = context;

    if (++trail->step == trail->fail_at)
        return cl_refuse(err, EBUSY, "no");
    (void)strncat(trail->text, "+", 2);
    return 0;
}

static void back_a(void *context)
{
    (void)strncat(((struct trail *)context)->text, "a", 2);
}

static void back_b(void *context)
{
    (void)strncat(((struct trail *)context)->text, "b", 2);
}

static const struct cl_step rows[] = {
    {"first", go, back_a}, {"second", go, NULL}, {"third", go, back_b}, {"fourth", go, NULL}};

TEST(steps_undo_what_was_done)
{
    struct trail whole = {.fail_at = 0};
    struct trail part = {.fail_at = 4};
    struct cl_error err = {0};

    CHECK(cl_steps_run(rows, CL_ARRAY_SIZE(rows), &whole, &err) == 0);
    CHECK_TEXT(whole.text, "++++");
    cl_steps_undo(rows, CL_ARRAY_SIZE(rows), &whole);
    CHECK_TEXT(whole.text, "++++ba");
    CHECK(cl_steps_run(rows, CL_ARRAY_SIZE(rows), &part, &err) == -EBUSY);
    CHECK_TEXT(err.msg, "fourth: no");
    CHECK_TEXT(part.text, "+++ba");
}

/* --- loop and descriptors -------------------------------------------------- */

static int on_event(struct cl_source *source, uint32_t events, struct cl_error *err)
{
    struct cl_loop *loop = source->context;
    char byte;

    (void)events;
    if (read(source->fd, &byte, 1) != 1)
        return cl_refuse(err, EIO, "nothing to read");
    cl_loop_remove(loop, source);
    cl_loop_stop(loop);
    return 0;
}

TEST(loop_dispatches_and_stops)
{
    struct cl_loop loop;
    struct cl_error err = {0};
    int ends[2];

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    CHECK(cl_loop_init(&loop, &err) == 0);
    struct cl_source source = {
        .fd = ends[0], .events = EPOLLIN, .on_event = on_event, .context = &loop};
    CHECK(cl_loop_add(&loop, &source, &err) == 0);
    CHECK(write(ends[1], "xy", 2) == 2);
    CHECK(cl_loop_run(&loop, &err) == 0);
    CHECK(!source.added);
    cl_loop_done(&loop);
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
    CHECK(ends[0] == -1);
}

TEST(loop_dispatches_one_event_of_those_that_are_asked_for)
{
    struct cl_loop loop;
    struct cl_error err = {0};
    int ends[2];

    CHECK(cl_sys_pipe2(ends, O_NONBLOCK) == 0);
    CHECK(cl_loop_init(&loop, &err) == 0);
    struct cl_source source = {.fd = ends[0], .on_event = on_event, .context = &loop};
    CHECK(cl_loop_add(&loop, &source, &err) == 0);
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK(cl_loop_dispatch(&loop, 0, &err) == 0); /* nobody asked for it */
    CHECK(cl_loop_dispatch(&loop, 1000, &err) == 0);
    cl_fault_set("syscall:1");
    CHECK(cl_loop_change(&loop, &source, EPOLLIN, &err) == -EIO && source.added);
    cl_fault_set(NULL);
    CHECK(source.events == 0 && cl_loop_dispatch(&loop, 0, &err) == 0);
    CHECK(cl_loop_change(&loop, &source, EPOLLIN, &err) == 0 && source.events == EPOLLIN);
    CHECK(cl_loop_dispatch(&loop, UINT64_MAX, &err) == 1 && !source.added);
    CHECK(cl_loop_add(&loop, &source, &err) == 0 && cl_loop_dispatch(&loop, 0, &err) == 0);
    cl_fd_close(&ends[1]);
    CHECK(cl_loop_dispatch(&loop, UINT64_MAX, &err) == -EIO);
    CHECK_TEXT(err.msg, "nothing to read");
    cl_fault_set("syscall:1:4"); /* a signal came first */
    CHECK(cl_loop_dispatch(&loop, UINT64_MAX, &err) == 0);
    cl_fault_set("syscall:1");
    CHECK(cl_loop_dispatch(&loop, UINT64_MAX, &err) == -EIO);
    CHECK_HAS(err.msg, "epoll_pwait2");
    cl_fault_set(NULL);
    cl_loop_done(&loop);
    cl_fd_close(&ends[0]);
}

/* Also where somebody else holds what the descriptor stood for, as a process just forked does. */
TEST(loop_tells_no_source_that_was_removed)
{
    struct cl_loop loop;
    struct cl_error err = {0};
    int ends[2];

    CHECK(cl_sys_pipe2(ends, O_NONBLOCK) == 0);
    CL_CLEANUP_FD int other = dup(ends[0]);
    CHECK(cl_loop_init(&loop, &err) == 0);
    struct cl_source source = {
        .fd = ends[0], .events = EPOLLIN, .on_event = on_event, .context = &loop};
    CHECK(cl_loop_add(&loop, &source, &err) == 0);
    CHECK(write(ends[1], "x", 1) == 1);
    cl_fault_set("syscall:1");
    cl_loop_remove(&loop, &source);
    cl_fault_set(NULL);
    cl_fd_close(&ends[0]);
    CHECK(cl_loop_dispatch(&loop, 0, &err) == 0);
    cl_loop_done(&loop);
    cl_fd_close(&ends[1]);
}

TEST(reading_stops_at_the_cap)
{
    CL_CLEANUP_BUF struct cl_buf small = CL_BUF_INIT(9);
    CL_CLEANUP_BUF struct cl_buf large = CL_BUF_INIT(10);
    CL_CLEANUP_FD int fd = cl_sys_memfd_create("t", MFD_CLOEXEC);
    struct cl_error err = {0};

    CHECK(cl_write_all(fd, "0123456789", 10) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(cl_read_all(fd, "it", &small, &err) == -EFBIG);
    CHECK_TEXT(err.msg, "it is larger than 9 bytes");
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(cl_read_all(fd, "it", &large, &err) == 0);
    CHECK(large.size == 10);
}

TEST(only_regular_files_are_opened)
{
    static const struct {
        const char *path;
        const char *message;
    } files[] = {
        {"fifo", ": not a regular file"},
        {"directory", ": not a regular file"},
        {"socket", ": not a regular file"},
        {"loop", ": Too many levels of symbolic links"},
        {"none", ": No such file or directory"},
        {"large", " is larger than 10 bytes"},
        {"link", NULL},
        {"small", NULL},
    };
    char dir[] = "/tmp/test-regular-XXXXXX";
    char path[64];

    CHECK(mkdtemp(dir) != NULL);
    int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(mkfifoat(at, "fifo", 0600) == 0 && mkdirat(at, "directory", 0700) == 0);
    CHECK(mknodat(at, "socket", S_IFSOCK | 0600, 0) == 0 && symlinkat("loop", at, "loop") == 0);
    CHECK(symlinkat("small", at, "link") == 0);
    CHECK(close(openat(at, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
    CHECK(close(openat(at, "small", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
    (void)snprintf(path, sizeof(path), "%s/large", dir);
    CHECK(truncate(path, 11) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        struct cl_error err = {0};

        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i].path);
        CL_CLEANUP_FD int fd = cl_follow_regular(path, 10, &err);
        CHECK((fd >= 0) == (files[i].message == NULL));
        if (files[i].message != NULL)
            CHECK_HAS(err.msg, files[i].message);
        (void)unlinkat(at, files[i].path,
                       strcmp(files[i].path, "directory") == 0 ? AT_REMOVEDIR : 0);
    }
    CHECK(close(at) == 0 && rmdir(dir) == 0);
    struct cl_error err = {0};
    CHECK(cl_follow_regular("/dev/zero", 10, &err) == -EINVAL);
    CHECK_TEXT(err.msg, "/dev/zero: not a regular file");
}

TEST(links_do_not_leave_a_root)
{
    char dir[] = "/tmp/cl-test-XXXXXX";
    struct stat inside = {0};
    struct stat outside = {0};

    CHECK(mkdtemp(dir) != NULL);
    CL_CLEANUP_FD int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(cl_sys_symlinkat("../../../..", root, "up") == 0);
    CL_CLEANUP_FD int fd = cl_open_in_root(root, "/up", O_PATH);
    CHECK(fd >= 0 && fstat(fd, &inside) == 0 && fstat(root, &outside) == 0);
    CHECK(inside.st_ino == outside.st_ino);
    CHECK(cl_open_no_links(root, "up", O_PATH) == -ELOOP);
    CHECK(cl_sys_unlinkat(root, "up", 0) == 0);
    CHECK(rmdir(dir) == 0);
}

TEST(time_is_rfc_3339)
{
    char text[CL_RFC3339_SIZE];

    cl_clock_rfc3339(1767323045678901234ULL, text);
    CHECK_TEXT(text, "2026-01-02T03:04:05.678901234Z");
    cl_clock_rfc3339(951782400000000000ULL, text); /* a leap day */
    CHECK_TEXT(text, "2000-02-29T00:00:00.000000000Z");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(buf_keeps_its_cap_and_its_nul),
        ROW(buf_begins_in_what_was_lent_and_outgrows_it),
        ROW(arena_begins_in_what_was_lent),
        ROW(buf_tells_no_room_from_no_memory),
        ROW(arena_zeroes_aligns_and_stops_at_its_cap),
        ROW(numbers_are_whole_strings),
        ROW(sizes_have_units),
        ROW(durations_have_units),
        ROW(cpus_and_modes),
        ROW(json_is_always_valid),
        ROW(json_has_nothing_that_steers_a_terminal),
        ROW(json_reports_a_full_buffer),
        ROW(sha256_is_fips_180_4),
        ROW(errors_are_one_printable_line),
        ROW(errors_are_utf8),
        ROW(errors_that_nobody_knows_have_their_number),
        ROW(steps_undo_what_was_done),
        ROW(loop_dispatches_and_stops),
        ROW(loop_dispatches_one_event_of_those_that_are_asked_for),
        ROW(loop_tells_no_source_that_was_removed),
        ROW(reading_stops_at_the_cap),
        ROW(only_regular_files_are_opened),
        ROW(links_do_not_leave_a_root),
        ROW(time_is_rfc_3339),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
