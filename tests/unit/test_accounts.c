/* test_accounts.c - the host's accounts, of files of the test's own. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/accounts.h"
#include "room.h"

static void put(const char *passwd, const char *user)
{
    CHECK(room_write("/mnt/passwd", passwd) == 0);
    CHECK(user == NULL ? unsetenv("USER") == 0 : setenv("USER", user, 1) == 0);
}

static void check_login(uid_t uid, const char *wanted)
{
    char login[CL_LOGIN_SIZE];

    cl_accounts_login(uid, login);
    CHECK_TEXT(login, wanted);
}

static void look_up_logins(void)
{
    CHECK(room_write("/mnt/passwd", "") == 0);
    CHECK(mount("/mnt/passwd", "/etc/passwd", NULL, MS_BIND, NULL) == 0);

    put("root:x:0:0::/:/bin/sh\n\nno form\nada:x:1000:100::/:/bin/sh\nbob::10:10", "eve");
    check_login(0, "root");
    check_login(1000, "ada"); /* whatever the environment says */
    check_login(10, "bob");
    check_login(100, "eve"); /* a gid is no uid */
    put("", NULL);
    check_login(0, "");
    put("", "a-name-of-sixty-four-letters-which-is-more-than-there-is-room-for-it");
    check_login(0, ""); /* not cut to somebody else's */
}

TEST(a_login_is_the_hosts_files_or_else_the_environments)
{
    room_run(look_up_logins);
}

TEST(a_line_of_sub_ids_has_three_parts)
{
    static const struct {
        const char *line;
        uint64_t first;
        uint64_t count;
        size_t name_size;
    } rows[] = {
        {"ada:1:2", 1, 2, 3},
        {":1:2", 1, 2, 0},
        {"ada", 0, 0, 3},
        {"ada:1", 0, 0, 3},
        {"ada:1:2:3", 1, 0, 3},
        {"ada:x:2", 0, 0, 3},
        {"ada: 1:2", 0, 0, 3},
        {"ada:1:-2", 1, 0, 3},
        {"ada:1:99999999999999999999999999", 1, 0, 3},
    };
    struct cl_subids line;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const char *text = rows[i].line;

        CHECK(cl_accounts_next_subids(&text, &line) == 1 && *text == '\0');
        CHECK(line.count == rows[i].count && line.name_size == rows[i].name_size);
        CHECK(line.count == 0 || line.first == rows[i].first);
        CHECK(line.size == strlen(rows[i].line));
        CHECK(cl_accounts_next_subids(&text, &line) == 0);
    }
    const char *text = "a:1:2\n\nb:3:4\n";
    CHECK(cl_accounts_next_subids(&text, &line) == 1 && line.first == 1);
    CHECK(cl_accounts_next_subids(&text, &line) == 1 && line.size == 0 && line.count == 0);
    CHECK(cl_accounts_next_subids(&text, &line) == 1 && line.first == 3);
    CHECK(cl_accounts_next_subids(&text, &line) == 0);
}

static void check_subids(const char *text, int wanted, uint64_t first)
{
    struct cl_error err = {0};
    struct cl_id_range range = {0};

    CHECK(room_write("/mnt/subuid", text) == 0);
    CHECK(cl_accounts_find_subids("/mnt/subuid", "ada", 1000, &range, &err) == wanted);
    CHECK(range.first == first);
}

static void look_up_subids(void)
{
    struct cl_error err = {0};
    struct cl_id_range range;

    check_subids("ada:7:8\n1000:9:9\n", 1, 7);
    check_subids("bob:1:1\n1000:9:9\nada:7:8\n", 1, 9);
    check_subids("ad:1:1\nadam:2:2\nada:0:0\nada:x:1\nada:3:3", 1, 3);
    check_subids(":1:1\n100:1:1\n01000:1:1\n", 0, 0);
    CHECK(cl_accounts_find_subids("/mnt/nothing", "ada", 1000, &range, &err) == 0);
    CHECK(mkdir("/mnt/dir", 0755) == 0);
    CHECK(cl_accounts_find_subids("/mnt/dir", "ada", 1000, &range, &err) == -EISDIR);
    CHECK_HAS(err.msg, "/mnt/dir");
}

TEST(sub_ids_are_found_by_name_or_number)
{
    room_run(look_up_subids);
}

static uint64_t free_in(const char *uids, const char *gids)
{
    const char *const texts[2] = {uids, gids};

    return cl_accounts_free_subids(texts);
}

TEST(sub_ids_that_are_suggested_are_nobodys)
{
    CHECK(free_in("", "") == 100000);
    CHECK(free_in("ada:1:2\nbad\nada:100000:0\n", "") == 100000);
    CHECK(free_in("ada:100000:65536\n", "") == 165536);
    CHECK(free_in("", "ada:165535:1\n") == 165536);
    CHECK(free_in("", "ada:165536:1\n") == 100000);
    CHECK(free_in("bob:165536:65536\nada:100000:65536\n", "ann:231072:5\n") == 231077);
    CHECK(free_in("ada:100000:1878882656\n", "") == 1878982656); /* the last ones */
    CHECK(free_in("ada:100000:1878882657\n", "") == 0);
    CHECK(free_in("ada:0:4294967295\n", "") == 0);
    CHECK(free_in("ada:100000:18446744073709551615\n", "") == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_login_is_the_hosts_files_or_else_the_environments),
        ROW(a_line_of_sub_ids_has_three_parts),
        ROW(sub_ids_are_found_by_name_or_number),
        ROW(sub_ids_that_are_suggested_are_nobodys),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
