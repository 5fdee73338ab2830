#include "cmd/cloister/volume.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "plan/decide.h"

enum { MODE_MOST = 01777 };

/* One entry while its parts are read. */
struct entry {
    struct cl_plan_file file;
    struct cl_arena *arena;
    unsigned int given; /* 1 << enum subject */
    int has_mode;
};

static int set_mode(struct entry *entry, const char *text, struct cl_error *err)
{
    const enum cl_file_mode before = entry->file.mode;
    int r = cl_file_set_mode(&entry->file, text, err);

    if (r == 0 && entry->has_mode && entry->file.mode != before)
        return cl_refuse(err, EINVAL, "two modes for one path");
    entry->has_mode = 1;
    return r;
}

static int set_size(struct entry *entry, const char *text, struct cl_error *err)
{
    return cl_file_set_size(&entry->file, text, err);
}

static int set_permissions(struct entry *entry, const char *text, struct cl_error *err)
{
    uint32_t mode;

    if (cl_parse_octal(text, &mode) < 0 || mode == 0 || mode > MODE_MOST)
        return cl_refuse(err, EINVAL, "expected permissions from 1 to %o, got \"%.100s\"",
                         (unsigned int)MODE_MOST, text);
    entry->file.permissions = mode;
    return 0;
}

static int set_target(struct entry *entry, const char *text, size_t size, struct cl_error *err)
{
    const char *path = cl_arena_strndup(entry->arena, text, size);

    if (size == 0)
        return cl_refuse(err, EINVAL, "the path in the sandbox is empty");
    if (path == NULL)
        return cl_fail_memory(err);
    return cl_target_normalise(path, entry->arena, &entry->file.target, err);
}

/* A word without a slash is a volume's name to Docker; we must not guess. */
static int check_is_path(const char *source, struct cl_error *err)
{
    if (strchr(source, '/') != NULL || strcmp(source, ".") == 0 || strcmp(source, "..") == 0)
        return 0;
    return cl_refuse(err, EINVAL,
                     "\"%.100s\" would be a named volume, which are not here; for a path write "
                     "./%.100s",
                     source, source);
}

/* --- words of Docker's ---------------------------------------------------- */

enum { IN_MOUNT = 1, IN_TMPFS = 2, IN_VOLUME = 4, BARE = 8 /* needs no value */ };

#define LABELS                                                                                     \
    "labels of SELinux stay as they are and are the caller's to set: chcon -R -t "                 \
    "container_file_t SRC"
#define PROPAGATION                                                                                \
    "what is mounted on the host later doesn't come in, and nothing goes out; only rprivate holds"
#define NAMED "there are no named volumes"

/* What would break the wall, or can't be held: with the reason. */
static const struct {
    const char *name;
    unsigned int where;
    const char *why;
} refused[] = {
    {"z", IN_VOLUME, LABELS},
    {"Z", IN_VOLUME, LABELS},
    {"shared", IN_VOLUME, PROPAGATION},
    {"rshared", IN_VOLUME, PROPAGATION},
    {"slave", IN_VOLUME, PROPAGATION},
    {"rslave", IN_VOLUME, PROPAGATION},
    {"nocopy", IN_VOLUME, NAMED},
    {"volume-driver", IN_MOUNT, NAMED},
    {"volume-label", IN_MOUNT, NAMED},
    {"volume-nocopy", IN_MOUNT, NAMED},
    {"volume-opt", IN_MOUNT, NAMED},
    {"volume-subpath", IN_MOUNT, NAMED},
    {"bind-nonrecursive", IN_MOUNT, "what is mounted below the source always comes along"},
    {"noexec", IN_TMPFS, "what is written there can be executed, always; leave it out"},
    {"ro", IN_TMPFS, "a tmpfs is always writable"},
    {"suid", IN_TMPFS, "set-id bits mean nothing on any mount"},
    {"dev", IN_TMPFS, "devices mean nothing on any mount"},
    {"uid", IN_TMPFS, "whose it is can't be chosen; see mode, which is 1777 when not given"},
    {"gid", IN_TMPFS, "whose it is can't be chosen; see mode, which is 1777 when not given"},
    {"nr_inodes", IN_TMPFS, "the number of files follows from the size"},
};

/* 0, or why the word NAME of SIZE bytes is refused there. */
static int check_word(unsigned int where, const char *name, size_t size, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(refused); i++) {
        if ((refused[i].where & where) != 0 && strlen(refused[i].name) == size &&
            memcmp(refused[i].name, name, size) == 0)
            return cl_refuse(err, ENOTSUP, "%s: %s", refused[i].name, refused[i].why);
    }
    return 0;
}

static int is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(word, *words) == 0)
            return 1;
    }
    return 0;
}

static const char *const private_words[] = {"private", "rprivate", NULL};
/* Of hosts that aren't Linux: there is one view here, which is always consistent. */
static const char *const consistency_words[] = {"default", "consistent", "cached", "delegated",
                                                NULL};

/* --- --volume ------------------------------------------------------------- */

static int set_word(struct entry *entry, const char *word, struct cl_error *err)
{
    int r = check_word(IN_VOLUME, word, strlen(word), err);

    if (r < 0 || is_one_of(word, private_words) || is_one_of(word, consistency_words))
        return r;
    return set_mode(entry, word, err);
}

/* What stands behind SRC:DST, separated by commas. */
static int set_words(struct entry *entry, const char *text, struct cl_error *err)
{
    for (;;) {
        const size_t size = strcspn(text, ",");
        const char *word = cl_arena_strndup(entry->arena, text, size);
        int r = word == NULL ? cl_fail_memory(err) : set_word(entry, word, err);

        if (r < 0 || text[size] == '\0')
            return r;
        text += size + 1;
    }
}

int cl_volume_add(struct cl_plan *plan, const char *text, struct cl_arena *arena,
                  struct cl_error *err)
{
    struct entry entry = {.file = {.kind = CL_FILE_BIND, .mode = CL_FILE_RO}, .arena = arena};
    const char *target = strchr(text, ':');
    const char *mode = target == NULL ? NULL : strchr(target + 1, ':');

    if (target == NULL)
        return cl_refuse(err, EINVAL, "expected SRC:DST[:ro|rw|copy], got \"%.200s\"", text);
    if (mode != NULL && strchr(mode + 1, ':') != NULL)
        return cl_refuse(err, EINVAL,
                         "too many colons in \"%.200s\"; use --mount type=bind,source=SRC,"
                         "target=DST",
                         text);
    int r = cl_file_set_source(&entry.file, text, (size_t)(target - text), arena, err);
    if (r == 0)
        r = check_is_path(entry.file.source, err);
    target++;
    if (r == 0)
        r = set_target(&entry, target, mode == NULL ? strlen(target) : (size_t)(mode - target),
                       err);
    if (r == 0 && mode != NULL)
        r = set_words(&entry, mode + 1, err);
    return r < 0 ? r : cl_plan_add_file(plan, &entry.file, arena, err);
}

/* --- lists of KEY=VALUE ---------------------------------------------------- */

/* The next part of *text in ARENA, without its quotes. */
static int next_part(const char **text, struct cl_arena *arena, char **ret, struct cl_error *err)
{
    const char *p = *text;
    char *part = cl_arena_alloc(arena, strlen(p) + 1);
    size_t used = 0;

    if (part == NULL)
        return cl_fail_memory(err);
    if (*p != '"') {
        used = strcspn(p, ",");
        memcpy(part, p, used);
        p += used;
    } else {
        for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++) {
            part[used++] = *p;
            p += *p == '"';
        }
        if (*p != '"')
            return cl_refuse(err, EINVAL, "a double quote is not closed");
        p++;
    }
    if (*p != '\0' && *p != ',')
        return cl_refuse(err, EINVAL, "expected a comma after a closing double quote");
    part[used] = '\0';
    *text = p + (*p == ',');
    *ret = part;
    return 0;
}

static int set_type(struct entry *entry, const char *value, struct cl_error *err)
{
    if (strcmp(value, "bind") == 0)
        entry->file.kind = CL_FILE_BIND;
    else if (strcmp(value, "tmpfs") == 0)
        entry->file.kind = CL_FILE_TMPFS;
    else if (strcmp(value, "volume") == 0)
        return cl_refuse(err, EINVAL, "there are no named volumes; use type=bind with a path");
    else
        return cl_refuse(err, EINVAL, "expected type=bind or type=tmpfs, got \"%.100s\"", value);
    return 0;
}

static int set_source(struct entry *entry, const char *value, struct cl_error *err)
{
    return cl_file_set_source(&entry->file, value, strlen(value), entry->arena, err);
}

static int set_destination(struct entry *entry, const char *value, struct cl_error *err)
{
    return set_target(entry, value, strlen(value), err);
}

static int set_read_only(struct entry *entry, const char *value, struct cl_error *err)
{
    if (strcmp(value, "") == 0 || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        return set_mode(entry, "ro", err);
    if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        return set_mode(entry, "rw", err);
    return cl_refuse(err, EINVAL, "readonly: expected true or false, got \"%.100s\"", value);
}

static int set_consistency(CL_UNUSED struct entry *entry, const char *value, struct cl_error *err)
{
    if (is_one_of(value, consistency_words))
        return 0;
    return cl_refuse(err, EINVAL,
                     "consistency: expected default, consistent, cached or delegated, got "
                     "\"%.100s\"",
                     value);
}

static int set_propagation(CL_UNUSED struct entry *entry, const char *value, struct cl_error *err)
{
    if (is_one_of(value, private_words))
        return 0;
    return cl_refuse(err, ENOTSUP, "bind-propagation: " PROPAGATION);
}

static int set_recursive(CL_UNUSED struct entry *entry, const char *value, struct cl_error *err)
{
    if (strcmp(value, "enabled") == 0)
        return 0;
    return cl_refuse(err, ENOTSUP,
                     "bind-recursive: what is mounted below the source comes along, as writable "
                     "as the source; only enabled holds");
}

/* nosuid, nodev, exec and rw are so in any case. */
static int set_nothing(CL_UNUSED struct entry *entry, const char *value, struct cl_error *err)
{
    return value[0] == '\0' ? 0 : cl_refuse(err, EINVAL, "takes no value");
}

/* `mode` is a word for a bind and permissions for a tmpfs, as in Docker. */
static int set_either_mode(struct entry *entry, const char *value, struct cl_error *err)
{
    if (value[0] >= '0' && value[0] <= '9')
        return set_permissions(entry, value, err);
    return set_mode(entry, value, err);
}

/* What a key speaks of, by whatever name; each may be said once. */
enum subject {
    TYPE,
    SOURCE,
    TARGET,
    READ_ONLY,
    MODE,
    SIZE,
    CONSISTENCY,
    PROPAGATED,
    RECURSIVE,
    RW,
    NOSUID,
    NODEV,
    EXEC
};

static const struct key {
    const char *name;
    unsigned int where;
    enum subject subject;
    int (*set)(struct entry *entry, const char *value, struct cl_error *err);
} keys[] = {
    {"type", IN_MOUNT, TYPE, set_type},
    {"source", IN_MOUNT, SOURCE, set_source},
    {"src", IN_MOUNT, SOURCE, set_source},
    {"target", IN_MOUNT, TARGET, set_destination},
    {"destination", IN_MOUNT, TARGET, set_destination},
    {"dst", IN_MOUNT, TARGET, set_destination},
    {"readonly", IN_MOUNT | BARE, READ_ONLY, set_read_only},
    {"ro", IN_MOUNT | BARE, READ_ONLY, set_read_only},
    {"mode", IN_MOUNT | IN_TMPFS, MODE, set_either_mode},
    {"tmpfs-mode", IN_MOUNT, MODE, set_permissions},
    {"size", IN_MOUNT | IN_TMPFS, SIZE, set_size},
    {"tmpfs-size", IN_MOUNT, SIZE, set_size},
    {"consistency", IN_MOUNT, CONSISTENCY, set_consistency},
    {"bind-propagation", IN_MOUNT, PROPAGATED, set_propagation},
    {"bind-recursive", IN_MOUNT, RECURSIVE, set_recursive},
    {"rw", IN_TMPFS | BARE, RW, set_nothing},
    {"nosuid", IN_TMPFS | BARE, NOSUID, set_nothing},
    {"nodev", IN_TMPFS | BARE, NODEV, set_nothing},
    {"exec", IN_TMPFS | BARE, EXEC, set_nothing},
};

static int apply_key(struct entry *entry, const struct key *key, const char *equals,
                     struct cl_error *err)
{
    const char *value = equals == NULL ? "" : equals + 1;

    if ((entry->given & 1U << key->subject) != 0)
        return cl_refuse(err, EINVAL, "%s: said twice", key->name);
    entry->given |= 1U << key->subject;
    if (value[0] == '\0' && ((key->where & BARE) == 0 || equals != NULL))
        return cl_refuse(err, EINVAL, "%s needs a value", key->name);
    return key->set(entry, value, err);
}

static int apply_part(struct entry *entry, unsigned int where, const char *part,
                      struct cl_error *err)
{
    const size_t size = strcspn(part, "=");

    for (size_t i = 0; i < CL_ARRAY_SIZE(keys); i++) {
        if ((keys[i].where & where) != 0 && strlen(keys[i].name) == size &&
            memcmp(keys[i].name, part, size) == 0)
            return apply_key(entry, &keys[i], part[size] == '=' ? part + size : NULL, err);
    }
    int r = check_word(where, part, size, err);
    return r < 0 ? r
                 : cl_refuse(err, EINVAL, "unknown key \"%.*s\"", (int)cl_min_u64(size, 100), part);
}

static int apply_list(struct entry *entry, unsigned int where, const char *text,
                      struct cl_error *err)
{
    while (*text != '\0') {
        char *part = NULL;
        int r = next_part(&text, entry->arena, &part, err);

        if (r == 0)
            r = apply_part(entry, where, part, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_mount(struct entry *entry, struct cl_error *err)
{
    const struct cl_plan_file *file = &entry->file;

    if ((entry->given & 1U << TYPE) == 0)
        return cl_refuse(err, EINVAL, "no type; write type=bind or type=tmpfs");
    if (file->target == NULL)
        return cl_refuse(err, EINVAL, "no target");
    if (file->kind == CL_FILE_BIND && file->source == NULL)
        return cl_refuse(err, EINVAL, "a bind needs a source");
    if (file->kind == CL_FILE_BIND && (file->size_bytes != 0 || file->permissions != 0))
        return cl_refuse(err, EINVAL, "size and permissions are a tmpfs's");
    if (file->kind == CL_FILE_TMPFS && file->source != NULL)
        return cl_refuse(err, EINVAL, "a tmpfs has no source");
    if (file->kind == CL_FILE_TMPFS && entry->has_mode)
        return cl_refuse(err, EINVAL, "a tmpfs is always writable");
    return 0;
}

static int add_entry(struct cl_plan *plan, struct entry *entry, struct cl_error *err)
{
    if (entry->file.kind == CL_FILE_TMPFS) {
        entry->file.source = "";
        entry->file.mode = CL_FILE_RW;
    }
    return cl_plan_add_file(plan, &entry->file, entry->arena, err);
}

int cl_mount_add(struct cl_plan *plan, const char *text, struct cl_arena *arena,
                 struct cl_error *err)
{
    struct entry entry = {.arena = arena};
    int r = apply_list(&entry, IN_MOUNT, text, err);

    if (r == 0)
        r = check_mount(&entry, err);
    return r < 0 ? r : add_entry(plan, &entry, err);
}

int cl_tmpfs_add(struct cl_plan *plan, const char *text, struct cl_arena *arena,
                 struct cl_error *err)
{
    struct entry entry = {.file = {.kind = CL_FILE_TMPFS}, .arena = arena};
    size_t size = strcspn(text, ":");
    int r = set_target(&entry, text, size, err);

    if (r == 0 && text[size] == ':')
        r = apply_list(&entry, IN_TMPFS, text + size + 1, err);
    if (r == 0 && entry.has_mode)
        r = cl_refuse(err, EINVAL, "a tmpfs is always writable");
    return r < 0 ? r : add_entry(plan, &entry, err);
}
