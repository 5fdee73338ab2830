/* The part of a container that is Linux's: config-linux.md. */
#include <errno.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <time.h>

#include "helpers/plan/spec_parts.h"

enum { MAX_LABEL = 4095, MAX_SYSCTLS = 4096, MAX_PATHS = 4096, MAX_DEVICES = 1024, RDT_PAIRS = 5 };

struct namespace_doc {
    struct cl_decode_number type;
    const char *path;
};

struct offset_doc {
    const char *clock;
    struct cl_decode_signed seconds;
    struct cl_decode_number nanoseconds;
};

struct device_doc {
    struct cl_decode_number type;
    const char *path;
    struct cl_decode_number major;
    struct cl_decode_number minor;
    struct cl_decode_number mode;
    struct cl_decode_number uid;
    struct cl_decode_number gid;
};

struct rdt {
    const char *clos;
    const char *l3_cache;
    const char *bandwidth;
    struct cl_decode_number cmt;
    struct cl_decode_number mbm;
};

struct personality_doc {
    struct cl_decode_number domain;
    struct cl_strlist flags;
};

struct cl_spec_linux_doc {
    struct cl_decode_list namespaces; /* struct namespace_doc */
    struct cl_decode_list uid_maps;
    struct cl_decode_list gid_maps;
    struct cl_decode_list offsets; /* struct offset_doc */
    struct cl_decode_list devices; /* struct device_doc */
    const char *cgroups_path;
    const struct cl_spec_resources_doc *resources;
    struct cl_decode_list sysctls; /* struct cl_decode_pair */
    const char *seccomp;
    struct cl_decode_number propagation;
    struct cl_strlist masked;
    struct cl_strlist readonly;
    const char *mount_label;
    const struct rdt *rdt;
    const struct personality_doc *personality;
};

/* --- words --------------------------------------------------------------------------------- */

static const struct cl_decode_word namespace_items[] = {
    {"pid", CLONE_NEWPID},   {"network", CLONE_NEWNET},   {"mount", CLONE_NEWNS},
    {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},       {"user", CLONE_NEWUSER},
    {"time", CLONE_NEWTIME}, {"cgroup", CLONE_NEWCGROUP},
};
static const struct cl_decode_words namespace_words = CL_DECODE_WORDS("namespace", namespace_items);

/* "u" is mknod(1)'s for an unbuffered character device. */
static const struct cl_decode_word device_items[] = {
    {"c", S_IFCHR}, {"u", S_IFCHR}, {"b", S_IFBLK}, {"p", S_IFIFO}};
static const struct cl_decode_words device_words = CL_DECODE_WORDS("type", device_items);

/* The specification's own words, and those of mount(8) that engines write. */
static const struct cl_decode_word propagation_items[] = {
    {"", 0},
    {"private", MS_PRIVATE},
    {"rprivate", MS_PRIVATE | MS_REC},
    {"slave", MS_SLAVE},
    {"rslave", MS_SLAVE | MS_REC},
    {"shared", MS_SHARED},
    {"rshared", MS_SHARED | MS_REC},
    {"unbindable", MS_UNBINDABLE},
    {"runbindable", MS_UNBINDABLE | MS_REC},
};
static const struct cl_decode_words propagation_words =
    CL_DECODE_WORDS("propagation", propagation_items);

static const struct cl_decode_word domain_items[] = {{"LINUX", PER_LINUX},
                                                     {"LINUX32", PER_LINUX32}};
static const struct cl_decode_words domain_words = CL_DECODE_WORDS("domain", domain_items);

static const struct cl_decode_word clock_items[] = {{"monotonic", CLOCK_MONOTONIC},
                                                    {"boottime", CLOCK_BOOTTIME}};
static const struct cl_decode_words clock_words = CL_DECODE_WORDS("clock", clock_items);

/* --- the shapes ---------------------------------------------------------------------------- */

/* A path that is empty says nothing. */
static int check_namespace_path(const void *member, struct cl_error *err)
{
    const char *const *text = member;

    return (*text)[0] == '\0' ? 0 : cl_spec_check_absolute(member, err);
}

#define THIS namespace_doc
static const struct cl_decode_field namespace_fields[] = {
    CL_DECODE_FIELD("type", WORD, type, .words = &namespace_words, .needed = 1),
    CL_DECODE_FIELD("path", TEXT, path, .max = CL_SPEC_MAX_PATH, .check = check_namespace_path),
};
static const struct cl_decode_shape namespace_shape =
    CL_DECODE_SHAPE(namespace_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS offset_doc
static const struct cl_decode_field offset_fields[] = {
    CL_DECODE_FIELD("secs", SIGNED, seconds, .min = INT64_MIN, .max = INT64_MAX),
    CL_DECODE_FIELD("nanosecs", NUMBER, nanoseconds, .max = 999999999),
};
static const struct cl_decode_shape offset_shape = CL_DECODE_SHAPE(offset_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS device_doc
static const struct cl_decode_field device_fields[] = {
    CL_DECODE_FIELD("type", WORD, type, .words = &device_words, .needed = 1),
    CL_DECODE_FIELD("path", TEXT, path, .max = CL_SPEC_MAX_PATH, .check = cl_spec_check_absolute,
                    .needed = 1),
    CL_DECODE_ROW("major", NUMBER, major, UINT32_MAX),
    CL_DECODE_ROW("minor", NUMBER, minor, UINT32_MAX),
    CL_DECODE_ROW("fileMode", NUMBER, mode, UINT32_MAX),
    CL_DECODE_ROW("uid", NUMBER, uid, UINT32_MAX - 1),
    CL_DECODE_ROW("gid", NUMBER, gid, UINT32_MAX - 1),
};
static const struct cl_decode_shape device_shape = CL_DECODE_SHAPE(device_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS rdt
static const struct cl_decode_field rdt_fields[] = {
    CL_DECODE_ROW("closID", TEXT, clos, MAX_LABEL),
    CL_DECODE_ROW("l3CacheSchema", TEXT, l3_cache, MAX_LABEL),
    CL_DECODE_ROW("memBwSchema", TEXT, bandwidth, MAX_LABEL),
    CL_DECODE_ROW("enableCMT", BOOL, cmt, 1),
    CL_DECODE_ROW("enableMBM", BOOL, mbm, 1),
};
static const struct cl_decode_shape rdt_shape = CL_DECODE_SHAPE(rdt_fields, CL_DECODE_OPEN);
#undef THIS

/* "Currently no flag values are supported." */
static int check_no_flags(const void *member, struct cl_error *err)
{
    const struct cl_strlist *flags = member;

    return flags->count == 0 ? 0 : cl_refuse(err, EINVAL, "there are no flags of personality");
}

#define THIS personality_doc
static const struct cl_decode_field personality_fields[] = {
    CL_DECODE_FIELD("domain", WORD, domain, .words = &domain_words, .needed = 1),
    CL_DECODE_FIELD("flags", TEXTS, flags, .max = UINT64_MAX, .check = check_no_flags),
};
static const struct cl_decode_shape personality_shape =
    CL_DECODE_SHAPE(personality_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_spec_linux_doc
static const struct cl_decode_field linux_fields[] = {
    CL_DECODE_ROW_OF("namespaces", LIST, namespaces, UINT64_MAX, &namespace_shape),
    CL_DECODE_ROW_OF("uidMappings", LIST, uid_maps, UINT64_MAX, &cl_spec_map_shape),
    CL_DECODE_ROW_OF("gidMappings", LIST, gid_maps, UINT64_MAX, &cl_spec_map_shape),
    CL_DECODE_ROW_OF("timeOffsets", MAP, offsets, UINT64_MAX, &offset_shape),
    CL_DECODE_ROW_OF("devices", LIST, devices, MAX_DEVICES, &device_shape),
    CL_DECODE_ROW("cgroupsPath", TEXT, cgroups_path, CL_SPEC_MAX_PATH),
    CL_DECODE_ROW_OF("resources", OBJECT, resources, 0, &cl_spec_resources_shape),
    CL_DECODE_ROW("sysctl", PAIRS, sysctls, MAX_SYSCTLS),
    CL_DECODE_ROW("seccomp", RAW, seccomp, 0),
    CL_DECODE_FIELD("rootfsPropagation", WORD, propagation, .words = &propagation_words),
    CL_DECODE_ROW("maskedPaths", TEXTS, masked, MAX_PATHS),
    CL_DECODE_ROW("readonlyPaths", TEXTS, readonly, MAX_PATHS),
    CL_DECODE_ROW("mountLabel", TEXT, mount_label, MAX_LABEL),
    CL_DECODE_ROW_OF("intelRdt", OBJECT, rdt, 0, &rdt_shape),
    CL_DECODE_ROW_OF("personality", OBJECT, personality, 0, &personality_shape),
};
const struct cl_decode_shape cl_spec_linux_shape = CL_DECODE_SHAPE(linux_fields, CL_DECODE_OPEN);
#undef THIS

/* --- namespaces ---------------------------------------------------------------------------- */

static int take_namespaces(struct cl_spec_walk *walk, const struct cl_decode_list *list,
                           struct cl_error *err)
{
    const struct namespace_doc *docs = list->items;
    struct cl_spec_namespace *items = cl_arena_array(walk->arena, list->count, sizeof(*items));
    uint32_t seen = 0;

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        const uint32_t kind = (uint32_t)docs[i].type.value;

        if ((seen & kind) != 0)
            return cl_refuse(err, EINVAL, "linux.namespaces[%zu].type: stands twice", i);
        seen |= kind;
        items[i] = (struct cl_spec_namespace){kind, docs[i].path == NULL ? "" : docs[i].path};
    }
    if (list->count == 0)
        return 0;
    walk->spec.namespaces = (struct cl_spec_namespaces){items, list->count};
    cl_spec_mark(&walk->spec, CL_SPEC_NAMESPACES);
    return 0;
}

static int take_maps(struct cl_spec_walk *walk, const struct cl_spec_linux_doc *doc,
                     struct cl_error *err)
{
    struct cl_spec *spec = &walk->spec;
    struct cl_spec_map *uids = cl_arena_array(walk->arena, doc->uid_maps.count, sizeof(*uids));
    struct cl_spec_map *gids = cl_arena_array(walk->arena, doc->gid_maps.count, sizeof(*gids));
    int r = uids == NULL || gids == NULL ? cl_fail_memory(err) : 0;

    if (r == 0)
        r = cl_spec_take_maps(&doc->uid_maps, "linux.uidMappings", uids, err);
    if (r == 0)
        r = cl_spec_take_maps(&doc->gid_maps, "linux.gidMappings", gids, err);
    if (r < 0)
        return r;
    spec->uid_maps = (struct cl_spec_maps){uids, doc->uid_maps.count};
    spec->gid_maps = (struct cl_spec_maps){gids, doc->gid_maps.count};
    if (spec->uid_maps.count > 0)
        cl_spec_mark(spec, CL_SPEC_UID_MAPS);
    if (spec->gid_maps.count > 0)
        cl_spec_mark(spec, CL_SPEC_GID_MAPS);
    return 0;
}

static int take_offsets(struct cl_spec_walk *walk, const struct cl_decode_list *list,
                        struct cl_error *err)
{
    const struct offset_doc *docs = list->items;
    struct cl_spec_offset *items = cl_arena_array(walk->arena, list->count, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        uint64_t clock;

        if (cl_decode_find_word(&clock_words, docs[i].clock, &clock, err) < 0)
            return cl_prefix(err, "linux.timeOffsets");
        items[i] = (struct cl_spec_offset){(uint32_t)clock, (uint32_t)docs[i].nanoseconds.value,
                                           docs[i].seconds.value};
    }
    if (list->count == 0)
        return 0;
    walk->spec.time_offsets = (struct cl_spec_offsets){items, list->count};
    cl_spec_mark(&walk->spec, CL_SPEC_TIME_OFFSETS);
    return 0;
}

/* --- devices and paths --------------------------------------------------------------------- */

static int take_devices(struct cl_spec_walk *walk, const struct cl_decode_list *list,
                        struct cl_error *err)
{
    enum { USUAL_MODE = 0666 };
    const struct device_doc *docs = list->items;
    struct cl_spec_device *items = cl_arena_array(walk->arena, list->count, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        const struct device_doc *doc = &docs[i];

        if (doc->type.value != S_IFIFO && !(doc->major.present && doc->minor.present))
            return cl_refuse(err, EINVAL, "linux.devices[%zu].%s: is missing", i,
                             doc->major.present ? "minor" : "major");
        items[i] = (struct cl_spec_device){
            .path = doc->path,
            .kind = (uint32_t)doc->type.value,
            .major = doc->type.value == S_IFIFO ? 0 : (uint32_t)doc->major.value,
            .minor = doc->type.value == S_IFIFO ? 0 : (uint32_t)doc->minor.value,
            /* some engines leave the type's bits in */
            .mode = doc->mode.present ? (uint32_t)doc->mode.value & 07777 : USUAL_MODE,
            .uid = (uint32_t)doc->uid.value,
            .gid = (uint32_t)doc->gid.value,
        };
    }
    if (list->count == 0)
        return 0;
    walk->spec.devices = (struct cl_spec_devices){items, list->count};
    cl_spec_mark(&walk->spec, CL_SPEC_DEVICES);
    return 0;
}

static int check_paths(const struct cl_strlist *list, const char *path, struct cl_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i][0] != '/')
            return cl_spec_refuse_relative(path, i, list->items[i], err);
        if (strlen(list->items[i]) > CL_SPEC_MAX_PATH)
            return cl_refuse(err, E2BIG, "%s[%zu]: more than %d bytes", path, i, CL_SPEC_MAX_PATH);
    }
    return 0;
}

static int take_paths(struct cl_spec_walk *walk, const struct cl_spec_linux_doc *doc,
                      struct cl_error *err)
{
    struct cl_spec *spec = &walk->spec;
    int r = check_paths(&doc->masked, "linux.maskedPaths", err);

    if (r == 0)
        r = check_paths(&doc->readonly, "linux.readonlyPaths", err);
    if (r < 0)
        return r;
    cl_spec_set_texts(spec, CL_SPEC_MASKED, &spec->masked, &doc->masked);
    cl_spec_set_texts(spec, CL_SPEC_READONLY, &spec->readonly, &doc->readonly);
    return 0;
}

/* --- the rest ------------------------------------------------------------------------------ */

static int take_sysctls(struct cl_spec_walk *walk, const struct cl_decode_list *pairs,
                        struct cl_error *err)
{
    const struct cl_decode_pair *items = pairs->items;

    for (size_t i = 0; i < pairs->count; i++) {
        if (items[i].key[0] == '\0')
            return cl_refuse(err, EINVAL, "linux.sysctl: has an empty key");
    }
    return cl_spec_set_pairs(walk, CL_SPEC_SYSCTLS, &walk->spec.sysctls, pairs, err);
}

/* Blanks after the text make whole words of it. */
static int take_seccomp(struct cl_spec_walk *walk, const char *profile, struct cl_error *err)
{
    const size_t whole = (strlen(profile) + 7) / 8 * 8;
    const char *text = cl_arena_printf(walk->arena, "%-*s", (int)whole, profile);

    if (text == NULL)
        return cl_fail_memory(err);
    walk->spec.profile = (struct cl_bytes){text, whole};
    cl_spec_mark(&walk->spec, CL_SPEC_SECCOMP_PROFILE);
    return 0;
}

/* What is set is written out, an object without members too: it asks for a group of its own. */
static int take_rdt(struct cl_spec_walk *walk, const struct rdt *doc, struct cl_error *err)
{
    const struct {
        const char *key;
        const char *value;
    } rows[RDT_PAIRS] = {
        {"closID", doc->clos},
        {"l3CacheSchema", doc->l3_cache},
        {"memBwSchema", doc->bandwidth},
        {"enableCMT", !doc->cmt.present ? NULL
                      : doc->cmt.value  ? "true"
                                        : "false"},
        {"enableMBM", !doc->mbm.present ? NULL
                      : doc->mbm.value  ? "true"
                                        : "false"},
    };
    const char **texts = cl_arena_array(walk->arena, 2 * (size_t)RDT_PAIRS, sizeof(*texts));
    size_t count = 0;

    if (texts == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < RDT_PAIRS; i++) {
        if (rows[i].value == NULL || rows[i].value[0] == '\0')
            continue;
        texts[count++] = rows[i].key;
        texts[count++] = rows[i].value;
    }
    walk->spec.intel_rdt = (struct cl_strlist){texts, count};
    cl_spec_mark(&walk->spec, CL_SPEC_INTEL_RDT);
    return 0;
}

static void take_values(struct cl_spec *spec, const struct cl_spec_linux_doc *doc)
{
    cl_spec_set_text(spec, CL_SPEC_CGROUPS_PATH, &spec->cgroups_path, doc->cgroups_path);
    cl_spec_set_text(spec, CL_SPEC_MOUNT_LABEL, &spec->mount_label, doc->mount_label);
    if (doc->propagation.value != 0)
        cl_spec_set_number(spec, CL_SPEC_PROPAGATION, &spec->propagation, &doc->propagation);
    if (doc->personality != NULL)
        cl_spec_set_number(spec, CL_SPEC_PERSONALITY, &spec->personality,
                           &doc->personality->domain);
}

int cl_spec_take_linux(struct cl_spec_walk *walk, const struct cl_spec_linux_doc *doc,
                       struct cl_error *err)
{
    int r = take_namespaces(walk, &doc->namespaces, err);

    if (r == 0)
        r = take_maps(walk, doc, err);
    if (r == 0)
        r = take_offsets(walk, &doc->offsets, err);
    if (r == 0)
        r = take_devices(walk, &doc->devices, err);
    if (r == 0)
        r = take_paths(walk, doc, err);
    if (r == 0)
        r = take_sysctls(walk, &doc->sysctls, err);
    if (r == 0 && doc->resources != NULL)
        r = cl_spec_take_resources(walk, doc->resources, err);
    if (r == 0 && doc->seccomp != NULL)
        r = take_seccomp(walk, doc->seccomp, err);
    if (r == 0 && doc->rdt != NULL)
        r = take_rdt(walk, doc->rdt, err);
    if (r == 0)
        take_values(&walk->spec, doc);
    return r;
}
