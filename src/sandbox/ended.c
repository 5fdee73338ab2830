#include "sandbox/ended.h"

#include "limits/limits.h"
#include "walls/wall.h"

#define BIT(field) (1ULL << CL_ENDED_##field)
#define NUMBER(field, number, member, most)                                                        \
    [CL_ENDED_##field] = {                                                                         \
        number, CL_FLAT_NUMBER, offsetof(struct cl_ended, member), 0, most, #member, NULL}

static const struct cl_flat_field fields[CL_ENDED_FIELD_COUNT] = {
    NUMBER(STATUS, 1, status, CL_STATUS_COUNT - 1),
    NUMBER(EXIT_STATUS, 2, exit_status, 255),
    NUMBER(EXIT_CODE, 3, exit_code, 255),
    NUMBER(SIGNAL, 4, signal, 64),
    [CL_ENDED_ERROR] = {5, CL_FLAT_TEXT, offsetof(struct cl_ended, error), 0, CL_ERROR_MSG_SIZE,
                        "error", NULL},
    NUMBER(LIMITS_HIT, 6, limits_hit, UINT32_MAX),
    NUMBER(CREATED, 7, created_wall_ns, UINT64_MAX),
    NUMBER(STARTED, 8, started_wall_ns, UINT64_MAX),
    NUMBER(ENDED, 9, ended_wall_ns, UINT64_MAX),
    NUMBER(SETUP, 10, setup_ns, UINT64_MAX),
    NUMBER(RUN, 11, run_ns, UINT64_MAX),
    NUMBER(TEARDOWN, 12, teardown_ns, UINT64_MAX),
    NUMBER(CPU_USER, 13, cpu_user_ns, UINT64_MAX),
    NUMBER(CPU_SYSTEM, 14, cpu_system_ns, UINT64_MAX),
    NUMBER(MEMORY_PEAK, 15, memory_peak_bytes, UINT64_MAX),
    NUMBER(TASKS_PEAK, 16, tasks_peak, UINT64_MAX),
    NUMBER(IO_READ, 17, io_read_bytes, UINT64_MAX),
    NUMBER(IO_WRITE, 18, io_write_bytes, UINT64_MAX),
    NUMBER(STDOUT, 19, stdout_bytes, UINT64_MAX),
    NUMBER(STDERR, 20, stderr_bytes, UINT64_MAX),
    NUMBER(LAYERS, 21, layers, CL_LAYER_MASK),
};

const struct cl_flat_shape cl_ended_shape = {
    .name = "end of a sandbox",
    .magic = {'c', 'l', 'e', 'n', 'd', 'e', '\r', '\n'},
    .version = 1,
    .max_size = 1 << 16,
    .set_offset = offsetof(struct cl_ended, set),
    .count = CL_ENDED_FIELD_COUNT,
    .fields = fields,
};

/* What is known of the usage, both ways. */
static const struct {
    enum cl_usage_field known;
    enum cl_ended_field field;
    size_t from; /* in struct cl_usage */
} usages[] = {
    {CL_USAGE_CPU_USER, CL_ENDED_CPU_USER, offsetof(struct cl_usage, cpu_user_ns)},
    {CL_USAGE_CPU_SYSTEM, CL_ENDED_CPU_SYSTEM, offsetof(struct cl_usage, cpu_system_ns)},
    {CL_USAGE_MEMORY_PEAK, CL_ENDED_MEMORY_PEAK, offsetof(struct cl_usage, memory_peak_bytes)},
    {CL_USAGE_TASKS_PEAK, CL_ENDED_TASKS_PEAK, offsetof(struct cl_usage, tasks_peak)},
    {CL_USAGE_IO_READ, CL_ENDED_IO_READ, offsetof(struct cl_usage, io_read_bytes)},
    {CL_USAGE_IO_WRITE, CL_ENDED_IO_WRITE, offsetof(struct cl_usage, io_write_bytes)},
};

struct cl_ended cl_ended_of(const struct cl_result *result, int exit_status)
{
    struct cl_ended ended = {
        .set = BIT(STATUS) | BIT(EXIT_STATUS) | BIT(LIMITS_HIT) | BIT(CREATED) | BIT(STARTED) |
               BIT(ENDED) | BIT(SETUP) | BIT(RUN) | BIT(TEARDOWN) | BIT(STDOUT) | BIT(STDERR) |
               BIT(LAYERS),
        .status = result->status,
        .exit_status = (uint64_t)exit_status,
        .limits_hit = result->limits_hit,
        .created_wall_ns = result->created_wall_ns,
        .started_wall_ns = result->started_wall_ns,
        .ended_wall_ns = result->ended_wall_ns,
        .setup_ns = result->setup_ns,
        .run_ns = result->run_ns,
        .teardown_ns = result->teardown_ns,
        .stdout_bytes = result->stdout_bytes,
        .stderr_bytes = result->stderr_bytes,
        .layers = result->layers,
    };

    if (result->exit_code >= 0) {
        ended.exit_code = (uint64_t)result->exit_code;
        ended.set |= BIT(EXIT_CODE);
    }
    if (result->signal != 0) {
        ended.signal = (uint64_t)result->signal;
        ended.set |= BIT(SIGNAL);
    }
    if (result->error != NULL) {
        ended.error = result->error;
        ended.set |= BIT(ERROR);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(usages); i++) {
        if (!cl_usage_has(&result->usage, usages[i].known))
            continue;
        *(uint64_t *)(void *)((char *)&ended + fields[usages[i].field].offset) =
            *(const uint64_t *)(const void *)((const char *)&result->usage + usages[i].from);
        ended.set |= 1ULL << usages[i].field;
    }
    return ended;
}

struct cl_result cl_ended_result(const struct cl_ended *ended, const struct cl_plan *plan,
                                 const char *id)
{
    const struct cl_wall *wall = cl_wall_get((enum cl_wall_kind)plan->wall);
    struct cl_result result = {
        .plan = plan,
        .id = id,
        .wall = wall == NULL ? NULL : wall->name,
        .status = (enum cl_result_status)ended->status,
        .exit_code = (ended->set & BIT(EXIT_CODE)) != 0 ? (int)ended->exit_code : -1,
        .signal = (ended->set & BIT(SIGNAL)) != 0 ? (int)ended->signal : 0,
        .error = (ended->set & BIT(ERROR)) != 0 ? ended->error : NULL,
        .limits_hit = (unsigned int)ended->limits_hit,
        .created_wall_ns = ended->created_wall_ns,
        .started_wall_ns = ended->started_wall_ns,
        .ended_wall_ns = ended->ended_wall_ns,
        .setup_ns = ended->setup_ns,
        .run_ns = ended->run_ns,
        .teardown_ns = ended->teardown_ns,
        .stdout_bytes = ended->stdout_bytes,
        .stderr_bytes = ended->stderr_bytes,
        .layers = ended->layers,
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(usages); i++) {
        if ((ended->set & (1ULL << usages[i].field)) == 0)
            continue;
        *(uint64_t *)(void *)((char *)&result.usage + usages[i].from) =
            *(const uint64_t *)(const void *)((const char *)ended + fields[usages[i].field].offset);
        result.usage.known |= CL_USAGE_BIT(usages[i].known);
    }
    return result;
}
