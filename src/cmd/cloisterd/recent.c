/* What lately came of bundles: a container with the same configuration whose module is the same
 * file, unchanged, needs no process to find out what it runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "cmd/cloisterd/prepare.h"

enum { RECENT_MOST = 64 };

struct cl_recent {
    struct cl_recent *next; /* used before this one */
    struct cl_recent_key key;
    char tenant[CL_TENANT_SIZE];
    char *root;
    char *module;
    struct cl_prepared what;
};

int cl_recent_identify(int fd, uint64_t ret[6], struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(fd, &st);

    if (r < 0)
        return cl_fail(err, r, "look at the module");
    ret[0] = st.st_dev;
    ret[1] = st.st_ino;
    ret[2] = (uint64_t)st.st_size;
    ret[3] = (uint64_t)st.st_ctim.tv_sec;
    ret[4] = (uint64_t)st.st_ctim.tv_nsec;
    ret[5] = (uint64_t)st.st_mtim.tv_nsec;
    return 0;
}

int cl_recent_digest(int fd, unsigned char ret[32])
{
    static char bytes[CL_CONFIG_MOST];
    struct cl_sha256 hash;
    ssize_t size = cl_sys_pread(fd, bytes, sizeof(bytes), 0);

    if (size < 0)
        return (int)size;
    if (size == (ssize_t)sizeof(bytes))
        return -EFBIG;
    cl_sha256_init(&hash);
    cl_sha256_add(&hash, bytes, (size_t)size);
    cl_sha256_final(&hash, ret);
    return 0;
}

static int copy_prepared(const struct cl_prepared *from, struct cl_prepared *ret)
{
    char *order = cl_calloc(1, from->order_size);
    int code = cl_sys_fcntl(from->code, F_DUPFD_CLOEXEC, 3);

    if (order == NULL || code < 0) {
        free(order);
        cl_fd_close(&code);
        return -ENOMEM;
    }
    memcpy(order, from->order, from->order_size);
    *ret = (struct cl_prepared){.code = code, .order = order, .order_size = from->order_size};
    return 0;
}

static void free_recent(struct cl_recent *recent)
{
    cl_prepared_done(&recent->what);
    free(recent->root);
    free(recent->module);
    free(recent);
}

/* The oldest go. */
static void trim(struct cl_daemon *daemon)
{
    struct cl_recent **at = &daemon->recent;

    for (size_t i = 0; i < RECENT_MOST && *at != NULL; i++)
        at = &(*at)->next;
    while (*at != NULL) {
        struct cl_recent *old = *at;

        *at = old->next;
        free_recent(old);
    }
}

void cl_recent_keep(struct cl_daemon *daemon, const struct cl_recent_news *news)
{
    static const struct cl_recent_key none;
    struct cl_recent *recent;

    if (news->module[0] == '\0' || memcmp(news->key->config, none.config, sizeof(none.config)) == 0)
        return;
    recent = cl_calloc(1, sizeof(*recent));
    if (recent == NULL)
        return; /* it is done without */
    recent->key = *news->key;
    recent->what = CL_PREPARED_INIT;
    recent->root = cl_daemon_copy(news->root);
    recent->module = cl_daemon_copy(news->module);
    (void)snprintf(recent->tenant, sizeof(recent->tenant), "%s", news->tenant);
    if (recent->root == NULL || recent->module == NULL ||
        copy_prepared(news->what, &recent->what) < 0) {
        free_recent(recent);
        return;
    }
    recent->next = daemon->recent;
    daemon->recent = recent;
    trim(daemon);
}

static struct cl_recent **find(struct cl_daemon *daemon, const char *tenant,
                               const unsigned char config[32])
{
    struct cl_recent **at = &daemon->recent;

    while (*at != NULL &&
           (memcmp((*at)->key.config, config, 32) != 0 || strcmp((*at)->tenant, tenant) != 0))
        at = &(*at)->next;
    return at;
}

static int is_unchanged(const struct cl_recent *recent, const char *bundle)
{
    char path[2 * CL_BUNDLE_PATH + 2];
    struct cl_error ignored;
    uint64_t now[6];

    if (recent->root[0] == '/')
        (void)snprintf(path, sizeof(path), "%s", recent->root);
    else if (snprintf(path, sizeof(path), "%s/%s", bundle, recent->root) >= (int)sizeof(path))
        return 0;
    CL_CLEANUP_FD int root = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    CL_CLEANUP_FD int file = root < 0 ? root : cl_open_in_root(root, recent->module, O_PATH);
    return file >= 0 && cl_recent_identify(file, now, &ignored) == 0 &&
           memcmp(now, recent->key.module, sizeof(now)) == 0;
}

int cl_recent_find(struct cl_task *task, struct cl_prepared *ret)
{
    struct cl_daemon *daemon = task->daemon;
    char path[CL_BUNDLE_PATH + 16];
    unsigned char config[32];

    if (daemon->recent == NULL)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/config.json", task->bundle);
    CL_CLEANUP_FD int fd =
        cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || cl_recent_digest(fd, config) < 0)
        return 0;
    struct cl_recent **at = find(daemon, task->worker->tenant, config);
    struct cl_recent *recent = *at;
    if (recent == NULL)
        return 0;
    *at = recent->next;
    if (!is_unchanged(recent, task->bundle)) {
        free_recent(recent);
        return 0;
    }
    recent->next = daemon->recent; /* it is the latest */
    daemon->recent = recent;
    return copy_prepared(&recent->what, ret) == 0;
}

void cl_recent_done(struct cl_daemon *daemon)
{
    while (daemon->recent != NULL) {
        struct cl_recent *recent = daemon->recent;

        daemon->recent = recent->next;
        free_recent(recent);
    }
}
