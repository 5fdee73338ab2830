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
    room.plan.without = CL_LAYER_BIT(CL_LAYER_APPARMOR);
    CHECK(cl_label_take(&room.container, &room.err) == 0 && !has_layer());
    CHECK(room_read(AT_FDCWD, "/mnt/self/attr/apparmor/exec", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "");
    room.plan.without = 0;
    room.container.has_apparmor = 0;
    CHECK(cl_label_take(&room.container, &room.err) == 0 && !has_layer());
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
    CHECK(unlink("/mnt/self/attr/apparmor/exec") == 0);
    CHECK(mkdir("/mnt/self/attr/apparmor/exec", 0755) == 0);
    CHECK(cl_label_take(&room.container, &room.err) == -EISDIR && !has_layer());
}

TEST(a_profile_that_can_not_be_entered_stops_the_start)
{
    room_run(fail_to_take);
}

static void look_for_apparmor(void)
{
    CHECK(mount("tmpfs", "/sys", "tmpfs", 0, NULL) == 0);
    CHECK(cl_label_has_apparmor() == 1); /* nobody can tell: try */
    CHECK(mkdir("/sys/module", 0755) == 0);
    CHECK(cl_label_has_apparmor() == 0);
    CHECK(mkdir("/sys/module/apparmor", 0755) == 0);
    CHECK(cl_label_has_apparmor() == 1);
}

/* The kernel's query file answers by the write's success or errno. */
static void look_for_the_profile(void)
{
    static const char access_file[] = "/sys/kernel/security/apparmor/.access";
    static const struct {
        int code;
        int has;
    } answers[] = {{0, 1}, {ENOENT, 0}, {EACCES, 1}};
    char fault[32];

    CHECK(mount("tmpfs", "/sys", "tmpfs", 0, NULL) == 0);
    CHECK(mkdir("/sys/module", 0755) == 0 && mkdir("/sys/module/apparmor", 0755) == 0);
    CHECK(mkdir("/sys/kernel", 0755) == 0 && mkdir("/sys/kernel/security", 0755) == 0);
    CHECK(mkdir("/sys/kernel/security/apparmor", 0755) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(answers); i++) {
        static const char query[] = "label\0cloister-sandbox";
        char text[64] = "";

        CHECK(room_write(access_file, "") == 0);
        (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_write, answers[i].code);
        cl_fault_set(answers[i].code == 0 ? NULL : fault);
        CHECK(cl_label_has_apparmor() == answers[i].has);
        cl_fault_set(NULL);
        CHECK(room_read(AT_FDCWD, access_file, text, sizeof(text)) == 0);
        CHECK(answers[i].code != 0 || memcmp(text, query, sizeof(query)) == 0);
    }
}

TEST(a_profile_that_is_not_loaded_is_not_asked_for)
{
    room_run(look_for_the_profile);
}

TEST(only_a_kernel_without_apparmor_is_not_asked)
{
    room_run(look_for_apparmor);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_hosts_profile_is_entered),
        ROW(a_profile_that_can_not_be_entered_stops_the_start),
        ROW(only_a_kernel_without_apparmor_is_not_asked),
        ROW(a_profile_that_is_not_loaded_is_not_asked_for),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
