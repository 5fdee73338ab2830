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

static int has_idle(void)
{
    const struct cl_processors look = cl_processors_look();

    return cl_processors_have_idle(&look);
}

static void count_tasks(void)
{
    cpu_set_t all;

    CHECK(room_write("/mnt/loadavg", "") == 0);
    CHECK(mount("/mnt/loadavg", "/proc/loadavg", NULL, MS_BIND, NULL) == 0);
    CHECK(cl_sys_sched_getaffinity(0, &all) >= 0);
    const uint64_t count = (uint64_t)CPU_COUNT(&all);

    say("99.10 99.20 99.30 1/100 4711\n");
    struct cl_processors look = cl_processors_look();
    CHECK(look.count == count && look.running == 1);
    say("0.10 0.20 0.30 9999/10000 4711\n");
    look = cl_processors_look();
    CHECK(look.running == (count > 1 ? 9999 : 1));
    say("nothing of the kind");
    CHECK(!has_idle());
    say("");
    CHECK(!has_idle());
    say("0.10 0.20 0.30 0/100 4711\n"); /* we run */
    CHECK(!has_idle());

    say("0.10 0.20 0.30 1/100 4711\n");
    CHECK(has_idle() == (count > 1));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    CHECK(cl_sys_sched_setaffinity(0, &one) == 0);
    CHECK(!has_idle()); /* of one nothing is left */
}

TEST(tasks_that_run_are_counted_against_processors)
{
    room_run(count_tasks);
}

static void count_most(void)
{
    static const struct {
        const char *present;
        uint64_t most;
    } rows[] = {
        {"0\n", 1},        {"0-1\n", 2},        {"0-3,8\n", 9},          {"0,2-11\n", 12},
        {"", CPU_SETSIZE}, {"\n", CPU_SETSIZE}, {"none\n", CPU_SETSIZE}, {"0-99999\n", CPU_SETSIZE},
    };
    static const char path[] = "/sys/devices/system/cpu/present";

    CHECK(mount("none", "/mnt", "tmpfs", 0, NULL) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(room_write("/mnt/present", rows[i].present) == 0);
        CHECK(mount("/mnt/present", path, NULL, MS_BIND, NULL) == 0);
        CHECK(cl_processors_most() == rows[i].most);
        CHECK(umount(path) == 0);
    }
    CHECK(mount("none", "/sys", "tmpfs", 0, NULL) == 0);
    CHECK(cl_processors_most() == CPU_SETSIZE);
}

TEST(all_processors_that_are_there_are_counted)
{
    room_run(count_most);
}

TEST(busy_idle_and_quiet_are_told_apart)
{
    static const struct {
        struct cl_processors look;
        int has_idle;
        int is_quiet;
    } rows[] = {
        {{.count = 1, .running = 1}, 0, 0}, {{.count = 2, .running = 1}, 1, 1},
        {{.count = 2, .running = 2}, 0, 0}, {{.count = 8, .running = 4}, 1, 1},
        {{.count = 8, .running = 5}, 1, 0}, {{.count = 8, .running = 8}, 0, 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(cl_processors_have_idle(&rows[i].look) == rows[i].has_idle);
        CHECK(cl_processors_are_quiet(&rows[i].look) == rows[i].is_quiet);
    }
}

TEST(who_can_not_know_says_busy)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const long numbers[] = {SYS_sched_getaffinity, SYS_openat, SYS_read};
    char text[32];

    for (size_t i = 0; i < CL_ARRAY_SIZE(numbers); i++) {
        (void)snprintf(text, sizeof(text), "lacks:%ld=%d", numbers[i], EACCES);
        cl_fault_set(text);
        CHECK(!has_idle());
        cl_fault_set(NULL);
    }
}

static int parses(const char *text, int count)
{
    cpu_set_t set;

    return cl_processors_parse(text, &set) == 0 && CPU_COUNT(&set) == count;
}

TEST(lists_of_processors_are_read_or_refused)
{
    static const char *const wrong[] = {
        "",
        ",",
        "1,",
        ",1",
        "-",
        "1-",
        "-1",
        "2-1",
        "1024",
        "0-1024",
        "a",
        "0 ",
        "0 1",
        "1--2",
        "0x1",
        "0-1-2",
        "0,00000000000000000000000000000000000000",
    };
    cpu_set_t set;

    CHECK(cl_processors_parse("0-3,8", &set) == 0);
    CHECK(CPU_COUNT(&set) == 5 && CPU_ISSET(3, &set) && CPU_ISSET(8, &set) && !CPU_ISSET(4, &set));
    CHECK(parses("0", 1));
    CHECK(parses("7,7,6-7", 2));
    CHECK(parses("0-1023", 1024));
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++)
        CHECK(cl_processors_parse(wrong[i], &set) == -EINVAL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(tasks_that_run_are_counted_against_processors),
        ROW(all_processors_that_are_there_are_counted),
        ROW(busy_idle_and_quiet_are_told_apart),
        ROW(who_can_not_know_says_busy),
        ROW(lists_of_processors_are_read_or_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
