#include "helpers/plan/spec_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#include "helpers/plan/filter.h"
#include "helpers/plan/spec_parts.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* A container begins with one thread: there is nobody to be synchronised with. */
static const struct cl_decode_word flag_items[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", 0},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};
static const struct cl_decode_words flag_words = CL_DECODE_WORDS("flag", flag_items);

static int asks(const struct cl_profile_doc *doc)
{
    static const char notify[] = "SCMP_ACT_NOTIFY";
    const struct cl_profile_rule *rules = doc->rules.items;
    int found = strcmp(doc->default_action, notify) == 0;

    for (size_t i = 0; i < doc->rules.count; i++)
        found |= strcmp(rules[i].action, notify) == 0;
    return found;
}

/* The kernel refuses what is said of notifications where there are none. */
static int take_flags(const struct cl_profile_doc *doc, struct cl_warnings *warnings,
                      struct cl_spec *spec, struct cl_error *err)
{
    for (size_t i = 0; i < doc->flags.count; i++) {
        uint64_t flag;

        if (cl_decode_find_word(&flag_words, doc->flags.items[i], &flag, err) < 0)
            return cl_prefix(err, "flags[%zu]", i);
        spec->seccomp_flags |= flag;
    }
    if ((spec->seccomp_flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) != 0 && !asks(doc)) {
        spec->seccomp_flags &= ~(uint64_t)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        cl_warnings_add(warnings,
                        "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is for "
                        "SCMP_ACT_NOTIFY; passed over");
    }
    if (spec->seccomp_flags != 0)
        cl_spec_mark(spec, CL_SPEC_SECCOMP_FLAGS);
    return 0;
}

/* "If the SCMP_ACT_NOTIFY action is not used this value is ignored." */
static int take_listener(const struct cl_profile_doc *doc, struct cl_spec *spec,
                         struct cl_error *err)
{
    const int has_path = doc->listener_path != NULL && doc->listener_path[0] != '\0';
    const int has_metadata = doc->listener_metadata != NULL && doc->listener_metadata[0] != '\0';

    if (has_metadata && !has_path)
        return cl_refuse(err, EINVAL, "listenerMetadata: is nobody's without listenerPath");
    if (!asks(doc))
        return 0;
    if (!has_path)
        return cl_refuse(err, EINVAL,
                         "listenerPath: is missing; SCMP_ACT_NOTIFY asks whoever listens there");
    cl_spec_set_text(spec, CL_SPEC_SECCOMP_LISTENER, &spec->seccomp_listener, doc->listener_path);
    cl_spec_set_text(spec, CL_SPEC_SECCOMP_METADATA, &spec->seccomp_metadata,
                     doc->listener_metadata);
    return 0;
}

static int compile(const struct cl_filter_job *job, struct cl_spec *spec, struct cl_error *err)
{
    int r = take_flags(job->doc, job->warnings, spec, err);

    if (r == 0)
        r = take_listener(job->doc, spec, err);
    if (r == 0)
        r = cl_filter_make(job, &spec->seccomp, err);
    if (r == 0)
        cl_spec_mark(spec, CL_SPEC_SECCOMP);
    return r;
}

int cl_spec_filter(const struct cl_document *document, int scratch_fd, struct cl_arena *arena,
                   struct cl_spec *ret, struct cl_error *err)
{
    struct cl_warnings warnings = CL_WARNINGS_INIT(arena, CL_SPEC_MAX_WARNINGS);
    struct cl_profile_doc doc = {0};
    struct cl_spec spec = {.set = 0};
    const struct cl_filter_job job = {
        .doc = &doc,
        .manner = CL_FILTER_OBEYED,
        .warnings = &warnings,
        .arena = arena,
        .max_size = CL_SPEC_MAX_FILTER,
        .scratch_fd = scratch_fd,
    };
    int r = cl_profile_decode_bundle(document, &warnings, &doc, err);

    if (r < 0)
        return r;
    if (compile(&job, &spec, err) < 0) {
        (void)cl_report_below("linux.seccomp", err);
        return cl_prefix(err, "%s", cl_report_name(document->name));
    }
    r = cl_warnings_take(&warnings, &spec.warnings, err);
    if (r < 0)
        return r;
    if (spec.warnings.count > 0)
        cl_spec_mark(&spec, CL_SPEC_WARNINGS);
    *ret = spec;
    return 0;
}
