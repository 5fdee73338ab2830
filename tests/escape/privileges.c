/*
 * Attack: use what a set-uid bit, a file capability, a forgotten capability set or an unlocked
 *   securebit gives. Started as the sandboxed command, or as the privileged file itself.
 * Layer: capabilities, no-new-privs, nosuid, securebits, seccomp, userns, rlimits.
 * Source: capabilities(7), PR_SET_NO_NEW_PRIVS(2const), user_namespaces(7).
 */
#include "attack.h"

static char *status_field(const char *name)
{
    static char text[8192];
    char key[32], *at;
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (n <= 0)
        impossible("/proc/self/status: %s", strerror(errno));
    text[n] = 0;
    close(fd);
    snprintf(key, sizeof key, "\n%s:\t", name);
    at = strstr(text, key);
    if (!at)
        impossible("/proc/self/status has no %s", name);
    return at + strlen(key);
}

/* args: the mask that is allowed, in hexadecimal; none when missing */
static void capability_sets(char **args)
{
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    unsigned long long allowed = args[0] ? strtoull(args[0], NULL, 16) : 0;

    for (size_t i = 0; i < 5; i++) {
        unsigned long long set = strtoull(status_field(sets[i]), NULL, 16);

        if (set & ~allowed)
            escaped("%s is %llx", sets[i], set);
    }
    held("all sets are within %llx", allowed);
}

static void bounding(char **args)
{
    for (int cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            escaped("capability %d is in the bounding set", cap);
    held("the bounding set is empty");
}

static void no_new_privs(char **args)
{
    if (strtol(status_field("NoNewPrivs"), NULL, 10) != 1)
        escaped("no_new_privs is off");
    held("no_new_privs is on");
}

static void filter(char **args)
{
    long mode = strtol(status_field("Seccomp"), NULL, 10);

    if (mode != 2)
        escaped("seccomp mode is %ld", mode);
    held("seccomp mode is 2");
}

static void securebits(char **args)
{
    int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);

    if (bits < 0 && is_refusal(errno))
        impossible("PR_GET_SECUREBITS: %s", strerror(errno));
    if ((bits & 0xf) != 0xf && (bits & 0x3) != 0x3) /* NOROOT and its lock at least */
        escaped("securebits are %x", (unsigned)bits);
    held("securebits are %x", (unsigned)bits);
}

static void root_inside(char **args)
{
    uid_t real, effective, saved;

    if (getresuid(&real, &effective, &saved) < 0)
        impossible("getresuid: %s", strerror(errno));
    if (!real || !effective || !saved || !getegid())
        escaped("uids %u %u %u, gid %u", real, effective, saved, getegid());
    held("uids %u %u %u, gid %u", real, effective, saved, getegid());
}

static void become_root(char **args)
{
    if (setuid(0) == 0 || setresuid(0, 0, 0) == 0 || setreuid(0, 0) == 0)
        escaped("became uid 0");
    held("setuid(0): %s", strerror(errno));
}

static void groups(char **args)
{
    gid_t list[256];
    int n = getgroups(256, list);

    for (int i = 0; i < n; i++)
        if (list[i] == 0)
            escaped("group 0 came along");
    if (setgroups(0, NULL) == 0)
        escaped("dropped the groups, and with them what is denied to a group");
    held("%d groups, setgroups: %s", n, strerror(errno));
}

/* This file has a set-uid or set-gid bit. */
static void setuid_file(char **args)
{
    uid_t real, effective, saved;
    gid_t rgid, egid, sgid;
    struct stat st;

    if (stat("/proc/self/exe", &st) < 0)
        impossible("stat: %s", strerror(errno));
    if (!(st.st_mode & (S_ISUID | S_ISGID)))
        impossible("this file has neither bit (mode %o)", st.st_mode);
    if (getresuid(&real, &effective, &saved) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
        impossible("getresuid: %s", strerror(errno));
    if (real != effective || real != saved || rgid != egid || rgid != sgid)
        escaped("uids %u %u %u, gids %u %u %u", real, effective, saved, rgid, egid, sgid);
    held("uids %u %u %u, gids %u %u %u", real, effective, saved, rgid, egid, sgid);
}

/* This file carries a file capability. */
static void capability_file(char **args)
{
    unsigned long long set = strtoull(status_field("CapEff"), NULL, 16);

    if (set)
        escaped("the file's capability gave %llx", set);
    held("no capability");
}

static void core_dump(char **args)
{
    struct rlimit limit, none = {RLIM_INFINITY, RLIM_INFINITY};

    if (getrlimit(RLIMIT_CORE, &limit) < 0)
        impossible("getrlimit: %s", strerror(errno));
    /* 1 is the number that keeps a core_pattern's program from being started; see core_helper. */
    if (limit.rlim_max > 1)
        escaped("a core of %llu bytes is allowed", (unsigned long long)limit.rlim_max);
    /* The filter answers with success and does nothing. */
    if (setrlimit(RLIMIT_CORE, &none) == 0 && getrlimit(RLIMIT_CORE, &limit) == 0 &&
        limit.rlim_cur > 1)
        escaped("the core limit could be raised to %llu", (unsigned long long)limit.rlim_cur);
    held("no core dumps");
}

/* Whether the host's core_pattern is the name of a file, of which a limit of 0 makes nothing. */
static int pattern_is_file(void)
{
    char kind = '|';
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, &kind, 1) != 1)
        kind = '|';
    if (fd >= 0)
        close(fd);
    return kind != '|' && kind != '@';
}

/*
 * A core_pattern that is a pipe starts a program of the host, as root and outside, with the core of
 * whoever crashes: for every soft limit but 1, for 0 too (core(5), fs/coredump.c). A hard limit
 * that was 0 for our caller can't become 1; a caller with a pipe is refused then (test_core.py).
 */
static void core_helper(char **args)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit) < 0)
        impossible("getrlimit: %s", strerror(errno));
    limit.rlim_cur = 0;
    (void)setrlimit(RLIMIT_CORE, &limit);
    (void)syscall(SYS_prlimit64, 0L, (long)RLIMIT_CORE, &limit, NULL);
    if (getrlimit(RLIMIT_CORE, &limit) < 0)
        impossible("getrlimit: %s", strerror(errno));
    if (limit.rlim_cur == 0 && limit.rlim_max == 0 && pattern_is_file())
        held("the limit is none, and no program is there to be started");
    if (limit.rlim_cur != 1)
        escaped("the host's core_pattern gets our core: the limit is %llu",
                (unsigned long long)limit.rlim_cur);
    held("the limit stays 1");
}

ATTACK({"capability_sets", capability_sets}, {"bounding", bounding}, {"no_new_privs", no_new_privs},
       {"seccomp_mode", filter}, {"securebits", securebits}, {"root_inside", root_inside},
       {"become_root", become_root}, {"groups", groups}, {"setuid_file", setuid_file},
       {"capability_file", capability_file}, {"core_dump", core_dump}, {"core_helper", core_helper})
