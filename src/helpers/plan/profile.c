#include "helpers/plan/profile.h"

#include <errno.h>
#include <string.h>

#include "helpers/plan/arch.h"
#include "helpers/common/report.h"

enum { MAX_ERRNO = 4095, MAX_ARG_INDEX = 5, MAX_PATH = 4095, MAX_METADATA = 1 << 20 };

/* --- the shapes --------------------------------------------------------- */

#define THIS cl_profile_filter
static const struct cl_decode_field filter_fields[] = {
    CL_DECODE_ROW("arches", TEXTS, arches, UINT64_MAX),
    CL_DECODE_ROW("caps", TEXTS, caps, UINT64_MAX),
    CL_DECODE_ROW("minKernel", TEXT, min_kernel, UINT64_MAX),
};
static const struct cl_decode_shape filter_shape = CL_DECODE_SHAPE(filter_fields, 0);
#undef THIS

#define THIS cl_profile_arg
static const struct cl_decode_field arg_fields[] = {
    CL_DECODE_ROW("index", NUMBER, index, MAX_ARG_INDEX),
    CL_DECODE_ROW("value", NUMBER, value, UINT64_MAX),
    CL_DECODE_ROW("valueTwo", NUMBER, value_two, UINT64_MAX),
    CL_DECODE_ROW("op", TEXT, op, UINT64_MAX),
};
static const struct cl_decode_shape arg_shape = CL_DECODE_SHAPE(arg_fields, 0);
static const struct cl_decode_shape bundle_arg_shape = CL_DECODE_SHAPE(arg_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_profile_rule
static const struct cl_decode_field rule_fields[] = {
    CL_DECODE_ROW("name", TEXT, name, UINT64_MAX),
    CL_DECODE_ROW("names", TEXTS, names, UINT64_MAX),
    CL_DECODE_ROW("action", TEXT, action, UINT64_MAX),
    CL_DECODE_ROW("errnoRet", NUMBER, errno_ret, MAX_ERRNO),
    CL_DECODE_ROW("errno", TEXT, errno_name, UINT64_MAX),
    CL_DECODE_ROW_OF("args", LIST, args, UINT64_MAX, &arg_shape),
    CL_DECODE_ROW_OF("includes", OBJECT, includes, UINT64_MAX, &filter_shape),
    CL_DECODE_ROW_OF("excludes", OBJECT, excludes, UINT64_MAX, &filter_shape),
    CL_DECODE_ROW_IGNORED("comment"),
};
static const struct cl_decode_shape rule_shape = CL_DECODE_SHAPE(rule_fields, 0);

/* SCMP_ACT_TRACE's number is any of 16 bits. */
static const struct cl_decode_field bundle_rule_fields[] = {
    CL_DECODE_FIELD("names", TEXTS, names, .max = UINT64_MAX, .needed = 1),
    CL_DECODE_FIELD("action", TEXT, action, .max = UINT64_MAX, .needed = 1),
    CL_DECODE_ROW("errnoRet", NUMBER, errno_ret, UINT16_MAX),
    CL_DECODE_ROW_OF("args", LIST, args, UINT64_MAX, &bundle_arg_shape),
};
static const struct cl_decode_shape bundle_rule_shape =
    CL_DECODE_SHAPE(bundle_rule_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_profile_arch_row
static const struct cl_decode_field arch_row_fields[] = {
    CL_DECODE_ROW("architecture", TEXT, architecture, UINT64_MAX),
    CL_DECODE_ROW("subArchitectures", TEXTS, sub_architectures, UINT64_MAX),
};
static const struct cl_decode_shape arch_row_shape = CL_DECODE_SHAPE(arch_row_fields, 0);
#undef THIS

/* Architectures are checked only: the native one is compiled, foreign ones are killed.
 * Flags tune how a filter is loaded, which is ours to decide. */
#define THIS cl_profile_doc
static const struct cl_decode_field doc_fields[] = {
    CL_DECODE_ROW("defaultAction", TEXT, default_action, UINT64_MAX),
    CL_DECODE_ROW("defaultErrnoRet", NUMBER, default_errno_ret, MAX_ERRNO),
    CL_DECODE_ROW("defaultErrno", TEXT, default_errno_name, UINT64_MAX),
    CL_DECODE_ROW("listenerPath", TEXT, listener_path, UINT64_MAX),
    CL_DECODE_ROW_OF("syscalls", LIST, rules, UINT64_MAX, &rule_shape),
    CL_DECODE_ROW("architectures", TEXTS, architectures, UINT64_MAX),
    CL_DECODE_ROW_OF("archMap", LIST, arch_map, UINT64_MAX, &arch_row_shape),
    CL_DECODE_ROW_IGNORED("comment"),
    CL_DECODE_ROW_IGNORED("flags"),
    CL_DECODE_ROW_IGNORED("listenerMetadata"),
};
static const struct cl_decode_shape doc_shape = CL_DECODE_SHAPE(doc_fields, 0);

static const struct cl_decode_field bundle_fields[] = {
    CL_DECODE_FIELD("defaultAction", TEXT, default_action, .max = UINT64_MAX, .needed = 1),
    CL_DECODE_ROW("defaultErrnoRet", NUMBER, default_errno_ret, UINT16_MAX),
    CL_DECODE_ROW("architectures", TEXTS, architectures, UINT64_MAX),
    CL_DECODE_ROW("flags", TEXTS, flags, UINT64_MAX),
    CL_DECODE_ROW("listenerPath", TEXT, listener_path, MAX_PATH),
    CL_DECODE_ROW("listenerMetadata", TEXT, listener_metadata, MAX_METADATA),
    CL_DECODE_ROW_OF("syscalls", LIST, rules, UINT64_MAX, &bundle_rule_shape),
};
static const struct cl_decode_shape bundle_shape = CL_DECODE_SHAPE(bundle_fields, CL_DECODE_OPEN);
#undef THIS

/* --- decoding ----------------------------------------------------------- */

static int check_args(const struct cl_decode_list *args, struct cl_error *err)
{
    for (size_t i = 0; i < args->count; i++) {
        const struct cl_profile_arg *arg = (const struct cl_profile_arg *)args->items + i;

        if (!arg->index.present || !arg->value.present || arg->op == NULL)
            return cl_refuse(err, EINVAL, "args[%zu]: index, value and op are needed", i);
    }
    return 0;
}

static int check_filter(const struct cl_profile_filter *filter, const char *key,
                        struct cl_error *err)
{
    if (filter == NULL || cl_arch_check_docker(&filter->arches, "arches", err) == 0)
        return 0;
    return cl_prefix(err, "%s", key);
}

static int check_rule(const struct cl_profile_rule *rule, struct cl_error *err)
{
    if (rule->action == NULL)
        return cl_refuse(err, EINVAL, "action is missing");
    if ((rule->name != NULL) == (rule->names.count > 0))
        return cl_refuse(err, EINVAL, "expected one of name and names");
    int r = check_args(&rule->args, err);
    if (r == 0)
        r = check_filter(rule->includes, "includes", err);
    return r < 0 ? r : check_filter(rule->excludes, "excludes", err);
}

static int check_arch_row(const struct cl_profile_arch_row *row, struct cl_error *err)
{
    if (row->architecture == NULL)
        return cl_refuse(err, EINVAL, "architecture is missing");
    if (cl_arch_check_scmp_name(row->architecture, err) < 0)
        return cl_prefix(err, "architecture");
    return cl_arch_check_scmp(&row->sub_architectures, "subArchitectures", err);
}

static int check_arches(const struct cl_profile_doc *doc, struct cl_error *err)
{
    int r = cl_arch_check_scmp(&doc->architectures, "architectures", err);

    for (size_t i = 0; r == 0 && i < doc->arch_map.count; i++) {
        r = check_arch_row((const struct cl_profile_arch_row *)doc->arch_map.items + i, err);
        if (r < 0)
            return cl_prefix(err, "archMap[%zu]", i);
    }
    return r;
}

static int check_doc(const struct cl_profile_doc *doc, struct cl_error *err)
{
    if (doc->default_action == NULL)
        return cl_refuse(err, EINVAL, "defaultAction is missing");
    if (doc->listener_path != NULL && doc->listener_path[0] != '\0')
        return cl_refuse(err, EINVAL, "listenerPath: no supervisor answers system calls here");
    for (size_t i = 0; i < doc->rules.count; i++) {
        int r = check_rule((const struct cl_profile_rule *)doc->rules.items + i, err);

        if (r < 0)
            return cl_prefix(err, "syscalls[%zu]", i);
    }
    return check_arches(doc, err);
}

int cl_profile_decode(const struct cl_document *document, struct cl_arena *arena,
                      struct cl_profile_doc *ret, struct cl_error *err)
{
    struct cl_profile_doc doc = {0};
    int r = cl_decode(&doc_shape, document, arena, &doc, err);

    if (r < 0)
        return r;
    if (check_doc(&doc, err) < 0)
        return cl_prefix(err, "%s", cl_report_name(document->name));
    *ret = doc;
    return 0;
}

static int check_bundle(const struct cl_profile_doc *doc, struct cl_error *err)
{
    for (size_t i = 0; i < doc->rules.count; i++) {
        const struct cl_profile_rule *rule = (const struct cl_profile_rule *)doc->rules.items + i;

        if (rule->names.count == 0)
            return cl_refuse(err, EINVAL, "syscalls[%zu].names: no names in it", i);
        if (check_args(&rule->args, err) < 0)
            return cl_prefix(err, "syscalls[%zu]", i);
    }
    return check_arches(doc, err);
}

int cl_profile_decode_bundle(const struct cl_document *document, struct cl_warnings *warnings,
                             struct cl_profile_doc *ret, struct cl_error *err)
{
    const struct cl_decode_how how = {warnings->arena, warnings, "linux.seccomp"};
    struct cl_profile_doc doc = {0};
    int r = cl_decode_warned(&bundle_shape, document, &how, &doc, err);

    if (r < 0)
        return r;
    if (check_bundle(&doc, err) < 0) {
        (void)cl_report_below("linux.seccomp", err);
        return cl_prefix(err, "%s", cl_report_name(document->name));
    }
    *ret = doc;
    return 0;
}

/* --- conditions --------------------------------------------------------- */

static int take_number(const char **text, unsigned int *ret)
{
    unsigned int value = 0;
    const char *p = *text;

    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (unsigned int)(*p - '0');
        if (value > 100000)
            return -EINVAL;
    }
    if (p == *text)
        return -EINVAL;
    *text = p;
    *ret = value;
    return 0;
}

int cl_profile_parse_kernel(const char *text, struct cl_profile_host *ret)
{
    struct cl_profile_host host;

    if (take_number(&text, &host.kernel_major) < 0 || *text++ != '.' ||
        take_number(&text, &host.kernel_minor) < 0)
        return -EINVAL;
    *ret = host;
    return 0;
}

/* Whether HOST's kernel is TEXT or newer. */
static int kernel_reaches(const char *text, const struct cl_profile_host *host,
                          struct cl_error *err)
{
    struct cl_profile_host wanted;

    if (cl_profile_parse_kernel(text, &wanted) < 0)
        return cl_refuse(err, EINVAL, "minKernel: expected a version like 4.8, got \"%.40s\"",
                         text);
    if (host->kernel_major != wanted.kernel_major)
        return host->kernel_major > wanted.kernel_major;
    return host->kernel_minor >= wanted.kernel_minor;
}

int cl_profile_rule_counts(const struct cl_profile_rule *rule, const struct cl_profile_host *host,
                           struct cl_error *err)
{
    const struct cl_profile_filter *in = rule->includes;
    const struct cl_profile_filter *out = rule->excludes;
    int r = 1;

    if (in != NULL && in->min_kernel != NULL)
        r = kernel_reaches(in->min_kernel, host, err);
    if (r < 0)
        return cl_prefix(err, "includes");
    if (r == 0 || (in != NULL && in->caps.count > 0) ||
        (in != NULL && in->arches.count > 0 && !cl_arch_has_native(&in->arches)))
        return 0;
    if (out == NULL)
        return 1;
    if (out->min_kernel != NULL) {
        r = kernel_reaches(out->min_kernel, host, err);
        if (r < 0)
            return cl_prefix(err, "excludes");
        if (r > 0)
            return 0;
    }
    return !cl_arch_has_native(&out->arches);
}
