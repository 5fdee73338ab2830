/* test_follow.c - whose links lead where. As root, strangers' links are made by lchown; as an
 * ordinary user, all are ours, and it is the caller who is somebody else. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "check.h"

enum { STRANGER = 54321, ANOTHER = 54322, CALLER = 54323 };

static char base[] = "/tmp/cloister-test-follow-XXXXXX";
static struct cl_error err;

static const char *in_base(const char *name)
{
    static char paths[4][PATH_MAX];
    static int turn;
    char *path = paths[turn++ % 4];

    (void)snprintf(path, PATH_MAX, "%s/%s", base, name);
    return path;
}

/* Only root can give things away. */
static int give(const char *name, uint32_t owner)
{
    return geteuid() != 0 || lchown(in_base(name), owner, owner) == 0;
}

static int make_dir(const char *name, uint32_t owner)
{
    return mkdir(in_base(name), 0755) == 0 && give(name, owner);
}

static int make_file(const char *name, uint32_t owner)
{
    CL_CLEANUP_FD int fd = open(in_base(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    return fd >= 0 && give(name, owner);
}

static int make_link(const char *target, const char *name, uint32_t owner)
{
    return symlink(target, in_base(name)) == 0 && give(name, owner);
}

static int is_same(int fd, const char *path)
{
    struct stat one;
    struct stat other;

    return fstat(fd, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int follow(const char *path, uint32_t caller)
{
    err = (struct cl_error){0};
    return cl_follow(path, caller, "the volume", &err);
}

/* 0 when NAME below the base leads to what TARGET is, else -errno. */
static int leads(const char *name, uint32_t caller, const char *target)
{
    CL_CLEANUP_FD int fd = follow(in_base(name), caller);

    if (fd < 0)
        return fd;
    CHECK(is_same(fd, target));
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    return 0;
}

/*  ours/file  theirs/releases/5/file  tmp/ */
static void make_tree(void)
{
    CHECK(mkdtemp(strcpy(base, "/tmp/cloister-test-follow-XXXXXX")) != NULL);
    CHECK(make_dir("ours", 0) && make_file("ours/file", 0));
    CHECK(make_dir("theirs", STRANGER) && make_dir("theirs/releases", STRANGER));
    CHECK(make_dir("theirs/releases/5", STRANGER) && make_file("theirs/releases/5/file", STRANGER));
    CHECK(make_dir("tmp", 0));
}

static void remove_tree(void)
{
    char command[64];

    (void)snprintf(command, sizeof(command), "rm -r %s", base);
    CHECK(system(command) == 0); // NOLINT(cert-env33-c)
}

TEST(without_links_everybodys_directories_are_passed)
{
    make_tree();
    CHECK(leads("ours/file", 0, in_base("ours/file")) == 0);
    CHECK(leads("theirs/releases/5/", 0, in_base("theirs/releases/5")) == 0);
    CHECK(leads("theirs/../ours", 0, in_base("ours")) == 0);
    CHECK(leads("none/file", 0, "/") == -ENOENT);
    CHECK_HAS(err.msg, "open the volume /tmp/cloister-test-follow-");
    CHECK(leads("ours/file/", 0, "/") == -ENOTDIR);
    remove_tree();
}

TEST(roots_and_the_callers_links_lead_anywhere)
{
    make_tree();
    CHECK(make_link("ours", "link", 0) && make_link("/etc", "ours/etc", 0));
    CHECK(make_link("../ours/../tmp//./", "theirs/tmp", CALLER));
    CHECK(make_link("../link/file", "tmp/file", CALLER));
    uint32_t caller = geteuid() == 0 ? CALLER : geteuid();
    CHECK(leads("link/file", caller, in_base("ours/file")) == 0);
    CHECK(leads("link/etc/passwd", caller, "/etc/passwd") == 0);
    CHECK(leads("link/etc/", caller, "/etc") == 0);
    CHECK(leads("theirs/tmp/file", caller, in_base("ours/file")) == 0);
    CHECK(leads("tmp/file/", caller, "/") == -ENOTDIR);
    CHECK(leads("tmp/file/more", caller, "/") == -ENOTDIR);
    CHECK(leads("link/none", caller, "/") == -ENOENT);
    remove_tree();
}

TEST(relative_paths_start_at_the_working_directory)
{
    make_tree();
    CHECK(make_link("ours", "link", 0));
    CL_CLEANUP_FD int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(chdir(base) == 0);
    CL_CLEANUP_FD int fd = follow("./link//file", geteuid());
    CHECK(fd >= 0 && is_same(fd, in_base("ours/file")));
    CHECK(fchdir(before) == 0);
    remove_tree();
}

TEST(a_strangers_link_leads_to_what_is_theirs)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, to give files to others");
    make_tree();
    CHECK(make_link("releases/5", "theirs/current", STRANGER));
    CHECK(make_link("current", "theirs/again", STRANGER));
    CHECK(make_link("./5/../5", "theirs/releases/this", STRANGER));
    CHECK(leads("theirs/current", 0, in_base("theirs/releases/5")) == 0);
    CHECK(leads("theirs/again/file", 0, in_base("theirs/releases/5/file")) == 0);
    CHECK(leads("theirs/releases/this/file", CALLER, in_base("theirs/releases/5/file")) == 0);
    remove_tree();
}

/* What each of these names is not the link's owner's, all the way to the end. */
TEST(a_strangers_link_leads_nowhere_else)
{
    static const struct {
        const char *target;
        const char *rest;
    } rows[] = {
        {"/etc", ""},
        {"/", "/etc/passwd"},
        {"../ours", ""},
        {"../ours/file", ""},
        {"..", "/theirs/releases/5"}, /* back again */
        {"../hop", "/file"},          /* a link of root's */
        {"../theirs/another", ""},    /* a link of another stranger's */
        {"releases", "/kept"},        /* root's, in a directory of theirs */
        {"/proc/self/cwd", ""},
    };
    char path[64];

    make_tree();
    CHECK(make_link("theirs/releases/5", "hop", 0));
    CHECK(make_link("releases/5", "theirs/another", geteuid() == 0 ? ANOTHER : 0));
    CHECK(make_dir("theirs/releases/kept", 0));
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        (void)snprintf(path, sizeof(path), "theirs/link%s", rows[i].rest);
        CHECK(make_link(rows[i].target, "theirs/link", STRANGER));
        if (geteuid() == 0) {
            CHECK(leads(path, 0, "/") == -EPERM);
            CHECK(leads(path, CALLER, "/") == -EPERM);
            CHECK_HAS(err.msg, "/theirs/link of uid 54321, which leads to what isn't theirs");
            CHECK_HAS(err.msg, "name the path that is meant");
            (void)snprintf(path, sizeof(path), "theirs/link%s", rows[i].rest);
            CL_CLEANUP_FD int fd = follow(in_base(path), STRANGER);
            CHECK(fd >= 0 || i == 6); /* nothing but the owner is in the way */
        } else if (i == 0 || i == 1 || i == 8) {
            CHECK(leads(path, CALLER, "/") == -EPERM); /* root's, and the link is ours */
        }
        CHECK(unlink(in_base("theirs/link")) == 0);
    }
    remove_tree();
}

TEST(links_of_proc_are_gone_by)
{
    char path[64];

    make_tree();
    CL_CLEANUP_FD int ours = open(in_base("ours"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    CL_CLEANUP_FD int gone = open(in_base("tmp"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(rmdir(in_base("tmp")) == 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/file", ours);
    CL_CLEANUP_FD int fd = follow(path, geteuid());
    CHECK(fd >= 0 && is_same(fd, in_base("ours/file")));
    (void)snprintf(path, sizeof(path), "/dev/fd/%d", gone); /* reads as "... (deleted)" */
    CL_CLEANUP_FD int other = follow(path, geteuid());
    CHECK(other >= 0);
    CHECK(mkdir(in_base("tmp"), 0755) == 0);
    remove_tree();
}

TEST(loops_and_long_paths_end)
{
    static char deep[2 * PATH_MAX];
    char own[256];

    make_tree();
    CHECK(make_link("loop", "loop", 0) && make_link("ours", "link", 0));
    CHECK(leads("loop", geteuid(), "/") == -ELOOP);
    CHECK(leads("loop/file", geteuid(), "/") == -ELOOP);
    memset(deep, 'x', 300);
    (void)snprintf(deep + 300, 16, "/y");
    CHECK(follow(deep, geteuid()) == -ENAMETOOLONG);
    (void)snprintf(deep, sizeof(deep), "%s/link/", base);
    for (size_t size = strlen(deep); size < PATH_MAX + 10; size += 2)
        memcpy(deep + size, "./", 3);
    CHECK(follow(deep, geteuid()) == -ENAMETOOLONG); /* the kernel's own answer */
    deep[PATH_MAX - 4] = '\0';
    CL_CLEANUP_FD int fd = follow(deep, geteuid());
    CHECK(fd >= 0 && is_same(fd, in_base("ours")));
    CHECK(unlink(in_base("link")) == 0);
    for (size_t size = (size_t)snprintf(own, sizeof(own), "ours"); size < 200; size += 2)
        memcpy(own + size, "/.", 3);
    CHECK(make_link(own, "link", 0));
    CHECK(follow(deep, geteuid()) == -ENAMETOOLONG); /* with what the link says */
    CHECK(follow("", geteuid()) == -ENOENT);
    remove_tree();
}

/* 1, and its text in TEXT; 0: none there; else -errno. */
static int read_if_there(const char *path, char text[8])
{
    int fd = -2;

    err = (struct cl_error){0};
    int r = cl_follow_regular_if_there(path, 7, &fd, &err);
    if (r < 0) {
        CHECK(fd == -2 && err.code == -r);
        return r;
    }
    CHECK(r == 0 && err.code == 0 && err.msg[0] == '\0');
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, 7);
    text[size < 0 ? 0 : size] = '\0';
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && close(fd) == 0);
    return 1;
}

static int write_text(const char *name, const char *text)
{
    CL_CLEANUP_FD int fd = open(in_base(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    return fd >= 0 && cl_write_all(fd, text, strlen(text)) == 0;
}

TEST(a_file_that_need_not_be_there_is_found_or_not)
{
    static const char *const none[] = {
        "none",       "none/file", "ours/none",         "ours/file/more",
        "ours/file/", "dangling",  "ours/dangling/more"};
    const int before = check_count_fds();
    char text[8] = "";

    make_tree();
    CHECK(write_text("ours/file", "seven77") && make_link("ours/file", "link", geteuid()));
    CHECK(make_link("none", "dangling", geteuid()) &&
          make_link("none", "ours/dangling", geteuid()));
    CHECK(read_if_there(in_base("ours/file"), text) == 1);
    CHECK_TEXT(text, "seven77");
    CHECK(read_if_there(in_base("link"), text) == 1);
    for (size_t i = 0; i < CL_ARRAY_SIZE(none); i++)
        CHECK(read_if_there(in_base(none[i]), text) == 0);
    CHECK(check_count_fds() == before);
    remove_tree();
}

TEST(what_is_there_and_can_not_be_taken_is_told)
{
    const int before = check_count_fds();
    char text[8];

    make_tree();
    CHECK(write_text("large", "eight888") && mkfifo(in_base("fifo"), 0600) == 0);
    CHECK(make_link("loop", "loop", geteuid()));
    CHECK(read_if_there(in_base("ours"), text) < 0);
    CHECK_HAS(err.msg, "/ours");
    CHECK(read_if_there(in_base("fifo"), text) < 0);
    CHECK_HAS(err.msg, "/fifo");
    CHECK(read_if_there(in_base("large"), text) == -EFBIG);
    CHECK_HAS(err.msg, "/large");
    CHECK(read_if_there(in_base("loop"), text) == -ELOOP);
    if (geteuid() == 0) {
        CHECK(make_link("../ours/file", "theirs/link", STRANGER));
        CHECK(read_if_there(in_base("theirs/link"), text) == -EPERM);
    }
    CHECK(check_count_fds() == before);
    remove_tree();
}

/* As somebody to whom directories and files can be closed, which they aren't to root. */
static void look_at_closed(void)
{
    char text[8];

    CHECK(geteuid() != 0 || setresuid(STRANGER, STRANGER, STRANGER) == 0);
    CHECK(read_if_there(in_base("ours/file"), text) == -EACCES);
    CHECK_HAS(err.msg, "open the file /tmp/cloister-test-follow-");
    CHECK_HAS(err.msg, "/ours/file: Permission denied");
    CHECK(read_if_there(in_base("ours/none"), text) == -EACCES); /* nobody can tell */
    CHECK(read_if_there(in_base("closed"), text) == -EACCES);
    CHECK_HAS(err.msg, "/closed: Permission denied");
    CHECK(read_if_there(in_base("none"), text) == 0);
}

TEST(what_can_not_be_reached_is_not_taken_for_missing)
{
    make_tree();
    CHECK(make_file("closed", 0) && chmod(in_base("closed"), 0) == 0);
    CHECK(chmod(base, 0755) == 0 && chmod(in_base("ours"), 0) == 0);
    check_apart(look_at_closed);
    CHECK(chmod(in_base("ours"), 0755) == 0);
    remove_tree();
}

TEST(every_failure_on_the_way_is_told)
{
#ifdef CL_FAULTS
    static const long calls[] = {SYS_openat, SYS_readlinkat};
    char fault[64];

    make_tree();
    CHECK(make_link("/etc", "link", 0));
    for (size_t i = 0; i < CL_ARRAY_SIZE(calls); i++) {
        (void)snprintf(fault, sizeof(fault), "lacks:%ld=%d", calls[i], EIO);
        cl_fault_set(fault);
        CHECK(follow(in_base("link/passwd"), geteuid()) == -EIO);
        cl_fault_set(NULL);
        CHECK_HAS(err.msg, "/link/passwd: Input/output error");
    }
    remove_tree();
#else
    SKIP_TEST("needs a build with faults");
#endif
}

TEST(sudo_names_the_caller)
{
    static const struct {
        const char *text;
        uint32_t uid;
    } rows[] = {{"1000", 1000},    {"", 0},
                {"alice", 0},      {"-1", 0},
                {"4294967295", 0}, {"4294967294", 4294967294U},
                {"1000 ", 0},      {"99999999999999999999", 0}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(setenv("SUDO_UID", rows[i].text, 1) == 0);
        CHECK(cl_follow_caller() == rows[i].uid);
    }
    CHECK(unsetenv("SUDO_UID") == 0);
    CHECK(cl_follow_caller() == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(without_links_everybodys_directories_are_passed),
        ROW(roots_and_the_callers_links_lead_anywhere),
        ROW(relative_paths_start_at_the_working_directory),
        ROW(a_strangers_link_leads_to_what_is_theirs),
        ROW(a_strangers_link_leads_nowhere_else),
        ROW(links_of_proc_are_gone_by),
        ROW(loops_and_long_paths_end),
        ROW(a_file_that_need_not_be_there_is_found_or_not),
        ROW(what_is_there_and_can_not_be_taken_is_told),
        ROW(what_can_not_be_reached_is_not_taken_for_missing),
        ROW(every_failure_on_the_way_is_told),
        ROW(sudo_names_the_caller),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
