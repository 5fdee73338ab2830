/* fuzz_profile.c - seccomp profiles: any bytes make a whole program, or an error with the
 * file's name in front. */
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/sys.h"
#include "helpers/plan/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_FD int scratch = cl_sys_memfd_create("program", MFD_CLOEXEC);
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_filter_input input = {
        {"s.json", cl_buf_text(&text), text.size}, {6, 1}, scratch};
    if (cl_filter_compile(&input, &arena, &plan, &err) < 0) {
        CL_ASSERT(strncmp(err.msg, "s.json:", 7) == 0);
        return 0;
    }
    CL_ASSERT(plan.seccomp.size >= 8 && plan.seccomp.size % 8 == 0);
    CL_ASSERT(plan.seccomp.size <= CL_MAX_FILTER_BYTES);
    return 0;
}
