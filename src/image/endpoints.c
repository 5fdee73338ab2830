#include "image/endpoints.h"

#include <errno.h>

static int add(struct cl_fetch_endpoint *item, const char *scheme, const char *host,
               struct cl_arena *arena)
{
    const char *url = cl_arena_printf(arena, "%s://%s", scheme, host);

    *item = (struct cl_fetch_endpoint){url, "", "", "", ""};
    return url == NULL ? -ENOMEM : 0;
}

int cl_endpoints_find(const struct cl_reference *reference, struct cl_arena *arena,
                      struct cl_fetch_endpoints *ret, struct cl_error *err)
{
    const char *host = cl_reference_host(reference->domain);
    struct cl_fetch_endpoint *items = cl_arena_array(arena, 2, sizeof(*items));
    size_t count = 0;

    if (items == NULL || add(&items[count++], "https", host, arena) < 0)
        return cl_fail_memory(err);
    if (cl_domain_is_loopback(host) && add(&items[count++], "http", host, arena) < 0)
        return cl_fail_memory(err);
    *ret = (struct cl_fetch_endpoints){items, count};
    return 0;
}
