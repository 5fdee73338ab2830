#include "helpers/image/tally.h"

#include <errno.h>
#include <inttypes.h>

#include "base/num.h"
#include "base/sys.h"

enum { REPORT_EVERY = 4 << 20, SECTOR = 512 /* of st_blocks */ };

int cl_tally_entry(struct cl_tally *tally, struct cl_error *err)
{
    if (tally->report.entries >= tally->max_entries)
        return cl_refuse(err, EFBIG,
                         "the layer has more than %" PRIu64 " files and directories; "
                         "--max-files allows more",
                         tally->max_entries);
    tally->report.entries++;
    return 0;
}

int cl_tally_charge(struct cl_tally *tally, uint64_t size, struct cl_error *err)
{
    char text[CL_SIZE_TEXT];

    if (size > tally->max_bytes - tally->charged)
        return cl_refuse(err, EFBIG,
                         "the layer's files have more than the %s that --max-size leaves them",
                         cl_size_text(tally->max_bytes, text));
    tally->charged += size;
    return 0;
}

void cl_tally_blocks(struct cl_tally *tally, blkcnt_t blocks)
{
    const uint64_t bytes = (uint64_t)(blocks < 0 ? -blocks : blocks) * SECTOR;

    /* What grew after it was counted, as by attributes, gives back more than it took. */
    if (blocks < 0)
        tally->report.disk_bytes -= cl_min_u64(bytes, tally->report.disk_bytes);
    else
        tally->report.disk_bytes += bytes;
}

void cl_tally_removed(struct cl_tally *tally, const struct stat *status)
{
    if (S_ISDIR(status->st_mode) || status->st_nlink == 1)
        cl_tally_blocks(tally, -status->st_blocks);
}

int cl_tally_report_now(struct cl_tally *tally, struct cl_error *err)
{
    if (tally->fd < 0)
        return 0;
    ssize_t put = cl_sys_pwrite(tally->fd, &tally->report, sizeof(tally->report), 0);
    if (put < 0)
        return cl_fail(err, (int)put, "report the layer's progress");
    return (size_t)put < sizeof(tally->report)
               ? cl_refuse(err, EIO, "the report of the layer's progress was cut off")
               : 0;
}

int cl_tally_report(struct cl_tally *tally, uint64_t position, struct cl_error *err)
{
    if (position - tally->reported_at < REPORT_EVERY)
        return 0;
    tally->reported_at = position;
    return cl_tally_report_now(tally, err);
}
