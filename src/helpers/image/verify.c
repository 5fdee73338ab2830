#include "helpers/image/verify.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

enum { BLOCK_SIZE = 128 << 10, REPORT_EVERY = 4 << 20, TICKS_AT_ONCE = 64 };

struct verifier {
    const struct cl_verify *how;
    EVP_MD_CTX *hash;
    struct cl_stream_report report;
    uint64_t there; /* bytes of a growing file that may be read */
    uint64_t told;  /* bytes when the report was written last */
    char block[BLOCK_SIZE];
};

int cl_verify_prepare(struct cl_error *err)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    const int ok = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;

    EVP_MD_CTX_free(hash);
    return ok ? 0 : cl_refuse(err, EIO, "the library has no SHA-256");
}

static int tell(struct verifier *verifier, struct cl_error *err)
{
    const int fd = verifier->how->report;

    verifier->told = verifier->report.bytes;
    if (fd < 0)
        return 0;
    ssize_t wrote = cl_sys_pwrite(fd, &verifier->report, sizeof(verifier->report), 0);
    if (wrote == (ssize_t)sizeof(verifier->report))
        return 0;
    return cl_fail(err, wrote < 0 ? (int)wrote : -EIO, "write the report");
}

/* Waits until more of the file is there: 1, or 0 when no more will come. */
static int wait_for_more(struct verifier *verifier, struct cl_error *err)
{
    uint64_t ticks[TICKS_AT_ONCE];
    ssize_t got;

    do {
        got = cl_sys_read(verifier->how->ticks, ticks, sizeof(ticks));
    } while (got == -EINTR);
    if (got < 0)
        return cl_fail(err, (int)got, "wait for the download");
    if (got % (ssize_t)sizeof(*ticks) != 0)
        return cl_refuse(err, EPROTO, "half a number came from the download");
    if (got == 0)
        return 0;
    const uint64_t last = ticks[(size_t)got / sizeof(*ticks) - 1];
    verifier->there = cl_min_u64(cl_max_u64(verifier->there, last), verifier->how->max_bytes);
    return 1;
}

/* The next bytes: their number, 0 at the end. */
static ssize_t next_of_file(struct verifier *verifier, struct cl_error *err)
{
    const struct cl_verify *how = verifier->how;
    const uint64_t at = verifier->report.bytes;
    ssize_t got;

    while (verifier->there <= at) {
        int r = at == how->max_bytes || how->ticks < 0 ? 0 : wait_for_more(verifier, err);

        if (r <= 0)
            return r;
    }
    do {
        got = cl_sys_pread(how->source, verifier->block,
                           (size_t)cl_min_u64(sizeof(verifier->block), verifier->there - at),
                           (off_t)(how->offset_bytes + at));
    } while (got == -EINTR);
    if (got == 0)
        return cl_refuse(err, EIO, "there are fewer bytes than was said");
    return got < 0 ? cl_fail(err, (int)got, "read the bytes") : got;
}

static ssize_t next_of_stream(struct verifier *verifier, struct cl_error *err)
{
    ssize_t got;

    do {
        got = cl_sys_read(verifier->how->source, verifier->block, sizeof(verifier->block));
    } while (got == -EINTR);
    return got < 0 ? cl_fail(err, (int)got, "read the stream") : got;
}

/* The same SIZE bytes that the sink has got already: all of them, or it would get some twice. */
static int read_teed(struct verifier *verifier, size_t size, struct cl_error *err)
{
    for (size_t have = 0; have < size;) {
        ssize_t got = cl_sys_read(verifier->how->source, verifier->block + have, size - have);

        if (got == -EINTR)
            continue;
        if (got <= 0)
            return cl_fail(err, got < 0 ? (int)got : -EIO, "read the stream");
        have += (size_t)got;
    }
    return 0;
}

/* Hands on the next bytes of a pipe before they are read: the sink gets the same pages, whose
 * bytes nobody can change any more (inflate, who wrote them, has write(2) alone for that). */
static ssize_t tee_next(struct verifier *verifier, struct cl_error *err)
{
    ssize_t got;

    do {
        got = cl_sys_tee(verifier->how->source, verifier->how->sink, sizeof(verifier->block));
    } while (got == -EINTR);
    if (got < 0)
        return cl_fail(err, (int)got, "hand the bytes on");
    int r = read_teed(verifier, (size_t)got, err);
    return r < 0 ? r : got;
}

static ssize_t next(struct verifier *verifier, struct cl_error *err)
{
    if (verifier->how->is_file)
        return next_of_file(verifier, err);
    return verifier->how->is_teed ? tee_next(verifier, err) : next_of_stream(verifier, err);
}

static int count(struct verifier *verifier, size_t size, struct cl_error *err)
{
    if (size > verifier->how->max_bytes - verifier->report.bytes)
        return cl_refuse(err, EFBIG, "there are more than %llu bytes",
                         (unsigned long long)verifier->how->max_bytes);
    if (EVP_DigestUpdate(verifier->hash, verifier->block, size) != 1)
        return cl_refuse(err, EIO, "SHA-256 failed");
    verifier->report.bytes += size;
    return 0;
}

static int pass(struct verifier *verifier, size_t size, struct cl_error *err)
{
    int r = count(verifier, size, err);

    if (r == 0 && !verifier->how->is_teed && verifier->how->sink >= 0) {
        r = cl_write_all(verifier->how->sink, verifier->block, size);
        if (r < 0)
            r = cl_fail(err, r, "hand the bytes on");
    }
    if (r < 0)
        return r;
    if (verifier->report.bytes - verifier->told >= REPORT_EVERY)
        return tell(verifier, err);
    return 0;
}

static int finish(struct verifier *verifier, struct cl_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *text = verifier->report.digest;

    if (EVP_DigestFinal_ex(verifier->hash, digest, NULL) != 1)
        return cl_refuse(err, EIO, "SHA-256 failed");
    int used = snprintf(text, CL_DIGEST_TEXT_SIZE, "sha256:");
    for (int i = 0; i < 32; i++, used += 2)
        (void)snprintf(text + used, CL_DIGEST_TEXT_SIZE - (size_t)used, "%02x", digest[i]);
    verifier->report.ended = 1;
    return tell(verifier, err);
}

static int run(struct verifier *verifier, struct cl_error *err)
{
    int r = 0;

    if (EVP_DigestInit_ex(verifier->hash, EVP_sha256(), NULL) != 1)
        return cl_refuse(err, EIO, "SHA-256 failed");
    while (r == 0) {
        ssize_t got = next(verifier, err);

        if (got <= 0)
            return got < 0 ? (int)got : finish(verifier, err);
        r = pass(verifier, (size_t)got, err);
    }
    return r;
}

int cl_verify_run(const struct cl_verify *how, struct cl_stream_report *ret, struct cl_error *err)
{
    static struct verifier verifier; /* large; a process verifies one stream */

    verifier = (struct verifier){.how = how, .hash = EVP_MD_CTX_new()};
    verifier.there = how->is_file && how->ticks < 0 ? how->max_bytes : 0;
    if (verifier.hash == NULL)
        return cl_fail_memory(err);
    int r = run(&verifier, err);
    EVP_MD_CTX_free(verifier.hash);
    if (r == 0)
        *ret = verifier.report;
    return r;
}
