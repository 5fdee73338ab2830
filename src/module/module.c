#include "module/module.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/processors.h"
#include "base/sys.h"
#include "module/cache.h"
#include "module/collect.h"
#include "module/memo.h"
#include "policy/wasm_version.h"

enum { CHUNK = 64 << 10, MAX_ANSWER = 4096, MFD_ALLOW_SEALING_ = 2, MFD_CLOEXEC_ = 1 };
enum { ALL_SEALS = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL };

void cl_module_done(struct cl_module *module)
{
    cl_fd_close(&module->fd);
}

/* --- the module's bytes --------------------------------------------------- */

int cl_module_kind_read(int file)
{
    char preamble[CL_MODULE_PREAMBLE_SIZE];
    const ssize_t got = cl_sys_pread(file, preamble, sizeof(preamble), 0);

    return got < 0 ? (int)got : (int)cl_module_kind_of(preamble, (size_t)got);
}

/* Hashes all that SOURCE has, and copies it to COPY unless that is -1. */
static int digest_of(const struct cl_module_source *source, int copy, struct cl_digest *ret,
                     struct cl_error *err)
{
    CL_CLEANUP_FREE char *chunk = cl_realloc(NULL, CHUNK);
    struct cl_sha256 hash;
    off_t offset = 0;
    ssize_t got;

    if (chunk == NULL)
        return cl_fail_memory(err);
    cl_sha256_init(&hash);
    while ((got = cl_sys_pread(source->fd, chunk, CHUNK, offset)) != 0) {
        if (got == -EINTR)
            continue;
        int r = got < 0 || copy < 0 ? 0 : cl_write_all(copy, chunk, (size_t)got);

        if (got < 0 || r < 0)
            return cl_fail(err, got < 0 ? (int)got : r, "read %.200s", source->name);
        cl_sha256_add(&hash, chunk, (size_t)got);
        offset += got;
        if (offset > (off_t)CL_WASM_MODULE_MIB << 20) /* it has grown */
            return cl_refuse(err, EFBIG, "%.200s is larger than %d MiB", source->name,
                             CL_WASM_MODULE_MIB);
    }
    cl_sha256_final_hex(&hash, ret->hex);
    return 0;
}

static int make_memory(const char *name, struct cl_error *err)
{
    int fd = cl_sys_memfd_create(name, MFD_CLOEXEC_ | MFD_ALLOW_SEALING_);

    return fd < 0 ? cl_fail(err, fd, "memfd_create") : fd;
}

static int seal(int fd, struct cl_error *err)
{
    int r = cl_sys_fcntl(fd, F_ADD_SEALS, ALL_SEALS);

    return r < 0 ? cl_fail(err, r, "seal a file of memory") : 0;
}

/* --- compiling ------------------------------------------------------------ */

static int run_helper(const struct cl_module_source *source, int module, int code,
                      struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(MAX_ANSWER); /* nothing comes that way */
    struct cl_processors processors = cl_processors_look();
    struct cl_helper helper;
    static const char *const orders[] = {
        [CL_MODULE_ALONE] = "compile",
        [CL_MODULE_IN_TURNS] = "compile-for-turns",
        [CL_MODULE_AS_COMPONENT] = "compile-component",
    };
    char threads[8];
    const struct cl_helper_call call = {
        .args = {orders[source->use], source->name, threads},
        .subject = source->name,
        .file = module,
        .result = code,
        .timeout_ns = CL_WASM_COMPILER_WAIT_SECONDS * CL_NS_PER_S,
        .work = "compile",
    };
    int r = cl_helper_find(source->helper_dir, "cloister-wasmc", &helper, err);

    if (r < 0)
        return cl_hint(err, "make wasm builds it");
    (void)snprintf(threads, sizeof(threads), "%d",
                   (int)cl_min_u64(cl_max_u64(processors.count, 1), CL_WASM_COMPILER_THREADS));
    return cl_helper_run(&helper, &call, &answer, err);
}

/* The size of what the helper has written. */
static int64_t check_code(int code, const char *name, struct cl_error *err)
{
    off_t size = cl_sys_lseek(code, 0, SEEK_END);

    if (size < 0)
        return cl_fail(err, (int)size, "look at what %.200s was compiled to", name);
    if (size == 0 || size > (off_t)CL_WASM_COMPILED_MIB << 20)
        return cl_refuse(err, EBADMSG, "%.200s: cloister-wasmc has made %lld bytes of it", name,
                         (long long)size);
    return (int64_t)size;
}

/* The same file by a descriptor that can't write. */
static int for_reading(int fd, struct cl_error *err)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reader = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    return reader < 0 ? cl_fail(err, reader, "open a file of memory") : reader;
}

/* What CACHE keeps is as good as what we have, and on a disk instead of in memory. */
static int keep(int cache, const struct cl_module_key *key, int code, struct cl_module *module,
                struct cl_error *err)
{
    int fd = -1;

    if (cache >= 0 && cl_module_cache_keep(cache, key, code, module->size) == 0)
        fd = cl_module_cache_find(cache, key);
    module->fd = fd >= 0 ? fd : for_reading(code, err);
    return module->fd < 0 ? module->fd : 0;
}

static int compile(const struct cl_module_source *source, int cache, uint64_t budget,
                   struct cl_module *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int module = make_memory("module", err);
    CL_CLEANUP_FD int code = module < 0 ? module : make_memory("code", err);
    struct cl_module made = CL_MODULE_INIT;
    struct cl_module_key key;
    int r = code < 0 ? code : digest_of(source, module, &made.digest, err);

    if (r == 0)
        r = seal(module, err);
    if (r == 0)
        r = run_helper(source, module, code, err);
    if (r == 0)
        r = seal(code, err);
    if (r < 0)
        return r;
    int64_t size = check_code(code, source->name, err);
    if (size < 0)
        return (int)size;
    made.size = (uint64_t)size;
    cl_module_key_of(&made.digest, source->use, &key);
    r = keep(cache, &key, code, &made, err);
    if (r < 0)
        return r;
    if (cache >= 0)
        cl_module_collect_for(source->cache_dir, budget, &key, made.size);
    *ret = made;
    return 0;
}

/* --- finding -------------------------------------------------------------- */

static int try_cache(int cache, const struct cl_digest *digest, enum cl_module_use use,
                     struct cl_module *ret)
{
    struct cl_module_key key;
    struct stat status;

    if (cache < 0)
        return cache;
    cl_module_key_of(digest, use, &key);
    CL_CLEANUP_FD int fd = cl_module_cache_find(cache, &key);
    int r = fd < 0 ? fd : cl_sys_fstat(fd, &status);
    if (r < 0)
        return r;
    *ret = (struct cl_module){
        .size = (uint64_t)status.st_size, .digest = *digest, .from_cache = 1, .fd = CL_TAKE_FD(fd)};
    return 0;
}

/* The file's, without reading it where that can be. KEPT: the cache has grown. */
static int find_digest(const struct cl_module_source *source, int cache, struct cl_digest *ret,
                       int *ret_kept, struct cl_error *err)
{
    struct stat before;
    struct stat after;
    int r = cl_sys_fstat(source->fd, &before);

    if (r < 0)
        return cl_fail(err, r, "stat %.200s", source->name);
    if (cache >= 0 && cl_module_memo_find(cache, &before, ret) == 0)
        return 0;
    r = digest_of(source, -1, ret, err);
    if (r == 0 && cache >= 0 && cl_sys_fstat(source->fd, &after) == 0 &&
        cl_module_memo_is_same(&before, &after))
        *ret_kept = cl_module_memo_keep(cache, &after, ret, cl_clock_wall_ns());
    return r;
}

int cl_module_compile(const struct cl_module_source *source, struct cl_module *ret,
                      struct cl_error *err)
{
    struct cl_digest digest;
    uint64_t budget = 0;
    int has_kept = 0;
    int r = cl_check_regular(source->fd, source->name, (uint64_t)CL_WASM_MODULE_MIB << 20, err);

    if (r == 0)
        r = cl_module_budget(&budget, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int cache = cl_module_cache_open(source->cache_dir, source->tenant);
    r = find_digest(source, cache, &digest, &has_kept, err);
    if (r < 0)
        return r;
    if (try_cache(cache, &digest, source->use, ret) < 0)
        r = compile(source, cache, budget, ret, err);
    if (has_kept) /* whatever became of it */
        cl_module_collect_for(source->cache_dir, budget, NULL, 0);
    return r;
}

int cl_module_copy(const struct cl_module_source *source, struct cl_module *ret,
                   struct cl_error *err)
{
    struct cl_module module = CL_MODULE_INIT;
    int r = cl_check_regular(source->fd, source->name, (uint64_t)CL_WASM_MODULE_MIB << 20, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int copy = make_memory("module", err);
    r = copy < 0 ? copy : digest_of(source, copy, &module.digest, err);
    if (r == 0)
        r = seal(copy, err);
    if (r < 0)
        return r;
    module.size = (uint64_t)cl_sys_lseek(copy, 0, SEEK_END);
    module.fd = for_reading(copy, err);
    if (module.fd < 0)
        return module.fd;
    *ret = module;
    return 0;
}
