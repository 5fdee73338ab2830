#include "module/memo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "module/cache.h"

enum { SETTLED_S = 2 };

struct identity {
    uint64_t numbers[7];
};

static struct identity identity_of(const struct stat *file)
{
    return (struct identity){{
        (uint64_t)file->st_dev,
        (uint64_t)file->st_ino,
        (uint64_t)file->st_size,
        (uint64_t)file->st_mtim.tv_sec,
        (uint64_t)file->st_mtim.tv_nsec,
        (uint64_t)file->st_ctim.tv_sec,
        (uint64_t)file->st_ctim.tv_nsec,
    }};
}

/* Beside the keys of modules, and no key: theirs are of more than this. */
static void name_of(const struct stat *file, struct cl_module_key *ret)
{
    const struct identity identity = identity_of(file);
    struct cl_sha256 hash;

    cl_sha256_init(&hash);
    cl_sha256_add(&hash, "memo", sizeof("memo"));
    cl_sha256_add(&hash, &identity, sizeof(identity));
    cl_sha256_final_hex(&hash, ret->hex);
}

int cl_module_memo_is_same(const struct stat *a, const struct stat *b)
{
    const struct identity left = identity_of(a);
    const struct identity right = identity_of(b);

    return memcmp(&left, &right, sizeof(left)) == 0;
}

int cl_module_memo_find(int cache, const struct stat *file, struct cl_digest *ret)
{
    struct cl_module_key name;
    struct cl_digest digest = {0};
    const size_t size = sizeof(digest.hex) - 1;

    name_of(file, &name);
    CL_CLEANUP_FD int fd = cl_module_cache_find(cache, &name);
    if (fd < 0)
        return fd;
    ssize_t got = cl_sys_read(fd, digest.hex, size + 1);
    if (got < 0)
        return (int)got;
    if ((size_t)got != size || strspn(digest.hex, "0123456789abcdef") != size)
        return -EBADMSG;
    *ret = digest;
    return 0;
}

static int is_settled(const struct stat *file, uint64_t now_ns)
{
    return now_ns / CL_NS_PER_S > (uint64_t)file->st_ctim.tv_sec + SETTLED_S;
}

int cl_module_memo_keep(int cache, const struct stat *file, const struct cl_digest *digest,
                        uint64_t now_ns)
{
    struct cl_module_key name;

    if (!is_settled(file, now_ns))
        return 0;
    name_of(file, &name);
    CL_CLEANUP_FD int text = cl_sys_memfd_create("memo", 1 /* MFD_CLOEXEC */);
    const size_t size = sizeof(digest->hex) - 1;
    return text >= 0 && cl_write_all(text, digest->hex, size) == 0 &&
           cl_module_cache_keep(cache, &name, text, size) == 0;
}
