/* Options of mounts: config.md, "Linux mount options", whose words are those of mount(8).
 *
 * What a mount has of its own becomes masks for mount_setattr(2); a word that no row has is the
 * file system's, and so are those that fsconfig(2) takes for every file system (sync, lazytime,
 * ...). Where words contradict each other the last one counts.
 */
#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "helpers/plan/spec_parts.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum kind {
    OWN,         /* of this mount */
    DEEP,        /* of the mounts below too */
    FLAG,        /* CL_SPEC_ */
    PROPAGATION, /* MS_ */
    FILE_SYSTEM, /* is told to it */
    USUAL,       /* what is so anyway, or changes nothing that anybody sees */
    USELESS,     /* can't be had here */
};

struct option {
    const char *name;
    enum kind kind;
    uint64_t set;
    uint64_t drop;  /* of what earlier words set */
    uint64_t clear; /* for mount_setattr: the modes of atime go together */
};

/* The word, and the same for the mounts below. */
#define ATTRIBUTE(name, set, drop, clear)                                                          \
    {name, OWN, set, drop, clear},                                                                 \
    {                                                                                              \
        "r" name, DEEP, set, drop, clear                                                           \
    }
/* ON sets the bit, OFF clears it. */
#define SWITCH(on, off, bit) ATTRIBUTE(on, bit, 0, 0), ATTRIBUTE(off, 0, bit, bit)

#define ATIME MOUNT_ATTR__ATIME
#define STRICT MOUNT_ATTR_STRICTATIME

static const struct option options[] = {
    SWITCH("ro", "rw", MOUNT_ATTR_RDONLY),
    SWITCH("nosuid", "suid", MOUNT_ATTR_NOSUID),
    SWITCH("nodev", "dev", MOUNT_ATTR_NODEV),
    SWITCH("noexec", "exec", MOUNT_ATTR_NOEXEC),
    SWITCH("nodiratime", "diratime", MOUNT_ATTR_NODIRATIME),
    SWITCH("nosymfollow", "symfollow", MOUNT_ATTR_NOSYMFOLLOW),
    ATTRIBUTE("noatime", MOUNT_ATTR_NOATIME, ATIME, ATIME),
    ATTRIBUTE("atime", 0, MOUNT_ATTR_NOATIME, ATIME),
    ATTRIBUTE("relatime", MOUNT_ATTR_RELATIME, ATIME, ATIME),
    ATTRIBUTE("strictatime", STRICT, ATIME, ATIME),
    ATTRIBUTE("nostrictatime", 0, STRICT, ATIME),
    {"norelatime", USUAL, 0, 0, 0}, /* the kernel's default is relatime all the same */
    {"rnorelatime", USUAL, 0, 0, 0},

    {"bind", FLAG, CL_SPEC_BIND, 0, 0},
    {"rbind", FLAG, CL_SPEC_BIND | CL_SPEC_RECURSIVE, 0, 0},
    {"tmpcopyup", FLAG, CL_SPEC_TMPCOPYUP, 0, 0},
    {"idmap", FLAG, CL_SPEC_IDMAP, CL_SPEC_IDMAP_DEEP, 0},
    {"ridmap", FLAG, CL_SPEC_IDMAP_DEEP, CL_SPEC_IDMAP, 0},

    {"private", PROPAGATION, MS_PRIVATE, 0, 0},
    {"rprivate", PROPAGATION, MS_PRIVATE | MS_REC, 0, 0},
    {"slave", PROPAGATION, MS_SLAVE, 0, 0},
    {"rslave", PROPAGATION, MS_SLAVE | MS_REC, 0, 0},
    {"shared", PROPAGATION, MS_SHARED, 0, 0},
    {"rshared", PROPAGATION, MS_SHARED | MS_REC, 0, 0},
    {"unbindable", PROPAGATION, MS_UNBINDABLE, 0, 0},
    {"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC, 0, 0},

    {"sync", FILE_SYSTEM, 0, 0, 0},
    {"async", FILE_SYSTEM, 0, 0, 0},
    {"dirsync", FILE_SYSTEM, 0, 0, 0},
    {"lazytime", FILE_SYSTEM, 0, 0, 0},
    {"nolazytime", FILE_SYSTEM, 0, 0, 0},
    {"mand", FILE_SYSTEM, 0, 0, 0},
    {"nomand", FILE_SYSTEM, 0, 0, 0},

    {"defaults", USUAL, 0, 0, 0},
    {"silent", USUAL, 0, 0, 0},
    {"loud", USUAL, 0, 0, 0},
    {"noiversion", USUAL, 0, 0, 0},
    {"iversion", USELESS, 0, 0, 0}, /* a flag of mount(2) that fsconfig(2) doesn't have */
    {"remount", USELESS, 0, 0, 0},  /* the mounts of a bundle are new */
};

static const struct option *find_option(const char *name)
{
    static const struct option unknown = {"", FILE_SYSTEM, 0, 0, 0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(options); i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    }
    return &unknown;
}

/* The options of one mount on their way. */
struct taking {
    struct cl_spec_walk *walk;
    const char *path;
    struct cl_spec_mount *mount;
    struct cl_buf *words; /* the file system's */
};

static void set_attribute(uint64_t *set, uint64_t *clear, const struct option *option)
{
    *set = (*set & ~option->drop) | option->set;
    *clear |= option->clear;
}

static void set_propagation(struct taking *taking, size_t index, uint32_t propagation)
{
    struct cl_spec_mount *mount = taking->mount;

    if (mount->propagation != 0 && mount->propagation != propagation)
        cl_warnings_add(&taking->walk->warnings,
                        "%s.options[%zu]: the propagation stands twice; the last one counts",
                        taking->path, index);
    mount->propagation = propagation;
}

static int add_word(struct taking *taking, size_t index, const char *word)
{
    if (word[0] == '\0')
        return 0;
    if ((taking->mount->flags & CL_SPEC_BIND) != 0) {
        cl_warnings_add(&taking->walk->warnings,
                        "%s.options[%zu]: \"%.60s\" means nothing to a bind mount; passed over",
                        taking->path, index, word);
        return 0;
    }
    int r = taking->words->size == 0 ? 0 : cl_buf_add(taking->words, ",", 1);
    return r < 0 ? r : cl_buf_add_str(taking->words, word);
}

static int take_option(struct taking *taking, size_t index, const char *name)
{
    const struct option *option = find_option(name);
    struct cl_spec_mount *mount = taking->mount;

    switch (option->kind) {
    case OWN:
        set_attribute(&mount->set, &mount->clear, option);
        return 0;
    case DEEP:
        set_attribute(&mount->deep_set, &mount->deep_clear, option);
        return 0;
    case FLAG:
        mount->flags = (mount->flags & ~(uint32_t)option->drop) | (uint32_t)option->set;
        return 0;
    case PROPAGATION:
        set_propagation(taking, index, (uint32_t)option->set);
        return 0;
    case FILE_SYSTEM:
        return add_word(taking, index, name);
    case USELESS:
        cl_warnings_add(&taking->walk->warnings, "%s.options[%zu]: %s can't be had; passed over",
                        taking->path, index, name);
        return 0;
    case USUAL:
        return 0;
    }
    return -EINVAL;
}

/* Which words are a file system's depends on this, wherever it stands. */
static void look_for_bind(const struct cl_strlist *names, struct cl_spec_mount *mount)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct option *option = find_option(names->items[i]);

        if (option->kind == FLAG)
            mount->flags |= (uint32_t)option->set & CL_SPEC_BIND;
    }
}

int cl_spec_take_options(struct cl_spec_walk *walk, const struct cl_strlist *names,
                         const char *path, struct cl_spec_mount *mount, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf words = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    struct taking taking = {walk, path, mount, &words};
    int r = 0;

    look_for_bind(names, mount);
    for (size_t i = 0; r == 0 && i < names->count; i++)
        r = take_option(&taking, i, names->items[i]);
    mount->options = r < 0 ? NULL : cl_arena_strdup(walk->arena, cl_buf_text(&words));
    return mount->options == NULL ? cl_fail_memory(err) : 0;
}
