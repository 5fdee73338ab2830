/* code.h - how a call ended, in ttrpc and in gRPC: the same numbers.
 * Source: google/rpc/code.proto.
 */
#ifndef CL_RPC_CODE_H
#define CL_RPC_CODE_H

enum cl_rpc_code {
    CL_RPC_OK = 0,
    CL_RPC_CANCELLED = 1,
    CL_RPC_UNKNOWN = 2,
    CL_RPC_INVALID_ARGUMENT = 3,
    CL_RPC_DEADLINE_EXCEEDED = 4,
    CL_RPC_NOT_FOUND = 5,
    CL_RPC_ALREADY_EXISTS = 6,
    CL_RPC_PERMISSION_DENIED = 7,
    CL_RPC_RESOURCE_EXHAUSTED = 8,
    CL_RPC_FAILED_PRECONDITION = 9,
    CL_RPC_UNIMPLEMENTED = 12,
    CL_RPC_INTERNAL = 13,
    CL_RPC_UNAVAILABLE = 14,
};

#endif
