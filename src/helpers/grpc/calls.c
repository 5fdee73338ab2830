#include "helpers/grpc/calls.h"

#include <errno.h>

#include "base/alloc.h"

struct cl_grpc_call *cl_grpc_call_new(struct cl_grpc_calls *calls, int32_t stream)
{
    struct cl_grpc_call *call = cl_calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->stream = stream;
    cl_grpc_body_init(&call->body);
    call->next = calls->first;
    call->link = &calls->first;
    if (call->next != NULL)
        call->next->link = &call->next;
    calls->first = call;
    return call;
}

static void drop_bytes(struct cl_grpc_call *call)
{
    cl_grpc_head_done(&call->head);
    cl_grpc_body_done(&call->body);
    cl_buf_done(&call->frame);
}

void cl_grpc_call_free(struct cl_grpc_calls *calls, struct cl_grpc_call *call)
{
    if (call->id != 0)
        (void)cl_grpc_call_take(calls, call->id); /* it is CALL */
    if (call->next != NULL)
        call->next->link = call->link;
    *call->link = call->next;
    drop_bytes(call);
    free(call);
}

void cl_grpc_calls_done(struct cl_grpc_calls *calls)
{
    while (calls->first != NULL)
        cl_grpc_call_free(calls, calls->first);
}

void cl_grpc_call_leave(struct cl_grpc_calls *calls, struct cl_grpc_call *call)
{
    call->stream = 0;
    if (call->id == 0)
        cl_grpc_call_free(calls, call);
    else
        drop_bytes(call);
}

/* --- by their numbers ---------------------------------------------------------------------- */

static struct cl_grpc_call **bucket_of(struct cl_grpc_calls *calls, uint32_t id)
{
    return &calls->by_id[id / 2 % CL_GRPC_BUCKETS]; /* all are odd */
}

int cl_grpc_call_number(struct cl_grpc_calls *calls, struct cl_grpc_call *call)
{
    if (calls->asked_count == CL_GRPC_CALLS_MOST)
        return -ENOBUFS;
    /* one connection has 2^30 streams of HTTP/2, and ttrpc twice as many */
    CL_ASSERT(calls->last_id < UINT32_MAX - 2);
    calls->last_id = calls->last_id == 0 ? 1 : calls->last_id + 2;
    struct cl_grpc_call **bucket = bucket_of(calls, calls->last_id);
    call->id = calls->last_id;
    call->next_by_id = *bucket;
    *bucket = call;
    calls->asked_count++;
    return 0;
}

struct cl_grpc_call *cl_grpc_call_take(struct cl_grpc_calls *calls, uint32_t id)
{
    struct cl_grpc_call **at = bucket_of(calls, id);

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next_by_id;
    struct cl_grpc_call *call = *at;
    if (call == NULL)
        return NULL;
    *at = call->next_by_id;
    call->id = 0;
    calls->asked_count--;
    return call;
}
