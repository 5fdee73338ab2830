/* test_group_devices.c - which devices an OCI container may use: the order of rules against a plain
 * reading of it, as the program that v2 is given, and as the kernel answers who opens nodes. */
#include <linux/bpf.h>
#include <sys/sysmacros.h>

#include "group_scene.h"
#include "limits/group_rules.h"

enum { R = CL_SPEC_READ, W = CL_SPEC_WRITE, M = CL_SPEC_MKNOD, ANY = CL_SPEC_ANY };

static uint32_t seed = 1;

static uint32_t pick(uint32_t count)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % count;
}

struct use {
    uint32_t kind;
    uint32_t major;
    uint32_t minor;
    uint32_t access;
};

/* --- what the rules say ------------------------------------------------------------- */

static int fits(const struct cl_spec_rule *rule, const struct use *use)
{
    return (rule->kind == 'a' || rule->kind == use->kind) &&
           (rule->major == ANY || rule->major == use->major) &&
           (rule->minor == ANY || rule->minor == use->minor);
}

/* Of each kind of access the last rule that fits and names it decides. */
static int is_allowed(const struct cl_spec_rules *rules, const struct use *use)
{
    for (uint32_t bit = 1; bit <= M; bit <<= 1) {
        int allowed = 0;

        if ((use->access & bit) == 0)
            continue;
        for (size_t i = 0; i < cl_rules_count(rules); i++) {
            const struct cl_spec_rule *rule = cl_rules_at(rules, i);

            if ((rule->access & bit) != 0 && fits(rule, use))
                allowed = rule->allow != 0;
        }
        if (!allowed)
            return 0;
    }
    return 1;
}

/* --- the program --------------------------------------------------------------------- */

/* Runs it as the kernel does: its answer, or -1 where it leaves what it is made of. */
static int run(const struct cl_buf *program, const struct use *use)
{
    const struct bpf_insn *insns = (const void *)program->data;
    const size_t count = program->size / sizeof(*insns);
    const uint32_t access = ((use->access & R) != 0 ? 2U : 0U) |
                            ((use->access & W) != 0 ? 4U : 0U) | ((use->access & M) != 0 ? 1U : 0U);
    const struct bpf_cgroup_dev_ctx context = {access << 16 | (use->kind == 'b' ? 1U : 2U),
                                               use->major, use->minor};
    uint32_t regs[BPF_REG_10 + 1] = {0};

    for (size_t pc = 0; pc < count; pc++) {
        const struct bpf_insn *in = &insns[pc];
        uint32_t *dst = &regs[in->dst_reg];
        const uint32_t imm = (uint32_t)in->imm;

        switch (in->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            memcpy(dst, (const char *)&context + in->off, sizeof(*dst));
            break;
        case BPF_LDX | BPF_MEM | BPF_H:
            *dst = 0;
            memcpy(dst, (const char *)&context + in->off, sizeof(uint16_t));
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            *dst &= imm;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            *dst >>= imm;
            break;
        case BPF_ALU64 | BPF_MOV | BPF_K:
            *dst = imm;
            break;
        case BPF_JMP | BPF_JA:
            pc += (size_t)in->off;
            break;
        case BPF_JMP32 | BPF_JNE | BPF_K:
            pc += *dst != imm ? (size_t)in->off : 0;
            break;
        case BPF_JMP32 | BPF_JSET | BPF_K:
            pc += (*dst & imm) != 0 ? (size_t)in->off : 0;
            break;
        case BPF_JMP | BPF_EXIT:
            return (int)regs[0];
        default:
            return -1;
        }
    }
    return -1;
}

static struct cl_spec_rule random_rule(void)
{
    static const uint32_t kinds[] = {'a', 'b', 'c', 'c'};
    struct cl_spec_rule rule = {
        .allow = pick(2),
        .kind = kinds[pick(4)],
        .access = pick(8),
        .major = pick(3) == 0 ? ANY : 60 + (int64_t)pick(2),
        .minor = pick(2) == 0 ? ANY : (int64_t)pick(2),
    };

    if (pick(3) == 0)
        rule.access = R | W | M;
    return rule;
}

/* Whether the kernel's verifier takes it: 1, 0, or -1 where this user may ask for none. */
static int is_taken(const struct cl_buf *program)
{
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insn_cnt = (uint32_t)(program->size / sizeof(struct bpf_insn)),
        .insns = (uintptr_t)program->data,
        .license = (uintptr_t) "",
    };
    CL_CLEANUP_FD int fd = cl_sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));

    return fd >= 0 ? 1 : fd == -EPERM || fd == -ENOSYS ? -1 : 0;
}

static void check_program(const struct cl_spec_rules *rules)
{
    static const uint32_t kinds[] = {'b', 'c'};
    CL_CLEANUP_BUF struct cl_buf program = CL_BUF_INIT(65536);

    CHECK(cl_rules_assemble(rules, &program) == 0);
    CHECK(is_taken(&program) != 0);
    for (uint32_t i = 0; i < 2 * 3 * 3 * 8; i++) {
        const struct use use = {
            .kind = kinds[i % 2],
            .major = i / 2 % 3 == 2 ? 1 : 60 + i / 2 % 3,
            .minor = i / 6 % 3 == 2 ? 3 : i / 6 % 3,
            .access = i / 18,
        };
        if (use.access != 0)
            CHECK(run(&program, &use) == is_allowed(rules, &use));
    }
}

TEST(the_program_says_what_the_rules_say)
{
    struct cl_spec_rule items[8];

    for (int i = 0; i < 400; i++) {
        const struct cl_spec_rules rules = {.items = items, .count = pick(9)};

        for (size_t k = 0; k < rules.count; k++)
            items[k] = random_rule();
        check_program(&rules);
    }
}

TEST(a_program_has_its_bounds)
{
    static struct cl_spec_rule items[2000];
    const struct cl_spec_rules rules = {.items = items, .count = CL_ARRAY_SIZE(items)};
    CL_CLEANUP_BUF struct cl_buf program = CL_BUF_INIT(1 << 20);
    struct cl_error err = {0};

    for (size_t i = 0; i < rules.count; i++)
        items[i] = (struct cl_spec_rule){1, 'c', R, (int64_t)(i % 4096), (int64_t)i};
    CHECK(cl_rules_assemble(&rules, &program) == 0);
    CHECK(is_taken(&program) != 0);
    items[1999].minor = (int64_t)UINT32_MAX + 1;
    CHECK(cl_rules_check(&rules, &err) == -EINVAL);
    CHECK_HAS(err.msg, "linux.resources.devices[1999]");
    items[1999].minor = UINT32_MAX;
    CHECK(cl_rules_check(&rules, &err) == 0);
}

/* --- who opens nodes ------------------------------------------------------------------ */

/* Nodes of majors that no driver has: who may open one is told ENXIO. */
enum { NODES = 8 };

static void name_node(int at, char ret[32])
{
    (void)snprintf(ret, 32, "/mnt/node-%d", at);
}

static struct use use_of(int at, uint32_t access)
{
    return (struct use){.kind = at % 2 == 0 ? 'c' : 'b',
                        .major = 60 + (uint32_t)at / 2 % 2,
                        .minor = (uint32_t)at / 4,
                        .access = access};
}

static void make_nodes(void)
{
    CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
    for (int i = 0; i < NODES; i++) {
        const struct use use = use_of(i, 0);
        char path[32];

        name_node(i, path);
        CHECK(mknod(path, use.kind == 'c' ? S_IFCHR | 0600 : S_IFBLK | 0600,
                    makedev(use.major, use.minor)) == 0);
    }
}

static int opens(const char *path, uint32_t access)
{
    const int fd = open(path, (access == R   ? O_RDONLY
                               : access == W ? O_WRONLY
                                             : O_RDWR) |
                                  O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    const int refused = fd < 0 && errno == EPERM;

    if (fd >= 0)
        (void)close(fd);
    return !refused;
}

static int answers[2];

/* A byte for each node: which of reading and writing is allowed. */
static void open_nodes(void)
{
    char allowed[NODES];

    for (int i = 0; i < NODES; i++) {
        char path[32];

        name_node(i, path);
        allowed[i] = (char)((opens(path, R) ? R : 0) | (opens(path, W) ? W : 0));
    }
    _exit(cl_sys_write(answers[1], allowed, NODES) == NODES ? 0 : 1);
}

static void check_nodes(const struct cl_group *group, const struct cl_spec_rules *rules)
{
    char allowed[NODES] = {0};

    CHECK(pipe2(answers, O_CLOEXEC) == 0);
    CHECK(group_wait(group_start(group, open_nodes)) == 0);
    CHECK(cl_sys_read(answers[0], allowed, NODES) == NODES);
    for (int i = 0; i < NODES; i++) {
        const struct use reads = use_of(i, R);
        const struct use writes = use_of(i, W);

        CHECK(((allowed[i] & R) != 0) == is_allowed(rules, &reads));
        CHECK(((allowed[i] & W) != 0) == is_allowed(rules, &writes));
    }
    (void)close(answers[0]);
    (void)close(answers[1]);
}

static int refused; /* what v1 can't keep */

static void keep_rules(int times)
{
    struct cl_spec_rule items[5];

    make_nodes();
    for (int i = 0; i < times; i++) {
        struct group_spec spec;
        struct cl_group group = {0};
        struct cl_error err = {0};

        group_spec_init(&spec, "");
        spec.spec.device_rules = (struct cl_spec_rules){.items = items, .count = 1 + pick(5)};
        for (size_t k = 0; k < spec.spec.device_rules.count; k++)
            items[k] = random_rule();
        const int r = group_try(&spec, &group, &err);
        if (r == -ENOTSUP) {
            CHECK_HAS(err.msg, "name the devices one by one");
            CHECK(group_left() == 0);
            refused++;
            continue;
        }
        CHECK(r == 0);
        CHECK_TEXT(err.msg, "");
        check_nodes(&group, &spec.spec.device_rules);
        group_remove(&group);
    }
}

static void keep_v1(void)
{
    keep_rules(60);
    CHECK(refused > 0 && refused < 50);
}

static void keep_v2(void)
{
    keep_rules(60);
    CHECK(refused == 0);
}

TEST(the_kernel_keeps_the_rules)
{
    struct cl_error err;

    if (cl_cgroup_layout(0, &err) == CL_CGROUP_V1)
        group_in_view(VIEW_V1, keep_v1);
    group_in_view(VIEW_V2, keep_v2);
}

/* --- what engines say ------------------------------------------------------------------ */

static const struct cl_spec_rule engine[] = {
    {0, 'a', R | W | M, ANY, ANY}, {1, 'c', M, ANY, ANY},     {1, 'b', M, ANY, ANY},
    {1, 'c', R | W | M, 1, 3},     {1, 'c', R | W | M, 1, 8}, {1, 'c', R | W | M, 136, ANY},
    {1, 'c', R | W | M, 10, 200},  {1, 'c', R, 60, 0},
};

static void open_devices(void)
{
    const int wrong = (!opens("/dev/null", R | W) ? 1 : 0) | (!opens("/dev/zero", R) ? 2 : 0) |
                      (opens("/dev/kmsg", R) ? 4 : 0) | (!opens("/mnt/node-0", R) ? 8 : 0) |
                      (opens("/mnt/node-0", R | W) ? 16 : 0) |
                      (mknod("/mnt/made", S_IFCHR | 0600, makedev(1, 11)) < 0 ? 32 : 0) |
                      (opens("/mnt/made", R) ? 64 : 0);

    (void)unlink("/mnt/made");
    _exit(wrong);
}

static void be_an_engine(void)
{
    struct group_spec spec;
    struct cl_group group = {0};

    make_nodes();
    group_spec_init(&spec, "");
    spec.spec.device_rules =
        (struct cl_spec_rules){.items = engine, .count = CL_ARRAY_SIZE(engine)};
    group_make(&spec, &group);
    CHECK(group_wait(group_start(&group, open_devices)) == 0);
    group_remove(&group);
}

TEST(an_engines_rules_are_kept)
{
    group_in_view(VIEW_V1, be_an_engine);
    group_in_view(VIEW_V2, be_an_engine);
}

static void list_v1(void)
{
    static const char expected[] =
        "c 10:200 rwm\nc 60:0 r\nc *:* m\nb *:* m\nc 1:3 rwm\nc 1:5 rwm\nc 1:7 rwm\n"
        "c 1:8 rwm\nc 1:9 rwm\nc 5:0 rwm\nc 5:2 rwm\nc 136:* rwm";
    static const struct cl_spec_rule all[] = {{1, 'a', R | W | M, ANY, ANY}};
    struct group_spec spec;
    struct cl_group group = {0};

    group_spec_init(&spec, "");
    spec.spec.device_rules =
        (struct cl_spec_rules){.items = engine, .count = CL_ARRAY_SIZE(engine)};
    group_make(&spec, &group);
    if (cl_group_find(&group, "devices") != NULL)
        CHECK_TEXT(group_read(&group, "devices", "devices.list"), expected);
    cl_group_close(&group);
    spec.spec.device_rules = (struct cl_spec_rules){.items = all, .count = 1};
    group_make(&spec, &group); /* the same, taken for a privileged one */
    CHECK_TEXT(group_read(&group, "devices", "devices.list"), "a *:* rwm");
    group_remove(&group);
}

TEST(v1_has_each_exception_once)
{
    struct cl_error err;

    if (cl_cgroup_layout(0, &err) != CL_CGROUP_V1)
        SKIP_TEST("needs cgroup v1");
    group_in_view(VIEW_HOST, list_v1);
}

/* --- programs --------------------------------------------------------------------------- */

static int count_programs(const struct cl_group *group)
{
    uint32_t ids[8];
    union bpf_attr attr = {
        .query = {.target_fd = (uint32_t)cl_group_dir(group),
                  .attach_type = BPF_CGROUP_DEVICE,
                  .prog_ids = (uintptr_t)ids,
                  .prog_cnt = CL_ARRAY_SIZE(ids)},
    };

    CHECK(cl_sys_bpf(BPF_PROG_QUERY, &attr, sizeof(attr)) == 0);
    return (int)attr.query.prog_cnt;
}

/* A cgroup that was there keeps no program of an earlier container's. */
static void take_again(void)
{
    static const struct cl_spec_rule none[] = {{0, 'a', R | W | M, ANY, ANY}};
    static const struct cl_spec_rule all[] = {{1, 'a', R | W | M, ANY, ANY}};
    const int before = check_count_fds();
    struct group_spec spec;
    struct cl_group group = {0};

    make_nodes();
    group_spec_init(&spec, "");
    spec.spec.device_rules = (struct cl_spec_rules){.items = all, .count = 1};
    group_make(&spec, &group);
    CHECK(count_programs(&group) == 0); /* all is allowed anyway */
    cl_group_close(&group);
    spec.spec.device_rules.items = none;
    for (int i = 0; i < 3; i++) {
        group_make(&spec, &group);
        CHECK(count_programs(&group) == 1);
        check_nodes(&group, &spec.spec.device_rules);
        cl_group_close(&group);
    }
    spec.spec.device_rules.items = all;
    group_make(&spec, &group);
    CHECK(count_programs(&group) == 1);
    check_nodes(&group, &spec.spec.device_rules);
    group_remove(&group);
    CHECK(check_count_fds() == before);
}

TEST(a_program_is_replaced)
{
    group_in_view(VIEW_V2, take_again);
}

static int group_write_engine(const struct cl_group *group, struct cl_error *err)
{
    const struct cl_spec_rules rules = {.items = engine, .count = CL_ARRAY_SIZE(engine)};

    return cl_group_write_rules(group, &rules, 1, err);
}

static struct cl_group stranger;

static void be_nobodys_root(void)
{
    struct cl_error err = {0};

    CHECK(unshare(CLONE_NEWUSER) == 0);
    CHECK(cl_write_file(AT_FDCWD, "/proc/self/uid_map", "0 0 1") == 0);
    CHECK(geteuid() == 0);
    CHECK(group_write_engine(&stranger, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

/* Who can load no program needs none: what he can't use outside he can't inside. */
static void be_in_a_namespace(void)
{
    struct group_spec spec;

    group_spec_init(&spec, "");
    group_make(&spec, &stranger);
    check_apart(be_nobodys_root);
    if (cl_group_find(&stranger, "devices") != NULL && stranger.place.layout != CL_CGROUP_V2)
        CHECK_TEXT(group_read(&stranger, "devices", "devices.list"), "a *:* rwm");
    else
        CHECK(count_programs(&stranger) == 0);
    group_remove(&stranger);
}

TEST(in_a_user_namespace_rules_are_passed_over)
{
    group_in_view(VIEW_HOST, be_in_a_namespace);
    group_in_view(VIEW_V2, be_in_a_namespace);
}

/* No container starts with half of its rules. */
static void fail_each(void)
{
    int struck = 1;
    int n = 1;

    for (; struck && n < 100; n++) {
        struct group_spec spec;
        struct cl_group group = {0};
        struct cl_error err = {0};
        char fault[32];
        const int before = check_count_fds();

        group_spec_init(&spec, "");
        group_make(&spec, &group);
        (void)snprintf(fault, sizeof(fault), "syscall:%d", n);
        cl_fault_set(fault);
        const int r = group_write_engine(&group, &err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK((r < 0) == struck);
        CHECK((r < 0) == (err.msg[0] != '\0'));
        group_remove(&group);
        CHECK(check_count_fds() == before);
    }
    CHECK(!struck && n > 2);
}

TEST(rules_that_can_not_be_set_are_told)
{
    group_in_view(VIEW_V1, fail_each);
    group_in_view(VIEW_V2, fail_each);
}

TEST(without_memory_nothing_is_loaded)
{
    static const struct cl_spec_rules rules = {.items = engine, .count = CL_ARRAY_SIZE(engine)};
    CL_CLEANUP_BUF struct cl_buf program = CL_BUF_INIT(65536);
    CL_CLEANUP_BUF struct cl_buf small = CL_BUF_INIT(64);

    cl_fault_set("alloc:1");
    CHECK(cl_rules_assemble(&rules, &program) == -ENOMEM);
    cl_fault_set(NULL);
    CHECK(cl_rules_assemble(&rules, &small) == -EFBIG);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_program_says_what_the_rules_say),
        ROW(a_program_has_its_bounds),
        ROW(the_kernel_keeps_the_rules),
        ROW(an_engines_rules_are_kept),
        ROW(v1_has_each_exception_once),
        ROW(a_program_is_replaced),
        ROW(in_a_user_namespace_rules_are_passed_over),
        ROW(rules_that_can_not_be_set_are_told),
        ROW(without_memory_nothing_is_loaded),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
