/* relro.c - makes the relocated constants of a static PIE read-only.
 *
 * A static PIE relocates itself. glibc then write-protects what the linker collected
 * under PT_GNU_RELRO (tables of functions, above all); musl 1.2.3 leaves that to the
 * dynamic linker, which isn't there. Linked into the core's release programs only.
 * Runs before main and before every other constructor.
 */
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/defs.h"

/* The linker's symbol for the start of the image; ELF header first. */
extern char __ehdr_start[] __attribute__((visibility("hidden")));

__attribute__((constructor(101))) static void protect_relro(void)
{
    const ElfW(Ehdr) *header = (const void *)__ehdr_start;
    const ElfW(Phdr) *segment = (const void *)(__ehdr_start + header->e_phoff);
    size_t page = (size_t)getpagesize();

    for (unsigned i = 0; i < header->e_phnum; i++, segment++) {
        if (segment->p_type != PT_GNU_RELRO)
            continue;
        /* the image starts at a page's start, and addresses count from there */
        size_t begin = segment->p_vaddr & -page;
        size_t end = (segment->p_vaddr + segment->p_memsz) & -page;

        if (end > begin)
            CL_ASSERT(mprotect(__ehdr_start + begin, end - begin, PROT_READ) == 0);
    }
}
