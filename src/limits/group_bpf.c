/* v2 asks a program who may use which device (cgroup-v2.rst, "Device controller"). Ours goes
 * through the rules from the last to the first, keeps in a register which kinds of access are not
 * decided yet, and stops at the first rule that denies one of them or when none is left.
 *
 * The verifier follows each branch with what it then knows. Type and numbers are therefore loaded
 * anew for each rule: kept in registers, what one rule had found out of them would be followed
 * through all the others (900 rules were more than the million steps that it makes). */
#include <errno.h>
#include <linux/bpf.h>

#include "limits/group_rules.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the kernel's context is read as such");

enum {
    R_TESTED = BPF_REG_2,
    R_ACCESS = BPF_REG_3, /* what is asked for and not yet allowed */
    MAX_RULE = 8,         /* instructions, without the answer */
};

static struct bpf_insn insn(uint8_t code, uint8_t dst, int16_t off, int32_t imm)
{
    return (struct bpf_insn){.code = code, .dst_reg = dst & 0xfU, .off = off, .imm = imm};
}

static struct bpf_insn load(uint8_t size, uint8_t dst, size_t off)
{
    struct bpf_insn in = insn((uint8_t)(BPF_LDX | BPF_MEM | size), dst, (int16_t)off, 0);

    in.src_reg = BPF_REG_1;
    return in;
}

static struct bpf_insn alu(uint8_t operation, uint8_t dst, uint32_t imm)
{
    return insn((uint8_t)(BPF_ALU | operation | BPF_K), dst, 0, (int32_t)imm);
}

/* Jumps over SKIP instructions. */
static struct bpf_insn jump(uint8_t operation, uint8_t dst, uint32_t imm, size_t skip)
{
    return insn((uint8_t)(BPF_JMP32 | operation | BPF_K), dst, (int16_t)skip, (int32_t)imm);
}

static int add(struct cl_buf *buf, const struct bpf_insn *insns, size_t count)
{
    return cl_buf_add(buf, insns, count * sizeof(*insns));
}

/* linux/bpf.h: access_type is the access << 16 with the type. */
static int add_start(struct cl_buf *buf)
{
    const struct bpf_insn insns[] = {
        load(BPF_W, R_ACCESS, offsetof(struct bpf_cgroup_dev_ctx, access_type)),
        alu(BPF_RSH, R_ACCESS, 16),
    };

    return add(buf, insns, CL_ARRAY_SIZE(insns));
}

static int add_answer(struct cl_buf *buf, uint32_t answer)
{
    const struct bpf_insn insns[] = {
        insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, (int32_t)answer),
        insn(BPF_JMP | BPF_EXIT, 0, 0, 0),
    };

    return add(buf, insns, CL_ARRAY_SIZE(insns));
}

static uint32_t bits_of(uint32_t access)
{
    return ((access & CL_SPEC_READ) != 0 ? BPF_DEVCG_ACC_READ : 0U) |
           ((access & CL_SPEC_WRITE) != 0 ? BPF_DEVCG_ACC_WRITE : 0U) |
           ((access & CL_SPEC_MKNOD) != 0 ? BPF_DEVCG_ACC_MKNOD : 0U);
}

/* What a rule does to a device that it fits, before its answer. */
static size_t put_access(const struct cl_spec_rule *rule, struct bpf_insn *insns)
{
    const uint32_t bits = bits_of(rule->access);

    if (rule->access == CL_RULES_ALL)
        return 0;
    if (rule->allow) {
        insns[0] = alu(BPF_AND, R_ACCESS, ~bits);
        insns[1] = jump(BPF_JNE, R_ACCESS, 0, 2);
    } else {
        insns[0] = jump(BPF_JSET, R_ACCESS, bits, 1);
        insns[1] = insn(BPF_JMP | BPF_JA, 0, 2, 0);
    }
    return 2;
}

static int add_rule(struct cl_buf *buf, const struct cl_spec_rule *rule)
{
    const struct {
        int is_asked;
        uint8_t size;
        size_t off;
        uint32_t value;
    } tests[] = {
        /* the type is the lower half, in little-endian order the first */
        {rule->kind != 'a', BPF_H, offsetof(struct bpf_cgroup_dev_ctx, access_type),
         rule->kind == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR},
        {rule->major != CL_SPEC_ANY, BPF_W, offsetof(struct bpf_cgroup_dev_ctx, major),
         (uint32_t)rule->major},
        {rule->minor != CL_SPEC_ANY, BPF_W, offsetof(struct bpf_cgroup_dev_ctx, minor),
         (uint32_t)rule->minor},
    };
    struct bpf_insn insns[MAX_RULE];
    size_t count = 0;
    size_t left = rule->access == CL_RULES_ALL ? 2 : 4; /* behind the tests */

    for (size_t i = 0; i < CL_ARRAY_SIZE(tests); i++)
        left += tests[i].is_asked ? 2 : 0;
    for (size_t i = 0; i < CL_ARRAY_SIZE(tests); i++) {
        if (!tests[i].is_asked)
            continue;
        left -= 2;
        insns[count++] = load(tests[i].size, R_TESTED, tests[i].off);
        insns[count++] = jump(BPF_JNE, R_TESTED, tests[i].value, left);
    }
    count += put_access(rule, insns + count);
    const int r = add(buf, insns, count);
    return r < 0 ? r : add_answer(buf, rule->allow != 0);
}

int cl_rules_assemble(const struct cl_spec_rules *rules, struct cl_buf *buf)
{
    const size_t base = cl_rules_base(rules);
    const size_t count = cl_rules_count(rules);
    const size_t first = base == count ? 0 : base + 1;
    int r = add_start(buf);

    for (size_t i = count; r == 0 && i-- > first;) {
        if (cl_rules_at(rules, i)->access != 0)
            r = add_rule(buf, cl_rules_at(rules, i));
    }
    return r < 0 ? r : add_answer(buf, base < count && cl_rules_at(rules, base)->allow != 0);
}
