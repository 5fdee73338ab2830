/* unpack_report.h - what cloister-image tells of a layer that it unpacks: into a memfd of the
 * core's at offset 0, every few megabytes and at the end.
 *
 * Trust: the helper has read the layer's bytes; these are numbers to show and to keep. By
 * root_opaque a layer leaves out those below it, as it could by whiteouts of all their files:
 * nothing else is decided by them.
 */
#ifndef CL_OCI_UNPACK_REPORT_H
#define CL_OCI_UNPACK_REPORT_H

#include <assert.h>
#include <stdint.h>

/* Of one machine: in its byte order. */
struct cl_unpack_report {
    uint64_t entries;    /* of the archive, and directories that it forgot */
    uint64_t bytes;      /* of its files' content, holes too; hard links once */
    uint64_t disk_bytes; /* what the tree takes on disk; hard links once */
    uint64_t devices_skipped;
    uint64_t xattrs_dropped;
    uint64_t root_opaque; /* 1: the layer hides all that lies below it (".wh..wh..opq" at its
                             top). Overlay doesn't look at the mark of a layer's root: who puts
                             layers together leaves out those below */
};
static_assert(sizeof(struct cl_unpack_report) == 48, "no padding");

#endif
