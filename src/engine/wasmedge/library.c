/* The library: found by the dynamic loader, and asked for each function by its name. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/wasmedge/wasmedge.h"

struct cl_edge_string cl_edge_string(const char *text)
{
    return (struct cl_edge_string){.size = (uint32_t)strlen(text), .data = text};
}

static const struct {
    const char *name;
    size_t offset;
    uint32_t first, last;
} rows[] = {
#define ROW(first, last, type, name, parameters)                                                   \
    {"WasmEdge_" #name, offsetof(struct cl_edge, name), first, last},
    CL_EDGE_CALLS(ROW)
#undef ROW
};

/* A function's address, which dlsym can't give as one in C's own types. */
static int find(void *library, const char *name, void *ret)
{
    void *found = dlsym(library, name);

    if (found == NULL)
        return -ENOENT;
    memcpy(ret, &found, sizeof(found));
    return 0;
}

static int fail_missing(const char *name, struct cl_error *err)
{
    return cl_refuse(err, ENOTSUP, "the library " CL_EDGE_LIBRARY " has no function %s", name);
}

static int check_version(struct cl_edge *edge, struct cl_error *err)
{
    uint32_t (*major)(void);
    uint32_t (*minor)(void);
    const char *(*version)(void);

    if (find(edge->library, "WasmEdge_VersionGetMajor", &major) < 0)
        return fail_missing("WasmEdge_VersionGetMajor", err);
    if (find(edge->library, "WasmEdge_VersionGetMinor", &minor) < 0)
        return fail_missing("WasmEdge_VersionGetMinor", err);
    if (find(edge->library, "WasmEdge_VersionGet", &version) < 0)
        return fail_missing("WasmEdge_VersionGet", err);
    (void)snprintf(edge->version, sizeof(edge->version), "%s", version());
    cl_utf8_make_printable(edge->version);
    edge->minor = minor();
    if (major() == 0 && edge->minor >= CL_EDGE_FIRST_MINOR && edge->minor <= CL_EDGE_LAST_MINOR)
        return 0;
    return cl_refuse(err, ENOTSUP,
                     "the library " CL_EDGE_LIBRARY " is WasmEdge %s, of which it is not known how "
                     "to call it: 0.%d to 0.%d are",
                     edge->version, CL_EDGE_FIRST_MINOR, CL_EDGE_LAST_MINOR);
}

static int find_all(struct cl_edge *edge, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (edge->minor < rows[i].first || edge->minor > rows[i].last)
            continue;
        if (find(edge->library, rows[i].name, (char *)edge + rows[i].offset) < 0)
            return fail_missing(rows[i].name, err);
    }
    return 0;
}

/* All that it refers to is found now: later there is no file to find anything in. */
int cl_edge_load(const char *name, struct cl_edge *ret, struct cl_error *err)
{
    struct cl_edge edge = {.library = dlopen(name, RTLD_NOW | RTLD_LOCAL)};

    if (edge.library == NULL) {
        const char *why = dlerror();

        return cl_refuse(err, ENOENT, "WasmEdge: %.400s", why == NULL ? name : why);
    }
    int r = check_version(&edge, err);
    if (r == 0)
        r = find_all(&edge, err);
    if (r < 0) {
        cl_edge_unload(&edge);
        return r;
    }
    edge.LogOff(); /* it would write to the guest's streams */
    *ret = edge;
    return 0;
}

void cl_edge_unload(struct cl_edge *edge)
{
    if (edge->library != NULL)
        (void)dlclose(edge->library); /* there is nothing to do about it */
    edge->library = NULL;
}
