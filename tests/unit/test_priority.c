/* test_priority.c - what a caller raised for itself doesn't come in. */
#include <sys/resource.h>

#include "room.h"

enum { IO_REAL_TIME = 1 << CL_IOPRIO_CLASS_SHIFT | 4, IO_IDLE = 3 << CL_IOPRIO_CLASS_SHIFT };

static struct room room;

static void level(void)
{
    room_set_up(&room);
    CHECK(cl_priority_level(&room.container, &room.err) == 0);
}

static void raise_all(void)
{
    const struct sched_param param = {.sched_priority = 1};

    CHECK(cl_sys_setpriority(-7) == 0);
    CHECK(cl_sys_ioprio_set(IO_REAL_TIME) == 0);
    level();
    CHECK(cl_sys_getpriority() == 20);
    CHECK(cl_sys_ioprio_get() >> CL_IOPRIO_CLASS_SHIFT != CL_IOPRIO_CLASS_RT);
    /* A cgroup may have no real time to give; then nobody comes in with it either. */
    if (cl_sys_sched_setscheduler(SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0) {
        level();
        CHECK((cl_sys_sched_getscheduler() & ~SCHED_RESET_ON_FORK) == SCHED_OTHER);
    }
}

TEST(raised_priorities_are_levelled)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, who may raise them");
    check_apart(raise_all);
}

static void lower_all(void)
{
    const struct sched_param none = {0};

    CHECK(cl_sys_setpriority(7) == 0);
    CHECK(cl_sys_ioprio_set(IO_IDLE) == 0);
    CHECK(cl_sys_sched_setscheduler(SCHED_BATCH, &none) == 0);
    level();
    CHECK(cl_sys_getpriority() == 13);
    CHECK(cl_sys_ioprio_get() == IO_IDLE);
    CHECK(cl_sys_sched_getscheduler() == SCHED_BATCH);
}

TEST(lowered_priorities_stay)
{
    check_apart(lower_all);
}

/* The same file in a directory of ours: to go below 0 takes a privilege. */
static void level_scores(void)
{
    static const struct {
        const char *before;
        const char *after;
    } rows[] = {{"-1000\n", "-1000\n0"}, {"-1\n", "-1\n0"}, {"0\n", "0\n"}, {"200\n", "200\n"}};
    char text[16];

    room_set_up(&room);
    room.container.pid_dir = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH | O_DIRECTORY, 0);
    CHECK(cl_priority_level_oom(&room.container, &room.err) == 0); /* not there */
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(room_write("/mnt/oom_score_adj", rows[i].before) == 0);
        CHECK(cl_priority_level_oom(&room.container, &room.err) == 0);
        CHECK(room_read(AT_FDCWD, "/mnt/oom_score_adj", text, sizeof(text)) == 0);
        CHECK_TEXT(text, rows[i].after); /* a file goes on where it was read to */
    }
    CHECK(unlink("/mnt/oom_score_adj") == 0 && mkdir("/mnt/oom_score_adj", 0755) == 0);
    CHECK(cl_priority_level_oom(&room.container, &room.err) == -EISDIR);
    CHECK_TEXT(room.err.msg, "level init's out-of-memory score: Is a directory");
}

TEST(a_score_below_zero_is_levelled)
{
    room_run(level_scores);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(raised_priorities_are_levelled),
        ROW(lowered_priorities_stay),
        ROW(a_score_below_zero_is_levelled),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
