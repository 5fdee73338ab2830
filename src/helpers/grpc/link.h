/* link.h - the connection to cloisterd, by which calls go as ttrpc's and answers come.
 *
 * Trust: the other side is our own core. What isn't ttrpc is an error all the same, and no frame
 * takes more memory than a frame may have.
 */
#ifndef CL_HELPERS_GRPC_LINK_H
#define CL_HELPERS_GRPC_LINK_H

#include "base/buf.h"
#include "base/error.h"
#include "rpc/ttrpc.h"

struct cl_grpc_link {
    int fd; /* borrowed */
    struct cl_buf out;
    size_t sent; /* of OUT */
    uint8_t header[CL_TTRPC_HEADER];
    size_t header_size; /* of it has come */
    struct cl_buf in;   /* the frame's data, as long as it will be */
    size_t in_size;     /* of it has come */
};

/* Bytes that wait to be sent, at most. */
enum { CL_GRPC_LINK_MOST = 16 << 20 };

void cl_grpc_link_init(struct cl_grpc_link *ret, int fd);
void cl_grpc_link_done(struct cl_grpc_link *link);

/* Has REQUEST wait to be sent as STREAM's. -EFBIG: it is larger than a frame may be, -ENOBUFS: too
 * much waits, -ENOMEM. */
int cl_grpc_link_add(struct cl_grpc_link *link, uint32_t stream,
                     const struct cl_ttrpc_request *request);
size_t cl_grpc_link_waits(const struct cl_grpc_link *link); /* how many bytes */

/* As much as goes without waiting; 0, -EPIPE where the core is gone, or another -errno. */
int cl_grpc_link_send(struct cl_grpc_link *link);

/* What has come, and no more than is there. 1: a whole answer, whose data is in RET, which is the
 * caller's; 0: not yet; -EPIPE: the core is gone; or an error of ours, or of its. */
int cl_grpc_link_receive(struct cl_grpc_link *link, uint32_t *ret_stream, struct cl_buf *ret,
                         struct cl_error *err);

#endif
