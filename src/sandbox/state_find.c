/* All sandboxes, and one among them. */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "plan/format.h"
#include "sandbox/state.h"
#include "sandbox/table.h"

enum {
    PLAN_ROOM = 4 * CL_PLAN_MAX_SIZE, /* its bytes, and the lists of pointers into them */
};

/* --- walking -------------------------------------------------------------- */

struct walk {
    const struct cl_state *state;
    int table;
    int (*visit)(void *context, struct cl_visit *visit, struct cl_error *err);
    void *context;
};

static int visit_one(const struct walk *walk, int seat, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(PLAN_ROOM);
    struct cl_entry entry = {
        .dir = walk->state->dir, .table = walk->table, .seat = seat}; /* lent */
    struct cl_status status = {0};
    struct cl_plan plan = {0};
    struct cl_error ignored = {0};
    int alive = cl_seat_is_held(walk->table, seat);

    (void)snprintf(entry.id, sizeof(entry.id), "seat-%u", (unsigned int)seat & 0xffff);
    int known = cl_entry_read(&entry, &arena, &status, &plan, &ignored) == 0;
    /* It has ended well since the table was read, or another sits there by now. */
    if (!alive &&
        (cl_seat_mark(walk->table, seat) == CL_SEAT_FREE || cl_seat_is_held(walk->table, seat)))
        return 0;
    if (!known) {
        status = (struct cl_status){0};
        memcpy(status.id, entry.id, CL_ID_SIZE);
    }
    struct cl_visit seen = {&entry, &status, known ? &plan : NULL, alive, NULL, NULL};
    return walk->visit(walk->context, &seen, err);
}

/* Of those who sit down or get up meanwhile some are seen and some not. */
int cl_state_walk(struct cl_state *state,
                  int (*visit)(void *context, struct cl_visit *visit, struct cl_error *err),
                  void *context, struct cl_error *err)
{
    CL_CLEANUP_FD int table = cl_table_open(state->dir, 0);
    const struct walk walk = {.state = state, .table = table, .visit = visit, .context = context};
    struct cl_table seats;
    int r;

    if (table == -ENOENT)
        return 0; /* nobody ever was here */
    r = table < 0 ? table : cl_table_read(table, &seats);
    if (r < 0)
        return cl_fail(err, r, "read the table of sandboxes in the state directory");
    for (int seat = cl_table_next(&seats, 0); seat >= 0; seat = cl_table_next(&seats, seat + 1)) {
        r = visit_one(&walk, seat, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- finding -------------------------------------------------------------- */

struct search {
    const char *wanted;
    int best;  /* enum cl_match */
    int count; /* of the best kind */
    struct cl_entry entry;
};

enum cl_match cl_visit_match(const struct cl_visit *visit, const char *wanted)
{
    if (strcmp(visit->entry->id, wanted) == 0)
        return CL_MATCH_ID;
    if (visit->plan == NULL)
        return CL_MATCH_NONE;
    if (cl_plan_has(visit->plan, CL_FIELD_NAME) && strcmp(visit->plan->name, wanted) == 0)
        return CL_MATCH_NAME;
    return cl_id_begins(visit->entry->id, wanted) ? CL_MATCH_PREFIX : CL_MATCH_NONE;
}

static int visit_match(void *context, struct cl_visit *visit, struct cl_error *err)
{
    struct search *search = context;

    if (!visit->alive || visit->plan == NULL)
        return 0;
    int match = (int)cl_visit_match(visit, search->wanted);
    if (match == CL_MATCH_NONE || match < search->best)
        return 0;
    if (match == search->best) {
        search->count++;
        return 0;
    }
    cl_entry_done(&search->entry);
    search->entry = *visit->entry;
    search->entry.table = cl_sys_fcntl(visit->entry->table, F_DUPFD_CLOEXEC, 3);
    if (search->entry.table < 0)
        return cl_fail(err, search->entry.table, "duplicate the table of sandboxes");
    search->best = match;
    search->count = 1;
    return 0;
}

int cl_state_find(struct cl_state *state, const char *id_or_name, struct cl_arena *arena,
                  struct cl_found *ret, struct cl_error *err)
{
    struct search search = {.wanted = id_or_name, .entry = CL_ENTRY_INIT};
    CL_CLEANUP_FOUND struct cl_found found = CL_FOUND_INIT;
    int r = cl_state_walk(state, visit_match, &search, err);

    found.entry = search.entry;
    if (r < 0)
        return r;
    if (search.count == 0)
        return cl_refuse(err, ESRCH, "no running sandbox \"%.128s\"", id_or_name);
    if (search.count > 1)
        return cl_refuse(err, EINVAL, "\"%.128s\" is the start of %d ids; write more of it",
                         id_or_name, search.count);
    r = cl_entry_read(&found.entry, arena, &found.status, &found.plan, err);
    if (r < 0)
        return r;
    *ret = found;
    found.entry = CL_ENTRY_INIT;
    return 0;
}
