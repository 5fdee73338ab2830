/* Limits of a container, or of `update`: config-linux.md, "Control groups". Each becomes an item by
 * its row of policy/resources.def; a number that the kernel has no room for is its largest. */
#include <errno.h>
#include <string.h>

#include "helpers/plan/spec_parts.h"

enum { MAX_ITEMS = 4096, MAX_RULES = 1024, MAX_NAME = 255, MAX_LIST = 4095 };

/* What a resource without a name is set to, at its own place: those of one object of the document
 * have one of these. */
struct amounts {
    struct cl_decode_signed values[CL_RESOURCE_COUNT];
    struct cl_decode_number numbers[CL_RESOURCE_COUNT];
    const char *texts[CL_RESOURCE_COUNT];
};

struct weight_doc {
    struct cl_decode_number major;
    struct cl_decode_number minor;
    struct cl_decode_number weight;
    struct cl_decode_number leaf_weight;
};

struct rate_doc {
    struct cl_decode_number major;
    struct cl_decode_number minor;
    struct cl_decode_number rate;
};

struct block_io {
    struct amounts amounts;
    struct cl_decode_list weights;    /* struct weight_doc */
    struct cl_decode_list read_bytes; /* struct rate_doc */
    struct cl_decode_list write_bytes;
    struct cl_decode_list read_ops;
    struct cl_decode_list write_ops;
};

struct pages_doc {
    const char *size;
    struct cl_decode_number limit;
};

struct priority_doc {
    const char *name;
    struct cl_decode_number priority;
};

struct network {
    struct amounts amounts;
    struct cl_decode_list priorities; /* struct priority_doc */
};

struct rdma_doc {
    const char *device;
    struct cl_decode_number handles;
    struct cl_decode_number objects;
};

struct rule_doc {
    struct cl_decode_number allow;
    struct cl_decode_number type;
    struct cl_decode_signed major;
    struct cl_decode_signed minor;
    const char *access;
};

struct cl_spec_resources_doc {
    struct cl_decode_list rules; /* struct rule_doc */
    const struct amounts *memory;
    const struct amounts *cpu;
    const struct amounts *pids;
    const struct block_io *block_io;
    struct cl_decode_list pages; /* struct pages_doc */
    const struct network *network;
    struct cl_decode_list rdma;    /* struct rdma_doc */
    struct cl_decode_list unified; /* struct cl_decode_pair */
};

/* --- checks -------------------------------------------------------------------------------- */

/* 0 is how some writers leave a weight out. */
static int check_weight(const void *member, struct cl_error *err)
{
    const struct cl_decode_number *weight = member;

    return weight->value == 0 || weight->value >= 10
               ? 0
               : cl_refuse(err, ERANGE, "expected 10 to 1000, got %u", (unsigned int)weight->value);
}

/* "2MB", which is a part of the kernel's files' names. */
static int check_page_size(const void *member, struct cl_error *err)
{
    const char *const *text = member;
    const size_t digits = strspn(*text, "0123456789");

    if (digits > 0 && digits < 10 && (*text)[0] != '0' && (*text)[digits] != '\0' &&
        strchr("KMG", (*text)[digits]) != NULL && strcmp(*text + digits + 1, "B") == 0)
        return 0;
    return cl_refuse(err, EINVAL, "expected a size like 64KB, 2MB or 1GB, got \"%.40s\"", *text);
}

static int check_access(const void *member, struct cl_error *err)
{
    const char *const *text = member;

    return strspn(*text, "rwm") == strlen(*text)
               ? 0
               : cl_refuse(err, EINVAL, "expected some of r, w and m, got \"%.40s\"", *text);
}

/* --- the shapes ---------------------------------------------------------------------------- */

#define SIGNED_AMOUNT(key, id, least, most)                                                        \
    CL_DECODE_FIELD(key, SIGNED, values[CL_RESOURCE_##id], .min = (least), .max = (most))
#define AMOUNT(key, id, most) CL_DECODE_ROW(key, NUMBER, numbers[CL_RESOURCE_##id], most)
#define FLAG(key, id) CL_DECODE_ROW(key, BOOL, numbers[CL_RESOURCE_##id], 1)
#define TEXT_AMOUNT(key, id) CL_DECODE_ROW(key, TEXT, texts[CL_RESOURCE_##id], MAX_LIST)

#define THIS amounts
static const struct cl_decode_field memory_fields[] = {
    SIGNED_AMOUNT("limit", MEMORY_LIMIT, -1, INT64_MAX),
    SIGNED_AMOUNT("reservation", MEMORY_RESERVATION, -1, INT64_MAX),
    SIGNED_AMOUNT("swap", MEMORY_SWAP, -1, INT64_MAX),
    SIGNED_AMOUNT("kernel", MEMORY_KERNEL, -1, INT64_MAX),
    SIGNED_AMOUNT("kernelTCP", MEMORY_KERNEL_TCP, -1, INT64_MAX),
    AMOUNT("swappiness", MEMORY_SWAPPINESS, 100),
    FLAG("disableOOMKiller", MEMORY_NO_OOM),
    FLAG("useHierarchy", MEMORY_HIERARCHY),
    FLAG("checkBeforeUpdate", MEMORY_CHECK),
};
static const struct cl_decode_shape memory_shape = CL_DECODE_SHAPE(memory_fields, CL_DECODE_OPEN);

static const struct cl_decode_field cpu_fields[] = {
    AMOUNT("shares", CPU_SHARES, UINT64_MAX),
    SIGNED_AMOUNT("quota", CPU_QUOTA, INT64_MIN, INT64_MAX),
    AMOUNT("burst", CPU_BURST, UINT64_MAX),
    AMOUNT("period", CPU_PERIOD, UINT64_MAX),
    SIGNED_AMOUNT("realtimeRuntime", CPU_RT_RUNTIME, INT64_MIN, INT64_MAX),
    AMOUNT("realtimePeriod", CPU_RT_PERIOD, UINT64_MAX),
    SIGNED_AMOUNT("idle", CPU_IDLE, 0, 1),
    TEXT_AMOUNT("cpus", CPUSET_CPUS),
    TEXT_AMOUNT("mems", CPUSET_MEMS),
};
static const struct cl_decode_shape cpu_shape = CL_DECODE_SHAPE(cpu_fields, CL_DECODE_OPEN);

static const struct cl_decode_field pids_fields[] = {
    SIGNED_AMOUNT("limit", PIDS_LIMIT, INT64_MIN, INT64_MAX),
};
static const struct cl_decode_shape pids_shape = CL_DECODE_SHAPE(pids_fields, CL_DECODE_OPEN);
#undef THIS

#define DEVICE_FIELDS                                                                              \
    CL_DECODE_FIELD("major", NUMBER, major, .max = UINT32_MAX, .needed = 1),                       \
        CL_DECODE_FIELD("minor", NUMBER, minor, .max = UINT32_MAX, .needed = 1)
#define WEIGHT(key, member) CL_DECODE_FIELD(key, NUMBER, member, .max = 1000, .check = check_weight)

#define THIS weight_doc
static const struct cl_decode_field weight_fields[] = {
    DEVICE_FIELDS,
    WEIGHT("weight", weight),
    WEIGHT("leafWeight", leaf_weight),
};
static const struct cl_decode_shape weight_shape = CL_DECODE_SHAPE(weight_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS rate_doc
static const struct cl_decode_field rate_fields[] = {
    DEVICE_FIELDS,
    CL_DECODE_FIELD("rate", NUMBER, rate, .max = UINT64_MAX, .needed = 1),
};
static const struct cl_decode_shape rate_shape = CL_DECODE_SHAPE(rate_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS block_io
static const struct cl_decode_field block_io_fields[] = {
    WEIGHT("weight", amounts.numbers[CL_RESOURCE_IO_WEIGHT]),
    WEIGHT("leafWeight", amounts.numbers[CL_RESOURCE_IO_LEAF_WEIGHT]),
    CL_DECODE_ROW_OF("weightDevice", LIST, weights, MAX_ITEMS, &weight_shape),
    CL_DECODE_ROW_OF("throttleReadBpsDevice", LIST, read_bytes, MAX_ITEMS, &rate_shape),
    CL_DECODE_ROW_OF("throttleWriteBpsDevice", LIST, write_bytes, MAX_ITEMS, &rate_shape),
    CL_DECODE_ROW_OF("throttleReadIOPSDevice", LIST, read_ops, MAX_ITEMS, &rate_shape),
    CL_DECODE_ROW_OF("throttleWriteIOPSDevice", LIST, write_ops, MAX_ITEMS, &rate_shape),
};
static const struct cl_decode_shape block_io_shape =
    CL_DECODE_SHAPE(block_io_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS pages_doc
static const struct cl_decode_field pages_fields[] = {
    CL_DECODE_FIELD("pageSize", TEXT, size, .max = MAX_NAME, .check = check_page_size, .needed = 1),
    CL_DECODE_FIELD("limit", NUMBER, limit, .max = UINT64_MAX, .needed = 1),
};
static const struct cl_decode_shape pages_shape = CL_DECODE_SHAPE(pages_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS priority_doc
static const struct cl_decode_field priority_fields[] = {
    CL_DECODE_FIELD("name", TEXT, name, .max = MAX_NAME, .check = cl_spec_check_filled,
                    .needed = 1),
    CL_DECODE_FIELD("priority", NUMBER, priority, .max = UINT32_MAX, .needed = 1),
};
static const struct cl_decode_shape priority_shape =
    CL_DECODE_SHAPE(priority_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS network
static const struct cl_decode_field network_fields[] = {
    CL_DECODE_ROW("classID", NUMBER, amounts.numbers[CL_RESOURCE_NET_CLASS], UINT32_MAX),
    CL_DECODE_ROW_OF("priorities", LIST, priorities, MAX_ITEMS, &priority_shape),
};
static const struct cl_decode_shape network_shape = CL_DECODE_SHAPE(network_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS rdma_doc
static const struct cl_decode_field rdma_fields[] = {
    CL_DECODE_ROW("hcaHandles", NUMBER, handles, UINT32_MAX),
    CL_DECODE_ROW("hcaObjects", NUMBER, objects, UINT32_MAX),
};
static const struct cl_decode_shape rdma_shape = CL_DECODE_SHAPE(rdma_fields, CL_DECODE_OPEN);
#undef THIS

/* Unset or empty: all. */
static const struct cl_decode_word rule_items[] = {{"", 'a'}, {"a", 'a'}, {"b", 'b'}, {"c", 'c'}};
static const struct cl_decode_words rule_words = CL_DECODE_WORDS("type", rule_items);

#define THIS rule_doc
static const struct cl_decode_field rule_fields[] = {
    CL_DECODE_FIELD("allow", BOOL, allow, .needed = 1),
    CL_DECODE_FIELD("type", WORD, type, .words = &rule_words),
    CL_DECODE_FIELD("major", SIGNED, major, .min = CL_SPEC_ANY, .max = UINT32_MAX),
    CL_DECODE_FIELD("minor", SIGNED, minor, .min = CL_SPEC_ANY, .max = UINT32_MAX),
    CL_DECODE_FIELD("access", TEXT, access, .max = MAX_NAME, .check = check_access),
};
static const struct cl_decode_shape rule_shape = CL_DECODE_SHAPE(rule_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_spec_resources_doc
static const struct cl_decode_field resources_fields[] = {
    CL_DECODE_ROW_OF("devices", LIST, rules, MAX_RULES, &rule_shape),
    CL_DECODE_ROW_OF("memory", OBJECT, memory, 0, &memory_shape),
    CL_DECODE_ROW_OF("cpu", OBJECT, cpu, 0, &cpu_shape),
    CL_DECODE_ROW_OF("pids", OBJECT, pids, 0, &pids_shape),
    CL_DECODE_ROW_OF("blockIO", OBJECT, block_io, 0, &block_io_shape),
    CL_DECODE_ROW_OF("hugepageLimits", LIST, pages, MAX_ITEMS, &pages_shape),
    CL_DECODE_ROW_OF("network", OBJECT, network, 0, &network_shape),
    CL_DECODE_ROW_OF("rdma", MAP, rdma, MAX_ITEMS, &rdma_shape),
    CL_DECODE_ROW("unified", PAIRS, unified, MAX_ITEMS),
};
const struct cl_decode_shape cl_spec_resources_shape =
    CL_DECODE_SHAPE(resources_fields, CL_DECODE_OPEN);
#undef THIS

/* --- items --------------------------------------------------------------------------------- */

/* The items as they are filled; there is room for all of the document's. */
struct filling {
    struct cl_spec_resource *items;
    size_t count;
};

static size_t count_most(const struct cl_spec_resources_doc *doc)
{
    size_t count = CL_RESOURCE_COUNT + doc->pages.count + 2 * doc->rdma.count + doc->unified.count;

    if (doc->block_io != NULL)
        count += 2 * doc->block_io->weights.count + doc->block_io->read_bytes.count +
                 doc->block_io->write_bytes.count + doc->block_io->read_ops.count +
                 doc->block_io->write_ops.count;
    if (doc->network != NULL)
        count += doc->network->priorities.count;
    return count;
}

static struct cl_spec_resource *add_item(struct filling *filling, enum cl_resource what)
{
    struct cl_spec_resource *item = &filling->items[filling->count++];

    *item = (struct cl_spec_resource){.what = what, .name = "", .text = ""};
    return item;
}

static int64_t to_signed(uint64_t value)
{
    return (int64_t)cl_min_u64(value, INT64_MAX);
}

static void add_amounts(struct filling *filling, const struct amounts *amounts)
{
    for (uint32_t i = 0; amounts != NULL && i < CL_RESOURCE_COUNT; i++) {
        if (amounts->values[i].present && i != CL_RESOURCE_MEMORY_KERNEL)
            add_item(filling, i)->value = amounts->values[i].value;
        if (amounts->numbers[i].present)
            add_item(filling, i)->value = to_signed(amounts->numbers[i].value);
        if (amounts->texts[i] != NULL && amounts->texts[i][0] != '\0')
            add_item(filling, i)->text = amounts->texts[i];
    }
}

static void add_named(struct filling *filling, enum cl_resource what, const char *name,
                      const struct cl_decode_number *number)
{
    if (!number->present)
        return;
    struct cl_spec_resource *item = add_item(filling, what);
    item->name = name;
    item->value = to_signed(number->value);
}

/* Of the device MAJOR and MINOR. */
static void add_device(struct filling *filling, enum cl_resource what, const struct rate_doc *doc)
{
    if (!doc->rate.present)
        return;
    struct cl_spec_resource *item = add_item(filling, what);
    item->major = (uint32_t)doc->major.value;
    item->minor = (uint32_t)doc->minor.value;
    item->value = to_signed(doc->rate.value);
}

static void add_rates(struct filling *filling, enum cl_resource what,
                      const struct cl_decode_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        add_device(filling, what, (const struct rate_doc *)list->items + i);
}

static int add_weights(struct cl_spec_walk *walk, struct filling *filling,
                       const struct cl_decode_list *list, struct cl_error *err)
{
    const struct weight_doc *docs = list->items;

    for (size_t i = 0; i < list->count; i++) {
        const struct rate_doc weight = {docs[i].major, docs[i].minor, docs[i].weight};
        const struct rate_doc leaf = {docs[i].major, docs[i].minor, docs[i].leaf_weight};

        if (!weight.rate.present && !leaf.rate.present)
            return cl_refuse(err, EINVAL,
                             "%sblockIO.weightDevice[%zu]: has neither weight nor leafWeight",
                             walk->resources, i);
        add_device(filling, CL_RESOURCE_IO_DEVICE_WEIGHT, &weight);
        add_device(filling, CL_RESOURCE_IO_DEVICE_LEAF_WEIGHT, &leaf);
    }
    return 0;
}

static int add_block_io(struct cl_spec_walk *walk, struct filling *filling,
                        const struct block_io *doc, struct cl_error *err)
{
    add_amounts(filling, &doc->amounts);
    add_rates(filling, CL_RESOURCE_IO_READ_BYTES, &doc->read_bytes);
    add_rates(filling, CL_RESOURCE_IO_WRITE_BYTES, &doc->write_bytes);
    add_rates(filling, CL_RESOURCE_IO_READ_OPS, &doc->read_ops);
    add_rates(filling, CL_RESOURCE_IO_WRITE_OPS, &doc->write_ops);
    return add_weights(walk, filling, &doc->weights, err);
}

static void add_pages(struct filling *filling, const struct cl_decode_list *list)
{
    const struct pages_doc *docs = list->items;

    for (size_t i = 0; i < list->count; i++)
        add_named(filling, CL_RESOURCE_HUGE_PAGES, docs[i].size, &docs[i].limit);
}

static void add_network(struct filling *filling, const struct network *doc)
{
    const struct priority_doc *docs = doc->priorities.items;

    add_amounts(filling, &doc->amounts);
    for (size_t i = 0; i < doc->priorities.count; i++)
        add_named(filling, CL_RESOURCE_NET_PRIORITY, docs[i].name, &docs[i].priority);
}

static int add_rdma(struct cl_spec_walk *walk, struct filling *filling,
                    const struct cl_decode_list *list, struct cl_error *err)
{
    const struct rdma_doc *docs = list->items;

    for (size_t i = 0; i < list->count; i++) {
        if (!docs[i].handles.present && !docs[i].objects.present)
            return cl_refuse(err, EINVAL, "%srdma.%.60s: has neither hcaHandles nor hcaObjects",
                             walk->resources, docs[i].device);
        add_named(filling, CL_RESOURCE_RDMA_HANDLES, docs[i].device, &docs[i].handles);
        add_named(filling, CL_RESOURCE_RDMA_OBJECTS, docs[i].device, &docs[i].objects);
    }
    return 0;
}

/* A file's name, which leads nowhere else. */
static int is_file_name(const char *name)
{
    return name[0] != '\0' && strlen(name) <= MAX_NAME && strchr(name, '/') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int add_unified(struct cl_spec_walk *walk, struct filling *filling,
                       const struct cl_decode_list *pairs, struct cl_error *err)
{
    const struct cl_decode_pair *items = pairs->items;

    for (size_t i = 0; i < pairs->count; i++) {
        if (!is_file_name(items[i].key))
            return cl_refuse(err, EINVAL, "%sunified: \"%.60s\" is no file of a cgroup",
                             walk->resources, items[i].key);
        struct cl_spec_resource *item = add_item(filling, CL_RESOURCE_UNIFIED);
        item->name = items[i].key;
        item->text = items[i].value;
    }
    return 0;
}

/* --- the whole ----------------------------------------------------------------------------- */

static uint32_t access_of(const char *text)
{
    if (text == NULL || text[0] == '\0')
        return CL_SPEC_READ | CL_SPEC_WRITE | CL_SPEC_MKNOD;
    return (strchr(text, 'r') != NULL ? CL_SPEC_READ : 0U) |
           (strchr(text, 'w') != NULL ? CL_SPEC_WRITE : 0U) |
           (strchr(text, 'm') != NULL ? CL_SPEC_MKNOD : 0U);
}

static int take_rules(struct cl_spec_walk *walk, const struct cl_decode_list *list,
                      struct cl_error *err)
{
    const struct rule_doc *docs = list->items;
    struct cl_spec_rule *rules = cl_arena_array(walk->arena, list->count, sizeof(*rules));

    if (rules == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++)
        rules[i] = (struct cl_spec_rule){
            .allow = (uint32_t)docs[i].allow.value,
            .kind = docs[i].type.present ? (uint32_t)docs[i].type.value : 'a',
            .access = access_of(docs[i].access),
            .major = docs[i].major.present ? docs[i].major.value : CL_SPEC_ANY,
            .minor = docs[i].minor.present ? docs[i].minor.value : CL_SPEC_ANY,
        };
    if (list->count == 0)
        return 0;
    walk->spec.device_rules = (struct cl_spec_rules){rules, list->count};
    cl_spec_mark(&walk->spec, CL_SPEC_DEVICE_RULES);
    return 0;
}

/* Kernel memory is part of all memory since Linux 5.4. */
static void warn_of_kernel(struct cl_spec_walk *walk, const struct amounts *memory)
{
    if (memory != NULL && memory->values[CL_RESOURCE_MEMORY_KERNEL].present)
        cl_warnings_add(&walk->warnings, "%smemory.kernel: has no limit of its own any more",
                        walk->resources);
}

int cl_spec_take_resources(struct cl_spec_walk *walk, const struct cl_spec_resources_doc *doc,
                           struct cl_error *err)
{
    struct filling filling = {
        .items = cl_arena_array(walk->arena, count_most(doc), sizeof(*filling.items)),
    };
    int r = filling.items == NULL ? cl_fail_memory(err) : take_rules(walk, &doc->rules, err);

    if (r < 0)
        return r;
    warn_of_kernel(walk, doc->memory);
    add_amounts(&filling, doc->memory);
    add_amounts(&filling, doc->cpu);
    add_amounts(&filling, doc->pids);
    if (doc->block_io != NULL)
        r = add_block_io(walk, &filling, doc->block_io, err);
    add_pages(&filling, &doc->pages);
    if (doc->network != NULL)
        add_network(&filling, doc->network);
    if (r == 0)
        r = add_rdma(walk, &filling, &doc->rdma, err);
    if (r == 0)
        r = add_unified(walk, &filling, &doc->unified, err);
    if (r < 0)
        return r;
    walk->spec.resources = (struct cl_spec_resources){filling.items, filling.count};
    cl_spec_mark(&walk->spec, CL_SPEC_RESOURCES);
    return 0;
}
