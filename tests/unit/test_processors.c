/* test_processors.c - whether the machine has a processor to spare. */
#include "base/fault.h"
#include "base/fd.h"
#include "base/processors.h"
#include "room.h"

/* /proc/loadavg and the processors as they are said here. */
static void say(const char *loadavg)
{
    CHECK(room_write("/mnt/loadavg", loadavg) == 0);
}

static void count_tasks(void)
{
    cpu_set_t all;

    CHECK(room_write("/mnt/loadavg", "") == 0);
    CHECK(mount("/mnt/loadavg", "/proc/loadavg", NULL, MS_BIND, NULL) == 0);
    CHECK(cl_sys_sched_getaffinity(0, &all) >= 0);
    const int count = CPU_COUNT(&all);
    char text[64];

    (void)snprintf(text, sizeof(text), "0.10 0.20 0.30 %d/100 4711\n", count);
    say(text);
    CHECK(!cl_processors_have_idle(0));
    CHECK(cl_processors_have_idle(1) == (count > 1));
    say("99.10 99.20 99.30 1/100 4711\n");
    CHECK(cl_processors_have_idle(0) == (count > 1));
    say("0.10 0.20 0.30 9999/10000 4711\n");
    CHECK(!cl_processors_have_idle(1));
    say("nothing of the kind");
    CHECK(!cl_processors_have_idle(9));
    say("");
    CHECK(!cl_processors_have_idle(9));

    say("0.10 0.20 0.30 1/100 4711\n");
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    CHECK(cl_sys_sched_setaffinity(0, &one) == 0);
    CHECK(!cl_processors_have_idle(9)); /* of one nothing is left */
}

TEST(tasks_that_run_are_counted_against_processors)
{
    room_run(count_tasks);
}

TEST(who_can_not_know_says_no)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const long numbers[] = {SYS_sched_getaffinity, SYS_openat, SYS_read};
    char text[32];

    for (size_t i = 0; i < CL_ARRAY_SIZE(numbers); i++) {
        (void)snprintf(text, sizeof(text), "lacks:%ld=%d", numbers[i], EACCES);
        cl_fault_set(text);
        CHECK(!cl_processors_have_idle(9));
        cl_fault_set(NULL);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(tasks_that_run_are_counted_against_processors),
        ROW(who_can_not_know_says_no),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
