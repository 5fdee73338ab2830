/* The jail of cloister-fetch.
 *
 * It assumes that curl, OpenSSL, jansson or the C library's resolver is taken over by
 * what a server sent, and leaves the winner: sockets of the internet families, the descriptors
 * that the core hands over, and a few files of the host that everybody may read.
 *
 *   no privilege   as root, a change to an id of its own; no capabilities; no new ones by exec
 *   Landlock       reading below the places in `readable` alone; nothing is written, made or
 *                  executed; no TCP port is opened; no signal and no abstract socket reaches
 *                  out of here. It is insisted on, for the files of an ordinary user are open
 *                  to what runs as that user, and nothing else here hides them by name
 *   seccomp        a list of calls; what isn't on it doesn't exist (ENOSYS), and what only an
 *                  attacker would try ends the process. No sockets of the family AF_UNIX: an
 *                  ordinary user's session (D-Bus, systemd, ssh-agent) listens there for
 *                  whoever has his uid, and Landlock doesn't know paths of sockets
 *   limits         of memory, descriptors, no core
 *
 * Names are looked up by "files dns", whatever /etc/nsswitch.conf says: both are in the C
 * library itself, so no module is loaded, and mapping code can be forbidden. What other modules
 * would know, by sockets to their daemons mostly, can't be looked up here; systemd-resolved and
 * dnsmasq serve DNS too, by the address that stands in /etc/resolv.conf. Certificates are read
 * when TLS is first used, which most starts of a test or a local registry never do: Landlock lets
 * through to them, and they are no secret.
 */
#include "helpers/fetch/jail.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <nss.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "base/steps.h"
#include "base/sys.h"
#include "helpers/common/jail_parts.h"
#include "helpers/fetch/filter.h"

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { RESOLVER_STACK = 512 << 10 };

/* --- before ---------------------------------------------------------------- */

/* Curl's resolver has threads. With the usual 8 MiB of stack and 64 MiB of heap each, a few of
 * them would meet the limit of memory. */
static int make_threads_small(void)
{
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);

    if (r != 0)
        return -r;
    r = pthread_attr_setstacksize(&attributes, RESOLVER_STACK);
    if (r == 0)
        r = pthread_setattr_default_np(&attributes);
    (void)pthread_attr_destroy(&attributes); /* only memory */
    (void)mallopt(M_ARENA_MAX, 1);           /* 1 or 0; the sanitizer's malloc has no such thing */
    return -r;
}

int cl_fetch_jail_prepare(struct cl_error *err)
{
    size_t seed = 0;
    int r = make_threads_small();

    if (r < 0)
        return cl_fail(err, r, "set the size of threads");
    if (__nss_configure_lookup("hosts", "files dns") < 0)
        return cl_fail(err, errno, "choose how names are looked up");
    if (cl_sys_getrandom(&seed, sizeof(seed)) < 0)
        return cl_fail(err, EIO, "getrandom");
    json_object_seed(seed | 1); /* 0 would mean: choose one, from a file */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return cl_refuse(err, EIO, "curl can't be initialised");
    return 0;
}

/* --- privilege ------------------------------------------------------------- */

static int close_descriptors(void *context, struct cl_error *err)
{
    const struct cl_fetch_jail *jail = context;
    int r = cl_sys_close_range(jail->keep_fds, ~0U, 0);

    return r < 0 ? cl_fail(err, r, "close_range") : 0;
}

static int drop_user(CL_UNUSED void *context, struct cl_error *err)
{
    return cl_jail_drop_user(err);
}

static int drop_capabilities(CL_UNUSED void *context, struct cl_error *err)
{
    struct cl_cap_header header = {.version = CL_CAP_VERSION_3};
    struct cl_cap_data none[2] = {{0}};
    int r = cl_sys_capset(&header, none);

    return r < 0 ? cl_fail(err, r, "capset") : 0;
}

/* No limit of the size of files: layers are large, and the disk is the core's to guard. */
static const struct {
    int resource;
    uint64_t value;
} limits[] = {
    {RLIMIT_AS, SANITIZED ? CL_RLIM_INFINITY : 256 << 20}, /* the sanitizer maps terabytes */
    {RLIMIT_NOFILE, 256},
    {RLIMIT_CORE, 0},
    {RLIMIT_MEMLOCK, 0},
};

static int limit_resources(CL_UNUSED void *context, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(limits); i++) {
        struct cl_rlimit64 old;
        int r = cl_sys_prlimit(0, limits[i].resource, NULL, &old);

        /* A caller's lower limit stays: raising it needs privilege. */
        struct cl_rlimit64 value = {cl_min_u64(limits[i].value, old.max),
                                    cl_min_u64(limits[i].value, old.max)};
        if (r == 0)
            r = cl_sys_prlimit(0, limits[i].resource, &value, NULL);
        if (r < 0)
            return cl_fail(err, r, "set resource limit %d", limits[i].resource);
    }
    return 0;
}

/* The death signal is cleared by changes of the user, so it stands after them. A pipe without
 * a reader and a file that is too large are errors of calls, here as elsewhere. */
static int seal_process(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

    if (r == 0)
        r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (r == 0)
        r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (r == 0)
        r = cl_sys_signal_ignore(SIGPIPE);
    if (r == 0)
        r = cl_sys_signal_ignore(SIGXFSZ);
    return r < 0 ? cl_fail(err, r, "prctl") : 0;
}

/* --- Landlock -------------------------------------------------------------- */

/* Where names and certificates are looked up; a rule follows symbolic links to what they lead
 * to. A file that is replaced while we run is closed to us then, which a directory isn't: the
 * daemons that write resolv.conf have directories of their own. */
static const char *const readable[] = {
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
};

static struct cl_landlock_ruleset_attr handled_by(int abi)
{
    struct cl_landlock_ruleset_attr attr = {.handled_access_fs = CL_LANDLOCK_FS_REFER - 1};

    if (abi >= 2)
        attr.handled_access_fs |= CL_LANDLOCK_FS_REFER;
    if (abi >= 3)
        attr.handled_access_fs |= CL_LANDLOCK_FS_TRUNCATE;
    if (abi >= 4)
        attr.handled_access_net = 1; /* bind; to connect is what we are for */
    if (abi >= 5)
        attr.handled_access_fs |= CL_LANDLOCK_FS_IOCTL_DEV;
    if (abi >= 6)
        attr.scoped = CL_LANDLOCK_SCOPE_ABSTRACT_UNIX | CL_LANDLOCK_SCOPE_SIGNAL;
    return attr;
}

static int allow_reading(int ruleset, const char *path, struct cl_error *err)
{
    struct stat st;
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_PATH, 0);

    if (fd < 0)
        return 0; /* not every host has each, and what we can't reach needs no rule */
    int r = cl_sys_fstat(fd, &st);
    struct cl_landlock_path_beneath rule = {.allowed_access = CL_LANDLOCK_FS_READ_FILE,
                                            .parent_fd = fd};
    if (r == 0 && S_ISDIR(st.st_mode))
        rule.allowed_access |= CL_LANDLOCK_FS_READ_DIR;
    if (r == 0)
        r = cl_sys_landlock_add_rule(ruleset, CL_LANDLOCK_RULE_PATH_BENEATH, &rule);
    return r < 0 ? cl_fail(err, r, "add the rule for %s", path) : 0;
}

static int make_ruleset(int abi, struct cl_error *err)
{
    const struct cl_landlock_ruleset_attr attr = handled_by(abi);
    CL_CLEANUP_FD int ruleset = cl_sys_landlock_create_ruleset(&attr, sizeof(attr), 0);

    if (ruleset < 0)
        return cl_fail(err, ruleset, "landlock_create_ruleset");
    for (size_t i = 0; i < CL_ARRAY_SIZE(readable); i++) {
        int r = allow_reading(ruleset, readable[i], err);

        if (r < 0)
            return r;
    }
    return CL_TAKE_FD(ruleset);
}

static int enter_landlock(void *context, struct cl_error *err)
{
    const struct cl_fetch_jail *jail = context;
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    if ((abi == -ENOSYS || abi == -EOPNOTSUPP) && jail->without_landlock)
        return 0;
    if (abi == -ENOSYS || abi == -EOPNOTSUPP)
        return cl_refuse(err, ENOTSUP,
                         "this kernel has no Landlock (or it is off: lsm= on its command line); "
                         "--without landlock accepts that");
    if (abi < 0)
        return cl_fail(err, abi, "ask for Landlock's version");
    CL_CLEANUP_FD int ruleset = make_ruleset(abi, err);
    if (ruleset < 0)
        return ruleset;
    int r = cl_sys_landlock_restrict_self(ruleset);
    return r < 0 ? cl_fail(err, r, "landlock_restrict_self") : 0;
}

static const struct cl_step steps[] = {
    {"close descriptors", close_descriptors, NULL}, {"drop the user", drop_user, NULL},
    {"drop capabilities", drop_capabilities, NULL}, {"resource limits", limit_resources, NULL},
    {"seal the process", seal_process, NULL},       {"Landlock", enter_landlock, NULL},
};

static int enter_filter(CL_UNUSED void *context, struct cl_error *err)
{
    return cl_fetch_filter_enter(err);
}

static const struct cl_step last_step = {"seccomp", enter_filter, NULL};

int cl_fetch_jail_enter_unfiltered(struct cl_fetch_jail *jail, struct cl_error *err)
{
    return cl_steps_run(steps, CL_ARRAY_SIZE(steps), jail, err);
}

int cl_fetch_jail_enter(struct cl_fetch_jail *jail, struct cl_error *err)
{
    int r = cl_fetch_jail_enter_unfiltered(jail, err);

    return r < 0 ? r : cl_steps_run(&last_step, 1, jail, err);
}
