/* test_resctrl.c - classes of processor resources, in plain directories that pass for the file
 * system's: this kind of machine has no processor with it. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "limits/resctrl.h"

static char place[32];

static int open_place(void)
{
    strcpy(place, "/tmp/cl-resctrl-XXXXXX");
    CHECK(mkdtemp(place) != NULL);
    return open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int forget(const char *path, const struct stat *unused, int kind, struct FTW *where)
{
    (void)unused;
    (void)kind;
    (void)where;
    return remove(path);
}

static void close_place(int top)
{
    close(top);
    CHECK(nftw(place, forget, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static void put(int top, const char *path, const char *text)
{
    int fd = openat(top, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static const char *get(int top, const char *path)
{
    static char text[256];
    int fd = openat(top, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    CHECK(size >= 0);
    text[size] = '\0';
    close(fd);
    return text;
}

/* A class as the kernel makes it. */
static void make_class(int top, const char *name, const char *schemata)
{
    char path[128];

    CHECK(mkdirat(top, name, 0700) == 0);
    (void)snprintf(path, sizeof(path), "%s/mon_groups", name);
    CHECK(mkdirat(top, path, 0700) == 0);
    (void)snprintf(path, sizeof(path), "%s/schemata", name);
    put(top, path, schemata);
    (void)snprintf(path, sizeof(path), "%s/tasks", name);
    put(top, path, "");
}

static int is_there(int top, const char *path)
{
    return faccessat(top, path, F_OK, 0) == 0;
}

static struct cl_spec spec_of(const char *const *items, size_t count)
{
    struct cl_spec spec = {.intel_rdt = {items, count}};

    cl_spec_mark(&spec, CL_SPEC_INTEL_RDT);
    return spec;
}
#define SPEC(...)                                                                                  \
    spec_of((const char *const[]){__VA_ARGS__},                                                    \
            sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

TEST(a_class_that_is_there_is_joined)
{
    struct cl_error err = {0};
    struct cl_resctrl found;
    const int top = open_place();
    const struct cl_spec spec = SPEC("closID", "gold");

    make_class(top, "gold", "L3:0=f\n");
    CHECK(cl_resctrl_read(top, &spec, "box", &found, &err) == 0);
    CHECK(cl_resctrl_make(&found, &err) == 0);
    CHECK(cl_resctrl_join(&found, 123, &err) == 0);
    CHECK_TEXT(get(top, "gold/tasks"), "123");
    CHECK(cl_resctrl_remove(&found, &err) == 0);
    CHECK(is_there(top, "gold"));
    close_place(top);
}

TEST(a_class_that_is_named_and_nothing_else_has_to_be_there)
{
    struct cl_error err = {0};
    struct cl_resctrl found;
    const int top = open_place();
    const struct cl_spec spec = SPEC("closID", "silver");

    CHECK(cl_resctrl_read(top, &spec, "box", &found, &err) == 0);
    CHECK(cl_resctrl_make(&found, &err) == -ENOENT);
    CHECK_HAS(err.msg, "linux.intelRdt");
    CHECK(!is_there(top, "silver"));
    close_place(top);
}

TEST(a_class_that_is_there_has_to_be_the_same)
{
    static const struct {
        const char *l3;
        const char *bandwidth;
        int result;
    } rows[] = {
        {"L3:0=f;1=ff", "MB:0=20;1=70", 0},
        {"L3:0=f;1=ff", "MB:0=20;1=71", -EINVAL},
        {"L3:0=0f;1=00ff", "MB:0= 20;1=70", 0},
        {"L3:0=f", "MB:0=20;1=70", -EINVAL},
        {"L3:0=f;1=ff;2=f", "MB:0=20;1=70", -EINVAL},
        {"L3:0=f;1=ff\nMB:0=20;1=70", "MB:0=20;1=70", 0},
        {"L3:0=f0;1=ff", "MB:0=20;1=70", -EINVAL},
    };
    const int top = open_place();

    make_class(top, "same", "    MB:0= 20;1= 70\n    L3:0=0000f;1=000ff\n");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct cl_spec spec =
            SPEC("closID", "same", "l3CacheSchema", rows[i].l3, "memBwSchema", rows[i].bandwidth);
        struct cl_error err = {0};
        struct cl_resctrl found;

        CHECK(cl_resctrl_read(top, &spec, "box", &found, &err) == 0);
        CHECK(cl_resctrl_make(&found, &err) == rows[i].result);
        if (rows[i].result != 0)
            CHECK_HAS(err.msg, "the class same is there, and is another");
    }
    CHECK_TEXT(get(top, "same/schemata"), "    MB:0= 20;1= 70\n    L3:0=0000f;1=000ff\n");
    close_place(top);
}

/* mkdir makes no files in a plain directory: the class is there already, and mkdir is told to
 * succeed. */
static int make_as_the_kernel(const struct cl_resctrl *resctrl, struct cl_error *err)
{
    char fault[64];

    (void)snprintf(fault, sizeof(fault), "answers:%d#1=1", (int)SYS_mkdirat);
    cl_fault_set(fault);
    int r = cl_resctrl_make(resctrl, err);
    cl_fault_set(NULL);
    return r;
}

TEST(a_containers_own_class_is_filled_and_goes_with_it)
{
    struct cl_error err = {0};
    struct cl_resctrl found;
    const int top = open_place();
    const struct cl_spec spec =
        SPEC("l3CacheSchema", "L3:0=3", "enableMBM", "true", "enableCMT", "false");

    make_class(top, "box-1", "L3:0=f\n");
    CHECK(cl_resctrl_read(top, &spec, "box-1", &found, &err) == 0);
    CHECK(make_as_the_kernel(&found, &err) == 0);
    CHECK_TEXT(get(top, "box-1/schemata"), "L3:0=3\n");
    CHECK(is_there(top, "box-1/mon_groups/box-1"));
    put(top, "box-1/mon_groups/box-1/tasks", "");
    CHECK(cl_resctrl_join(&found, 7, &err) == 0);
    CHECK_TEXT(get(top, "box-1/mon_groups/box-1/tasks"), "7");
    CHECK(unlinkat(top, "box-1/mon_groups/box-1/tasks", 0) ==
          0); /* the kernel's own files are none */
    CHECK(cl_resctrl_remove(&found, &err) == -ENOTEMPTY);
    CHECK(!is_there(top, "box-1/mon_groups/box-1"));
    CHECK(unlinkat(top, "box-1/tasks", 0) == 0 && unlinkat(top, "box-1/schemata", 0) == 0 &&
          unlinkat(top, "box-1/mon_groups", AT_REMOVEDIR) == 0);
    CHECK(cl_resctrl_remove(&found, &err) == 0);
    CHECK(!is_there(top, "box-1"));
    CHECK(cl_resctrl_remove(&found, &err) == 0);
    close_place(top);
}

TEST(what_is_somebody_elses_is_not_taken)
{
    struct cl_error err = {0};
    struct cl_resctrl found;
    const int top = open_place();
    const struct cl_spec own = SPEC("l3CacheSchema", "L3:0=3");
    const struct cl_spec monitored = SPEC("closID", "gold", "enableCMT", "true");

    make_class(top, "gold", "L3:0=f\n");
    CHECK(cl_resctrl_read(top, &own, "gold", &found, &err) == 0);
    CHECK(cl_resctrl_make(&found, &err) == -EEXIST);
    CHECK_HAS(err.msg, "linux.intelRdt: make the class gold");
    CHECK_TEXT(get(top, "gold/schemata"), "L3:0=f\n");
    CHECK(mkdirat(top, "gold/mon_groups/box", 0700) == 0);
    CHECK(cl_resctrl_read(top, &monitored, "box", &found, &err) == 0);
    CHECK(cl_resctrl_make(&found, &err) == -EEXIST);
    CHECK(is_there(top, "gold") && is_there(top, "gold/mon_groups/box"));
    close_place(top);
}

TEST(what_could_not_be_filled_is_not_left)
{
    struct cl_error err = {0};
    struct cl_resctrl found;
    const int top = open_place();
    const struct cl_spec spec = SPEC("closID", "new", "memBwSchema", "MB:0=20");

    CHECK(cl_resctrl_read(top, &spec, "box", &found, &err) == 0);
    CHECK(cl_resctrl_make(&found, &err) == -ENOENT); /* a plain directory has no schemata */
    CHECK_HAS(err.msg, "linux.intelRdt.memBwSchema");
    CHECK(!is_there(top, "new"));
    close_place(top);
}

TEST(names_that_are_none)
{
    static const char *const names[] = {"..",   ".",          "a/b",      "/etc",
                                        "info", "mon_groups", "mon_data", "a\nb"};
    struct cl_resctrl found;

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        const struct cl_spec spec = SPEC("closID", names[i]);
        struct cl_error err = {0};

        CHECK(cl_resctrl_read(-1, &spec, "box", &found, &err) == -EINVAL);
        CHECK_HAS(err.msg, "linux.intelRdt.closID");
    }
}

TEST(no_class_is_asked_for)
{
    struct cl_error err = {0};
    const struct cl_resctrl none = CL_RESCTRL_NONE;

    CHECK(cl_resctrl_make(&none, &err) == 0);
    CHECK(cl_resctrl_join(&none, 1, &err) == 0);
    CHECK(cl_resctrl_remove(&none, &err) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_class_that_is_there_is_joined),
        ROW(a_class_that_is_named_and_nothing_else_has_to_be_there),
        ROW(a_class_that_is_there_has_to_be_the_same),
        ROW(a_containers_own_class_is_filled_and_goes_with_it),
        ROW(what_is_somebody_elses_is_not_taken),
        ROW(what_could_not_be_filled_is_not_left),
        ROW(names_that_are_none),
        ROW(no_class_is_asked_for),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
