#include "rpc/pod_messages.h"

static const struct cl_wire_field metadata_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_pod_metadata, name),
    CL_WIRE_ROW(2, TEXT, cl_msg_pod_metadata, uid),
    CL_WIRE_ROW(3, TEXT, cl_msg_pod_metadata, space),
    CL_WIRE_ROW(4, U32, cl_msg_pod_metadata, attempt),
};
const struct cl_wire_shape cl_msg_pod_metadata_shape =
    CL_WIRE_SHAPE("PodSandboxMetadata", cl_msg_pod_metadata, metadata_rows);

static const struct cl_wire_field dns_rows[] = {
    CL_WIRE_ROW(1, TEXTS, cl_msg_pod_dns, servers),
    CL_WIRE_ROW(2, TEXTS, cl_msg_pod_dns, searches),
    CL_WIRE_ROW(3, TEXTS, cl_msg_pod_dns, options),
};
const struct cl_wire_shape cl_msg_pod_dns_shape =
    CL_WIRE_SHAPE("DNSConfig", cl_msg_pod_dns, dns_rows);

static const struct cl_wire_field map_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_pod_map, outside),
    CL_WIRE_ROW(2, U32, cl_msg_pod_map, inside),
    CL_WIRE_ROW(3, U32, cl_msg_pod_map, size),
};
const struct cl_wire_shape cl_msg_pod_map_shape =
    CL_WIRE_SHAPE("IDMapping", cl_msg_pod_map, map_rows);

static const struct cl_wire_field users_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_pod_users, mode),
    CL_WIRE_INNER(2, MESSAGES, cl_msg_pod_users, uids, &cl_msg_pod_map_shape),
    CL_WIRE_INNER(3, MESSAGES, cl_msg_pod_users, gids, &cl_msg_pod_map_shape),
};
const struct cl_wire_shape cl_msg_pod_users_shape =
    CL_WIRE_SHAPE("UserNamespace", cl_msg_pod_users, users_rows);

static const struct cl_wire_field namespaces_rows[] = {
    CL_WIRE_ROW(1, U32, cl_msg_pod_namespaces, network),
    CL_WIRE_ROW(2, U32, cl_msg_pod_namespaces, pid),
    CL_WIRE_ROW(3, U32, cl_msg_pod_namespaces, ipc),
    CL_WIRE_INNER(5, MESSAGE, cl_msg_pod_namespaces, users, &cl_msg_pod_users_shape),
};
const struct cl_wire_shape cl_msg_pod_namespaces_shape =
    CL_WIRE_SHAPE("NamespaceOption", cl_msg_pod_namespaces, namespaces_rows);

static const struct cl_wire_field security_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_pod_security, namespaces, &cl_msg_pod_namespaces_shape),
};
const struct cl_wire_shape cl_msg_pod_security_shape =
    CL_WIRE_SHAPE("LinuxSandboxSecurityContext", cl_msg_pod_security, security_rows);

static const struct cl_wire_field linux_rows[] = {
    CL_WIRE_ROW(1, TEXT, cl_msg_pod_linux, cgroup_parent),
    CL_WIRE_INNER(2, MESSAGE, cl_msg_pod_linux, security, &cl_msg_pod_security_shape),
    CL_WIRE_INNER(3, MESSAGES, cl_msg_pod_linux, sysctls, &cl_msg_pair_shape),
};
const struct cl_wire_shape cl_msg_pod_linux_shape =
    CL_WIRE_SHAPE("LinuxPodSandboxConfig", cl_msg_pod_linux, linux_rows);

static const struct cl_wire_field pod_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, cl_msg_pod, metadata, &cl_msg_pod_metadata_shape),
    CL_WIRE_ROW(2, TEXT, cl_msg_pod, hostname),
    CL_WIRE_INNER(4, MESSAGE, cl_msg_pod, dns, &cl_msg_pod_dns_shape),
    CL_WIRE_INNER(7, MESSAGES, cl_msg_pod, annotations, &cl_msg_pair_shape),
    CL_WIRE_INNER(8, MESSAGE, cl_msg_pod, linux_part, &cl_msg_pod_linux_shape),
};
const struct cl_wire_shape cl_msg_pod_shape =
    CL_WIRE_SHAPE(CL_POD_CONFIG_TYPE, cl_msg_pod, pod_rows);
