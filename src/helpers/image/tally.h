/* tally.h - what a layer has had so far, and may have. */
#ifndef CL_HELPERS_IMAGE_TALLY_H
#define CL_HELPERS_IMAGE_TALLY_H

#include <sys/stat.h>

#include "base/error.h"
#include "oci/unpack_report.h"

struct cl_tally {
    struct cl_unpack_report report;
    uint64_t charged; /* bytes, those that were replaced too */
    uint64_t max_bytes, max_entries;
    int fd; /* where the report goes; -1: nowhere */
    uint64_t reported_at;
};

/* One more entry. -EFBIG. */
int cl_tally_entry(struct cl_tally *tally, struct cl_error *err);
/* SIZE more bytes of what is counted against max_bytes. -EFBIG. */
int cl_tally_charge(struct cl_tally *tally, uint64_t size, struct cl_error *err);

/* An inode came, grew or went. */
void cl_tally_blocks(struct cl_tally *tally, blkcnt_t blocks);
/* A name of an inode went, which STATUS was of before. */
void cl_tally_removed(struct cl_tally *tally, const struct stat *status);

/* Writes the report, if that is due where the stream stands at POSITION. */
int cl_tally_report(struct cl_tally *tally, uint64_t position, struct cl_error *err);
int cl_tally_report_now(struct cl_tally *tally, struct cl_error *err);

#endif
