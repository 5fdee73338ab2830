/* What a container may use, written as its bundle has it, by policy/resources.def.
 *
 * Some values depend on others (memory with swap is never below memory alone, a quota in its
 * period), and which of two has to be written first depends on what was there before. Nobody reads
 * that: who is refused with EINVAL is tried again when another has been written, until nothing
 * helps. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_text.h"
#include "limits/lines.h"

#define BIT(what) (1ULL << (what))
_Static_assert(CL_RESOURCE_COUNT <= 64, "a bit for each");

static const uint64_t ordered = BIT(CL_RESOURCE_MEMORY_LIMIT) | BIT(CL_RESOURCE_MEMORY_SWAP) |
                                BIT(CL_RESOURCE_CPU_QUOTA) | BIT(CL_RESOURCE_CPU_PERIOD) |
                                BIT(CL_RESOURCE_CPU_BURST) | BIT(CL_RESOURCE_CPU_RT_RUNTIME) |
                                BIT(CL_RESOURCE_CPU_RT_PERIOD);

struct writing {
    const struct cl_group *group;
    const struct cl_spec_resources *resources;
    int is_new;
};

/* --- what v2 needs ---------------------------------------------------------------- */

/* The bit of the controller whose file ITEM is written to, or 0. */
static unsigned int need_of(const struct cl_spec_resource *item)
{
    const struct cl_group_row *row = cl_group_row((enum cl_resource)item->what);
    const char *file = row->form == CL_FORM_FILE ? item->name : row->v2;

    if (file == NULL || cl_group_is_unset(item) || cl_group_is_free(item, 1))
        return 0;
    const size_t size = strcspn(file, ".");
    for (size_t i = 0; i < CL_GROUP_CONTROLLERS; i++) {
        if (strlen(cl_group_controllers[i]) == size &&
            memcmp(cl_group_controllers[i], file, size) == 0)
            return 1U << i;
    }
    return 0;
}

unsigned int cl_group_need(const struct cl_spec_resources *resources)
{
    unsigned int need = 0;

    for (size_t i = 0; i < resources->count; i++)
        need |= need_of(&resources->items[i]);
    return need;
}

const char *cl_group_needing(const struct cl_spec_resources *resources, unsigned int bits)
{
    for (size_t i = 0; i < resources->count; i++) {
        if ((need_of(&resources->items[i]) & bits) != 0)
            return cl_resource_path((enum cl_resource)resources->items[i].what);
    }
    return "linux.resources";
}

/* --- writing ---------------------------------------------------------------------- */

static int refuse_lack(const struct cl_spec_resource *item, const struct cl_group_setting *setting,
                       struct cl_error *err)
{
    const char *path = cl_resource_path((enum cl_resource)item->what);
    const char *version = setting->is_v2 ? "v2" : "v1";

    if (setting->file == NULL)
        return cl_refuse(err, ENOTSUP, "%s: cgroup %s has nothing of the kind; leave it out", path,
                         version);
    (void)cl_refuse(err, ENOTSUP, "%s: this host's cgroup %s has no %s", path, version,
                    setting->file);
    if (strstr(setting->file, "weight") != NULL)
        return cl_hint(err, "weights of block devices take the kernel's module bfq");
    return cl_hint(err, "its kernel lacks that, or has it turned off; leave it out");
}

/* The file is missing that limits swap: where there is no swap the limit holds. */
static int pass_swap(struct cl_error *err)
{
    const int r = cl_cgroup_has_swap(err);

    if (r <= 0)
        return r;
    return cl_refuse(err, ENOTSUP,
                     "%s: the host has swap but doesn't account it: boot with swapaccount=1, turn "
                     "swap off, or leave it out",
                     cl_resource_path(CL_RESOURCE_MEMORY_SWAP));
}

/* What to say of a resource whose file or hierarchy is missing. */
static int pass_or_refuse(const struct cl_spec_resource *item,
                          const struct cl_group_setting *setting, struct cl_error *err)
{
    if (cl_group_is_free(item, setting->is_v2))
        return 0;
    if (item->what == CL_RESOURCE_MEMORY_SWAP && setting->file != NULL)
        return pass_swap(err);
    return refuse_lack(item, setting, err);
}

/* v1: memory without a limit can't be below memory and swap with one. Without a word of swap that
 * limit goes too. */
static int lift_swap(const struct writing *writing, const struct cl_group_dir *dir,
                     const struct cl_spec_resource *item)
{
    if (writing->group->place.layout == CL_CGROUP_V2 || item->value >= 0 ||
        item->what != CL_RESOURCE_MEMORY_LIMIT ||
        cl_group_item(writing->resources, CL_RESOURCE_MEMORY_SWAP) != NULL)
        return -EINVAL;
    return cl_write_file(dir->dir, cl_group_row(CL_RESOURCE_MEMORY_SWAP)->v1, "-1");
}

/* checkBeforeUpdate: a limit that kills what it limits is refused. */
static int check_usage(const struct writing *writing, const struct cl_group_dir *dir,
                       const struct cl_spec_resource *item, struct cl_error *err)
{
    const struct cl_spec_resource *check =
        cl_group_item(writing->resources, CL_RESOURCE_MEMORY_CHECK);
    const int is_v2 = writing->group->place.layout == CL_CGROUP_V2;
    uint64_t usage = 0;

    if (item->what != CL_RESOURCE_MEMORY_LIMIT || item->value < 0 || check == NULL ||
        check->value == 0 || writing->is_new)
        return 0;
    CL_CLEANUP_FD int fd =
        cl_sys_openat(dir->dir, is_v2 ? "memory.current" : "memory.usage_in_bytes", O_RDONLY, 0);
    const int r = fd < 0 ? fd : cl_lines_number(fd, &usage);
    if (r < 0)
        return cl_fail(err, r, "linux.resources.memory.checkBeforeUpdate: read what is used");
    if (usage <= (uint64_t)item->value)
        return 0;
    return cl_refuse(err, EBUSY,
                     "linux.resources.memory.limit: %" PRId64 " bytes are less than the %" PRIu64
                     " in use",
                     item->value, usage);
}

static int write_setting(const struct writing *writing, const struct cl_group_dir *dir,
                         const struct cl_spec_resource *item, struct cl_group_setting *setting,
                         struct cl_error *err)
{
    int r = cl_write_file(dir->dir, setting->file, setting->text);

    if (r == -ENOENT && cl_group_other_setting(item, setting))
        r = cl_write_file(dir->dir, setting->file, setting->text);
    if (r == -EINVAL && lift_swap(writing, dir, item) == 0)
        r = cl_write_file(dir->dir, setting->file, setting->text);
    if (r == -ENOENT)
        return pass_or_refuse(item, setting, err);
    if (r < 0)
        (void)cl_fail(err, r, "%s: write \"%.80s\" to %.80s",
                      cl_resource_path((enum cl_resource)item->what), setting->text, setting->file);
    return r == -EROFS ? cl_hint(err, "mount %s writable", CL_CGROUP_MOUNT) : r;
}

static int write_item(const struct writing *writing, const struct cl_spec_resource *item,
                      struct cl_error *err)
{
    struct cl_group_setting setting;
    const int is_v2 = writing->group->place.layout == CL_CGROUP_V2;

    if (cl_group_is_unset(item) || (writing->is_new && cl_group_is_free(item, is_v2)))
        return 0;
    if (writing->group->count == 0)
        return cl_group_is_free(item, 1)
                   ? 0
                   : cl_refuse(err, ENOTSUP, "%s: without a cgroup nothing is limited",
                               cl_resource_path((enum cl_resource)item->what));
    int r = cl_group_setting(writing->group, writing->resources, item, &setting, err);
    if (r <= 0)
        return r;
    const struct cl_group_dir *dir =
        setting.file == NULL ? NULL
                             : cl_group_find(writing->group, is_v2 ? "" : setting.controller);
    if (dir == NULL)
        return pass_or_refuse(item, &setting, err);
    r = check_usage(writing, dir, item, err);
    return r < 0 ? r : write_setting(writing, dir, item, &setting, err);
}

int cl_group_write(const struct cl_group *group, const struct cl_spec_resources *resources,
                   int is_new, struct cl_error *err)
{
    const struct writing writing = {.group = group, .resources = resources, .is_new = is_new};
    uint64_t waiting = 0;

    for (size_t i = 0; i < resources->count; i++) {
        const struct cl_spec_resource *item = &resources->items[i];
        const int r = write_item(&writing, item, err);

        if (r == -EINVAL && (ordered & BIT(item->what)) != 0)
            waiting |= BIT(item->what);
        else if (r < 0)
            return r;
    }
    for (uint64_t before = 0; waiting != 0 && waiting != before;) {
        before = waiting;
        for (size_t i = 0; i < resources->count; i++) {
            const struct cl_spec_resource *item = &resources->items[i];

            if ((waiting & BIT(item->what)) != 0 && write_item(&writing, item, err) == 0)
                waiting &= ~BIT(item->what);
        }
    }
    if (waiting != 0)
        return -err->code;
    *err = (struct cl_error){0}; /* what was tried on the way */
    return 0;
}

int cl_group_apply(const struct cl_group *group, const struct cl_spec_resources *resources,
                   struct cl_error *err)
{
    const int is_systemds = group->place.manager == CL_GROUP_SYSTEMD && group->count > 0;
    const int r = is_systemds ? cl_group_set_unit(group, resources, err) : 0;

    return r < 0 ? r : cl_group_write(group, resources, 0, err);
}
