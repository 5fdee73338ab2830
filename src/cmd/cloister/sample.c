#include "cmd/cloister/sample.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/num.h"

enum {
    SHORT_ID = 12,
    CELL_SIZE = 2 * CL_SIZE_TEXT + 8,
};

/* --- a row ---------------------------------------------------------------------------------- */

int cl_sample_add_head(struct cl_arena *arena, struct cl_table *table)
{
    static const char *const head[] = {"SANDBOX",       "NAME",           "CPU %",
                                       "CPU TIME",      "MEMORY / LIMIT", "MEM %",
                                       "TASKS / LIMIT", "READ / WRITTEN"};

    *table = (struct cl_table){.arena = arena, .columns = CL_ARRAY_SIZE(head)};
    return cl_table_add(table, head);
}

/* "31.2 MiB", or "-" for what isn't known. */
static const char *size_or_dash(const struct cl_sample *sample, enum cl_gauge gauge,
                                char ret[CL_SIZE_TEXT])
{
    return cl_readings_have(&sample->readings, gauge)
               ? cl_size_about(sample->readings.values[gauge], ret)
               : "-";
}

static void format_memory(const struct cl_sample *sample, char ret[CELL_SIZE],
                          char share[CELL_SIZE])
{
    const uint64_t used = sample->readings.values[CL_GAUGE_MEMORY];
    const uint64_t limit = sample->memory_limit;
    char text[CL_SIZE_TEXT];
    char most[CL_SIZE_TEXT];

    (void)snprintf(ret, CELL_SIZE, "%s / %s", size_or_dash(sample, CL_GAUGE_MEMORY, text),
                   limit == 0 ? "-" : cl_size_about(limit, most));
    (void)snprintf(share, CELL_SIZE, "-");
    if (limit != 0 && cl_readings_have(&sample->readings, CL_GAUGE_MEMORY)) {
        const uint64_t tenths = (uint64_t)((unsigned __int128)used * 1000 / limit);

        (void)snprintf(share, CELL_SIZE, "%" PRIu64 ".%u", tenths / 10,
                       (unsigned int)(tenths % 10));
    }
}

static void format_cpu(const struct cl_sample *sample, char share[CELL_SIZE], char time[CELL_SIZE])
{
    const uint64_t ms = sample->readings.values[CL_GAUGE_CPU] / CL_NS_PER_MS;
    const uint64_t s = ms / 1000;

    (void)snprintf(share, CELL_SIZE, "-");
    (void)snprintf(time, CELL_SIZE, "-");
    if (sample->has_share)
        (void)snprintf(share, CELL_SIZE, "%" PRIu64 ".%u", sample->cpu_millis / 1000,
                       (unsigned int)(sample->cpu_millis % 1000 / 100));
    if (!cl_readings_have(&sample->readings, CL_GAUGE_CPU))
        return;
    if (s < 60)
        (void)snprintf(time, CELL_SIZE, "%" PRIu64 ".%02u s", s, (unsigned int)(ms % 1000 / 10));
    else
        (void)snprintf(time, CELL_SIZE, "%" PRIu64 ":%02u:%02u", s / 3600,
                       (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
}

static void format_tasks(const struct cl_sample *sample, char ret[CELL_SIZE])
{
    char used[24] = "-";
    char most[24] = "-";

    if (cl_readings_have(&sample->readings, CL_GAUGE_TASKS))
        (void)snprintf(used, sizeof(used), "%" PRIu64, sample->readings.values[CL_GAUGE_TASKS]);
    if (sample->tasks_limit != 0)
        (void)snprintf(most, sizeof(most), "%" PRIu64, sample->tasks_limit);
    (void)snprintf(ret, CELL_SIZE, "%s / %s", used, most);
}

int cl_sample_add_row(const struct cl_sample *sample, struct cl_table *table)
{
    char id[SHORT_ID + 1];
    char cells[6][CELL_SIZE];
    char read[CL_SIZE_TEXT];
    char written[CL_SIZE_TEXT];

    (void)snprintf(id, sizeof(id), "%.*s", SHORT_ID, sample->id);
    format_cpu(sample, cells[0], cells[1]);
    format_memory(sample, cells[2], cells[3]);
    format_tasks(sample, cells[4]);
    (void)snprintf(
        cells[5], CELL_SIZE, "%s / %s", size_or_dash(sample, CL_GAUGE_READ, read),
        sample->is_told
            ? cl_size_about(sample->told.stdout_bytes + sample->told.stderr_bytes, written)
            : size_or_dash(sample, CL_GAUGE_WRITTEN, written));
    const char *const row[] = {
        id,       sample->name != NULL ? sample->name : "",
        cells[0], cells[1],
        cells[2], cells[3],
        cells[4], cells[5],
    };
    return cl_table_add(table, row);
}

/* --- an object ------------------------------------------------------------------------------- */

static void add_reading(struct cl_json *json, const char *key, const struct cl_sample *sample,
                        enum cl_gauge gauge)
{
    if (cl_readings_have(&sample->readings, gauge))
        cl_json_u64(json, key, sample->readings.values[gauge]);
    else
        cl_json_null(json, key);
}

static void add_limit(struct cl_json *json, const char *key, uint64_t limit)
{
    if (limit != 0)
        cl_json_u64(json, key, limit);
    else
        cl_json_null(json, key);
}

static void add_written(struct cl_json *json, const char *key, const struct cl_sample *sample,
                        uint64_t bytes)
{
    if (sample->is_told)
        cl_json_u64(json, key, bytes);
    else
        cl_json_null(json, key);
}

int cl_sample_add_object(const struct cl_sample *sample, uint64_t wall_ns, struct cl_buf *out)
{
    char time[CL_RFC3339_SIZE];
    struct cl_json json;

    cl_clock_rfc3339(wall_ns, time);
    cl_json_begin(&json, out, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "time", time);
    cl_json_string(&json, "id", sample->id);
    cl_json_string(&json, "name", sample->name);
    if (sample->has_share)
        cl_json_decimal(&json, "cpu_percent", sample->cpu_millis / 1000,
                        (unsigned int)(sample->cpu_millis % 1000));
    else
        cl_json_null(&json, "cpu_percent");
    add_reading(&json, "cpu_ns", sample, CL_GAUGE_CPU);
    add_reading(&json, "memory_bytes", sample, CL_GAUGE_MEMORY);
    add_limit(&json, "memory_limit_bytes", sample->memory_limit);
    add_reading(&json, "tasks", sample, CL_GAUGE_TASKS);
    add_limit(&json, "tasks_limit", sample->tasks_limit);
    add_reading(&json, "io_read_bytes", sample, CL_GAUGE_READ);
    add_reading(&json, "io_write_bytes", sample, CL_GAUGE_WRITTEN);
    add_written(&json, "stdout_bytes", sample, sample->told.stdout_bytes);
    add_written(&json, "stderr_bytes", sample, sample->told.stderr_bytes);
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}
