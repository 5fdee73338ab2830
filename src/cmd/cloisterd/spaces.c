/* containerd's namespaces: each has its events. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmd/cloisterd/daemon.h"

struct cl_space *cl_daemon_space(struct cl_daemon *daemon, const char *name, struct cl_error *err)
{
    struct cl_space *space = daemon->spaces;

    while (space != NULL && strcmp(space->name, name) != 0)
        space = space->next;
    if (space != NULL)
        return space;
    if (cl_containerd_check_id(name, "containerd-namespace", err) < 0)
        return NULL;
    space = cl_calloc(1, sizeof(*space));
    char *copy = space == NULL ? NULL : cl_daemon_copy(name);
    if (copy == NULL) {
        free(space);
        (void)cl_fail_memory(err);
        return NULL;
    }
    space->name = copy;
    if (cl_publisher_init(&space->publisher, &daemon->loop, daemon->options->events, copy, err) <
        0) {
        cl_publisher_done(&space->publisher);
        free(copy);
        free(space);
        return NULL;
    }
    space->next = daemon->spaces;
    daemon->spaces = space;
    return space;
}
