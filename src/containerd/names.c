#include <errno.h>
#include <string.h>

#include "containerd/bundle.h"

int cl_containerd_check_id(const char *id, const char *what, struct cl_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const size_t size = strlen(id);

    if (size == 0 || size > CL_CONTAINERD_ID_MOST || strchr(letters, id[0]) == NULL)
        return cl_refuse(err, EINVAL, "%s: \"%.80s\" is no name", what, id);
    for (size_t i = 0; i < size; i++) {
        if (strchr(letters, id[i]) == NULL && strchr("._-", id[i]) == NULL)
            return cl_refuse(err, EINVAL, "%s: \"%.80s\" is no name", what, id);
    }
    return 0;
}
