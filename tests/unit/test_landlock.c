/* test_landlock.c - the domain, put on a process that is confined by nothing else.
 * Its root is the test's: a directory of the room. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "room.h"

static struct room room;

static const struct cl_plan_file files[] = {
    {.kind = CL_FILE_BIND, .mode = CL_FILE_RO, .source = "/", .target = "/ro"},
    {.kind = CL_FILE_BIND, .mode = CL_FILE_RW, .source = "/", .target = "/rw"},
    {.kind = CL_FILE_BIND, .mode = CL_FILE_RW, .source = "/", .target = "/single"},
    {.kind = CL_FILE_TMPFS, .mode = CL_FILE_RW, .source = "", .target = "/fs"},
};

/* Mounts DIR on itself; the sandbox may write there when it is WRITABLE. */
static void attach(const char *dir, int writable)
{
    CL_CLEANUP_FD int tree = cl_tree_clone(AT_FDCWD, dir, 0, &room.err);
    CL_CLEANUP_FD int target = cl_sys_openat(AT_FDCWD, dir, O_PATH, 0);
    int r = writable ? cl_tree_attach_writable(&room.container, tree, target, dir, &room.err)
                     : cl_tree_attach(tree, target, dir, &room.err);

    CHECK(tree >= 0 && r == 0);
}

static int leaked = -1; /* a directory that is not below the new root */

static void make_root(void)
{
    static const char *const dirs[] = {"dev", "dev/shm", "tmp", "srv", "ro", "rw", "fs", "proc"};
    char path[64];

    room_set_up(&room);
    room.plan.workdir = "/srv";
    room.plan.files = (struct cl_files){files, CL_ARRAY_SIZE(files)};
    CHECK(mkdir("/mnt/root", 0755) == 0 && mkdir("/mnt/outside", 0755) == 0);
    CHECK(room_write("/mnt/outside/secret", "x") == 0);
    leaked = cl_sys_openat(AT_FDCWD, "/mnt/outside", O_RDONLY | O_DIRECTORY, 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(dirs); i++) {
        (void)snprintf(path, sizeof(path), "/mnt/root/%s", dirs[i]);
        CHECK(mkdir(path, 0755) == 0);
        (void)snprintf(path, sizeof(path), "/mnt/root/%s/file", dirs[i]);
        CHECK(room_write(path, "x") == 0);
        (void)snprintf(path, sizeof(path), "/mnt/root/%s", dirs[i]);
        attach(path, strcmp(dirs[i], "ro") != 0);
    }
    CHECK(room_write("/mnt/root/single", "x") == 0);
    attach("/mnt/root/single", 1);
    CHECK(room_write("/mnt/root/ro/null", "") == 0);
    CHECK(mount("/dev/null", "/mnt/root/ro/null", NULL, MS_BIND, NULL) == 0);
    CHECK(chroot("/mnt/root") == 0 && chdir("/") == 0);
}

static int restrict_now(void)
{
    return cl_landlock_restrict(&room.container, &room.err);
}

static int can_make(const char *dir)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/new", dir);
    return room_write(path, "x") == 0;
}

/* What /dev/null says to a request that it doesn't know, or who asks first. */
static int ask_device(void)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/ro/null", O_RDONLY, 0);
    struct winsize size;

    return cl_sys_ioctl(fd, TIOCGWINSZ, &size);
}

/* What later kernels can refuse as well: landlock(7). */
static void meet_later_rights(void)
{
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    CHECK(abi < 3 || (truncate("/ro/file", 0) < 0 && errno == EACCES));
    CHECK(abi < 5 || ask_device() == -EACCES);
}

static void confine(void)
{
    static const char *const writable[] = {"/tmp", "/dev/shm", "/srv", "/rw", "/fs"};
    static const char *const closed[] = {"", "/ro", "/dev", "/proc"};
    char text[8];

    make_root();
    for (size_t i = 0; i < CL_ARRAY_SIZE(closed); i++)
        CHECK(can_make(closed[i])); /* nothing else forbids it */
    CHECK(faccessat(leaked, "secret", R_OK, 0) == 0 && unlink("/ro/new") == 0);
    CHECK(truncate("/ro/file", 1) == 0 && ask_device() == -ENOTTY);
    CHECK(mknod("/tmp/node", S_IFCHR, 0) == 0 && unlink("/tmp/node") == 0); /* of no number */
    CHECK(restrict_now() == 0);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_LANDLOCK)) != 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(writable); i++)
        CHECK(can_make(writable[i]));
    CHECK(room_write("/ro/new", "x") == -EACCES && room_write("/another", "x") == -EACCES);
    CHECK(unlink("/ro/file") < 0 && errno == EACCES);
    CHECK(room_write("/dev/another", "x") == -EACCES && room_write("/dev/file", "x") == 0);
    CHECK(room_write("/proc/another", "x") == -EACCES && room_write("/proc/file", "x") == 0);
    CHECK(room_write("/single", "y") == 0);
    CHECK(room_read(AT_FDCWD, "/ro/file", text, sizeof(text)) == 0);
    CHECK(mkdir("/tmp/dir", 0755) == 0 && rename("/tmp/new", "/tmp/dir/moved") == 0);
    CHECK(mknod("/tmp/node", S_IFCHR, 0) < 0 && errno == EACCES);
    CHECK(symlink("x", "/tmp/link") == 0 && mkfifo("/tmp/fifo", 0600) == 0);
    CHECK(room_read(leaked, "secret", text, sizeof(text)) == -EACCES); /* below no rule */
    meet_later_rights();
}

TEST(files_are_reached_by_rule)
{
    room_run(confine);
}

/* The image's /tmp leads to a read-only volume, its /var/tmp into a writable one, its
 * /dev/shm nowhere; over /rw another mount has come. */
static void follow_links(void)
{
    char text[8];

    make_root();
    CHECK(umount2("/tmp", MNT_DETACH) == 0 && umount2("/dev/shm", MNT_DETACH) == 0);
    room.container.writable_count = 0; /* numbers of mounts that went come again */
    attach("/srv", 1);
    attach("/fs", 1);
    attach("/rw", 1);
    CHECK(unlink("/tmp/file") == 0 && rmdir("/tmp") == 0 && symlink("ro", "/tmp") == 0);
    CHECK(mkdir("/rw/deeper", 0755) == 0 && mkdir("/var", 0755) == 0);
    CHECK(symlink("/rw/deeper", "/var/tmp") == 0);
    attach("/rw", 0);
    CHECK(unlink("/dev/shm/file") == 0 && rmdir("/dev/shm") == 0);
    CHECK(symlink("shm", "/dev/shm") == 0);
    CHECK(can_make("/tmp") && can_make("/var/tmp") && can_make("/rw"));
    CHECK(unlink("/tmp/new") == 0 && unlink("/var/tmp/new") == 0 && unlink("/rw/new") == 0);
    CHECK(restrict_now() == 0);
    CHECK(room_write("/tmp/new", "x") == -EACCES && room_write("/ro/new", "x") == -EACCES);
    CHECK(room_write("/var/tmp/new", "x") == -EACCES);
    CHECK(room_write("/rw/new", "x") == -EACCES);
    CHECK(room_read(AT_FDCWD, "/tmp/file", text, sizeof(text)) == 0);
    CHECK(can_make("/srv") && can_make("/fs"));
}

TEST(the_images_links_lead_no_rule_elsewhere)
{
    room_run(follow_links);
}

/* A link by which the mount itself went leads to it again. */
static void follow_to_the_mount(void)
{
    make_root();
    CHECK(mkdir("/real", 0755) == 0 && umount2("/fs", MNT_DETACH) == 0);
    CHECK(unlink("/fs/file") == 0 && rmdir("/fs") == 0 && symlink("real", "/fs") == 0);
    attach("/real", 1);
    CHECK(restrict_now() == 0);
    CHECK(can_make("/fs") && can_make("/real"));
}

TEST(a_mount_is_found_by_the_link_it_went_by)
{
    room_run(follow_to_the_mount);
}

static void write_the_root(void)
{
    make_root();
    room.plan.root_mode = CL_ROOT_WRITABLE;
    CHECK(restrict_now() == 0);
    CHECK(can_make("") && can_make("/dev"));
    CHECK(faccessat(leaked, "secret", F_OK, 0) == 0);
    char text[8];
    CHECK(room_read(leaked, "secret", text, sizeof(text)) == -EACCES);
}

TEST(a_writable_root_is_written)
{
    room_run(write_the_root);
}

static void leave_out(void)
{
    make_root();
    room.plan.without = CL_LAYER_BIT(CL_LAYER_LANDLOCK);
    CHECK(restrict_now() == 0 && can_make("/ro"));
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_LANDLOCK)) == 0);
}

TEST(a_layer_that_is_left_out_restricts_nothing)
{
    room_run(leave_out);
}

/* --- scopes ----------------------------------------------------------------------------- */

struct listener {
    int fd;
    struct sockaddr_un address;
    socklen_t size;
};

/* unix(7): what is bound without a name gets an abstract one. */
static struct listener listen_abstract(void)
{
    struct listener made = {.address = {.sun_family = AF_UNIX}, .size = sizeof(made.address)};
    struct sockaddr *address = (struct sockaddr *)&made.address;

    made.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(made.fd, address, sizeof(sa_family_t)) == 0 && listen(made.fd, 8) == 0);
    CHECK(getsockname(made.fd, address, &made.size) == 0);
    return made;
}

static int reach(const struct listener *listener)
{
    CL_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *address = (const struct sockaddr *)&listener->address;

    return connect(fd, address, listener->size) < 0 ? -errno : 0;
}

static int end_a_child(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)pause(); /* returns only after a signal */
        _exit(1);
    }
    if (kill(child, SIGKILL) < 0)
        return -errno;
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) ? 0 : -ECHILD;
}

/* The process of the room stays outside, in the same pid and network namespace. */
static void reach_out(const struct listener *outside)
{
    CHECK(kill(getppid(), 0) == 0 && reach(outside) == 0);
    CHECK(restrict_now() == 0);
    CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
    CHECK(reach(outside) == -EPERM);
    struct listener inside = listen_abstract();
    CHECK(reach(&inside) == 0 && end_a_child() == 0);
    cl_fd_close(&inside.fd);
}

static void stay_in(void)
{
    int status = -1;

    make_root();
    struct listener outside = listen_abstract();
    pid_t child = fork();
    if (child == 0) {
        reach_out(&outside);
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    cl_fd_close(&outside.fd);
}

TEST(signals_and_abstract_sockets_end_at_the_domain)
{
    if (cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION) < 6)
        SKIP_TEST("this kernel's Landlock has no scopes (ABI 6, Linux 6.12)");
    room_run(stay_in);
}

#ifdef CL_FAULTS
static void lack(void)
{
    char fault[64];

    make_root();
    (void)snprintf(fault, sizeof(fault), "lacks:%d", SYS_landlock_create_ruleset);
    cl_fault_set(fault);
    CHECK(restrict_now() == -ENOTSUP);
    CHECK_HAS(room.err.msg, "--without landlock accepts that");
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_landlock_create_ruleset, EPERM);
    cl_fault_set(fault);
    CHECK(restrict_now() == -EPERM);
    CHECK_HAS(room.err.msg, "Landlock's version");
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_landlock_restrict_self, E2BIG);
    cl_fault_set(fault);
    CHECK(restrict_now() == -E2BIG); /* more domains than the kernel allows */
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_LANDLOCK)) == 0);
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_statx, ENOMEM);
    cl_fault_set(fault);
    CHECK(restrict_now() == -ENOMEM); /* what can't be found out is no "no" */
    CHECK_HAS(room.err.msg, "which mount is at /");
    cl_fault_set(NULL);
    CHECK(can_make("/ro"));
}
#endif

#ifdef CL_FAULTS
/* Only what the kernel says of itself is changed: who went on would get a domain. */
static void be_old(void)
{
    char fault[64];

    make_root();
    (void)snprintf(fault, sizeof(fault), "answers:%d#1=1", SYS_landlock_create_ruleset);
    cl_fault_set(fault);
    CHECK(restrict_now() == -ENOTSUP);
    CHECK_TEXT(room.err.msg, "this kernel's Landlock is ABI 1 and at least 2 is needed "
                             "(Linux 5.19); --without landlock accepts that");
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_LANDLOCK)) == 0 && can_make("/ro"));
    (void)snprintf(fault, sizeof(fault), "answers:%d#1=2", SYS_landlock_create_ruleset);
    cl_fault_set(fault);
    CHECK(unlink("/ro/new") == 0);
    CHECK(restrict_now() == 0);
    CHECK(cl_fault_struck() && !can_make("/ro"));
    cl_fault_set(NULL);
}
#endif

TEST(a_kernel_that_is_too_old_is_told)
{
#ifdef CL_FAULTS
    room_run(be_old);
#else
    SKIP_TEST("needs a build with faults");
#endif
}

TEST(a_kernel_without_it_is_told)
{
#ifdef CL_FAULTS
    room_run(lack);
#else
    SKIP_TEST("needs a build with faults");
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(files_are_reached_by_rule),
        ROW(the_images_links_lead_no_rule_elsewhere),
        ROW(a_mount_is_found_by_the_link_it_went_by),
        ROW(a_writable_root_is_written),
        ROW(a_layer_that_is_left_out_restricts_nothing),
        ROW(signals_and_abstract_sockets_end_at_the_domain),
        ROW(a_kernel_that_is_too_old_is_told),
        ROW(a_kernel_without_it_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
