/* What is written for one resource of a bundle, and where. Formats: cgroup-v1 (memory.rst,
 * blkio-controller.rst, hugetlb.rst, net_prio.rst, rdma.rst) and cgroup-v2.rst of the kernel. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_text.h"
#include "limits/lines.h"

static const struct cl_group_row rows[CL_RESOURCE_COUNT] = {
#define CL_RESOURCE(id, name, path, v1_controller, v1_file, v2_file, form, why)                    \
    [CL_RESOURCE_##name] = {v1_controller, v1_file, v2_file, CL_FORM_##form},
#include "policy/resources.def"
#undef CL_RESOURCE
};

const struct cl_group_row *cl_group_row(enum cl_resource what)
{
    CL_ASSERT(what < CL_RESOURCE_COUNT);
    return &rows[what];
}

const struct cl_spec_resource *cl_group_item(const struct cl_spec_resources *resources,
                                             enum cl_resource what)
{
    for (size_t i = 0; i < resources->count; i++) {
        if (resources->items[i].what == (uint32_t)what)
            return &resources->items[i];
    }
    return NULL;
}

/* --- values that ask for nothing ---------------------------------------------- */

int cl_group_is_unset(const struct cl_spec_resource *item)
{
    static const uint64_t zero = /* engines' way to leave these out */
        1ULL << CL_RESOURCE_MEMORY_LIMIT | 1ULL << CL_RESOURCE_MEMORY_RESERVATION |
        1ULL << CL_RESOURCE_MEMORY_SWAP | 1ULL << CL_RESOURCE_CPU_SHARES |
        1ULL << CL_RESOURCE_CPU_QUOTA | 1ULL << CL_RESOURCE_CPU_PERIOD |
        1ULL << CL_RESOURCE_CPU_RT_PERIOD | 1ULL << CL_RESOURCE_IO_WEIGHT |
        1ULL << CL_RESOURCE_IO_LEAF_WEIGHT;

    if (item->what == CL_RESOURCE_MEMORY_KERNEL || item->what == CL_RESOURCE_MEMORY_CHECK)
        return 1; /* gone from the kernel; no file of its own */
    if (item->what == CL_RESOURCE_CPUSET_CPUS || item->what == CL_RESOURCE_CPUSET_MEMS)
        return item->text[0] == '\0';
    return (zero & 1ULL << item->what) != 0 && item->value == 0;
}

int cl_group_is_free(const struct cl_spec_resource *item, int is_v2)
{
    const enum cl_group_form form = cl_group_row((enum cl_resource)item->what)->form;

    if (form == CL_FORM_TEXT || form == CL_FORM_FILE)
        return 0;
    /* v2 counts TCP's buffers as memory, and both use the hierarchy whatever is written */
    if ((is_v2 && item->what == CL_RESOURCE_MEMORY_KERNEL_TCP) ||
        item->what == CL_RESOURCE_MEMORY_HIERARCHY)
        return 1;
    if (item->what == CL_RESOURCE_MEMORY_SWAPPINESS || form == CL_FORM_SWAP ||
        form == CL_FORM_PAGES || form == CL_FORM_RDMA ||
        (form == CL_FORM_BYTES && item->what != CL_RESOURCE_PIDS_LIMIT))
        return item->value < 0;
    return item->value <= 0;
}

/* --- forms ---------------------------------------------------------------------- */

int cl_group_weight_of_shares(int64_t shares)
{
    const int64_t kept = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;

    return (int)(1 + (kept - 2) * 9999 / 262142);
}

int cl_group_weight_of_io(int64_t weight)
{
    const int64_t kept = weight < 10 ? 10 : weight > 1000 ? 1000 : weight;

    return (int)(1 + (kept - 10) * 9999 / 990);
}

static void put_number(struct cl_group_setting *setting, int64_t value)
{
    (void)snprintf(setting->text_room, sizeof(setting->text_room), "%" PRId64, value);
}

/* NONE in place of a value that means no limit. */
static void put_limit(struct cl_group_setting *setting, int64_t value, const char *none)
{
    if (value < 0)
        setting->text = none;
    else
        put_number(setting, value);
}

/* Into LIMIT the memory limit that the swap one counts from: what is written with it, or what is
 * there; -1: none. */
static int find_memory(const struct cl_group *group, const struct cl_spec_resources *resources,
                       int64_t *limit, struct cl_error *err)
{
    const struct cl_spec_resource *item = cl_group_item(resources, CL_RESOURCE_MEMORY_LIMIT);
    uint64_t value = 0;

    if (item != NULL && !cl_group_is_unset(item)) {
        *limit = item->value < 0 ? -1 : item->value;
        return 0;
    }
    *limit = -1;
    if (group->count == 0)
        return 0; /* not yet made: none */
    CL_CLEANUP_FD int fd = cl_sys_openat(group->dirs[0].dir, "memory.max", O_RDONLY, 0);
    const int r = fd < 0 ? fd : cl_lines_number(fd, &value);
    if (r < 0 && r != -ENODATA)
        return cl_fail(err, r, "linux.resources.memory.swap: read memory.max");
    *limit = r == -ENODATA || value > INT64_MAX ? -1 : (int64_t)value;
    return 0;
}

static int put_swap(const struct cl_group *group, const struct cl_spec_resources *resources,
                    const struct cl_spec_resource *item, struct cl_group_setting *setting,
                    struct cl_error *err)
{
    const char *path = cl_resource_path(CL_RESOURCE_MEMORY_SWAP);
    int64_t memory = -1;

    if (group->place.layout != CL_CGROUP_V2 || item->value < 0) {
        put_limit(setting, item->value, group->place.layout == CL_CGROUP_V2 ? "max" : "-1");
        return 1;
    }
    int r = find_memory(group, resources, &memory, err);
    if (r < 0)
        return r;
    if (memory < 0)
        return cl_refuse(err, EINVAL, "%s limits memory and swap together, and needs memory.limit",
                         path);
    if (item->value < memory)
        return cl_refuse(err, EINVAL,
                         "%s (%" PRId64 ") counts memory too, and is below memory.limit (%" PRId64
                         ")",
                         path, item->value, memory);
    put_number(setting, item->value - memory);
    return 1;
}

/* v2's cpu.max has both: a period alone keeps the quota that is there. */
static int put_period(const struct cl_group *group, const struct cl_spec_resources *resources,
                      const struct cl_spec_resource *item, struct cl_group_setting *setting,
                      struct cl_error *err)
{
    const struct cl_spec_resource *quota = cl_group_item(resources, CL_RESOURCE_CPU_QUOTA);
    char old[32];

    if (quota != NULL && !cl_group_is_unset(quota))
        return 0;
    CL_CLEANUP_FD int fd = cl_sys_openat(group->dirs[0].dir, "cpu.max", O_RDONLY, 0);
    const ssize_t got = fd < 0 ? fd : cl_sys_read(fd, old, sizeof(old) - 1);
    if (got < 0)
        return cl_fail(err, (int)got, "%s: read cpu.max", cl_resource_path(CL_RESOURCE_CPU_PERIOD));
    old[got] = '\0';
    (void)snprintf(setting->text_room, sizeof(setting->text_room), "%.*s %" PRId64,
                   (int)strcspn(old, " \n"), old, item->value);
    return 1;
}

static void put_quota(const struct cl_spec_resources *resources,
                      const struct cl_spec_resource *item, struct cl_group_setting *setting)
{
    const struct cl_spec_resource *period = cl_group_item(resources, CL_RESOURCE_CPU_PERIOD);
    char quota[24] = "max";

    if (item->value > 0)
        (void)snprintf(quota, sizeof(quota), "%" PRId64, item->value);
    if (period != NULL && !cl_group_is_unset(period))
        (void)snprintf(setting->text_room, sizeof(setting->text_room), "%s %" PRId64, quota,
                       period->value);
    else
        (void)snprintf(setting->text_room, sizeof(setting->text_room), "%s", quota);
}

/* "8:0 1000", "8:0 rbps=1000". */
static void put_rate(const struct cl_spec_resource *item, enum cl_group_form form, int is_v2,
                     struct cl_group_setting *setting)
{
    static const char *const keys[] = {"rbps", "wbps", "riops", "wiops"};
    const char *key = keys[form - CL_FORM_RATE_READ_BYTES];
    char value[24];

    (void)snprintf(value, sizeof(value), "%" PRId64, item->value < 0 ? 0 : item->value);
    (void)snprintf(setting->text_room, sizeof(setting->text_room), "%" PRIu32 ":%" PRIu32 " %s%s%s",
                   item->major, item->minor, is_v2 ? key : "", is_v2 ? "=" : "",
                   is_v2 && item->value <= 0 ? "max" : value);
}

static void put_device_weight(const struct cl_spec_resource *item, int64_t weight,
                              struct cl_group_setting *setting)
{
    (void)snprintf(setting->text_room, sizeof(setting->text_room),
                   "%" PRIu32 ":%" PRIu32 " %" PRId64, item->major, item->minor, weight);
}

static int refuse_name(const struct cl_spec_resource *item, struct cl_error *err)
{
    return cl_refuse(err, EINVAL, "%s: \"%.80s\" is no such name",
                     cl_resource_path((enum cl_resource)item->what), item->name);
}

/* The row's file, with the size's name in place of "%s". */
static int put_pages(const struct cl_spec_resource *item, struct cl_group_setting *setting,
                     struct cl_error *err)
{
    const char *pattern = setting->file;
    const char *mark = strstr(pattern, "%s");
    int size;

    CL_ASSERT(mark != NULL);
    if (item->name[0] == '\0' || item->name[strspn(item->name, "0123456789KMGTPB")] != '\0')
        return refuse_name(item, err);
    size = snprintf(setting->file_room, sizeof(setting->file_room), "%.*s%s%s",
                    (int)(mark - pattern), pattern, item->name, mark + 2);
    if (size < 0 || (size_t)size >= sizeof(setting->file_room))
        return refuse_name(item, err);
    setting->file = setting->file_room;
    put_limit(setting, item->value, setting->is_v2 ? "max" : "-1");
    return 1;
}

static int put_named(const struct cl_spec_resource *item, struct cl_group_setting *setting,
                     struct cl_error *err)
{
    const char *key = item->what == CL_RESOURCE_RDMA_HANDLES   ? "hca_handle="
                      : item->what == CL_RESOURCE_RDMA_OBJECTS ? "hca_object="
                                                               : "";
    char value[24] = "max";
    int size;

    if (item->name[0] == '\0' || strpbrk(item->name, " \n") != NULL)
        return refuse_name(item, err);
    if (item->value >= 0)
        (void)snprintf(value, sizeof(value), "%" PRId64, item->value);
    size =
        snprintf(setting->text_room, sizeof(setting->text_room), "%s %s%s", item->name, key, value);
    return size < 0 || (size_t)size >= sizeof(setting->text_room) ? refuse_name(item, err) : 1;
}

/* unified: the kernel's files are the bundle's to name, and no others. */
static int put_file(const struct cl_spec_resource *item, struct cl_group_setting *setting,
                    struct cl_error *err)
{
    if (!setting->is_v2)
        return cl_refuse(err, ENOTSUP,
                         "linux.resources.unified: \"%.80s\" is cgroup v2's, and this "
                         "host has cgroup v1",
                         item->name);
    if (strchr(item->name, '/') != NULL || strchr(item->name, '.') == NULL || item->name[0] == '.')
        return cl_refuse(err, EINVAL, "linux.resources.unified: \"%.80s\" is no file of a cgroup",
                         item->name);
    setting->file = item->name;
    setting->text = item->text;
    return 1;
}

int cl_group_setting(const struct cl_group *group, const struct cl_spec_resources *resources,
                     const struct cl_spec_resource *item, struct cl_group_setting *ret,
                     struct cl_error *err)
{
    const struct cl_group_row *row = cl_group_row((enum cl_resource)item->what);
    const int is_v2 = group->place.layout == CL_CGROUP_V2;

    ret->is_v2 = is_v2;
    ret->controller = row->controller;
    ret->file = is_v2 ? row->v2 : row->v1;
    ret->text = ret->text_room;
    ret->text_room[0] = '\0';
    if (ret->file == NULL && row->form != CL_FORM_FILE)
        return 1; /* for the caller to refuse */
    switch (row->form) {
    case CL_FORM_BYTES:
        put_limit(ret, item->what == CL_RESOURCE_PIDS_LIMIT && item->value == 0 ? -1 : item->value,
                  is_v2 || item->what == CL_RESOURCE_PIDS_LIMIT ? "max" : "-1");
        return 1;
    case CL_FORM_SWAP:
        return put_swap(group, resources, item, ret, err);
    case CL_FORM_SHARES:
        put_number(ret, is_v2 ? cl_group_weight_of_shares(item->value) : item->value);
        return 1;
    case CL_FORM_QUOTA:
        if (is_v2)
            put_quota(resources, item, ret);
        else
            put_limit(ret, item->value, "-1");
        return 1;
    case CL_FORM_PERIOD:
        if (is_v2)
            return put_period(group, resources, item, ret, err);
        put_number(ret, item->value);
        return 1;
    case CL_FORM_TEXT:
        ret->text = item->text;
        return 1;
    case CL_FORM_DEVICE_WEIGHT:
        put_device_weight(item, item->value, ret);
        return 1;
    case CL_FORM_RATE_READ_BYTES:
    case CL_FORM_RATE_WRITE_BYTES:
    case CL_FORM_RATE_READ_OPS:
    case CL_FORM_RATE_WRITE_OPS:
        put_rate(item, row->form, is_v2, ret);
        return 1;
    case CL_FORM_PAGES:
        return put_pages(item, ret, err);
    case CL_FORM_PRIORITY:
    case CL_FORM_RDMA:
        return put_named(item, ret, err);
    case CL_FORM_FILE:
        return put_file(item, ret, err);
    case CL_FORM_FLAG:
        ret->text = item->value != 0 ? "1" : "0";
        return 1;
    case CL_FORM_NUMBER:
    case CL_FORM_BURST:
    case CL_FORM_CLASS:
    case CL_FORM_WEIGHT:
        put_number(ret, item->value);
        return 1;
    }
    return 1;
}

int cl_group_other_setting(const struct cl_spec_resource *item, struct cl_group_setting *setting)
{
    const enum cl_group_form form = cl_group_row((enum cl_resource)item->what)->form;

    if (!setting->is_v2 || (form != CL_FORM_WEIGHT && form != CL_FORM_DEVICE_WEIGHT))
        return 0;
    setting->file = "io.weight";
    if (form == CL_FORM_WEIGHT)
        put_number(setting, cl_group_weight_of_io(item->value));
    else
        put_device_weight(item, item->value == 0 ? 0 : cl_group_weight_of_io(item->value), setting);
    return 1;
}
