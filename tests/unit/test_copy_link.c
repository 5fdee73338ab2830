/* test_copy_link.c - which symbolic links a copy out of a sandbox may make. */
#include "copy/link.h"

#include "base/defs.h"
#include "check.h"

struct row {
    const char *target;
    size_t depth;
    int stays;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CHECK((cl_copy_link_stays(rows[i].target, rows[i].depth) != 0) == rows[i].stays);
        if ((cl_copy_link_stays(rows[i].target, rows[i].depth) != 0) != rows[i].stays)
            printf("# \"%s\" at %zu\n", rows[i].target, rows[i].depth);
    }
}

TEST(what_is_in_the_tree_stays)
{
    static const struct row rows[] = {
        {"a", 0, 1},      {"a/b/c", 0, 1},     {"a/", 0, 1},        {"a//b", 0, 1},
        {".", 0, 1},      {"./a", 0, 1},       {"a/.", 0, 1},       {"..", 1, 1},
        {"../", 1, 1},    {"../a", 1, 1},      {"../..", 2, 1},     {"../../a/b", 2, 1},
        {"./../a", 1, 1}, {".././../a", 2, 1}, {"..//..//a", 2, 1}, {"...", 0, 1},
        {"..a", 0, 1},    {".a", 0, 1},        {"a..", 0, 1},       {"a/...", 0, 1},
        {"../..b", 1, 1}, {"\n", 0, 1},        {"a\\../..b", 0, 1}, {" /..b", 0, 1},
    };

    check_rows(rows, CL_ARRAY_SIZE(rows));
}

TEST(what_leads_out_does_not)
{
    static const struct row rows[] = {
        {"", 9, 0},
        {"/", 9, 0},
        {"/etc/passwd", 9, 0},
        {"//etc", 9, 0},
        {"..", 0, 0},
        {"../", 0, 0},
        {"../a", 0, 0},
        {"./..", 0, 0},
        {"../..", 1, 0},
        {"../../a", 1, 0},
        {"../.././..", 2, 0},
        {".//../..", 1, 0},
        {"../../../../x", 3, 0},
    };

    check_rows(rows, CL_ARRAY_SIZE(rows));
}

/* A name may be a link itself, behind which `..` is anywhere. */
TEST(nothing_goes_up_behind_a_name)
{
    static const struct row rows[] = {
        {"a/..", 9, 0},   {"a/../b", 9, 0}, {"../a/..", 9, 0},
        {"a/./..", 9, 0}, {"a//..", 9, 0},  {".../..", 9, 0},
    };

    check_rows(rows, CL_ARRAY_SIZE(rows));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_in_the_tree_stays),
        ROW(what_leads_out_does_not),
        ROW(nothing_goes_up_behind_a_name),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
