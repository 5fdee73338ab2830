/* One entry after the other, as they come; nothing of them is remembered but what lies on disk,
 * so that memory doesn't grow with the layer.
 */
#include "helpers/image/unpack.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "helpers/image/unpack_parts.h"

const int cl_unpack_calls[] = {
    SYS_read,      SYS_openat,     SYS_openat2,         SYS_close,    SYS_pwrite64, SYS_ftruncate,
    SYS_fstat,     SYS_newfstatat, SYS_fchown,          SYS_fchownat, SYS_fchmod,   SYS_fchmodat,
    SYS_utimensat, SYS_fsetxattr,  SYS_sync_file_range, SYS_mkdirat,  SYS_mknodat,  SYS_symlinkat,
    SYS_linkat,    SYS_unlinkat,   SYS_getdents64,      SYS_umask,
};
const unsigned int cl_unpack_call_count = CL_ARRAY_SIZE(cl_unpack_calls);

/* --- entries ---------------------------------------------------------------------- */

static int make(struct cl_unpacking *u, struct cl_making *making, struct cl_error *err)
{
    if (u->name.kind == CL_NAME_WHITEOUT)
        return cl_unpack_whiteout(u, making, err);
    switch (making->entry->type) {
    case CL_TAR_FILE:
        return cl_unpack_file(u, making, err);
    case CL_TAR_DIRECTORY:
        return cl_unpack_directory(u, making, err);
    case CL_TAR_HARD_LINK:
        return cl_unpack_hard_link(u, making, err);
    case CL_TAR_SYMLINK:
        return cl_unpack_symlink(u, making, err);
    case CL_TAR_FIFO:
        return cl_unpack_fifo(u, making, err);
    case CL_TAR_DEVICE:
        cl_unpack_skip_device(u);
        return 0;
    }
    return 0;
}

/* What an entry has beside its content counts as well. */
static int charge_xattrs(struct cl_unpacking *u, const struct cl_tar_entry *entry,
                         struct cl_error *err)
{
    uint64_t size = 0;

    for (size_t i = 0; i < entry->xattr_count; i++)
        size += entry->xattrs[i].size;
    return cl_tally_charge(&u->tally, size, err);
}

static int take_entry(struct cl_unpacking *u, const struct cl_tar_entry *entry,
                      struct cl_error *err)
{
    struct cl_making making = {.entry = entry, .base = NULL};
    int r = cl_tally_entry(&u->tally, err);

    if (r == 0)
        r = charge_xattrs(u, entry, err);
    if (r == 0)
        r = cl_name_read(&entry->name, &u->name, err);
    if (r < 0)
        return r;
    making.base = u->name.base;
    if (u->name.kind == CL_NAME_FOREIGN)
        return 0;
    if (u->name.kind == CL_NAME_OPAQUE)
        return cl_unpack_opaque(u, err);
    if (u->name.kind == CL_NAME_ROOT)
        return cl_unpack_root(u, entry, err);
    r = cl_attributes_read(entry, &making.attributes, err);
    if (r == 0 && (entry->type != CL_TAR_DEVICE || u->name.kind == CL_NAME_WHITEOUT))
        r = cl_places_get(&u->places, &u->name.parent, 1, &making.parent, err);
    return r < 0 ? r : make(u, &making, err);
}

static int take_entries(struct cl_unpacking *u, struct cl_error *err)
{
    struct cl_tar_entry entry;
    int r;

    while ((r = cl_tar_next(&u->tar, &entry, err)) > 0) {
        r = take_entry(u, &entry, err);
        if (r == 0)
            r = cl_tally_report(&u->tally, cl_tar_position(&u->tar), err);
        if (r < 0)
            return r;
    }
    return r;
}

/* --- a layer ----------------------------------------------------------------------- */

static void restore_umask(const mode_t *mask)
{
    (void)cl_sys_umask(*mask); /* never fails */
}

static void finish(struct cl_unpacking **u)
{
    if (*u == NULL)
        return;
    cl_places_done(&(*u)->places);
    cl_tar_done(&(*u)->tar);
    free(*u);
}

static int count_root(struct cl_unpacking *u, struct cl_error *err)
{
    const struct cl_tar_text path = {"", 0};
    struct cl_place *root;
    int r = cl_places_get(&u->places, &path, 0, &root, err);

    if (r == 0)
        cl_tally_blocks(&u->tally, root->blocks);
    return r;
}

int cl_unpack_run(const struct cl_unpack *unpack, struct cl_unpack_report *ret,
                  struct cl_error *err)
{
    CL_CLEANUP(restore_umask) mode_t mask = cl_sys_umask(0);
    CL_CLEANUP(finish) struct cl_unpacking *u = cl_calloc(1, sizeof(*u));

    (void)mask; /* put back at the end */
    if (u == NULL)
        return cl_fail_memory(err);
    u->tally = (struct cl_tally){
        .max_bytes = unpack->max_bytes, .max_entries = unpack->max_entries, .fd = unpack->report};
    cl_places_start(&u->places, unpack->root, &u->tally);
    int r = cl_tar_start(&u->tar, unpack->stream, err);
    if (r == 0)
        r = count_root(u, err);
    if (r == 0)
        r = take_entries(u, err);
    if (r == 0)
        r = cl_places_close(&u->places, NULL, err);
    if (r == 0)
        r = cl_tar_drain(&u->tar, err);
    if (r == 0)
        r = cl_tally_report_now(&u->tally, err);
    if (r == 0)
        *ret = u->tally.report;
    return r;
}
