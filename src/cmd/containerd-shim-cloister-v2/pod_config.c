/* What a pod's configuration means: its namespaces, and the settings in them. What it asks for and
 * can't have is refused with the field's name. */
#include <errno.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "base/userns.h"
#include "cmd/containerd-shim-cloister-v2/pod.h"

enum { HOSTNAME_MOST = 64, SYSCTL_MOST = 200, MAPS_MOST = 340 /* user_namespaces(7) */ };

/* --- reading ------------------------------------------------------------------------------------
 */

int cl_pod_read(const struct cl_msg_any *options, struct cl_arena *arena,
                struct cl_msg_pod *ret_config, struct cl_error *err)
{
    if (options == NULL || options->type_url[0] == '\0') {
        *ret_config = (struct cl_msg_pod){.hostname = ""};
        return 0;
    }
    const char *slash = strrchr(options->type_url, '/');
    const char *type = slash == NULL ? options->type_url : slash + 1;
    if (strcmp(type, CL_POD_CONFIG_TYPE) != 0)
        return cl_refuse(err, EINVAL, "options: \"%.100s\" is no " CL_POD_CONFIG_TYPE,
                         options->type_url);
    /* The call goes, and what was read with it. */
    char *copy = cl_arena_alloc(arena, options->value.size + 1);
    if (copy == NULL)
        return cl_fail_memory(err);
    memcpy(copy, options->value.data, options->value.size);
    const struct cl_bytes bytes = {copy, options->value.size};
    return cl_wire_read(&cl_msg_pod_shape, &bytes, arena, ret_config, err);
}

/* --- namespaces ---------------------------------------------------------------------------------
 */

static const struct cl_msg_pod_namespaces *namespaces_of(const struct cl_msg_pod *config)
{
    static const struct cl_msg_pod_namespaces none = {0};
    const struct cl_msg_pod_linux *part = config->linux_part;

    return part == NULL || part->security == NULL || part->security->namespaces == NULL
               ? &none
               : part->security->namespaces;
}

static int check_mode(const char *which, uint32_t mode, struct cl_error *err)
{
    return mode <= CL_POD_MODE_NODE
               ? 0
               : cl_refuse(err, EINVAL, "namespace_options.%s: %u is none of a pod's", which, mode);
}

/* An IPC namespace of each container's own is none that a pod could have: they share it. */
static int decide_kinds(const struct cl_msg_pod_namespaces *modes, int is_hosts_network,
                        struct cl_pod *ret, struct cl_error *err)
{
    int r = check_mode("network", modes->network, err);

    if (r == 0)
        r = check_mode("ipc", modes->ipc, err);
    if (r == 0)
        r = check_mode("pid", modes->pid, err);
    if (r < 0)
        return r;
    if (modes->ipc != CL_POD_MODE_NODE)
        ret->namespaces |= CLONE_NEWIPC;
    if (modes->pid != CL_POD_MODE_NODE)
        ret->namespaces |= CLONE_NEWPID;
    /* Who has the host's network has its name, too. */
    if (!is_hosts_network)
        ret->namespaces |= CLONE_NEWUTS;
    return 0;
}

static int open_netns(const char *path, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    struct statfs fs;

    if (path[0] != '/')
        return cl_refuse(err, EINVAL, "netns_path: \"%.100s\" is no absolute path", path);
    int r = fd < 0 ? fd : cl_sys_fstatfs(fd, &fs);
    if (r < 0)
        return cl_fail(err, r, "netns_path: open %.200s", path);
    if (fs.f_type != NSFS_MAGIC || cl_sys_ioctl_number(fd, NS_GET_NSTYPE, 0) != CLONE_NEWNET)
        return cl_refuse(err, EINVAL, "netns_path: %.200s is no network namespace", path);
    return CL_TAKE_FD(fd);
}

/* Whoever says nothing of the network gets the host's, where no path says another. */
static int decide_network(const struct cl_msg_pod *config, const char *netns, struct cl_pod *ret,
                          struct cl_error *err)
{
    const uint32_t mode = namespaces_of(config)->network;

    if (netns[0] == '\0' && config->linux_part != NULL && mode != CL_POD_MODE_NODE)
        return cl_refuse(err, EINVAL,
                         "netns_path: none is named, and the pod isn't to have the host's");
    if (netns[0] != '\0' && mode == CL_POD_MODE_NODE)
        return cl_refuse(err, EINVAL,
                         "netns_path: one is named, and the pod is to have the host's");
    if (netns[0] == '\0')
        return 0;
    ret->net = open_netns(netns, err);
    return ret->net < 0 ? ret->net : 0;
}

/* --- users --------------------------------------------------------------------------------------
 */

/* As a process's uid_map in /proc has it. NULL: no memory, or none that the kernel takes. */
static const char *write_map(const struct cl_wire_list *list, struct cl_arena *arena)
{
    const struct cl_msg_pod_map *maps = list->items;
    const char *text = list->count == 0 || list->count > MAPS_MOST ? NULL : "";

    for (size_t i = 0; text != NULL && i < list->count; i++)
        text = cl_arena_printf(arena, "%s%u %u %u\n", text, maps[i].inside, maps[i].outside,
                               maps[i].size);
    return text;
}

static uint32_t root_of(const struct cl_wire_list *list)
{
    const struct cl_msg_pod_map *maps = list->items;

    for (size_t i = 0; i < list->count; i++) {
        if (maps[i].inside == 0)
            return maps[i].outside;
    }
    return 0;
}

/* The network namespace was made in the pod's user namespace, which so is there already; without
 * one it is made. */
static int decide_users(const struct cl_msg_pod *config, struct cl_arena *arena, struct cl_pod *ret,
                        struct cl_error *err)
{
    const struct cl_msg_pod_users *users = namespaces_of(config)->users;

    if (users == NULL || users->mode == CL_POD_MODE_NODE)
        return 0;
    if (users->mode != CL_POD_MODE_POD)
        return cl_refuse(err, EINVAL, "userns_options.mode: %u is none of a pod's", users->mode);
    const char *uids = write_map(&users->uids, arena);
    const char *gids = write_map(&users->gids, arena);
    if (uids == NULL || gids == NULL)
        return cl_refuse(err, EINVAL, "userns_options: uids and gids: 1 to %d maps", MAPS_MOST);
    ret->users = ret->net >= 0 ? cl_sys_ioctl_number(ret->net, NS_GET_USERNS, 0)
                               : cl_userns_make_of(uids, gids, err);
    if (ret->users < 0 && ret->net >= 0)
        return cl_fail(err, ret->users, "find the user namespace of netns_path");
    ret->uid = root_of(&users->uids);
    ret->gid = root_of(&users->gids);
    return ret->users < 0 ? ret->users : 0;
}

/* --- sysctls ------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    uint64_t kind;
} sysctls[] = {
#define CL_SYSCTL(name, kind, why) {name, kind},
#include "policy/sysctls.def"
#undef CL_SYSCTL
};

/* What containerd's own way of making pods gives to each with a network of its own. */
static const struct cl_msg_pair usual[] = {
    {"net.ipv4.ip_unprivileged_port_start", "0"},
    {"net.ipv4.ping_group_range", "0 2147483647"}, /* not in a user namespace, which has fewer */
};

/* KEY is NAME, or begins with it, where that ends in a dot; a slash parts words as well. */
static int is_meant(const char *name, const char *key)
{
    for (; *name != '\0'; name++, key++) {
        if (*key != *name && !(*name == '.' && *key == '/'))
            return 0;
    }
    return name[-1] == '.' || *key == '\0';
}

static int check_sysctl(const struct cl_pod *pod, const char *key, struct cl_error *err)
{
    const uint64_t own = pod->namespaces | (pod->net >= 0 ? CLONE_NEWNET : 0) |
                         (pod->users >= 0 ? CLONE_NEWUSER : 0);

    for (size_t i = 0; i < CL_ARRAY_SIZE(sysctls); i++) {
        if (!is_meant(sysctls[i].name, key))
            continue;
        if ((own & sysctls[i].kind) != 0)
            return 0;
        return cl_refuse(err, EINVAL,
                         "sysctls.%.100s: the pod has that namespace from the host, whose setting "
                         "it would be",
                         key);
    }
    return cl_refuse(err, EINVAL, "sysctls.%.100s: it belongs to no namespace: it is the host's",
                     key);
}

/* "net.ipv4.conf.eth0" as a path; where a slash comes first it parts the words, and a dot stands
 * for itself (sysctl(8)). */
static const char *path_of(const char *key, struct cl_arena *arena, struct cl_error *err)
{
    const int by_dots = key[strcspn(key, "./")] != '/';
    char *path = cl_arena_strdup(arena, key);

    if (path == NULL) {
        (void)cl_fail_memory(err);
        return NULL;
    }
    for (char *at = path; *at != '\0' && by_dots; at++) {
        if (*at == '.' || *at == '/')
            *at = *at == '.' ? '/' : '.';
    }
    if (strlen(path) <= SYSCTL_MOST && strstr(path, "/..") == NULL)
        return path;
    (void)cl_refuse(err, EINVAL, "sysctls.%.100s: that is no setting", key);
    return NULL;
}

/* ITEMS are RET's. */
static int add_sysctl(const struct cl_msg_pair *pair, struct cl_arena *arena, const char **items,
                      struct cl_pod *ret, struct cl_error *err)
{
    int r = check_sysctl(ret, pair->key, err);
    const char *path = r < 0 ? NULL : path_of(pair->key, arena, err);

    if (path == NULL)
        return -err->code;
    items[ret->files.count++] = path;
    items[ret->files.count++] = pair->value;
    return 0;
}

static int is_named(const struct cl_wire_list *list, const char *key)
{
    const struct cl_msg_pair *pairs = list->items;

    for (size_t i = 0; i < list->count; i++) {
        if (is_meant(key, pairs[i].key))
            return 1;
    }
    return 0;
}

static int decide_sysctls(const struct cl_msg_pod *config, struct cl_arena *arena,
                          struct cl_pod *ret, struct cl_error *err)
{
    static const struct cl_wire_list none = {NULL, 0};
    const struct cl_wire_list *list =
        config->linux_part == NULL ? &none : &config->linux_part->sysctls;
    const struct cl_msg_pair *pairs = list->items;
    const size_t usual_count = ret->net < 0 ? 0 : CL_ARRAY_SIZE(usual) - (ret->users >= 0);
    int r = 0;

    const char **items = cl_arena_array(arena, 2 * (list->count + usual_count) + 1, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(err);
    ret->files.items = items;
    for (size_t i = 0; r == 0 && i < usual_count; i++) {
        if (!is_named(list, usual[i].key))
            r = add_sysctl(&usual[i], arena, items, ret, err);
    }
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = add_sysctl(&pairs[i], arena, items, ret, err);
    return r;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

int cl_pod_decide(const struct cl_msg_pod *config, const char *netns, struct cl_arena *arena,
                  struct cl_pod *ret, struct cl_error *err)
{
    int r = decide_network(config, netns, ret, err);

    if (r == 0)
        r = decide_kinds(namespaces_of(config), ret->net < 0, ret, err);
    if (r == 0)
        r = decide_users(config, arena, ret, err);
    if (r == 0)
        r = decide_sysctls(config, arena, ret, err);
    if (r < 0)
        return r;
    if (strlen(config->hostname) > HOSTNAME_MOST || strchr(config->hostname, '\n') != NULL)
        return cl_refuse(err, EINVAL, "hostname: \"%.100s\" is none", config->hostname);
    if ((ret->namespaces & CLONE_NEWUTS) != 0)
        ret->hostname = config->hostname;
    return 0;
}
