#include "base/steps.h"

void cl_steps_undo(const struct cl_step *steps, size_t count, void *context)
{
    while (count-- > 0) {
        if (steps[count].undo != NULL)
            steps[count].undo(context);
    }
}

int cl_steps_run(const struct cl_step *steps, size_t count, void *context, struct cl_error *err)
{
    for (size_t i = 0; i < count; i++) {
        int r = steps[i].run(context, err);

        if (r < 0) {
            cl_steps_undo(steps, i, context);
            return steps[i].name == NULL ? r : cl_prefix(err, "%s", steps[i].name);
        }
    }
    return 0;
}
