/* test_gauges.c - what a sandbox's cgroups say to who only looks. */
#include "limits/gauges.h"

#include "limits_scene.h"

static void wait_for_end(void)
{
    (void)pause();
}

TEST(who_looks_from_outside_reads_the_gauges)
{
    NEED_CGROUPS();
    struct cl_plan plan = small_plan();
    struct cl_limits limits = create(&plan);
    const char *id = limits.name + strlen("cloister-");
    const size_t before = open_descriptors();
    struct cl_gauge_places places = CL_GAUGE_PLACES_INIT;
    struct cl_gauges gauges;
    struct cl_readings readings;
    pid_t pid = start(&limits, wait_for_end);

    do { /* v1: until it has joined */
        CHECK(cl_gauges_open(&places, id, pid, &gauges) == 0);
        if (gauges.tasks < 0 || gauges.cpu < 0)
            cl_gauges_close(&gauges);
    } while (gauges.tasks < 0 && kill(pid, 0) == 0);
    for (int round = 0; round < 2; round++) {
        CHECK(cl_gauges_read(&gauges, &readings) == 0);
        CHECK(cl_readings_have(&readings, CL_GAUGE_CPU));
        CHECK(cl_readings_have(&readings, CL_GAUGE_MEMORY));
        CHECK(cl_readings_have(&readings, CL_GAUGE_TASKS));
        CHECK(readings.values[CL_GAUGE_TASKS] == 0); /* the wall's init alone */
        CHECK(readings.values[CL_GAUGE_MEMORY] <= 32 << 20);
        CHECK(limits.layout != CL_CGROUP_V1 || !cl_readings_have(&readings, CL_GAUGE_READ));
    }
    CHECK(kill(pid, SIGKILL) == 0);
    (void)end(pid);
    CHECK(cl_limits_remove(&limits) == 0);
    CHECK(cl_gauges_read(&gauges, &readings) == -ESRCH);
    cl_gauges_close(&gauges);
    cl_gauge_places_done(&places);
    CHECK(open_descriptors() < before); /* the limits' are closed too */
}

TEST(gauges_are_those_of_that_name_alone)
{
    struct cl_gauge_places places = CL_GAUGE_PLACES_INIT;
    struct cl_gauges gauges;
    struct cl_readings readings;

    /* a number that is somebody else's by now, one that is nobody's, and a name that is none */
    CHECK(cl_gauges_open(&places, "0123456789abcdef", getpid(), &gauges) == 0);
    CHECK(gauges.cpu < 0 && gauges.memory < 0 && gauges.tasks < 0 && gauges.io < 0);
    CHECK(cl_gauges_read(&gauges, &readings) == 0 && readings.known == 0);
    CHECK(cl_gauges_open(&places, "0123456789abcdef", 0, &gauges) == 0 && gauges.memory < 0);
    CHECK(cl_gauges_open(&places, "../..", getpid(), &gauges) == 0 && gauges.memory < 0);
    cl_gauge_places_done(&places);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(who_looks_from_outside_reads_the_gauges),
        ROW(gauges_are_those_of_that_name_alone),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
