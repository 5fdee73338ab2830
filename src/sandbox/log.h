/* log.h - what a detached sandbox writes, in files of its directory (kept.h).
 *
 *   log     the latest records; log.1 those before. A file holds CL_LOG_FILE bytes at most; when
 *           the next record has no room in it, it becomes log.1, and what was that is gone.
 *   record  struct cl_log_head, then SIZE bytes as one read took them from the stream
 *
 * A record is written with one call, and one that the disk had no room for is taken back: a file
 * ends with a whole record, or in one that a killed supervisor began, which readers leave out.
 * What was lost is counted, and told by a record of its own when there is room again: a full disk
 * never stops a sandbox. Nor does a reader: who is slower than the writer by more than what is
 * kept finds by the records' turns that files have gone meanwhile, and how many.
 */
#ifndef CL_SANDBOX_LOG_H
#define CL_SANDBOX_LOG_H

#include "base/error.h"

enum { CL_LOG_FILE = 16 << 20 };

enum cl_log_kind {
    CL_LOG_OUT = 1, /* standard output, and all of a terminal */
    CL_LOG_ERR,
    CL_LOG_LOST, /* u64: so many bytes could not be written here */
    CL_LOG_KIND_END,
    CL_LOG_GONE, /* in no file, a reader says it: about so many bytes (u64) have rotated away */
};

struct cl_log_head {
    uint64_t time_ns; /* CLOCK_REALTIME */
    uint32_t size;
    uint8_t kind;    /* enum cl_log_kind */
    uint8_t turn[3]; /* how many files there were before, little-endian */
};
_Static_assert(sizeof(struct cl_log_head) == 16, "a file format");

/* --- writing --- */

struct cl_log {
    int dir; /* the sandbox's, borrowed */
    int fd;  /* -1: no log */
    uint64_t size;
    uint64_t lost_bytes; /* since the last record */
    uint32_t turn;       /* rotations so far */
};
#define CL_LOG_INIT ((struct cl_log){.dir = -1, .fd = -1})

int cl_log_create(int dir, struct cl_log *ret, struct cl_error *err);
/* Adds one record of SIZE bytes, at most CL_LOG_FILE / 2; what can't be written is lost. */
void cl_log_write(struct cl_log *log, enum cl_log_kind kind, const void *data, size_t size);
void cl_log_done(struct cl_log *log);

/* --- reading --- */

/* Records one after the other, over a rotation or several. */
struct cl_log_reader {
    int dir; /* borrowed */
    int fd;
    int ahead[2]; /* the files after that one, as far as they have been seen; -1: none */
    int has_turn;
    uint32_t turn; /* of the last record */
    uint64_t gone; /* what CL_LOG_GONE says */
    size_t start;  /* of what is read and not taken */
    size_t end;
    char *buffer; /* of CL_LOG_FILE bytes at most, grown as needed */
    size_t room;
};
#define CL_LOG_READER_INIT ((struct cl_log_reader){.fd = -1, .ahead = {-1, -1}})
#define CL_CLEANUP_LOG_READER CL_CLEANUP(cl_log_reader_done)

struct cl_log_record {
    uint64_t time_ns;
    enum cl_log_kind kind;
    const char *data; /* valid until the next call */
    size_t size;
};

/* From the oldest record on. */
int cl_log_open(int dir, struct cl_log_reader *ret, struct cl_error *err);
/* From the next record on that is written. -ENOENT where the log has been removed. */
int cl_log_open_end(int dir, struct cl_log_reader *ret, struct cl_error *err);
/* Looks for new files, and opens them: they can be read then when they have rotated away, or the
 * log is removed. Who is slow calls it when the directory has changed. */
int cl_log_look(struct cl_log_reader *reader, struct cl_error *err);
/* 1, or 0 where there is none for now: more may be written. -EBADMSG for what is no log. */
int cl_log_next(struct cl_log_reader *reader, struct cl_log_record *ret, struct cl_error *err);
/* What has become of the bytes that a record of KIND tells of; NULL: it holds bytes. */
const char *cl_log_missing(enum cl_log_kind kind);
void cl_log_reader_done(struct cl_log_reader *reader);

#endif
