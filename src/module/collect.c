#include "module/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "module/cache.h"
#include "plan/compile_cache.h"

enum {
    ENTRIES_MOST = 1 << 18, /* looked at together; more are the next one's */
    TENANT_MAX = 255,
    BLOCK = 512,
    LOOKS = 256,        /* by chance, while a budget's worth is added */
    LEFT_OVER_S = 3600, /* so old is a file in the making that nobody makes any more */
    MEMO_SIZE = 64,
};

static const uint64_t usual_budget = 2ULL << 30;
static const char in_the_making[] = "new-";

struct entry {
    uint64_t used_ns;
    uint32_t blocks;
    uint32_t tenant; /* its name's place among the names */
    char name[sizeof(((struct cl_module_key *)NULL)->hex)];
    int is_memo;
};

struct walk {
    const struct cl_module_collect_how *how;
    int all; /* the directory that has the tenants' */
    uint64_t now_ns;
    uint64_t bytes;
    struct cl_buf names; /* of tenants, NUL-ended */
    struct cl_buf entries;
    struct cl_module_collected *collected;
};

int cl_module_budget(uint64_t *ret_bytes, struct cl_error *err)
{
    const char *own =
        getenv("CLOISTER_MODULES_BUDGET"); // NOLINT(concurrency-mt-unsafe): one thread
    uint64_t bytes = usual_budget;

    if (own != NULL && cl_parse_size(own, &bytes) < 0)
        return cl_refuse(err, EINVAL,
                         "CLOISTER_MODULES_BUDGET: expected a size like 2GiB, got \"%.100s\"", own);
    *ret_bytes = bytes;
    return 0;
}

/* --- what there is ------------------------------------------------------------------------- */

static int is_key(const char *name)
{
    const size_t size = sizeof(((struct entry *)NULL)->name) - 1;

    return strlen(name) == size && strspn(name, "0123456789abcdef") == size;
}

/* Of somebody who was killed. */
static int is_left_over(const char *name, uint64_t changed_ns, uint64_t now_ns)
{
    return strncmp(name, in_the_making, strlen(in_the_making)) == 0 &&
           strlen(name) < sizeof(((struct entry *)NULL)->name) &&
           changed_ns + LEFT_OVER_S * CL_NS_PER_S < now_ns;
}

static uint64_t bytes_of(const struct entry *entry)
{
    return (uint64_t)entry->blocks * BLOCK;
}

/* What there is no room to remember stays, and counts all the same. */
static void add(struct walk *walk, int cache, size_t tenant, const char *name)
{
    struct stat status;

    if (cl_sys_fstatat(cache, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return; /* it has gone, or isn't ours */
    const uint64_t changed_ns =
        (uint64_t)status.st_mtim.tv_sec * CL_NS_PER_S + (uint64_t)status.st_mtim.tv_nsec;
    const int is_old = is_left_over(name, changed_ns, walk->now_ns);
    struct entry entry = {
        .used_ns = is_old ? 0 : changed_ns,
        .blocks = (uint32_t)status.st_blocks,
        .tenant = (uint32_t)tenant,
        .is_memo = status.st_size == MEMO_SIZE,
    };

    walk->bytes += bytes_of(&entry);
    if ((!is_old && !is_key(name)) ||
        (walk->how->spare != NULL && strcmp(walk->how->spare->hex, name) == 0))
        return;
    memcpy(entry.name, name, strlen(name) + 1);
    (void)cl_buf_add(&walk->entries, &entry, sizeof(entry));
}

static int look_at_tenant(struct walk *walk, const char *name)
{
    CL_CLEANUP_FD int cache = cl_module_cache_enter(walk->all, name);
    const size_t tenant = walk->names.size;
    struct cl_dir dir;
    const char *file;
    int r = 0;

    if (cache < 0 || cl_buf_add(&walk->names, name, strlen(name) + 1) < 0)
        return 0; /* nothing that we would use */
    cl_dir_start(&dir, cache);
    while ((r = cl_dir_next(&dir, &file, NULL)) > 0)
        add(walk, cache, tenant, file);
    return r;
}

static int look(struct walk *walk)
{
    struct cl_dir dir;
    const char *name;
    int r = 0;

    if (walk->how->tenant != NULL)
        return look_at_tenant(walk, walk->how->tenant);
    cl_dir_start(&dir, walk->all);
    while (r >= 0 && (r = cl_dir_next(&dir, &name, NULL)) > 0)
        r = look_at_tenant(walk, name);
    return r;
}

/* --- what goes ----------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const uint64_t left = ((const struct entry *)a)->used_ns;
    const uint64_t right = ((const struct entry *)b)->used_ns;

    return left < right ? -1 : left > right;
}

static void note_gone(struct walk *walk, const struct entry *entry)
{
    walk->bytes -= cl_min_u64(walk->bytes, bytes_of(entry));
    walk->collected->bytes += bytes_of(entry);
    walk->collected->modules += is_key(entry->name) && !entry->is_memo;
}

/* The oldest first. What is left over goes always. */
static void remove_oldest(struct walk *walk)
{
    struct entry *entries = (struct entry *)(void *)walk->entries.data;
    const size_t count = walk->entries.size / sizeof(*entries);
    CL_CLEANUP_FD int cache = -1;
    uint32_t entered = UINT32_MAX;

    if (count > 0)
        qsort(entries, count, sizeof(*entries), compare);
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];

        if (walk->how->budget_bytes > 0 && walk->bytes <= walk->how->budget_bytes &&
            entry->used_ns > 0)
            return;
        if (entered != entry->tenant) {
            cl_fd_close(&cache);
            cache = cl_module_cache_enter(walk->all, walk->names.data + entry->tenant);
            entered = entry->tenant;
        }
        if (cache >= 0 && cl_sys_unlinkat(cache, entry->name, 0) == 0)
            note_gone(walk, entry);
    }
}

/* Whoever is about to keep something there does without. */
static void remove_empty(const struct walk *walk)
{
    if (walk->collected->bytes == 0 && walk->how->budget_bytes > 0)
        return;
    for (size_t at = 0; at < walk->names.size; at += strlen(walk->names.data + at) + 1)
        (void)cl_sys_unlinkat(walk->all, walk->names.data + at, AT_REMOVEDIR); /* or it has some */
}

int cl_module_collect(const char *dir, const struct cl_module_collect_how *how,
                      struct cl_module_collected *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int all = cl_plan_cache_open(dir, CL_MODULE_CACHE);
    struct cl_module_collected collected = {0};
    struct walk walk = {
        .how = how,
        .all = all,
        .now_ns = cl_clock_wall_ns(),
        .names = CL_BUF_INIT((size_t)ENTRIES_MOST * (TENANT_MAX + 1)),
        .entries = CL_BUF_INIT(ENTRIES_MOST * sizeof(struct entry)),
        .collected = &collected,
    };

    if (all < 0 && all != -ENOENT)
        return cl_fail(err, all, "open the cache of compiled modules");
    const int r = all < 0 ? 0 : look(&walk);
    if (r >= 0 && all >= 0) {
        remove_oldest(&walk);
        remove_empty(&walk);
    }
    cl_buf_done(&walk.names);
    cl_buf_done(&walk.entries);
    *ret = collected;
    return r < 0 ? cl_fail(err, r, "look at the cache of compiled modules") : 0;
}

/* --- when ---------------------------------------------------------------------------------- */

/* A page at least: that is what a small file takes. */
static int is_due(uint64_t budget_bytes, uint64_t size)
{
    enum { LEAST = 4096, CHANCES = 1 << 20 };
    const uint64_t added = cl_max_u64(size, LEAST);
    const unsigned __int128 share = (unsigned __int128)added * LOOKS * CHANCES;
    uint64_t random = 0;

    if (share >= (unsigned __int128)budget_bytes * CHANCES)
        return 1;
    if (cl_sys_getrandom(&random, sizeof(random)) < 0)
        return 0;
    return random % CHANCES < (uint64_t)(share / budget_bytes);
}

void cl_module_collect_for(const char *dir, uint64_t budget_bytes, const struct cl_module_key *key,
                           uint64_t size)
{
    const struct cl_module_collect_how how = {.budget_bytes = budget_bytes, .spare = key};
    struct cl_module_collected collected;
    struct cl_error ignored = {0};

    if (is_due(budget_bytes, size))
        (void)cl_module_collect(dir, &how, &collected, &ignored);
}
