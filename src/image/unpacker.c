#include "image/unpacker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/accounts.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "image/complaint.h"
#include "image/jailed.h"
#include "oci/exit_status.h"
#include "oci/stream_report.h"

enum { PIPE_SIZE = 1 << 20, NUMBER_SIZE = 24, CHANNEL_FD = 4, CURE_SIZE = 256, BLOCK = 4096 };

/* What tar adds to content at most: headers, padding, pax headers, an end. */
#define MOST (1ULL << 50)
enum { MORE_PER_ENTRY = 16 << 10, MORE = 64 << 20 };

void cl_unpacker_done(struct cl_unpacker *unpacker)
{
    for (size_t i = 0; i < CL_STAGE_COUNT; i++) {
        cl_child_done(&unpacker->children[i]);
        cl_fd_close(&unpacker->complaints[i]);
        cl_fd_close(&unpacker->reports[i]);
    }
}

/* --- starting ---------------------------------------------------------------- */

/* The pipes between the stages, while they are laid. */
struct joints {
    int ends[CL_STAGE_COUNT][2]; /* [s]: from what is before stage s to it */
};

static void joints_done(struct joints *joints)
{
    for (size_t i = 0; i < CL_STAGE_COUNT; i++) {
        cl_fd_close(&joints->ends[i][0]);
        cl_fd_close(&joints->ends[i][1]);
    }
}

static int lay_pipe(int ret[2], struct cl_error *err)
{
    int r = cl_sys_pipe2(ret, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    (void)cl_sys_fcntl(ret[0], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is only slower */
    return 0;
}

/* Nobody unpacks: what would be unpacked goes nowhere. */
static int lay_sink(struct joints *joints, struct cl_error *err)
{
    int *ends = joints->ends[CL_STAGE_UNPACK];

    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
    ends[1] = cl_sys_openat(AT_FDCWD, "/dev/null", O_WRONLY, 0);
    return ends[1] < 0 ? cl_fail(err, ends[1], "open /dev/null") : 0;
}

/* In place of who unpacks. The directory is new, and nobody's but ours. */
static int lay_file(const struct cl_unpacker_how *how, struct joints *joints, struct cl_error *err)
{
    int *ends = joints->ends[CL_STAGE_UNPACK];

    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
    ends[1] = cl_sys_openat(how->tree, how->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0444);
    return ends[1] < 0 ? cl_fail(err, ends[1], "make the layer's file") : 0;
}

static int furnish(struct cl_unpacker *unpacker, struct joints *joints, struct cl_error *err)
{
    const size_t size =
        cl_max_u64(sizeof(struct cl_stream_report), sizeof(struct cl_unpack_report));
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_STAGE_COUNT; i++) {
        unpacker->complaints[i] = cl_memory_file("report", CL_COMPLAINT_SIZE, F_SEAL_SHRINK, err);
        unpacker->reports[i] =
            unpacker->complaints[i] < 0 ? -1 : cl_memory_file("report", size, F_SEAL_SHRINK, err);
        if (unpacker->reports[i] < 0)
            return -err->code;
        if (i > 0)
            r = lay_pipe(joints->ends[i], err);
    }
    return r;
}

static int start_stage(const struct cl_unpacker_how *how, const struct cl_child_start *start,
                       struct cl_child *ret, struct cl_error *err)
{
    char *const environment[] = {NULL};
    struct cl_child_start whole = *start;

    whole.path = how->program;
    whole.envp = environment;
    whole.cwd = -1;
    return cl_child_start(&whole, ret, err);
}

uint64_t cl_unpacker_most_bytes(uint64_t max_bytes, uint64_t max_entries)
{
    return cl_min_u64(MOST, max_bytes) + MORE +
           cl_min_u64(MOST / MORE_PER_ENTRY, max_entries) * MORE_PER_ENTRY;
}

static int start_verify(const struct cl_unpacker_how *how, struct cl_unpacker *unpacker,
                        struct joints *joints, enum cl_unpacker_stage stage, struct cl_error *err)
{
    const int is_blob = stage == CL_STAGE_VERIFY_BLOB;
    const uint64_t most = cl_unpacker_most_bytes(how->max_bytes, how->max_entries);
    /* A plain layer goes from the first to the last: one digest is both. */
    const enum cl_unpacker_stage next =
        is_blob && how->compression != CL_COMPRESSION_NONE ? CL_STAGE_INFLATE : CL_STAGE_UNPACK;
    const int fds[] = {
        is_blob ? how->source : joints->ends[CL_STAGE_VERIFY_PLAIN][0],
        joints->ends[next][1],
        unpacker->complaints[stage],
        unpacker->reports[stage],
        is_blob ? how->ticks : -1,
    };
    char offset[NUMBER_SIZE];
    char size[NUMBER_SIZE];
    char *argv[] = {
        cl_unconst("cloister-image"), cl_unconst(is_blob ? "verify" : "verify-stream"),  size,
        is_blob ? offset : NULL,      cl_unconst(how->ticks >= 0 ? "growing" : "whole"), NULL};
    const struct cl_child_start start = {.argv = argv, .fds = fds, .fd_count = CL_ARRAY_SIZE(fds)};

    (void)snprintf(offset, sizeof(offset), "%llu", (unsigned long long)how->offset_bytes);
    (void)snprintf(size, sizeof(size), "%llu",
                   (unsigned long long)(is_blob ? how->size_bytes : most));
    return start_stage(how, &start, &unpacker->children[stage], err);
}

static int start_inflate(const struct cl_unpacker_how *how, struct cl_unpacker *unpacker,
                         struct joints *joints, struct cl_error *err)
{
    const char *format = how->compression == CL_COMPRESSION_GZIP ? "gzip" : "zstd";
    char *argv[] = {cl_unconst("cloister-image"), cl_unconst("inflate"), cl_unconst(format), NULL};
    const int fds[] = {joints->ends[CL_STAGE_INFLATE][0], joints->ends[CL_STAGE_VERIFY_PLAIN][1],
                       unpacker->complaints[CL_STAGE_INFLATE]};
    const struct cl_child_start start = {.argv = argv, .fds = fds, .fd_count = CL_ARRAY_SIZE(fds)};

    return start_stage(how, &start, &unpacker->children[CL_STAGE_INFLATE], err);
}

/* Whether the host gives this user no ids but its own: an image of several owners can't be
 * unpacked then, and the message is to say why. */
static int lacks_ids(char ret_cure[CURE_SIZE])
{
    char usermod[CL_SUBIDS_CURE_SIZE];
    char login[CL_LOGIN_SIZE];
    struct cl_id_range range;
    struct cl_error ignored;

    cl_accounts_login(geteuid(), login);
    if (cl_accounts_find_subids("/etc/subuid", login, geteuid(), &range, &ignored) != 0)
        return 0;
    cl_accounts_cure_subids(login, usermod);
    (void)snprintf(ret_cure, CURE_SIZE, "this user has one id alone; run as root: %s", usermod);
    return 1;
}

/* One that couldn't enter its jail has said why, with the cure. */
static int explain_start(const struct cl_unpacker *unpacker, int r, struct cl_error *err)
{
    char text[CL_COMPLAINT_SIZE];

    cl_complaint_read(unpacker->complaints[CL_STAGE_UNPACK], text);
    return text[0] == '\0' ? r : cl_refuse(err, -r, "%s", text);
}

static int start_unpack(const struct cl_unpacker_how *how, struct cl_unpacker *unpacker,
                        struct joints *joints, struct cl_error *err)
{
    char bytes[NUMBER_SIZE];
    char entries[NUMBER_SIZE];
    char cure[CURE_SIZE];
    char *argv[] = {cl_unconst("cloister-image"), cl_unconst("unpack"), bytes, entries, NULL, NULL};
    const int fds[CHANNEL_FD] = {joints->ends[CL_STAGE_UNPACK][0], -1,
                                 unpacker->complaints[CL_STAGE_UNPACK],
                                 unpacker->reports[CL_STAGE_UNPACK]};
    const struct cl_jailed jailed = {
        .program = how->program,
        .argv = argv,
        .fds = fds,
        .fd_count = CL_ARRAY_SIZE(fds),
        .directory = how->tree,
        .uid_base = how->uid_base,
    };

    (void)snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)how->max_bytes);
    (void)snprintf(entries, sizeof(entries), "%llu", (unsigned long long)how->max_entries);
    if (how->uid_base == 0 && lacks_ids(cure))
        argv[4] = cure;
    int r = cl_jailed_start(&jailed, &unpacker->children[CL_STAGE_UNPACK], err);
    return r < 0 ? explain_start(unpacker, r, err) : 0;
}

/* Last to first, so that each finds its reader; the ends of the pipes are closed on the way. */
static int start_all(const struct cl_unpacker_how *how, struct cl_unpacker *unpacker,
                     struct joints *joints, struct cl_error *err)
{
    int r = how->tree < 0       ? lay_sink(joints, err)
            : how->file != NULL ? lay_file(how, joints, err)
                                : start_unpack(how, unpacker, joints, err);

    if (r == 0 && how->compression != CL_COMPRESSION_NONE) {
        r = start_verify(how, unpacker, joints, CL_STAGE_VERIFY_PLAIN, err);
        if (r == 0)
            r = start_inflate(how, unpacker, joints, err);
    }
    return r < 0 ? r : start_verify(how, unpacker, joints, CL_STAGE_VERIFY_BLOB, err);
}

int cl_unpacker_start(const struct cl_unpacker_how *how, struct cl_unpacker *ret,
                      struct cl_error *err)
{
    CL_CLEANUP(cl_unpacker_done) struct cl_unpacker unpacker = CL_UNPACKER_INIT;
    CL_CLEANUP(joints_done) struct joints joints = {{{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}};
    CL_CLEANUP_FD int ticks = how->ticks;
    int r = furnish(&unpacker, &joints, err);

    unpacker.is_plain = how->compression == CL_COMPRESSION_NONE;
    unpacker.is_file = how->file != NULL;
    (void)ticks; /* taken: closed here, also where nothing starts */
    if (r == 0)
        r = start_all(how, &unpacker, &joints, err);
    if (r < 0)
        return r;
    *ret = unpacker;
    unpacker = CL_UNPACKER_INIT;
    return 0;
}

/* --- watching ------------------------------------------------------------------ */

/* Who writes to the disk. */
static enum cl_unpacker_stage writer(const struct cl_unpacker *unpacker)
{
    return unpacker->is_file ? CL_STAGE_VERIFY_BLOB : CL_STAGE_UNPACK;
}

int cl_unpacker_reap(struct cl_unpacker *unpacker, enum cl_unpacker_stage stage,
                     struct cl_error *err)
{
    siginfo_t info = {0};
    int r = cl_child_wait(&unpacker->children[stage], &info, err);

    if (r < 0)
        return r;
    if (info.si_code == CLD_EXITED)
        unpacker->failed[stage] = info.si_status == CL_HELPER_DONE ? 0 : CL_STAGE_FAILED;
    else
        unpacker->failed[stage] = info.si_status == SIGPIPE ? CL_STAGE_CUT_OFF : CL_STAGE_FAILED;
    if (stage == writer(unpacker))
        unpacker->no_room = info.si_code == CLD_EXITED && info.si_status == CL_HELPER_NO_ROOM;
    return 0;
}

int cl_unpacker_has_ended(const struct cl_unpacker *unpacker)
{
    for (size_t i = 0; i < CL_STAGE_COUNT; i++) {
        if (unpacker->children[i].pid > 0)
            return 0;
    }
    return 1;
}

/* What cannot be read is zero: it is for people to look at. */
static struct cl_stream_report stream_report(const struct cl_unpacker *unpacker,
                                             enum cl_unpacker_stage stage)
{
    struct cl_stream_report report = {0};

    (void)cl_sys_pread(unpacker->reports[stage], &report, sizeof(report), 0);
    report.digest[CL_DIGEST_TEXT_SIZE - 1] = '\0';
    return report;
}

static struct cl_unpack_report tree_report(const struct cl_unpacker *unpacker)
{
    struct cl_unpack_report report = {0};

    (void)cl_sys_pread(unpacker->reports[CL_STAGE_UNPACK], &report, sizeof(report), 0);
    return report;
}

void cl_unpacker_progress(const struct cl_unpacker *unpacker, uint64_t *ret_blob,
                          uint64_t *ret_content)
{
    *ret_blob = stream_report(unpacker, CL_STAGE_VERIFY_BLOB).bytes;
    *ret_content = tree_report(unpacker).bytes;
}

/* --- judging ------------------------------------------------------------------- */

/* In the order in which the bytes go: who is cut off by a failure after it is ended by SIGPIPE
 * and says nothing, who gets too little because of one before it comes later here. */
static int find_complaint(const struct cl_unpacker *unpacker, struct cl_error *err)
{
    static const char *const what[CL_STAGE_COUNT] = {"the check of the bytes", "the decompression",
                                                     "the check of the plain bytes",
                                                     "the unpacking"};
    char text[CL_COMPLAINT_SIZE];
    unsigned int cut_off = CL_STAGE_COUNT;

    for (unsigned int i = 0; i < CL_STAGE_COUNT; i++) {
        if (!unpacker->failed[i])
            continue;
        cl_complaint_read(unpacker->complaints[i], text);
        if (text[0] != '\0')
            return cl_refuse(
                err, i == (unsigned int)writer(unpacker) && unpacker->no_room ? ENOSPC : EINVAL,
                "%s", text);
        if (unpacker->failed[i] == CL_STAGE_FAILED)
            return cl_refuse(err, EIO, "%s was ended from outside", what[i]);
        cut_off = i;
    }
    return cut_off == CL_STAGE_COUNT
               ? 0
               : cl_refuse(err, EIO, "%s was ended from outside", what[cut_off]);
}

static int take_digest(const struct cl_stream_report *report, struct cl_digest *ret,
                       struct cl_error *err)
{
    if (report->ended != 1)
        return cl_refuse(err, EIO, "the check of the bytes came to no end");
    return cl_digest_parse(report->digest, ret, err);
}

int cl_unpacker_judge(const struct cl_unpacker *unpacker, struct cl_unpacked *ret,
                      struct cl_error *err)
{
    struct cl_unpacked unpacked = {.tree = tree_report(unpacker)};
    int r = find_complaint(unpacker, err);

    if (r < 0)
        return r;
    const struct cl_stream_report blob = stream_report(unpacker, CL_STAGE_VERIFY_BLOB);
    const struct cl_stream_report plain =
        stream_report(unpacker, unpacker->is_plain ? CL_STAGE_VERIFY_BLOB : CL_STAGE_VERIFY_PLAIN);
    r = take_digest(&blob, &unpacked.blob, err);
    if (r == 0)
        r = take_digest(&plain, &unpacked.plain, err);
    if (r < 0)
        return r;
    unpacked.blob_bytes = blob.bytes;
    if (unpacker->is_file)
        unpacked.tree =
            (struct cl_unpack_report){.entries = 1,
                                      .bytes = blob.bytes,
                                      .disk_bytes = (blob.bytes + BLOCK - 1) / BLOCK * BLOCK};
    *ret = unpacked;
    return 0;
}
