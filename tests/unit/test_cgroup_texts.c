/* test_cgroup_texts.c - what is read from /proc/self/cgroup and from a cgroup's files. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/cgroup.h"
#include "limits/lines.h"
#include "limits/limits.h"
#include "check.h"

static int text_fd(const char *text, size_t size)
{
    int fd = cl_sys_memfd_create("text", 0);

    if (fd < 0 || cl_write_all(fd, text, size) < 0 || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    return fd;
}

static int parse_size(const char *text, size_t size, struct cl_own_cgroups *own,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int fd = text_fd(text, size);

    return cl_own_cgroups_parse(fd, own, err);
}

static int parse(const char *text, struct cl_own_cgroups *own)
{
    struct cl_error err = {0};
    int r = parse_size(text, strlen(text), own, &err);

    CHECK(r == 0 || err.code == -r);
    CHECK(r == 0 || err.msg[0] != '\0');
    return r;
}

TEST(own_reads_the_hybrid)
{
    struct cl_own_cgroups own;

    CHECK(parse("9:name=systemd:/\n8:pids:/a\n4:memory:/b/c\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/x\n"
                "0::/u\n",
                &own) == 0);
    CHECK_TEXT(own.v1[CL_CONTROLLER_MEMORY].path, "/b/c");
    CHECK_TEXT(own.v1[CL_CONTROLLER_PIDS].path, "/a");
    CHECK_TEXT(own.v1[CL_CONTROLLER_CPUACCT].path, "/");
    CHECK_TEXT(own.v1[CL_CONTROLLER_CPU].path, "/x");
    CHECK_TEXT(own.v2, "/u");
    CHECK(own.v1[CL_CONTROLLER_CPU].hierarchy == 1);
}

TEST(own_reads_shared_hierarchies)
{
    struct cl_own_cgroups own;

    CHECK(parse("5:net_cls,net_prio:/q\n4:cpu,cpuacct:/user.slice\n", &own) == 0);
    CHECK_TEXT(own.v1[CL_CONTROLLER_CPU].path, "/user.slice");
    CHECK(own.v1[CL_CONTROLLER_CPU].path == own.v1[CL_CONTROLLER_CPUACCT].path);
    CHECK(own.v1[CL_CONTROLLER_CPU].hierarchy == own.v1[CL_CONTROLLER_CPUACCT].hierarchy);
    CHECK(own.v1[CL_CONTROLLER_MEMORY].path == NULL && own.v2 == NULL);
}

TEST(own_keeps_odd_names_whole)
{
    struct cl_own_cgroups own;

    CHECK(parse("4:memory:/a:b c/..d/e../...\n0::/:", &own) == 0);
    CHECK_TEXT(own.v1[CL_CONTROLLER_MEMORY].path, "/a:b c/..d/e../...");
    CHECK_TEXT(own.v2, "/:");
    CHECK(parse("", &own) == 0 && own.v2 == NULL);
    CHECK(parse("7:memoryx,xmemory,mem,,:/a\n", &own) == 0);
    CHECK(own.v1[CL_CONTROLLER_MEMORY].path == NULL);
}

TEST(own_refuses_what_breaks_the_form)
{
    static const char *const bad[] = {
        "x",
        "\n",
        "::",
        ":memory:/a",
        "4:memory",
        "4:memory:",
        "4:memory:a",
        "-4:memory:/a",
        " 4:memory:/a",
        "4 :memory:/a",
        "99999999999:memory:/a",
        "4294967296:memory:/a",
        "18446744073709551616:memory:/a",
        "0:memory:/a",
        "0::a",
        "0::",
        "0::/a\n0::/b\n",
        "4:memory:/a\n5:memory:/b\n",
        "4:memory:/a\n4:pids:/b\n",
        "4:memory:/a\nrubbish\n",
    };
    struct cl_own_cgroups own;

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++)
        CHECK(parse(bad[i], &own) == -EBADMSG);
    CHECK(parse("4:memory:/..\n", &own) == -EXDEV);
    CHECK(parse("0::/../../x\n", &own) == -EXDEV);
    CHECK(parse("0::/x/..\n", &own) == -EXDEV);
}

TEST(own_refuses_what_is_too_long_or_holds_nul)
{
    static char text[20000];
    struct cl_own_cgroups own;
    struct cl_error err;

    memset(text, 'a', sizeof(text));
    memcpy(text, "0::/", 4);
    CHECK(parse_size(text, sizeof(text), &own, &err) == -ENAMETOOLONG);
    CHECK(parse_size(text, CL_LINES_WINDOW + 1, &own, &err) == -ENAMETOOLONG);
    CHECK(parse_size(text, CL_LINES_WINDOW, &own, &err) == -ENAMETOOLONG); /* fits no pool */
    CHECK(parse_size(text, 2000, &own, &err) == 0 && strlen(own.v2) == 1997);
    text[100] = '\0';
    CHECK(parse_size(text, 200, &own, &err) == -EBADMSG);
}

/* Every beginning of a good text, and every byte of it changed, gives an answer. */
TEST(own_survives_any_bytes)
{
    static const char good[] = "9:name=systemd:/\n4:cpu,cpuacct:/a b\n3:memory:/c\n0::/d\n";
    struct cl_own_cgroups own;
    struct cl_error err;
    char text[sizeof(good)];

    for (size_t size = 0; size < sizeof(good); size++)
        CHECK(parse_size(good, size, &own, &err) <= 0);
    for (size_t at = 0; at + 1 < sizeof(good); at++) {
        for (int byte = 0; byte < 256; byte += 5) {
            memcpy(text, good, sizeof(good));
            text[at] = (char)byte;
            CHECK(parse_size(text, sizeof(good) - 1, &own, &err) <= 0);
        }
    }
}

static int find(const char *text, const char *key, uint64_t *ret)
{
    CL_CLEANUP_FD int fd = text_fd(text, strlen(text));
    struct cl_keyed keyed = {.key = key};
    int r = cl_lines_find(fd, &keyed, 1);

    *ret = keyed.value;
    return r;
}

TEST(keyed_files)
{
    uint64_t value = 0;

    CHECK(find("low 0\noom 3\noom_kill 2\n", "oom_kill", &value) == 1 && value == 2);
    CHECK(find("oom_kill 2", "oom_kill", &value) == 1 && value == 2);
    CHECK(find("oom_kill 18446744073709551615\n", "oom_kill", &value) == 1 && value == UINT64_MAX);
    CHECK(find("oom_kill 18446744073709551616\n", "oom_kill", &value) == 0);
    CHECK(find("oom_kill_disable 1\nxoom_kill 1\n", "oom_kill", &value) == 0);
    CHECK(find("oom_kill\noom_kill \noom_kill -1\noom_kill 1x\noom_kill  1\n", "oom_kill",
               &value) == 0);
    CHECK(find("oom_kill x\noom_kill 7\noom_kill 8\n", "oom_kill", &value) == 1 && value == 7);
    CHECK(find("", "oom_kill", &value) == 0);
}

static int sum(const char *text, uint64_t *ret)
{
    CL_CLEANUP_FD int fd = text_fd(text, strlen(text));

    return cl_lines_sum(fd, "rbytes", ret);
}

TEST(nested_keyed_files)
{
    uint64_t value = 0;

    CHECK(sum("8:0 rbytes=5 wbytes=6 rios=1\n8:16 wbytes=1 rbytes=7\n", &value) == 0);
    CHECK(value == 12);
    CHECK(sum("8:0 wbytes=5 drbytes=9 rbytesx=1\n8:1\n\n   \n", &value) == -ENODATA);
    CHECK(sum("8:0 rbytes=\n", &value) == -EBADMSG);
    CHECK(sum("8:0 rbytes=-1\n", &value) == -EBADMSG);
    CHECK(sum("8:0 rbytes=99999999999999999999999999\n", &value) == -ERANGE);
    CHECK(sum("8:0 rbytes=18446744073709551616\n", &value) == -ERANGE);
    CHECK(sum("8:0 rbytes=18446744073709551615\n8:1 rbytes=1\n", &value) == -ERANGE);
}

static int number(const char *text, uint64_t *ret)
{
    CL_CLEANUP_FD int fd = text_fd(text, strlen(text));

    return cl_lines_number(fd, ret);
}

TEST(number_files)
{
    uint64_t value = 0;

    CHECK(number("42\n", &value) == 0 && value == 42);
    CHECK(number("18446744073709551615", &value) == 0 && value == UINT64_MAX);
    CHECK(number("max\n", &value) == -ENODATA);
    CHECK(number("", &value) == -EBADMSG);
    CHECK(number("\n", &value) == -EBADMSG);
    CHECK(number("1 2\n", &value) == -EBADMSG);
    CHECK(number("11111111111111111111111111111111111111111111\n", &value) == -EBADMSG);
    CHECK(cl_lines_number(-1, &value) == -EBADF);
}

TEST(names_are_checked)
{
    static const char *const bad[] = {
        "", "..", "a/b", "A", "a b", "a\n", "\xc3\xa4", "012345678901234567890123456789012",
    };
    char name[CL_CGROUP_NAME_SIZE];
    struct cl_error err;

    CHECK(cl_cgroup_name(name, "0123456789abcdef", &err) == 0);
    CHECK_TEXT(name, "cloister-0123456789abcdef");
    CHECK(cl_cgroup_name(name, "01234567890123456789012345678901", &err) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(cl_cgroup_name(name, bad[i], &err) == -EINVAL);
        CHECK(cl_limits_sweep(bad[i], CL_SWEEP_THOROUGHLY, &err) == -EINVAL);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(own_reads_the_hybrid),
        ROW(own_reads_shared_hierarchies),
        ROW(own_keeps_odd_names_whole),
        ROW(own_refuses_what_breaks_the_form),
        ROW(own_refuses_what_is_too_long_or_holds_nul),
        ROW(own_survives_any_bytes),
        ROW(keyed_files),
        ROW(nested_keyed_files),
        ROW(number_files),
        ROW(names_are_checked),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
