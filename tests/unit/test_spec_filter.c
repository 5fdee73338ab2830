/* test_spec_filter.c - the seccomp profile of an OCI bundle: what its program answers on each
 * architecture, how it is to be loaded, and what is refused. */
#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/plan/spec_filter.h"
#include "profile_machine.h"
#include "spec_scene.h"

static int compile(struct spec_scene *scene, const char *text)
{
    CL_CLEANUP_FD int scratch = cl_sys_memfd_create("t", MFD_CLOEXEC);

    *scene = (struct spec_scene){.arena = CL_ARENA_INIT(64 << 20)};
    const char *json = spec_text(text, &scene->arena);
    const struct cl_document document = {"d", json, strlen(json)};
    int r = cl_spec_filter(&document, scratch, &scene->arena, &scene->spec, &scene->err);
    if (r == 0)
        spec_check_back(scene);
    return r;
}

static uint32_t ask_arch(const struct spec_scene *scene, uint32_t arch, int call, uint64_t argument)
{
    const struct seccomp_data data = {.nr = call, .arch = arch, .args = {argument}};

    return profile_run(&scene->spec.seccomp, &data);
}

static uint32_t ask(const struct spec_scene *scene, int call, uint64_t argument)
{
    return ask_arch(scene, native_arch, call, argument);
}

#define RULES(action, list) "{'defaultAction': '" action "', 'syscalls': [" list "]}"
#define ERRNO(number) (SECCOMP_RET_ERRNO | (number))

/* --- actions ------------------------------------------------------------------------------- */

static const struct {
    const char *rest;
    uint32_t answer;
} actions[] = {
    {"'action': 'SCMP_ACT_ALLOW'", SECCOMP_RET_ALLOW},
    {"'action': 'SCMP_ACT_LOG'", SECCOMP_RET_LOG},
    {"'action': 'SCMP_ACT_TRAP'", SECCOMP_RET_TRAP},
    {"'action': 'SCMP_ACT_KILL'", SECCOMP_RET_KILL_THREAD},
    {"'action': 'SCMP_ACT_KILL_THREAD'", SECCOMP_RET_KILL_THREAD},
    {"'action': 'SCMP_ACT_KILL_PROCESS'", SECCOMP_RET_KILL_PROCESS},
    {"'action': 'SCMP_ACT_ERRNO'", ERRNO(EPERM)},
    {"'action': 'SCMP_ACT_ERRNO', 'errnoRet': 38", ERRNO(38)},
    {"'action': 'SCMP_ACT_ERRNO', 'errnoRet': 4094", ERRNO(4094)},
    {"'action': 'SCMP_ACT_ERRNO', 'errnoRet': 0", ERRNO(0)},
    {"'action': 'SCMP_ACT_TRACE'", SECCOMP_RET_TRACE | EPERM},
    {"'action': 'SCMP_ACT_TRACE', 'errnoRet': 65535", SECCOMP_RET_TRACE | 65535},
    {"'action': 'SCMP_ACT_NOTIFY'", SECCOMP_RET_USER_NOTIF},
};

TEST(each_action_is_an_answer)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(actions); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[256];

        (void)snprintf(text, sizeof(text),
                       "{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 5,"
                       " 'listenerPath': '/l', 'syscalls': [{'names': ['read'], %s}]}",
                       actions[i].rest);
        CHECK(compile(&scene, text) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(ask(&scene, SYS_read, 0) == actions[i].answer);
        CHECK(ask(&scene, SYS_write, 0) == ERRNO(5));
        CHECK(cl_spec_has(&scene.spec, CL_SPEC_SECCOMP) &&
              !cl_spec_has(&scene.spec, CL_SPEC_WARNINGS));
    }
}

static const struct {
    const char *text;
    uint32_t answer;
} defaults[] = {
    {"{'defaultAction': 'SCMP_ACT_ALLOW'}", SECCOMP_RET_ALLOW},
    {"{'defaultAction': 'SCMP_ACT_LOG', 'syscalls': null}", SECCOMP_RET_LOG},
    {"{'defaultAction': 'SCMP_ACT_TRAP', 'syscalls': []}", SECCOMP_RET_TRAP},
    {"{'defaultAction': 'SCMP_ACT_KILL'}", SECCOMP_RET_KILL_THREAD},
    {"{'defaultAction': 'SCMP_ACT_KILL_PROCESS'}", SECCOMP_RET_KILL_PROCESS},
    {"{'defaultAction': 'SCMP_ACT_ERRNO'}", ERRNO(EPERM)},
    {"{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 38}", ERRNO(38)},
    {"{'defaultAction': 'SCMP_ACT_TRACE', 'defaultErrnoRet': 9}", SECCOMP_RET_TRACE | 9},
    {"{'defaultAction': 'SCMP_ACT_NOTIFY', 'listenerPath': '/l'}", SECCOMP_RET_USER_NOTIF},
};

TEST(each_action_may_be_the_default)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(defaults); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(compile(&scene, defaults[i].text) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(ask(&scene, SYS_read, 0) == defaults[i].answer);
        CHECK(ask(&scene, SYS_openat, 7) == defaults[i].answer);
    }
}

/* As libseccomp has it, and so other runtimes. */
static const struct {
    const char *rules;
    uint32_t with_5; /* what read answers when its first argument is 5 */
    uint32_t with_6;
} orders[] = {
    {"{'names': ['read'], 'action': 'SCMP_ACT_ALLOW'},"
     "{'names': ['read'], 'action': 'SCMP_ACT_TRAP'}",
     SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW},
    {"{'names': ['read'], 'action': 'SCMP_ACT_TRAP'},"
     "{'names': ['read', 'read'], 'action': 'SCMP_ACT_ALLOW'}",
     SECCOMP_RET_TRAP, SECCOMP_RET_TRAP},
    {"{'names': ['read'], 'action': 'SCMP_ACT_ALLOW',"
     " 'args': [{'index': 0, 'value': 5, 'op': 'SCMP_CMP_EQ'}]},"
     "{'names': ['read'], 'action': 'SCMP_ACT_TRAP'}",
     SECCOMP_RET_TRAP, SECCOMP_RET_TRAP},
    {"{'names': ['read'], 'action': 'SCMP_ACT_ERRNO'},"
     "{'names': ['read'], 'action': 'SCMP_ACT_TRAP'}",
     SECCOMP_RET_TRAP, SECCOMP_RET_TRAP}, /* the first one says what the default does */
    {"{'names': ['read'], 'action': 'SCMP_ACT_ALLOW',"
     " 'args': [{'index': 0, 'value': 5, 'op': 'SCMP_CMP_EQ'}]}",
     SECCOMP_RET_ALLOW, ERRNO(EPERM)},
    {"{'names': ['read'], 'action': 'SCMP_ACT_ALLOW',"
     " 'args': [{'index': 0, 'value': 5, 'op': 'SCMP_CMP_EQ'},"
     "          {'index': 0, 'value': 6, 'op': 'SCMP_CMP_EQ'}]}",
     SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW}, /* one of them must hold */
    {"{'names': ['read'], 'action': 'SCMP_ACT_ALLOW',"
     " 'args': [{'index': 0, 'value': 18446744073709551615, 'valueTwo': 5,"
     "           'op': 'SCMP_CMP_MASKED_EQ'}]}",
     SECCOMP_RET_ALLOW, ERRNO(EPERM)},
};

TEST(rules_are_taken_in_order)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(orders); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[512];

        (void)snprintf(text, sizeof(text), RULES("SCMP_ACT_ERRNO", "%s"), orders[i].rules);
        CHECK(compile(&scene, text) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(ask(&scene, SYS_read, 5) == orders[i].with_5);
        CHECK(ask(&scene, SYS_read, 6) == orders[i].with_6);
    }
}

static const struct {
    const char *op;
    uint32_t holds; /* bit n: for n */
} operators[] = {
    {"NE", 0x2f}, {"LT", 0x0f}, {"LE", 0x1f}, {"EQ", 0x10}, {"GE", 0x30}, {"GT", 0x20},
};

TEST(each_operator_compares)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(operators); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[256];

        (void)snprintf(text, sizeof(text),
                       RULES("SCMP_ACT_ALLOW",
                             "{'names': ['read'], 'action': 'SCMP_ACT_TRAP',"
                             " 'args': [{'index': 0, 'value': 4, 'op': 'SCMP_CMP_%s'}]}"),
                       operators[i].op);
        CHECK(compile(&scene, text) == 0);
        for (uint32_t n = 0; n < 6; n++)
            CHECK((ask(&scene, SYS_read, n) == SECCOMP_RET_TRAP) ==
                  ((operators[i].holds & 1U << n) != 0));
    }
}

/* --- architectures ------------------------------------------------------------------------- */

enum { NEW_CALL = 1000, ODD_ARCH = 0x1234 };

TEST(without_architectures_there_is_the_native_one)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(compile(&scene, "{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': []}") == 0);
    CHECK(ask(&scene, SYS_read, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask_arch(&scene, FOREIGN_ARCH, 3, 0) == SECCOMP_RET_KILL_THREAD);
    CHECK(ask_arch(&scene, ODD_ARCH, 0, 0) == SECCOMP_RET_KILL_THREAD);
}

#if defined(__x86_64__)
#define FOREIGN_NAME "SCMP_ARCH_X86"
#else
#define FOREIGN_NAME "SCMP_ARCH_ARM"
#endif

/* read is 3 there. */
TEST(architectures_that_are_listed_are_added)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(compile(&scene, "{'defaultAction': 'SCMP_ACT_ERRNO',"
                          " 'architectures': ['" FOREIGN_NAME "'],"
                          " 'syscalls': [{'names': ['read'], 'action': 'SCMP_ACT_ALLOW'}]}") == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(ask(&scene, SYS_read, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&scene, SYS_write, 0) == ERRNO(EPERM));
    CHECK(ask_arch(&scene, FOREIGN_ARCH, 3, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask_arch(&scene, FOREIGN_ARCH, 4, 0) == ERRNO(EPERM));
    CHECK(ask_arch(&scene, ODD_ARCH, 0, 0) == SECCOMP_RET_KILL_THREAD);
    /* C libraries fall back from a new call on ENOSYS alone */
    CHECK(ask(&scene, NEW_CALL, 0) == ERRNO(ENOSYS));
    CHECK(ask_arch(&scene, FOREIGN_ARCH, NEW_CALL, 0) == ERRNO(ENOSYS));
#if defined(__aarch64__)
    CHECK(ask_arch(&scene, FOREIGN_ARCH, 0x0f0005, 0) == ERRNO(EPERM)); /* ARM's set_tls */
#else
    CHECK(ask(&scene, 0x40000000, 0) == SECCOMP_RET_KILL_THREAD); /* x32 */
    spec_scene_done(&scene);
    CHECK(compile(&scene, "{'defaultAction': 'SCMP_ACT_ERRNO',"
                          " 'architectures': ['SCMP_ARCH_X32', 'SCMP_ARCH_X86_64'],"
                          " 'syscalls': [{'names': ['read'], 'action': 'SCMP_ACT_ALLOW'}]}") == 0);
    CHECK(ask(&scene, 0x40000000, 0) == SECCOMP_RET_ALLOW);
    CHECK(ask(&scene, 0x40000001, 0) == ERRNO(EPERM));
    CHECK(ask_arch(&scene, FOREIGN_ARCH, 3, 0) == SECCOMP_RET_KILL_THREAD);
#endif
}

TEST(new_calls_are_what_the_default_says_where_that_is_no_errno)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(compile(&scene, "{'defaultAction': 'SCMP_ACT_KILL_PROCESS'}") == 0);
    CHECK(ask(&scene, NEW_CALL, 0) == SECCOMP_RET_KILL_PROCESS);
}

/* libseccomp's own words for a profile, without a tree. */
static void make_plain(struct cl_bytes *ret, struct cl_arena *arena)
{
    static const struct scmp_arg_cmp condition = {0, SCMP_CMP_MASKED_EQ, 0x7e020000, 0};
    CL_CLEANUP_FD int fd = cl_sys_memfd_create("t", MFD_CLOEXEC);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    static char program[1 << 16];

    CHECK(filter != NULL && seccomp_arch_add(filter, seccomp_arch_resolve_name(
#if defined(__x86_64__)
                                                         "x86"
#else
                                                         "arm"
#endif
                                                         )) == 0);
    for (int call = 0; call < 400; call += 3) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

        if (name != NULL && call % 2 == 0)
            CHECK(seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0);
        else if (name != NULL)
            CHECK(seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(7), call, 1, &condition) == 0);
        free(name);
    }
    CHECK(seccomp_export_bpf(filter, fd) == 0);
    seccomp_release(filter);
    ssize_t size = pread(fd, program, sizeof(program), 0);
    CHECK(size > 0 && (size_t)size < sizeof(program));
    *ret = (struct cl_bytes){cl_arena_strndup(arena, program, (size_t)size), (size_t)size};
}

/* The same as a bundle's profile. */
static void write_profile(struct cl_buf *buf)
{
    CHECK(cl_buf_add_str(buf, "{'defaultAction': 'SCMP_ACT_TRAP', 'architectures': "
                              "['" FOREIGN_NAME "'], 'syscalls': [") == 0);
    for (int call = 0; call < 400; call += 3) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

        if (name != NULL && call % 2 == 0)
            CHECK(cl_buf_printf(buf, "%s{'names': ['%s'], 'action': 'SCMP_ACT_ALLOW'}",
                                call == 0 ? "" : ",", name) == 0);
        else if (name != NULL)
            CHECK(cl_buf_printf(buf,
                                ",{'names': ['%s'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 7,"
                                " 'args': [{'index': 0, 'value': 2114060288,"
                                " 'op': 'SCMP_CMP_MASKED_EQ'}]}",
                                name) == 0);
        free(name);
    }
    CHECK(cl_buf_add_str(buf, "]}") == 0);
}

/* libseccomp's binary tree answers as its list does, on each architecture. */
TEST(a_tree_answers_as_a_list_does)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_SPEC struct spec_scene scene;
    struct cl_bytes plain = {0};
    const uint32_t arches[] = {native_arch, FOREIGN_ARCH, ODD_ARCH};
    size_t answers = 0;

    write_profile(&text);
    CHECK(compile(&scene, text.data) == 0);
    CHECK_TEXT(scene.err.msg, "");
    make_plain(&plain, &scene.arena);
    for (size_t i = 0; i < CL_ARRAY_SIZE(arches); i++) {
        for (int call = -1; call < 600; call++) {
            for (uint64_t argument = 0; argument < 2; argument++) {
                const struct seccomp_data data = {
                    .nr = call, .arch = arches[i], .args = {argument << 25}};

                CHECK(profile_run(&plain, &data) == profile_run(&scene.spec.seccomp, &data));
                answers += profile_run(&plain, &data) == SECCOMP_RET_ALLOW;
            }
        }
    }
    CHECK(answers > 100);
}

/* --- how it is loaded ---------------------------------------------------------------------- */

static const struct {
    const char *flags;
    uint64_t value;
} flags[] = {
    {"", 0},
    {"'SECCOMP_FILTER_FLAG_TSYNC'", 0},
    {"'SECCOMP_FILTER_FLAG_LOG'", 2},
    {"'SECCOMP_FILTER_FLAG_SPEC_ALLOW'", 4},
    {"'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'", 32},
    {"'SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'", 6},
};

TEST(each_flag_has_its_bit)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(flags); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[256];

        (void)snprintf(text, sizeof(text),
                       "{'defaultAction': 'SCMP_ACT_NOTIFY', 'listenerPath': '/l', 'flags': [%s]}",
                       flags[i].flags);
        CHECK(compile(&scene, text) == 0);
        CHECK(scene.spec.seccomp_flags == flags[i].value);
        CHECK(cl_spec_has(&scene.spec, CL_SPEC_SECCOMP_FLAGS) == (flags[i].value != 0));
    }
}

TEST(a_listener_is_told_where_there_is_something_to_tell)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(compile(&scene, "{'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': '/run/l',"
                          " 'listenerMetadata': 'm=1', 'syscalls':"
                          " [{'names': ['mknod'], 'action': 'SCMP_ACT_NOTIFY'}]}") == 0);
    CHECK_TEXT(scene.spec.seccomp_listener, "/run/l");
    CHECK_TEXT(scene.spec.seccomp_metadata, "m=1");
    spec_scene_done(&scene);
    CHECK(compile(&scene, "{'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': '/run/l',"
                          " 'listenerMetadata': 'm=1'}") == 0);
    CHECK(scene.spec.set == CL_SPEC_BIT(CL_SPEC_SECCOMP));
}

/* --- what is refused ----------------------------------------------------------------------- */

#define ONE_RULE(rest) RULES("SCMP_ACT_ALLOW", "{'names': ['read'], " rest "}")
#define ONE_ARG(rest) ONE_RULE("'action': 'SCMP_ACT_TRAP', 'args': [{" rest "}]")

static const struct spec_refusal wrong[] = {
    {"{}", "d: linux.seccomp.defaultAction: is missing"},
    {"[]", "d: linux.seccomp: expected object, got array"},
    {"{'defaultAction': 5}", "d: linux.seccomp.defaultAction: expected string, got integer"},
    {"{'defaultAction': 'ALLOW'}", "d: linux.seccomp.defaultAction: unknown action \"ALLOW\""},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'defaultErrnoRet': 1}",
     "d: linux.seccomp.defaultAction: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have an error"
     " number"},
    {"{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 4096}",
     "d: linux.seccomp.defaultAction: an error number is at most 4095"},
    {"{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': -1}",
     "d: linux.seccomp.defaultErrnoRet: expected 0 to 65535, got -1"},
    {"{'defaultAction': 'SCMP_ACT_TRACE', 'defaultErrnoRet': 65536}",
     "d: linux.seccomp.defaultErrnoRet: expected 0 to 65535, got 65536"},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_VAX']}",
     "d: linux.seccomp.architectures[0]: unknown architecture \"SCMP_ARCH_VAX\""},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': 'SCMP_ARCH_X86'}",
     "d: linux.seccomp.architectures: expected array of strings, got string \"SCMP_ARCH_X86\""},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'flags': ['SECCOMP_FILTER_FLAG_LOGS']}",
     "d: linux.seccomp.flags[0]: unknown flag \"SECCOMP_FILTER_FLAG_LOGS\""
     " (did you mean SECCOMP_FILTER_FLAG_LOG?)"},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': 1}",
     "d: linux.seccomp.listenerPath: expected string, got integer"},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'listenerMetadata': 'm'}",
     "d: linux.seccomp.listenerMetadata: is nobody's without listenerPath"},
    {"{'defaultAction': 'SCMP_ACT_NOTIFY'}",
     "d: linux.seccomp.listenerPath: is missing; SCMP_ACT_NOTIFY asks whoever listens there"},
    {ONE_RULE("'action': 'SCMP_ACT_NOTIFY'"),
     "d: linux.seccomp.listenerPath: is missing; SCMP_ACT_NOTIFY asks whoever listens there"},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': {}}",
     "d: linux.seccomp.syscalls: expected array, got object"},
    {RULES("SCMP_ACT_ALLOW", "{'action': 'SCMP_ACT_TRAP'}"),
     "d: linux.seccomp.syscalls[0].names: is missing"},
    {RULES("SCMP_ACT_ALLOW", "{'names': [], 'action': 'SCMP_ACT_TRAP'}"),
     "d: linux.seccomp.syscalls[0].names: no names in it"},
    {RULES("SCMP_ACT_ALLOW", "{'names': ['read']}"),
     "d: linux.seccomp.syscalls[0].action: is missing"},
    {ONE_RULE("'action': 'SCMP_ACT_KILLS'"),
     "d: linux.seccomp.syscalls[0]: action: unknown action \"SCMP_ACT_KILLS\""},
    {ONE_RULE("'action': 'SCMP_ACT_TRAP', 'errnoRet': 1"),
     "d: linux.seccomp.syscalls[0]: action: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have an error"
     " number"},
    {ONE_ARG("'value': 1, 'op': 'SCMP_CMP_EQ'"),
     "d: linux.seccomp.syscalls[0]: args[0]: index, value and op are needed"},
    {ONE_ARG("'index': 6, 'value': 1, 'op': 'SCMP_CMP_EQ'"),
     "d: linux.seccomp.syscalls[0].args[0].index: expected 0 to 5, got 6"},
    {ONE_ARG("'index': 0, 'value': -1, 'op': 'SCMP_CMP_EQ'"),
     "d: linux.seccomp.syscalls[0].args[0].value: expected 0 to 18446744073709551615, got -1"},
    {ONE_ARG("'index': 0, 'value': 1, 'op': 'EQ'"),
     "d: linux.seccomp.syscalls[0]: args[0]: op: unknown operator \"EQ\""},
    {RULES("SCMP_ACT_ALLOW", "{'names': ['read'], 'action': 'SCMP_ACT_TRAP',"
                             " 'args': [{'index': 0, 'value': 1, 'op': 'SCMP_CMP_EQ'}]},"
                             "{'names': ['read'], 'action': 'SCMP_ACT_LOG',"
                             " 'args': [{'index': 0, 'value': 1, 'op': 'SCMP_CMP_EQ'}]}"),
     "d: linux.seccomp.syscalls[1]: names[0]: the same conditions stand twice with different"
     " actions"},
};

TEST(what_can_not_be_is_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(compile(&scene, wrong[i].text) < 0);
        CHECK_TEXT(scene.err.msg, wrong[i].message);
        CHECK(scene.spec.set == 0);
    }
}

static const struct spec_refusal strange[] = {
    {RULES("SCMP_ACT_ERRNO", "{'names': ['read', 'no_such'], 'action': 'SCMP_ACT_ALLOW'},"
                             "{'names': ['nor_this'], 'action': 'SCMP_ACT_TRAP'}"),
     "linux.seccomp: passed over 2 system calls that libseccomp doesn't know: no_such, nor_this"},
    {RULES("SCMP_ACT_ALLOW", "{'names': ['no_such'], 'action': 'SCMP_ACT_KILL'}"),
     "linux.seccomp: passed over 1 system call that libseccomp doesn't know: no_such"},
    {ONE_RULE("'action': 'SCMP_ACT_TRAP', 'includes': {'caps': ['CAP_BPF']}"),
     "linux.seccomp.syscalls[0].includes: unknown property; passed over"},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_PPC64']}",
     "linux.seccomp.architectures: SCMP_ARCH_PPC64 can't be run here; passed over"},
    {"{'defaultAction': 'SCMP_ACT_ALLOW', 'flags': ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']}",
     "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is for SCMP_ACT_NOTIFY; passed"
     " over"},
};

TEST(what_means_nothing_is_told)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(strange); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(compile(&scene, strange[i].text) == 0);
        CHECK(scene.spec.warnings.count == 1 && scene.spec.seccomp_flags == 0);
        CHECK_TEXT(scene.spec.warnings.count == 1 ? scene.spec.warnings.items[0] : NULL,
                   strange[i].message);
    }
}

TEST(many_unknown_calls_are_one_warning)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(cl_buf_add_str(&text, "{'defaultAction': 'SCMP_ACT_ERRNO', 'syscalls': [{'names': [") ==
          0);
    for (int i = 0; i < 500; i++)
        CHECK(cl_buf_printf(&text, "%s'a_call_that_is_none_%d'", i == 0 ? "" : ",", i) == 0);
    CHECK(cl_buf_add_str(&text, "], 'action': 'SCMP_ACT_ALLOW'}]}") == 0);
    CHECK(compile(&scene, text.data) == 0);
    CHECK(scene.spec.warnings.count == 1);
    CHECK_HAS(scene.spec.warnings.items[0], "passed over 500 system calls");
    CHECK_HAS(scene.spec.warnings.items[0], "a_call_that_is_none_0, a_call_that_is_none_1, ");
    CHECK_HAS(scene.spec.warnings.items[0], ", ...");
}

/* A bundle's may be as large as the kernel takes them. */
TEST(a_program_too_large_for_the_kernel_is_refused)
{
    static const struct {
        int rules;
        int fits;
    } sizes[] = {{900, 1}, {1500, 0}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(sizes); i++) {
        CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(cl_buf_add_str(&text, "{'defaultAction': 'SCMP_ACT_ERRNO', 'syscalls': [") == 0);
        for (int n = 0; n < sizes[i].rules; n++)
            CHECK(cl_buf_printf(&text,
                                "%s{'names': ['read'], 'action': 'SCMP_ACT_ALLOW', 'args':"
                                "[{'index': 0, 'value': %lld, 'op': 'SCMP_CMP_EQ'}]}",
                                n == 0 ? "" : ",", (long long)n << 32 | n) == 0);
        CHECK(cl_buf_add_str(&text, "]}") == 0);
        CHECK(compile(&scene, text.data) == (sizes[i].fits ? 0 : -E2BIG));
        if (!sizes[i].fits)
            CHECK_HAS(scene.err.msg, "the most that can be loaded is 4096");
    }
}

TEST(without_memory_there_is_no_program)
{
    static const char text[] =
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_PPC64\"],"
        "\"syscalls\":[{\"names\":[\"read\",\"no_such\"],\"action\":\"SCMP_ACT_ALLOW\","
        "\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}";
    const struct cl_document document = {"d", text, sizeof(text) - 1};
    size_t cap = 0;
    int r = -ENOMEM;

    for (; r < 0 && cap < 1 << 20; cap += 100) {
        CL_CLEANUP_FD int scratch = cl_sys_memfd_create("t", MFD_CLOEXEC);
        CL_CLEANUP_SPEC struct spec_scene scene = {.arena = CL_ARENA_INIT(cap)};

        r = cl_spec_filter(&document, scratch, &scene.arena, &scene.spec, &scene.err);
        CHECK(r == 0 || (r == -ENOMEM && scene.spec.set == 0 && scene.err.code == ENOMEM));
    }
    CHECK(r == 0 && cap > 500);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_action_is_an_answer),
        ROW(each_action_may_be_the_default),
        ROW(rules_are_taken_in_order),
        ROW(each_operator_compares),
        ROW(without_architectures_there_is_the_native_one),
        ROW(architectures_that_are_listed_are_added),
        ROW(new_calls_are_what_the_default_says_where_that_is_no_errno),
        ROW(a_tree_answers_as_a_list_does),
        ROW(each_flag_has_its_bit),
        ROW(a_listener_is_told_where_there_is_something_to_tell),
        ROW(what_can_not_be_is_told_where_and_why),
        ROW(what_means_nothing_is_told),
        ROW(many_unknown_calls_are_one_warning),
        ROW(a_program_too_large_for_the_kernel_is_refused),
        ROW(without_memory_there_is_no_program),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
