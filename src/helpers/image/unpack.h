/* unpack.h - a layer's tar stream becomes a directory that overlay can use, mounted with
 * `userxattr`.
 *
 * Context: one thread, in a jail that somebody else made; root of a user namespace, with its
 * capabilities over the files of its ids (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETFCAP). Needs
 * no name of a file: every path is resolved beneath `root` (openat2, RESOLVE_IN_ROOT and
 * RESOLVE_NO_MAGICLINKS) or is one name in a directory that is open. It makes no device but
 * whiteouts (character device 0:0, Linux 5.8 lets everybody make those).
 * Landlock has to leave, beneath the directory: MAKE_REG, MAKE_DIR, MAKE_SYM, MAKE_FIFO,
 * MAKE_CHAR, REMOVE_FILE, REMOVE_DIR, WRITE_FILE, TRUNCATE, READ_DIR, REFER.
 * Descriptors: at most 20 of its own at a time. Memory: at most 5 MiB, whatever the layer holds.
 *
 * What becomes of what:
 *   .wh.NAME            character device 0:0 NAME; where the layer itself has NAME, that stays
 *                       and, as a directory, becomes opaque. Order doesn't matter.
 *   .wh..wh..opq        user.overlay.opaque="y" of the directory
 *   .wh..wh.*           aufs's own: passed over
 *   devices, sockets    nothing; counted. tar has no sockets
 *   an entry whose name is there already, of this layer: replaces it, as in Docker and Podman;
 *                       a directory over a directory keeps its content. A directory over
 *                       anything else is opaque: what it replaces would have hidden the
 *                       directories below.
 *   missing parents     0755, of 0:0 as Podman has it; of 1970, so that a layer's bytes make the
 *                       same tree whenever they are unpacked
 *   attributes          owners by number, modes, times of change with nanoseconds (of access:
 *                       the same), extended attributes by policy/xattrs.def. A hard link's own
 *                       attributes are not looked at: those of the file stand.
 *   names               any bytes but NUL and '/'; "." and empty parts are left out, ".." is
 *                       refused
 */
#ifndef CL_HELPERS_IMAGE_UNPACK_H
#define CL_HELPERS_IMAGE_UNPACK_H

#include "base/error.h"
#include "oci/unpack_report.h"

struct cl_unpack {
    int stream;           /* tar bytes: a pipe or a file, read to its very end */
    int root;             /* the layer's directory, empty; O_PATH is enough */
    int report;           /* where struct cl_unpack_report is written; -1: nowhere */
    uint64_t max_bytes;   /* of all content, holes and extended attributes too */
    uint64_t max_entries; /* of the archive, and directories that it forgot */
};

/* Unpacks all of it, or fails and leaves behind what was unpacked so far. The descriptors stay
 * the caller's. *RET is written on success alone. The umask is 0 meanwhile.
 *
 * Errors name the entry, quoted and escaped: -EINVAL a damaged archive, or an entry that can't
 * be had; -ENODATA the stream ends in the middle; -EFBIG more than max_bytes or max_entries;
 * else what a system call said. */
int cl_unpack_run(const struct cl_unpack *unpack, struct cl_unpack_report *ret,
                  struct cl_error *err);

/* The system calls that it makes, by number, for a filter; what the C library makes for memory
 * and to end the process is not among them. */
extern const int cl_unpack_calls[];
extern const unsigned int cl_unpack_call_count;

#endif
