/* Which files the library is, with all that it needs: what the dynamic loader has found.
 *
 * It runs the library's constructors, as whoever uses it would: of root's programs as nobody.
 */
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "engine/wasmedge/wasmedge.h"

struct finding {
    struct cl_buf *out;
    char loader[256]; /* the path by which the kernel starts it */
    int r;
};

/* The first object is the program. */
static void find_loader(const struct dl_phdr_info *object, struct finding *finding)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];

        if (part->p_type != PT_INTERP || part->p_memsz > sizeof(finding->loader))
            continue;
        // NOLINTNEXTLINE(performance-no-int-to-ptr): where the kernel has put it
        memcpy(finding->loader, (const char *)(object->dlpi_addr + part->p_vaddr), part->p_memsz);
        finding->loader[sizeof(finding->loader) - 1] = '\0';
        finding->r = cl_buf_printf(finding->out, "loader %s\n", finding->loader);
    }
}

/* The kernel's own object (vdso) has no path. */
static int look_at(struct dl_phdr_info *object, CL_UNUSED size_t size, void *context)
{
    struct finding *finding = context;
    const char *name = object->dlpi_name;

    if (finding->loader[0] == '\0')
        find_loader(object, finding);
    else if (name[0] == '/' && strcmp(name, finding->loader) != 0 && finding->r == 0)
        finding->r =
            strchr(name, '\n') != NULL ? -EINVAL : cl_buf_printf(finding->out, "file %s\n", name);
    return finding->r;
}

/* An id that nobody has, as the helpers' (helpers/common/jail_user.c): a root of a user namespace
 * that has no such id is nobody to the host already. */
static int drop_root(struct cl_error *err)
{
    enum { FIRST_ID = 0x7fff0000 };
    uint16_t number = 0;

    if (geteuid() != 0)
        return 0;
    int r = cl_sys_getrandom(&number, sizeof(number)) < 0 ? -EIO : cl_sys_setgroups(0, NULL);
    if (r == 0 || r == -EPERM)
        r = cl_sys_setresgid(FIRST_ID + number);
    if (r == 0)
        r = cl_sys_setresuid(FIRST_ID + number);
    return r < 0 && r != -EINVAL ? cl_fail(err, r, "become nobody") : 0;
}

int cl_engine_probe(struct cl_buf *out, struct cl_error *err)
{
    struct cl_edge edge = {0};
    struct finding finding = {.out = out};
    int r = drop_root(err);

    if (r == 0)
        r = cl_edge_load(CL_EDGE_LIBRARY, &edge, err);
    if (r < 0)
        return r;
    r = cl_buf_printf(out, "version %s\n", edge.version);
    if (r == 0) {
        (void)dl_iterate_phdr(look_at, &finding); /* its answer is our own */
        r = finding.r;
    }
    return r < 0 ? cl_fail(err, r, "tell which files " CL_EDGE_LIBRARY " needs") : 0;
}
