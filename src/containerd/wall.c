#include "containerd/wall.h"

#include <errno.h>
#include <string.h>

#define PREFIX "run.cloister."

static const struct {
    const char *name;
    enum cl_pod_wall wall;
} walls[] = {{"container", CL_POD_CONTAINER}, {"wasm", CL_POD_WASM}};

static int take_wall(const char *name, size_t size, const char *where, enum cl_pod_wall *ret,
                     struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(walls); i++) {
        if (strlen(walls[i].name) != size || strncmp(walls[i].name, name, size) != 0)
            continue;
        *ret = walls[i].wall;
        return 0;
    }
    return cl_refuse(err, EINVAL, "%s: there is no wall \"%.*s\": container or wasm", where,
                     (int)(size < 40 ? size : 40), name);
}

int cl_wall_of_options(const char *body, enum cl_pod_wall *ret, struct cl_error *err)
{
    static const char blanks[] = " \t\r";
    static const char where[] = "the options of the runtime";

    while (*body != '\0') {
        const char *line = body + strspn(body, " \t\r\n");
        const size_t key = strcspn(line, " \t\r\n=");
        const char *value = line + key + strspn(line + key, blanks);

        body = line + strcspn(line, "\n");
        if (key != 4 || strncmp(line, "wall", 4) != 0)
            continue;
        if (*value != '=')
            return cl_refuse(err, EINVAL, "%s: \"wall\" isn't wall = \"...\"", where);
        value += 1 + strspn(value + 1, " \t\"'");
        int r = take_wall(value, strcspn(value, " \t\r\n\"'"), where, ret, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int is_of_containers(const char *key)
{
    static const char *const names[] = {"landlock", "seccomp", "time-limit", "cpu-time",
                                        "wasm-model"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        if (strcmp(key, names[i]) == 0)
            return 1;
    }
    return 0;
}

int cl_wall_of_pod(const struct cl_wire_list *annotations, enum cl_pod_wall *ret,
                   struct cl_error *err)
{
    const struct cl_msg_pair *pairs = annotations->items;
    int r = 0;

    for (size_t i = 0; r == 0 && i < annotations->count; i++) {
        const char *name = pairs[i].key + sizeof(PREFIX) - 1;

        if (strncmp(pairs[i].key, PREFIX, sizeof(PREFIX) - 1) != 0)
            continue;
        if (strcmp(name, "wall") == 0)
            r = take_wall(pairs[i].value, strlen(pairs[i].value), pairs[i].key, ret, err);
        else if (!is_of_containers(name))
            r = cl_refuse(
                err, EINVAL,
                "annotation %.100s: there is none of that name; wall, wasm-model, landlock, "
                "seccomp, time-limit and cpu-time are",
                pairs[i].key);
    }
    return r;
}
