/* jail_tree_scene.h - what test_jail_tree.c and test_jail_tree_files.c share. */
#ifndef CL_TESTS_UNIT_JAIL_TREE_SCENE_H
#define CL_TESTS_UNIT_JAIL_TREE_SCENE_H

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "helpers/common/jail.h"
#include "helpers/image/unpack.h"
#include "image/jailed.h"
#include "proc_status.h"

enum { SOMEBODY = 12345, UID_BASE = 0x50000000, LEAKED_FD = 2, CHANNEL = 3 };
enum { NO_JAIL = 200, WRONG = 201, STATUS_SIZE = 4096 };

/* --- in the jail ---------------------------------------------------------------------------- */

enum how { OUTSIDE, UNFILTERED, FILTERED };

static int status_fd = -1; /* of /proc/self/status, opened before */

static inline int result(int r)
{
    return r < 0 ? errno : 0;
}

static inline int open_absolute(void)
{
    return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static inline int open_upwards(void)
{
    return result(open("../../../../../../../etc/passwd", O_RDONLY | O_CLOEXEC));
}

static inline int open_process(void)
{
    return result(open("/proc/self/root/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static inline int open_leaked(void)
{
    return result(openat(LEAKED_FD, "passwd", O_RDONLY | O_CLOEXEC));
}

static inline int make_socket(void)
{
    return result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/* Of an address that the host itself has. */
static inline int bind_to_the_host(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? errno : result(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
}

static inline int start_process(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return result(pid);
}

/* A program that lies in the tree. */
static inline int run_program(void)
{
    char *const argv[] = {cl_unconst("true"), NULL};
    char *const envp[] = {NULL};

    (void)execve("program", argv, envp);
    return errno;
}

static inline int mount_something(void)
{
    return result(mount("none", ".", "tmpfs", 0, NULL));
}

static inline int make_namespace(void)
{
    return -cl_sys_unshare(CLONE_NEWNS);
}

static inline int make_device(void)
{
    int r = result(mknod("device", S_IFCHR | 0666, makedev(1, 3)));

    (void)unlink("device");
    return r;
}

/* One that lies in the tree. */
static inline int open_device(void)
{
    return result(open("null", O_RDONLY | O_CLOEXEC));
}

static inline int signal_parent(void)
{
    return result(kill(getppid(), 0));
}

static inline int change_root(void)
{
    return result(chroot("/"));
}

static inline int change_user(void)
{
    return result(setresuid(1, 1, 1));
}

/* A user of a single id has no other. */
static inline int change_group(void)
{
    return result(setresgid(0, 0, 0)) == 0 ? result(setgroups(0, NULL)) : errno;
}

struct attempt {
    const char *what;
    int (*attempt)(void);
    int inside;   /* errno, without the filter */
    int as_root;  /* outside it takes root */
    int host;     /* outside it would change the host: not tried there */
    int landlock; /* the ABI that it takes */
};

static const struct attempt attempts[] = {
    {"open a file of the host", open_absolute, ENOENT, 0, 0, 0},
    {"open a file of the host upwards", open_upwards, ENOENT, 0, 0, 0},
    {"open a file of the host by /proc", open_process, ENOENT, 0, 0, 0},
    {"open a file below a leaked directory", open_leaked, EACCES, 0, 0, 1},
    {"reach the host's network", bind_to_the_host, ENETUNREACH, 0, 0, 0},
    {"start a process", start_process, EAGAIN, 0, 0, 0},
    {"run a program", run_program, EACCES, 0, 0, 0},
    {"mount something", mount_something, EPERM, 1, 1, 0},
    {"make a mount namespace", make_namespace, EPERM, 1, 0, 0},
    {"make a device", make_device, EPERM, 1, 0, 0},
    {"open a device", open_device, EACCES, 1, 0, 0},
    {"signal the parent", signal_parent, EPERM, 0, 0, 6},
    {"change the root", change_root, EPERM, 1, 0, 0},
    {"become another user", change_user, EPERM, 1, 0, 0},
    {"leave its groups", change_group, EPERM, 1, 0, 0},
};

/* --- what it may ---------------------------------------------------------------------------- */

/* 0, or the line that went wrong. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__ % 100 + 100;                                                           \
    } while (0)

/* With the calls of who unpacks alone: those of the C library that are others would end it. */
static inline int make_files(void)
{
    CL_CLEANUP_FD int root = openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(root >= 0);
    CL_CLEANUP_FD int file = openat(root, "own", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    MUST(file >= 0);
    MUST(pwrite(file, "hello", 5, 0) == 5);
    MUST(cl_sys_mkdirat(root, "directory", 0700) == 0);
    MUST(cl_sys_symlinkat("/etc/passwd", root, "link") == 0);
    MUST(cl_sys_linkat(root, "own", root, "directory/hard", 0) == 0);
    MUST(cl_sys_fchmod(file, 04755) == 0);
    MUST(cl_sys_openat(root, "link", O_RDONLY, 0) == -ENOENT); /* the tree's own /etc */
    return 0;
}

static inline int give_files(int uid)
{
    CL_CLEANUP_FD int file =
        openat(AT_FDCWD, "/given", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (file < 0)
        return errno;
    return -cl_sys_fchown(file, (uid_t)uid, (gid_t)uid);
}

static inline int give_to_zero(void)
{
    return give_files(0);
}

static inline int give_to_one(void)
{
    return give_files(1);
}

static inline int give_to_the_last(void)
{
    return give_files(65535);
}

static inline int give_to_one_beyond(void)
{
    return give_files(65536);
}

/* A capability of a file is of the user namespace that set it (capabilities(7), "Namespaced
 * file capabilities"), and the mount lends none. */
static inline int check_mount_flags(void)
{
    struct statvfs fs;

    MUST(statvfs("/", &fs) == 0);
    MUST((fs.f_flag & ST_NOSUID) != 0 && (fs.f_flag & ST_NODEV) != 0 &&
         (fs.f_flag & ST_NOEXEC) != 0);
    MUST((fs.f_flag & ST_RDONLY) == 0);
    return 0;
}

/* Nothing but what it was given, and the channel is closed. */
static inline int check_descriptors(void)
{
    int count = 0;

    MUST(fcntl(CHANNEL, F_GETFD) < 0);
    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    MUST(count == 2); /* what was leaked, and the status */
    return 0;
}

static inline int check_identity(void)
{
    char text[STATUS_SIZE] = "";

    MUST(getuid() == 0 && geteuid() == 0 && getgid() == 0 && getegid() == 0);
    MUST(pread(status_fd, text, sizeof(text) - 1, 0) > 0);
    /* chown, dac_override, fowner, fsetid, setfcap */
    MUST(strstr(text, "\nCapInh:\t0000000000000000\nCapPrm:\t000000008000001b\n"
                      "CapEff:\t000000008000001b\n") != NULL);
    MUST(strstr(text, "\nCapAmb:\t0000000000000000\n") != NULL);
    MUST(strstr(text, "\nNoNewPrivs:\t1\n") != NULL);
    MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    return 0;
}

static inline int sleep_for_ever(void)
{
    CL_CLEANUP_FD int root = openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char word = 'x';

    MUST(root >= 0 && write(LEAKED_FD, &word, 1) == 1);
    for (;;)
        (void)getdents64(root, cl_unconst(""), 0); /* a call that is allowed and does nothing */
}

enum deed { MAKE, GIVE_0, GIVE_1, GIVE_LAST, GIVE_BEYOND, FLAGS, DESCRIPTORS, IDENTITY, SLEEP };

static int (*const deeds[])(void) = {
    [MAKE] = make_files,
    [GIVE_0] = give_to_zero,
    [GIVE_1] = give_to_one,
    [GIVE_LAST] = give_to_the_last,
    [GIVE_BEYOND] = give_to_one_beyond,
    [FLAGS] = check_mount_flags,
    [DESCRIPTORS] = check_descriptors,
    [IDENTITY] = check_identity,
    [SLEEP] = sleep_for_ever,
};

/* --- this program as the helper --------------------------------------------------------------- */

static inline int enter(enum how how, const char *fault)
{
    struct cl_jail jail = {.keep_fds = CHANNEL + 1,
                           .root = CL_JAIL_TREE,
                           .channel = CHANNEL,
                           .calls = cl_unpack_calls,
                           .call_count = cl_unpack_call_count};
    struct cl_error err = {0};

    status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC); /* becomes 0 */
    if (how == OUTSIDE)
        return 0;
    cl_fault_set(fault);
    int r = how == FILTERED ? cl_jail_enter(&jail, &err) : cl_jail_enter_unfiltered(&jail, &err);
    int struck = cl_fault_struck();
    if (how == UNFILTERED)
        cl_fault_set(NULL);
    if (r < 0)
        _exit(err.msg[0] == '\0' ? WRONG : NO_JAIL);
    return struck ? WRONG : 0;
}

/* "test act HOW (attempt|deed) NUMBER [FAULT]" */
CL_NORETURN static void act(char *argv[])
{
    const enum how how = (enum how)strtol(argv[2], NULL, 10);
    const long number = strtol(argv[4], NULL, 10);
    int r = enter(how, argv[5]);

    if (r == 0)
        r = argv[3][0] == 'a' ? attempts[number].attempt() : deeds[number]();
    _exit(r);
}

/* --- starting it --------------------------------------------------------------------------------
 */

enum who { ROOT, USER };

static const char *const people[] = {"root", "an ordinary user"};

struct scene {
    char dir[32];
    char program[64];
    enum who who;
    int tree;
    int before;
    int leaked; /* descriptor 2 of the helper; -1: none */
    const char *fault;
    struct cl_error err;
};

static inline void copy_file(const char *from, const char *to)
{
    CL_CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC);
    CL_CLEANUP_FD int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ssize_t put = 1;

    CHECK(in >= 0 && out >= 0);
    while (put > 0)
        put = cl_sys_sendfile(out, in, 1 << 24);
    CHECK(put == 0 && fchmod(out, 0755) == 0);
}

/* A directory with a tree in it, and this program beside it, where an ordinary user finds it. */
static inline void scene_init(struct scene *scene, enum who who)
{
    char path[64];

    *scene =
        (struct scene){.dir = "/tmp/cl-test-tree-XXXXXX", .who = who, .tree = -1, .leaked = -1};
    scene->before = check_count_fds();
    CHECK(mkdtemp(scene->dir) != NULL);
    (void)snprintf(scene->program, sizeof(scene->program), "%s/program", scene->dir);
    copy_file("/proc/self/exe", scene->program);
    (void)snprintf(path, sizeof(path), "%s/tree", scene->dir);
    CHECK(mkdir(path, 0755) == 0);
    scene->tree = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof(path), "%s/tree/program", scene->dir);
    copy_file("/bin/true", path);
    if (geteuid() != 0)
        return;
    (void)snprintf(path, sizeof(path), "%s/tree/null", scene->dir);
    CHECK(mknod(path, S_IFCHR | 0666, makedev(1, 3)) == 0 && chmod(path, 0666) == 0);
    if (who == USER) {
        CHECK(fchown(scene->tree, SOMEBODY, SOMEBODY) == 0);
        CHECK(chown(scene->dir, SOMEBODY, SOMEBODY) == 0);
    }
}

static inline void scene_done(struct scene *scene)
{
    char command[64];

    cl_fd_close(&scene->tree);
    (void)snprintf(command, sizeof(command), "rm -rf %s", scene->dir);
    CHECK(system(command) == 0); // NOLINT(cert-env33-c): a directory of our own
    CHECK(check_count_fds() == scene->before);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static inline int start(struct scene *scene, enum how how, const char *kind, size_t number,
                        struct cl_child *ret)
{
    char how_text[8];
    char number_text[24];
    char *argv[] = {cl_unconst("test"), cl_unconst("act"),        how_text, cl_unconst(kind),
                    number_text,        cl_unconst(scene->fault), NULL};
    const int fds[CHANNEL] = {-1, -1, scene->leaked};
    const struct cl_jailed jailed = {.program = scene->program,
                                     .argv = argv,
                                     .fds = fds,
                                     .fd_count = CL_ARRAY_SIZE(fds),
                                     .directory = scene->tree,
                                     .uid_base = scene->who == ROOT ? UID_BASE : 0};
    const struct cl_child_start outside = {.path = scene->program,
                                           .argv = argv,
                                           .envp = argv + 6,
                                           .fds = fds,
                                           .fd_count = CL_ARRAY_SIZE(fds),
                                           .cwd = scene->tree};

    (void)snprintf(how_text, sizeof(how_text), "%d", (int)how);
    (void)snprintf(number_text, sizeof(number_text), "%zu", number);
    scene->err = (struct cl_error){0};
    return how == OUTSIDE ? cl_child_start(&outside, ret, &scene->err)
                          : cl_jailed_start(&jailed, ret, &scene->err);
}

/* How it ended: its exit status, or 1000 and the signal. -errno: it didn't start. */
static inline int outcome(struct scene *scene, enum how how, const char *kind, size_t number)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    siginfo_t info = {0};
    int r = start(scene, how, kind, number, &child);

    if (r == 0)
        r = cl_child_wait(&child, &info, &scene->err);
    if (r < 0)
        return r;
    return info.si_code == CLD_EXITED ? info.si_status : 1000 + info.si_status;
}

/* Of a process of SOMEBODY, where the test is root and who it is about isn't. */
static inline int run(struct scene *scene, enum how how, const char *kind, size_t number)
{
    int ends[2];
    int r = INT_MIN;

    if (scene->who == ROOT || geteuid() != 0)
        return outcome(scene, how, kind, number);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 ||
            setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0)
            _exit(1);
        r = outcome(scene, how, kind, number);
        (void)!write(ends[1], &r, sizeof(r));
        _exit(0);
    }
    cl_fd_close(&ends[1]);
    CHECK(read(ends[0], &r, sizeof(r)) == sizeof(r));
    cl_fd_close(&ends[0]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    return r;
}

static inline int can_be(enum who who)
{
    return who == USER || geteuid() == 0;
}

#define NEED_NAMESPACES()                                                                          \
    do {                                                                                           \
        if (!host_lets_us_unshare())                                                               \
            SKIP_TEST("this host lets us make no user namespace");                                 \
    } while (0)

/* --- what it can't -------------------------------------------------------------------------- */

static inline void check_attempt(struct scene *scene, size_t i)
{
    const struct attempt *attempt = &attempts[i];
    if (attempt->attempt == open_device && geteuid() != 0)
        return; /* there is none to open */
    int outside = attempt->host || (attempt->as_root && (scene->who == USER || geteuid() != 0))
                      ? 0
                      : run(scene, OUTSIDE, "attempt", i);
    int unfiltered = run(scene, UNFILTERED, "attempt", i);
    if (unfiltered == EINVAL && attempt->attempt == change_user && scene->who == USER)
        unfiltered = EPERM; /* a single id is all there is */
    int filtered = run(scene, FILTERED, "attempt", i);
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    CHECK(outside == 0);
    CHECK(unfiltered == attempt->inside || attempt->landlock > abi);
    /* by SIGSYS where the call isn't one that unpacking takes */
    CHECK(filtered == unfiltered || filtered == 1000 + SIGSYS);
    if (outside != 0 || unfiltered != attempt->inside)
        printf("# %s: %s: %d outside, %d below the filter, %d in it\n", people[scene->who],
               attempt->what, outside, unfiltered, filtered);
}

/* --- what it can ---------------------------------------------------------------------------- */

static inline struct stat stat_of(const struct scene *scene, const char *path)
{
    struct stat status = {0};

    CHECK(fstatat(scene->tree, path, &status, AT_SYMLINK_NOFOLLOW) == 0);
    return status;
}

static inline uid_t own_uid(const struct scene *scene)
{
    return geteuid() != 0 ? geteuid() : scene->who == ROOT ? 0 : SOMEBODY;
}

/* --- its end ---------------------------------------------------------------------------------- */

/* As SOMEBODY or root: starts one that sleeps, tells so, and is killed. */
static inline pid_t start_starter(struct scene *scene, int word)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct cl_child child = CL_CHILD_INIT;

        if (scene->who == USER && geteuid() == 0 &&
            (setgroups(0, NULL) < 0 || setresgid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 ||
             setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0))
            _exit(1);
        scene->leaked = word;
        if (start(scene, FILTERED, "deed", SLEEP, &child) < 0)
            _exit(1);
        cl_fd_close(&scene->leaked);
        for (;;)
            (void)pause();
    }
    return pid;
}

/* --- what fails ----------------------------------------------------------------------------------
 */

#endif
