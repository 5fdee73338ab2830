#include "rpc/call.h"

#include <errno.h>
#include <string.h>

/* Of those with the same code the first is what a peer's code is taken for. */
static const struct {
    int errnum;
    enum cl_rpc_code code;
} codes[] = {
    {EINVAL, CL_RPC_INVALID_ARGUMENT},
    {EBADMSG, CL_RPC_INVALID_ARGUMENT},
    {ENAMETOOLONG, CL_RPC_INVALID_ARGUMENT},
    {ETIMEDOUT, CL_RPC_DEADLINE_EXCEEDED},
    {ENOENT, CL_RPC_NOT_FOUND},
    {ESRCH, CL_RPC_NOT_FOUND},
    {EEXIST, CL_RPC_ALREADY_EXISTS},
    {EPERM, CL_RPC_PERMISSION_DENIED},
    {EACCES, CL_RPC_PERMISSION_DENIED},
    {E2BIG, CL_RPC_RESOURCE_EXHAUSTED},
    {EFBIG, CL_RPC_RESOURCE_EXHAUSTED},
    {ENOMEM, CL_RPC_RESOURCE_EXHAUSTED},
    {ENOSPC, CL_RPC_RESOURCE_EXHAUSTED},
    {EDQUOT, CL_RPC_RESOURCE_EXHAUSTED},
    {EBUSY, CL_RPC_FAILED_PRECONDITION},
    {EALREADY, CL_RPC_FAILED_PRECONDITION},
    {ENOSYS, CL_RPC_UNIMPLEMENTED},
    {ENOTSUP, CL_RPC_UNIMPLEMENTED},
    {EAGAIN, CL_RPC_UNAVAILABLE},
};

enum cl_rpc_code cl_rpc_code_of(const struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(codes); i++) {
        if (codes[i].errnum == err->code)
            return codes[i].code;
    }
    return CL_RPC_UNKNOWN;
}

int cl_rpc_errno_of(uint32_t code)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(codes); i++) {
        if (codes[i].code == code)
            return codes[i].errnum;
    }
    return EIO;
}

const struct cl_rpc_method *cl_rpc_find(const struct cl_rpc_service *service, const char *name,
                                        const char *method)
{
    for (size_t i = 0; i < service->count; i++) {
        const struct cl_rpc_method *one = &service->methods[i];

        if (strcmp(one->service, name) == 0 && strcmp(one->name, method) == 0)
            return one;
    }
    return NULL;
}

void cl_rpc_answer(struct cl_rpc_call *call, const void *response)
{
    CL_CLEANUP_BUF struct cl_buf payload = CL_BUF_INIT(CL_RPC_CALL_MOST);
    struct cl_error err = {0};
    int r = cl_wire_write(call->method->response, response, &payload);

    if (r < 0) {
        (void)cl_fail(&err, r, "write the answer to %s", call->method->name);
        cl_rpc_refuse(call, &err);
        return;
    }
    call->send(call, &(struct cl_msg_status){.code = CL_RPC_OK}, &payload);
}

void cl_rpc_refuse(struct cl_rpc_call *call, const struct cl_error *why)
{
    const struct cl_buf none = CL_BUF_INIT(0);
    const struct cl_msg_status status = {.code = cl_rpc_code_of(why), .message = why->msg};

    call->send(call, &status, &none);
}
