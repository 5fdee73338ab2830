/* test_ended.c - how one ended, there and back. */
#include <errno.h>

#include "sandbox/ended.h"
#include "check.h"

static const struct cl_plan plan = {.wall = CL_WALL_CONTAINER};

/* RESULT through its record and bytes, as JSON before and after. */
static void check_same(const struct cl_result *result, int exit_status)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(1 << 16);
    CL_CLEANUP_BUF struct cl_buf before = CL_BUF_INIT(1 << 16);
    CL_CLEANUP_BUF struct cl_buf after = CL_BUF_INIT(1 << 16);
    const struct cl_ended ended = cl_ended_of(result, exit_status);
    struct cl_ended back = {0};
    struct cl_error err = {0};

    CHECK(cl_flat_write(&cl_ended_shape, &ended, &bytes, &err) == 0);
    const struct cl_bytes data = {bytes.data, bytes.size};
    CHECK(cl_flat_read(&cl_ended_shape, &data, &arena, &back, &err) == 0);
    CHECK(back.set == ended.set && back.exit_status == (uint64_t)exit_status);
    const struct cl_result again = cl_ended_result(&back, result->plan, result->id);
    CHECK(cl_result_print(result, &before, &err) == 0);
    CHECK(cl_result_print(&again, &after, &err) == 0);
    CHECK_TEXT(cl_buf_text(&after), cl_buf_text(&before));
}

TEST(what_is_known_comes_back)
{
    const struct cl_result result = {
        .plan = &plan,
        .id = "0123456789abcdef",
        .wall = "container",
        .status = CL_STATUS_EXITED,
        .exit_code = 0,
        .limits_hit = CL_HIT_DISK | CL_HIT_CPUS,
        .created_wall_ns = 1700000000123456789,
        .started_wall_ns = 1700000000223456789,
        .ended_wall_ns = 1700000001123456789,
        .setup_ns = 1,
        .run_ns = UINT64_MAX,
        .teardown_ns = 3,
        .usage = {.known = CL_USAGE_ALL,
                  .cpu_user_ns = 4,
                  .cpu_system_ns = 5,
                  .memory_peak_bytes = 6,
                  .tasks_peak = 7,
                  .io_read_bytes = 0,
                  .io_write_bytes = 9},
        .stdout_bytes = 10,
        .stderr_bytes = 11,
        .layers = CL_LAYER_MASK,
    };

    check_same(&result, 0);
}

TEST(what_is_unknown_stays_so)
{
    struct cl_result result = {
        .plan = &plan,
        .id = "0123456789abcdef",
        .wall = "container",
        .status = CL_STATUS_SIGNALED,
        .exit_code = -1,
        .signal = 64,
        .usage = {.known = CL_USAGE_BIT(CL_USAGE_TASKS_PEAK), .tasks_peak = 0},
    };

    check_same(&result, 192);
    result.status = CL_STATUS_ERROR;
    result.signal = 0;
    result.error = "it said \"no\"";
    check_same(&result, 125);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_known_comes_back),
        ROW(what_is_unknown_stays_so),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
