#include "cmd/cloister/describe.h"

#include "base/clock.h"
#include "plan/print.h"
#include "sandbox/ended.h"
#include "walls/wall.h"

static const char *const phase_words[] = {"creating", "running", "paused", "kept"};
_Static_assert(CL_ARRAY_SIZE(phase_words) == CL_PHASE_COUNT, "a word for each");

const char *cl_describe_status(const struct cl_visit *visit)
{
    if (visit->ended != NULL)
        return cl_result_status_name((enum cl_result_status)visit->ended->status);
    if (!visit->alive)
        return "dead";
    return phase_words[visit->status->phase];
}

static void add_time(struct cl_json *json, const char *key, uint64_t wall_ns)
{
    char text[CL_RFC3339_SIZE];

    if (wall_ns == 0) {
        cl_json_null(json, key);
        return;
    }
    cl_clock_rfc3339(wall_ns, text);
    cl_json_string(json, key, text);
}

static void add_pid(struct cl_json *json, const char *key, int32_t pid)
{
    if (pid > 0)
        cl_json_i64(json, key, pid);
    else
        cl_json_null(json, key);
}

/* What the record's head knows. */
static void add_status(struct cl_json *json, const struct cl_visit *visit)
{
    const struct cl_status *status = visit->status;

    cl_json_string(json, "id", status->id);
    cl_json_string(json, "status", cl_describe_status(visit));
    add_time(json, "created_at", status->created_ns);
    add_time(json, "started_at", status->started_ns);
    add_time(json, "ended_at", visit->ended == NULL ? 0 : visit->ended->ended_wall_ns);
    if (visit->ended != NULL)
        cl_json_u64(json, "exit_status", visit->ended->exit_status);
    else
        cl_json_null(json, "exit_status");
    add_pid(json, "supervisor_pid", visit->ended == NULL ? status->supervisor : 0);
    add_pid(json, "pid", visit->ended == NULL ? status->main : 0);
}

static void add_list(struct cl_json *json, const char *key, const struct cl_strlist *list)
{
    cl_json_array(json, key);
    for (size_t i = 0; i < list->count; i++)
        cl_json_string(json, NULL, list->items[i]);
    cl_json_close(json, ']');
}

void cl_describe_brief(struct cl_json *json, const struct cl_visit *visit)
{
    const struct cl_plan *plan = visit->plan;

    cl_json_object(json, NULL);
    add_status(json, visit);
    cl_json_string(json, "name", plan == NULL ? NULL : plan->name);
    cl_json_string(json, "tenant", plan == NULL ? NULL : plan->tenant);
    cl_json_string(json, "image", plan == NULL ? NULL : plan->image);
    if (plan != NULL) {
        cl_json_string(json, "wall", cl_field_words(CL_FIELD_WALL)[plan->wall]);
        add_list(json, "command", &plan->command);
        add_list(json, "labels", &plan->labels);
    }
    cl_json_close(json, '}');
}

static void add_told(struct cl_json *json, const struct cl_wall_told *told)
{
    if (told == NULL) {
        cl_json_null(json, "usage");
        return;
    }
    cl_json_object(json, "usage");
    cl_json_u64(json, "cpu_ns", told->cpu_ns);
    if (told->memory_bytes != 0)
        cl_json_u64(json, "memory_bytes", told->memory_bytes);
    else
        cl_json_null(json, "memory_bytes");
    cl_json_u64(json, "stdout_bytes", told->stdout_bytes);
    cl_json_u64(json, "stderr_bytes", told->stderr_bytes);
    cl_json_close(json, '}');
}

void cl_describe_all(struct cl_json *json, const char *key, const struct cl_visit *visit)
{
    const struct cl_status *status = visit->status;
    const struct cl_plan *plan = visit->plan;

    cl_json_object(json, key);
    add_status(json, visit);
    add_pid(json, "init_pid", visit->ended == NULL ? status->init : 0);
    if (status->uid_base != 0)
        cl_json_u64(json, "uid_base", status->uid_base);
    else
        cl_json_null(json, "uid_base");
    cl_json_array(json, "layers");
    for (unsigned int layer = 0; layer < CL_LAYER_COUNT; layer++) {
        if ((status->layers & CL_LAYER_BIT(layer)) != 0)
            cl_json_string(json, NULL, cl_layer_name((enum cl_layer)layer));
    }
    cl_json_close(json, ']');
    /* cl_plan_print leaves unset fields out; a program that asks wants these. */
    if (!cl_plan_has(plan, CL_FIELD_NAME))
        cl_json_null(json, "name");
    if (!cl_plan_has(plan, CL_FIELD_TENANT))
        cl_json_null(json, "tenant");
    if (!cl_plan_has(plan, CL_FIELD_IMAGE_DIGEST))
        cl_json_null(json, "digest");
    cl_plan_print(plan, json);
    cl_plan_print_limits(plan, json);
    add_told(json, visit->told);
    if (visit->ended != NULL) {
        const struct cl_result result = cl_ended_result(visit->ended, plan, status->id);

        cl_result_add(&result, json, "result");
    }
    cl_json_close(json, '}');
}
