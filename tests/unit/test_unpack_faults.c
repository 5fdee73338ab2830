/* test_unpack_faults.c - what fails is told and leaves nothing open; and which system calls
 * there are to fail. */
#include <seccomp.h>

#include "base/fault.h"
#include "unpack_scene.h"

static char big[3 << 20];

/* A layer with all there can be: each call is made. */
static void put_everything(struct cl_buf *tar)
{
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;

    TAR(tar, .name = ".", .type = '5', .mode = 01755, .mtime = 1);
    TAR(tar, .name = "d", .type = '5', .mode = 02755, .mtime = 2);
    tar_record(&body, "SCHILY.xattr.user.x", "y");
    tar_record(&body, "GNU.sparse.size", "5000000");
    tar_record(&body, "GNU.sparse.map", "0,5,100000,5");
    tar_pax(tar, &body);
    TAR(tar, .name = "d/sparse", .content = "0123456789", .mode = 06755);
    TAR(tar, .name = "d/big", .content = big, .size = sizeof(big));
    tar_symlink(tar, "link", "d");
    tar_file(tar, "link/x", "y");
    TAR(tar, .name = "d/fifo", .type = '6', .mode = 07666);
    tar_hard_link(tar, "d/hard", "d/big");
    tar_hard_link(tar, "d/fifo", "d/big");
    tar_file(tar, "d/forgotten/of/it", "y");
    tar_file(tar, "d/.wh.gone", "");
    tar_file(tar, "d/gone/not", "y");
    tar_file(tar, "d/forgotten/.wh..wh..opq", "");
    tar_file(tar, "d/.wh.forgotten", "");
    tar_directory(tar, "d/forgotten");
    tar_file(tar, "d", "in the place of a tree");
    tar_directory(tar, "link");
    tar_symlink(tar, "other", "nowhere");
    tar_symlink(tar, "other", "nowhere");
}

static int unpack(struct scene *scene, struct cl_buf *tar)
{
    CL_CLEANUP_FD int report = scene_memory("", 0);
    CL_CLEANUP_FD int stream = scene_memory(tar->data, tar->size);
    const struct cl_unpack how = {.stream = stream,
                                  .root = scene->root,
                                  .report = report,
                                  .max_bytes = scene->max_bytes,
                                  .max_entries = scene->max_entries};

    return cl_unpack_run(&how, &scene->report, &scene->err);
}

/* Each call of each kind fails once. */
TEST(whatever_fails_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    NEEDS_ROOM();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    put_everything(&tar);
    tar_end(&tar);
    for (unsigned int i = 0; i < cl_unpack_call_count; i++) {
        const int call = cl_unpack_calls[i];
        const int is_advice = call == SYS_sync_file_range || call == SYS_umask;

        for (int n = 1, struck = 1; struck; n++) {
            CLEANUP_SCENE struct scene scene = scene_make();
            const int fds = check_count_fds();
            char fault[64];

            (void)snprintf(fault, sizeof(fault), "lacks:%d#%d=%d", call, n, EIO);
            cl_fault_set(fault);
            int r = unpack(&scene, &tar);
            struck = cl_fault_struck();
            cl_fault_set(NULL);
            CHECK(r == (struck && !is_advice ? -EIO : 0));
            if (r != (struck && !is_advice ? -EIO : 0))
                printf("# call %d, the %d. time: %d %s\n", call, n, r, scene.err.msg);
            CHECK(r == 0 || strstr(scene.err.msg, ": Input/output error") != NULL);
            CHECK(check_count_fds() == fds);
            CHECK(n > 1 || struck || call == SYS_close || call == SYS_fchown ||
                  call == SYS_fchownat || call == SYS_fchmodat);
        }
    }
}

TEST(allocations_fail_as_well)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    NEEDS_ROOM();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;

    put_everything(&tar);
    tar_end(&tar);
    for (int n = 1, struck = 1; struck; n++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        const int fds = check_count_fds();
        char fault[64];

        (void)snprintf(fault, sizeof(fault), "alloc:%d", n);
        cl_fault_set(fault);
        int r = unpack(&scene, &tar);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(r == (struck ? -ENOMEM : 0));
        CHECK(check_count_fds() == fds);
        CHECK(n > 3 || struck);
    }
}

TEST(interrupted_calls_go_on)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    char fault[96];

    tar_file(&tar, "file", "content");
    tar_end(&tar);
    (void)snprintf(fault, sizeof(fault), "lacks:%d#1=%d,%d#1=%d", (int)SYS_read, EINTR,
                   (int)SYS_pwrite64, EINTR);
    cl_fault_set(fault);
    CHECK(unpack(&scene, &tar) == 0);
    cl_fault_set(NULL);
    scene_holds(&scene, "file", "content");
}

TEST(no_room_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const int errors[] = {ENOSPC, EDQUOT};

    NEEDS_ROOM();
    for (size_t i = 0; i < CL_ARRAY_SIZE(errors); i++) {
        CLEANUP_SCENE struct scene scene = scene_make();
        CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
        char fault[64];

        tar_file(&tar, "d/file", "content");
        (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", (int)SYS_pwrite64, errors[i]);
        cl_fault_set(fault);
        scene_refused(&scene, &tar, errors[i], "write \"d/file\": ");
        cl_fault_set(NULL);
    }
}

/* What the jail's filter allows. */
static const int memory_calls[] = {
    SCMP_SYS(mmap),           SCMP_SYS(munmap),       SCMP_SYS(brk),      SCMP_SYS(mremap),
    SCMP_SYS(madvise),        SCMP_SYS(exit_group),   SCMP_SYS(futex),    SCMP_SYS(write),
    SCMP_SYS(sigaltstack),    SCMP_SYS(rt_sigaction), SCMP_SYS(getpid),   SCMP_SYS(gettid),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_yield),  SCMP_SYS(mprotect),
};

static void filter(int allow_all)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int r = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(memory_calls); i++)
        r |= seccomp_rule_add(context, SCMP_ACT_ALLOW, memory_calls[i], 0);
    for (unsigned int i = 0; i < cl_unpack_call_count; i++) {
        if (allow_all || cl_unpack_calls[i] != SYS_unlinkat)
            r |= seccomp_rule_add(context, SCMP_ACT_ALLOW, cl_unpack_calls[i], 0);
    }
    CHECK(r == 0 && seccomp_load(context) == 0);
    seccomp_release(context);
}

/* In a process of its own: its exit status is the errno of what fails. */
static int filtered(int allow_all)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    int status = -1;

    put_everything(&tar);
    tar_end(&tar);
    CL_CLEANUP_FD int report = scene_memory("", 0);
    CL_CLEANUP_FD int stream = scene_memory(tar.data, tar.size);
    const struct cl_unpack how = {.stream = stream,
                                  .root = scene.root,
                                  .report = report,
                                  .max_bytes = scene.max_bytes,
                                  .max_entries = scene.max_entries};
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        filter(allow_all);
        int r = cl_unpack_run(&how, &scene.report, &scene.err);
        if (r < 0 && allow_all)
            printf("# %s\n", scene.err.msg);
        (void)fflush(stdout);
        _exit(-r);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(the_calls_are_all_that_it_takes)
{
    NEEDS_ROOM();
    CHECK(filtered(1) == 0);
    CHECK(filtered(0) == ENOSYS);
}

/* --- the report
 * ------------------------------------------------------------------------------------ */

TEST(progress_is_told_while_it_goes_on)
{
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    CL_CLEANUP_FD int report = scene_memory("", 0);
    struct cl_unpack_report told = {0};

    for (int i = 0; i < 3; i++)
        TAR(&tar, .name = "big", .content = big, .size = sizeof(big));
    CL_CLEANUP_FD int half = scene_memory(tar.data, tar.size - 1000);
    const struct cl_unpack cut_off = {.stream = half,
                                      .root = scene.root,
                                      .report = report,
                                      .max_bytes = 1 << 30,
                                      .max_entries = 9};
    CHECK(cl_unpack_run(&cut_off, &scene.report, &scene.err) == -ENODATA);
    CHECK(pread(report, &told, sizeof(told), 0) == sizeof(told));
    CHECK(told.entries == 3 && told.bytes == 2 * sizeof(big));
    CHECK(scene.report.entries == 0); /* untouched */
    CL_CLEANUP_FD int whole = scene_memory(tar.data, tar.size);
    const struct cl_unpack complete = {.stream = whole,
                                       .root = scene.root,
                                       .report = report,
                                       .max_bytes = 1 << 30,
                                       .max_entries = 9};
    CHECK(cl_unpack_run(&complete, &scene.report, &scene.err) == 0);
    CHECK(pread(report, &told, sizeof(told), 0) == sizeof(told));
    CHECK(told.entries == 3 && told.bytes == 3 * sizeof(big));
    CHECK(memcmp(&told, &scene.report, sizeof(told)) == 0);
}

TEST(a_report_that_is_cut_off_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    NEEDS_ROOM();
    CLEANUP_SCENE struct scene scene = scene_make();
    CL_CLEANUP_BUF struct cl_buf tar = TAR_SCENE_INIT;
    char fault[64];

    tar_end(&tar);
    (void)snprintf(fault, sizeof(fault), "answers:%d=5", (int)SYS_pwrite64);
    cl_fault_set(fault);
    CHECK(unpack(&scene, &tar) == -EIO);
    cl_fault_set(NULL);
    CHECK_TEXT(scene.err.msg, "the report of the layer's progress was cut off");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(whatever_fails_is_told),           ROW(allocations_fail_as_well),
        ROW(interrupted_calls_go_on),          ROW(no_room_is_told),
        ROW(the_calls_are_all_that_it_takes),  ROW(progress_is_told_while_it_goes_on),
        ROW(a_report_that_is_cut_off_is_told),
    };

    scene_enter();
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
