/* group_rules.h - for the files group*.c only: which devices a container may use, as an ordered
 * list and as a program.
 *
 * Of the rules that fit a device the last one that names a kind of access (read, write, mknod)
 * decides on that kind; what none decides on is denied. A use is allowed when all its kinds are.
 */
#ifndef CL_LIMITS_GROUP_RULES_H
#define CL_LIMITS_GROUP_RULES_H

#include "limits/group_parts.h"

enum { CL_RULES_ALL = CL_SPEC_READ | CL_SPEC_WRITE | CL_SPEC_MKNOD };

/* A bundle's rules with those behind them that every container has (config-linux.md, "Default
 * Devices"). */
size_t cl_rules_count(const struct cl_spec_rules *rules);
const struct cl_spec_rule *cl_rules_at(const struct cl_spec_rules *rules, size_t at);
/* The last that is about all of every device: nothing before it counts. The count of all: none. */
size_t cl_rules_base(const struct cl_spec_rules *rules);
/* -EINVAL for a rule with a number that no device has. */
int cl_rules_check(const struct cl_spec_rules *rules, struct cl_error *err);

/* Appends struct bpf_insn[] to BUF, of a BPF_PROG_TYPE_CGROUP_DEVICE that answers 1 for what RULES
 * allow and else 0. */
int cl_rules_assemble(const struct cl_spec_rules *rules, struct cl_buf *buf);

#endif
