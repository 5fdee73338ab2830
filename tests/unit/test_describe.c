/* test_describe.c - a record in words and as JSON. */
#include "cmd/cloister/describe.h"
#include "check.h"

static struct cl_status status;
static struct cl_plan plan;
static char text[16384];

static void print(void (*describe)(struct cl_json *json, const struct cl_visit *visit),
                  const struct cl_plan *with)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(sizeof(text) - 1);
    const struct cl_visit visit = {.status = &status, .plan = with, .alive = 1};
    struct cl_json json;

    cl_json_begin(&json, &buf, 0);
    describe(&json, &visit);
    CHECK(cl_json_end(&json) == 0);
    memcpy(text, cl_buf_text(&buf), buf.size + 1);
}

static void set_up(void)
{
    status = (struct cl_status){.phase = CL_PHASE_RUNNING,
                                .supervisor = 12,
                                .created_ns = 1000000001,
                                .id = "00112233445566aa"};
    plan = (struct cl_plan){0};
}

TEST(a_status_has_a_word)
{
    static const char *const words[] = {"creating", "running", "paused", "kept"};
    struct cl_visit visit = {.status = &status, .alive = 1};

    set_up();
    for (uint32_t phase = 0; phase < CL_PHASE_COUNT; phase++) {
        status.phase = phase;
        CHECK_TEXT(cl_describe_status(&visit), words[phase]);
    }
    visit.alive = 0;
    CHECK_TEXT(cl_describe_status(&visit), "dead");
}

/* A record that can't be read has a head at most. */
TEST(what_is_not_known_is_null)
{
    set_up();
    print(cl_describe_brief, NULL);
    CHECK_TEXT(text, "{\"id\":\"00112233445566aa\",\"status\":\"running\","
                     "\"created_at\":\"1970-01-01T00:00:01.000000001Z\",\"started_at\":null,"
                     "\"ended_at\":null,\"exit_status\":null,\"supervisor_pid\":12,\"pid\":null,"
                     "\"name\":null,\"tenant\":null,"
                     "\"image\":null}\n");
}

TEST(a_list_has_what_identifies)
{
    static const char *const words[] = {"sh", "-c"};
    static const char *const labels[] = {"a=b"};

    set_up();
    status.main = 13;
    status.started_ns = 2000000000;
    plan.name = "first";
    plan.image = "host";
    plan.command = (struct cl_strlist){words, 2};
    plan.labels = (struct cl_strlist){labels, 1};
    print(cl_describe_brief, &plan);
    CHECK_HAS(text, "\"started_at\":\"1970-01-01T00:00:02.000000000Z\",\"ended_at\":null,"
                    "\"exit_status\":null,\"supervisor_pid\":12,"
                    "\"pid\":13,\"name\":\"first\",\"tenant\":null,\"image\":\"host\","
                    "\"wall\":\"container\",\"command\":[\"sh\",\"-c\"],\"labels\":[\"a=b\"]}");
}

static void describe_all(struct cl_json *json, const struct cl_visit *visit)
{
    cl_describe_all(json, NULL, visit);
}

TEST(all_is_all)
{
    set_up();
    status.init = 14;
    status.uid_base = 0x70000000;
    status.layers = CL_LAYER_BIT(CL_LAYER_USERNS) | CL_LAYER_BIT(CL_LAYER_LANDLOCK);
    print(describe_all, &plan);
    CHECK_HAS(text, "\"init_pid\":14,\"uid_base\":1879048192,\"layers\":[\"userns\",\"landlock\"],"
                    "\"name\":null,\"tenant\":null,\"digest\":null,");
    CHECK_HAS(text, "\"limits\":{");

    status.uid_base = 0;
    status.layers = 0;
    plan.name = "first";
    cl_plan_mark(&plan, CL_FIELD_NAME);
    plan.image_digest = "sha256:00";
    cl_plan_mark(&plan, CL_FIELD_IMAGE_DIGEST);
    plan.limits.memory_bytes = 1 << 20;
    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    print(describe_all, &plan);
    CHECK_HAS(text, "\"uid_base\":null,\"layers\":[],\"tenant\":null,");
    CHECK_HAS(text, "\"name\":\"first\"");
    CHECK_HAS(text, "\"digest\":\"sha256:00\"");
    CHECK(strstr(text, "\"name\":null") == NULL && strstr(text, "\"digest\":null") == NULL);
    CHECK_HAS(text, "\"memory_bytes\":1048576");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_status_has_a_word),
        ROW(what_is_not_known_is_null),
        ROW(a_list_has_what_identifies),
        ROW(all_is_all),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
