/* test_label.c - AppArmor, for whose files the test's own stand. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "room.h"

static struct room room;

static int has_layer(void)
{
    return (room.report.layers & CL_LAYER_BIT(CL_LAYER_APPARMOR)) != 0;
}

static void take_profile(void)
{
    char text[64];

    room_set_up(&room);
    room.container.has_apparmor = 1;
    room.container.proc = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH, 0);
    CHECK(cl_label_take(&room.container, &room.err) == 0 && !has_layer()); /* no AppArmor */
    CHECK(mkdir("/mnt/self", 0755) == 0 && mkdir("/mnt/self/attr", 0755) == 0);
    CHECK(mkdir("/mnt/self/attr/apparmor", 0755) == 0);
    CHECK(room_write("/mnt/self/attr/apparmor/exec", "") == 0);
    room.container.has_apparmor = 0;
    CHECK(cl_label_take(&room.container, &room.err) == 0 && !has_layer());
    CHECK(room_read(AT_FDCWD, "/mnt/self/attr/apparmor/exec", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "");
    room.container.has_apparmor = 1;
    CHECK(cl_label_take(&room.container, &room.err) == 0 && has_layer());
    CHECK(room_read(AT_FDCWD, "/mnt/self/attr/apparmor/exec", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "exec cloister-sandbox");
}

TEST(the_hosts_profile_is_entered)
{
    room_run(take_profile);
}

static void fail_to_take(void)
{
    room_set_up(&room);
    room.container.has_apparmor = 1;
    room.container.proc = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH, 0);
    CHECK(mkdir("/mnt/self", 0755) == 0 && mkdir("/mnt/self/attr", 0755) == 0);
    CHECK(mkdir("/mnt/self/attr/apparmor", 0755) == 0);
    CHECK(symlink("/dev/full", "/mnt/self/attr/apparmor/exec") == 0);
    CHECK(cl_label_take(&room.container, &room.err) == -ENOSPC && !has_layer());
    CHECK_HAS(room.err.msg, "cloister-sandbox");
    CHECK_HAS(room.err.msg, "--without apparmor");
#ifdef CL_FAULTS
    static const struct {
        int code;
        int result;
    } answers[] = {{ENOENT, -ENOENT}, {EINVAL, 0}}; /* not loaded; not enabled */
    for (size_t i = 0; i < CL_ARRAY_SIZE(answers); i++) {
        char fault[32];

        (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_write, answers[i].code);
        cl_fault_set(fault);
        CHECK(cl_label_take(&room.container, &room.err) == answers[i].result && !has_layer());
        cl_fault_set(NULL);
    }
#endif
    CHECK(unlink("/mnt/self/attr/apparmor/exec") == 0);
    CHECK(mkdir("/mnt/self/attr/apparmor/exec", 0755) == 0);
    CHECK(cl_label_take(&room.container, &room.err) == -EISDIR && !has_layer());
}

TEST(a_profile_that_can_not_be_entered_stops_the_start)
{
    room_run(fail_to_take);
}

/* What the host's files say and the start makes of it. */
static void check_decided(int result, int has)
{
    room.container.has_apparmor = -1;
    CHECK(cl_label_decide(&room.container, &room.err) == result);
    CHECK(room.container.has_apparmor == has);
}

static void decide(void)
{
    room_set_up(&room);
    CHECK(mount("tmpfs", "/sys", "tmpfs", 0, NULL) == 0);
    CHECK(mkdir("/sys/module", 0755) == 0);
    check_decided(0, 0);
    CHECK(mkdir("/sys/module/apparmor", 0755) == 0);
    check_decided(0, 1); /* nobody can tell: it is tried */
    room.plan.without = CL_LAYER_BIT(CL_LAYER_APPARMOR);
    check_decided(0, 0);
    room.plan.without = 0;
    CHECK(mkdir("/sys/kernel", 0755) == 0 && mkdir("/sys/kernel/security", 0755) == 0);
    CHECK(mkdir("/sys/kernel/security/apparmor", 0755) == 0);
    CHECK(room_write("/sys/kernel/security/apparmor/.access", "") == 0);
    check_decided(0, 1);
    char fault[32];
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_write, ENOENT);
    cl_fault_set(fault);
    check_decided(-ENOENT, 0);
    CHECK_HAS(room.err.msg, "AppArmor is on, but its profile cloister-sandbox isn't loaded; ");
    CHECK_HAS(room.err.msg, "--without apparmor");
    room.plan.without = CL_LAYER_BIT(CL_LAYER_APPARMOR);
    check_decided(0, 0);
    cl_fault_set(NULL);
}

TEST(a_profile_that_is_not_loaded_stops_the_start)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(decide);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_hosts_profile_is_entered),
        ROW(a_profile_that_can_not_be_entered_stops_the_start),
        ROW(a_profile_that_is_not_loaded_stops_the_start),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
