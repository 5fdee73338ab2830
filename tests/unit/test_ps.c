/* test_ps.c - the list of sandboxes: for people, for programs, for completion. */
#include "command_scene.h"

static struct cl_state state;

static const char id_1[] = "00112233445566aa";
static const char id_2[] = "00112233445566bb";
static const char id_dead[] = "00112233445566cc";

static void open_state(void)
{
    command_own_state();
    CHECK(cl_state_open(&state, &said.err) == 0);
}

static void make(const char *id, const char *name, struct cl_strlist command, uint64_t age_s,
                 struct cl_entry *ret)
{
    struct cl_plan plan = {.name = name, .image = "host", .command = command};

    if (name != NULL)
        cl_plan_mark(&plan, CL_FIELD_NAME);
    cl_plan_mark(&plan, CL_FIELD_IMAGE);
    if (command.count > 0)
        cl_plan_mark(&plan, CL_FIELD_COMMAND);
    command_make_sandbox(&state, id, &plan, age_s, ret);
}

static void list_nothing(void)
{
    open_state();
    CHECK(RUN(&cl_command_ps, NULL) == 0);
    CHECK_TEXT(said.out, "ID   NAME   IMAGE   COMMAND   AGE   STATUS\n");
    CHECK(RUN(&cl_command_ps, "-q", NULL) == 0);
    CHECK_TEXT(said.out, "");
    CHECK(RUN(&cl_command_ps, "--format", "json", NULL) == 0);
    CHECK_TEXT(said.out, "[]\n");
    CHECK(RUN(&cl_command_ps, "more", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "ps takes no arguments, got \"more\"");
}

TEST(nothing_is_an_empty_list)
{
    room_run(list_nothing);
}

static void list_some(void)
{
    static const char *const words[] = {"sh", "-c", "echo\033[31m"};
    CL_CLEANUP_ENTRY struct cl_entry one = CL_ENTRY_INIT;
    CL_CLEANUP_ENTRY struct cl_entry two = CL_ENTRY_INIT;

    open_state();
    make(id_1, "first", (struct cl_strlist){words, 3}, 3 * 3600 + 5, &one);
    make(id_2, NULL, (struct cl_strlist){words, 1}, 10, &two);
    command_leave_sandbox(id_dead);
    CHECK(RUN(&cl_command_ps, "-aq", NULL) == 0);
    CHECK_TEXT(said.out, "00112233445566aa\n00112233445566bb\n00112233445566cc\n");
    /* that has swept: the dead one is gone */
    CHECK(RUN(&cl_command_ps, "--all", "--quiet", NULL) == 0);
    CHECK_TEXT(said.out, "00112233445566aa\n00112233445566bb\n");
    CHECK(RUN(&cl_command_ps, "--names", NULL) == 0);
    CHECK_TEXT(said.out, "00112233445566aa\nfirst\n00112233445566bb\n");
    CHECK(RUN(&cl_command_ps, NULL) == 0);
    CHECK_HAS(said.out, "ID                 NAME    IMAGE   COMMAND           AGE    STATUS\n"
                        "00112233445566aa   first   host    sh -c echo?[31m   3 h    running\n"
                        "00112233445566bb           host    sh                1");
}

TEST(the_living_are_listed_and_the_dead_for_who_asks)
{
    room_run(list_some);
}

static void list_dead(void)
{
    open_state();
    command_leave_sandbox(id_dead);
    CHECK(RUN(&cl_command_ps, NULL) == 0);
    CHECK(strstr(said.out, id_dead) == NULL);
    command_leave_sandbox(id_dead);
    CHECK(RUN(&cl_command_ps, "-a", "--format", "json", NULL) == 0);
    CHECK_HAS(said.out, "\"status\": \"dead\"");
}

TEST(the_dead_are_called_so)
{
    room_run(list_dead);
}

/* The age of a sandbox made AGE_S ago, which the test's own second must not change. */
static void check_age(uint64_t age_s, const char *expected)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;

    make(id_1, NULL, (struct cl_strlist){NULL, 0}, age_s, &entry);
    CHECK(RUN(&cl_command_ps, NULL) == 0);
    CHECK_HAS(said.out, expected);
    cl_entry_remove(&state, &entry);
}

static void list_ages(void)
{
    open_state();
    check_age(110, "host              11"); /* 110 to 119 s */
    check_age(120, "host              2 min ");
    check_age(7190, "host              119 min ");
    check_age(7200, "host              2 h ");
    check_age(172790, "host              47 h ");
    check_age(172800, "host              2 d ");
    check_age(86400ULL * 400, "host              400 d ");
}

TEST(ages_have_the_unit_that_fits)
{
    room_run(list_ages);
}

static void check_command(const char *const *words, size_t count, const char *expected)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    char cell[80];

    make(id_1, NULL, (struct cl_strlist){words, count}, 1, &entry);
    CHECK(RUN(&cl_command_ps, NULL) == 0);
    (void)snprintf(cell, sizeof(cell), " host    %s   ", expected);
    CHECK_HAS(said.out, cell);
    cl_entry_remove(&state, &entry);
}

static void list_commands(void)
{
    static const char *const whole[] = {"0123456789012345678", "abcdefghijklmnopqrst"};
    static const char *const longer[] = {"0123456789012345678", "abcdefghijklmnopqrstu"};
    static const char *const one_more[] = {"0123456789012345678", "abcdefghijklmnopqrst", ""};

    open_state();
    check_command(whole, 2, "0123456789012345678 abcdefghijklmnopqrst");
    check_command(longer, 2, "0123456789012345678 abcdefghijklmnopq...");
    check_command(one_more, 3, "0123456789012345678 abcdefghijklmnopq...");
    check_command(longer + 1, 1, "abcdefghijklmnopqrstu");
}

TEST(long_commands_are_cut)
{
    room_run(list_commands);
}

static void list_for_programs(void)
{
    static const char *const words[] = {"sh", "\"\n"};
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;

    open_state();
    make(id_1, "first", (struct cl_strlist){words, 2}, 0, &entry);
    CHECK(RUN(&cl_command_ps, "--format=json", NULL) == 0);
    CHECK_HAS(said.out, "\"id\": \"00112233445566aa\"");
    CHECK_HAS(said.out, "\"name\": \"first\"");
    CHECK_HAS(said.out, "\"tenant\": null");
    CHECK_HAS(said.out, "\"started_at\": null");
    CHECK_HAS(said.out, "\"status\": \"running\"");
    CHECK_HAS(said.out, "\"\\\"\\u000a\"");
    CHECK(said.out[0] == '[' && strcmp(said.out + strlen(said.out) - 3, "\n]\n") == 0);
}

TEST(programs_get_json)
{
    room_run(list_for_programs);
}

static void refuse_a_state(void)
{
    command_own_state();
    CHECK(mkdir("/run/cloister", 0755) == 0 && chmod("/run/cloister", 0755) == 0);
    CHECK(RUN(&cl_command_ps, NULL) == -EPERM);
    CHECK_HAS(said.err.msg, "the state directory /run/cloister is open to others");
    CHECK_TEXT(said.out, "");
}

TEST(a_state_that_others_can_write_is_refused)
{
    room_run(refuse_a_state);
}

static void fail_to_allocate(void)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    int failures = 0;

    open_state();
    make(id_1, "first", (struct cl_strlist){NULL, 0}, 1, &entry);
    for (int n = 1, struck = 1; struck && n < 100; n++) {
        char fault[32];

        (void)snprintf(fault, sizeof(fault), "self:alloc:%d", n);
        cl_fault_set(fault);
        int r = RUN(&cl_command_ps, NULL);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        if (r < 0)
            CHECK_TEXT(said.err.msg, "out of memory");
        else
            CHECK_HAS(said.out, id_1);
        failures += r < 0;
    }
    CHECK(failures > 1);
}

TEST(no_list_is_half_a_list)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(fail_to_allocate);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(nothing_is_an_empty_list),
        ROW(the_living_are_listed_and_the_dead_for_who_asks),
        ROW(the_dead_are_called_so),
        ROW(ages_have_the_unit_that_fits),
        ROW(long_commands_are_cut),
        ROW(programs_get_json),
        ROW(a_state_that_others_can_write_is_refused),
        ROW(no_list_is_half_a_list),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
