#include "image/config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/follow.h"
#include "plan/ask.h"
#include "plan/compile_cache.h"

enum { MAX_FILE = 1 << 20, FORM = 1 /* of what is kept */ };

static const char system_path[] = "/etc/cloister/registries.yaml";

/* --- which file ------------------------------------------------------------------ */

/* The user's own, whether or not it is there; *RET is NULL where there is no place for one. */
static int own_path(struct cl_arena *arena, const char **ret, struct cl_error *err)
{
    const char *base = getenv("XDG_CONFIG_HOME"); // NOLINT(concurrency-mt-unsafe): one thread
    const char *below = "/cloister/registries.yaml";

    *ret = NULL;
    if (base == NULL || base[0] != '/') {
        base = getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
        below = "/.config/cloister/registries.yaml";
    }
    if (geteuid() == 0 || base == NULL || base[0] != '/')
        return 0;
    *ret = cl_arena_printf(arena, "%s%s", base, below);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* --- from its bytes to a record ---------------------------------------------------- */

static void make_key(const struct cl_helper *helper, const struct cl_buf *bytes,
                     char ret[CL_SHA256_HEX_SIZE])
{
    struct cl_sha256 hash;

    cl_ask_name(&hash, CL_ASK_REGISTRIES(FORM), 0, helper);
    cl_ask_add(&hash, cl_buf_text(bytes), bytes->size);
    cl_sha256_final_hex(&hash, ret);
}

struct file {
    const char *path;
    const struct cl_buf *bytes;
};

static int ask_helper(const struct cl_helper *helper, const struct file *file,
                      struct cl_arena *arena, struct cl_bytes *ret, struct cl_error *err)
{
    const struct cl_helper_call call = {
        .args = {"registries", file->path},
        .subject = file->path,
        .inputs = {file->bytes},
        .timeout_ns = CL_ASK_SECONDS * CL_NS_PER_S,
    };
    struct cl_answer answer = {.arena = arena, .max_size = cl_registries_shape.max_size};
    int r = cl_ask(helper, &call, &answer, err);

    if (r == 0)
        *ret = answer.bytes;
    return r;
}

static int read_record(const struct cl_bytes *bytes, struct cl_arena *arena,
                       struct cl_registries_record *ret, struct cl_error *err)
{
    struct cl_registries_record record = {0};
    int r = cl_flat_read(&cl_registries_shape, bytes, arena, &record, err);

    if (r == 0)
        *ret = record;
    return r;
}

static int load(const char *path, const struct cl_buf *bytes, struct cl_arena *arena,
                struct cl_registries_record *ret, struct cl_error *err)
{
    char key[CL_SHA256_HEX_SIZE];
    const struct file file = {path, bytes};
    struct cl_bytes flat = {0};
    struct cl_helper helper;
    int r = cl_helper_find(NULL, "cloister-plan", &helper, err);

    if (r < 0)
        return r;
    make_key(&helper, bytes, key);
    CL_CLEANUP_FD int cache = cl_plan_cache_open(NULL, CL_CACHE_PLANS);
    if (cache >= 0 && cl_plan_cache_load(cache, key, arena, &flat) == 0 &&
        read_record(&flat, arena, ret, err) == 0)
        return 0;
    r = ask_helper(&helper, &file, arena, &flat, err);
    if (r == 0)
        r = read_record(&flat, arena, ret, err);
    if (r == 0 && cache >= 0)
        (void)cl_plan_cache_store(cache, key, &flat,
                                  CL_CACHE_LASTING); /* the record is here; the cache can wait */
    return r;
}

int cl_image_config_load(struct cl_arena *arena, struct cl_registries_record *ret,
                         struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(MAX_FILE);
    const char *path;
    CL_CLEANUP_FD int fd = -1;
    int r = own_path(arena, &path, err);

    *ret = (struct cl_registries_record){0};
    if (r == 0 && path != NULL)
        r = cl_follow_regular_if_there(path, MAX_FILE, &fd, err);
    if (r == 0 && fd < 0) {
        path = system_path;
        r = cl_follow_regular_if_there(path, MAX_FILE, &fd, err);
    }
    if (r < 0 || fd < 0)
        return r;
    r = cl_read_all(fd, path, &bytes, err);
    return r < 0 ? r : load(path, &bytes, arena, ret, err);
}

const char *cl_image_config_default(const struct cl_registries_record *config)
{
    return (config->set & CL_RECORD_BIT(CL_REGISTRIES_DEFAULT)) != 0 ? config->default_domain
                                                                     : NULL;
}
