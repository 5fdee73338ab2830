/* visitors.h - the supervisor's side of `exec`: clients that it has connected to (control.h), each
 * of which gives one request with descriptors (walls/session.h) and gets one answer.
 *
 * Nothing waits for a visitor. There is room for some; who comes when all is taken takes the
 * place of the one who has said nothing for the longest.
 */
#ifndef CL_SANDBOX_VISITORS_H
#define CL_SANDBOX_VISITORS_H

#include "base/loop.h"
#include "sandbox/state.h"
#include "walls/wall.h"

enum { CL_VISITORS_MOST = 32 };

struct cl_visitors {
    struct cl_loop *loop;
    const struct cl_wall *wall;
    struct cl_wall_process *process;
    struct cl_source sources[CL_VISITORS_MOST];
    unsigned int next;
    int are_refused;                /* the sandbox is paused */
    void (*on_exec)(void *context); /* called when the sandbox has been given a command */
    void *context;
};

/* Nobody yet, in memory that was zero. All is borrowed. */
void cl_visitors_init(struct cl_visitors *visitors, struct cl_loop *loop,
                      const struct cl_wall *wall, struct cl_wall_process *process);

/* Connects to the CLIENT of ENTRY's bell: 0 or -errno. */
int cl_visitors_call_back(struct cl_visitors *visitors, const struct cl_entry *entry,
                          const char *client);

void cl_visitors_done(struct cl_visitors *visitors);

/* Whether REQUEST makes sense and COUNT descriptors of the right kinds came with it: 0 or -errno.
 * What they are open on stays the client's: the sandbox trusts its owner no further than that. */
int cl_visitor_check(const struct cl_exec_request *request, const int *fds, size_t count);

#endif
