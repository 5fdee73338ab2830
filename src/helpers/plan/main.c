/* cloister-plan - turns bytes that nobody vouches for into a plan's flat form.
 *
 *   cloister-plan policy NAME    a policy file on descriptor 0
 *   cloister-plan seccomp NAME   a seccomp profile on descriptor 0
 *   cloister-plan user NAME      /etc/passwd on descriptor 0, /etc/group on 3
 *
 * The plan goes to descriptor 1; an error is one line on descriptor 2 and exit
 * status 1. Stages: look at the arguments; prepare the little that the jail forbids;
 * enter the jail (jail.c); only then read, parse, write. Whatever comes out is
 * checked by whoever started us.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/plan/filter.h"
#include "helpers/common/jail.h"
#include "helpers/plan/policy.h"
#include "helpers/plan/user.h"
#include "plan/format.h"

enum { MAX_INPUT = 1 << 20, ARENA_CAP = 64 << 20, GROUP_FD = 3, MAX_NAME_SIZE = 4095 };

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at exit wants processes and ptrace, which the jail forbids; the
 * fuzz targets and unit tests look for leaks in the same parsers. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

struct job {
    const char *name;
    struct cl_profile_host host;
    int scratch_fd;
    struct cl_arena arena;
    struct cl_buf input;
    struct cl_plan plan;
};

static int read_input(int fd, const char *name, struct cl_buf *buf, struct cl_error *err)
{
    return cl_read_all(fd, name, buf, err);
}

static struct cl_document document_of(const struct job *job)
{
    return (struct cl_document){job->name, cl_buf_text(&job->input), job->input.size};
}

static int make_policy(struct job *job, struct cl_error *err)
{
    const struct cl_document document = document_of(job);

    return cl_policy_parse(&document, &job->arena, &job->plan, err);
}

static int make_seccomp(struct job *job, struct cl_error *err)
{
    const struct cl_filter_input input = {document_of(job), job->host, job->scratch_fd};

    return cl_filter_compile(&input, &job->arena, &job->plan, err);
}

static int make_user(struct job *job, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf group = CL_BUF_INIT(MAX_INPUT);
    int r = read_input(GROUP_FD, "/etc/group", &group, err);

    return r < 0 ? r : cl_user_resolve(job->name, &job->input, &group, &job->plan, err);
}

static const struct kind {
    const char *name;
    int (*make)(struct job *job, struct cl_error *err);
    int has_group;
} kinds[] = {
    {"policy", make_policy, 0},
    {"seccomp", make_seccomp, 0},
    {"user", make_user, 1},
};

static const struct kind *find_kind(int argc, char *const argv[], struct cl_error *err)
{
    if (argc == 3 && strlen(argv[2]) <= MAX_NAME_SIZE && argv[2][0] != '\0') {
        for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
            if (strcmp(kinds[i].name, argv[1]) == 0)
                return &kinds[i];
        }
    }
    (void)cl_refuse(err, EINVAL,
                    "this program is cloister's: cloister-plan policy|seccomp|user "
                    "NAME <FILE");
    return NULL;
}

/* What has to happen before the jail: the kernel's version, jansson's hash seed
 * (which it would take from a file), and a file of memory for libseccomp. */
static int prepare(struct job *job, int first_free, struct cl_error *err)
{
    struct utsname system;
    size_t seed = 0;

    /* Whatever the caller left open must not come between. */
    int r = cl_sys_close_range((unsigned int)first_free, ~0U, 0);
    if (r < 0)
        return cl_fail(err, r, "close_range");
    if (uname(&system) < 0 || cl_profile_parse_kernel(system.release, &job->host) < 0)
        return cl_refuse(err, EINVAL, "can't tell the kernel's version");
    if (cl_sys_getrandom(&seed, sizeof(seed)) < 0)
        return cl_fail(err, EIO, "getrandom");
    json_object_seed(seed | 1); /* 0 would mean: choose one */
    job->scratch_fd = cl_sys_memfd_create("program", 1 /* MFD_CLOEXEC */);
    return job->scratch_fd < 0 ? cl_fail(err, job->scratch_fd, "memfd_create") : 0;
}

static int work(struct job *job, const struct kind *kind, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    int r = read_input(STDIN_FILENO, job->name, &job->input, err);

    if (r == 0)
        r = kind->make(job, err);
    if (r == 0)
        r = cl_plan_write(&job->plan, &output, err);
    if (r < 0)
        return r;
    r = cl_write_all(STDOUT_FILENO, output.data, output.size);
    return r < 0 ? cl_fail(err, r, "write the plan") : 0;
}

static int run(int argc, char *const argv[], struct cl_error *err)
{
    const struct kind *kind = find_kind(argc, argv, err);

    if (kind == NULL)
        return -err->code;
    struct job job = {
        .name = argv[2],
        .scratch_fd = -1,
        .arena = CL_ARENA_INIT(ARENA_CAP),
        .input = CL_BUF_INIT(MAX_INPUT),
    };
    int r = prepare(&job, kind->has_group ? GROUP_FD + 1 : GROUP_FD, err);
    struct cl_jail jail = {.keep_fds = (unsigned int)job.scratch_fd + 1};
    if (r == 0) {
        r = cl_jail_enter(&jail, err);
        if (r < 0)
            (void)cl_prefix(err, "the helper's jail");
    }
    if (r == 0)
        r = work(&job, kind, err);
    cl_buf_done(&job.input);
    cl_arena_done(&job.arena);
    return r;
}

/* Ends by _exit: what libraries and instrumentation do at exit would need the files
 * that the jail took. */
int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    char line[CL_ERROR_MSG_SIZE + 1];

    if (run(argc, argv, &err) >= 0)
        _exit(0);
    int size = snprintf(line, sizeof(line), "%s\n", err.msg);
    (void)cl_write_all(STDERR_FILENO, line, (size_t)size); /* nobody to tell if that fails */
    _exit(1);
}
