/* test_pages.c - pages of the program's code are let go of, and come back when they are used. */
#include <stdint.h>

#include "base/fd.h"
#include "base/pages.h"
#include "check.h"

/* The linker's: the ELF header, which nothing executes. */
extern char __ehdr_start[] __attribute__((visibility("hidden")));

/* proc(5), pagemap: bit 63 says that the page is mapped. */
static int is_mapped(const char *address)
{
    uint64_t entry = 0;
    CL_CLEANUP_FD int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    CHECK(pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)address / 4096 * sizeof(entry))) ==
          (ssize_t)sizeof(entry));
    return (entry >> 63) != 0;
}

TEST(code_is_let_go_of_and_comes_back)
{
    const volatile char *header = __ehdr_start;

    CHECK(header[1] == 'E' && is_mapped(__ehdr_start));
    cl_pages_forget_code();
    CHECK(!is_mapped(__ehdr_start));
    CHECK(header[1] == 'E' && is_mapped(__ehdr_start));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(code_is_let_go_of_and_comes_back),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
