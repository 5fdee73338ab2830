/* profile.h - a seccomp profile as Docker's files or the OCI runtime specification
 * (config-linux.md, "Seccomp") have it, decoded and checked, not yet compiled. */
#ifndef CL_HELPERS_PLAN_PROFILE_H
#define CL_HELPERS_PLAN_PROFILE_H

#include "helpers/common/json_decode.h"
#include "helpers/common/report.h"

/* includes, excludes: when a rule counts. */
struct cl_profile_filter {
    struct cl_strlist arches;
    struct cl_strlist caps;
    const char *min_kernel;
};

struct cl_profile_arg {
    struct cl_decode_number index;
    struct cl_decode_number value;
    struct cl_decode_number value_two;
    const char *op;
};

struct cl_profile_rule {
    const char *name;
    struct cl_strlist names;
    const char *action;
    struct cl_decode_number errno_ret;
    const char *errno_name;
    struct cl_decode_list args; /* struct cl_profile_arg */
    const struct cl_profile_filter *includes;
    const struct cl_profile_filter *excludes;
};

/* One row of archMap. */
struct cl_profile_arch_row {
    const char *architecture;
    struct cl_strlist sub_architectures;
};

struct cl_profile_doc {
    const char *default_action;
    struct cl_decode_number default_errno_ret;
    const char *default_errno_name;
    const char *listener_path;
    const char *listener_metadata; /* this and flags: of a bundle's alone */
    struct cl_strlist flags;
    struct cl_strlist architectures;
    struct cl_decode_list arch_map; /* struct cl_profile_arch_row */
    struct cl_decode_list rules;    /* struct cl_profile_rule */
};

/* What conditions are compared with. */
struct cl_profile_host {
    unsigned int kernel_major;
    unsigned int kernel_minor;
};

/* Whole numbers from "6.1.0-9-amd64"; -EINVAL for anything else. */
int cl_profile_parse_kernel(const char *text, struct cl_profile_host *ret);

/* A user's own profile. What RET holds lives in ARENA. */
int cl_profile_decode(const struct cl_document *document, struct cl_arena *arena,
                      struct cl_profile_doc *ret, struct cl_error *err);

/* A bundle's linux.seccomp: without conditions of the host, and with properties that nobody knows.
 * What RET holds lives in the warnings' arena. */
int cl_profile_decode_bundle(const struct cl_document *document, struct cl_warnings *warnings,
                             struct cl_profile_doc *ret, struct cl_error *err);

/* 1 when RULE counts on HOST for a program without capabilities, 0 when not. WHERE
 * names the rule in messages. */
int cl_profile_rule_counts(const struct cl_profile_rule *rule, const struct cl_profile_host *host,
                           struct cl_error *err);

#endif
