/* test_decide_exec.c - what may be said of one more command, over a sandbox's own plan. */
#include <errno.h>

#include "plan/decide.h"
#include "check.h"

enum { ARENA_MAX = 1 << 20 };

static struct scene {
    struct cl_arena arena;
    struct cl_plan base;
    struct cl_plan part;
    struct cl_plan plan;
    struct cl_error err;
    const char *note;
} scene;

static int find_nobody(CL_UNUSED void *context, const struct cl_plan *plan, struct cl_plan *ret,
                       struct cl_error *err)
{
    if (strcmp(plan->user, "worker") != 0)
        return cl_refuse(err, ENOENT, "no user %s", plan->user);
    ret->uid = 1234;
    ret->gid = 99;
    ret->home = "/work";
    cl_plan_mark(ret, CL_FIELD_UID);
    cl_plan_mark(ret, CL_FIELD_GID);
    cl_plan_mark(ret, CL_FIELD_HOME);
    return 0;
}

static void give_to(struct cl_plan *plan, enum cl_field field, const char *text)
{
    CHECK(cl_plan_set_text(plan, field, text, &scene.arena, &scene.err) == 0);
}

static void add_to(struct cl_plan *plan, enum cl_field field, const char *text)
{
    CHECK(cl_plan_add_str(plan, field, text, &scene.arena, &scene.err) == 0);
}

/* A sandbox of PROFILE that was decided as ever. */
static void set_up(const char *profile)
{
    struct cl_plan run = {0};
    const struct cl_plan *const parts[] = {&run};

    scene = (struct scene){.arena = CL_ARENA_INIT(ARENA_MAX)};
    struct cl_decide how = {.parts = parts, .count = 1, .arena = &scene.arena};
    give_to(&run, CL_FIELD_IMAGE, "host");
    give_to(&run, CL_FIELD_PROFILE, profile);
    give_to(&run, CL_FIELD_WORKDIR, "/srv");
    give_to(&run, CL_FIELD_TTY, "true");
    add_to(&run, CL_FIELD_COMMAND, "sleep");
    add_to(&run, CL_FIELD_ENV, "OF=run");
    CHECK(cl_plan_decide(&how, &scene.base, &scene.err) == 0);
    add_to(&scene.part, CL_FIELD_COMMAND, "true");
}

static int decide(void)
{
    const struct cl_plan *const parts[] = {&scene.part};
    struct cl_decide how = {
        .parts = parts, .count = 1, .arena = &scene.arena, .find_user = find_nobody};
    int r = cl_plan_decide_exec(&how, &scene.base, &scene.plan, &scene.err);

    scene.note = how.note;
    return r;
}

static const char *env_of(const char *name)
{
    const size_t size = strlen(name);
    const char *found = NULL;
    int count = 0;

    for (size_t i = 0; i < scene.plan.env.count; i++) {
        if (strncmp(scene.plan.env.items[i], name, size) != 0 ||
            scene.plan.env.items[i][size] != '=')
            continue;
        found = scene.plan.env.items[i] + size + 1;
        count++;
    }
    CHECK(count <= 1);
    return found;
}

TEST(what_is_not_said_is_the_sandboxs)
{
    set_up("strict");
    CHECK(decide() == 0);
    CHECK(scene.plan.uid == 1000 && scene.plan.gid == 1000 && scene.plan.capabilities == 0);
    CHECK_TEXT(scene.plan.workdir, "/srv");
    CHECK_TEXT(env_of("OF"), "run");
    CHECK_TEXT(env_of("HOME"), "/tmp");
    CHECK(scene.plan.command.count == 1 && !scene.plan.tty && !scene.plan.interactive);
    CHECK(scene.note == NULL);
    cl_arena_done(&scene.arena);
}

TEST(what_is_said_lies_over_it)
{
    set_up("strict");
    give_to(&scene.part, CL_FIELD_WORKDIR, "/a/../b/.");
    add_to(&scene.part, CL_FIELD_ENV, "OF=exec");
    add_to(&scene.part, CL_FIELD_ENV, "HOME=/given");
    CHECK(decide() == 0);
    CHECK_TEXT(scene.plan.workdir, "/b");
    CHECK_TEXT(env_of("OF"), "exec");
    CHECK_TEXT(env_of("HOME"), "/given");
    cl_arena_done(&scene.arena);
}

TEST(strict_has_one_user)
{
    static const struct {
        const char *user;
        const char *needle; /* NULL: it works */
    } rows[] = {
        {"1000", NULL},
        {"1000:1000", NULL},
        {"root", NULL}, /* with a note, as for run */
        {"1001", "strict sandbox has one user, this one 1000:1000"},
        {"1000:7", "strict sandbox has one user"},
        {"worker", "strict sandbox has one user"},
        {"nobody-there", "no user nobody-there"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        set_up("strict");
        give_to(&scene.part, CL_FIELD_USER, rows[i].user);
        int r = decide();
        CHECK((r == 0) == (rows[i].needle == NULL));
        if (rows[i].needle != NULL)
            CHECK_HAS(scene.err.msg, rows[i].needle);
        else
            CHECK(scene.plan.uid == 1000 && scene.plan.gid == 1000);
        CHECK((scene.note != NULL) == (strcmp(rows[i].user, "root") == 0));
        cl_arena_done(&scene.arena);
    }
}

TEST(build_has_any)
{
    set_up("build");
    const uint64_t six = scene.base.capabilities;
    CHECK(six != 0 && decide() == 0 && scene.plan.capabilities == six);
    give_to(&scene.part, CL_FIELD_USER, "worker");
    CHECK(decide() == 0);
    CHECK(scene.plan.uid == 1234 && scene.plan.gid == 99 && scene.plan.capabilities == 0);
    CHECK_TEXT(env_of("HOME"), "/work");
    scene.base = scene.plan; /* a sandbox whose command is no root has no capabilities for one */
    cl_plan_unmark(&scene.part, CL_FIELD_USER);
    give_to(&scene.part, CL_FIELD_USER, "0");
    CHECK(decide() == 0);
    CHECK(scene.plan.uid == 0 && scene.plan.gid == 0 && scene.plan.capabilities == 0);
    CHECK_TEXT(env_of("HOME"), "/root");
    cl_arena_done(&scene.arena);
}

TEST(a_terminal_has_a_kind)
{
    set_up("strict");
    give_to(&scene.part, CL_FIELD_TTY, "true");
    CHECK(decide() == 0 && scene.plan.tty);
    CHECK_TEXT(env_of("TERM"), "xterm");
    cl_arena_done(&scene.arena);
}

TEST(what_makes_no_sense_is_refused)
{
    static const struct {
        enum cl_field field;
        const char *text;
        const char *needle;
    } rows[] = {
        {CL_FIELD_WORKDIR, "relative", "workdir: "},
        {CL_FIELD_ENV, "=x", "env: "},
        {CL_FIELD_ENV, "A B=x", "env: "},
        {CL_FIELD_USER, "1:2:3", "user: "},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        set_up("strict");
        if (rows[i].field == CL_FIELD_ENV)
            add_to(&scene.part, rows[i].field, rows[i].text);
        else
            give_to(&scene.part, rows[i].field, rows[i].text);
        CHECK(decide() < 0);
        CHECK_HAS(scene.err.msg, rows[i].needle);
        cl_arena_done(&scene.arena);
    }
    set_up("strict");
    scene.part = (struct cl_plan){0};
    CHECK(decide() == -EINVAL);
    add_to(&scene.part, CL_FIELD_COMMAND, "");
    CHECK(decide() == -EINVAL);
    cl_arena_done(&scene.arena);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_not_said_is_the_sandboxs),
        ROW(what_is_said_lies_over_it),
        ROW(strict_has_one_user),
        ROW(build_has_any),
        ROW(a_terminal_has_a_kind),
        ROW(what_makes_no_sense_is_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
