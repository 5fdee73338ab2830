/* test_bundle_home.c - HOME, from an /etc/passwd that a stranger wrote. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "walls/container/bundle.h"
#include "room.h"

static void set_file(const char *text)
{
    (void)cl_sys_unlinkat(AT_FDCWD, "/etc/passwd", 0);
    CHECK(text == NULL || room_write("/etc/passwd", text) == 0);
}

static void check_home(uint32_t uid, const char *wanted)
{
    char home[64] = "before";

    CHECK(cl_bundle_find_home(uid, home, sizeof(home)) == 0);
    CHECK_TEXT(home, wanted);
}

static void set_root(void)
{
    CHECK(mkdir("/mnt/etc", 0755) == 0);
    CHECK(chroot("/mnt") == 0 && chdir("/") == 0);
}

static void find(void)
{
    set_root();
    set_file("root:x:0:0:root:/root:/bin/sh\nplain::1000:1000::/home/plain:\n"
             "other:x:1000:0::/never:\n");
    check_home(0, "/root");
    check_home(1000, "/home/plain"); /* the first of that uid */
    check_home(100, "/");
    check_home(UINT32_MAX, "/");
    set_file("a:x:7:7::/no-line-end");
    check_home(7, "/no-line-end");
}

static void find_odd(void)
{
    static const char *const files[] = {
        "",
        "\n\n:\n::\n:::\n",
        "a:x:7\n",
        "a:x:7:7:",
        "a:x:7:7:::\n",         /* no home */
        "a:x:7:7::relative:\n", /* none that could be one */
        "a:x:07:7::/padded:\n", /* another number, as text */
        "a:x: 7:7::/blank:\n",
        "7:7:8:7::/shifted:\n",
        "a:x:7\0:7::/zero:\n",
    };

    set_root();
    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        set_file(files[i]);
        check_home(7, "/");
    }
    char home[8];
    set_file("a:x:7:7::/longer-than-there-is-room:\n");
    CHECK(cl_bundle_find_home(7, home, sizeof(home)) == 0);
    CHECK_TEXT(home, "/longer");
}

static void find_none(void)
{
    set_root();
    check_home(0, "/"); /* no file */
    CHECK(mkdir("/etc/passwd", 0755) == 0);
    check_home(0, "/");
    CHECK(rmdir("/etc/passwd") == 0 && mkfifo("/etc/passwd", 0644) == 0);
    check_home(0, "/"); /* nobody writes to it, and it is not waited for */
    set_file(NULL);
    CHECK(symlink("passwd", "/etc/passwd") == 0);
    check_home(0, "/");
}

/* A disk that can't be read is no image without accounts. */
static void find_broken(void)
{
    char text[32];
    char home[16];

    set_root();
    set_file("root:x:0:0:root:/root:/bin/sh\n");
    for (int at = 1; at <= 3; at++) {
        (void)snprintf(text, sizeof(text), "syscall:%d:5", at);
        cl_fault_set(text);
        CHECK(cl_bundle_find_home(0, home, sizeof(home)) == -EIO && cl_fault_struck());
    }
    cl_fault_set("syscall:1:13"); /* who may not read it has none either */
    CHECK(cl_bundle_find_home(0, home, sizeof(home)) == 0);
    CHECK_TEXT(home, "/");
    cl_fault_set(NULL);
}

TEST(the_home_is_the_accounts)
{
    room_run(find);
}

TEST(odd_lines_are_no_accounts)
{
    room_run(find_odd);
}

TEST(without_a_file_it_is_the_root)
{
    room_run(find_none);
}

TEST(a_file_that_cant_be_read_is_an_error)
{
    room_run(find_broken);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_home_is_the_accounts),
        ROW(odd_lines_are_no_accounts),
        ROW(without_a_file_it_is_the_root),
        ROW(a_file_that_cant_be_read_is_an_error),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
