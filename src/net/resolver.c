/* The host's resolvers, to which pasta passes on what the sandbox asks. resolv.conf(5). */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "net/net.h"

/* The address of a line "nameserver ADDRESS"; 0 when it is another. */
static int parse_line(const char *line, size_t size, struct cl_cidr *ret)
{
    static const char key[] = "nameserver";
    char address[64];
    struct cl_error unused;

    if (size <= sizeof(key) || memcmp(line, key, sizeof(key) - 1) != 0)
        return 0;
    line += sizeof(key) - 1;
    size -= sizeof(key) - 1;
    const size_t blank = strspn(line, " \t");
    if (blank == 0 || blank >= size)
        return 0;
    const size_t length = strcspn(line + blank, " \t\r\n#;");
    /* An address with a scope (fe80::1%eth0) is one that pasta can't take either. */
    if (length >= sizeof(address) || memchr(line + blank, '/', length) != NULL)
        return 0;
    memcpy(address, line + blank, length);
    address[length] = '\0';
    return cl_cidr_parse(address, ret, &unused) == 0;
}

void cl_net_take_resolvers(struct cl_net *net, const char *text)
{
    while (*text != '\0') {
        const size_t size = strcspn(text, "\n");
        struct cl_cidr found = {0};

        if (parse_line(text, size, &found)) {
            struct cl_cidr *resolver = found.family == 4 ? &net->resolver4 : &net->resolver6;
            if (resolver->family == 0)
                *resolver = found;
        }
        text += size;
        text += *text == '\n';
    }
}

/* A host without the file asks nobody, and nor does the sandbox. */
int cl_net_read_resolvers(struct cl_net *net, struct cl_error *err)
{
    char text[4096];
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/etc/resolv.conf", O_RDONLY | O_NONBLOCK, 0);

    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return cl_fail(err, fd, "open /etc/resolv.conf");
    ssize_t size = cl_sys_read(fd, text, sizeof(text) - 1);
    if (size < 0)
        return cl_fail(err, (int)size, "read /etc/resolv.conf");
    text[size] = '\0';
    cl_net_take_resolvers(net, text);
    return 0;
}
