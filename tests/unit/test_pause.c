/* test_pause.c - the supervisor's side of pause and unpause, over a wall of the test's own. */
#include "sandbox/pause.h"

#include "sandbox/requests.h"
#include "supervisor_scene.h"

static struct cl_report report;
static struct cl_status status;
static struct cl_kept kept;
static int asked[8]; /* 1: stop, 0: go on */
static int asked_count;
static int answer;

static int note_pause(CL_UNUSED struct cl_wall_process *process, int is_paused,
                      struct cl_error *err)
{
    CHECK(asked_count < 8);
    asked[asked_count++ % 8] = is_paused;
    return answer < 0 ? cl_fail(err, answer, "ask the wall") : 0;
}

/* A supervisor whose command runs. */
static void set_up_running(void)
{
    set_up();
    report = (struct cl_report){.stage = CL_REPORT_STARTED};
    status = (struct cl_status){.phase = CL_PHASE_RUNNING, .main = 1};
    kept = CL_KEPT_INIT;
    asked_count = 0;
    answer = 0;
    scene.wall.pause = note_pause;
    scene.process.report = &report;
    scene.supervisor.status = &status;
    scene.supervisor.kept = &kept;
    scene.entry.table = make_file();
    scene.entry.seat = 0;
}

static void tear_down(void)
{
    cl_fd_close(&scene.entry.table);
    cl_fd_close(&scene.entry.dir);
    cl_fd_close(&scene.in);
    for (int i = 0; i < 2; i++)
        cl_fd_close(&scene.out[i]);
    for (int fd = 0; fd < 3; fd++) {
        cl_fd_close(&scene.theirs[fd]);
        cl_fd_close(&scene.supervisor.stdio[fd]);
    }
}

static int set(int is_paused)
{
    return cl_pause_set(&scene.supervisor, is_paused, &scene.err);
}

TEST(the_record_says_so)
{
    struct cl_status seen = {0};

    set_up_running();
    CHECK(set(0) == -EALREADY && asked_count == 0);
    CHECK(set(1) == 0 && asked_count == 1 && asked[0] == 1);
    CHECK(scene.supervisor.is_paused && scene.supervisor.visitors.are_refused);
    CHECK(pread(scene.entry.table, &seen, sizeof(seen), 4096) == (ssize_t)sizeof(seen));
    CHECK(seen.phase == CL_PHASE_PAUSED);
    CHECK(set(1) == -EALREADY && asked_count == 1);
    CHECK(cl_pause_again(&scene.supervisor, &scene.err) == 0 && asked_count == 2 && asked[1] == 1);
    CHECK(set(0) == 0 && asked_count == 3 && asked[2] == 0);
    CHECK(pread(scene.entry.table, &seen, sizeof(seen), 4096) == (ssize_t)sizeof(seen));
    CHECK(seen.phase == CL_PHASE_RUNNING && !scene.supervisor.visitors.are_refused);
    CHECK(cl_pause_again(&scene.supervisor, &scene.err) == -EALREADY && asked_count == 3);
    tear_down();
}

TEST(only_what_runs_can_be_paused)
{
    set_up_running();
    report.stage = CL_REPORT_BORN;
    CHECK(set(1) == -EAGAIN);
    report.stage = CL_REPORT_ENDED;
    CHECK(set(1) == -ESRCH);
    report.stage = CL_REPORT_STARTED;
    scene.supervisor.ended = 1;
    CHECK(set(1) == -ESRCH);
    CHECK(asked_count == 0 && !scene.supervisor.is_paused);
    tear_down();
}

TEST(what_fails_leaves_it_running)
{
    set_up_running();
    answer = -EAGAIN;
    CHECK(set(1) == -EAGAIN && !scene.supervisor.is_paused && status.phase == CL_PHASE_RUNNING);
    answer = 0;
    cl_fd_close(&scene.entry.table); /* the record can't be written */
    CHECK(set(1) < 0 && !scene.supervisor.is_paused && status.phase == CL_PHASE_RUNNING);
    CHECK(asked_count == 3 && asked[1] == 1 && asked[2] == 0);
    tear_down();
}

TEST(the_stop_signal_comes_before_it_goes_on)
{
    set_up_running();
    CHECK(set(1) == 0);
    cl_supervisor_send_stop(&scene.supervisor);
    CHECK(scene.sent_count == 1 && scene.sent[0] == SIGTERM);
    CHECK(asked_count == 2 && asked[1] == 0 && !scene.supervisor.is_paused);
    cl_supervisor_send_stop(&scene.supervisor); /* of one that runs */
    CHECK(scene.sent_count == 2 && asked_count == 2);
    tear_down();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_record_says_so),
        ROW(only_what_runs_can_be_paused),
        ROW(what_fails_leaves_it_running),
        ROW(the_stop_signal_comes_before_it_goes_on),
    };

    return run_tests(tests, CL_ARRAY_SIZE(tests));
}
