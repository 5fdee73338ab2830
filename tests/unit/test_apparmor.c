/* test_apparmor.c - what is known of AppArmor, for whose files the test's own stand. */
#include <errno.h>
#include <sys/stat.h>

#include "base/apparmor.h"
#include "base/fault.h"
#include "room.h"

static void look_for_apparmor(void)
{
    CHECK(mount("tmpfs", "/sys", "tmpfs", 0, NULL) == 0);
    CHECK(cl_apparmor_look() == CL_APPARMOR_UNKNOWN);
    CHECK(mkdir("/sys/module", 0755) == 0);
    CHECK(cl_apparmor_look() == CL_APPARMOR_NONE);
    CHECK(mkdir("/sys/module/apparmor", 0755) == 0);
    CHECK(cl_apparmor_look() == CL_APPARMOR_UNKNOWN);
}

/* The kernel's query file answers by the write's success or errno. */
static void look_for_the_profile(void)
{
    static const char access_file[] = "/sys/kernel/security/apparmor/.access";
    static const struct {
        int code;
        enum cl_apparmor has;
    } answers[] = {
        {0, CL_APPARMOR_READY}, {ENOENT, CL_APPARMOR_UNLOADED}, {EACCES, CL_APPARMOR_UNKNOWN}};
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
        CHECK(cl_apparmor_look() == answers[i].has);
        cl_fault_set(NULL);
        CHECK(room_read(AT_FDCWD, access_file, text, sizeof(text)) == 0);
        CHECK(answers[i].code != 0 || memcmp(text, query, sizeof(query)) == 0);
    }
}

TEST(the_kernel_is_asked_for_the_profile)
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
        ROW(only_a_kernel_without_apparmor_is_not_asked),
        ROW(the_kernel_is_asked_for_the_profile),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
