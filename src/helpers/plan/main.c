/* cloister-plan - turns bytes that nobody vouches for into a plan's flat form, or a record's.
 *
 *   cloister-plan policy NAME       a policy file on descriptor 0
 *   cloister-plan seccomp NAME      a seccomp profile on descriptor 0
 *   cloister-plan user NAME         /etc/passwd on descriptor 0, /etc/group on 3
 *   cloister-plan job NAME          a job's file on descriptor 0; a record of plan/job.h
 *   cloister-plan registries NAME   registries.yaml on descriptor 0; a record of oci/records.h
 *   cloister-plan spec NAME         an OCI config.json on descriptor 0; a record of plan/spec.h
 *   cloister-plan process NAME      the same of one's process
 *   cloister-plan resources NAME    the same of one's linux.resources
 *   cloister-plan filter NAME       the same of one's linux.seccomp, compiled
 *
 * The answer goes to descriptor 1; an error is one line on descriptor 2 and exit
 * status 1. Stages: look at the arguments; prepare the little that the jail forbids;
 * enter the jail (jail.c); only then read, parse, write. Whatever comes out is
 * checked by whoever started us.
 */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/common/jail.h"
#include "helpers/common/process.h"
#include "helpers/plan/filter.h"
#include "helpers/plan/job.h"
#include "helpers/plan/policy.h"
#include "helpers/plan/registries.h"
#include "helpers/plan/spec.h"
#include "helpers/plan/spec_filter.h"
#include "helpers/plan/user.h"
#include "plan/format.h"

enum { MAX_INPUT = 1 << 20, ARENA_CAP = 64 << 20, GROUP_FD = 3, MAX_NAME_SIZE = 4095 };

struct job {
    const char *name;
    struct cl_profile_host host;
    int scratch_fd;
    struct cl_arena arena;
    struct cl_buf input;
};

static int read_input(int fd, const char *name, struct cl_buf *buf, struct cl_error *err)
{
    return cl_read_all(fd, name, buf, err);
}

static struct cl_document document_of(const struct job *job)
{
    return (struct cl_document){job->name, cl_buf_text(&job->input), job->input.size};
}

static int make_policy(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    const struct cl_document document = document_of(job);
    struct cl_plan plan = {0};
    int r = cl_policy_parse(&document, &job->arena, &plan, err);

    return r < 0 ? r : cl_plan_write(&plan, output, err);
}

static int make_seccomp(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    const struct cl_filter_input input = {document_of(job), job->host, job->scratch_fd};
    struct cl_plan plan = {0};
    int r = cl_filter_compile(&input, &job->arena, &plan, err);

    return r < 0 ? r : cl_plan_write(&plan, output, err);
}

static int make_user(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf group = CL_BUF_INIT(MAX_INPUT);
    struct cl_plan plan = {0};
    const struct cl_user_files files = {&job->input, &group};
    int r = read_input(GROUP_FD, "/etc/group", &group, err);

    if (r == 0)
        r = cl_user_resolve(job->name, &files, &job->arena, &plan, err);
    return r < 0 ? r : cl_plan_write(&plan, output, err);
}

static int make_job(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    const struct cl_document document = document_of(job);
    struct cl_job record = {.set = 0};
    int r = cl_job_parse(&document, &job->arena, &record, err);

    return r < 0 ? r : cl_job_write(&record, output, err);
}

static int make_registries(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    const struct cl_document document = document_of(job);
    struct cl_registries_record record = {.set = 0};
    int r = cl_registries_parse(&document, &job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_registries_shape, &record, output, err);
}

/* What is too large for the record is the document's fault. */
static int write_spec(const struct job *job, const struct cl_spec *spec, struct cl_buf *output,
                      struct cl_error *err)
{
    int r = cl_spec_write(spec, output, err);

    return r < 0 ? cl_prefix(err, "%s", cl_report_name(job->name)) : 0;
}

static int make_document(struct job *job, enum cl_spec_kind kind, struct cl_buf *output,
                         struct cl_error *err)
{
    const struct cl_document document = document_of(job);
    struct cl_spec spec = {.set = 0};
    int r = cl_spec_parse(kind, &document, &job->arena, &spec, err);

    return r < 0 ? r : write_spec(job, &spec, output, err);
}

static int make_spec(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    return make_document(job, CL_SPEC_CONFIG, output, err);
}

static int make_process(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    return make_document(job, CL_SPEC_PROCESS, output, err);
}

static int make_resources(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    return make_document(job, CL_SPEC_RESOURCES_OF, output, err);
}

static int make_filter(struct job *job, struct cl_buf *output, struct cl_error *err)
{
    const struct cl_document document = document_of(job);
    struct cl_spec spec = {.set = 0};
    int r = cl_spec_filter(&document, job->scratch_fd, &job->arena, &spec, err);

    return r < 0 ? r : write_spec(job, &spec, output, err);
}

static const struct kind {
    const char *name;
    int (*make)(struct job *job, struct cl_buf *output, struct cl_error *err);
    int has_group;
    size_t max_input;
    size_t max_output;
} kinds[] = {
    {"policy", make_policy, 0, MAX_INPUT, CL_PLAN_MAX_SIZE},
    {"seccomp", make_seccomp, 0, MAX_INPUT, CL_PLAN_MAX_SIZE},
    {"user", make_user, 1, MAX_INPUT, CL_PLAN_MAX_SIZE},
    {"registries", make_registries, 0, MAX_INPUT, CL_PLAN_MAX_SIZE},
    {"job", make_job, 0, MAX_INPUT, CL_PLAN_MAX_SIZE},
    {"spec", make_spec, 0, CL_SPEC_MAX_INPUT, CL_SPEC_MAX_SIZE},
    {"process", make_process, 0, CL_SPEC_MAX_INPUT, CL_SPEC_MAX_SIZE},
    {"resources", make_resources, 0, CL_SPEC_MAX_INPUT, CL_SPEC_MAX_SIZE},
    {"filter", make_filter, 0, CL_SPEC_MAX_INPUT, CL_SPEC_MAX_SIZE},
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
                    "this program is cloister's: cloister-plan "
                    "policy|seccomp|user|registries|job|spec|process|resources|filter NAME <FILE");
    return NULL;
}

/* What the jail would forbid: the kernel's version, and a file of memory for libseccomp. */
static int prepare(struct job *job, int first_free, struct cl_error *err)
{
    struct utsname system;
    int r = cl_process_begin((unsigned int)first_free, err);

    if (r < 0)
        return r;
    if (uname(&system) < 0 || cl_profile_parse_kernel(system.release, &job->host) < 0)
        return cl_refuse(err, EINVAL, "can't tell the kernel's version");
    job->scratch_fd = cl_sys_memfd_create("program", 1 /* MFD_CLOEXEC */);
    return job->scratch_fd < 0 ? cl_fail(err, job->scratch_fd, "memfd_create") : 0;
}

static int work(struct job *job, const struct kind *kind, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(kind->max_output);
    int r = read_input(STDIN_FILENO, job->name, &job->input, err);

    if (r == 0)
        r = kind->make(job, &output, err);
    if (r < 0)
        return r;
    r = cl_write_all(STDOUT_FILENO, output.data, output.size);
    return r < 0 ? cl_fail(err, r, "write the answer") : 0;
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
        .input = CL_BUF_INIT(kind->max_input),
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

int main(int argc, char *argv[])
{
    struct cl_error err = {0};

    cl_process_end(run(argc, argv, &err), &err);
}
