#include "worker/programs.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/sys.h"

void cl_programs_init(struct cl_programs *ret, struct cl_engine *engine)
{
    *ret = (struct cl_programs){.engine = engine};
}

static void drop(struct cl_mapped *mapped)
{
    CL_ASSERT(mapped->guests == 0);
    cl_program_free(mapped->program);
    *mapped = (struct cl_mapped){0};
}

void cl_programs_done(struct cl_programs *programs)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(programs->all); i++)
        drop(&programs->all[i]);
}

static struct cl_mapped *find(struct cl_programs *programs, const struct stat *file)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(programs->all); i++) {
        struct cl_mapped *mapped = &programs->all[i];

        if (mapped->program != NULL && mapped->inode == file->st_ino &&
            mapped->device == file->st_dev)
            return mapped;
    }
    return NULL;
}

/* An empty place, or that of the one which has not been run for longest; NULL: all are run. */
static struct cl_mapped *make_place(struct cl_programs *programs)
{
    struct cl_mapped *oldest = NULL;

    for (size_t i = 0; i < CL_ARRAY_SIZE(programs->all); i++) {
        struct cl_mapped *mapped = &programs->all[i];

        if (mapped->guests == 0 && (oldest == NULL || mapped->used < oldest->used))
            oldest = mapped;
    }
    if (oldest != NULL)
        drop(oldest);
    return oldest;
}

static int map(struct cl_programs *programs, int module, const struct stat *file,
               struct cl_mapped **ret, struct cl_error *err)
{
    struct cl_mapped *place = make_place(programs);

    if (place == NULL)
        return cl_refuse(err, EBUSY, "this worker runs %d modules already, as many as it can",
                         CL_PROGRAMS_MOST);
    int r = cl_program_new(programs->engine, module, &place->program, err);
    if (r < 0)
        return r;
    place->device = file->st_dev;
    place->inode = file->st_ino;
    *ret = place;
    return 0;
}

int cl_programs_take(struct cl_programs *programs, int module, struct cl_mapped **ret,
                     struct cl_error *err)
{
    struct stat file;
    int r = cl_sys_fstat(module, &file);

    if (r < 0)
        return cl_fail(err, r, "look at the compiled module");
    if (!S_ISREG(file.st_mode) || file.st_size == 0)
        return cl_refuse(err, ENOEXEC, "the compiled module is no file, or an empty one");
    struct cl_mapped *mapped = find(programs, &file);
    if (mapped == NULL)
        r = map(programs, module, &file, &mapped, err);
    if (r < 0)
        return r;
    mapped->guests++;
    mapped->used = ++programs->uses;
    *ret = mapped;
    return 0;
}

void cl_programs_give(struct cl_mapped *mapped)
{
    CL_ASSERT(mapped->guests > 0);
    mapped->guests--;
}
