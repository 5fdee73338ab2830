/* clients.h - the socket by which a WebAssembly worker's clients come.
 *
 * workers/TENANT, or workers/TENANT:process where each guest has a process, in the state directory,
 * which is closed to all but its owner: who connects there is our own user, or root, looked at
 * besides, and is handed to the worker (wall.h, admit). The supervisor reads nothing that a client
 * says. While the worker takes no more, one is held and the others wait in the socket's queue,
 * which is the kernel's and bounded. There is one worker for a tenant: its sandbox has the tenant's
 * name (cl_clients_name), so what still lies at the socket's place is of a dead one. served/TENANT
 * says in which seat that sandbox is: its layers are those of all who join it.
 */
#ifndef CL_SANDBOX_CLIENTS_H
#define CL_SANDBOX_CLIENTS_H

#include "base/error.h"
#include "sandbox/supervisor.h"

enum { CL_CLIENTS_TENANT_MAX = 80, CL_CLIENTS_NAME_SIZE = CL_CLIENTS_TENANT_MAX + 8 };

/* The sandbox's name. -ENAMETOOLONG. */
int cl_clients_name(const char *tenant, char ret[CL_CLIENTS_NAME_SIZE], struct cl_error *err);
/* Listens for those of SUPERVISOR's plan, which has a tenant: a descriptor. */
int cl_clients_listen(const struct cl_supervisor *supervisor, struct cl_error *err);
/* The source's callback. */
int cl_clients_accept(struct cl_source *source, uint32_t events, struct cl_error *err);
/* Nobody comes any more. */
void cl_clients_stop(const struct cl_supervisor *supervisor);

/* Writes into the report of PROCESS, which has joined a worker, the layers that stand around that,
 * as its record in the state directory DIR has them. Unless they are there; none where there is no
 * such record. */
void cl_clients_note_layers(struct cl_wall_process *process, int dir);

/* A connection to the worker of PLAN's tenant in the state directory DIR, where it is of PLAN's
 * model and engine: -ENOENT where there is none, -EAGAIN when for seconds too many have waited for
 * it already, or another -errno. */
int cl_clients_connect(int dir, const struct cl_plan *plan);
/* Whether the worker of TENANT, in the caller's state directory, gives each module a process. */
int cl_clients_serve_processes(const char *tenant);

#endif
