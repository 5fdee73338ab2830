/* test_filter.c - what a message says of a seccomp filter that is the caller's. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "sandbox/filter.h"
#include "check.h"

/* As the kernel tells everybody. */
static int status_says_filtered(void)
{
    char line[256];
    int mode = -1;
    FILE *file = fopen("/proc/self/status", "re");

    CHECK(file != NULL);
    while (file != NULL && mode < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Seccomp:", 8) == 0)
            mode = line[9] != '0';
    }
    if (file != NULL)
        (void)fclose(file);
    return mode;
}

TEST(a_filter_is_seen)
{
    struct sock_filter rows[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {1, rows};
    int status = -1;

    CHECK(cl_filter_is_on() == status_says_filtered());
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
            _exit(2);
        _exit(cl_filter_is_on() ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

TEST(a_missing_call_is_the_kernels_or_a_filters)
{
    for (int is_filtered = 0; is_filtered < 2; is_filtered++) {
        struct cl_error err = {0};

        (void)cl_fail(&err, ENOSYS, "clone a process");
        CHECK(cl_filter_explain(is_filtered, &err) == -ENOSYS && err.code == ENOSYS);
        CHECK_HAS(err.msg, "clone a process: ");
        CHECK_HAS(err.msg, "Linux 6.1");
        CHECK_HAS(err.msg, "RestrictNamespaces=");
        CHECK_HAS(err.msg, "SystemCallFilter=");
    }
}

TEST(refusals_are_explained_under_a_filter_alone)
{
    static const struct {
        int code;
        const char *hint;
    } rows[] = {{EPERM, "ProtectHostname="}, {EAFNOSUPPORT, "RestrictAddressFamilies="}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_error err = {0};

        (void)cl_fail(&err, rows[i].code, "make it");
        CHECK(cl_filter_explain(0, &err) == -rows[i].code);
        CHECK(strstr(err.msg, "filter") == NULL);
        CHECK(cl_filter_explain(1, &err) == -rows[i].code && err.code == rows[i].code);
        CHECK_HAS(err.msg, "make it: ");
        CHECK_HAS(err.msg, "under a seccomp filter");
        CHECK_HAS(err.msg, rows[i].hint);
    }
}

TEST(what_no_filter_does_is_left_alone)
{
    struct cl_error err = {0};

    (void)cl_fail(&err, EIO, "make it");
    const struct cl_error before = err;
    CHECK(cl_filter_explain(1, &err) == -EIO);
    CHECK_TEXT(err.msg, before.msg);
    (void)cl_refuse(&err, EPERM, "the directory is open to others"); /* our own refusal */
    CHECK(cl_filter_explain(1, &err) == -EPERM);
    CHECK_TEXT(err.msg, "the directory is open to others");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_filter_is_seen),
        ROW(a_missing_call_is_the_kernels_or_a_filters),
        ROW(refusals_are_explained_under_a_filter_alone),
        ROW(what_no_filter_does_is_left_alone),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
