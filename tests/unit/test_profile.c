/* test_profile.c - seccomp profiles: what their programs answer, and what is refused. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/plan/filter.h"
#include "check.h"
#include "profile_machine.h"

enum { ARENA_CAP = 4 << 20 };

static int compile(const char *text, struct cl_arena *arena, struct cl_plan *ret,
                   struct cl_error *err)
{
    CL_CLEANUP_FD int scratch = cl_sys_memfd_create("t", MFD_CLOEXEC);
    const struct cl_filter_input input = {{"s", text, strlen(text)}, {6, 1}, scratch};

    *err = (struct cl_error){0};
    return cl_filter_compile(&input, arena, ret, err);
}

static uint32_t ask(const struct cl_plan *plan, int call, uint64_t first_arg)
{
    struct seccomp_data data = {.nr = call, .arch = native_arch, .args = {first_arg}};

    return profile_run(&plan->seccomp, &data);
}

static const char docker_like[] =
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,"
    "\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\"]}]"
    ","
    "\"syscalls\":["
    "{\"names\":[\"read\",\"write\",\"not_a_call_yet\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[],"
    " \"comment\":\"\",\"includes\":{},\"excludes\":{}},"
    "{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":null,"
    " \"includes\":{\"minKernel\":\"4.8\"}},"
    "{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"6.2\"}},"
    "{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"minKernel\":\"6.1\"}},"
    "{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\","
    " \"args\":[{\"index\":0,\"value\":40,\"op\":\"SCMP_CMP_NE\"}]},"
    "{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
    " {\"index\":0,\"value\":8,\"op\":\"SCMP_CMP_EQ\"},"
    " {\"index\":0,\"value\":4294967295,\"op\":\"SCMP_CMP_EQ\"}]},"
    "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_SYS_"
    "ADMIN\"]}},"
    "{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\","
    " \"args\":[{\"index\":0,\"value\":2114060288,\"valueTwo\":0,\"op\":\"SCMP_CMP_MASKED_EQ\"}],"
    " \"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"],\"arches\":[\"s390\",\"s390x\"]}},"
    "{\"names\":[\"umask\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"s390x\"]}},"
    "{\"names\":[\"bpf\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
    "{\"names\":[\"clone3\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38}]}";

/* As Podman's has it of setns and others, by a capability that nobody here has. */
static const char podman_like[] =
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"syscalls\":["
    "{\"names\":[\"read\",\"setns\",\"mount\",\"bpf\",\"umask\"],\"action\":\"SCMP_ACT_ALLOW\"},"
    "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38},"
    "{\"names\":[\"bpf\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
    "{\"names\":[\"bpf\"],\"action\":\"SCMP_ACT_LOG\"},"
    "{\"names\":[\"umask\"],\"action\":\"SCMP_ACT_ALLOW\","
    " \"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]},"
    "{\"names\":[\"setns\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1,"
    " \"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}}]}";

TEST(of_two_answers_the_stricter_stands)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan = {0};
    struct cl_error err;

    CHECK(compile(podman_like, &arena, &plan, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(ask(&plan, SYS_read, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&plan, SYS_setns, 0) == (SECCOMP_RET_ERRNO | 1));
    CHECK(ask(&plan, SYS_mount, 0) == (SECCOMP_RET_ERRNO | 38)); /* the default's */
    CHECK(ask(&plan, SYS_bpf, 0) == SECCOMP_RET_KILL_PROCESS);
    CHECK(ask(&plan, SYS_umask, 0) == SECCOMP_RET_ALLOW);
}

TEST(a_docker_profile_answers_as_it_says)
{
    enum { NEW_CALL = 500 };
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan = {0};
    struct cl_error err;

    CHECK(compile(docker_like, &arena, &plan, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK_TEXT(plan.seccomp_name, "s");
    CHECK(ask(&plan, SYS_read, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&plan, SYS_ptrace, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&plan, SYS_getpid, 0) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, SYS_getppid, 0) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, SYS_socket, 40) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, SYS_socket, 2) == SECCOMP_RET_ALLOW);
    CHECK(ask(&plan, SYS_personality, 8) == SECCOMP_RET_ALLOW);
    CHECK(ask(&plan, SYS_personality, 0xffffffff) == SECCOMP_RET_ALLOW);
    CHECK(ask(&plan, SYS_personality, 9) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, SYS_mount, 0) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, SYS_clone, 0x11) == SECCOMP_RET_ALLOW);
    CHECK(ask(&plan, SYS_clone, 0x10000000) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, SYS_umask, 0) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, SYS_bpf, 0) == SECCOMP_RET_KILL_PROCESS);
    CHECK(ask(&plan, SYS_clone3, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
    CHECK(ask(&plan, NEW_CALL, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
}

/* Whatever architectures a profile lists. */
TEST(foreign_abis_are_killed)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan = {0};
    struct cl_error err;
    struct seccomp_data data = {.nr = 3, .arch = FOREIGN_ARCH};

    CHECK(compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\","
                  "\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"],\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],"
                  "\"syscalls\":[{\"name\":\"chmod\",\"action\":\"SCMP_ACT_ERRNO\"}]}",
                  &arena, &plan, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(profile_run(&plan.seccomp, &data) == SECCOMP_RET_KILL_PROCESS);
    CHECK(ask(&plan, SYS_read, 0) == SECCOMP_RET_ALLOW);
#if defined(__x86_64__)
    CHECK(ask(&plan, SYS_chmod, 0) == (SECCOMP_RET_ERRNO | EPERM));
    CHECK(ask(&plan, 0x40000000 | SYS_read, 0) == SECCOMP_RET_KILL_PROCESS);
    CHECK(compile(docker_like, &arena, &plan, &err) == 0);
    CHECK(ask(&plan, 0x40000000 | SYS_read, 0) == SECCOMP_RET_KILL_PROCESS);
    CHECK(profile_run(&plan.seccomp, &data) == SECCOMP_RET_KILL_PROCESS);
#endif
}

TEST(error_names_are_understood)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan = {0};
    struct cl_error err;

    CHECK(compile("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"ENOSYS\","
                  "\"defaultErrnoRet\":38,\"syscalls\":[{\"names\":[\"read\"],"
                  "\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"EACCES\"}]}",
                  &arena, &plan, &err) == 0);
    CHECK(ask(&plan, SYS_read, 0) == (SECCOMP_RET_ERRNO | EACCES));
    CHECK(ask(&plan, SYS_write, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
}

#define ALLOWING(rules) "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" rules "]}"
#define DENYING(rules) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" rules "]}"
#define READ_ARGS(args)                                                                            \
    DENYING("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[" args "]}")

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {"", "s:1:0: "},
    {"{", "s:1:1: "},
    {"[]", "s: expected object, got array"},
    {"\"true\"", "s:1:"},
    {"{}", "s: defaultAction is missing"},
    {"{\"defaultAction\":1}", "s: defaultAction: expected string, got integer"},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultAction\":\"SCMP_ACT_KILL\"}", "duplicate"},
    {"{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "defaultAction: SCMP_ACT_NOTIFY needs"},
    {"{\"defaultAction\":\"SCMP_ACT_TRACE\"}", "defaultAction: SCMP_ACT_TRACE needs"},
    {"{\"defaultAction\":\"ALLOW\"}", "unknown action \"ALLOW\""},
    {"{\"defaultActoin\":\"SCMP_ACT_ALLOW\"}",
     "defaultActoin: unknown key (did you mean defaultAction?)"},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", "only SCMP_ACT_ERRNO"},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}",
     "expected 0 to 4095, got 4096"},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":-1}", "expected 0 to 4095, got -1"},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":\"1\"}",
     "defaultErrnoRet: expected integer, got string \"1\""},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1.0}",
     "expected integer, got fraction"},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1e999}", "s:1:"},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":NaN}", "s:1:"},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":true}",
     "expected integer, got boolean"},
    {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"EWHAT\"}", "unknown error name"},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/run/x\"}", "listenerPath"},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}",
     "syscalls: expected array, got object"},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[1]}",
     "syscalls[0]: expected object, got integer"},
    {"{\"defaultAction\":\"\\u0000\"}", "s:1:"},
    {"{\"defaultAction\":\"\xff\"}", "s:1:"},
    {ALLOWING("{\"names\":[\"read\"]}"), "syscalls[0]: action is missing"},
    {ALLOWING("{\"action\":\"SCMP_ACT_KILL\"}"), "expected one of name and names"},
    {ALLOWING("{\"name\":\"a\",\"names\":[\"b\"],\"action\":\"SCMP_ACT_KILL\"}"),
     "expected one of"},
    {ALLOWING("{\"names\":[1],\"action\":\"SCMP_ACT_KILL\"}"),
     "syscalls[0].names[0]: expected string, got integer"},
    {ALLOWING("{\"names\":[\"ptrce\"],\"action\":\"SCMP_ACT_KILL\"}"),
     "syscalls[0]: names[0]: unknown system call \"ptrce\""},
    {ALLOWING("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_KILL\",\"arg\":[]}"),
     "syscalls[0].arg: unknown key (did you mean args?)"},
    {ALLOWING(
         "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_KILL\",\"includes\":{\"minKernel\":\"x\"}}"),
     "syscalls[0]: includes: minKernel: expected a version"},
    {ALLOWING("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_KILL\"},"
              "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}"),
     "syscalls[1]: names[0]: read: has another rule with another action"},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_"
     "X68\"]}",
     "s: architectures[1]: unknown architecture \"SCMP_ARCH_X68\""},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"amd64\"]}",
     "architectures[0]: unknown architecture \"amd64\""},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[64]}",
     "architectures[0]: expected string, got integer"},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"VAX\"}]}",
     "archMap[0]: architecture: unknown architecture \"VAX\""},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_ARM\","
     "\"subArchitectures\":[\"VAX\"]}]}",
     "archMap[0]: subArchitectures[0]: unknown architecture \"VAX\""},
    {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{}]}", "architecture is missing"},
    {ALLOWING("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_KILL\",\"includes\":{\"arches\":["
              "\"amd46\"]}}"),
     "syscalls[0]: includes: arches[0]: unknown architecture \"amd46\""},
    {ALLOWING(
         "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_KILL\",\"excludes\":{\"arches\":[\"x\"]}}"),
     "syscalls[0]: excludes: arches[0]: unknown architecture \"x\""},
    {READ_ARGS("{\"index\":0,\"op\":\"SCMP_CMP_EQ\"}"), "args[0]: index, value and op are needed"},
    {READ_ARGS("{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}"),
     "syscalls[0].args[0].index: expected 0 to 5, got 6"},
    {READ_ARGS("{\"index\":\"1\",\"value\":1,\"op\":\"SCMP_CMP_EQ\"}"),
     "syscalls[0].args[0].index: expected integer, got string \"1\""},
    {READ_ARGS("{\"index\":0,\"value\":-1,\"op\":\"SCMP_CMP_EQ\"}"),
     "args[0].value: expected 0 to"},
    {READ_ARGS("{\"index\":0,\"value\":99999999999999999999,\"op\":\"SCMP_CMP_EQ\"}"), "s:1:"},
    {READ_ARGS("{\"index\":0,\"value\":1,\"op\":\"EQ\"}"), "args[0]: op: unknown operator \"EQ\""},
};

TEST(wrong_profiles_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        struct cl_plan plan = {0};
        struct cl_error err;

        CHECK(compile(wrong[i].text, &arena, &plan, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK(plan.set == 0);
    }
}

TEST(deep_and_long_json_is_refused)
{
    enum { SIZE = 1 << 20 };
    static const char *const patterns[] = {"[", "{\"a\":", "[],", "\"", "1", "-", "{}"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(patterns); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        CL_CLEANUP_FREE char *text = malloc(SIZE + 1);
        struct cl_plan plan = {0};
        struct cl_error err;

        for (size_t at = 0; at < SIZE; at++)
            text[at] = patterns[i][at % strlen(patterns[i])];
        text[SIZE] = '\0';
        CHECK(compile(text, &arena, &plan, &err) < 0);
        CHECK(err.msg[0] != '\0');
    }
}

TEST(a_program_too_large_for_the_kernel_is_refused)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_plan plan = {0};
    struct cl_error err;

    CHECK(cl_buf_add_str(&buf, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[") == 0);
    for (int i = 0; i < 5000; i++) {
        CHECK(cl_buf_printf(&buf,
                            "%s{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":"
                            "[{\"index\":0,\"value\":%d,\"op\":\"SCMP_CMP_EQ\"}]}",
                            i == 0 ? "" : ",", i * 3) == 0);
    }
    CHECK(cl_buf_add_str(&buf, "]}") == 0);
    CHECK(compile(buf.data, &arena, &plan, &err) == -E2BIG);
    CHECK_HAS(err.msg, "the most that can be loaded is 3840");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_docker_profile_answers_as_it_says),
        ROW(of_two_answers_the_stricter_stands),
        ROW(foreign_abis_are_killed),
        ROW(error_names_are_understood),
        ROW(wrong_profiles_are_told_where_and_why),
        ROW(deep_and_long_json_is_refused),
        ROW(a_program_too_large_for_the_kernel_is_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
