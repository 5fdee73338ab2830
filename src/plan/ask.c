#include "plan/ask.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

static void add_number(struct cl_sha256 *hash, uint64_t number)
{
    cl_sha256_add(hash, &number, sizeof(number));
}

void cl_ask_name(struct cl_sha256 *hash, uint64_t record, uint64_t kind,
                 const struct cl_helper *helper)
{
    cl_sha256_init(hash);
    add_number(hash, record);
    add_number(hash, kind);
    add_number(hash, helper->size);
    add_number(hash, (uint64_t)helper->mtime_s);
    add_number(hash, (uint64_t)helper->mtime_ns);
}

void cl_ask_add(struct cl_sha256 *hash, const void *data, size_t size)
{
    add_number(hash, size);
    cl_sha256_add(hash, data, size);
}

int cl_ask_add_machine(struct cl_sha256 *hash, struct cl_error *err)
{
    struct utsname system;

    if (uname(&system) < 0)
        return cl_fail(err, errno, "uname");
    cl_ask_add(hash, system.release, strlen(system.release));
    cl_ask_add(hash, system.machine, strlen(system.machine));
    return 0;
}

int cl_ask(const struct cl_helper *helper, const struct cl_helper_call *call,
           struct cl_answer *answer, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(answer->max_size);
    int r = cl_helper_run(helper, call, &output, err);

    if (r < 0)
        return r;
    const char *copy = cl_arena_strndup(answer->arena, cl_buf_text(&output), output.size);
    if (copy == NULL)
        return cl_fail_memory(err);
    answer->bytes = (struct cl_bytes){copy, output.size};
    return 0;
}
