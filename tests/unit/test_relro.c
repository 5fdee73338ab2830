/* test_relro.c - the release programs' own write protection of relocated constants. It is
 * linked into static PIEs only; here its source is a part of the test, which undoes first
 * what the dynamic linker did. */
#include "base/relro.c" // NOLINT(bugprone-suspicious-include): what is tested is static

#include <fcntl.h>

#include "check.h"

/* The page-aligned part of this program that the linker wants read-only. */
static char *find_relro(size_t *ret_size)
{
    const ElfW(Ehdr) *header = (const void *)__ehdr_start;
    const ElfW(Phdr) *segment = (const void *)(__ehdr_start + header->e_phoff);
    const size_t page = (size_t)getpagesize();

    for (unsigned int i = 0; i < header->e_phnum; i++, segment++) {
        if (segment->p_type == PT_GNU_RELRO) {
            size_t begin = segment->p_vaddr & -page;

            *ret_size = ((segment->p_vaddr + segment->p_memsz) & -page) - begin;
            return __ehdr_start + begin;
        }
    }
    return NULL;
}

/* Whether the kernel may write at ADDRESS for us: nothing changes where it may. */
static int is_writable(char *address)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char old = *address;
    ssize_t got = read(fd, address, 1);

    if (got == 1)
        *address = old;
    (void)close(fd);
    return got == 1;
}

TEST(relocated_constants_become_read_only)
{
    size_t size = 0;
    char *begin = find_relro(&size);
    const size_t page = (size_t)getpagesize();

    CHECK(begin != NULL && size >= page);
    if (begin == NULL || size < page)
        return;
    CHECK(mprotect(begin, size, PROT_READ | PROT_WRITE) == 0);
    CHECK(is_writable(begin) && is_writable(begin + size - 1));
    protect_relro();
    CHECK(!is_writable(begin) && !is_writable(begin + size - 1));
    CHECK(is_writable((char *)&check_failures)); /* and what lies behind is not */
}

int main(void)
{
    static const struct check_test tests[] = {ROW(relocated_constants_become_read_only)};

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
