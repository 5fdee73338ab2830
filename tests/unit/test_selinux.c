/* test_selinux.c - the sandbox's SELinux context, for whose files the test's own stand. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

static struct room room;

static int has_layer(void)
{
    return (room.report.layers & CL_LAYER_BIT(CL_LAYER_SELINUX)) != 0;
}

static int decide(void)
{
    room.err = (struct cl_error){0};
    return cl_selinux_decide(&room.container, &room.err);
}

/* A selinuxfs whose file `context` is a plain one: it gives back what is written to it,
 * where that is no shorter than what was written before. */
static void set_up(const char *enforcing)
{
    room_set_up(&room);
    room.start.id = "0123456789abcdef";
    for (size_t i = 0; i < CL_ARRAY_SIZE(room.start.stdio); i++)
        room.start.stdio[i] = -1;
    CHECK(mount("tmpfs", "/sys/fs", "tmpfs", 0, NULL) == 0);
    CHECK(mkdir("/sys/fs/selinux", 0755) == 0);
    CHECK(room_write("/sys/fs/selinux/enforce", enforcing) == 0);
    CHECK(room_write("/sys/fs/selinux/mls", "1") == 0);
    CHECK(room_write("/sys/fs/selinux/context", "") == 0);
}

static void answer_from(const char *file)
{
    CHECK(unlink("/sys/fs/selinux/context") == 0);
    CHECK(symlink(file, "/sys/fs/selinux/context") == 0);
}

static void decide_for_known(void)
{
    set_up("1");
    room.start.uid_base = 0x70000000;
    CHECK(decide() == 0);
    CHECK_HAS(room.container.process_context, "system_u:system_r:container_t:s0:c");
    CHECK_HAS(room.container.file_context, "system_u:object_r:container_file_t:s0:c");
    CHECK_TEXT(strstr(room.container.process_context, ":s0"),
               strstr(room.container.file_context, ":s0"));
    CHECK(room_write("/sys/fs/selinux/mls", "0") == 0);
    CHECK(room_write("/sys/fs/selinux/context", "") == 0);
    CHECK(decide() == 0);
    CHECK_TEXT(room.container.process_context, "system_u:system_r:container_t");
    CHECK_TEXT(room.container.file_context, "system_u:object_r:container_file_t");
}

TEST(a_sandbox_gets_categories_where_the_policy_has_them)
{
    room_run(decide_for_known);
}

static void decide_for_none(void)
{
    room_set_up(&room);
    CHECK(mount("tmpfs", "/sys/fs", "tmpfs", 0, NULL) == 0);
    (void)snprintf(room.container.process_context, CL_CONTEXT_SIZE, "old");
    CHECK(decide() == 0);
    CHECK_TEXT(room.container.process_context, "");
    CHECK(mkdir("/sys/fs/selinux", 0755) == 0 && room_write("/sys/fs/selinux/enforce", "") == 0);
    CHECK(decide() == 0);
    CHECK_TEXT(room.container.process_context, "");
    CHECK(unlink("/sys/fs/selinux/enforce") == 0 && mkdir("/sys/fs/selinux/enforce", 0755) == 0);
    CHECK(decide() == -EISDIR);
    room.plan.without = CL_LAYER_BIT(CL_LAYER_SELINUX);
    CHECK(decide() == 0);
    CHECK_TEXT(room.container.process_context, "");
}

/* Nobody may label a pipe here, where the kernel has no SELinux or we have no right to. */
static void fail_to_label(void)
{
    set_up("1");
    CHECK(cl_sys_pipe2(room.start.stdio, 0) == 0);
    CHECK(decide() < 0);
    CHECK_HAS(room.err.msg, "label the standard streams system_u:object_r:container_file_t:s0:c");
    CHECK_HAS(room.err.msg, "packaging/selinux");
    CHECK_HAS(room.err.msg, "--without selinux");
}

TEST(streams_that_can_not_be_labelled_stop_the_start)
{
    room_run(fail_to_label);
}

TEST(a_host_without_selinux_gives_no_context)
{
    room_run(decide_for_none);
}

static void decide_for_unknown(void)
{
    /* EINVAL, as the kernel says it; no answer; another answer, as without a policy */
    static const char *const unknown[] = {"/proc/self/oom_score_adj", "/dev/null", "/dev/zero"};

    set_up("1");
    for (size_t i = 0; i < CL_ARRAY_SIZE(unknown); i++) {
        answer_from(unknown[i]);
        CHECK(decide() == -ENOTSUP);
        CHECK_HAS(room.err.msg, "container_t");
        CHECK_HAS(room.err.msg, "container-selinux");
        CHECK_HAS(room.err.msg, "--without selinux");
        CHECK_TEXT(room.container.process_context, "");
        CHECK_TEXT(room.container.file_context, "");
    }
    answer_from("/dev/full");
    CHECK(decide() == -ENOSPC);
    CHECK_HAS(room.err.msg, "--without selinux");
    CHECK_TEXT(room.container.process_context, "");
    room.plan.without = CL_LAYER_BIT(CL_LAYER_SELINUX);
    CHECK(decide() == 0);
    room.plan.without = 0;
    answer_from("/dev/null");
    CHECK(room_write("/sys/fs/selinux/enforce", "0") == 0);
    CHECK(decide() == 0); /* permissive: nothing is lost */
    CHECK_TEXT(room.container.process_context, "");
}

TEST(an_enforcing_host_that_does_not_know_the_type_is_refused)
{
    room_run(decide_for_unknown);
}

static int compare(const void *left, const void *right)
{
    uint32_t a;
    uint32_t b;

    memcpy(&a, left, sizeof(a));
    memcpy(&b, right, sizeof(b));
    return a < b ? -1 : a > b;
}

TEST(uid_ranges_have_pairs_of_their_own)
{
    enum { RANGES = 65536 };
    uint32_t *seen = calloc(RANGES, sizeof(*seen));
    uint32_t pair[2];

    CHECK(seen != NULL);
    for (uint32_t i = 1; seen != NULL && i < RANGES; i++) {
        cl_selinux_categories(i * CL_UIDS_PER_RANGE, "", pair);
        CHECK(pair[0] < pair[1] && pair[1] < 1024);
        seen[i] = pair[0] * 1024 + pair[1];
    }
    if (seen != NULL)
        qsort(seen, RANGES, sizeof(*seen), compare);
    for (uint32_t i = 1; seen != NULL && i < RANGES; i++)
        CHECK(seen[i] != seen[i - 1]);
    free(seen);
}

TEST(ids_without_a_range_have_pairs_by_chance)
{
    uint32_t one[2];
    uint32_t other[2];

    cl_selinux_categories(0, "0123456789abcdef", one);
    cl_selinux_categories(0, "0123456789abcdee", other);
    CHECK(one[0] < one[1] && one[1] < 1024 && other[0] < other[1] && other[1] < 1024);
    CHECK(one[0] != other[0] || one[1] != other[1]);
    cl_selinux_categories(0, "0123456789abcdef", other);
    CHECK(one[0] == other[0] && one[1] == other[1]);
}

static void take_context(void)
{
    char text[CL_CONTEXT_SIZE];

    room_set_up(&room);
    room.container.proc = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH, 0);
    CHECK(cl_selinux_take(&room.container, &room.err) == 0 && !has_layer());
    (void)snprintf(room.container.process_context, CL_CONTEXT_SIZE, "u:r:t:s0:c1,c2");
    CHECK(cl_selinux_take(&room.container, &room.err) == -ENOENT && !has_layer());
    CHECK(mkdir("/mnt/self", 0755) == 0 && mkdir("/mnt/self/attr", 0755) == 0);
    CHECK(room_write("/mnt/self/attr/exec", "") == 0);
    CHECK(cl_selinux_take(&room.container, &room.err) == 0 && has_layer());
    CHECK(room_read(AT_FDCWD, "/mnt/self/attr/exec", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "u:r:t:s0:c1,c2");
    room.report.layers = 0;
    CHECK(unlink("/mnt/self/attr/exec") == 0 && symlink("/dev/full", "/mnt/self/attr/exec") == 0);
    CHECK(cl_selinux_take(&room.container, &room.err) == -ENOSPC && !has_layer());
    CHECK_HAS(room.err.msg, "u:r:t:s0:c1,c2");
    CHECK_HAS(room.err.msg, "--without selinux");
}

TEST(the_context_is_asked_for_before_exec)
{
    room_run(take_context);
}

TEST(denials_of_exec_are_explained)
{
    struct cl_container container = {.rootless = 1};
    struct cl_error err = {0};

    (void)cl_refuse(&err, EACCES, "execute");
    CHECK(cl_selinux_hint(&container, -EACCES, &err) == -EACCES);
    CHECK_TEXT(err.msg, "execute");
    (void)snprintf(container.process_context, CL_CONTEXT_SIZE, "u:r:t");
    CHECK(cl_selinux_hint(&container, -ENOENT, &err) == -ENOENT);
    CHECK_TEXT(err.msg, "execute");
    CHECK(cl_selinux_hint(&container, -EACCES, &err) == -EACCES);
    CHECK_HAS(err.msg, "container_file_t");
    (void)cl_refuse(&err, EPERM, "execute");
    CHECK(cl_selinux_hint(&container, -EPERM, &err) == -EPERM);
    CHECK_HAS(err.msg, "nnp_transition");
}

static void label_mounts(void)
{
    static const char *const options[] = {"mode", "0755", NULL, NULL};

    room_set_up(&room);
    CL_CLEANUP_FD int plain = cl_fs_make_own(&room.container, "tmpfs", options, 0, &room.err);
    CHECK(plain >= 0);
    /* a kernel without SELinux knows no such option, one with it no such context */
    (void)snprintf(room.container.file_context, CL_CONTEXT_SIZE, "not a context");
    CHECK(cl_fs_make_own(&room.container, "tmpfs", options, 0, &room.err) < 0);
    CHECK_HAS(room.err.msg, "option context of tmpfs");
    CL_CLEANUP_FD int others = cl_fs_make("tmpfs", options, 0, &room.err);
    CHECK(others >= 0);
}

TEST(own_file_systems_are_labelled)
{
    room_run(label_mounts);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_sandbox_gets_categories_where_the_policy_has_them),
        ROW(streams_that_can_not_be_labelled_stop_the_start),
        ROW(a_host_without_selinux_gives_no_context),
        ROW(an_enforcing_host_that_does_not_know_the_type_is_refused),
        ROW(uid_ranges_have_pairs_of_their_own),
        ROW(ids_without_a_range_have_pairs_by_chance),
        ROW(the_context_is_asked_for_before_exec),
        ROW(denials_of_exec_are_explained),
        ROW(own_file_systems_are_labelled),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
