/* --pod-process OLD:NEW: a bundle may join namespaces by the name of a process that only stands for
 * the pod: cloisterd's own, which pods of modules name as theirs, having none. Where a container
 * joins OLD's it joins NEW's, who holds the pod's namespaces. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cmd/cloister-oci/command.h"

static int read_pids(const char *text, uint64_t ret[2], struct cl_error *err)
{
    const char *colon = strchr(text, ':');
    char first[24];

    if (colon != NULL && colon - text < (ptrdiff_t)sizeof(first)) {
        (void)snprintf(first, sizeof(first), "%.*s", (int)(colon - text), text);
        if (cl_parse_u64(first, &ret[0]) == 0 && cl_parse_u64(colon + 1, &ret[1]) == 0 &&
            ret[0] > 0 && ret[1] > 0)
            return 0;
    }
    return cl_refuse(err, EINVAL, "--pod-process: \"%.80s\" isn't OLD:NEW, two processes", text);
}

/* Of such a pod they say what its modules are behind, and how they run; this container is none. */
static int forget_wall(struct cl_oci_container *container, struct cl_error *err)
{
    struct cl_strlist *list = &container->spec.annotations;
    const char **kept = cl_arena_array(&container->arena, list->count + 1, sizeof(*kept));
    size_t count = 0;

    if (kept == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i + 1 < list->count; i += 2) {
        if (strcmp(list->items[i], "run.cloister.wall") == 0 ||
            strcmp(list->items[i], "run.cloister.wasm-model") == 0)
            continue;
        kept[count++] = list->items[i];
        kept[count++] = list->items[i + 1];
    }
    *list = (struct cl_strlist){kept, count};
    return 0;
}

int cl_oci_put_pod_process(const char *text, struct cl_oci_container *container,
                           struct cl_error *err)
{
    struct cl_spec_namespaces *list = &container->spec.namespaces;
    struct cl_spec_namespace *copies;
    uint64_t pids[2];
    char prefix[48];

    if (text == NULL)
        return 0;
    int r = read_pids(text, pids, err);
    if (r == 0)
        r = forget_wall(container, err);
    if (r == 0 && list->count == 0)
        return 0;
    copies = r < 0 ? NULL : cl_arena_array(&container->arena, list->count, sizeof(*copies));
    if (copies == NULL)
        return r < 0 ? r : cl_fail_memory(err);
    memcpy(copies, list->items, list->count * sizeof(*copies));
    const int size = snprintf(prefix, sizeof(prefix), "/proc/%llu/", (unsigned long long)pids[0]);
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(copies[i].path, prefix, (size_t)size) != 0)
            continue;
        copies[i].path = cl_arena_printf(&container->arena, "/proc/%llu/%s",
                                         (unsigned long long)pids[1], copies[i].path + size);
        if (copies[i].path == NULL)
            return cl_fail_memory(err);
    }
    list->items = copies;
    return 0;
}
