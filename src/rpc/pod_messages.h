/* pod_messages.h - what the CRI says of a pod: the options of CreateSandbox. What nothing here is
 * done with isn't read.
 * Source: k8s.io/cri-api pkg/apis/runtime/v1/api.proto.
 */
#ifndef CL_RPC_POD_MESSAGES_H
#define CL_RPC_POD_MESSAGES_H

#include "rpc/message.h"

/* The name of its type, behind the last slash of an Any's. */
#define CL_POD_CONFIG_TYPE "runtime.v1.PodSandboxConfig"

enum cl_pod_mode {
    CL_POD_MODE_POD,       /* all containers' of the pod */
    CL_POD_MODE_CONTAINER, /* each one's own */
    CL_POD_MODE_NODE,      /* the host's */
    CL_POD_MODE_TARGET,    /* another container's */
};

/* PodSandboxMetadata */
struct cl_msg_pod_metadata {
    const char *name;
    const char *uid;
    const char *space; /* Kubernetes's namespace */
    uint32_t attempt;
};
extern const struct cl_wire_shape cl_msg_pod_metadata_shape;

/* DNSConfig */
struct cl_msg_pod_dns {
    struct cl_strlist servers;
    struct cl_strlist searches;
    struct cl_strlist options;
};
extern const struct cl_wire_shape cl_msg_pod_dns_shape;

/* IDMapping */
struct cl_msg_pod_map {
    uint32_t outside;
    uint32_t inside;
    uint32_t size;
};
extern const struct cl_wire_shape cl_msg_pod_map_shape;

/* UserNamespace */
struct cl_msg_pod_users {
    uint32_t mode;            /* enum cl_pod_mode */
    struct cl_wire_list uids; /* of struct cl_msg_pod_map */
    struct cl_wire_list gids;
};
extern const struct cl_wire_shape cl_msg_pod_users_shape;

/* NamespaceOption */
struct cl_msg_pod_namespaces {
    uint32_t network; /* enum cl_pod_mode, as the two below */
    uint32_t pid;
    uint32_t ipc;
    const struct cl_msg_pod_users *users; /* NULL: the host's */
};
extern const struct cl_wire_shape cl_msg_pod_namespaces_shape;

/* LinuxSandboxSecurityContext */
struct cl_msg_pod_security {
    const struct cl_msg_pod_namespaces *namespaces;
};
extern const struct cl_wire_shape cl_msg_pod_security_shape;

/* LinuxPodSandboxConfig */
struct cl_msg_pod_linux {
    const char *cgroup_parent;
    const struct cl_msg_pod_security *security;
    struct cl_wire_list sysctls; /* of struct cl_msg_pair */
};
extern const struct cl_wire_shape cl_msg_pod_linux_shape;

/* PodSandboxConfig */
struct cl_msg_pod {
    const struct cl_msg_pod_metadata *metadata;
    const char *hostname;
    const struct cl_msg_pod_dns *dns;
    struct cl_wire_list annotations; /* of struct cl_msg_pair */
    const struct cl_msg_pod_linux *linux_part;
};
extern const struct cl_wire_shape cl_msg_pod_shape;

#endif
