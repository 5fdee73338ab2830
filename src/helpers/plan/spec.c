/* The documents: which parts each has, and what has to hold between them. */
#include "helpers/plan/spec.h"

#include <errno.h>
#include <linux/sched.h>
#include <string.h>

#include "helpers/plan/spec_parts.h"

enum { MAX_VERSION = 64, MAX_HOST_NAME = 64, MAX_ANNOTATIONS = 4096 };

struct root_doc {
    const char *path;
    struct cl_decode_number readonly;
};

struct config_doc {
    const char *version;
    const struct cl_spec_process_doc *process;
    const struct root_doc *root;
    const char *hostname;
    const char *domainname;
    struct cl_decode_list mounts;
    const struct cl_spec_hooks_doc *hooks;
    struct cl_decode_list annotations; /* struct cl_decode_pair */
    const struct cl_spec_linux_doc *linux_doc;
};

/* --- the version --------------------------------------------------------------------------- */

/* A number of SemVer's (semver.org, 2): no zeros in front. Its size, or 0. */
static size_t number_size(const char *text)
{
    const size_t size = strspn(text, "0123456789");

    return size > 1 && text[0] == '0' ? 0 : size;
}

/* Words of letters, digits and hyphens with dots between: its size, or 0. */
static size_t words_size(const char *text)
{
    size_t size = 0;

    for (;;) {
        const size_t word = strspn(text + size, "0123456789-"
                                                "abcdefghijklmnopqrstuvwxyz"
                                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

        if (word == 0)
            return 0;
        size += word;
        if (text[size] != '.')
            return size;
        size++;
    }
}

static int is_version(const char *text)
{
    for (int i = 0; i < 3; i++) {
        const size_t size = number_size(text);

        if (size == 0 || (i < 2 && text[size] != '.'))
            return 0;
        text += size + (i < 2);
    }
    for (const char *mark = "-+"; *mark != '\0'; mark++) {
        if (*text != *mark)
            continue;
        const size_t size = words_size(text + 1);
        if (size == 0)
            return 0;
        text += size + 1;
    }
    return *text == '\0';
}

/* Whatever a later 1.x adds are properties that may be passed over. */
static int check_version(const void *member, struct cl_error *err)
{
    const char *const *text = member;

    if (!is_version(*text))
        return cl_refuse(err, EINVAL, "expected a version like 1.2.0, got \"%.60s\"", *text);
    if (strncmp(*text, "1.", 2) != 0)
        return cl_refuse(err, EINVAL, "%s isn't spoken here, only 1.0.0 and later ones of 1",
                         *text);
    return 0;
}

/* --- the shape ----------------------------------------------------------------------------- */

static int check_annotations(const void *member, struct cl_error *err)
{
    const struct cl_decode_list *list = member;
    const struct cl_decode_pair *pairs = list->items;

    for (size_t i = 0; i < list->count; i++) {
        if (pairs[i].key[0] == '\0')
            return cl_refuse(err, EINVAL, "has an empty key");
    }
    return 0;
}

#define THIS root_doc
static const struct cl_decode_field root_fields[] = {
    CL_DECODE_FIELD("path", TEXT, path, .max = CL_SPEC_MAX_PATH, .check = cl_spec_check_filled,
                    .needed = 1),
    CL_DECODE_ROW("readonly", BOOL, readonly, 1),
};
static const struct cl_decode_shape root_shape = CL_DECODE_SHAPE(root_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS config_doc
static const struct cl_decode_field config_fields[] = {
    CL_DECODE_FIELD("ociVersion", TEXT, version, .max = MAX_VERSION, .check = check_version,
                    .needed = 1),
    CL_DECODE_ROW_OF("process", OBJECT, process, 0, &cl_spec_process_shape),
    CL_DECODE_FIELD("root", OBJECT, root, .shape = &root_shape, .needed = 1),
    CL_DECODE_ROW("hostname", TEXT, hostname, MAX_HOST_NAME),
    CL_DECODE_ROW("domainname", TEXT, domainname, MAX_HOST_NAME),
    CL_DECODE_ROW_OF("mounts", LIST, mounts, CL_SPEC_MAX_MOUNTS, &cl_spec_mount_shape),
    CL_DECODE_ROW_OF("hooks", OBJECT, hooks, 0, &cl_spec_hooks_shape),
    CL_DECODE_FIELD("annotations", PAIRS, annotations, .max = MAX_ANNOTATIONS,
                    .check = check_annotations),
    CL_DECODE_ROW_OF("linux", OBJECT, linux_doc, 0, &cl_spec_linux_shape),
    CL_DECODE_ROW_FOREIGN("windows"),
    CL_DECODE_ROW_FOREIGN("solaris"),
    CL_DECODE_ROW_FOREIGN("zos"),
    CL_DECODE_ROW_FOREIGN("vm"),
};
static const struct cl_decode_shape config_shape = CL_DECODE_SHAPE(config_fields, CL_DECODE_OPEN);
#undef THIS

/* --- what has to hold ---------------------------------------------------------------------- */

static int has_namespace(const struct cl_spec *spec, uint32_t kind)
{
    return cl_spec_namespace(spec, kind) != NULL;
}

static int is_new(const struct cl_spec *spec, uint32_t kind)
{
    const struct cl_spec_namespace *namespace = cl_spec_namespace(spec, kind);

    return namespace != NULL && namespace->path[0] == '\0';
}

static int check_maps(const struct cl_spec *spec, struct cl_error *err)
{
    const int is_mapped = has_namespace(spec, CLONE_NEWUSER);

    if (!is_mapped && (spec->uid_maps.count > 0 || spec->gid_maps.count > 0))
        return cl_refuse(err, EINVAL,
                         "linux.%s: needs a namespace of type user in linux.namespaces",
                         spec->uid_maps.count > 0 ? "uidMappings" : "gidMappings");
    for (size_t i = 0; i < spec->mounts.count; i++) {
        const struct cl_spec_mount *mount = &spec->mounts.items[i];

        if ((mount->flags & (CL_SPEC_IDMAP | CL_SPEC_IDMAP_DEEP)) != 0 && mount->uid_maps == 0 &&
            !is_mapped)
            return cl_refuse(err, EINVAL,
                             "mounts[%zu].options: there are no mappings for idmap, neither the "
                             "mount's own nor a user namespace's",
                             i);
    }
    return 0;
}

/* A name that no namespace keeps to the container would be the host's. */
static int check_names(const struct cl_spec *spec, struct cl_error *err)
{
    if ((cl_spec_has(spec, CL_SPEC_HOSTNAME) || cl_spec_has(spec, CL_SPEC_DOMAINNAME)) &&
        !has_namespace(spec, CLONE_NEWUTS))
        return cl_refuse(err, EINVAL, "%s: needs a namespace of type uts in linux.namespaces",
                         cl_spec_has(spec, CL_SPEC_HOSTNAME) ? "hostname" : "domainname");
    if (cl_spec_has(spec, CL_SPEC_TIME_OFFSETS) && !is_new(spec, CLONE_NEWTIME))
        return cl_refuse(err, EINVAL,
                         "linux.timeOffsets: needs a new namespace of type time in "
                         "linux.namespaces");
    return 0;
}

/* --- the documents ------------------------------------------------------------------------- */

static int take_config(struct cl_spec_walk *walk, const void *decoded, struct cl_error *err)
{
    const struct config_doc *doc = decoded;
    struct cl_spec *spec = &walk->spec;
    int r = cl_spec_take_mounts(walk, &doc->mounts, err);

    if (r == 0 && doc->process != NULL)
        r = cl_spec_take_process(walk, doc->process, err);
    if (r == 0 && doc->hooks != NULL)
        r = cl_spec_take_hooks(walk, doc->hooks, err);
    if (r == 0 && doc->linux_doc != NULL)
        r = cl_spec_take_linux(walk, doc->linux_doc, err);
    if (r == 0)
        r = cl_spec_set_pairs(walk, CL_SPEC_ANNOTATIONS, &spec->annotations, &doc->annotations,
                              err);
    if (r < 0)
        return r;
    cl_spec_set_text(spec, CL_SPEC_VERSION, &spec->version, doc->version);
    cl_spec_set_text(spec, CL_SPEC_ROOT, &spec->root, doc->root->path);
    cl_spec_set_number(spec, CL_SPEC_ROOT_READONLY, &spec->root_readonly, &doc->root->readonly);
    cl_spec_set_text(spec, CL_SPEC_HOSTNAME, &spec->hostname, doc->hostname);
    cl_spec_set_text(spec, CL_SPEC_DOMAINNAME, &spec->domainname, doc->domainname);
    r = check_maps(spec, err);
    return r < 0 ? r : check_names(spec, err);
}

static int take_process(struct cl_spec_walk *walk, const void *decoded, struct cl_error *err)
{
    return cl_spec_take_process(walk, decoded, err);
}

/* Rules for devices are a container's for good. */
static int take_resources(struct cl_spec_walk *walk, const void *decoded, struct cl_error *err)
{
    int r = cl_spec_take_resources(walk, decoded, err);

    if (r == 0 && cl_spec_has(&walk->spec, CL_SPEC_DEVICE_RULES)) {
        walk->spec.set &= ~CL_SPEC_BIT(CL_SPEC_DEVICE_RULES);
        cl_warnings_add(&walk->warnings, "devices: rules can't be updated; passed over");
    }
    return r;
}

static const struct document {
    const struct cl_decode_shape *shape;
    int (*take)(struct cl_spec_walk *walk, const void *decoded, struct cl_error *err);
    const char *process;
    const char *resources;
} documents[CL_SPEC_KIND_COUNT] = {
    [CL_SPEC_CONFIG] = {&config_shape, take_config, "process.", "linux.resources."},
    [CL_SPEC_PROCESS] = {&cl_spec_process_shape, take_process, "", ""},
    [CL_SPEC_RESOURCES_OF] = {&cl_spec_resources_shape, take_resources, "", ""},
};

static int parse(struct cl_spec_walk *walk, const struct document *kind,
                 const struct cl_document *document, struct cl_error *err)
{
    const struct cl_decode_how how = {walk->arena, &walk->warnings, NULL};
    void *decoded = cl_arena_alloc(walk->arena, kind->shape->size);
    int r = decoded == NULL ? cl_fail_memory(err)
                            : cl_decode_warned(kind->shape, document, &how, decoded, err);

    if (r < 0)
        return r;
    r = kind->take(walk, decoded, err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}

int cl_spec_parse(enum cl_spec_kind kind, const struct cl_document *document,
                  struct cl_arena *arena, struct cl_spec *ret, struct cl_error *err)
{
    CL_ASSERT(kind < CL_SPEC_KIND_COUNT);
    struct cl_spec_walk walk = {
        .arena = arena,
        .warnings = CL_WARNINGS_INIT(arena, CL_SPEC_MAX_WARNINGS),
        .process = documents[kind].process,
        .resources = documents[kind].resources,
    };
    int r = parse(&walk, &documents[kind], document, err);

    if (r == 0)
        r = cl_warnings_take(&walk.warnings, &walk.spec.warnings, err);
    if (r < 0)
        return r;
    if (walk.spec.warnings.count > 0)
        cl_spec_mark(&walk.spec, CL_SPEC_WARNINGS);
    *ret = walk.spec;
    return 0;
}
