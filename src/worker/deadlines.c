#include "worker/deadlines.h"

#include <errno.h>

#include "base/alloc.h"

int cl_deadlines_init(struct cl_deadlines *ret, size_t most)
{
    *ret = (struct cl_deadlines){.most = most, .heap = cl_calloc(most + 1, sizeof(void *))};
    return ret->heap == NULL ? -ENOMEM : 0;
}

void cl_deadlines_done(struct cl_deadlines *deadlines)
{
    free(deadlines->heap);
    *deadlines = (struct cl_deadlines){0};
}

static void put(struct cl_deadlines *deadlines, size_t place, struct cl_deadline *deadline)
{
    deadlines->heap[place] = deadline;
    deadline->place = place;
}

static void rise(struct cl_deadlines *deadlines, struct cl_deadline *deadline)
{
    size_t place = deadline->place;

    for (; place > 1 && deadlines->heap[place / 2]->at_ns > deadline->at_ns; place /= 2)
        put(deadlines, place, deadlines->heap[place / 2]);
    put(deadlines, place, deadline);
}

static void sink(struct cl_deadlines *deadlines, struct cl_deadline *deadline)
{
    size_t place = deadline->place;

    for (;;) {
        size_t below = 2 * place;

        if (below > deadlines->count)
            break;
        if (below < deadlines->count &&
            deadlines->heap[below + 1]->at_ns < deadlines->heap[below]->at_ns)
            below++;
        if (deadlines->heap[below]->at_ns >= deadline->at_ns)
            break;
        put(deadlines, place, deadlines->heap[below]);
        place = below;
    }
    put(deadlines, place, deadline);
}

void cl_deadlines_add(struct cl_deadlines *deadlines, struct cl_deadline *deadline)
{
    CL_ASSERT(deadline->place == 0 && deadlines->count < deadlines->most);
    put(deadlines, ++deadlines->count, deadline);
    rise(deadlines, deadline);
}

void cl_deadlines_remove(struct cl_deadlines *deadlines, struct cl_deadline *deadline)
{
    const size_t place = deadline->place;

    if (place == 0)
        return;
    struct cl_deadline *last = deadlines->heap[deadlines->count--];
    deadline->place = 0;
    if (last == deadline)
        return;
    put(deadlines, place, last);
    rise(deadlines, last);
    sink(deadlines, last);
}

struct cl_deadline *cl_deadlines_first(const struct cl_deadlines *deadlines)
{
    return deadlines->count == 0 ? NULL : deadlines->heap[1];
}
