#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "base/sys.h"
#include "helpers/common/jail.h"
#include "helpers/image/inflate.h"
#include "helpers/image/verbs.h"
#include "helpers/image/verify.h"

enum { REPORT_FD = 3, TICKS_FD = 4, FDS_OF_A_FILE = 5, FDS_OF_A_STREAM = 4, FDS_OF_INFLATE = 3 };

static const int report_calls[] = {SCMP_SYS(pwrite64)};
static const int tee_calls[] = {SCMP_SYS(pwrite64), SCMP_SYS(tee)};

/* FILE_BYTES: what goes into a file of the host; 0 where nothing does. */
static int enter(unsigned int fds, int tees, uint64_t file_bytes, struct cl_error *err)
{
    struct cl_jail jail = {.keep_fds = fds,
                           .streams = 1,
                           .bounds.file_size = file_bytes,
                           .calls = tees ? tee_calls : report_calls,
                           .call_count =
                               tees ? CL_ARRAY_SIZE(tee_calls) : CL_ARRAY_SIZE(report_calls)};
    int r = cl_jail_enter(&jail, err);

    return r < 0 ? cl_prefix(err, "cloister-image's jail") : 0;
}

static int is_of_type(int fd, mode_t type)
{
    struct stat status;

    return cl_sys_fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == type;
}

/* The report's file counts, too. */
static uint64_t file_bytes(const struct cl_verify *how)
{
    return is_of_type(how->sink, S_IFREG)
               ? cl_max_u64(how->max_bytes, sizeof(struct cl_stream_report))
               : 0;
}

static int verify(const struct cl_verify *how, unsigned int fds, struct cl_error *err)
{
    struct cl_stream_report ignored; /* it is in the file already */
    int r = cl_verify_prepare(err);

    if (r == 0)
        r = enter(fds, how->is_teed, file_bytes(how), err);
    return r < 0 ? r : cl_verify_run(how, &ignored, err);
}

int cl_verb_verify(CL_UNUSED const struct cl_verb *verb, char *const args[], struct cl_error *err)
{
    struct cl_verify how = {.source = STDIN_FILENO,
                            .is_file = 1,
                            .sink = STDOUT_FILENO,
                            .report = REPORT_FD,
                            .ticks = strcmp(args[2], "growing") == 0 ? TICKS_FD : -1};

    if (cl_parse_u64(args[0], &how.max_bytes) < 0 || cl_parse_u64(args[1], &how.offset_bytes) < 0)
        return cl_refuse(err, EINVAL, "expected two numbers");
    return verify(&how, how.ticks < 0 ? FDS_OF_A_STREAM : FDS_OF_A_FILE, err);
}

/* From inflate to unpack it is pipes; where nobody unpacks it isn't. */
int cl_verb_verify_stream(CL_UNUSED const struct cl_verb *verb, char *const args[],
                          struct cl_error *err)
{
    struct cl_verify how = {
        .source = STDIN_FILENO, .sink = STDOUT_FILENO, .report = REPORT_FD, .ticks = -1};

    if (cl_parse_u64(args[0], &how.max_bytes) < 0)
        return cl_refuse(err, EINVAL, "expected a number");
    how.is_teed = is_of_type(how.source, S_IFIFO) && is_of_type(how.sink, S_IFIFO);
    return verify(&how, FDS_OF_A_STREAM, err);
}

int cl_verb_inflate(CL_UNUSED const struct cl_verb *verb, char *const args[], struct cl_error *err)
{
    const enum cl_compression format =
        strcmp(args[0], "zstd") == 0 ? CL_COMPRESSION_ZSTD : CL_COMPRESSION_GZIP;

    if (format == CL_COMPRESSION_GZIP && strcmp(args[0], "gzip") != 0)
        return cl_refuse(err, EINVAL, "expected gzip or zstd");
    int r = enter(FDS_OF_INFLATE, 0, 0, err);
    return r < 0 ? r : cl_inflate_run(format, STDIN_FILENO, STDOUT_FILENO, err);
}
