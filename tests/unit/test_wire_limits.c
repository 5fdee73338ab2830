/* test_wire_limits.c - how deep, how large, how much: where a message's reader and writer end. */
#include "base/fault.h"
#include "base/fd.h"
#include "wire_scene.h"

/* --- limits -------------------------------------------------------------------------------- */

/* DEPTH messages, each but the last with one in it, by KEY. */
static int read_nested(char key, int depth)
{
    char bytes[256];
    size_t size = 0;
    struct node node = {0};

    for (int i = depth - 1; i > 0; i--) {
        bytes[size++] = key;
        bytes[size++] = (char)(2 * (i - 1));
    }
    return read_shape(&node_shape, &(struct cl_bytes){bytes, size}, &node);
}

TEST(nesting_has_an_end)
{
    begin(1 << 20);
    for (int depth = 1; depth <= 60; depth++) {
        const int expected = depth <= CL_WIRE_DEPTH_MOST ? 0 : -EBADMSG;

        CHECK(read_nested(0x12, depth) == expected);
        CHECK(read_nested(0x1a, depth) == expected);
    }
}

TEST(what_becomes_too_much_is_refused)
{
    const struct cl_bytes bytes = {whole, sizeof(whole) - 1};
    struct all got;
    int r = -E2BIG;
    size_t cap = 0;

    for (; r == -E2BIG && cap < 4096; cap++) {
        begin(cap);
        r = read_all(&bytes, &got);
        CHECK(arena.used <= cap);
    }
    CHECK(r == 0 && cap > 200);
}

/* Two bytes each, of which each would become many more. */
TEST(many_empty_items_are_refused_before_they_are_made)
{
    enum { MANY = 100000 };
    static char bytes[2 * MANY];
    static const char keys[] = {0x1a, 0x2a, 0x3a, 0x42};
    struct all got;

    for (size_t k = 0; k < sizeof(keys); k++) {
        for (size_t i = 0; i < MANY; i++) {
            bytes[2 * i] = keys[k];
            bytes[2 * i + 1] = 0;
        }
        begin(1 << 19);
        CHECK(read_all(&(struct cl_bytes){bytes, sizeof(bytes)}, &got) == -E2BIG);
        CHECK(arena.used <= 1 << 19);
    }
    for (size_t i = 0; i < MANY; i++) /* and a list that grows by pieces */
        memcpy(bytes + 6 * (i % (MANY / 3)), "\x12\x04\x1a\x00\x1a\x00", 6);
    struct node node = {0};
    begin(1 << 22);
    CHECK(read_shape(&node_shape, &(struct cl_bytes){bytes, (size_t)MANY / 3 * 6}, &node) ==
          -E2BIG);
    begin(0);
}

static struct all whole_record;

static void read_whole(void)
{
    struct cl_error err = {0};

    begin(4096);
    whole_record = (struct all){0};
    CHECK(cl_wire_read(&all_shape, &(struct cl_bytes){whole, sizeof(whole) - 1}, &arena,
                       &whole_record, &err) == 0);
}

TEST(a_buffer_may_be_too_small)
{
    read_whole();
    for (size_t cap = 0; cap < sizeof(whole); cap++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(cap);

        CHECK(cl_wire_write(&all_shape, &whole_record, &buf) ==
              (cap < sizeof(whole) - 1 ? -EFBIG : 0));
        CHECK(buf.size <= cap && memcmp(cl_buf_text(&buf), whole, buf.size) == 0);
    }
}

TEST(what_is_written_is_added)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(64);

    CHECK(cl_buf_add_str(&buf, "head") == 0);
    CHECK(cl_wire_write(&all_shape, &(struct all){.u32 = 1}, &buf) == 0);
    CHECK(buf.size == 6 && memcmp(buf.data, "head\x08\x01", 6) == 0);
}

static int read_again(void)
{
    struct all got;

    begin(4096);
    return read_all(&(struct cl_bytes){whole, sizeof(whole) - 1}, &got);
}

static int write_again(void)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);

    return cl_wire_write(&all_shape, &whole_record, &buf);
}

TEST(each_allocation_may_fail)
{
    static int (*const what[])(void) = {write_again, read_again};
    char fault[32];

    read_whole();
    for (size_t k = 0; k < CL_ARRAY_SIZE(what); k++) {
        int struck = 1;
        int last = 0;

        for (int i = 1; struck && i < 50; i++) {
            (void)snprintf(fault, sizeof(fault), "alloc:%d", i);
            cl_fault_set(fault);
            const int r = what[k]();
            struck = cl_fault_struck();
            cl_fault_set(NULL);
            CHECK(struck ? r == -E2BIG || r == -ENOMEM : r == 0);
            last = i;
        }
        CHECK(!struck && last > 1);
    }
    begin(0);
}

/* Its counts have room for no more. */
static void read_too_many_fields(void)
{
    static struct cl_wire_field rows[CL_WIRE_FIELDS_MOST + 1];
    const struct cl_wire_shape shape = {"Wide", sizeof(uint32_t), rows, CL_ARRAY_SIZE(rows)};
    CL_CLEANUP_FD int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    uint32_t number = 0;

    for (uint32_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        rows[i] = (struct cl_wire_field){i + 1, CL_WIRE_U32, 0, NULL};
    (void)dup2(null, STDERR_FILENO); /* where it says what is wrong */
    (void)signal(SIGILL, SIG_DFL);
    (void)read_shape(&shape, BYTES("\x88\x02\x01"), &number);
}

TEST(a_table_has_as_many_fields_as_it_may)
{
    int status = 0;

    (void)fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        read_too_many_fields();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(nesting_has_an_end),
        ROW(what_becomes_too_much_is_refused),
        ROW(many_empty_items_are_refused_before_they_are_made),
        ROW(a_buffer_may_be_too_small),
        ROW(what_is_written_is_added),
        ROW(each_allocation_may_fail),
        ROW(a_table_has_as_many_fields_as_it_may),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
