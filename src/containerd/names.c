#include <errno.h>
#include <string.h>

#include "containerd/bundle.h"
#include "rpc/task_messages.h"

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

int cl_containerd_check_create(const struct cl_msg_create *request, struct cl_error *err)
{
    int r = cl_containerd_check_id(request->id, "id", err);

    if (r < 0)
        return r;
    if (request->checkpoint[0] != '\0')
        return cl_refuse(err, ENOSYS, "no container can be restored from a checkpoint");
    if (request->bundle[0] != '/')
        return cl_refuse(err, EINVAL, "bundle: \"%.100s\" is no absolute path", request->bundle);
    return 0;
}
