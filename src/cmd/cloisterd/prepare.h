/* prepare.h - from a bundle to an order for a worker: the child that does it, and what it says. */
#ifndef CL_CMD_DAEMON_PREPARE_H
#define CL_CMD_DAEMON_PREPARE_H

#include "cmd/cloisterd/daemon.h"
#include "plan/spec.h"

enum { CL_MODULE_MOST = 1 << 30, CL_CONFIG_MOST = 256 << 10 };

/* What lately came of a configuration is found by: it, and which file its module was. */
struct cl_recent_key {
    unsigned char config[32];
    uint64_t module[6]; /* device, inode, size, times of change in seconds and nanoseconds */
};

struct cl_preparation {
    const char *bundle;
    const char *tenant;
    const struct cl_wire_list *mounts;
    const char *state; /* the daemon's directory */
    const char *space;
    const char *id;
    int wants_terminal;
    int has_process; /* by what config.json asks for: it can't take turns */
    int doors[CL_ORDER_MAX_GROUPS];
    uint32_t door_count;
    int config; /* config.json, from its beginning */
    struct cl_arena arena;
    struct cl_spec spec;
    struct cl_order_run run;
    const char *root;
    const char *module; /* in that */
    int file;
    int code;
    struct cl_buf order;
    struct cl_recent_key key;
};

/* Fills in what comes behind CONFIG. In a process of its own. */
int cl_prepare_module(struct cl_preparation *preparation, struct cl_error *err);

/* Which file FD is, and in which state. */
int cl_recent_identify(int fd, uint64_t ret[6], struct cl_error *err);
/* The digest of FD, a configuration, whose offset stays. -EFBIG: it is too large to be kept. */
int cl_recent_digest(int fd, unsigned char ret[32]);

/* WHAT came of the configuration and module of KEY, of which ROOT is as config.json has it. */
struct cl_recent_news {
    const struct cl_recent_key *key;
    const char *tenant;
    const char *root;
    const char *module;
    const struct cl_prepared *what;
};
void cl_recent_keep(struct cl_daemon *daemon, const struct cl_recent_news *news);

#endif
